use super::*;
use crate::release::Package;
use crate::render::{self, ClusterInfo};
use serde_json::json;

/// Why a resource of namespace `team` with this spec is refused.
fn refusal(privileged: &str, spec: &Value) -> Option<String> {
    let resource = json!({"metadata": {"name": "x", "namespace": "team"}, "spec": spec});
    let package = Package::embedded().unwrap();
    let manifests = render::from_resource(&resource, &ClusterInfo::default(), &package).unwrap();
    Privileged::new(privileged).check("team", &manifests).err().map(|refused| refused.to_string())
}

/// A gateway of namespace `team`, with these settings.
fn gateway(k8s: &Value) -> Value {
    json!({"profile": "empty", "namespace": "team", "components": {"ingressGateways": [
        {"name": "gateway", "namespace": "team", "enabled": true, "k8s": k8s}]}})
}

fn overlay(kind: &str, name: &str, path: &str, value: &Value) -> Value {
    json!({"overlays": [{"kind": kind, "name": name, "patches": [{"path": path, "value": value}]}]})
}

const ELSEWHERE: &str = "istio-system";

#[test]
fn a_gateway_in_its_own_namespace_is_allowed_everywhere() {
    assert_eq!(refusal(ELSEWHERE, &gateway(&json!({"resources": {"limits": {"cpu": "1"}}}))), None);
    let label = overlay("Deployment", "gateway", "metadata.labels.x", &json!("y"));
    assert_eq!(refusal(ELSEWHERE, &gateway(&label)), None);
}

#[test]
fn a_control_plane_is_for_privileged_namespaces() {
    let spec = || json!({"profile": "minimal", "namespace": "team"});
    let refused = refusal(ELSEWHERE, &spec()).unwrap();
    assert!(refused.starts_with("namespace team is not privileged"), "{refused}");
    assert!(refused.contains(": not in a namespace") && refused.contains(" more. Move the resource"), "{refused}");
    for privileged in ["team", "other, team", "*", "istio-system,*"] {
        assert_eq!(refusal(privileged, &spec()), None, "{privileged}");
    }
    assert!(refusal("", &spec()).is_some(), "no namespace is privileged");
}

#[test]
fn a_gateway_in_another_namespace_is_refused() {
    let spec = json!({"profile": "empty", "components": {"ingressGateways": [
        {"name": "gateway", "namespace": "other", "enabled": true}]}});
    let refused = refusal(ELSEWHERE, &spec).unwrap();
    assert!(refused.contains("Deployment other/gateway: in another namespace"), "{refused}");
}

#[test]
fn what_gives_hold_of_a_node_is_refused_however_it_came_about() {
    let pod =
        |path: &str, value: Value| overlay("Deployment", "gateway", &format!("spec.template.spec.{path}"), &value);
    // In place of one that the chart has.
    let host = json!({"name": "istio-data", "hostPath": {"path": "/"}});
    let cases = [
        (pod("hostNetwork", json!(true)), "its pods have hostNetwork"),
        (pod("hostPID", json!(true)), "its pods have hostPID"),
        (pod("volumes.[name:istio-data]", host), "its pods have a hostPath"),
        (pod("containers.[name:istio-proxy].securityContext.privileged", json!(true)), "istio-proxy is privileged"),
        (pod("containers.[name:istio-proxy].securityContext.capabilities.add", json!(["SYS_ADMIN"])), "SYS_ADMIN"),
    ];
    for (k8s, why) in cases {
        let refused = refusal(ELSEWHERE, &gateway(&k8s)).unwrap_or_else(|| panic!("{k8s} is allowed"));
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn overlays_on_roles_and_bindings_are_refused() {
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let refused = refusal(ELSEWHERE, &gateway(&overlay("Role", "gateway-sds", "rules", &rules))).unwrap();
    assert!(
        refused.contains("allows more than to read Secrets") && refused.contains("an overlay on a Role"),
        "{refused}"
    );
    let subjects = json!([{"kind": "User", "name": "mallory"}]);
    let refused = refusal(ELSEWHERE, &gateway(&overlay("RoleBinding", "gateway-sds", "subjects", &subjects))).unwrap();
    assert!(refused.contains("not a service account of the namespace"), "{refused}");
    let admin = json!("ClusterRole");
    let refused = refusal(ELSEWHERE, &gateway(&overlay("RoleBinding", "gateway-sds", "roleRef.kind", &admin))).unwrap();
    assert!(refused.contains("binds a ClusterRole"), "{refused}");
}

#[test]
fn an_object_that_an_overlay_moves_is_seen_where_it_ends() {
    let refused =
        refusal(ELSEWHERE, &gateway(&overlay("Deployment", "gateway", "metadata.namespace", &json!("other"))));
    assert!(refused.unwrap().contains("Deployment other/gateway: in another namespace"));
}

#[test]
fn a_namespace_that_would_be_made_is_refused() {
    let mut spec = gateway(&json!({}));
    spec["namespace"] = json!("other");
    assert!(refusal(ELSEWHERE, &spec).unwrap().contains("spec.namespace other"));
    spec["namespace"] = json!("istio-system");
    assert_eq!(refusal(ELSEWHERE, &spec), None, "the default");
}
