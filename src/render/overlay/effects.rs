//! Fields of the API that are accepted and do nothing, here as in 1.17: whoever writes one is told.
//!
//! Settings whose object is not installed are reported where settings are applied to objects ([`k8s`](super::k8s)).

use super::outcome::{Notice, place};
use crate::api::component::Component;
use crate::api::schema::{self, Type};
use crate::spec::path::join;
use crate::spec::resolve::Enabled;
use crate::spec::switches::Switches;
use serde_json::Value;

/// Fields of the spec that nothing reads.
const SPEC: [(&str, &str); 2] = [
    ("resourceSuffix", "has no effect; names are made of spec.revision"),
    ("defaultRevision", "has no effect; values.defaultRevision names the default revision"),
];

/// A field, what to say of it, and whether it is said of a component.
type Unread = (&'static str, &'static str, fn(Component) -> bool);

/// Fields of a component that nothing reads.
const COMPONENT: [Unread; 5] = [
    ("spec", "has no effect; use values", |_| true),
    ("hub", "has no effect on gateways; use spec.hub, or an overlay of the image", is_gateway),
    ("tag", "has no effect on gateways; use spec.tag, or an overlay of the image", is_gateway),
    ("hub", "has no effect on this component, which has no image; use spec.hub", is_remote),
    ("tag", "has no effect on this component, which has no image; use spec.tag", is_remote),
];

/// Fields whose zero means the same as nothing, to Kubernetes too.
const ZERO_IS_UNSET: [&str; 6] =
    ["nodePort", "healthCheckNodePort", "publishNotReadyAddresses", "optional", "readOnly", "value"];

fn is_gateway(component: Component) -> bool {
    component.is_gateways()
}

fn is_remote(component: Component) -> bool {
    component == Component::IstiodRemote
}

/// Everything in a merged spec that is written and does nothing.
#[must_use]
pub fn without(spec: &Value, components: &[Enabled], switches: &Switches) -> Vec<Notice> {
    let mut notices = vec![];
    for (field, message) in SPEC {
        if spec.get(field).is_some_and(says_something) {
            notices.push(Notice::new(format!("spec.{field}"), message));
        }
    }
    for (name, addon) in spec.get("addonComponents").and_then(Value::as_object).into_iter().flatten() {
        if addon.get("enabled") != Some(&Value::Bool(false)) && says_something(addon) {
            let message = "has no effect; add-ons are no longer installed, use the samples/addons/ deployments";
            notices.push(Notice::new(join("spec.addonComponents", name), message));
        }
    }
    for enabled in components {
        of_component(enabled, spec, switches, &mut notices);
    }
    notices
}

fn of_component(enabled: &Enabled, spec: &Value, switches: &Switches, notices: &mut Vec<Notice>) {
    let Some(settings) = settings_of(enabled, spec) else { return };
    let path = place(enabled);
    for (field, message, applies) in COMPONENT {
        if applies(enabled.component) && settings.get(field).is_some_and(says_something) {
            notices.push(Notice::new(format!("{path}.{field}"), message));
        }
    }
    // Since 1.24 everything that is written counts.
    let Some(k8s) = settings.get("k8s").filter(|_| !switches.is_since_124()) else { return };
    let path = format!("{path}.k8s");
    zeros(&Type::Message(schema::settings()), k8s, &path, notices);
    // Other numbers are told when the spec is checked.
    let is_one = k8s.get("replicaCount").is_some_and(|n| n == 1 || n == "1");
    if is_one && enabled.component == Component::Pilot && enabled.k8s.get("replicaCount").is_none() {
        let message = "has no effect while values.pilot.autoscaleEnabled is true";
        notices.push(Notice::new(format!("{path}.replicaCount"), message));
    }
}

/// The settings of a component as they stand in the spec.
fn settings_of<'s>(enabled: &Enabled, spec: &'s Value) -> Option<&'s Value> {
    let settings = spec.get("components")?.get(enabled.component.info().field)?;
    match settings.as_array() {
        Some(gateways) => gateways.iter().find(|g| g.get("name").and_then(Value::as_str) == Some(&enabled.name)),
        None => Some(settings),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// Zeros and falses that this API cannot tell from nothing.
fn zeros(kind: &Type, value: &Value, path: &str, notices: &mut Vec<Notice>) {
    match (kind, value) {
        (Type::Message(message), Value::Object(map)) => {
            for field in message.fields().iter().filter(|f| !ZERO_IS_UNSET.contains(&f.name)) {
                if let Some(inner) = map.get(field.name) {
                    zeros(&field.kind, inner, &join(path, field.name), notices);
                }
            }
        }
        (Type::List(inner), Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                zeros(inner, item, &format!("{path}[{i}]"), notices);
            }
        }
        (Type::Bool, Value::Bool(false)) => notices.push(unset(path, "false")),
        (Type::Integer(..), zero) if *zero == 0 || *zero == "0" || zero.as_f64() == Some(0.0) => {
            notices.push(unset(path, "0"));
        }
        _ => {}
    }
}

fn unset(path: &str, zero: &str) -> Notice {
    Notice::new(path, format!("has no effect: {zero} is the same as nothing in this API; use an overlay"))
}
