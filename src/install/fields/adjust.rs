//! Adjusts a desired object to the live one before the two are compared and the desired one is applied.
//!
//! Fields that others rightly own are taken out, so that they are neither reported as drift nor taken from their owners: replicas
//! that an autoscaler sets, what istiod writes on webhooks. What the API server writes differently is brought into its form.

use super::drift;
use crate::object::Object;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Whose the replicas of a workload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// As many as are desired.
    Desired,
    /// An autoscaler's: as many as there are.
    Autoscaled,
}

/// Fits a desired object to the live one, if there is one.
pub(super) fn adjust_desired(desired: &mut Object, live: Option<&Value>, replicas: Replicas) {
    let (kind, value) = (desired.kind().to_owned(), desired.value_mut());
    leave_out_what_is_not_applied(value);
    match kind.as_str() {
        "Service" => leave_unset_ports(value),
        "Secret" => encode_texts(value),
        "ClusterRole" => leave_aggregated_rules(value),
        _ => {}
    }
    let Some(live) = live else { return };
    if matches!(kind.as_str(), "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") {
        leave_to_istiod(value, live, kind.starts_with('V'));
    }
    if replicas == Replicas::Autoscaled {
        leave_to_autoscaler(value, live);
    }
}

/// The status is written by whoever works on the object, and the API server takes it out of what is applied; so it does with
/// what it keeps of each object itself.
fn leave_out_what_is_not_applied(desired: &mut Value) {
    const KEPT: [&str; 6] = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];
    if let Some(object) = desired.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = desired.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !KEPT.contains(&name.as_str()));
    }
}

/// A `targetPort` or `nodePort` of 0 asks the API server to choose one, as leaving it out does.
fn leave_unset_ports(desired: &mut Value) {
    let is_unset = |value: &Value| value.as_i64() == Some(0) || value == "" || value == "0";
    let Some(spec) = desired.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("healthCheckNodePort").is_some_and(is_unset) {
        spec.remove("healthCheckNodePort");
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.retain(|name, value| !(matches!(name.as_str(), "targetPort" | "nodePort") && is_unset(value)));
        }
    }
}

/// `stringData` is stored as `data`.
fn encode_texts(desired: &mut Value) {
    let Some(secret) = desired.as_object_mut() else { return };
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    if let Some(data) = data.as_object_mut() {
        data.extend(texts.into_iter().map(|(name, text)| {
            let encoded = text.as_str().map(|text| Value::from(STANDARD.encode(text)));
            (name, encoded.unwrap_or(text))
        }));
    }
}

/// The rules of a role that is put together of others are the API server's.
fn leave_aggregated_rules(desired: &mut Value) {
    let Some(role) = desired.as_object_mut() else { return };
    let is_aggregated = role.get("aggregationRule").is_some_and(|rule| !rule.is_null());
    let has_none = role.get("rules").and_then(Value::as_array).is_none_or(Vec::is_empty);
    if is_aggregated && has_none {
        role.remove("rules");
    }
}

/// `failurePolicy` of a validating webhook is ours when it is created and istiod's from then on: it writes Ignore when it
/// starts and Fail when it serves, and takes it back within 60 ms if anyone else does. What is live is kept. So is the
/// `caBundle` that istiod, or an installer before us, put into a webhook that we want without one.
fn leave_to_istiod(desired: &mut Value, live: &Value, is_validating: bool) {
    let owned = drift::owned_fields(live);
    let Some(webhooks) = desired.get_mut("webhooks").and_then(Value::as_array_mut) else { return };
    for webhook in webhooks.iter_mut().filter_map(Value::as_object_mut) {
        let Some(name) = webhook.get("name").and_then(Value::as_str) else { continue };
        let record = owned.and_then(|o| o.get("f:webhooks")?.get(format!("k:{}", json!({ "name": name }))));
        let is_named = |w: &&Value| w.get("name").and_then(Value::as_str) == Some(name);
        let Some(live) = live.get("webhooks").and_then(Value::as_array).and_then(|all| all.iter().find(is_named))
        else {
            continue;
        };
        if is_validating {
            let ours = record.is_some_and(|r| r.get("f:failurePolicy").is_some());
            leave(webhook, "failurePolicy", live.get("failurePolicy"), ours);
        }
        let ours = record.is_some_and(|r| r.pointer("/f:clientConfig/f:caBundle").is_some());
        let theirs = live.pointer("/clientConfig/caBundle").filter(|bundle| *bundle != "");
        let Some(client) = webhook.get_mut("clientConfig").and_then(Value::as_object_mut) else { continue };
        let has_own = client.get("caBundle").and_then(Value::as_str).is_some_and(|bundle| !bundle.is_empty());
        if !(has_own && ours) {
            leave(client, "caBundle", theirs, ours);
        }
    }
}

/// Leaves a field as it is, where it has a value.
fn leave(desired: &mut Map<String, Value>, field: &str, live: Option<&Value>, ours: bool) {
    match live {
        // To leave it out would take it away.
        Some(live) if ours => drop(desired.insert(field.to_owned(), live.clone())),
        Some(_) => drop(desired.remove(field)),
        None => {}
    }
}

/// Whether an autoscaler has set the replicas, through the `scale` subresource. The record of it outlives the autoscaler. A
/// person's `kubectl scale` is told from it by the manager, and repaired.
pub(super) fn is_scaled_by_an_autoscaler(live: &Value) -> bool {
    const AUTOSCALER: &str = "kube-controller-manager";
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers.into_iter().flatten().any(|entry| {
        entry.get("subresource").is_some_and(|s| s == "scale")
            && entry.get("manager").is_some_and(|m| m == AUTOSCALER)
            && entry.pointer("/fieldsV1/f:spec/f:replicas").is_some()
    })
}

/// While an autoscaler works on an object, the replicas it has set are its.
fn leave_to_autoscaler(desired: &mut Value, live: &Value) {
    if !is_scaled_by_an_autoscaler(live) {
        return;
    }
    let ours = drift::owned_fields(live).is_some_and(|o| o.pointer("/f:spec/f:replicas").is_some());
    let Some(spec) = desired.get_mut("spec").and_then(Value::as_object_mut) else { return };
    match live.pointer("/spec/replicas") {
        // Both say the same: to leave it out would take it away and give one pod.
        Some(replicas) if ours => drop(spec.insert("replicas".into(), replicas.clone())),
        _ => drop(spec.remove("replicas")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(desired: Value, live: &Value) -> Value {
        let mut desired = Object::new(desired).unwrap();
        adjust_desired(&mut desired, Some(live), Replicas::Autoscaled);
        desired.value().into_owned()
    }

    fn deployment(replicas: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replicas": replicas}})
    }

    #[test]
    fn replicas_are_as_desired_when_the_autoscaler_is_gone() {
        let mut live = deployment(5);
        live["metadata"]["managedFields"] = json!([{"manager": "kube-controller-manager", "operation": "Update",
            "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        let mut desired = Object::new(deployment(2)).unwrap();
        adjust_desired(&mut desired, Some(&live), Replicas::Desired);
        assert_eq!(desired.value()["spec"]["replicas"], 2);
    }

    #[test]
    fn a_status_is_not_applied_and_texts_of_a_secret_are_encoded() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "creationTimestamp": null},
            "stringData": {"a": "a"}, "data": {"b": "Yg=="}, "status": {}});
        let fitted = fitted(secret, &Value::Null);
        assert_eq!(fitted["data"], json!({"a": "YQ==", "b": "Yg=="}));
        assert_eq!(fitted["metadata"], json!({"name": "x"}));
        assert!(fitted.get("status").is_none() && fitted.get("stringData").is_none());
    }

    #[test]
    fn what_istiod_has_in_a_webhook_is_kept_whoever_owned_it() {
        let webhook = |more: Value| {
            let mut webhook = json!({"name": "a", "clientConfig": {"caBundle": ""}, "failurePolicy": "Ignore"});
            webhook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "x"}, "webhooks": [webhook]})
        };
        let mut live = webhook(json!({"failurePolicy": "Fail", "clientConfig": {"caBundle": "Y2E="}}));
        let mut kept = |record: Value| {
            live["metadata"]["managedFields"] = json!([{"manager": "istio-operator", "operation": "Apply",
                "fieldsV1": {"f:webhooks": {"k:{\"name\":\"a\"}": record}}}]);
            fitted(webhook(json!({})), &live)["webhooks"][0].clone()
        };
        assert_eq!(kept(json!({})), json!({"name": "a", "clientConfig": {}}));
        let ours = json!({"f:failurePolicy": {}, "f:clientConfig": {"f:caBundle": {}}});
        assert_eq!(kept(ours), json!({"name": "a", "clientConfig": {"caBundle": "Y2E="}, "failurePolicy": "Fail"}));
    }

    #[test]
    fn a_port_of_zero_is_a_port_to_be_chosen() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {
            "healthCheckNodePort": 0, "ports": [{"port": 80, "targetPort": 0, "nodePort": 0}, {"port": 81, "targetPort": "http"}]}});
        let spec = fitted(service, &Value::Null)["spec"].clone();
        assert_eq!(spec, json!({"ports": [{"port": 80}, {"port": 81, "targetPort": "http"}]}));
    }

    #[test]
    fn replicas_are_the_autoscalers_once_it_has_set_them_and_never_a_persons() {
        let scaled = |manager: &str, fields: Value| {
            let mut live = deployment(5);
            live["metadata"]["managedFields"] = json!([
                {"manager": "istio-operator", "operation": "Apply", "fieldsV1": fields},
                {"manager": manager, "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
            fitted(deployment(2), &live)["spec"].clone()
        };
        assert_eq!(scaled("kube-controller-manager", json!({})), json!({}));
        let ours = json!({"f:spec": {"f:replicas": {}}});
        assert_eq!(scaled("kube-controller-manager", ours), json!({"replicas": 5}));
        assert_eq!(scaled("kubectl", json!({})), json!({"replicas": 2}));
    }
}
