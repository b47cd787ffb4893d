//! Writes and deletes at a path.
//!
//! In: a tree, a [`Path`], a value and a [`Mode`]. Out: the changed tree, or a [`PathError`] that names the element at
//! which the path fails and what there is instead. On error the tree may hold intermediate maps that were created on the
//! way; callers drop it.
//!
//! | | [`Mode::Overlay`] | [`Mode::Set`] |
//! |---|---|---|
//! | used for | `k8s.overlays` patches on rendered objects | `--set` flags and translated values |
//! | missing key on the way | map, or a list before `[N]` | the same |
//! | `[key:value]` without match | error | a new item with that entry |
//! | write over a list | replaced | a list replaces it, anything else is appended |
//! | text that is a YAML map | becomes that map | is text |
//!
//! Both: `[-1]` and indexes past the end append, `[key:value]` at the end replaces the whole item, null on the way becomes
//! a map or list. Deleting what is not there does nothing in a map and is an error in a list.
//!
//! Differences to upstream Istio, where its outcome is useless: the text of a flag stays text; `a.x[0]` on a missing or null `x` makes a list (there: a
//! key `[0]`, or a failure); `[key:value]` makes an item in set trees (there: a key of that name); deleting past the end
//! of a list is an error (there: the process dies); items of nested lists can be deleted; deleting below a missing key
//! leaves no empty maps behind.

use serde_json::{Map, Value};

use super::path::{Element, Path, PathError, PathProblem, item_index, leaf, misfit, out_of_range};
use super::set::parse_value;
use helm_template::yaml;

#[cfg(test)]
mod tests;

/// Which rules hold, see the table of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Patches on rendered objects.
    Overlay,
    /// `--set` flags.
    Set,
}

/// Writes `value` at `path`, or deletes what is there if the value is null.
///
/// # Errors
/// See [`PathError`].
pub fn apply(root: &mut Value, path: &Path, value: Value, mode: Mode) -> Result<(), PathError> {
    if value.is_null() { delete(root, path) } else { write(root, path, value, mode) }
}

/// Writes `value` at `path`, creating what is missing on the way.
///
/// # Errors
/// See [`PathError`].
pub fn write(root: &mut Value, path: &Path, value: Value, mode: Mode) -> Result<(), PathError> {
    let Some((last, way)) = path.elements().split_last() else { return Err(root_error(path)) };
    let mut node = root;
    for (position, element) in way.iter().enumerate() {
        let next = path.elements().get(position + 1).unwrap_or(last);
        node = descend(node, element, next, path, mode)?;
    }
    become_collection(node, last);
    match node {
        Value::Array(items) => write_item(items, last, value, path, mode),
        Value::Object(map) => match last {
            Element::Key(key) => {
                write_entry(map, key, value, mode);
                Ok(())
            }
            _ => Err(misfit("map", last, path)),
        },
        _ => Err(leaf(node, last, path)),
    }
}

/// Deletes what is at `path`.
///
/// # Errors
/// See [`PathError`].
pub fn delete(root: &mut Value, path: &Path) -> Result<(), PathError> {
    let Some((last, way)) = path.elements().split_last() else { return Err(root_error(path)) };
    let mut node = root;
    for element in way {
        node = match node {
            Value::Null => return Ok(()),
            Value::Object(map) => match element {
                Element::Key(key) => match map.get_mut(key) {
                    Some(next) => next,
                    None => return Ok(()),
                },
                _ => return Err(misfit("map", element, path)),
            },
            Value::Array(items) => {
                let index = item_index(items, element, path)?;
                let length = items.len();
                items.get_mut(index).ok_or_else(|| out_of_range(length, element, path))?
            }
            _ => return Err(leaf(node, element, path)),
        };
    }
    match node {
        Value::Null => Ok(()),
        Value::Object(map) => match last {
            Element::Key(key) => {
                map.remove(key);
                Ok(())
            }
            _ => Err(misfit("map", last, path)),
        },
        Value::Array(items) => {
            let index = item_index(items, last, path)?;
            if index >= items.len() {
                return Err(out_of_range(items.len(), last, path));
            }
            items.remove(index);
            Ok(())
        }
        _ => Err(leaf(node, last, path)),
    }
}

fn root_error(path: &Path) -> PathError {
    path.error(&Element::Key(String::new()), PathProblem::Root, Vec::new())
}

/// One step down; `next` is the element after it and decides what is created.
fn descend<'a>(
    node: &'a mut Value,
    element: &Element,
    next: &Element,
    path: &Path,
    mode: Mode,
) -> Result<&'a mut Value, PathError> {
    become_collection(node, element);
    match node {
        Value::Object(map) => match element {
            Element::Key(key) => Ok(map.entry(key.as_str()).or_insert_with(|| empty_for(next))),
            _ => Err(misfit("map", element, path)),
        },
        Value::Array(items) => {
            let index = match item_index(items, element, path) {
                Ok(index) => index,
                Err(error) => append_named(items, element, mode).ok_or(error)?,
            };
            if index >= items.len() {
                items.push(empty_for(next));
            }
            let length = items.len();
            items.get_mut(index).ok_or_else(|| out_of_range(length, element, path))
        }
        _ => Err(leaf(node, element, path)),
    }
}

/// Turns a null into what the element selects from: a map or a list.
fn become_collection(node: &mut Value, element: &Element) {
    if node.is_null() {
        *node = empty_for(element);
    }
}

fn empty_for(element: &Element) -> Value {
    match element {
        Element::Key(_) => Value::Object(Map::new()),
        Element::Index(_) | Element::KeyValue { .. } | Element::Match(_) => Value::Array(Vec::new()),
    }
}

/// With [`Mode::Set`], appends the item that `[key:value]` names, as another layer may have it; returns its index.
fn append_named(items: &mut Vec<Value>, element: &Element, mode: Mode) -> Option<usize> {
    let Element::KeyValue { key, value } = element else { return None };
    if mode == Mode::Overlay || items.iter().any(|item| !item.is_object()) {
        return None;
    }
    // A name is text even if it looks like a number; a port is a number.
    let value = if key == "name" { Value::String(value.clone()) } else { parse_value(value) };
    items.push(Value::Object(Map::from_iter([(key.clone(), value)])));
    Some(items.len() - 1)
}

fn write_item(
    items: &mut Vec<Value>,
    element: &Element,
    value: Value,
    path: &Path,
    mode: Mode,
) -> Result<(), PathError> {
    let index = match item_index(items, element, path) {
        Ok(index) => index,
        Err(error) => append_named(items, element, mode).ok_or(error)?,
    };
    let value = read_value(value, mode);
    match items.get_mut(index) {
        Some(item) => *item = value,
        None => items.push(value),
    }
    Ok(())
}

fn write_entry(map: &mut Map<String, Value>, key: &str, value: Value, mode: Mode) {
    let value = read_value(value, mode);
    match map.get_mut(key) {
        Some(Value::Array(items)) if mode == Mode::Set && !value.is_array() => items.push(value),
        _ => {
            map.insert(key.to_owned(), value);
        }
    }
}

/// The value that is written. Upstream takes the text of a flag for a map too, and writes its first entry in the key's place.
fn read_value(value: Value, mode: Mode) -> Value {
    match mode {
        Mode::Overlay => map_from_text(&value).map_or(value, Value::Object),
        Mode::Set => value,
    }
}

/// The map that a string is the YAML text of: one line with `: `, or several lines with `:`, but no JSON object.
pub(super) fn map_from_text(value: &Value) -> Option<Map<String, Value>> {
    let text = value.as_str()?;
    let looks_like_map = if text.contains('\n') { text.contains(':') } else { text.contains(": ") };
    if !looks_like_map || serde_json::from_str::<Map<String, Value>>(text).is_ok() {
        return None;
    }
    match yaml::parse(text) {
        Ok(Value::Object(map)) if !map.is_empty() => Some(map),
        _ => None,
    }
}
