//! The functions on maps that templates of releases from 1.18 on have: maps of text, as labels and annotations are.

use super::view;
use helm_template::gotmpl::{Function, FunctionCall, Host, List, Map, MapKind, Text, Type, Value};
use helm_template::json;
use std::collections::BTreeMap;

use Type::{Any, String as GoString};

/// The functions.
pub(super) const FUNCTIONS: &[Function] = &[
    variadic("omit", &[Any], GoString, omit),
    variadic("strdict", &[], GoString, |_, texts| {
        let texts: Vec<String> = texts.iter().filter_map(text).collect();
        let entry = |pair: &[String]| Some((pair.first()?.clone(), pair.get(1).cloned().unwrap_or_default()));
        Ok(of_texts(&texts.chunks(2).filter_map(entry).collect()))
    }),
    variadic(
        "mergeMaps",
        &[],
        Any,
        |_, maps| if maps.is_empty() { Ok(Value::Nil) } else { Ok(of_texts(&merged(maps)?)) },
    ),
    variadic("toJsonMap", &[], Any, |_, maps| match maps {
        [] => Ok(Value::string("null")),
        maps => {
            let entries = merged(maps)?.into_iter().map(|(key, value)| (key, value.into()));
            Ok(Value::string(json::to_string(&serde_json::Value::Object(entries.collect()))))
        }
    }),
    Function {
        name: "omitNil",
        params: &[Any],
        variadic: None,
        call: |_, args| Ok(without_nil(args.first().unwrap_or(&Value::Nil), MOST_NESTED)?.unwrap_or(Value::Nil)),
    },
];

const fn variadic(name: &'static str, params: &'static [Type], more: Type, call: FunctionCall) -> Function {
    Function { name, params, variadic: Some(more), call }
}

/// Values are never nested deeper; only a map that a template has put into itself is.
const MOST_NESTED: usize = 500;

type Texts = BTreeMap<String, String>;

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_str().into_owned()),
        _ => None,
    }
}

fn of_texts(texts: &Texts) -> Value {
    view::strings(texts.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The entries of a map whose values are texts.
fn texts(map: &Value) -> Result<Texts, String> {
    let Value::Map(map) = map else {
        return if matches!(map, Value::Nil) { Ok(Texts::new()) } else { Err(no_texts(map)) };
    };
    let entry = |(key, value): (Text, Value)| {
        text(&value).map(|text| (key.to_str().into_owned(), text)).ok_or_else(|| no_texts(&value))
    };
    map.snapshot().into_iter().map(entry).collect()
}

fn no_texts(found: &Value) -> String {
    format!("wrong type for value; expected map[string]string; got {}", found.type_name())
}

/// Maps in one; what a later one has wins.
fn merged(maps: &[Value]) -> Result<Texts, String> {
    let mut all = Texts::new();
    for map in maps {
        all.extend(texts(map)?);
    }
    Ok(all)
}

fn omit(_: &Host, args: &[Value]) -> Result<Value, String> {
    let mut left = texts(args.first().unwrap_or(&Value::Nil))?;
    for name in args.iter().skip(1).filter_map(text) {
        left.remove(&name);
    }
    Ok(of_texts(&left))
}

/// A value without what is nil in it; none where nothing is left of a map or list that had some. One that has none stays as it is.
fn without_nil(value: &Value, deeper: usize) -> Result<Option<Value>, String> {
    let deeper = deeper.checked_sub(1).ok_or("a map or list contains itself")?;
    match value {
        Value::Nil => Ok(None),
        Value::Map(map) if map.kind() != MapKind::Strings => {
            let entries = map.snapshot();
            let mut kept = BTreeMap::new();
            for (key, value) in &entries {
                if let Some(value) = without_nil(value, deeper)? {
                    kept.insert(key.clone(), value);
                }
            }
            let is_lost = kept.is_empty() && !entries.is_empty();
            Ok((!is_lost).then(|| Value::Map(Map::from_entries(map.kind(), kept))))
        }
        Value::List(list) => {
            let items = list.snapshot();
            let mut kept = vec![];
            for item in &items {
                kept.extend(without_nil(item, deeper)?);
            }
            let is_lost = kept.is_empty() && !items.is_empty();
            Ok((!is_lost).then(|| Value::List(List::new(list.kind(), kept))))
        }
        other => Ok(Some(other.clone())),
    }
}
