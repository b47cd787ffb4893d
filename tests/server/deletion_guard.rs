//! Control planes that may be in use are not deleted with their resource.

use crate::deletion::{ask_to_delete, gone, shop_with_sidecar};
use crate::lab::{Lab, missing_in};
use serde_json::{Value, json};

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
const PODS: &str = "/api/v1/namespaces/shop/pods";

fn may_list(lab: &Lab, group: &str, resource: &str) -> bool {
    let attributes = json!({"verb": "list", "group": group, "resource": resource});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "system:serviceaccount:istio-operator:istio-operator", "resourceAttributes": attributes}});
    let answer = lab.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).unwrap();
    answer["status"]["allowed"] == true
}

/// The operator's rules without one resource.
fn without(rules: &Value, group: &str, resource: &str) -> Value {
    let mut rules = rules.clone();
    for rule in rules.as_array_mut().unwrap() {
        if rule["apiGroups"].as_array().unwrap().contains(&json!(group)) {
            rule["resources"].as_array_mut().unwrap().retain(|r| r != resource);
        }
    }
    rules.as_array_mut().unwrap().retain(|rule| rule["resources"] != json!([]));
    rules
}

fn set_rules(lab: &Lab, rules: &Value) {
    let mut role = lab.get(ROLE).unwrap();
    role["rules"] = rules.clone();
    lab.request("PUT", ROLE, &role).unwrap();
}

fn is_whole(lab: &Lab, before: &crate::lab::Inventory) {
    let after = lab.owned();
    assert!(missing_in(before, &after).is_empty(), "{:?} went", missing_in(before, &after));
}

/// Complaint: where Deployments could not be listed, the Services, webhooks and accounts of a control plane in use went.
#[test]
#[ignore = "long: `make test-all`"]
fn what_cannot_be_found_out_counts_as_in_use() {
    let lab = Lab::installed("{profile: minimal}");
    lab.expect_forbidden();
    shop_with_sidecar(&lab);
    let before = lab.owned_at_rest();
    let rules = lab.get(ROLE).unwrap()["rules"].clone();
    let unlisted = [
        ("apps", "deployments"),
        ("", "pods"),
        ("", "namespaces"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("", "services"),
    ];
    for (turn, (group, resource)) in unlisted.into_iter().enumerate() {
        set_rules(&lab, &without(&rules, group, resource));
        lab.wait("the permission to be gone", || {
            if may_list(&lab, group, resource) { Err("still there".into()) } else { Ok(()) }
        });
        if turn == 0 {
            ask_to_delete(&lab, "iop", "main");
        }
        lab.wait_for_status("ACTION_REQUIRED", &["cannot tell who uses the control plane", resource, "force-delete"]);
        is_whole(&lab, &before);
    }
    set_rules(&lab, &rules);
    lab.wait_for_status("ACTION_REQUIRED", &["in use by Pod shop/cart", "force-delete", "ignoreReconcile"]);
    is_whole(&lab, &before);
    lab.request("DELETE", &format!("{PODS}/cart"), &json!({"gracePeriodSeconds": 0})).unwrap();
    gone(&lab, "main");
    assert!(lab.owned().keys().all(|key| key.starts_with("CustomResourceDefinition ")), "{:?}", lab.owned());
}

/// Complaint: only the first istiod that was found was asked for.
#[test]
#[ignore = "long: `make test-all`"]
fn every_control_plane_of_a_resource_is_asked_for() {
    let lab = Lab::installed("{profile: minimal, revision: first}");
    // Another one each time, so that it is seen that it was looked again.
    let used_by = |namespace: &str, revision: &str| {
        lab.kubectl(&["label", "namespace", "--all", "istio.io/rev-"]);
        lab.kubectl(&["create", "namespace", namespace]);
        lab.kubectl(&["label", "namespace", namespace, &format!("istio.io/rev={revision}")]);
    };
    used_by("shop", "second");

    // A second one, of another revision, that was left by an earlier operator.
    assert_eq!(lab.terminate_operator(), Some(0));
    let mut second = lab.deployment("istiod-first").unwrap();
    let labels = second["metadata"]["labels"].clone();
    second["metadata"] = json!({"name": "istiod-second", "namespace": "istio-system", "labels": labels});
    second["metadata"]["labels"]["istio.io/rev"] = "second".into();
    second.as_object_mut().unwrap().remove("status");
    lab.apply_with(&["--server-side", "--field-manager=istio-operator"], &second.to_string());
    ask_to_delete(&lab, "iop", "main");
    let before = lab.owned();
    lab.start_operator();
    lab.wait_for_status("ACTION_REQUIRED", &["in use by Namespace shop"]);
    is_whole(&lab, &before);

    // It goes by hand, and somebody uses the first, which has lost its labels.
    assert_eq!(lab.terminate_operator(), Some(0));
    used_by("till", "first");
    lab.kubectl(&["delete", "deployment", "istiod-second", "-n", "istio-system"]);
    let stripped = [
        "install.operator.istio.io/owning-resource-",
        "operator.istio.io/component-",
        "operator.istio.io/managed-",
        "istio.io/rev-",
    ];
    lab.kubectl(&[&["label", "deployment", "istiod-first", "-n", "istio-system"], &stripped[..]].concat());
    let before = lab.owned();
    lab.start_operator();
    lab.wait_for_status("ACTION_REQUIRED", &["in use by Namespace till"]);
    assert!(lab.deployment("istiod-first").is_some());
    is_whole(&lab, &before);

    // Its Deployment goes by hand, too: what is left of it is still what injects.
    assert_eq!(lab.terminate_operator(), Some(0));
    lab.kubectl(&["delete", "deployment", "istiod-first", "-n", "istio-system"]);
    used_by("depot", "first");
    let before = lab.owned();
    lab.start_operator();
    lab.wait_for_status("ACTION_REQUIRED", &["in use by Namespace depot"]);
    is_whole(&lab, &before);
    lab.kubectl(&["label", "namespace", "depot", "istio.io/rev-"]);
    gone(&lab, "main");
    assert!(lab.owned().keys().all(|key| key.starts_with("CustomResourceDefinition ")), "{:?}", lab.owned());
}

/// Complaint: the webhook by which a cluster is injected from another one went while pods needed it.
#[test]
fn a_control_plane_elsewhere_is_not_cut_off_while_pods_use_it() {
    let lab = Lab::installed("{profile: remote, values: {global: {remotePilotAddress: 192.0.2.1}}}");
    shop_with_sidecar(&lab);
    let before = lab.owned_at_rest();
    ask_to_delete(&lab, "iop", "main");
    lab.wait_for_status("ACTION_REQUIRED", &["in use by Pod shop/cart"]);
    is_whole(&lab, &before);
    lab.request("DELETE", &format!("{PODS}/cart"), &json!({"gracePeriodSeconds": 0})).unwrap();
    gone(&lab, "main");
}
