//! Tables of values as templates see them: from JSON, to JSON, copied, and looked up by dotted paths.

use super::preparation::Preparation;
use crate::gotmpl::{List, Map, MapKind, Value, price};

/// A deep copy of a value: nothing is shared with the original.
#[must_use]
pub fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy_map(map)),
        Value::List(list) => Value::List(List::new(list.kind(), list.snapshot().iter().map(deep_copy).collect())),
        other => other.clone(),
    }
}

/// A deep copy of a table.
#[must_use]
pub fn copy_map(map: &Map) -> Map {
    let entries = map.snapshot().into_iter().map(|(k, v)| (k, deep_copy(&v)));
    Map::from_entries(map.kind(), entries.collect())
}

/// [`copy_map`], if the budgets of the render allow it.
///
/// # Errors
/// They do not.
pub fn paid_copy(map: &Map, preparation: &Preparation) -> Result<Map, String> {
    const LARGE: u64 = 1 << 30;
    let size = price::weight(&Value::Map(map.clone()), LARGE);
    preparation.pay(size * 2, size)?;
    Ok(copy_map(map))
}

/// Puts the values of one file over those of the files before it, as `-f first.yaml -f second.yaml` does: tables are merged,
/// everything else is replaced.
pub fn merge_values(
    base: &mut serde_json::Map<String, serde_json::Value>,
    more: serde_json::Map<String, serde_json::Value>,
) {
    use serde_json::Value as Json;
    for (key, value) in more {
        match (base.get_mut(&key), value) {
            (Some(Json::Object(old)), Json::Object(new)) => merge_values(old, new),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// A template value as JSON; structs by their JSON form.
#[must_use]
pub fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Nil => Json::Null,
        Value::Bool(b) => Json::from(*b),
        Value::Int(i) | Value::Int64(i) => Json::from(*i),
        Value::Uint64(u) => Json::from(*u),
        Value::Float(f) => Json::from(*f),
        Value::String(s) => Json::from(s.to_str()),
        Value::List(list) => list.snapshot().iter().map(to_json).collect(),
        Value::Map(map) => map.snapshot().iter().map(|(k, v)| (k.to_str().into_owned(), to_json(v))).collect(),
        Value::Object(o) => o.to_json().ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
    }
}

/// The table at a dotted path.
///
/// # Errors
/// The part of the path that is not a table.
pub fn table<'p>(values: &Map, path: &'p str) -> Result<Map, &'p str> {
    path.split('.').try_fold(values.clone(), |map, part| match map.get(part) {
        Some(Value::Map(inner)) => Ok(inner),
        _ => Err(part),
    })
}

/// The value at a dotted path, unless it is a table.
#[must_use]
pub fn path_value(values: &Map, path: &str) -> Option<Value> {
    let (parent, key) = match path.rsplit_once('.') {
        Some((parent, key)) => (table(values, parent).ok()?, key),
        None => (values.clone(), path),
    };
    parent.get(key).filter(|v| !matches!(v, Value::Map(_)))
}

/// A JSON object as a table.
#[must_use]
pub fn from_json(object: &serde_json::Map<String, serde_json::Value>) -> Map {
    let entries = object.iter().map(|(k, v)| (k.as_str().into(), Value::from_json(v)));
    Map::from_entries(MapKind::Any, entries.collect())
}
