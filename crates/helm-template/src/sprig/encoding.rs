//! Base64, base32, JSON, YAML and TOML, out and in.
//!
//! Helm's functions never fail: a value that cannot be written gives an empty text, a text that cannot be read gives a
//! map with the key `Error`, or a list with the error text in it. The `must` forms fail instead.

use super::args::{at, fixed, text};
use super::base::{base32, base64, decode32, decode64};
use super::{json_read, json_write, toml_read, toml_write};
use crate::gotmpl::Type::{Any, String as GoString};
use crate::gotmpl::{Document, Function, Map, MapKind, Value};
use crate::json::Html;
use crate::yaml;
use serde_json::Value as Json;
use std::cell::RefCell;

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("b64enc", &[GoString], |_, a| Ok(Value::string(base64(text(a, 0))))),
    fixed("b64dec", &[GoString], |_, a| Ok(Value::string(decode64(text(a, 0)).unwrap_or_else(String::into_bytes)))),
    fixed("b32enc", &[GoString], |_, a| Ok(Value::string(base32(text(a, 0))))),
    fixed("b32dec", &[GoString], |_, a| Ok(Value::string(decode32(text(a, 0)).unwrap_or_else(String::into_bytes)))),
    fixed("toJson", &[Any], |_, a| Ok(or_empty(json_write::compact(at(a, 0), Html::Escaped)))),
    fixed("mustToJson", &[Any], |_, a| json_write::compact(at(a, 0), Html::Escaped).map(Value::string)),
    fixed("toPrettyJson", &[Any], |_, a| Ok(or_empty(json_write::pretty(at(a, 0))))),
    fixed("mustToPrettyJson", &[Any], |_, a| json_write::pretty(at(a, 0)).map(Value::string)),
    fixed("toRawJson", &[Any], |_, a| json_write::compact(at(a, 0), Html::Raw).map(Value::string)),
    fixed("mustToRawJson", &[Any], |_, a| json_write::compact(at(a, 0), Html::Raw).map(Value::string)),
    fixed("fromJson", &[GoString], |_, a| Ok(json_map(text(a, 0)))),
    fixed("fromJsonArray", &[GoString], |_, a| Ok(json_list(text(a, 0)))),
    fixed("mustFromJson", &[GoString], |_, a| {
        let document = json_read::parse(text(a, 0))?;
        document.misfit.map_or(Ok(document.value), Err)
    }),
    fixed("toYaml", &[Any], |_, a| Ok(to_yaml(at(a, 0), true, yaml::to_string))),
    fixed("toYamlPretty", &[Any], |_, a| Ok(to_yaml(at(a, 0), false, yaml::to_string_pretty))),
    fixed("fromYaml", &[GoString], |_, a| Ok(yaml_map(text(a, 0)))),
    fixed("fromYamlArray", &[GoString], |_, a| Ok(yaml_list(text(a, 0)))),
    fixed("toToml", &[Any], |_, a| to_toml(at(a, 0))),
    fixed("fromToml", &[GoString], |_, a| Ok(from_toml(text(a, 0)))),
];

/// Only a value that contains itself is nested deeper than this.
const MAX_DEPTH: usize = 500;

const MAP_TYPE: &str = "map[string]interface {}";
const LIST_TYPE: &str = "[]interface {}";

fn or_empty(text: Result<String, String>) -> Value {
    Value::string(text.unwrap_or_default())
}

fn error_map(text: &str) -> Value {
    Value::map([("Error", Value::string(text))])
}

fn error_list(text: &str) -> Value {
    Value::list(vec![Value::string(text)])
}

/// Go's error for a JSON value of another type than requested.
fn unfit(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::List(_) => "array",
        Value::Map(_) => "object",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

fn json_map(text: &[u8]) -> Value {
    let document = match json_read::parse(text) {
        Ok(document) => document,
        Err(e) => return error_map(&e),
    };
    match (document.value, document.misfit) {
        (Value::Map(m), misfit) => {
            // Go returns what it has read so far along with the error.
            if let Some(misfit) = misfit {
                m.set("Error", Value::string(misfit));
            }
            Value::Map(m)
        }
        (Value::Nil, None) => Value::Map(Map::new(MapKind::Any)),
        (other, _) => error_map(&unfit(&other, MAP_TYPE)),
    }
}

fn json_list(text: &[u8]) -> Value {
    let document = match json_read::parse(text) {
        Ok(document) => document,
        Err(e) => return error_list(&e),
    };
    match (document.value, document.misfit) {
        (Value::List(_), Some(misfit)) => error_list(&misfit),
        (Value::List(l), None) => Value::List(l),
        (Value::Nil, None) => Value::list(Vec::new()),
        (other, _) => error_list(&unfit(&other, LIST_TYPE)),
    }
}

fn parse_yaml(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| "error converting YAML to JSON: yaml: invalid leading UTF-8 octet".to_owned())?;
    if text.len() < LARGE {
        return yaml::parse_helm(text).map(Value::from_document).map_err(|error| error.to_string());
    }
    let known = PARSED.take().filter(|(parsed, _)| parsed == text);
    if let Some((_, tree)) = known {
        return Ok(Value::from_document(tree));
    }
    let tree = yaml::parse_helm(text).map_err(|error| error.to_string())?;
    PARSED.set(Some((text.to_owned(), tree.clone())));
    Ok(Value::from_document(tree))
}

/// From this length on a text is parsed but once where a template looks into it twice in a row, as charts do with their
/// definitions: for the name, and for the whole.
const LARGE: usize = 4 << 10;

thread_local! {
    /// The last large text, until it is asked for again.
    static PARSED: RefCell<Option<(String, Json)>> = const { RefCell::new(None) };
}

fn yaml_map(text: &[u8]) -> Value {
    match parse_yaml(text) {
        Ok(Value::Map(m)) => Value::Map(m),
        Ok(Value::Nil) => Value::Map(Map::new(MapKind::Any)),
        Ok(other) => error_map(&unmarshaling(&other, MAP_TYPE)),
        Err(e) => error_map(&e),
    }
}

fn yaml_list(text: &[u8]) -> Value {
    match parse_yaml(text) {
        Ok(Value::List(l)) => Value::List(l),
        Ok(Value::Nil) => Value::list(Vec::new()),
        Ok(other) => error_list(&unmarshaling(&other, LIST_TYPE)),
        Err(e) => error_list(&e),
    }
}

fn unmarshaling(value: &Value, wanted: &str) -> String {
    format!("error unmarshaling JSON: while decoding JSON: {}", unfit(value, wanted))
}

/// A tree as a template value: numbers are `float64`, as in everything Helm reads from YAML.
#[must_use]
pub fn from_tree(tree: &Json) -> Value {
    Value::from_document(tree.clone())
}

/// A template value as a tree. With `through_json`, a float without fraction becomes the integer that its JSON text
/// reads as. `None` for what JSON cannot hold.
#[must_use]
pub fn to_tree(v: &Value, through_json: bool) -> Option<Json> {
    tree_of(v, through_json, 0)
}

fn tree_of(v: &Value, through_json: bool, depth: usize) -> Option<Json> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match v {
        Value::Nil => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) | Value::Int64(i) => Json::from(*i),
        Value::Uint64(u) => Json::from(*u),
        Value::Float(f) => Json::Number(number(*f, through_json)?),
        Value::String(s) => Json::String(s.to_str().into_owned()),
        Value::List(l) if l.kind() == crate::gotmpl::ListKind::Bytes => {
            let encoded = base64(&super::cast::byte_items(&l.snapshot()));
            Json::String(String::from_utf8_lossy(&encoded).into_owned())
        }
        Value::List(l) => {
            let items = l.snapshot();
            Json::Array(items.iter().map(|item| tree_of(item, through_json, depth + 1)).collect::<Option<_>>()?)
        }
        Value::Map(m) if let Some(tree) = m.unread(|entries| entries_of(entries, through_json, depth)) => tree?,
        Value::Map(m) => {
            let mut object = serde_json::Map::new();
            let mut is_whole = true;
            m.each(|key, value| {
                let tree = tree_of(value, through_json, depth + 1);
                is_whole = tree.is_some();
                object.extend(tree.map(|tree| (key.to_str().into_owned(), tree)));
                is_whole
            });
            is_whole.then_some(Json::Object(object))?
        }
        Value::Object(o) => {
            let document = json_read::parse(o.to_json().ok()?.as_bytes()).ok()?;
            tree_of(&document.value, through_json, depth + 1)?
        }
    })
}

/// The same of entries that nobody has looked into, all of whose numbers are floats.
fn entries_of(entries: &Document, through_json: bool, depth: usize) -> Option<Json> {
    let pairs = entries.iter().map(|(key, v)| Some((key.clone(), document_of(v, through_json, depth + 1)?)));
    pairs.collect::<Option<_>>().map(Json::Object)
}

fn document_of(v: &Json, through_json: bool, depth: usize) -> Option<Json> {
    match v {
        _ if depth > MAX_DEPTH => None,
        Json::Number(n) => number(n.as_f64()?, through_json).map(Json::Number),
        Json::Array(items) => {
            let items = items.iter().map(|item| document_of(item, through_json, depth + 1));
            items.collect::<Option<_>>().map(Json::Array)
        }
        Json::Object(entries) => entries_of(entries, through_json, depth),
        Json::Null | Json::Bool(_) | Json::String(_) => Some(v.clone()),
    }
}

/// The number of a float; through JSON, an integer of 64 bits if its plain digits are one.
fn number(f: f64, through_json: bool) -> Option<serde_json::Number> {
    if through_json && f.fract() == 0.0 {
        let text = crate::number::json_float_text(f)?;
        let text = if text == "-0" { "0" } else { &text };
        if let Ok(i) = text.parse::<i64>() {
            return Some(i.into());
        }
        if let Ok(u) = text.parse::<u64>() {
            return Some(u.into());
        }
    }
    serde_json::Number::from_f64(f)
}

fn to_yaml(v: &Value, through_json: bool, write: fn(&Json) -> Option<String>) -> Value {
    let text = to_tree(v, through_json).and_then(|tree| write(&tree)).unwrap_or_default();
    Value::string(text.strip_suffix('\n').unwrap_or(&text))
}

fn to_toml(v: &Value) -> Result<Value, String> {
    if matches!(v, Value::Nil) {
        return Err("reflect: call of reflect.Value.Type on zero Value".to_owned());
    }
    Ok(Value::string(toml_write::to_string(v).unwrap_or_else(String::into_bytes)))
}

fn from_toml(text: &[u8]) -> Value {
    let text = std::str::from_utf8(text).map_err(|_| "toml: invalid UTF-8 in the document".to_owned());
    text.and_then(toml_read::parse).map_or_else(|e| error_map(&e), Value::Map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sprig::testing;

    #[test]
    fn texts_are_encoded_as_in_helm() {
        testing::check(include_str!("testdata/encoding.txt"));
    }

    #[test]
    fn toml_comes_out_as_in_helm() {
        testing::check(include_str!("testdata/toml.txt"));
    }

    #[test]
    fn a_map_that_contains_itself_is_written_nowhere() {
        let map = Map::new(MapKind::Any);
        map.set("a", Value::Map(map.clone()));
        map.set("b", Value::list(vec![Value::Map(map.clone())]));
        let v = Value::Map(map);
        assert!(json_write::compact(&v, Html::Escaped).is_err());
        assert!(to_tree(&v, true).is_none());
        assert!(toml_write::to_string(&v).is_err());
    }
}
