//! The Helm values that are made of a merged spec: its API fields < `values` < `unvalidatedValues` < gateway fields.

use super::autoscaling;
use super::placement::{is_enabled, namespace_of, settings_of};
use crate::api::component::Component;
use crate::spec::merge::merge_patch;
use crate::spec::switches::Switches;
use helm_template::gotmpl::{self, format};
use helm_template::number::to_floats;
use serde_json::{Value, json};

/// The components whose enablement and namespace become values, in the order upstream writes them: later ones win where two
/// write to one path (release 1.17).
const WRITTEN: [(Component, &str, &str); 5] = [
    (Component::Pilot, "pilot", "pilot"),
    (Component::IstiodRemote, "global", "global"),
    (Component::Ztunnel, "ztunnel", "ztunnel"),
    (Component::Cni, "istio_cni", "cni"),
    (Component::Base, "global", "global"),
];

/// The components whose hub and tag become values, and where.
const IMAGES: [(Component, &str); 4] = [
    (Component::Pilot, "pilot"),
    (Component::Cni, "cni"),
    (Component::IstiodRemote, "global"),
    (Component::Ztunnel, "ztunnel"),
];

/// Values of the API's own fields that a chart sees that reads its own values at the top (releases 1.18 to 1.21).
const OF_API: [&str; 2] = ["revision", "compatibilityVersion"];
/// The same in releases 1.22 and 1.23, besides `global`.
const SHARED: [&str; 4] = ["ownerName", "revision", "compatibilityVersion", "profile"];

/// The values that all components share.
#[must_use]
pub fn of_spec(spec: &Value, switches: &Switches) -> Value {
    let mut values = json!({});
    let filled = |v: Option<&Value>| v.filter(|v| !v.is_null() && v.as_str() != Some("")).cloned();
    let mut put = |path: &[&str], value: Option<Value>| {
        if let Some(value) = value {
            let nested = path.iter().rev().fold(value, |inner, key| json!({ *key: inner }));
            merge_patch(&mut values, &nested);
        }
    };
    put(&["global", "hub"], filled(spec.get("hub")));
    put(&["global", "tag"], filled(spec.get("tag")));
    put(&["revision"], filled(spec.get("revision")));
    put(&["compatibilityVersion"], filled(spec.get("compatibilityVersion")));
    put(&["meshConfig"], filled(spec.get("meshConfig")));
    if switches.chooses_version_of_autoscalers() && autoscaling::uses_old_form(spec) {
        put(&["global", "autoscalingv2API"], Some(false.into()));
    }
    let is_known = |component: &Component| *component != Component::Ztunnel || switches.has_ztunnel;
    for (component, enabled_at, namespace_at) in WRITTEN.into_iter().filter(|(component, ..)| is_known(component)) {
        let settings = settings_of(spec, component);
        put(&[enabled_at, "enabled"], Some(is_enabled(settings).into()));
        put(&[namespace_at, "namespace"], Some(namespace_of(spec, settings).into()));
    }
    for (component, root) in IMAGES.into_iter().filter(|(component, _)| is_known(component)) {
        let settings = settings_of(spec, component);
        put(&[root, "hub"], filled(settings.and_then(|s| s.get("hub"))));
        put(&[root, "tag"], filled(settings.and_then(|s| s.get("tag"))).map(|t| text_of(&t).into()));
    }
    put(&["global", "istioNamespace"], Some(namespace_of(spec, settings_of(spec, Component::Pilot)).into()));
    for layer in ["values", "unvalidatedValues"] {
        if let Some(layer) = spec.get(layer).filter(|l| l.is_object()) {
            merge_patch(&mut values, layer);
        }
    }
    values
}

/// The values of a chart that reads its own at the top.
#[must_use]
pub fn flattened(shared: &Value, component: Component, switches: &Switches) -> Value {
    let below = |key: &str| shared.get(key).and_then(Value::as_object).into_iter().flatten();
    let own = below(component.info().values).map(|(key, value)| (key.clone(), value.clone()));
    let take = |key: &&str| Some(((*key).to_owned(), shared.get(key)?.clone()));
    if switches.flattens_globals() {
        let globals = below("global").map(|(key, value)| (key.clone(), value.clone()));
        return OF_API.iter().filter_map(take).chain(globals).chain(own).collect();
    }
    ["global"].iter().chain(&SHARED).filter_map(take).chain(own).collect()
}

/// A value as text where upstream prints it with Go's `%v`: numbers are floats (`1e+06`), a list is `[a b]`.
pub(super) fn text_of(value: &Value) -> String {
    let mut value = value.clone();
    to_floats(&mut value);
    String::from_utf8_lossy(&format::display(&gotmpl::Value::from_json(&value))).into_owned()
}

/// The values of one gateway: its name, labels and ports go where the chart reads them, in place of what is there.
#[must_use]
pub fn of_gateway(shared: &Value, component: Component, gateway: &Value, k8s: &Value) -> Value {
    let mut values = shared.clone();
    let root = component.info().values.trim_start_matches("gateways.");
    let Some(target) = values.get_mut("gateways").and_then(|g| g.get_mut(root)).and_then(Value::as_object_mut) else {
        return values;
    };
    let name = gateway.get("name").cloned().unwrap_or_else(|| "".into());
    target.insert("name".into(), name);
    if let Some(labels) = gateway.get("label").and_then(Value::as_object).filter(|l| !l.is_empty()) {
        let labels = labels.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone()));
        target.insert("labels".into(), labels.collect());
    }
    if let Some(ports) = k8s.pointer("/service/ports") {
        target.insert("ports".into(), ports.clone());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_component_is_printed_as_go_prints_numbers() {
        for (tag, text) in [
            (json!("1.10"), "1.10"),
            (json!(12), "12"),
            (json!(1.1), "1.1"),
            (json!(20_230_101), "2.0230101e+07"),
            (json!(1_000_000), "1e+06"),
            (json!(true), "true"),
            (json!(["a", 1]), "[a 1]"),
        ] {
            let spec = json!({"components": {"pilot": {"tag": tag}, "cni": {"tag": tag}}});
            let values = of_spec(&spec, &Switches::default());
            assert_eq!(values.pointer("/pilot/tag"), Some(&json!(text)));
            assert_eq!(values.pointer("/cni/tag"), Some(&json!(text)));
        }
    }

    #[test]
    fn the_labels_of_a_gateway_take_the_place_of_those_in_the_values() {
        let shared = json!({"gateways": {"istio-ingressgateway": {"labels": {"a": "b", "c": "d"}}}});
        let labels = |gateway: Value| {
            let values = of_gateway(&shared, Component::IngressGateways, &gateway, &Value::Null);
            values.pointer("/gateways/istio-ingressgateway/labels").cloned()
        };
        assert_eq!(labels(json!({"label": {"a": "x", "n": null}})), Some(json!({"a": "x"})));
        for none in [json!({}), json!({"label": {}}), json!({"label": null})] {
            assert_eq!(labels(none), Some(json!({"a": "b", "c": "d"})));
        }
    }
}
