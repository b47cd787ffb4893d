//! Kubernetes strategic merge patch: one layer over another, with lists merged by key where the description of the API says so.
//!
//! In: a base, a patch and a [`MergeSchema`]. Out: the merged tree. Maps merge, scalars and lists are replaced, null
//! deletes; the schema names the exceptions. Rules and order of list items are those of Kubernetes' `strategicpatch`:
//! items of the patch come before items that only the base has, unless the base's own order says otherwise; hence a new
//! item at the head of the patch goes to the front of the list.
//!
//! Directives in the patch: `$patch: delete|replace|merge` (in maps and, as an item, in lists), `$retainKeys`,
//! `$deleteFromPrimitiveList/field`, `$setElementOrder/field`. They never reach the result.

use named::PATCH;
use serde_json::{Map, Value};

use super::path::scalar_text;
use crate::api::schema::Merge;
use helm_template::json;

mod named;
mod order;
mod schema;
#[cfg(test)]
mod tests;

pub use schema::{BudgetSchema, ExactSchema, IstioOperatorSchema, MergeSchema, PlainSchema, WorkloadSchema};

/// Why two layers cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// An item of a list that is merged by key lacks the key.
    #[error("{path}: item {item} does not contain the merge key {key}; give it the {key} of the item it belongs to")]
    MissingKey {
        /// Where the list is.
        path: String,
        /// The merge key.
        key: String,
        /// The item as JSON, shortened.
        item: String,
    },
    /// An item without a namespace, where the base has several of its name.
    #[error(
        "{path}: there are several named {name}, in the namespaces {namespaces}; say which is meant by its namespace"
    )]
    Ambiguous {
        /// Where the list is.
        path: String,
        /// The name.
        name: String,
        /// The namespaces of those that it may mean.
        namespaces: String,
    },
    /// A `$patch` with another text than `delete`, `replace` or `merge`, or where none is allowed.
    #[error("{path}: {directive} is not a valid patch directive")]
    Directive {
        /// Where it is.
        path: String,
        /// The directive.
        directive: String,
    },
    /// `$retainKeys` does not list a key that the patch sets.
    #[error("{path}: $retainKeys does not list {key}, which the patch sets")]
    RetainKeys {
        /// Where it is.
        path: String,
        /// The key.
        key: String,
    },
}

const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// Merges `patch` over `base`. A null patch leaves the base as it is.
///
/// # Errors
/// See [`MergeError`].
pub fn strategic_merge(base: Value, patch: &Value, schema: &dyn MergeSchema) -> Result<Value, MergeError> {
    let mut merger = Merger { schema, path: Vec::new() };
    match (base, patch) {
        (base, Value::Null) => Ok(base),
        (Value::Object(base), Value::Object(patch)) => merger.map(base, patch).map(Value::Object),
        (_, patch) => Ok(cleaned(patch)),
    }
}

/// Merges two lists by rule, as [`strategic_merge`] does for a field with this path.
///
/// # Errors
/// See [`MergeError`].
pub fn merge_lists(
    base: &[Value],
    patch: &[Value],
    rule: Merge,
    field: &[&str],
    schema: &dyn MergeSchema,
) -> Result<Vec<Value>, MergeError> {
    let mut merger = Merger { schema, path: field.iter().map(|part| (*part).to_owned()).collect() };
    merger.list(base, patch, rule, None)
}

struct Merger<'a> {
    schema: &'a dyn MergeSchema,
    path: Vec<String>,
}

impl Merger<'_> {
    fn map(&mut self, base: Map<String, Value>, patch: &Map<String, Value>) -> Result<Map<String, Value>, MergeError> {
        match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            None | Some("merge") => {}
            Some("delete") => return Ok(Map::new()),
            Some("replace") => return Ok(cleaned_map(patch)),
            Some(_) => return Err(self.bad_directive(patch.get(PATCH))),
        }
        let mut out = base;
        self.retain(&mut out, patch)?;
        for (key, value) in patch {
            if key == PATCH || key == RETAIN_KEYS {
                continue;
            }
            if let Some(field) = key.strip_prefix(DELETE_FROM) {
                remove_scalars(out.get_mut(field), value);
            } else if let Some(field) = key.strip_prefix(ELEMENT_ORDER) {
                // A field that the patch itself gives takes its order when it is merged below.
                if !patch.contains_key(field) {
                    self.field(&mut out, field, &Value::Array(Vec::new()), patch)?;
                }
            } else {
                self.field(&mut out, key, value, patch)?;
            }
        }
        Ok(out)
    }

    fn field(
        &mut self,
        out: &mut Map<String, Value>,
        key: &str,
        value: &Value,
        patch: &Map<String, Value>,
    ) -> Result<(), MergeError> {
        self.path.push(key.to_owned());
        let segments: Vec<&str> = self.path.iter().map(String::as_str).collect();
        if value.is_null() {
            if out.get(key).is_some_and(|base| self.schema.null_removes(&segments, base)) {
                out.remove(key);
            }
            self.path.pop();
            return Ok(());
        }
        let rule = self.schema.rule(&segments);
        let merged = match (out.remove(key), value) {
            (Some(Value::Object(base)), Value::Object(patch)) if rule != Merge::Replace => {
                Value::Object(self.map(base, patch)?)
            }
            (Some(Value::Array(base)), Value::Array(items))
                if matches!(rule, Merge::Key(_) | Merge::Named | Merge::Set) =>
            {
                let order = patch.get(&format!("{ELEMENT_ORDER}{key}")).and_then(Value::as_array);
                Value::Array(self.list(&base, items, rule, order.map(Vec::as_slice))?)
            }
            _ if self.schema.drops_directed() => {
                let Some(value) = undirected(value) else {
                    self.path.pop();
                    return Ok(());
                };
                cleaned(&value)
            }
            _ => cleaned(value),
        };
        self.path.pop();
        out.insert(key.to_owned(), merged);
        Ok(())
    }

    fn list(
        &mut self,
        base: &[Value],
        patch: &[Value],
        rule: Merge,
        order: Option<&[Value]>,
    ) -> Result<Vec<Value>, MergeError> {
        let key = match rule {
            Merge::Key(key) => Some(key),
            Merge::Named => return self.named_list(base, patch, order),
            Merge::Set => None,
            Merge::Merge | Merge::Replace => return Ok(patch.iter().map(cleaned).collect()),
        };
        let mut merged = base.to_vec();
        let mut items: Vec<Value> = Vec::new();
        let mut replaces = false;
        for item in patch {
            match item.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
                Some("replace") => replaces = true,
                Some("delete") => {
                    let wanted = self.identity(item, key)?;
                    merged.retain(|old| identity(old, key) != Some(wanted.clone()));
                }
                Some(_) => return Err(self.bad_directive(item.get(PATCH))),
                None => items.push(item.clone()),
            }
        }
        if replaces {
            return Ok(items.iter().map(cleaned).collect());
        }
        for item in &items {
            let wanted = self.identity(item, key)?;
            let place = merged.iter().position(|old| identity(old, key).as_ref() == Some(&wanted));
            match (place.and_then(|index| merged.get_mut(index)), item) {
                (Some(Value::Object(old)), Value::Object(item)) => *old = self.map(std::mem::take(old), item)?,
                (Some(_), _) => {}
                (None, item) => merged.push(cleaned(item)),
            }
        }
        Ok(order::interleave(merged, base, order.unwrap_or(&items), |item| identity(item, key)))
    }

    fn named_list(
        &mut self,
        base: &[Value],
        patch: &[Value],
        order: Option<&[Value]>,
    ) -> Result<Vec<Value>, MergeError> {
        for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
            self.identity(item, Some("name"))?;
        }
        let (base, patch) = named::identify(base, patch).map_err(|found| MergeError::Ambiguous {
            path: self.path.join("."),
            name: found.name,
            namespaces: found.namespaces.join(", "),
        })?;
        let order = order.map(|order| named::ordered(order, &base, &patch));
        self.list(&base, &patch, Merge::Key(named::ITEM), order.as_deref()).map(named::unmark)
    }

    /// What identifies an item of a patch; an error if it lacks its merge key.
    fn identity(&self, item: &Value, key: Option<&str>) -> Result<String, MergeError> {
        identity(item, key).ok_or_else(|| MergeError::MissingKey {
            path: self.path.join("."),
            key: key.unwrap_or_default().to_owned(),
            item: json::to_string_with(item, json::Html::Raw, None).chars().take(120).collect(),
        })
    }

    fn retain(&self, out: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), MergeError> {
        let Some(kept) = patch.get(RETAIN_KEYS).and_then(Value::as_array) else { return Ok(()) };
        let listed = |key: &String| kept.iter().any(|kept| kept.as_str() == Some(key));
        if let Some((key, _)) =
            patch.iter().find(|(key, value)| !key.starts_with('$') && !value.is_null() && !listed(key))
        {
            return Err(MergeError::RetainKeys { path: self.path.join("."), key: key.clone() });
        }
        out.retain(|key, _| listed(key));
        Ok(())
    }

    fn bad_directive(&self, directive: Option<&Value>) -> MergeError {
        let directive = directive.map(json::to_string).unwrap_or_default();
        MergeError::Directive { path: self.path.join("."), directive: format!("$patch: {directive}") }
    }
}

/// The text that identifies an item of a list: that of the merge key, or of the scalar itself.
fn identity(item: &Value, key: Option<&str>) -> Option<String> {
    match key {
        Some(key) => item.get(key).filter(|value| !value.is_null()).and_then(scalar_text),
        None => Some(scalar_text(item).unwrap_or_else(|| json::to_string(item))),
    }
}

fn remove_scalars(list: Option<&mut Value>, removed: &Value) {
    if let (Some(Value::Array(items)), Value::Array(removed)) = (list, removed) {
        items.retain(|item| !removed.contains(item));
    }
}

/// A value without the maps that have a directive; `None` if it is one.
fn undirected(value: &Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => Some(map.iter().filter_map(|(key, v)| Some((key.clone(), undirected(v)?))).collect()),
        Value::Array(items) => Some(items.iter().filter_map(undirected).collect()),
        other => Some(other.clone()),
    }
}

/// A value of the patch where the base has none: without nulls and directives.
fn cleaned(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(cleaned_map(map)),
        Value::Array(items) => {
            Value::Array(items.iter().filter(|item| item.get(PATCH).is_none()).map(cleaned_item).collect())
        }
        other => other.clone(),
    }
}

/// Nulls in lists are items like others.
fn cleaned_item(value: &Value) -> Value {
    if value.is_null() { Value::Null } else { cleaned(value) }
}

fn cleaned_map(map: &Map<String, Value>) -> Map<String, Value> {
    let directive = |key: &str| {
        key == PATCH || key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(ELEMENT_ORDER)
    };
    map.iter()
        .filter(|(key, value)| !value.is_null() && !directive(key))
        .map(|(key, value)| (key.clone(), cleaned(value)))
        .collect()
}
