//! Whatever one resource holds, all others are worked on.

use crate::lab::Lab;
use serde_json::{Value, json};

const RESOURCES: &str = "/apis/install.istio.io/v1alpha1/namespaces/istio-system/istiooperators";

/// JSON nested so deep.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

fn create(lab: &Lab, name: &str, spec: &Value) {
    let resource = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator",
        "metadata": {"name": name, "namespace": "istio-system"}, "spec": spec});
    // As text: a tree so deep cannot be written by everybody.
    let text = serde_json::to_vec(&resource).unwrap();
    let request = http::Request::builder().method("POST").uri(RESOURCES).header("content-type", "application/json");
    let answer = lab.block_on(lab.client().request_text(request.body(text).unwrap())).unwrap();
    assert!(answer.contains("\"uid\""), "{answer}");
}

/// The status of a resource that may be nested deep, by kubectl.
fn message(lab: &Lab, name: &str) -> String {
    lab.kubectl(&["get", "iop", name, "-n", "istio-system", "-o", "jsonpath={.status.status} {.status.message}"])
}

fn patch_status(lab: &Lab, name: &str, status: &Value) {
    let patch = json!({ "status": status }).to_string();
    lab.kubectl(&["patch", "iop", name, "-n", "istio-system", "--subresource=status", "--type=merge", "-p", &patch]);
}

fn gone(lab: &Lab, name: &str) {
    let list = || lab.kubectl(&["get", "iop", "-n", "istio-system", "-o", "name"]);
    lab.wait(&format!("{name} to be gone"), || {
        let list = list();
        if list.split_whitespace().any(|n| n.ends_with(&format!("/{name}"))) { Err(list) } else { Ok(()) }
    });
}

#[test]
fn a_resource_nested_too_deep_stops_no_other_and_can_be_deleted() {
    let lab = Lab::start();
    create(&lab, "deep", &json!({"profile": "minimal", "values": nested(200), "meshConfig": nested(500)}));
    lab.wait("the deep one to be told so", || match message(&lab, "deep") {
        said if said.starts_with("ERROR") && said.contains("nested 50") => Ok(()),
        said => Err(said),
    });
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    assert_eq!(lab.terminate_operator(), Some(0));
    lab.start_operator();
    lab.apply_spec("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.kubectl(&["delete", "iop", "deep", "-n", "istio-system", "--wait=false"]);
    gone(&lab, "deep");
    lab.delete("main");
}

#[test]
fn a_forged_status_deletes_nothing_and_stops_nobody() {
    let lab = Lab::start();
    // It looks for the Job that somebody says it has.
    lab.expect_forbidden();
    lab.apply_spec("{profile: minimal}");
    lab.wait_for_status("HEALTHY", &[]);
    let victim = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "victim"}});
    let victim = lab.request("POST", "/api/v1/namespaces/default/configmaps", &victim).unwrap();
    let uid = victim["metadata"]["uid"].as_str().unwrap();
    let mut inventory = lab.iop("main").unwrap()["status"]["inventory"].as_array().unwrap().clone();
    assert_eq!(lab.terminate_operator(), Some(0));
    inventory.extend([
        json!(format!("v1 ConfigMap default/victim {uid}")),
        json!("batch/v1 Job a/b c"),
        json!("no.such/v1 Nothing x y"),
        json!("nonsense"),
    ]);
    patch_status(&lab, "main", &json!({"inventory": inventory, "status": 3}));
    lab.start_operator();
    lab.apply_spec("{profile: minimal, meshConfig: {accessLogFile: /dev/stdout}}");
    let status = lab.wait_for_status("HEALTHY", &[]);
    assert!(lab.get("/api/v1/namespaces/default/configmaps/victim").is_some(), "it was not ours to delete");
    let lines = status["inventory"].to_string();
    assert!(!lines.contains("victim") && lines.contains("istiod"), "{lines}");
    lab.delete("main");
    assert!(lab.get("/api/v1/namespaces/default/configmaps/victim").is_some());
}

#[test]
fn a_kind_that_may_not_be_listed_keeps_no_operator_from_work() {
    let lab = Lab::start();
    lab.expect_forbidden();
    assert_eq!(lab.terminate_operator(), Some(0));
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
    let mut cut = lab.get(path).unwrap();
    for rule in cut["rules"].as_array_mut().unwrap() {
        rule["resources"].as_array_mut().unwrap().retain(|r| r != "resourcequotas" && r != "horizontalpodautoscalers");
    }
    cut["rules"].as_array_mut().unwrap().retain(|rule| rule["resources"] != json!([]));
    lab.request("PUT", path, &cut).unwrap();
    lab.start_operator();
    // Nothing of it is of these kinds.
    lab.apply_spec("{profile: minimal, values: {pilot: {autoscaleEnabled: false}}}");
    lab.wait_for_status("HEALTHY", &[]);
    lab.apply_named("wrong", "{profile: nope}");
    lab.wait_for_status_of("wrong", "ERROR", &["nope"]);
}

#[test]
fn a_name_that_is_too_long_is_told_so() {
    let lab = Lab::bare();
    let long = "x".repeat(64);
    lab.apply_named(&long, "{profile: minimal}");
    let status = lab.wait_for_status_of(&long, "ERROR", &["at most 63 characters"]);
    assert!(status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "Stalled"), "{status:#}");
    assert!(lab.owned().is_empty(), "{:?}", lab.owned());
    lab.delete(&long);
}

#[test]
fn resources_whose_names_and_revisions_join_to_the_same_share_no_record() {
    let lab = Lab::start();
    lab.apply_named("a", "{profile: minimal, revision: b}");
    lab.apply_named("a-b", "{profile: empty, components: {ingressGateways: [{name: other, enabled: true}]}}");
    for name in ["a", "a-b"] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
    }
    let records = || {
        lab.kubectl(&["get", "iop", "-n", "istio-system", "-l", "install.operator.istio.io/owning-resource", "-o", "jsonpath={range .items[*]}{.metadata.name}={.metadata.labels.install\\.operator\\.istio\\.io/owning-resource} {end}"])
    };
    lab.wait("a record of each", || {
        let records = records();
        let of = |owner: &str| records.split_whitespace().filter(|r| r.ends_with(&format!("={owner}"))).count();
        if (of("a"), of("a-b")) == (1, 1) && records.contains("installed-state-a-b=a-b") {
            Ok(())
        } else {
            Err(records)
        }
    });
    // The gateway is of the revision that has the tag `default`.
    for name in ["a-b", "a"] {
        lab.wait_for_status_of(name, "HEALTHY", &[]);
        lab.delete(name);
    }
    assert_eq!(records(), "");
}
