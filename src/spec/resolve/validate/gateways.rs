//! Gateways: each has a name, and none takes the place of another.

use super::checker::Checker;
use crate::api::text::{describe, scalar_text};
use crate::spec::path::join;
use crate::spec::problem::Kind;
use crate::spec::request::gateways::{LISTS, twins};
use crate::spec::resolve::placement::namespace_of;
use serde_json::Value;

/// The gateways of a list with the path of each.
fn each<'v>(spec: &'v Value, list: &'static str) -> impl Iterator<Item = (String, &'v Value)> {
    let gateways = spec.pointer(&format!("/components/{list}")).and_then(Value::as_array);
    gateways.into_iter().flatten().enumerate().map(move |(i, item)| (format!("spec.components.{list}[{i}]"), item))
}

/// Gateways are merged by name, so each needs one.
pub(super) fn check_names(spec: &Value, checker: &mut Checker<'_>) {
    for (path, gateway) in LISTS.into_iter().flat_map(|list| each(spec, list)) {
        let has = |key: &str| gateway.get(key).is_some_and(|v| !v.is_null());
        let is_nameless = gateway.get("name").is_some_and(|n| n == "") && gateway.get("enabled") == Some(&true.into());
        if gateway.is_null() || (gateway.is_object() && !has("name") && !has("$patch")) {
            let message =
                format!("a gateway must be a map with a name, by which it is merged; this is {}", shown(gateway));
            checker.add(&path, message, Kind::Form);
        } else if is_nameless {
            checker.add(&join(&path, "name"), "a gateway that is enabled must have a name".into(), Kind::Form);
        }
    }
}

/// A gateway in short: what it has of single values, and the names of the rest.
fn shown(gateway: &Value) -> String {
    let Some(map) = gateway.as_object() else { return describe(gateway) };
    let entry = |(key, value): (&String, &Value)| match value {
        Value::Object(_) | Value::Array(_) => key.clone(),
        value => format!("{key}: {}", scalar_text(value).unwrap_or_default()),
    };
    format!("the one with {}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
}

/// Of two gateways that cannot be told apart one would vanish in the other.
pub(super) fn check_twins(spec: &Value, checker: &mut Checker<'_>) {
    for twins in twins(spec) {
        let first = checker.origin.locate(&twins.first).unwrap_or_else(|| twins.first.clone());
        checker.add(&twins.second, twins.message(&first), Kind::Form);
    }
}

/// Two gateways that come to the same objects: of both lists, or one that says its namespace and one that has the default.
pub(super) fn check_places(spec: &Value, checker: &mut Checker<'_>) {
    let mut seen: Vec<(String, &Value, &str, String)> = vec![];
    for list in LISTS {
        for (path, gateway) in each(spec, list) {
            let enabled = gateway.get("enabled") == Some(&Value::Bool(true));
            let name = gateway.get("name").and_then(Value::as_str).unwrap_or_default();
            let namespace = namespace_of(spec, Some(gateway));
            let other = seen.iter().find(|(_, _, n, space)| *n == name && *space == namespace);
            match other.filter(|_| enabled) {
                Some((first, item, ..)) => {
                    let place = checker.origin.locate_item(first, item).unwrap_or_else(|| first.clone());
                    let shown = if namespace.is_empty() { "istio-system" } else { &namespace };
                    let message = format!(
                        "is gateway {name} in namespace {shown}, and so is {place}; give them different names or namespaces"
                    );
                    let location = checker.origin.locate_item(&path, gateway);
                    checker.add_at(&path, message, location, Kind::Form);
                }
                None if enabled => seen.push((path, gateway, name, namespace)),
                None => {}
            }
        }
    }
}
