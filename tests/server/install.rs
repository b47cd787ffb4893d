//! Installing, changing and removing an installation.

use crate::lab::{Inventory, Lab, missing_in, touched};
use serde_json::json;
use std::collections::BTreeSet;

const GATEWAYS: [&str; 2] = ["IngressGateways", "EgressGateways"];

const RECORD: &str = "installed-state-main";

/// The profile in the record of the installation, which has everything that the profile says.
fn recorded_profile(lab: &Lab) -> String {
    let record = lab.iop(RECORD).expect("no record of the installation");
    assert_eq!(record["metadata"]["annotations"]["install.istio.io/ignoreReconcile"], "true");
    assert_eq!(record["spec"]["components"]["pilot"]["enabled"], true, "not resolved: {:#}", record["spec"]);
    assert!(record["status"].is_null(), "the record is worked on");
    record["spec"]["profile"].as_str().unwrap().to_owned()
}

fn of_gateways(inventory: &Inventory) -> BTreeSet<&str> {
    let gateways = inventory.iter().filter(|(_, s)| GATEWAYS.contains(&s.component.as_str()));
    gateways.map(|(key, _)| key.as_str()).collect()
}

fn keys(inventory: &Inventory) -> BTreeSet<String> {
    inventory.keys().cloned().collect()
}

#[test]
fn the_demo_becomes_healthy_with_few_writes() {
    let lab = Lab::bare();
    lab.apply_spec("{profile: demo}");
    let status = lab.wait_for_status("HEALTHY", &[]);
    for component in ["Base", "Pilot", "IngressGateways", "EgressGateways"] {
        assert_eq!(status["componentStatus"][component]["status"], "HEALTHY", "{status:#}");
    }
    everything_of_the_demo_is_there(&lab);
    let writes = lab.writes_since(0);
    println!("{} writes for the demo", writes.len());
    assert!(writes.len() <= 70, "{} writes: {writes:#?}", writes.len());
    assert_eq!(keys(&lab.owned_at_rest()), lab.wanted("{profile: demo}"));
    assert_eq!(recorded_profile(&lab), "demo");
}

#[test]
fn a_smaller_profile_prunes_the_gateways_and_nothing_else() {
    let lab = Lab::installed("{profile: demo}");
    let demo = lab.owned_at_rest();
    assert_eq!(recorded_profile(&lab), "demo");
    let uids = ["get", "-n", "istio-system", "-o", "jsonpath={.items[*].metadata.uid}"];
    let of_istiod = || lab.kubectl(&[&uids[..], &BY_ISTIOD].concat());
    as_istiod_makes(&lab);
    let made = of_istiod();
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    let minimal = lab.owned_at_rest();
    assert_eq!(recorded_profile(&lab), "minimal", "the record is not kept current");
    assert_eq!(keys(&minimal), lab.wanted("{profile: minimal}"));
    assert_eq!(missing_in(&demo, &minimal), of_gateways(&demo), "these and no others are to be pruned");
    for (key, stamp) in &minimal {
        let replaced = demo.get(key).is_some_and(|before| before.uid != stamp.uid);
        assert!(!replaced, "{key} was deleted and created again");
    }
    let may_change = ["Deployment istio-system/istiod", "PodDisruptionBudget istio-system/istiod"];
    let changed: Vec<_> = touched(&demo, &minimal).into_iter().filter(|k| !may_change.contains(k)).collect();
    assert!(changed.is_empty(), "nothing in {changed:?} depends on the profile");
    assert_eq!(of_istiod(), made, "what istiod makes is not the resource's");
    lab.delete("main");
    assert_eq!(of_istiod(), made, "what istiod makes is not the resource's");
}

/// What istiod makes by itself: its certificates, and what serves a Gateway of the Gateway API.
const BY_ISTIOD: [&str; 4] =
    ["secret/istio-ca-secret", "configmap/istio-ca-root-cert", "deployment/bookinfo-istio", "service/bookinfo-istio"];

fn as_istiod_makes(lab: &Lab) {
    let create = |args: &[&str]| lab.kubectl(&[&["create", "-n", "istio-system"], args].concat());
    create(&["secret", "generic", "istio-ca-secret"]);
    create(&["configmap", "istio-ca-root-cert"]);
    create(&["deployment", "bookinfo-istio", "--image=auto"]);
    create(&["service", "clusterip", "bookinfo-istio", "--tcp=80"]);
    for made in &BY_ISTIOD[2..] {
        let label = "gateway.networking.k8s.io/gateway-name=bookinfo";
        lab.kubectl(&["label", "-n", "istio-system", made, label]);
    }
}

#[test]
fn a_deletion_leaves_the_definitions_and_nothing_else() {
    let lab = Lab::installed("{profile: minimal}");
    recorded_profile(&lab);
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--timeout=60s"]);
    assert_eq!(lab.iop("main"), None, "the finalizer is not removed");
    assert_eq!(lab.iop(RECORD), None, "the record is left");
    let left = lab.owned();
    let others: Vec<_> = left.keys().filter(|k| !k.starts_with("CustomResourceDefinition ")).collect();
    assert!(others.is_empty(), "{others:?} are left");
    assert_eq!(definitions(&lab), 15, "the definitions are to stay");
}

/// Who may do what to what in `istio-system`, or may not.
const RIGHTS: [(&str, &str, &str, &str, bool); 6] = [
    ("istiod", "watch", "networking.istio.io", "virtualservices", true),
    ("istiod", "patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", true),
    ("istiod", "create", "apps", "deployments", true),
    ("istiod", "delete", "", "namespaces", false),
    ("istio-ingressgateway-service-account", "watch", "", "secrets", true),
    ("istio-ingressgateway-service-account", "delete", "", "secrets", false),
];

fn everything_of_the_demo_is_there(lab: &Lab) {
    for name in ["istiod", "istio-ingressgateway", "istio-egressgateway"] {
        let deployment = lab.deployment(name).unwrap();
        assert_eq!(deployment["status"]["readyReplicas"], 1, "{name}: {:#}", deployment["status"]);
    }
    assert_eq!(definitions(lab), 15);
    for (account, verb, group, resource, may) in RIGHTS {
        let attributes = json!({"namespace": "istio-system", "verb": verb, "group": group, "resource": resource});
        let user = format!("system:serviceaccount:istio-system:{account}");
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes}});
        let answer = lab.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).unwrap();
        assert_eq!(answer["status"]["allowed"], may, "{account} {verb} {resource}");
    }
    let table = lab.kubectl(&["get", "iop", "-A"]);
    let rows = table.lines().filter(|l| !l.contains("installed-state"));
    let rows: Vec<Vec<&str>> = rows.map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAMESPACE", "NAME", "REVISION", "STATUS", "AGE", "PROFILE", "VERSION", "READY"], "{table}");
    assert_eq!(rows[1][..3], ["istio-system", "main", "HEALTHY"], "{table}");
    assert_eq!(rows[1][4..], ["demo", "1.17.8", "True"], "{table}");
}

/// How many definitions of Istio's groups are established.
fn definitions(lab: &Lab) -> usize {
    let all = lab.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").unwrap();
    let conditions = |crd: &serde_json::Value| crd["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let established = |crd: &&serde_json::Value| {
        crd["spec"]["group"].as_str().is_some_and(|g| g.ends_with(".istio.io"))
            && conditions(crd).iter().any(|c| c["type"] == "Established" && c["status"] == "True")
    };
    all["items"].as_array().unwrap().iter().filter(established).count()
}

#[test]
fn gateways_wait_for_istiod_and_the_status_says_why_it_is_not_ready() {
    let lab = Lab::start();
    lab.apply_spec("{profile: demo, components: {pilot: {k8s: {nodeSelector: {disk: none-such}}}}}");
    let status = lab.wait_for_status("RECONCILING", &["Deployment istio-system/istiod", "node affinity/selector"]);
    assert_eq!(status["componentStatus"]["IngressGateways"]["error"], "waits for Istiod", "{status:#}");
    for gateway in ["istio-ingressgateway", "istio-egressgateway"] {
        assert_eq!(lab.deployment(gateway), None, "{gateway} did not wait");
    }
    lab.apply_spec("{profile: demo}");
    lab.wait_for_status("HEALTHY", &[]);
}

#[test]
fn a_bare_spec_installs_the_default_profile() {
    let lab = Lab::start();
    lab.apply_spec("");
    let status = lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(status["profile"], "default");
    assert_eq!(keys(&lab.owned_at_rest()), lab.wanted("{profile: default}"));
}

#[test]
fn one_more_gateway_adds_only_that() {
    let lab = Lab::installed("");
    let before = lab.owned_at_rest();
    lab.apply_spec("{components: {egressGateways: [{name: istio-egressgateway, enabled: true}]}}");
    lab.wait_for_status("HEALTHY", &[]);
    let after = lab.owned_at_rest();
    assert!(missing_in(&before, &after).is_empty());
    assert!(touched(&before, &after).is_empty());
    let added: BTreeSet<_> = missing_in(&after, &before);
    assert!(added.contains("Deployment istio-system/istio-egressgateway"), "{added:?}");
    let others: Vec<_> = added.iter().filter(|k| after[**k].component != "EgressGateways").collect();
    assert!(others.is_empty(), "{others:?} are not of the gateway");
}

/// Complaint: hundreds of resources, each with a gateway, took hours (istio#37489).
#[test]
fn a_resource_with_one_gateway_takes_few_writes() {
    let lab = Lab::installed("{profile: minimal}");
    lab.owned_at_rest();
    let mark = lab.mark();
    lab.apply_named("gateway", "{profile: empty, components: {ingressGateways: [{name: extra, enabled: true}]}}");
    lab.wait_for_status_of("gateway", "HEALTHY", &[]);
    let writes = lab.writes_since(mark);
    println!("{} writes for a resource with one gateway", writes.len());
    let objects = lab.wanted("{profile: empty, components: {ingressGateways: [{name: extra, enabled: true}]}}").len();
    // The finalizer; working, perhaps waiting, healthy; the record; and an event.
    assert!(writes.len() <= objects + 6, "{} writes for {objects} objects: {writes:#?}", writes.len());
}
