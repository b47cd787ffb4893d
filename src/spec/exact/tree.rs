//! Writes and deletes at a path of a tree as `operator/pkg/tpath` does.
//!
//! A map takes any element as a key, `[0]` too. A list takes `[N]`, `[-1]` and any N past its end for a new item,
//! `[key:value]` for a map in it, and in a list of scalars a regular expression. What is missing on the way becomes a map,
//! and stays if the path leads nowhere.

use super::{ExactError, elements, in_brackets, split_unescaped};
use crate::api::text::scalar_text;
use crate::spec::patch::map_from_text;
use regex::Regex;
use serde_json::{Map, Value};

/// How the maps of a tree were read, which upstream treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A rendered object: what is missing is always a map, and what is written takes the place of what was there.
    Object,
    /// A spec: a list is made where `[N]` follows, and something that is written over a list is appended.
    Spec,
}

/// Writes a value at a path, or deletes what is there if it is null. The empty path changes nothing.
///
/// # Errors
/// The path leads nowhere. What was made on the way stays.
pub fn apply(root: &mut Value, path: &str, value: &Value, form: Form) -> Result<(), ExactError> {
    let elements = elements(path);
    if elements.is_empty() {
        return if value.is_null() { Err(ExactError::new(path, "cannot delete the root")) } else { Ok(()) };
    }
    step(root, &elements, value, form)
        .map_err(|Stop { message, is_fatal }| ExactError { is_fatal, ..ExactError::new(path, message) })
}

/// Why a step is not taken.
struct Stop {
    message: String,
    /// Whether upstream's own process dies of it.
    is_fatal: bool,
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self { message, is_fatal: false }
    }
}

fn step(node: &mut Value, path: &[String], value: &Value, form: Form) -> Result<(), Stop> {
    let Some((element, rest)) = path.split_first() else { return Ok(()) };
    match node {
        // A list in its place is not written back.
        Value::Null if index(element).is_some() || key_value(element).is_some() => {
            Err(format!("{element} does not fit null").into())
        }
        Value::Null => {
            let mut made = Value::Object(Map::new());
            step(&mut made, path, value, Form::Spec)?;
            if !value.is_null() {
                *node = made;
            }
            Ok(())
        }
        Value::Object(map) if rest.is_empty() => {
            write_entry(map, element, value, form);
            Ok(())
        }
        Value::Object(map) => {
            let is_list = form == Form::Spec && rest.first().is_some_and(|next| index(next).is_some());
            let missing = || if is_list { Value::Array(vec![]) } else { Value::Object(Map::new()) };
            step(map.entry(element.as_str()).or_insert_with(missing), rest, value, form)
        }
        Value::Array(items) => in_list(items, element, rest, value, form),
        scalar => Err(format!("{element} leads below {}", crate::api::text::describe(scalar)).into()),
    }
}

fn in_list(items: &mut Vec<Value>, element: &str, rest: &[String], value: &Value, form: Form) -> Result<(), Stop> {
    let found = match index(element) {
        Some(at) => usize::try_from(at).ok().filter(|at| *at < items.len()),
        None => Some(position(items, element)?),
    };
    match (found, found.and_then(|at| items.get_mut(at))) {
        (Some(at), Some(item)) => match (rest, value) {
            ([], Value::Null) => drop(items.remove(at)),
            ([], value) => *item = from_text(value),
            _ => step(item, rest, value, form)?,
        },
        _ if rest.is_empty() && value.is_null() => {
            return Err(Stop { message: format!("there is no item {element} to delete"), is_fatal: true });
        }
        _ if rest.is_empty() => items.push(from_text(value)),
        _ => {
            let mut item = Value::Object(Map::new());
            step(&mut item, rest, value, Form::Spec)?;
            if !value.is_null() {
                items.push(item);
            }
        }
    }
    Ok(())
}

/// The item of a list that an element without a number selects.
fn position(items: &[Value], element: &str) -> Result<usize, String> {
    for (at, item) in items.iter().enumerate() {
        let is_meant = if let Value::Object(map) = item {
            let (key, text) = key_value(element).ok_or_else(|| format!("{element} is not a [key:value]"))?;
            let found = map.get(key).map_or_else(|| Some("<nil>".to_owned()), scalar_text);
            found.is_some_and(|found| found == text)
        } else {
            let pattern = in_brackets(element).filter(|inner| !inner.is_empty());
            let pattern = pattern.ok_or_else(|| format!("{element} is not a value in brackets"))?;
            let pattern = pattern.strip_prefix(':').filter(|rest| !rest.is_empty()).unwrap_or(pattern);
            let text = scalar_text(item).unwrap_or_default();
            Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text))
        };
        if is_meant {
            return Ok(at);
        }
    }
    Err(format!("element {element} not found"))
}

fn write_entry(map: &mut Map<String, Value>, key: &str, value: &Value, form: Form) {
    let parsed = map_from_text(value);
    match (form, parsed, map.get_mut(key)) {
        _ if value.is_null() => drop(map.remove(key)),
        (Form::Spec, Some(parsed), _) => {
            map.remove(key);
            map.extend(parsed.into_iter().take(1));
        }
        (Form::Spec, None, Some(Value::Array(items))) => items.push(value.clone()),
        (_, parsed, _) => {
            map.insert(key.to_owned(), parsed.map_or_else(|| value.clone(), Value::Object));
        }
    }
}

fn from_text(value: &Value) -> Value {
    map_from_text(value).map_or_else(|| value.clone(), Value::Object)
}

/// The number of `[N]`, from -1 on.
fn index(element: &str) -> Option<i64> {
    in_brackets(element)?.parse().ok().filter(|number| *number >= -1)
}

/// Key and value of `[key:value]`.
fn key_value(element: &str) -> Option<(&str, &str)> {
    let inner = in_brackets(element)?;
    let [key, value] = split_unescaped(inner, ':').try_into().ok()?;
    let is_key = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    (!key.is_empty() && !value.is_empty() && is_key(key)).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn after(path: &str, value: &Value, form: Form) -> (Value, bool) {
        let mut tree =
            json!({"b": [{"name": "n1", "v": 1}, {"name": "n2"}], "c": null, "d": "x", "args": ["one", "two"]});
        let is_written = apply(&mut tree, path, value, form).is_ok();
        (tree, is_written)
    }

    #[test]
    fn an_object_takes_any_element_as_a_key_and_keeps_what_was_made() {
        let at = |path: &str, value: Value, pointer: &str| {
            let (tree, is_written) = after(path, &value, Form::Object);
            (tree.pointer(pointer).cloned().unwrap_or_default(), is_written)
        };
        for (path, value, pointer, expected) in [
            ("l[0]", json!("q"), "/l", (json!({"[0]": "q"}), true)),
            ("l.x[0].z", json!("q"), "/l/x", (json!({"[0]": {"z": "q"}}), true)),
            ("new.deep", json!(null), "/new", (json!({}), true)),
            ("d.x", json!(1), "/d", (json!("x"), false)),
            ("c.k", json!(1), "/c", (json!({"k": 1}), true)),
            ("c[0]", json!(1), "/c", (json!(null), false)),
            ("b.0.v", json!(2), "/b/0/v", (json!(1), false)),
            ("b[name:n1].v", json!(2), "/b/0/v", (json!(2), true)),
            ("b[9].v", json!(2), "/b/2", (json!({"v": 2}), true)),
            ("b[name:n1]", json!(null), "/b", (json!([{"name": "n2"}]), true)),
            ("args[t.*]", json!("x"), "/args", (json!(["one", "two"]), false)),
            (r"args[t\.*]", json!("x"), "/args", (json!(["one", "x"]), true)),
            ("args", json!("x"), "/args", (json!("x"), true)),
            ("d", json!("k: v"), "/d", (json!({"k": "v"}), true)),
            ("", json!({"a": 1}), "/a", (json!(null), true)),
        ] {
            assert_eq!(at(path, value, pointer), expected, "{path}");
        }
    }

    #[test]
    fn a_spec_gets_lists_and_what_is_written_over_one_is_appended() {
        let at = |path: &str, value: &Value, pointer: &str| after(path, value, Form::Spec).0.pointer(pointer).cloned();
        assert_eq!(at("l[0]", &json!(1), "/l"), Some(json!([1])));
        assert_eq!(at("l[name:x].y", &json!(1), "/l"), Some(json!({"[name:x]": {"y": 1}})));
        assert_eq!(at("args", &json!("x"), "/args"), Some(json!(["one", "two", "x"])));
        assert_eq!(at("d", &json!("k: v"), "/k"), Some(json!("v")));
    }
}
