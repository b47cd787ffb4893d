//! The form in which Go writes what injection handles: which fields come first, and which are left out when they are empty.
//! Objects that go in as YAML come out as their Go types would be written.
//!
//! In: a message of the description of the API ([`find`]) and a tree. Out: the tree as Go writes it ([`shape`]), its JSON in
//! the order of fields ([`json`]), or a value for templates ([`view`](super::view)). Fields that the description does not know
//! are kept as they are.

use crate::api::quantity;
use crate::api::schema::check::{Reading, check};
use crate::api::schema::{self, Field, Message, NEWEST, Presence, Table, Type};
use crate::api::text::scalar_text;
use helm_template::json::{Html, Writer};
use helm_template::sprig::go_duration;
use serde_json::{Map, Value};
use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where, from the object on: `spec.containers[0].name`.
    pub path: String,
    /// What is wanted and what is there.
    pub message: String,
}

/// The fields of the mesh configuration that templates and injection itself read; all others are left as they are.
const MESH: [&str; 6] = [
    "proxyListenPort",
    "proxyInboundListenPort",
    "rootNamespace",
    "trustDomain",
    "enablePrometheusMerge",
    "defaultConfig",
];

static MESH_CONFIG: LazyLock<Message> = LazyLock::new(|| {
    let whole = schema::mesh();
    let left = |field: &Field| Field { kind: Type::Any, presence: Presence::Explicit, ..field.clone() };
    let fields = whole.fields().iter().map(|f| if MESH.contains(&f.name) { f.clone() } else { left(f) });
    whole.with_fields(fields.collect())
});

/// A type by its name, of Kubernetes or of the mesh configuration; an empty one if there is none.
pub(super) fn find(name: &str) -> &'static Message {
    if name == schema::mesh().name {
        return &MESH_CONFIG;
    }
    Table::Kubernetes.find(name).unwrap_or_else(|| Table::Mesh.message(name))
}

/// A tree as its type is written.
///
/// # Errors
/// Everything that does not fit.
pub(super) fn shape(name: &str, value: &Value) -> Result<Map<String, Value>, Vec<Misfit>> {
    let message = find(name);
    let found = check(message, value, "", Reading::Kubernetes, NEWEST);
    let misfits: Vec<_> = found.into_iter().map(|f| Misfit { path: f.path, message: f.message }).collect();
    match value {
        Value::Object(map) if misfits.is_empty() => Ok(written(message, map)),
        Value::Null => Err(vec![Misfit { path: String::new(), message: "must be a map, not null".to_owned() }]),
        _ => Err(misfits),
    }
}

/// A message that fits its type, in the form that Go writes.
fn written(message: &Message, map: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for field in message.fields() {
        let given = map.get(field.name).filter(|v| !v.is_null());
        let is_pointer = field.presence != Presence::Implicit;
        let value = match (given.map(|value| written_value(&field.kind, value)), is_pointer) {
            (None, true) if !field.always => continue,
            (None, true) => Value::Null,
            (None, false) => zero(&field.kind),
            (Some(value), _) => value,
        };
        let omitted = !is_pointer && !field.always && is_empty(&field.kind, &value);
        if !omitted {
            out.insert(field.name.to_owned(), value);
        }
    }
    let known = |key: &String| message.fields().iter().any(|f| f.name == key);
    let others = map.iter().filter(|(key, value)| !known(key) && !value.is_null());
    out.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    out
}

fn written_value(kind: &Type, value: &Value) -> Value {
    // An item of a list or map that is null is an empty one.
    let item = |kind: &Type, value: &Value| if value.is_null() { zero(kind) } else { written_value(kind, value) };
    match (kind, value) {
        (Type::Message(message), Value::Object(map)) => Value::Object(written(message, map)),
        (Type::List(inner), Value::Array(items)) => items.iter().map(|v| item(inner, v)).collect(),
        (Type::Map(inner), Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, v)| (key.clone(), item(inner, v))).collect())
        }
        (kind, value) => scalar(kind, value).unwrap_or_else(|| value.clone()),
    }
}

/// A scalar in the form its type is written in; none for one that is written unchanged.
fn scalar(kind: &Type, value: &Value) -> Option<Value> {
    match kind {
        Type::String => scalar_text(value).map(Value::String),
        Type::Int | Type::Integer(_, 0..=MOST_UNQUOTED) | Type::IntOrString => match value {
            Value::Number(n) if n.is_f64() => schema::check::whole(value).map(Value::from),
            Value::String(text) if !matches!(kind, Type::IntOrString) => text.parse::<i64>().ok().map(Value::from),
            _ => None,
        },
        Type::Quantity => quantity::canonical(&scalar_text(value)?).map(Value::String),
        Type::Duration => canonical_duration(value.as_str()?).map(Value::String),
        Type::Enum(names) => names.get(usize::try_from(value.as_u64()?).ok()?).copied().map(Value::from),
        _ => None,
    }
}

/// Protobuf writes the numbers of a type that has larger ones than this as strings.
const MOST_UNQUOTED: i64 = u32::MAX as i64;

/// What an unset field of the type is.
pub(super) fn zero(kind: &Type) -> Value {
    match kind {
        Type::Bool => false.into(),
        Type::String => "".into(),
        Type::Int | Type::Integer(..) | Type::Double | Type::IntOrString | Type::NumberOrString => 0.into(),
        Type::Quantity => "0".into(),
        Type::Enum(values) => values.first().copied().unwrap_or_default().into(),
        Type::Message(message) => Value::Object(written(message, &Map::new())),
        Type::Duration | Type::Time | Type::Struct | Type::List(_) | Type::Map(_) | Type::Any => Value::Null,
    }
}

/// Whether Go leaves a value out. A struct is never empty.
fn is_empty(kind: &Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Message(_) | Type::Time, _) => false,
        (Type::List(_), Value::Array(items)) => items.is_empty(),
        (Type::Map(_), Value::Object(map)) => map.is_empty(),
        (Type::Double, Value::Number(n)) => n.as_f64() == Some(0.0),
        _ => *value == zero(kind),
    }
}

/// A duration as protobuf writes it: seconds, with 0, 3, 6 or 9 digits after the point.
fn canonical_duration(text: &str) -> Option<String> {
    let nanos = go_duration(text).ok()?;
    let (whole, fraction) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let sign = if nanos < 0 { "-" } else { "" };
    let digits = format!("{fraction:09}");
    let digits = digits.trim_end_matches("000");
    Some(if digits.is_empty() { format!("{sign}{whole}s") } else { format!("{sign}{whole}.{digits}s") })
}

/// JSON with fields in the order of their type, as Go writes it; fields that the type does not have come last.
pub(super) fn json(name: &str, value: &Value) -> String {
    json_of(&Type::Message(find(name)), value)
}

/// JSON of a value of some type.
pub(super) fn json_of(kind: &Type, value: &Value) -> String {
    let mut writer = Writer::new(Html::Escaped);
    write(&mut writer, kind, value);
    writer.into_text()
}

fn write(writer: &mut Writer, kind: &Type, value: &Value) {
    let member = |writer: &mut Writer, key: &str, kind: &Type, value: &Value| {
        writer.key(key.as_bytes());
        write(writer, kind, value);
    };
    match (kind, value) {
        (Type::Message(message), Value::Object(map)) => writer.object(|writer| {
            let fields = message.fields();
            for field in fields {
                if let Some(value) = map.get(field.name) {
                    member(writer, field.name, &field.kind, value);
                }
            }
            for (key, value) in map.iter().filter(|(key, _)| !fields.iter().any(|f| f.name == *key)) {
                member(writer, key, &Type::Any, value);
            }
        }),
        (Type::List(item), Value::Array(items)) => writer.array(|writer| {
            for value in items {
                writer.separate();
                write(writer, item, value);
            }
        }),
        (Type::Map(item), Value::Object(map)) => {
            writer.object(|writer| map.iter().for_each(|(key, value)| member(writer, key, item, value)));
        }
        (_, value) => writer.value(value),
    }
}
