//! Overlays of istiod's objects that leave what no API server takes, and the place that is named.

use serde_json::{Value, json};

/// An overlay of istiod's objects with one patch.
pub fn patch(kind: &str, name: &str, path: &str, value: Value) -> Value {
    let mut one = json!({ "path": path });
    one["value"] = value;
    json!({"kind": kind, "name": name, "patches": [one]})
}

/// An overlay of istiod's Deployment with one patch.
pub fn istiod(path: &str, value: Value) -> Value {
    patch("Deployment", "istiod", path, value)
}

/// The path of istiod's container.
pub const CONTAINER: &str = "spec.template.spec.containers.[name:discovery]";

/// All of them.
pub fn wrong() -> Vec<(Value, &'static str)> {
    let spec = |rest: &str| format!("spec.template.spec{rest}");
    let first = |rest: &str| format!("{CONTAINER}{rest}");
    let twice = |item: Value| json!([item, item]);
    vec![
        (istiod("apiVersion", json!("apps/v2")), "apiVersion"),
        (istiod("kind", json!("Deploymentt")), "kind"),
        (istiod("metadata.name", json!("other")), "metadata.name"),
        (istiod("metadata", Value::Null), "metadata"),
        (istiod("metadata.labels.x", json!(1)), "metadata.labels"),
        (istiod("metadata.annotations", json!("x")), "metadata.annotations"),
        (istiod("spec", json!(1)), "spec"),
        (istiod("spec.replicas", json!("2")), "spec.replicas"),
        (istiod("spec.replicas", json!(-1)), "spec.replicas"),
        (istiod("spec.selector", Value::Null), "spec.selector"),
        (istiod("spec.selector.matchLabels", json!({})), "spec.selector"),
        (istiod("spec.selector.matchLabels.istio", json!("other")), "spec.template.metadata.labels"),
        (istiod("spec.template.metadata.labels", Value::Null), "spec.template.metadata.labels"),
        (istiod(&spec(""), json!({"nodeSelector": {}})), "spec.template.spec.containers"),
        (istiod(&spec(".containers"), json!([])), "spec.template.spec.containers"),
        (istiod(&spec(".containers"), json!({"name": "x"})), "spec.template.spec.containers"),
        (istiod(&first(""), json!({"name": "discovery"})), "containers[0].image"),
        (istiod(&first(".image"), json!("")), "containers[0].image"),
        (istiod(&first(".name"), Value::Null), "containers[0].name"),
        (istiod(&first(".env"), json!([{"value": "x"}])), "env[0].name"),
        (istiod(&first(".env"), json!([{"name": "A", "value": 1}])), "env[0].value"),
        (istiod(&first(".env"), json!({"A": "b"})), "containers[0].env"),
        (istiod(&first(".env"), twice(json!({"name": "A", "value": "x"}))), "env[1]"),
        (
            istiod(&first(".env"), json!([{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}])),
            "env[0]",
        ),
        (istiod(&first(".ports"), json!([{"containerPort": "80"}])), "ports[0].containerPort"),
        (istiod(&first(".ports"), json!([{"containerPort": 70000}])), "ports[0].containerPort"),
        (
            istiod(&first(".ports"), json!([{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}])),
            "ports[1]",
        ),
        (istiod(&first(".resources"), json!("1Gi")), "containers[0].resources"),
        (istiod(&first(".resources.requests.cpu"), json!("much")), "resources.requests.cpu"),
        (istiod(&first(".args"), json!("a b")), "containers[0].args"),
        (istiod(&first(".args[0]"), json!(1)), "args[0]"),
        (istiod(&first(".imagePullPolicy"), json!("Sometimes")), "imagePullPolicy"),
        (istiod(&first(".readinessProbe.tcpSocket"), json!({"port": 1})), "readinessProbe"),
        (istiod(&first(".volumeMounts[-1]"), json!({"name": "nope", "mountPath": "/x"})), "volumeMounts"),
        (istiod(&first(".volumeMounts[-1]"), json!({"name": "cacerts", "mountPath": "/etc/cacerts"})), "volumeMounts"),
        (istiod(&spec(".volumes[-1]"), json!({"emptyDir": {}})), "volumes"),
        (istiod(&spec(".volumes[-1]"), json!({"name": "cacerts", "emptyDir": {}})), "volumes"),
        (istiod(&spec(".volumes[-1]"), json!({"name": "a", "emptyDir": {}, "secret": {"secretName": "x"}})), "volumes"),
        (istiod(&spec(".containers[-1]"), json!({"name": "discovery", "image": "x"})), "containers[1]"),
        (patch("Service", "istiod", "spec.ports", Value::Null), "spec.ports"),
        (patch("Service", "istiod", "spec.ports", json!([])), "spec.ports"),
        (patch("Service", "istiod", "spec.ports[0].port", json!("80")), "spec.ports[0].port"),
        (patch("Service", "istiod", "spec.ports[0].name", Value::Null), "spec.ports[0].name"),
        (patch("Service", "istiod", "spec.ports[1].port", json!(15010)), "spec.ports[1]"),
        (patch("Service", "istiod", "spec.type", json!("Loadbalancer")), "spec.type"),
        (patch("Service", "istiod", "spec.selector", json!("x")), "spec.selector"),
        (patch("HorizontalPodAutoscaler", "istiod", "spec.maxReplicas", Value::Null), "spec.maxReplicas"),
        (patch("HorizontalPodAutoscaler", "istiod", "spec.scaleTargetRef", Value::Null), "spec.scaleTargetRef"),
        (patch("HorizontalPodAutoscaler", "istiod", "spec.minReplicas", json!(9)), "spec.minReplicas"),
        (patch("PodDisruptionBudget", "istiod", "spec.maxUnavailable", json!(1)), "spec"),
        (patch("RoleBinding", "istiod", "roleRef", Value::Null), "roleRef"),
        (patch("RoleBinding", "istiod", "subjects[0].name", Value::Null), "subjects[0].name"),
        (patch("Role", "istiod", "rules[0].verbs", Value::Null), "rules[0].verbs"),
        (patch("ConfigMap", "istio", "data.mesh", json!({"a": "b"})), "data.mesh"),
        (
            patch("MutatingWebhookConfiguration", "istio-sidecar-injector", "webhooks[0].clientConfig", Value::Null),
            "webhooks[0].clientConfig",
        ),
        (
            patch("MutatingWebhookConfiguration", "istio-sidecar-injector", "webhooks[0].sideEffects", Value::Null),
            "webhooks[0].sideEffects",
        ),
    ]
}
