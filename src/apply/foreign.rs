//! What is rightly others', and what the API server writes differently: taken out of, or fitted into, what is desired
//! before it is compared and applied, so that it is neither a difference nor taken from whose it is.

use super::drift;
use crate::cluster::FIELD_MANAGER;
use crate::object::Object;
use serde_json::{Map, Value, json};

/// Fits a desired object to the live one, if there is one.
pub(super) fn fit(desired: &mut Object, live: Option<&Value>) {
    leave_unset_ports(desired);
    if let Some(live) = live {
        leave_to_istiod(desired, live);
        leave_to_autoscaler(desired, live);
    }
}

/// A `targetPort` or `nodePort` of 0 asks the API server to choose one, as leaving it out does.
fn leave_unset_ports(desired: &mut Object) {
    if desired.kind() != "Service" {
        return;
    }
    let is_unset = |value: &Value| value.as_i64() == Some(0) || value == "" || value == "0";
    let Some(spec) = desired.value_mut().get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("healthCheckNodePort").is_some_and(is_unset) {
        spec.remove("healthCheckNodePort");
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.retain(|name, value| !(matches!(name.as_str(), "targetPort" | "nodePort") && is_unset(value)));
        }
    }
}

/// `failurePolicy` of a validating webhook is ours when it is created and istiod's from then on: it writes Ignore when it
/// starts and Fail when it serves, and takes it back within 60 ms if anyone else does. What is live is kept.
fn leave_to_istiod(desired: &mut Object, live: &Value) {
    if desired.kind() != "ValidatingWebhookConfiguration" {
        return;
    }
    let owned = drift::owned_fields(live);
    let Some(webhooks) = desired.value_mut().get_mut("webhooks").and_then(Value::as_array_mut) else { return };
    for webhook in webhooks {
        let Some(name) = webhook.get("name").and_then(Value::as_str).map(str::to_owned) else { continue };
        let key = format!("k:{}", json!({ "name": name }));
        let ours = owned.as_ref().is_some_and(|o| {
            o.get("f:webhooks").and_then(|w| w.get(&key)).is_some_and(|w| w.get("f:failurePolicy").is_some())
        });
        let policy = live.get("webhooks").and_then(Value::as_array).and_then(|all| {
            all.iter().find(|w| w.get("name").and_then(Value::as_str) == Some(&name))?.get("failurePolicy").cloned()
        });
        let Some(webhook) = webhook.as_object_mut() else { continue };
        match policy {
            Some(policy) if ours => webhook.insert("failurePolicy".into(), policy),
            Some(_) => webhook.remove("failurePolicy"),
            None => None,
        };
    }
}

/// Once an autoscaler has set the replicas, through the `scale` subresource, they are its. A person's `kubectl scale` is
/// told from it by the manager, and repaired.
fn leave_to_autoscaler(desired: &mut Object, live: &Value) {
    const AUTOSCALER: &str = "kube-controller-manager";
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let is_scaled = managers.into_iter().flatten().any(|entry| {
        entry.get("subresource").is_some_and(|s| s == "scale")
            && entry.get("manager").is_some_and(|m| m == AUTOSCALER)
            && entry.pointer("/fieldsV1/f:spec/f:replicas").is_some()
    });
    if !is_scaled {
        return;
    }
    let ours = drift::owned_fields(live).is_some_and(|o| o.pointer("/f:spec/f:replicas").is_some());
    let Some(spec) = desired.value_mut().get_mut("spec").and_then(Value::as_object_mut) else { return };
    match live.pointer("/spec/replicas") {
        // Both say the same: to leave it out would take it away and give one pod.
        Some(replicas) if ours => drop(spec.insert("replicas".into(), replicas.clone())),
        _ => drop(spec.remove("replicas")),
    }
}

/// Whether an entry of `managedFields` stems from an installer before us that did not apply server-side: what it wrote is
/// ours once the object is.
fn is_of_an_earlier_installer(entry: &Value) -> bool {
    const EARLIER: [&str; 6] =
        [FIELD_MANAGER, "operator", "istioctl", "istio-kube-client", "helm", "kubectl-client-side-apply"];
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    text("operation") == "Update" && text("subresource").is_empty() && EARLIER.contains(&text("manager"))
}

/// The JSON patch that hands the fields of earlier installers over to us, as `kubectl apply --server-side` does with those
/// of its older self; `None` where there are none. Without it, fields that they set and nobody wants would stay for ever.
pub(super) fn hand_over(live: &Value) -> Option<Value> {
    let entries = live.pointer("/metadata/managedFields")?.as_array()?;
    let (earlier, mut others): (Vec<Value>, Vec<Value>) = entries.iter().cloned().partition(is_of_an_earlier_installer);
    let newest = earlier.last()?;
    let is_ours = |e: &Value| {
        e.get("manager").is_some_and(|m| m == FIELD_MANAGER)
            && e.get("operation").is_some_and(|o| o == "Apply")
            && e.get("subresource").is_none()
    };
    let mut fields = Map::new();
    for entry in earlier.iter().chain(others.iter().filter(|e| is_ours(e))) {
        unite(&mut fields, entry.get("fieldsV1").and_then(Value::as_object));
    }
    let mut ours = others.iter().find(|e| is_ours(e)).unwrap_or(newest).clone();
    if let Some(ours) = ours.as_object_mut() {
        ours.insert("manager".into(), FIELD_MANAGER.into());
        ours.insert("operation".into(), "Apply".into());
        ours.insert("fieldsV1".into(), Value::Object(fields));
    }
    others.retain(|e| !is_ours(e));
    others.push(ours);
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": live.pointer("/metadata/resourceVersion")},
        {"op": "replace", "path": "/metadata/managedFields", "value": others},
    ]))
}

fn unite(into: &mut Map<String, Value>, from: Option<&Map<String, Value>>) {
    for (name, below) in from.into_iter().flatten() {
        let slot = into.entry(name.clone()).or_insert_with(|| json!({}));
        if let Some(slot) = slot.as_object_mut() {
            unite(slot, below.as_object());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(desired: Value, live: &Value) -> Value {
        let mut desired = Object::new(desired).unwrap();
        fit(&mut desired, Some(live));
        desired.value().into_owned()
    }

    fn deployment(replicas: i64) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": {"replicas": replicas}})
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

    #[test]
    fn fields_of_earlier_installers_become_ours_and_those_of_others_stay_theirs() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": "istioctl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:b": {}}, "f:data": {}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
            {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:c": {}}}}]}});
        let patch = hand_over(&live).unwrap();
        assert_eq!(patch[0]["value"], "7");
        let managers = patch[1]["value"].as_array().unwrap();
        let names: Vec<_> = managers.iter().map(|m| m["manager"].as_str().unwrap()).collect();
        assert_eq!(names, ["kube-controller-manager", "kubectl-edit", "istio-operator"]);
        assert_eq!(managers[2]["operation"], "Apply");
        assert_eq!(managers[2]["fieldsV1"], json!({"f:spec": {"f:a": {}, "f:b": {}}, "f:data": {}}));
    }

    #[test]
    fn an_object_that_was_only_applied_needs_no_hand_over() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {}},
            {"manager": "pilot-discovery", "operation": "Update", "fieldsV1": {}}]}});
        assert_eq!(hand_over(&live), None);
    }
}
