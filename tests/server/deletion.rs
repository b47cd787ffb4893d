//! The end of a resource, when it is not that simple.

use crate::commands_run::run;
use crate::lab::Lab;
use serde_json::json;
use std::time::Duration;

/// Asks for a deletion and does not wait for it.
pub fn ask_to_delete(lab: &Lab, kind: &str, name: &str) {
    lab.kubectl(&["delete", kind, name, "-n", "istio-system", "--wait=false"]);
}

pub fn gone(lab: &Lab, resource: &str) {
    lab.wait(&format!("{resource} to be gone"), || match lab.iop(resource) {
        None => Ok(()),
        Some(resource) => Err(resource["status"].to_string()),
    });
}

/// A namespace with a pod with a sidecar.
pub fn shop_with_sidecar(lab: &Lab) {
    lab.kubectl(&["create", "namespace", "shop"]);
    lab.run_with_sidecar("shop", "cart", "default");
}

/// Complaints: the end of a control plane in use was held back by asking istiod, which had to run and to answer (istio#27499,
/// #35016, #40796), and nothing in the status said so.
#[test]
fn a_control_plane_in_use_is_held_back_until_somebody_insists() {
    let lab = Lab::installed("{profile: default}");
    shop_with_sidecar(&lab);
    lab.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]);
    ask_to_delete(&lab, "iop", "main");
    let status =
        lab.wait_for_status("ACTION_REQUIRED", &["Pod shop/cart", "Namespace shop", "install.istio.io/force-delete"]);
    let message = status["message"].as_str().unwrap();
    assert!(!message.contains("istio-ingressgateway"), "its own gateway holds it back: {message}");
    let held =
        status["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "DeletionHeld" && c["status"] == "True");
    assert!(held, "{status:#}");
    lab.wait("an event", || if lab.events("DeletionHeld").len() == 1 { Ok(()) } else { Err("none".into()) });
    assert_eq!(lab.deployment("istiod").unwrap()["status"]["readyReplicas"], 1);

    lab.annotate("main", "install.istio.io/force-delete=true");
    gone(&lab, "main");
    assert_eq!(lab.deployment("istiod"), None);
}

#[test]
#[ignore = "long: `make test-all`"]
fn a_revision_that_is_not_in_use_goes_although_another_one_is() {
    let lab = Lab::installed("{profile: default}");
    shop_with_sidecar(&lab);
    lab.apply_named("canary", "{profile: minimal, revision: canary}");
    lab.wait_for_status_of("canary", "HEALTHY", &[]);
    // Tags that a command made are of no resource, and lead to one of the control planes.
    for command in ["tag set prod --revision canary", "tag set test --revision default"] {
        run(&lab, command).ended(0);
    }
    let labels = json!({"istio.io/tag": "prod", "istio.io/rev": "canary", "operator.istio.io/component": "Pilot"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 443}]},
        "metadata": {"name": "istiod-revision-tag-prod", "labels": labels}});
    lab.request("POST", SERVICES, &service).unwrap();
    // Who names a tag uses the control plane.
    lab.kubectl(&["label", "namespace", "shop", "istio.io/rev=prod"]);
    ask_to_delete(&lab, "iop", "canary");
    lab.wait_for_status_of("canary", "ACTION_REQUIRED", &["Namespace shop", "Tag prod"]);
    assert!(is_hook(&lab, "istio-revision-tag-prod"));
    lab.kubectl(&["label", "namespace", "shop", "istio.io/rev-"]);
    gone(&lab, "canary");
    assert!(lab.deployment("istiod").is_some());
    assert!(!is_hook(&lab, "istio-revision-tag-prod"), "new pods of its namespaces would be refused");
    assert_eq!(lab.get(&format!("{SERVICES}/istiod-revision-tag-prod")), None);
    assert!(is_hook(&lab, "istio-revision-tag-test"), "its control plane is there");
}

const SERVICES: &str = "/api/v1/namespaces/istio-system/services";

fn is_hook(lab: &Lab, name: &str) -> bool {
    lab.get(&format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}")).is_some()
}

fn may_delete(lab: &Lab) -> bool {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "system:serviceaccount:istio-operator:istio-operator",
        "resourceAttributes": {"verb": "delete", "group": "apps", "resource": "deployments", "namespace": "istio-system"}}});
    let answer = lab.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", &review).unwrap();
    answer["status"]["allowed"] == true
}

/// Complaints: finalizers that never went (istio#18815, #24038, #24197, #25947, #29451, #32082).
#[test]
#[ignore = "long: `make test-all`"]
fn a_resource_ends_where_permissions_are_missing() {
    // Of a revision that nobody uses, so that nothing else holds it up.
    let lab = Lab::installed("{profile: minimal, revision: other}");
    lab.expect_forbidden();
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
    let mut cut = lab.get(role).unwrap();
    for rule in cut["rules"].as_array_mut().unwrap().iter_mut().filter(|rule| rule["apiGroups"] == json!(["apps"])) {
        rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "delete");
    }
    lab.request("PUT", role, &cut).unwrap();
    lab.wait("the permission to be gone", || if may_delete(&lab) { Err("still there".into()) } else { Ok(()) });
    ask_to_delete(&lab, "iop", "main");
    lab.wait_for_status("ERROR", &["cannot delete", "deployments.apps", "forbidden", "force-delete"]);
    let begun = std::time::Instant::now();
    lab.annotate("main", "install.istio.io/force-delete=true");
    gone(&lab, "main");
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert!(lab.deployment("istiod-other").is_some(), "nobody may delete it");
    let left = lab.events("LeftBehind");
    assert_eq!(left.len(), 1, "{left:#?}");
    assert!(left[0]["message"].as_str().unwrap().contains("Deployment istio-system/istiod-other"), "{left:#?}");
}

/// And everything else in it; a sidecar does not hold that up.
#[test]
#[ignore = "long: `make test-all`"]
fn a_resource_ends_with_its_namespace() {
    let lab = Lab::installed("{profile: minimal}");
    shop_with_sidecar(&lab);
    lab.kubectl(&["delete", "namespace", "istio-system", "--timeout=60s"]);
    let left: Vec<_> = lab.owned().into_keys().filter(|k| !k.starts_with("CustomResourceDefinition ")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a dry run must not delete does not hold up what ends anyway.
#[test]
#[ignore = "long: `make test-all`"]
fn a_namespace_ends_although_its_resource_is_only_tried() {
    let lab = Lab::installed("{profile: minimal, revision: other}");
    lab.annotate("main", "install.istio.io/dryRun=true");
    lab.wait_for_status("ACTION_REQUIRED", &["dry run"]);
    lab.kubectl(&["delete", "namespace", "istio-system", "--timeout=60s"]);
    let left: Vec<_> = lab.owned().into_keys().collect();
    let webhook = "MutatingWebhookConfiguration istio-sidecar-injector-other";
    assert!(left.iter().any(|key| key == webhook), "the operator deletes nothing: {left:?}");
}

/// The admin who deletes the definitions first takes nothing from the operator that it needs.
#[test]
fn a_resource_ends_though_a_definition_of_its_objects_has_gone() {
    let lab = Lab::installed("{profile: minimal, revision: other}");
    assert_eq!(lab.terminate_operator(), Some(0));
    let filters = "/apis/networking.istio.io/v1alpha3/namespaces/istio-system/envoyfilters";
    assert!(!lab.get(filters).unwrap()["items"].as_array().unwrap().is_empty(), "nothing of ours would go with it");
    ask_to_delete(&lab, "iop", "main");
    lab.kubectl(&["delete", "crd", "envoyfilters.networking.istio.io", "--timeout=60s"]);
    lab.start_operator();
    gone(&lab, "main");
    assert_eq!(lab.deployment("istiod-other"), None);
}
