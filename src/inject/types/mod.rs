//! The Go types that injection goes through, as tables: what a field is called, in which order fields stand, and which
//! are left out when they are empty. Objects that go in as YAML come out as these types would be written.
//!
//! In: the name of a type and a tree. Out: the tree as Go writes it ([`Shaper`]), its JSON in the order of fields
//! ([`json`]), or a value for templates ([`view`](super::view)). Fields that a table does not know are kept as they are.
//!
//! The table of Kubernetes is lines of text: `type NAME`, and below it `FIELD TYPE`, with a leading `*` for a pointer.
//! `always` says that an empty field is written, too. The proxies' configuration comes from the table of [`proto`].
//!
//! | type | JSON |
//! |---|---|
//! | `bool`, `int` | as named |
//! | `string` | text; also a number or a boolean, whose text is taken |
//! | `intOrString` | a port's number or name |
//! | `quantity`, `time` | text; quantities in their canonical form |
//! | `T[]`, `map<T>`, a name | a list, a map, another type |
//! | `any` | anything |

use super::quantity;
use crate::api::proto;
use crate::spec::path::{kind_of, scalar_text};
use helm_template::json::{self, Html};
use helm_template::sprig::go_duration;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// A type with its fields in order.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) fields: Vec<Field>,
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it may be unset, which is another thing than empty.
    pub(super) pointer: bool,
    always: bool,
    pub(super) wrapped: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Text,
    Int,
    Int32,
    Double,
    IntOrString,
    Quantity,
    Duration,
    Time,
    Enum(&'static [&'static str]),
    List(Box<Kind>),
    Map(Box<Kind>),
    Struct(&'static str),
    Any,
}

/// What does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where, from the object on: `spec.containers[0].name`.
    pub path: String,
    /// What is wanted and what is there.
    pub message: String,
}

static TYPES: LazyLock<HashMap<&'static str, Type>> = LazyLock::new(|| {
    // Where both have a name, the fields are the same.
    let all = messages().into_iter().chain(read(include_str!("kubernetes.types")));
    all.map(|t| (t.name, t)).collect()
});

/// A type by its name; one without fields if there is none.
pub(super) fn find(name: &str) -> &'static Type {
    static NONE: Type = Type { name: "", fields: Vec::new() };
    TYPES.get(name).unwrap_or(&NONE)
}

fn read(table: &'static str) -> Vec<Type> {
    let mut types: Vec<Type> = vec![];
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&'static str> = line.split_whitespace().collect();
        match (words.as_slice(), types.last_mut()) {
            (["type", name], _) if !line.starts_with(' ') => types.push(Type { name, fields: vec![] }),
            ([name, kind, rest @ ..], Some(last)) => {
                let (pointer, kind) = kind.strip_prefix('*').map_or((false, *kind), |kind| (true, kind));
                let kind = kind_named(kind);
                let pointer = pointer || kind == Kind::Any;
                last.fields.push(Field { name, kind, pointer, always: rest == ["always"], wrapped: false });
            }
            _ => {}
        }
    }
    types
}

/// What templates and injection itself read of the mesh configuration; the rest of it is left as it is.
const MESH: [&str; 5] = ["proxyListenPort", "rootNamespace", "trustDomain", "enablePrometheusMerge", "defaultConfig"];

/// Fields of messages that are messages themselves, around one scalar: unset is not empty.
const WRAPPED: [(&str, &str); 4] = [
    ("MeshConfig", "enablePrometheusMerge"),
    ("ProxyConfig", "concurrency"),
    ("ProxyConfig", "holdApplicationUntilProxyStarts"),
    ("ClientTLSSettings", "insecureSkipVerify"),
];

/// The mesh configuration and the messages in it.
fn messages() -> Vec<Type> {
    let mut types: Vec<Type> = vec![];
    let mut open = vec!["MeshConfig"];
    while let Some(name) = open.pop() {
        if types.iter().any(|t| t.name == name) {
            continue;
        }
        let fields = proto::mesh().fields(name).iter().map(|field| {
            let known = name != "MeshConfig" || MESH.contains(&field.name);
            let kind = if known { kind_of_message(&field.kind, &mut open) } else { Kind::Any };
            let wrapped = WRAPPED.contains(&(name, field.name));
            let unset = matches!(kind, Kind::Any | Kind::Struct(_) | Kind::Duration) || field.oneof.is_some();
            Field { name: field.name, kind, pointer: wrapped || unset, always: false, wrapped }
        });
        types.push(Type { name, fields: fields.collect() });
    }
    types
}

fn kind_of_message(of: &proto::Type, open: &mut Vec<&'static str>) -> Kind {
    match of {
        proto::Type::Bool => Kind::Bool,
        proto::Type::String => Kind::Text,
        // Protobuf writes larger ones as text.
        proto::Type::Integer(_, most) if *most <= i64::from(u32::MAX) => Kind::Int32,
        proto::Type::Double => Kind::Double,
        proto::Type::Duration => Kind::Duration,
        proto::Type::Enum(name) => Kind::Enum(proto::mesh().values_of(name)),
        proto::Type::List(item) => Kind::List(Box::new(kind_of_message(item, open))),
        proto::Type::Map(item) => Kind::Map(Box::new(kind_of_message(item, open))),
        proto::Type::Message(name) => {
            open.push(name);
            Kind::Struct(name)
        }
        proto::Type::Integer(..) | proto::Type::IntOrString | proto::Type::Struct | proto::Type::Any => Kind::Any,
    }
}

fn kind_named(name: &'static str) -> Kind {
    if let Some(item) = name.strip_suffix("[]") {
        return Kind::List(Box::new(kind_named(item)));
    }
    if let Some(item) = name.strip_prefix("map<").and_then(|n| n.strip_suffix('>')) {
        return Kind::Map(Box::new(kind_named(item)));
    }
    match name {
        "bool" => Kind::Bool,
        "string" => Kind::Text,
        "int" => Kind::Int,
        "intOrString" => Kind::IntOrString,
        "quantity" => Kind::Quantity,
        "time" => Kind::Time,
        "any" => Kind::Any,
        other => Kind::Struct(other),
    }
}

impl Kind {
    /// What an unset field of the kind is.
    pub(super) fn zero(&self) -> Value {
        match self {
            Self::Bool => false.into(),
            Self::Text => "".into(),
            Self::Int | Self::Int32 | Self::Double | Self::IntOrString => 0.into(),
            Self::Quantity => "0".into(),
            Self::Enum(values) => values.first().copied().unwrap_or_default().into(),
            Self::Struct(name) => Value::Object(Shaper::default().structure(find(name), &Map::new())),
            Self::Duration | Self::Time | Self::List(_) | Self::Map(_) | Self::Any => Value::Null,
        }
    }

    /// Whether Go leaves a value out. A struct is never empty.
    fn is_empty(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Struct(_) | Self::Time, _) => false,
            (Self::List(_), Value::Array(items)) => items.is_empty(),
            (Self::Map(_), Value::Object(map)) => map.is_empty(),
            (Self::Double, Value::Number(n)) => n.as_f64() == Some(0.0),
            _ => *value == self.zero(),
        }
    }
}

/// Shapes trees to types, and gathers what does not fit.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    path: String,
    pub(super) misfits: Vec<Misfit>,
}

/// A tree as its type is written.
///
/// # Errors
/// Everything that does not fit.
pub(super) fn shape(name: &str, value: &Value) -> Result<Map<String, Value>, Vec<Misfit>> {
    let mut shaper = Shaper::default();
    let tree = match value {
        Value::Object(map) => shaper.structure(find(name), map),
        other => {
            shaper.wrong("a map", other);
            Map::new()
        }
    };
    if shaper.misfits.is_empty() { Ok(tree) } else { Err(shaper.misfits) }
}

impl Shaper {
    fn structure(&mut self, of: &'static Type, map: &Map<String, Value>) -> Map<String, Value> {
        let mut out = Map::new();
        for field in &of.fields {
            let given = map.get(field.name).filter(|v| !v.is_null());
            let shaped = given.map(|value| self.within(&format!(".{}", field.name), |s| s.value(&field.kind, value)));
            let value = match (shaped, field.pointer) {
                (None, true) if !field.always => continue,
                (None, true) => Value::Null,
                (None, false) => field.kind.zero(),
                (Some(value), _) => value,
            };
            let omitted = !field.pointer && !field.always && field.kind.is_empty(&value);
            if !omitted {
                out.insert(field.name.to_owned(), value);
            }
        }
        let known = |key: &String| of.fields.iter().any(|f| f.name == key);
        let others = map.iter().filter(|(key, value)| !known(key) && !value.is_null());
        out.extend(others.map(|(key, value)| (key.clone(), value.clone())));
        out
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> Value {
        match (kind, value) {
            (Kind::Struct(name), Value::Object(map)) => Value::Object(self.structure(find(name), map)),
            (Kind::List(item), Value::Array(items)) => {
                let items = items.iter().enumerate().map(|(i, v)| self.item(&format!("[{i}]"), item, v));
                Value::Array(items.collect())
            }
            (Kind::Map(item), Value::Object(map)) => {
                let entries = map.iter().map(|(key, v)| (key.clone(), self.item(&format!(".{key}"), item, v)));
                Value::Object(entries.collect())
            }
            (Kind::Struct(_) | Kind::Map(_), other) => self.wrong("a map", other),
            (Kind::List(_), other) => self.wrong("a list", other),
            (kind, value) => match scalar(kind, value) {
                Ok(value) => value,
                Err(wanted) => self.wrong(&wanted, value),
            },
        }
    }

    /// An item of a list or map, where null is an empty one.
    fn item(&mut self, step: &str, kind: &Kind, value: &Value) -> Value {
        match value {
            Value::Null => kind.zero(),
            value => self.within(step, |s| s.value(kind, value)),
        }
    }

    fn within<T>(&mut self, step: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(if length == 0 { step.trim_start_matches('.') } else { step });
        let result = work(self);
        self.path.truncate(length);
        result
    }

    fn wrong(&mut self, wanted: &str, found: &Value) -> Value {
        let found = match found {
            Value::Object(_) | Value::Array(_) => kind_of(found).to_owned(),
            scalar => json::to_string(scalar).chars().take(60).collect(),
        };
        let message = format!("must be {wanted}, not {found}");
        self.misfits.push(Misfit { path: self.path.clone(), message });
        Value::Null
    }
}

/// A scalar in the form its kind is written in; the error says what is wanted.
fn scalar(kind: &Kind, value: &Value) -> Result<Value, String> {
    let whole = |value: &Value| match value {
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(value.clone()),
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
        Value::Number(n) => n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| (f as i64).into()),
        _ => None,
    };
    let quoted = |value: &Value| value.as_str().and_then(|s| s.parse::<i64>().ok()).map(Value::from);
    let (found, wanted) = match kind {
        Kind::Bool => (value.as_bool().map(Value::Bool), "true or false"),
        Kind::Text => (scalar_text(value).map(Value::String), "text"),
        Kind::Int => (whole(value), "a whole number"),
        Kind::Int32 => (whole(value).or_else(|| quoted(value)), "a whole number"),
        Kind::Double => (value.is_number().then(|| value.clone()), "a number"),
        Kind::IntOrString => (whole(value).or_else(|| value.as_str().map(Value::from)), "a port's number or name"),
        Kind::Quantity => {
            let text = if value.is_boolean() { None } else { scalar_text(value) };
            (text.and_then(|t| quantity::canonical(&t)).map(Value::String), "a quantity such as 100m or 1Gi")
        }
        Kind::Duration => (value.as_str().and_then(canonical_duration).map(Value::String), "a duration such as 20s"),
        Kind::Time => (value.as_str().map(Value::from), "a time"),
        Kind::Enum(names) => {
            let by_number = value.as_u64().and_then(|i| names.get(usize::try_from(i).ok()?).copied());
            let known = value.as_str().filter(|s| names.contains(s));
            return known.or(by_number).map(Value::from).ok_or_else(|| format!("one of {}", names.join(", ")));
        }
        Kind::Any | Kind::List(_) | Kind::Map(_) | Kind::Struct(_) => (Some(value.clone()), "anything"),
    };
    found.ok_or_else(|| wanted.to_owned())
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

/// JSON with fields in the order of their type, as Go writes it; fields of no type come last.
pub(super) fn json(name: &str, value: &Value) -> String {
    json_of(&kind_of_type(name), value)
}

fn kind_of_type(name: &str) -> Kind {
    let found = find(name).name;
    if found.is_empty() { Kind::Any } else { Kind::Struct(found) }
}

/// JSON of a value of some kind.
pub(super) fn json_of(kind: &Kind, value: &Value) -> String {
    let member =
        |key: &str, kind: &Kind, value: &Value| format!("{}:{}", json::quote(key, Html::Escaped), json_of(kind, value));
    match (kind, value) {
        (Kind::Struct(name), Value::Object(map)) => {
            let fields = &find(name).fields;
            let known = fields.iter().filter_map(|f| Some(member(f.name, &f.kind, map.get(f.name)?)));
            let others = map.iter().filter(|(key, _)| !fields.iter().any(|f| f.name == *key));
            let all: Vec<_> = known.chain(others.map(|(key, v)| member(key, &Kind::Any, v))).collect();
            format!("{{{}}}", all.join(","))
        }
        (Kind::List(item), Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|v| json_of(item, v)).collect();
            format!("[{}]", items.join(","))
        }
        (Kind::Map(item), Value::Object(map)) => {
            let entries: Vec<_> = map.iter().map(|(key, v)| member(key, item, v)).collect();
            format!("{{{}}}", entries.join(","))
        }
        (_, value) => json::to_string(value),
    }
}
