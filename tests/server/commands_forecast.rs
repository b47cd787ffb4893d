//! What `install` says before it writes, why it waits, and what `uninstall --purge` takes along.

use crate::commands_revision::nobody;
use crate::commands_run::{Said, command_as, run, run_typing};
use crate::lab::Lab;
use crate::small::{PACKAGES, VERSION};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MINIMAL: &str = "install --set profile=minimal -y";

/// A quota of a namespace, once the API server holds to it.
fn limit(lab: &Lab, name: &str, spec: &Value) {
    let metadata = json!({"name": name, "namespace": "istio-system"});
    lab.apply(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec}).to_string());
    let path = format!("/api/v1/namespaces/istio-system/resourcequotas/{name}");
    lab.wait("the quota", || match lab.get(&path).unwrap()["status"]["hard"].take() {
        Value::Null => Err("it has no status".into()),
        _ => Ok(()),
    });
}

fn count(lab: &Lab, kinds: &str) -> usize {
    lab.kubectl(&["get", kinds, "-A", "-o", "name"]).lines().count()
}

#[test]
fn what_the_api_server_refuses_is_told_before_anything_is_written() {
    let lab = Lab::without_operator();
    let all = "sa,svc,cm,deploy,clusterrole,mutatingwebhookconfiguration";
    let before = count(&lab, all);
    let gateways = "kind: IstioOperator\nspec: {profile: default, components: {ingressGateways: \
        [{name: istio-ingressgateway, enabled: true, namespace: gw}]}}\n";
    let begun = Instant::now();
    let said = run_typing(&lab, "install -y -f -", gateways).ended(1);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let reason = "will fail: Service gw/istio-ingressgateway: there is no namespace gw";
    said.warned(&[reason, "will fail: Deployment gw/istio-ingressgateway: ", "so nothing is written"]);

    let address = "kind: IstioOperator\nspec: {profile: default, components: {ingressGateways: [{name: istio-ingressgateway, \
        enabled: true, k8s: {overlays: [{kind: Service, name: istio-ingressgateway, patches: [{path: spec.clusterIP, \
        value: 1.2.3.4}]}]}}]}}\n";
    let said = run_typing(&lab, "install -y -f -", address).ended(1);
    said.warned(&[
        "will fail: Service istio-system/istio-ingressgateway: ",
        "spec.clusterIP",
        "1 object will fail, so nothing is written",
    ]);

    limit(&lab, "no-services", &json!({"hard": {"services": "0"}}));
    let said = run(&lab, MINIMAL).ended(1);
    said.warned(&["will fail: Service istio-system/istiod: ", "exceeded quota: no-services", "so nothing is written"]);
    run(&lab, "install --set profile=minimal --dry-run").ended(1).warned(&["exceeded quota"]);
    let said = run_typing(&lab, "install --set profile=minimal --force", "n\n").ended(1).warned(&["exceeded quota"]);
    assert!(said.out.ends_with("Cancelled.\n"), "{said:?}");
    lab.kubectl(&["delete", "quota", "no-services", "-n", "istio-system"]);

    assert_eq!(count(&lab, all), before);
    let folder = tempfile::tempdir().unwrap();
    let account = nobody(&lab, folder.path());
    lab.kubectl(&["create", "clusterrole", "test-reads", "--verb=get,list", "--resource=*.*"]);
    let to = ["--clusterrole=test-reads", "--serviceaccount=default:nobody"];
    lab.kubectl(&["create", "clusterrolebinding", "test-reads", to[0], to[1]]);
    let before = count(&lab, all);
    lab.wait("the account to read", || {
        let said = Said::of(&command_as(account.as_os_str(), MINIMAL).output().unwrap()).ended(1);
        if said.err.contains("will fail") { Ok(()) } else { Err(said.err) }
    });
    let said = Said::of(&command_as(account.as_os_str(), MINIMAL).output().unwrap()).ended(1);
    let user = "user system:serviceaccount:default:nobody lacks permissions: patch ";
    let said = said.warned(&[user, "istio-operator role -d 1.17.8", "so nothing is written"]);
    assert!(!said.err.contains("the operator lacks"), "{}", said.err);
    assert_eq!(count(&lab, all), before);
}

#[test]
fn what_may_not_be_deleted_is_told_before_the_rest_is_written() {
    let lab = Lab::without_operator();
    run(&lab, "install --set profile=default -y").ended(0);
    let folder = tempfile::tempdir().unwrap();
    let account = nobody(&lab, folder.path());
    let verbs = "--verb=get,list,watch,create,patch,update,escalate,bind";
    lab.kubectl(&["create", "clusterrole", "test-keeps", verbs, "--resource=*.*"]);
    let to = ["--clusterrole=test-keeps", "--serviceaccount=default:nobody"];
    lab.kubectl(&["create", "clusterrolebinding", "test-keeps", to[0], to[1]]);
    let said = lab.wait("the account to read", || {
        let said = Said::of(&command_as(account.as_os_str(), MINIMAL).output().unwrap()).ended(1);
        if said.err.contains("will fail") { Ok(said) } else { Err(said.err) }
    });
    let gateway = "will fail: Deployment istio-system/istio-ingressgateway: user system:serviceaccount:default:nobody lacks \
        permissions: delete deployments.apps";
    said.warned(&[gateway, "so nothing is written"]);
    assert!(lab.deployment("istio-ingressgateway").is_some());
    let said = run(&lab, "install --set profile=minimal --dry-run").ended(0);
    said.warned(&["    delete Deployment istio-system/istio-ingressgateway\n"]);
    assert!(lab.deployment("istio-ingressgateway").is_some());
}

#[test]
fn what_the_api_server_does_not_decide_stops_no_installation() {
    let lab = Lab::without_operator();
    let hook = json!({"name": "away.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Fail", "timeoutSeconds": 1,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["services"], "operations": ["CREATE"]}]});
    let metadata = json!({"name": "test-away"});
    let kind = "ValidatingWebhookConfiguration";
    let api = "admissionregistration.k8s.io/v1";
    lab.apply(&json!({"apiVersion": api, "kind": kind, "metadata": metadata, "webhooks": [hook]}).to_string());
    let said = lab.wait("the webhook to be asked", || {
        let said = run_typing(&lab, "install --set profile=minimal", "n\n").ended(1);
        if said.err.contains("not known: ") { Ok(said) } else { Err(said.err) }
    });
    let said = said.warned(&["not known: Service istio-system/istiod: ", "failed calling webhook"]);
    assert!(said.out.ends_with("Cancelled.\n") && !said.err.contains("will fail"), "{said:?}");
    lab.kubectl(&["delete", "validatingwebhookconfiguration", "test-away"]);
}

#[test]
fn a_dry_run_lists_each_object_for_people_and_for_programs() {
    let lab = Lab::without_operator();
    run(&lab, "install -o json").ended(2).warned(&["--dry-run"]);
    let said = run(&lab, "install --dry-run --set profile=demo").ended(0);
    let said = said.warned(&["  Istiod: create ", "    create Deployment istio-system/istiod\n"]);
    let is_short = |line: &str| !line.starts_with("    ") && line.contains(" more");
    assert!(said.out.is_empty() && !said.err.lines().any(is_short), "{said:?}");
    let said = run(&lab, "install --dry-run --set profile=demo -o json").ended(0);
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    let expected = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "istio-system", "name": "istiod",
        "component": "Pilot", "action": "create"});
    assert!(all.contains(&expected), "{}", said.out);
    let table = run(&lab, "install --dry-run --set profile=demo -o table").ended(0);
    assert_eq!(table.out.lines().count(), all.len() + 1);
    let mut words = table
        .out
        .lines()
        .find(|line| line.contains(" istiod ") && line.contains("Deployment"))
        .unwrap()
        .split_whitespace();
    assert_eq!(words.next(), Some("create"));

    run(&lab, MINIMAL).ended(0);
    let said = run(&lab, "install --dry-run --set profile=minimal --set tag=1.17.9 -o json").ended(0);
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    let of = |kind: &str, name: &str| all.iter().find(|one| one["kind"] == kind && one["name"] == name).unwrap();
    let istiod = of("Deployment", "istiod");
    assert_eq!(istiod["action"], "change");
    assert!(istiod["reason"].as_str().unwrap().contains(".image"), "{istiod}");
    assert_eq!(of("ServiceAccount", "istiod")["action"], "none");
    let said =
        run(&lab, "install --dry-run --set profile=minimal --set components.pilot.enabled=false -o json").ended(0);
    let all: Vec<Value> = serde_json::from_str(&said.out).unwrap();
    let istiod = all.iter().find(|one| one["kind"] == "Deployment" && one["name"] == "istiod").unwrap();
    assert_eq!((&istiod["action"], &istiod["apiVersion"]), (&json!("delete"), &json!("apps/v1")));
}

#[test]
#[ignore = "long: `make test-all`"]
fn pods_that_are_refused_are_told_with_the_reason() {
    let lab = Lab::without_operator();
    limit(&lab, "no-pods", &json!({"hard": {"pods": "0"}}));
    let said = run(&lab, &format!("{MINIMAL} --readiness-timeout 5s")).ended(1);
    said.warned(&["- Istiod waits: ", "✘ Istiod: not ready after 5s: ", "exceeded quota: no-pods"]);
    lab.kubectl(&["delete", "quota", "no-pods", "-n", "istio-system"]);
    let critical = json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In",
        "values": ["system-node-critical"]}]});
    limit(&lab, "no-agents", &json!({"hard": {"pods": "0"}, "scopeSelector": critical}));
    let said = run(&lab, &format!("{MINIMAL} --set components.cni.enabled=true --readiness-timeout 10s")).ended(1);
    said.warned(&["✘ CNI: not ready after 10s: ", "exceeded quota: no-agents"]);
}

#[test]
fn a_release_without_the_definition_leaves_a_record_all_the_same() {
    let lab = Lab::empty();
    let install = format!("install -y --set profile=minimal -d {VERSION} --package-dir {PACKAGES}");
    lab.kubectl(&["create", "namespace", "istio-system"]);
    let folder = tempfile::tempdir().unwrap();
    let account = nobody(&lab, folder.path());
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "delete"]},
        {"apiGroups": ["", "apps", "admissionregistration.k8s.io", "rbac.authorization.k8s.io", "policy", "autoscaling"],
         "resources": ["*"], "verbs": ["*"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "test"}, "rules": rules});
    lab.apply(&role.to_string());
    lab.kubectl(&["create", "clusterrolebinding", "test", "--clusterrole=test", "--serviceaccount=default:nobody"]);
    let without = format!("{} --dry-run --set components.base.enabled=false", install.replace(" -y", ""));
    let said = lab.wait("the account to have its rights", || {
        let said = Said::of(&command_as(account.as_os_str(), &without).output().unwrap());
        if said.err.contains("not defined in this cluster") { Ok(said) } else { Err(said.err) }
    });
    said.warned(&["patch customresourcedefinitions", "istio-operator crd | kubectl apply --server-side -f -"]);

    let definition = "CustomResourceDefinition istiooperators.install.istio.io";
    let said = run(&lab, &install).ended(0).warned(&[&format!("Other objects: create 1 ({definition})")]);
    assert!(!said.err.contains("no record"), "{}", said.err);
    assert!(lab.iop("installed-state").is_some());
    run(&lab, &install).ended(0).warned(&["Nothing will change"]);
    run(&lab, "uninstall -y --revision default").ended(0);
    lab.kubectl(&["get", "crd", "istiooperators.install.istio.io"]);
    run(&lab, "uninstall -y --purge").ended(0);
    assert_eq!(
        lab.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io"),
        None
    );
}

#[test]
fn a_purge_tells_which_resources_of_users_go_with_the_definitions() {
    let lab = Lab::without_operator();
    run(&lab, MINIMAL).ended(0);
    for (namespace, names) in [("shop", &["a", "b"][..]), ("web", &["c"][..])] {
        lab.kubectl(&["create", "namespace", namespace]);
        for name in names {
            let metadata = json!({"name": name, "namespace": namespace});
            let spec = json!({"hosts": [name], "http": [{"route": [{"destination": {"host": name}}]}]});
            let one = json!({"apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService", "metadata": metadata, "spec": spec});
            lab.apply(&one.to_string());
        }
    }
    let said = run_typing(&lab, "uninstall --purge", "n\n").ended(1);
    let said =
        said.warned(&["all resources of their kinds are deleted", "  3 VirtualServices in 2 namespaces (shop; web)\n"]);
    assert!(!said.err.contains("EnvoyFilter"), "those of the installation are no user's: {}", said.err);
    // What holds a resource holds the definition of its kind.
    let iop = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": {"profile": "empty"},
        "metadata": {"name": "main", "namespace": "istio-system", "finalizers": ["example.com/other"]}});
    lab.apply(&iop.to_string());
    lab.kubectl(&["delete", "deployment", "istio-operator", "-n", "istio-operator"]);
    run(&lab, "uninstall --purge -y --timeout 3s").ended(1).warned(&["still there after 3s", "example.com/other"]);
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/istiooperators.install.istio.io";
    assert_eq!(lab.get(definition).unwrap()["metadata"]["deletionTimestamp"], Value::Null);
    let free = r#"{"metadata": {"finalizers": null}}"#;
    lab.kubectl(&["patch", "iop", "main", "-n", "istio-system", "--type=merge", "-p", free]);
    run(&lab, "uninstall --purge -y").ended(0);
    assert_eq!(lab.get(definition), None);
}
