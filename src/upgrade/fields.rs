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

/// The fields that a spec sets and that release 1.`minors.1` does not have, though 1.`minors.0` does.
pub(super) fn gone(spec: &Value, minors: (u32, u32)) -> Vec<GoneField> {
    let mut found = vec![];
    let root = Type::Message(schema::spec());
    walk(spec, [&root, &root], "spec", minors, &mut found);
    found
}

/// A value, and its type in both releases.
fn walk(value: &Value, kinds: [&Type; 2], path: &str, minors: (u32, u32), found: &mut Vec<GoneField>) {
    match (value, kinds) {
        (Value::Object(map), [Type::Message(old), Type::Message(new)]) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                let path = join(path, key);
                match (old.field_in(key, minors.0), new.field_in(key, minors.1)) {
                    (Ok(_), Err(other)) => found.push(gone_field(path, other, minors.1)),
                    (Ok(one), Ok(other)) => walk(value, [&one.kind, &other.kind], &path, minors, found),
                    (Err(_), _) => {}
                }
            }
        }
        (Value::Object(map), [Type::Map(old), Type::Map(new)]) => {
            for (key, value) in map {
                walk(value, [old, new], &join(path, key), minors, found);
            }
        }
        (Value::Array(items), [Type::List(old), Type::List(new)]) => {
            for (i, item) in items.iter().enumerate() {
                let mut path = path.to_owned();
                let _ = write!(path, "[{i}]");
                walk(item, [old, new], &path, minors, found);
            }
        }
        _ => {}
    }
}

fn gone_field(path: String, other: Option<&Field>, minor: u32) -> GoneField {
    let removed_in = other.map(|field| field.releases.end).filter(|end| *end <= minor);
    let instead = other.map(|field| field.instead).filter(|instead| !instead.is_empty());
    GoneField { path, removed_in: removed_in.map(release), instead: instead.map(str::to_owned) }
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

/// The fields that release 1.`minors.1` has and 1.`minors.0` does not, but for those of components that are not installed.
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
            found.push(AddedField { path, since: release(field.releases.start) });
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
