//! An overlay has its effect, or is refused with its place in the spec and the reason; what comes out can be applied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

use istio_operator::object::manifests::Manifests;
use istio_operator::pipeline::{self, ClusterFacts, Package};
use istio_operator::request;
use istio_operator::resolve::Strictness;
use serde_json::{Value, json};

fn build(spec: &Value, strictness: Strictness) -> Result<Manifests, String> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let package = Package::embedded().unwrap();
    pipeline::build(&request, &ClusterFacts::default(), &package, strictness).map_err(|e| e.to_string())
}

fn overlaid(overlays: &Value, strictness: Strictness) -> Result<Manifests, String> {
    build(&json!({"components": {"pilot": {"k8s": {"overlays": overlays}}}}), strictness)
}

/// An overlay of istiod's objects with one patch.
fn patch(kind: &str, name: &str, path: &str, value: Value) -> Value {
    let mut one = json!({ "path": path });
    one["value"] = value;
    json!({"kind": kind, "name": name, "patches": [one]})
}

fn istiod(path: &str, value: Value) -> Value {
    patch("Deployment", "istiod", path, value)
}

const CONTAINER: &str = "spec.template.spec.containers.[name:discovery]";

#[test]
fn an_overlay_without_effect_is_refused_with_its_place() {
    let fine = istiod("metadata.labels.x", json!("y"));
    for (overlay, place, reason) in [
        (istiod("", json!("x")), ".patches[0]", "path is empty"),
        (istiod("  ", json!("x")), ".patches[0]", "path is empty"),
        (json!({"kind": "Deployment", "name": "istiod", "patches": [{"value": 1}]}), ".patches[0]", "path is empty"),
        (json!({"kind": "Deployment", "name": "istiod", "patches": [null]}), ".patches[0]", "path is empty"),
        (json!({"kind": "Deployment", "name": "istiod"}), ".patches", "no patches"),
        (json!({"kind": "Deployment", "name": "istiod", "patches": []}), ".patches", "no patches"),
        (json!({"kind": "Deployment", "name": "istiod", "patches": null}), ".patches", "no patches"),
        (istiod("spec.nope", Value::Null), ".patches[0]", "spec.nope"),
        (istiod("spec.template.spec.hostname.deep", Value::Null), ".patches[0]", "not found"),
        (istiod("spec.template.spec.containers.[name:nope].image", json!("x")), ".patches[0]", "[name:discovery]"),
        (istiod("spec.template.spec.serviceAccountName.deep", json!(1)), ".patches[0]", "leaf"),
        (patch("Deployment", "istio", "a", json!(1)), "", "Deployment istio-system/istiod"),
        (patch("Deploymentt", "istiod", "a", json!(1)), "", "Deployment istio-system/istiod"),
        (json!({"kind": "Deployment", "patches": [{"path": "a", "value": 1}]}), "", "has no name"),
        (json!({"kind": "ClusterRole", "name": "", "patches": [{"path": "a", "value": 1}]}), "", "ClusterRole istiod"),
        (json!({"name": "istiod", "patches": [{"path": "a", "value": 1}]}), "", "has no kind"),
        (Value::Null, "", "has no kind"),
    ] {
        for strictness in [Strictness::Full, Strictness::Forced, Strictness::TakenOver] {
            let error = overlaid(&json!([fine, overlay]), strictness).expect_err(&overlay.to_string());
            let place = format!("spec.components.pilot.k8s.overlays[1]{place}");
            assert!(error.contains(&place) && error.contains(reason), "{overlay}: {error}");
        }
    }
}

#[test]
fn every_overlay_that_fails_is_named_at_once_with_its_gateway() {
    let k8s = json!({"overlays": [istiod("", json!(1)), patch("Service", "in", "spec.gone", Value::Null),
        patch("Service", "nope", "a", json!(1))]});
    let gateway = json!({"name": "in", "enabled": true, "k8s": k8s});
    let error = build(&json!({"components": {"ingressGateways": [gateway]}}), Strictness::Full).unwrap_err();
    for i in 0..3 {
        let place = format!("spec.components.ingressGateways[name:in].k8s.overlays[{i}]");
        assert!(error.contains(&place), "{i}: {error}");
    }
}

#[test]
fn a_value_that_is_there_already_is_no_mistake() {
    let same = json!([istiod("metadata.name", json!("istiod")), istiod("metadata.labels.app", json!("istiod"))]);
    let manifests = overlaid(&same, Strictness::Full).unwrap();
    assert_eq!(manifests.parts, build(&json!({}), Strictness::Full).unwrap().parts);
    assert!(manifests.warnings.is_empty(), "{:?}", manifests.warnings);
}

#[test]
fn a_patch_that_undoes_another_is_told() {
    let label = |value: &str| istiod("metadata.labels.x", json!(value));
    let argument = |path: &str, value: &str| istiod(&format!("{CONTAINER}.args.{path}"), json!(value));
    for (overlays, undone) in [
        (json!([label("a"), label("b")]), true),
        (json!([label("a"), label("a")]), false),
        (json!([label("a"), istiod("metadata.labels", json!({"app": "istiod"}))]), true),
        (json!([label("a"), istiod("metadata.labels.x", Value::Null)]), true),
        (json!([istiod("metadata.labels.app", Value::Null), istiod("metadata.labels.app", json!("istiod"))]), true),
        (json!([label("a"), istiod("metadata.labels.y", json!("b"))]), false),
        (json!([argument("[30m]", "60m"), argument("[60m]", "90m")]), true),
        (json!([argument("[-1]", "a"), argument("[-1]", "b")]), false),
        (json!([argument("[0]", "a"), istiod(&format!("{CONTAINER}.args[0]"), Value::Null)]), true),
        (json!([argument("[1]", "a"), istiod(&format!("{CONTAINER}.args[0]"), Value::Null)]), false),
    ] {
        let warnings = overlaid(&overlays, Strictness::Full).unwrap_or_else(|e| panic!("{overlays}: {e}")).warnings;
        let told =
            warnings.iter().any(|w| w.contains("overlays[1].patches[0]") && w.contains("overlays[0].patches[0]"));
        assert_eq!(told, undone, "{overlays}: {warnings:?}");
    }
}

#[test]
fn what_no_server_takes_is_refused_with_the_place_in_the_object() {
    let spec = |rest: &str| format!("spec.template.spec{rest}");
    let first = |rest: &str| format!("{CONTAINER}{rest}");
    let twice = |item: Value| json!([item, item]);
    for (overlay, wanted) in [
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
    ] {
        for strictness in [Strictness::Full, Strictness::TakenOver] {
            let error = overlaid(&json!([overlay]), strictness).expect_err(&overlay.to_string());
            assert!(error.contains(wanted), "{overlay}: {error}");
            let name = overlay["name"].as_str().unwrap();
            assert!(error.contains(name), "{overlay}: {error}");
        }
    }
}

#[test]
fn every_wrong_shape_is_named_at_once() {
    let overlays = json!([
        istiod("spec.replicas", json!("2")),
        istiod(&format!("{CONTAINER}.image"), Value::Null),
        patch("Service", "istiod", "spec.ports", Value::Null)
    ]);
    let error = overlaid(&overlays, Strictness::Full).unwrap_err();
    for place in ["spec.replicas", "containers[0].image", "Service istio-system/istiod: spec.ports"] {
        assert!(error.contains(place), "{place}: {error}");
    }
}
