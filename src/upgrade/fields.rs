//! Which fields of a spec another release does not have, and which it has beyond the present one: from the description of the
//! API.

use crate::api::component::Component;
use crate::api::schema::{self, Field, Message, Table, Type};
use crate::api::text::join;
use crate::object::manifests::Manifests;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// A field that the spec sets and that the other release does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoneField {
    /// Where, as `spec.values.pilot.plugins`.
    pub path: String,
    /// The release that removed it; absent where the other release is older than the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_in: Option<String>,
    /// What takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Whether the profile of the present release says the same, so that nothing is lost without it.
    pub is_of_profile: bool,
}

/// A field that the other release has and the present one has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddedField {
    /// Where, as `spec.values.pilot.cni`; `*` is each component.
    pub path: String,
    /// The release that it came with.
    pub since: String,
}

/// The fields that a spec sets and that release 1.`minors.1` does not have, though 1.`minors.0` does; with the profile that the spec
/// is merged over now, where that is known.
pub(super) fn gone(spec: &Value, profile: Option<&Value>, minors: (u32, u32)) -> Vec<GoneField> {
    let mut found = vec![];
    let root = Type::Message(schema::spec());
    walk([Some(spec), profile], [&root, &root], "spec", minors, &mut found);
    found
}

/// A value, what the profile has in its place, and its type in both releases.
fn walk(
    [value, profile]: [Option<&Value>; 2],
    kinds: [&Type; 2],
    path: &str,
    minors: (u32, u32),
    found: &mut Vec<GoneField>,
) {
    let below = |key: &str| profile.and_then(|profile| profile.get(key));
    match (value, kinds) {
        (Some(Value::Object(map)), [Type::Message(old), Type::Message(new)]) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                let path = join(path, key);
                match (old.field_in(key, minors.0), new.field_in(key, minors.1)) {
                    (Ok(_), Err(other)) => {
                        let is_of_profile = below(key) == Some(value);
                        found.push(GoneField { is_of_profile, ..gone_field(path, other, minors.1) });
                    }
                    (Ok(one), Ok(other)) => {
                        walk([Some(value), below(key)], [&one.kind, &other.kind], &path, minors, found);
                    }
                    (Err(_), _) => {}
                }
            }
        }
        (Some(Value::Object(map)), [Type::Map(old), Type::Map(new)]) => {
            for (key, value) in map {
                walk([Some(value), below(key)], [old, new], &join(path, key), minors, found);
            }
        }
        (Some(Value::Array(items)), [Type::List(old), Type::List(new)]) => {
            for (i, item) in items.iter().enumerate() {
                let mut path = path.to_owned();
                let _ = write!(path, "[{i}]");
                // Which item of the profile it is merged over is not looked for.
                walk([Some(item), None], [old, new], &path, minors, found);
            }
        }
        _ => {}
    }
}

fn gone_field(path: String, other: Option<&Field>, minor: u32) -> GoneField {
    let removed_in = other.map(|field| field.releases.end).filter(|end| *end <= minor);
    let instead = other.map(|field| field.instead).filter(|instead| !instead.is_empty());
    GoneField { path, removed_in: removed_in.map(release), instead: instead.map(str::to_owned), is_of_profile: false }
}

fn release(minor: u32) -> String {
    format!("1.{minor}")
}

/// Values of components, by the first field below `values`.
const OF_COMPONENTS: [(&str, Component); 6] = [
    ("pilot", Component::Pilot),
    ("cni", Component::Cni),
    ("istio_cni", Component::Cni),
    ("ztunnel", Component::Ztunnel),
    ("istiodRemote", Component::IstiodRemote),
    ("gateways", Component::IngressGateways),
];

/// The fields that came after release 1.`minors.0` and that 1.`minors.1` has, but for those of components that are not installed. An
/// older release has none.
pub(super) fn added(installed: Option<&Manifests>, minors: (u32, u32)) -> Vec<AddedField> {
    let mut found = vec![];
    let spec = schema::spec();
    collect(spec, "spec", minors, &mut found, &|message| {
        message.table == Some(Table::Spec) && message.name.ends_with("Spec")
    });
    // What is deeper in them is Kubernetes' own.
    collect(schema::settings(), "spec.components.*.k8s", minors, &mut found, &|message| {
        message.name.starts_with("Service")
    });
    collect(schema::values(), "spec.values", minors, &mut found, &|message| message.table == Some(Table::Values));
    let is_shown = |field: &AddedField| {
        let values = field.path.strip_prefix("spec.values.").and_then(|rest| rest.split('.').next());
        let component = OF_COMPONENTS.iter().find(|(name, _)| Some(*name) == values).map(|(_, component)| *component);
        let has = |component: Component| {
            installed.is_none_or(|manifests| manifests.parts.iter().any(|part| is_alike(part.component, component)))
        };
        component.is_none_or(has)
    };
    found.retain(is_shown);
    found
}

fn is_alike(one: Component, other: Component) -> bool {
    one == other || (one.is_gateways() && other.is_gateways())
}

/// How deep fields are looked for.
const DEEPEST: usize = 8;

/// Fields of a message and of those in it, as far as `is_entered` says.
fn collect(
    message: &'static Message,
    path: &str,
    minors: (u32, u32),
    found: &mut Vec<AddedField>,
    is_entered: &dyn Fn(&Message) -> bool,
) {
    if path.split('.').count() > DEEPEST {
        return;
    }
    for field in message.fields_in(minors.1) {
        let path = join(path, field.name);
        if message.field_in(field.name, minors.0).is_err() {
            // One that has another type since has come before.
            let alike = message.fields().iter().filter(|other| other.name == field.name);
            let came =
                alike.map(|other| other.releases.start).filter(|start| (minors.0 + 1..=minors.1).contains(start)).min();
            found.extend(came.map(|start| AddedField { path, since: release(start) }));
        } else if let Some(below) = message_of(&field.kind).filter(|below| is_entered(below)) {
            // `k8s` of every component is the same.
            if below.name != schema::settings().name {
                collect(below, &path, minors, found, is_entered);
            }
        }
    }
}

fn message_of(kind: &Type) -> Option<&'static Message> {
    match kind {
        Type::Message(message) => Some(message),
        Type::List(inner) | Type::Map(inner) => message_of(inner),
        _ => None,
    }
}
