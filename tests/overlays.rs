//! An overlay has its effect, or is refused with its place in the spec and the reason; what comes out can be applied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test fails so

#[path = "overlays/shapes.rs"]
mod shapes;

use istio_operator::object::manifests::Manifests;
use istio_operator::release::Package;
use istio_operator::render::{self, ClusterInfo};
use istio_operator::spec::request;
use istio_operator::spec::resolve::Strictness;
use serde_json::{Value, json};
use shapes::{CONTAINER, istiod, patch};

fn build(spec: &Value, strictness: Strictness) -> Result<Manifests, String> {
    let request = request::from_resource(&json!({ "spec": spec }));
    let package = Package::embedded().unwrap();
    render::build(&request, &ClusterInfo::default(), &package, strictness).map_err(|e| e.to_string())
}

fn overlaid(overlays: &Value, strictness: Strictness) -> Result<Manifests, String> {
    build(&json!({"components": {"pilot": {"k8s": {"overlays": overlays}}}}), strictness)
}

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
    for (overlay, wanted) in shapes::wrong() {
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
