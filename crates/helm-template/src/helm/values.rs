//! How the values of a chart and its subcharts are put together.
//!
//! In: a [`Node`] (a chart of one render), and the values given for it. Out: the complete values, the children's under
//! their names. The rules are Helm's, aliasing included: tables are shared objects, and a nested table of `global` that a
//! child adds to is the parent's own.

use super::node::Node;
use super::preparation::Preparation;
use super::tables::paid_copy;
use super::text;
use crate::gotmpl::{Map, MapKind, Text, Value, price};
use std::rc::Rc;

const GLOBAL: &str = "global";
/// What an entry takes in a map, and what moving it costs.
const ENTRY: u64 = 100;
const MAP: u64 = 500;
const ENTRY_WORK: u64 = 60;

/// The values a chart sees: those given, over the defaults of the chart and its subcharts. `null` given deletes a
/// default.
///
/// # Errors
/// A subchart's key that holds something else than a table, or the budgets of the render do not allow it.
pub fn coalesce(node: &Rc<Node<'_>>, given: &Map, preparation: &Preparation) -> Result<Map, String> {
    let dest = paid_copy(given, preparation)?;
    Coalescer { preparation, merge: false }.chart(node, &dest, "")?;
    Ok(dest)
}

/// Like [`coalesce`], but nulls stay.
///
/// # Errors
/// A subchart's key that holds something else than a table, or the budgets of the render do not allow it.
pub fn merge(node: &Rc<Node<'_>>, given: &Map, preparation: &Preparation) -> Result<Map, String> {
    let dest = paid_copy(given, preparation)?;
    Coalescer { preparation, merge: true }.chart(node, &dest, "")?;
    Ok(dest)
}

/// Merges one table into another that wins; nulls stay.
///
/// # Errors
/// The budgets of the render do not allow it.
pub fn merge_tables(dest: &Map, src: &Map, preparation: &Preparation) -> Result<(), String> {
    Coalescer { preparation, merge: true }.tables(dest, src, "")
}

fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

#[derive(Clone, Copy)]
struct Coalescer<'a> {
    preparation: &'a Preparation,
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
        self.preparation.pay(ours.len() as u64 * ENTRY_WORK, ours.len() as u64 * ENTRY)?;
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
        for (key, default) in node.default_values(self.preparation)?.snapshot() {
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
        self.preparation.pay(count * ENTRY_WORK, count * ENTRY)?;
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
        self.preparation.pay(map.len() as u64 * ENTRY_WORK, map.len() as u64 * ENTRY)?;
        self.preparation.pay(0, MAP)?;
        Ok(Map::from_entries(map.kind(), map.snapshot().into_iter().collect()))
    }

    /// What a warning prints of a value.
    fn plain(self, value: &Value) -> Result<String, String> {
        let size = price::printed(value, 1 << 30);
        self.preparation.pay(size * 3, size)?;
        Ok(text::plain(value))
    }

    fn warn(self, line: &str) {
        self.preparation.warn(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::chart::Chart;
    use crate::helm::dependencies::Tree;
    use crate::helm::tables::{from_json, to_json};
    use serde_json::{Value as Json, json};

    /// The values a chart with a subchart `k` sees, and what is logged.
    fn coalesced(defaults: &str, sub: &str, given: &Json) -> (Json, Vec<String>) {
        let files = [
            ("Chart.yaml", "{apiVersion: v2, name: c, version: 1}"),
            ("values.yaml", defaults),
            ("charts/k/Chart.yaml", "{name: k, version: 1}"),
            ("charts/k/values.yaml", sub),
        ];
        let chart = Chart::from_memory(files.iter().map(|(name, text)| (*name, (*text).to_owned()))).unwrap();
        let preparation = Preparation::default();
        let given = from_json(given.as_object().unwrap());
        let tree = Tree::new(&chart, &given, &preparation).unwrap();
        let values = coalesce(&tree.root, &given, &preparation).unwrap();
        (to_json(&Value::Map(values)), preparation.take_warnings())
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
