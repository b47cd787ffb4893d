//! A control plane is never moved to an older release.

use crate::lab::Lab;
use serde_json::json;

#[test]
fn a_newer_control_plane_is_left_alone_until_somebody_allows_it() {
    let lab = Lab::without_operator();
    let labels = json!({"app": "istiod", "istio.io/rev": "default", "operator.istio.io/version": "1.23.6",
        "operator.istio.io/managed": "Reconcile", "operator.istio.io/component": "Pilot",
        "install.operator.istio.io/owning-resource": "main", "install.operator.istio.io/owning-resource-namespace": "istio-system"});
    let istiod = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": "istio-system", "labels": labels},
        "spec": {"selector": {"matchLabels": {"istio": "pilot"}}, "template": {
            "metadata": {"labels": {"app": "istiod", "istio": "pilot"}},
            "spec": {"containers": [{"name": "discovery", "image": "docker.io/istio/pilot:1.23.6"}]}}}});
    lab.apply_with(&["--server-side", "--field-manager=istio-operator"], &istiod.to_string());
    let spare = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "of-1-23", "namespace": "istio-system", "labels": labels}});
    lab.apply_with(&["--server-side", "--field-manager=istio-operator"], &spare.to_string());
    let before = lab.owned_at_rest();
    lab.start_operator();
    lab.apply_spec("{profile: minimal}");
    let status = lab.wait_for_status(
        "ACTION_REQUIRED",
        &[
            "Deployment istio-system/istiod is of release 1.23.6",
            "--release-source",
            "install.istio.io/allow-downgrade-to=1.17.8",
        ],
    );
    assert!(
        status["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["type"] == "Stalled" && c["reason"] == "ReleaseMissing")
    );
    assert_eq!(lab.owned_at_rest(), before, "something was written");
    let annotate = |version: &str| {
        let annotation = format!("install.istio.io/allow-downgrade-to={version}");
        lab.annotate("main", &annotation);
    };
    annotate("1.16.0");
    lab.wait_for_status("ACTION_REQUIRED", &["1.23.6"]);
    annotate("1.17.8");
    lab.wait_for_status("HEALTHY", &[]);
    let istiod = lab.deployment("istiod").unwrap();
    assert_eq!(istiod["metadata"]["labels"]["operator.istio.io/version"], "1.17.8");
}

#[test]
fn another_revision_does_not_move_shared_definitions_back() {
    let lab = Lab::bare_without_operator();
    let crd =
        std::fs::read_to_string(crate::lab::file("charts/base/crds/authorizationpolicies.security.istio.io.yaml"))
            .unwrap();
    lab.apply_with(&["--server-side"], &crd);
    let name = "authorizationpolicies.security.istio.io";
    lab.kubectl(&["label", "crd", name, "operator.istio.io/version=1.22.3"]);
    lab.start_operator();
    lab.apply_spec("{profile: minimal, revision: old}");
    lab.wait_for_status("ACTION_REQUIRED", &[name, "1.22.3"]);
    assert!(lab.deployment("istiod-old").is_none());
}
