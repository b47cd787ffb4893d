//! What can go wrong around the operator: the way to the API server, the API server, its store, webhooks, other operators.

use crate::dice::from_environment;
use crate::invariants::{Invariants, running};
use crate::lab::Lab;
use crate::proxy::FAULTS;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of a thousand requests.
const WRONG: u64 = 150;

const DEMO: &str = "{profile: demo}";
const EDITED: &str = "{profile: demo, components: {egressGateways: [{name: istio-egressgateway, enabled: false}]}, \
                      meshConfig: {enableTracing: false}}";

fn gone(lab: &Lab) {
    lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--wait=false"]);
    lab.wait("the resource to be gone", || match lab.iop("main") {
        None => Ok(()),
        Some(resource) => Err(resource["status"].to_string()),
    });
}

/// Each Deployment has one ReplicaSet: it was never changed after it was created.
fn each_started_once(lab: &Lab) {
    let more: BTreeMap<_, _> = running(lab).into_iter().filter(|(_, sets)| sets.len() != 1).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_installation_comes_changes_and_goes_though_requests_go_wrong() {
    let lab = Lab::without_operator();
    let invariants = Invariants::of(&lab);
    let proxy = lab.proxy(from_environment("SEED", 1), WRONG);
    lab.watch_over(lab.start_behind(&proxy, &[]));
    let mut round = 0;
    // As long as it takes for everything to have gone wrong.
    while round == 0 || proxy.done().len() < FAULTS.len() {
        assert!(round < 10, "only these happen: {:?}", proxy.done());
        lab.apply_spec(DEMO);
        invariants.wait("an installation", &["main"]);
        each_started_once(&lab);
        let before = running(&lab);
        lab.apply_spec(EDITED);
        invariants.wait("a change", &["main"]);
        assert_eq!(running(&lab)["istio-ingressgateway"], before["istio-ingressgateway"]);
        gone(&lab);
        invariants.wait("a deletion", &[]);
        round += 1;
    }
    println!("{round} rounds: {:?}", proxy.done());
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_installation_survives_a_crash_of_the_api_server() {
    let lab = Lab::bare();
    let invariants = Invariants::of(&lab);
    lab.apply_spec(DEMO);
    first_deployment(&lab);
    // It answers before it knows its roles.
    lab.expect_forbidden();
    lab.plane().kill("kube-apiserver").unwrap();
    lab.plane().start_again("kube-apiserver").unwrap();
    invariants.wait("the API server is back", &["main"]);
    each_started_once(&lab);
    gone(&lab);
    invariants.wait("a deletion", &[]);
}

#[test]
#[ignore = "long: `make test-all`"]
fn an_installation_survives_a_stall_of_the_store() {
    let lab = Lab::bare();
    let invariants = Invariants::of(&lab);
    lab.expect_forbidden();
    lab.apply_spec(DEMO);
    first_deployment(&lab);
    lab.plane().freeze("etcd", true).unwrap();
    // The passing of time is the fault.
    std::thread::sleep(Duration::from_secs(from_environment("STALL", 5)));
    lab.plane().freeze("etcd", false).unwrap();
    invariants.wait("the store goes on", &["main"]);
    each_started_once(&lab);
}

fn first_deployment(lab: &Lab) {
    lab.wait("the first Deployment", || lab.deployment("istiod").map(drop).ok_or_else(|| "none yet".into()));
    assert_ne!(lab.iop("main").unwrap()["status"]["status"], "HEALTHY", "too late to be in the middle");
}

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

#[test]
fn a_webhook_that_refuses_everything_holds_it_up_only_while_it_does() {
    let lab = Lab::installed(DEMO);
    let invariants = Invariants::of(&lab);
    let refuse = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "refuse"},
        "webhooks": [{"name": "refuse.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "clientConfig": {"service": {"namespace": "default", "name": "nobody"}},
            "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}]}],
    });
    lab.kill_operator();
    lab.apply_spec(EDITED);
    lab.request("POST", CONFIGURATIONS, &refuse).unwrap();
    let mark = lab.mark();
    lab.start_operator();
    let is_refused = |write: &String| write.ends_with(": 500");
    let begun = Instant::now();
    let (least, long) = (3, Duration::from_secs(from_environment("REFUSED", 4)));
    lab.wait("several writes to be refused", || {
        let refused = lab.writes_since(mark).iter().filter(|w| is_refused(w)).count();
        if refused >= least && begun.elapsed() > long { Ok(()) } else { Err(format!("{refused} are")) }
    });
    lab.request("DELETE", &format!("{CONFIGURATIONS}/refuse"), &Value::Null).unwrap();
    invariants.wait("writes are allowed again", &["main"]);
}

/// While istiod is away its webhook refuses Istio's own resources, ours among them.
#[test]
#[ignore = "long: `make test-all`"]
fn istiods_webhook_does_not_keep_istiod_from_coming_back() {
    let lab = Lab::installed(DEMO);
    let invariants = Invariants::of(&lab);
    let set_policy = |policy: &str| {
        let path = format!("{CONFIGURATIONS}/istio-validator-istio-system");
        let mut live = lab.get(&path).unwrap();
        // An address that nobody answers on would be waited for.
        live["webhooks"][0]["failurePolicy"] = json!(policy);
        lab.request("PUT", &format!("{path}?fieldManager=pilot-discovery"), &live).unwrap();
    };
    set_policy("Fail");
    let filters = "/apis/networking.istio.io/v1alpha3/namespaces/istio-system/envoyfilters";
    let all = lab.get(filters).unwrap();
    assert!(!all["items"].as_array().unwrap().is_empty(), "nothing of ours that istiod's webhook could refuse");
    let in_system = |args: &[&str]| lab.kubectl(&[args, &["-n", "istio-system"]].concat());
    in_system(&["delete", "envoyfilters", "--all"]);
    in_system(&["delete", "deployment", "istiod"]);
    lab.wait("istiod to be back", || match lab.deployment("istiod") {
        Some(deployment) if deployment["status"]["readyReplicas"] == 1 => Ok(()),
        other => Err(format!("{:?}", other.map(|d| d["status"].clone()))),
    });
    lab.wait_for_status("ERROR", &["EnvoyFilter", "validation.istio.io"]);
    // As istiod does when it starts.
    set_policy("Ignore");
    invariants.wait("istiod serves again", &["main"]);
}

#[test]
fn of_two_operators_one_works_and_the_other_follows_when_it_is_cut_off() {
    let lab = Lab::without_operator();
    let invariants = Invariants::of(&lab);
    let (proxy, elects) = (lab.proxy(1, 0), ["--leader-election-namespace=istio-operator", "--renew-deadline=3s"]);
    let with_name = |name: &'static str| [elects[0], elects[1], name];
    let holder = || {
        let path = "/apis/coordination.k8s.io/v1/namespaces/istio-operator/leases/istio-operator-lock";
        lab.get(path).map(|lease| lease["spec"]["holderIdentity"].clone()).unwrap_or_default()
    };
    let wait_for_leader = |name: &str| {
        lab.wait(&format!("{name} to lead"), || if holder() == name { Ok(()) } else { Err(holder().to_string()) });
    };
    let mut first = lab.start_behind(&proxy, &with_name("--pod-name=first"));
    wait_for_leader("first");
    let mut second = lab.start_another("second", &with_name("--pod-name=second"));
    lab.apply_spec(DEMO);
    invariants.wait("two are there", &["main"]);
    assert_eq!(second.metric("istio_install_operator_reconcile").unwrap(), 0, "both work");

    proxy.set_black_hole(true);
    lab.apply_spec(EDITED);
    wait_for_leader("second");
    assert!(first.get("/healthz").is_err(), "the first still works while the second does");
    invariants.wait("the second leads", &["main"]);
    assert!(second.metric("istio_install_operator_reconcile").unwrap() > 0);
    assert!(running(&lab).values().all(|sets| sets.len() == 1));
}
