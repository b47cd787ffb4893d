//! Base64, base32, JSON, YAML and TOML, out and in.
//!
//! Helm's functions never fail: a value that cannot be written gives an empty text, a text that cannot be read gives a
//! map with the key `Error`, or a list with the error text in it. The `must` forms fail instead.

use super::args::{at, fixed, text};
use super::base::{base32, base64, decode32, decode64};
use super::{json_read, json_write, toml_read, toml_write};
use crate::gotmpl::Type::{Any, String as GoString};
use crate::gotmpl::{Document, Function, Map, MapKind, Text, Value, changes};
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
    let is_as_parsed = |last: &Parsed| last.text == text && last.changes == changes() && last.map.is_unshared();
    if let Some(last) = PARSED.take().filter(is_as_parsed) {
        return Ok(Value::Map(last.map));
    }
    let value = yaml::parse_helm(text).map(Value::from_document).map_err(|error| error.to_string())?;
    if let Value::Map(map) = &value {
        PARSED.set(Some(Parsed { text: text.to_owned(), map: map.clone(), changes: changes() }));
    }
    Ok(value)
}

/// From this length on a text is parsed but once where a template looks into it twice in a row, as charts do with their
/// definitions: for the name, and for the whole.
const LARGE: usize = 4 << 10;

/// What a text was parsed to. It is what it was as long as nothing has been changed since.
struct Parsed {
    text: String,
    map: Map,
    changes: u64,
}

thread_local! {
    /// The last large text, until it is asked for again.
    static PARSED: RefCell<Option<Parsed>> = const { RefCell::new(None) };
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
    let by_entry = if let (Value::Map(map), true) = (v, through_json) { by_entry(map) } else { None };
    let text = by_entry.or_else(|| to_tree(v, through_json).and_then(|tree| write(&tree))).unwrap_or_default();
    Value::string(text.strip_suffix('\n').unwrap_or(&text))
}

/// The text of a map, entry by entry: what nobody has looked into is written as it is, without a copy. None for a map that is
/// to be written as a whole, such as one whose keys might come in another order.
fn by_entry(map: &Map) -> Option<String> {
    let is_simple = |key: &Text| key.as_bytes().iter().all(u8::is_ascii_alphabetic);
    let is_unread = |v: &Value| matches!(v, Value::Map(inner) if inner.unread(|_| ()).is_some());
    let (mut all_simple, mut any_unread) = (map.unread(|_| ()).is_none(), false);
    if all_simple {
        map.each(|key, v| {
            any_unread |= is_unread(v);
            all_simple &= is_simple(key);
            all_simple
        });
    }
    if !all_simple || !any_unread {
        return None;
    }
    let mut text = String::new();
    for (key, v) in map.snapshot() {
        let key = key.to_str().into_owned();
        let unread = match &v {
            Value::Map(inner) => inner.with_unread(|document| {
                let one = serde_json::Map::from_iter([(key.clone(), Json::Object(std::mem::take(document)))]);
                let (written, one) = write_object(one);
                if let Some(Json::Object(taken)) = one.into_iter().next().map(|(_, taken)| taken) {
                    *document = taken;
                }
                written
            }),
            _ => None,
        };
        let written = match unread {
            Some(written) => written?,
            None => write_object(serde_json::Map::from_iter([(key, to_tree(&v, true)?)])).0?,
        };
        text.push_str(&written);
    }
    Some(text)
}

fn write_object(object: Document) -> (Option<String>, Document) {
    let object = Json::Object(object);
    let written = yaml::to_string(&object);
    (written, if let Json::Object(object) = object { object } else { Document::new() })
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

    fn large() -> String {
        format!("a: {{b: 1, c: 1e6, d: [1.5, x]}}\nm: {{name: one}}\nz: {}\n", "x".repeat(LARGE))
    }

    fn map(v: Value) -> Map {
        let Value::Map(map) = v else { panic!("no map") };
        map
    }

    #[test]
    fn a_text_read_twice_is_another_map_once_the_first_is_changed() {
        let text = large();
        let read = || map(yaml_map(text.as_bytes()));
        let name = |m: &Map| map(m.get("m").unwrap()).get("name").unwrap();
        assert!(matches!(name(&read()), Value::String(_)));
        let again = read();
        map(again.get("m").unwrap()).set("name", Value::Nil);
        assert!(matches!(name(&again), Value::Nil));
        assert!(matches!(name(&read()), Value::String(_)), "as it is written");
        let kept = map(read().get("m").unwrap());
        let other = read();
        kept.set("name", Value::Nil);
        assert!(matches!(name(&other), Value::String(_)), "another map");
    }

    #[test]
    fn what_nobody_has_looked_into_is_written_as_what_somebody_has() {
        let text = large();
        let untouched = map(yaml_map(text.as_bytes()));
        untouched.set("m", Value::map([("name", Value::Float(2.0))]));
        let written = to_yaml(&Value::Map(untouched.clone()), true, yaml::to_string);
        let seen = map(yaml_map(text.as_bytes()));
        assert_eq!(map(seen.get("a").unwrap()).snapshot().len(), 3);
        seen.set("m", Value::map([("name", Value::Float(2.0))]));
        let (Value::String(written), Value::String(other)) =
            (written, to_yaml(&Value::Map(seen), true, yaml::to_string))
        else {
            panic!("no text")
        };
        assert_eq!(written.to_str(), other.to_str());
        assert!(written.to_str().starts_with("a:\n  b: 1\n  c: 1000000\n  d:\n  - 1.5\n  - x\nm:\n  name: 2\nz: xx"));
        assert!(untouched.get("a").is_some_and(|a| map(a).len() == 3), "it is still there");
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
