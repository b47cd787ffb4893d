//! How the values of a chart and its subcharts are put together.
//!
//! In: a [`Node`] (a chart of one render), and the values given for it. Out: the complete values, the children's under
//! their names. The rules are Helm's, aliasing included: tables are shared objects, and a nested table of `global` that a
//! child adds to is the parent's own.

use super::dependencies::{Node, Warnings};
use super::text;
use crate::gotmpl::{List, Map, MapKind, Text, Value, price};
use std::rc::Rc;

const GLOBAL: &str = "global";
/// What an entry takes in a map, and what moving it costs.
const ENTRY: u64 = 100;
const MAP: u64 = 500;
const ENTRY_WORK: u64 = 60;

/// Copies a value through and through; nothing is shared with the original.
#[must_use]
pub fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy_map(map)),
        Value::List(list) => Value::List(List::new(list.kind(), list.snapshot().iter().map(deep_copy).collect())),
        other => other.clone(),
    }
}

/// Copies a table through and through.
#[must_use]
pub fn copy_map(map: &Map) -> Map {
    let entries = map.snapshot().into_iter().map(|(k, v)| (k, deep_copy(&v)));
    Map::from_entries(map.kind(), entries.collect())
}

/// The values a chart sees: those given, over the defaults of the chart and its subcharts. `null` given deletes a
/// default.
///
/// # Errors
/// A subchart's key that holds something else than a table.
pub fn coalesce(node: &Rc<Node<'_>>, given: &Map, warnings: &Warnings) -> Result<Map, String> {
    let dest = paid_copy(given, warnings)?;
    Coalescer { warnings, merge: false }.chart(node, &dest, "")?;
    Ok(dest)
}

/// Like [`coalesce`], but nulls stay.
///
/// # Errors
/// A subchart's key that holds something else than a table.
pub fn merge(node: &Rc<Node<'_>>, given: &Map, warnings: &Warnings) -> Result<Map, String> {
    let dest = paid_copy(given, warnings)?;
    Coalescer { warnings, merge: true }.chart(node, &dest, "")?;
    Ok(dest)
}

/// Merges one table into another that wins; nulls stay.
///
/// # Errors
/// The budgets of the render do not reach so far.
pub fn merge_tables(dest: &Map, src: &Map, warnings: &Warnings) -> Result<(), String> {
    Coalescer { warnings, merge: true }.tables(dest, src, "")
}

/// [`copy_map`], if the budgets of the render reach so far.
///
/// # Errors
/// They do not.
pub fn paid_copy(map: &Map, warnings: &Warnings) -> Result<Map, String> {
    const LARGE: u64 = 1 << 30;
    let size = price::weight(&Value::Map(map.clone()), LARGE);
    warnings.pay(size * 2, size)?;
    Ok(copy_map(map))
}

/// What a table takes in memory as a template's value.
#[must_use]
pub fn size_of_json(table: &serde_json::Map<String, serde_json::Value>) -> u64 {
    use serde_json::Value as Json;
    fn size(value: &Json) -> u64 {
        match value {
            Json::String(s) => s.len() as u64,
            Json::Array(items) => items.iter().map(|item| 24 + size(item)).sum(),
            Json::Object(table) => MAP + size_of_json(table),
            Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        }
    }
    table.iter().map(|(key, value)| ENTRY + key.len() as u64 + size(value)).sum()
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
/// The part of the path that is no table.
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

fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

#[derive(Clone, Copy)]
struct Coalescer<'a> {
    warnings: &'a Warnings,
    merge: bool,
}

impl Coalescer<'_> {
    fn chart(self, node: &Rc<Node<'_>>, dest: &Map, prefix: &str) -> Result<(), String> {
        self.defaults(node, dest, prefix)?;
        self.children(node, dest, prefix)
    }

    fn children(self, node: &Rc<Node<'_>>, dest: &Map, prefix: &str) -> Result<(), String> {
        for child in node.children() {
            let own = match dest.get(&child.name) {
                None => {
                    let fresh = Map::new(MapKind::Any);
                    dest.set(child.name.as_str(), Value::Map(fresh.clone()));
                    fresh
                }
                Some(Value::Map(own)) => own,
                Some(other) => return Err(format!("type mismatch on {}: {}", child.name, text::as_boolean(&other))),
            };
            let inner = joined(prefix, &node.name);
            self.globals(&own, dest, &inner)?;
            self.chart(&child, &own, &inner)?;
        }
        Ok(())
    }

    /// Hands the parent's `global` to a child, the parent's winning key by key.
    fn globals(self, dest: &Map, src: &Map, prefix: &str) -> Result<(), String> {
        let table_of = |map: &Map| match map.get(GLOBAL) {
            None => Some(Map::new(MapKind::Any)),
            Some(Value::Map(table)) => Some(table),
            Some(_) => None,
        };
        let Some(theirs) = table_of(dest) else {
            self.warn("coalesce.go:138: warning: skipping globals because destination global is not a table.");
            return Ok(());
        };
        let Some(ours) = table_of(src) else {
            self.warn("coalesce.go:145: warning: skipping globals because source global is not a table.");
            return Ok(());
        };
        self.warnings.pay(ours.len() as u64 * ENTRY_WORK, ours.len() as u64 * ENTRY)?;
        for (key, value) in ours.snapshot() {
            let name = key.to_str().into_owned();
            match (value, theirs.get_bytes(key.as_bytes())) {
                (Value::Map(value), None) => theirs.set(key, Value::Map(self.shallow_copy(&value)?)),
                (Value::Map(value), Some(Value::Map(existing))) => {
                    let copy = self.shallow_copy(&value)?;
                    Self { merge: true, ..self }.tables(&copy, &existing, &joined(prefix, &name))?;
                    theirs.set(key, Value::Map(copy));
                }
                (Value::Map(_), Some(_)) => self.warn(&format!(
                    "coalesce.go:161: Conflict: cannot merge map onto non-map for {}. Skipping.",
                    text::quoted(&name)
                )),
                (_, Some(Value::Map(_))) => self.warn(&format!("coalesce.go:175: key {name} is table. Skipping")),
                (value, _) => theirs.set(key, value),
            }
        }
        dest.set(GLOBAL, Value::Map(theirs));
        Ok(())
    }

    /// Puts a chart's own defaults under the values given for it.
    fn defaults(self, node: &Rc<Node<'_>>, given: &Map, prefix: &str) -> Result<(), String> {
        let prefix = joined(prefix, &node.name);
        for (key, default) in node.default_values(self.warnings)?.snapshot() {
            let name = key.to_str().into_owned();
            match given.get_bytes(key.as_bytes()) {
                None => given.set(key, default),
                Some(Value::Nil) if !self.merge => drop(given.remove(key.as_bytes())),
                Some(Value::Map(dest)) => match default {
                    Value::Map(src) => {
                        let merge = self.merge || node.children().iter().any(|c| c.name == name);
                        Self { merge, ..self }.tables(&dest, &src, &joined(&prefix, &name))?;
                    }
                    Value::Nil => {}
                    _ => {
                        self.warn(&format!(
                            "coalesce.go:237: warning: skipped value for {prefix}.{name}: Not a table."
                        ));
                    }
                },
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn tables(self, dest: &Map, src: &Map, prefix: &str) -> Result<(), String> {
        let count = (dest.len() + src.len()) as u64;
        self.warnings.pay(count * ENTRY_WORK, count * ENTRY)?;
        let not_null: Vec<Text> =
            src.snapshot().into_iter().filter(|(_, v)| !matches!(v, Value::Nil)).map(|(k, _)| k).collect();
        for (key, value) in dest.snapshot() {
            if matches!(value, Value::Nil) {
                src.set(key, Value::Nil);
            }
        }
        for (key, value) in src.snapshot() {
            let full = || joined(prefix, &key.to_str());
            match (dest.get_bytes(key.as_bytes()), value) {
                (None, value) => dest.set(key, value),
                (Some(Value::Nil), _) if !self.merge && not_null.binary_search(&key).is_ok() => {
                    dest.remove(key.as_bytes());
                }
                (Some(Value::Map(dest)), Value::Map(src)) => self.tables(&dest, &src, &full())?,
                (Some(_), value @ Value::Map(_)) => self.warn(&format!(
                    "coalesce.go:316: warning: cannot overwrite table with non table for {} ({})",
                    full(),
                    self.plain(&value)?
                )),
                (Some(Value::Map(_)), value) if !matches!(value, Value::Nil) => self.warn(&format!(
                    "coalesce.go:319: warning: destination for {} is a table. Ignoring non-table value ({})",
                    full(),
                    self.plain(&value)?
                )),
                (Some(_), _) => {}
            }
        }
        Ok(())
    }

    fn shallow_copy(self, map: &Map) -> Result<Map, String> {
        self.warnings.pay(map.len() as u64 * ENTRY_WORK, map.len() as u64 * ENTRY)?;
        self.warnings.pay(0, MAP)?;
        Ok(Map::from_entries(map.kind(), map.snapshot().into_iter().collect()))
    }

    /// What a warning prints of a value.
    fn plain(self, value: &Value) -> Result<String, String> {
        let size = price::printed(value, 1 << 30);
        self.warnings.pay(size * 3, size)?;
        Ok(text::plain(value))
    }

    fn warn(self, line: &str) {
        self.warnings.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::chart::Chart;
    use crate::helm::dependencies::{Tree, table as from_json};
    use serde_json::{Value as Json, json};

    /// The values a chart with a subchart `k` sees, and what is logged.
    fn coalesced(defaults: &str, sub: &str, given: &Json) -> (Json, Vec<String>) {
        let files = [
            ("Chart.yaml", "{apiVersion: v2, name: c, version: 1}"),
            ("values.yaml", defaults),
            ("charts/k/Chart.yaml", "{name: k, version: 1}"),
            ("charts/k/values.yaml", sub),
        ];
        let chart = Chart::from_memory(files.iter().map(|(name, text)| (*name, text.as_bytes()))).unwrap();
        let warnings = Warnings::default();
        let given = from_json(given.as_object().unwrap());
        let tree = Tree::new(&chart, &given, &warnings).unwrap();
        let values = coalesce(&tree.root, &given, &warnings).unwrap();
        (to_json(&Value::Map(values)), warnings.take())
    }

    #[test]
    fn a_given_null_deletes_a_default_and_nothing_else() {
        let (values, _) = coalesced(
            "a: 1\nb: null\nt: {x: 1, m: null}",
            "{}",
            &json!({"a": null, "new": null, "t": {"x": null, "m": null}}),
        );
        assert_eq!(values, json!({"b": null, "new": null, "t": {"m": null}, "k": {"global": {}}}));
    }

    #[test]
    fn a_null_of_the_parent_deletes_the_childs_default() {
        let (values, _) = coalesced("k: {x: null, w: null}", "{x: 1, z: 2}", &json!({}));
        assert_eq!(values, json!({"k": {"w": null, "z": 2.0, "global": {}}}));
    }

    #[test]
    fn globals_reach_the_child_and_nested_ones_leak_back() {
        let (values, _) = coalesced("global: {a: {b: {c: 1}}}", "global: {a: {b: {d: 2}, e: 3}}", &json!({}));
        assert_eq!(values["k"]["global"], json!({"a": {"b": {"c": 1.0, "d": 2.0}, "e": 3.0}}));
        assert_eq!(values["global"], json!({"a": {"b": {"c": 1.0, "d": 2.0}}}));
    }

    #[test]
    fn clashes_are_logged() {
        let (_, warnings) = coalesced("s: 1\nt: {u: {v: 1}}", "{}", &json!({"s": {"a": 1}, "t": {"u": 2}}));
        assert_eq!(
            warnings,
            [
                "coalesce.go:237: warning: skipped value for c.s: Not a table.",
                "coalesce.go:316: warning: cannot overwrite table with non table for c.t.u (map[v:1])",
            ]
        );
    }
}
