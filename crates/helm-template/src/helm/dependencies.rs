//! Which subcharts take part in a render, under which names, and what they export into their parents' values.
//!
//! In: a [`Chart`] and the user's values. Out: a tree of [`Node`]s, one per chart that renders.

use super::chart::Chart;
use super::node::{Declared, Node};
use super::preparation::Preparation;
use super::{tables, values};
use crate::gotmpl::{Map, MapKind, Value};
use crate::sprig::semver::{self, Version};
use std::cell::RefCell;
use std::rc::Rc;

/// The work of checking a version against a range, which is parsed each time.
const COMPARISON: u64 = 300;
/// The bytes that a chart of a render takes besides its values.
const NODE: u64 = 2000;
/// The longest path of `import-values`: values nested any deeper are too deep for what walks through them.
const DEEPEST: usize = 100;

/// The nodes of one render. Holds all of them, since a parent of a shared subchart may have left the tree.
pub struct Tree<'c> {
    /// The chart that was asked for.
    pub root: Rc<Node<'c>>,
    others: RefCell<Vec<Rc<Node<'c>>>>,
}

impl<'c> Tree<'c> {
    /// Sorts out the dependencies of a chart for the values given by the user.
    ///
    /// # Errors
    /// Values that clash with a subchart's name.
    pub fn new(chart: &'c Chart, given: &Map, preparation: &Preparation) -> Result<Self, String> {
        let root = Node::new(chart);
        let tree = Self { root: Rc::clone(&root), others: RefCell::default() };
        tree.select(&root, given, "", preparation)?;
        import_values(&root, preparation)?;
        Ok(tree)
    }

    /// Applies versions, aliases, tags and conditions to one chart, then to its subcharts.
    fn select(&self, node: &Rc<Node<'c>>, given: &Map, path: &str, preparation: &Preparation) -> Result<(), String> {
        let Some(declared) = node.declared.borrow().clone() else { return Ok(()) };
        // Every declaration is compared with every subchart; each that fits becomes a chart of its own.
        let (count, present) = (declared.len() as u64, node.children().len() as u64);
        preparation.pay(count * (1000 + present * COMPARISON), count * (NODE + present * 8))?;
        Node::adopt(node, self.resolve(node, &declared));
        for d in &declared {
            d.enabled.set(true);
        }
        let values = values::coalesce(node, given, preparation)?;
        apply_tags(&declared, &values, preparation);
        apply_conditions(&declared, &values, path, preparation)?;
        let disabled: Vec<String> =
            declared.iter().filter(|d| !d.enabled.get()).map(|d| d.name.borrow().clone()).collect();
        let mut children = node.children();
        children.retain(|c| !disabled.contains(&c.name));
        for child in &children {
            self.select(child, &values, &format!("{path}{}.", child.name), preparation)?;
        }
        let kept: Vec<_> = declared.into_iter().filter(|d| !disabled.contains(&d.name.borrow())).collect();
        // Helm appends to a nil list, so that none kept means none declared.
        *node.declared.borrow_mut() = Some(kept).filter(|kept| !kept.is_empty());
        Node::adopt(node, children);
        Ok(())
    }

    /// The undeclared subcharts, then a copy for each declaration that a subchart fits.
    fn resolve(&self, node: &Rc<Node<'c>>, declared: &[Rc<Declared>]) -> Vec<Rc<Node<'c>>> {
        let present = node.children();
        let fits = |c: &Node<'_>, d: &Declared| {
            c.name == *d.name.borrow() && compatible(&d.source.version, &c.metadata().version)
        };
        let mut result: Vec<_> = present.iter().filter(|c| !declared.iter().any(|d| fits(c, d))).cloned().collect();
        for d in declared {
            let alias = d.source.alias.as_str();
            if let Some(found) = present.iter().find(|c| fits(c, d)) {
                result.push(found.renamed(if alias.is_empty() { &found.name } else { alias }));
            }
            if !alias.is_empty() {
                alias.clone_into(&mut d.name.borrow_mut());
            }
        }
        self.others.borrow_mut().extend(present);
        result
    }
}

/// Whether a version lies in a range; what cannot be read does not.
#[must_use]
pub fn compatible(range: &str, version: &str) -> bool {
    Version::parse(version).is_ok_and(|version| semver::compare_constraint(range, &version).unwrap_or(false))
}

fn apply_tags(declared: &[Rc<Declared>], values: &Map, preparation: &Preparation) {
    let Ok(tags) = tables::table(values, "tags") else { return };
    for d in declared {
        let (mut on, mut off) = (false, false);
        for tag in &d.source.tags {
            match tags.get(tag) {
                None => {}
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => preparation.warn(format!(
                    "dependencies.go:95: Warning: Tag '{tag}' for chart {} returned non-bool value",
                    d.name.borrow()
                )),
            }
        }
        d.enabled.set(on || !off);
    }
}

fn apply_conditions(
    declared: &[Rc<Declared>],
    values: &Map,
    prefix: &str,
    preparation: &Preparation,
) -> Result<(), String> {
    for d in declared {
        let paths = d.source.condition.split(',').count();
        preparation.pay((d.source.condition.len() + paths * (prefix.len() + 20)) as u64 * 20, 0)?;
        for path in d.source.condition.trim().split(',').filter(|p| !p.is_empty()) {
            match tables::path_value(values, &format!("{prefix}{path}")) {
                None => {}
                Some(Value::Bool(enabled)) => {
                    d.enabled.set(enabled);
                    break;
                }
                Some(_) => preparation.warn(format!(
                    "dependencies.go:64: Warning: Condition path '{path}' for chart {} returned non-bool value",
                    d.name.borrow()
                )),
            }
        }
    }
    Ok(())
}

/// Moves what subcharts export into the defaults of their parents, children first.
fn import_values(node: &Rc<Node<'_>>, preparation: &Preparation) -> Result<(), String> {
    for child in node.children() {
        import_values(&child, preparation)?;
    }
    let Some(declared) = node.declared.borrow().clone() else { return Ok(()) };
    let merged = values::merge(node, &Map::new(MapKind::Any), preparation)?;
    let imported = Map::new(MapKind::Any);
    for d in declared {
        let mut done = Vec::new();
        for import in d.imports.take() {
            let Some((child, parent, from_list)) = import_paths(&import) else { continue };
            let parts = parent.split('.').count();
            if parts > DEEPEST {
                return Err(format!("import-values of {}: a path of {parts} parts is too long", d.name.borrow()));
            }
            preparation.pay(parts as u64 * 200, parts as u64 * 300)?;
            done.push(import_pair(&child, &parent));
            let name = d.name.borrow().clone();
            match tables::table(&merged, &format!("{name}.{child}")) {
                Ok(table) => values::merge_tables(&imported, &nested(&parent, table), preparation)?,
                Err(part) => {
                    let part = super::text::quoted(part);
                    preparation.warn(if from_list {
                        format!("dependencies.go:287: Warning: ImportValues missing table: {part} is not a table")
                    } else {
                        format!(
                            "dependencies.go:270: Warning: ImportValues missing table from chart {name}: {part} is not a table"
                        )
                    });
                }
            }
        }
        *d.imports.borrow_mut() = done;
    }
    let defaults = tables::paid_copy(&merged, preparation)?;
    values::merge_tables(&defaults, &imported, preparation)?;
    *node.defaults.borrow_mut() = Some(defaults);
    Ok(())
}

/// The child's path, the parent's path, and whether the entry was a plain text.
fn import_paths(import: &Value) -> Option<(String, String, bool)> {
    match import {
        Value::String(name) => Some((format!("exports.{}", name.to_str()), ".".to_owned(), true)),
        Value::Map(map) if map.kind() == MapKind::Any => {
            let path = |key| super::text::plain(&map.get(key).unwrap_or(Value::Nil));
            Some((path("child"), path("parent"), false))
        }
        _ => None,
    }
}

fn import_pair(child: &str, parent: &str) -> Value {
    let pair = Map::new(MapKind::Strings);
    pair.set("child", Value::string(child));
    pair.set("parent", Value::string(parent));
    Value::Map(pair)
}

/// Wraps a table so that it stands at a dotted path; `.` is the table itself.
fn nested(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, key| {
        let outer = Map::new(MapKind::Any);
        outer.set(key, Value::Map(inner));
        outer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(declaration: &str, given: &serde_json::Value) -> Vec<String> {
        let parent = format!("{{apiVersion: v2, name: c, version: 1, dependencies: [{declaration}]}}");
        let files = [
            ("Chart.yaml", parent.as_str()),
            ("charts/s/Chart.yaml", "{name: s, version: 1.2.3}"),
            ("charts/u/Chart.yaml", "{name: u, version: 1}"),
        ];
        let chart = Chart::from_memory(files.iter().map(|(name, text)| (*name, (*text).to_owned()))).unwrap();
        let given = tables::from_json(given.as_object().unwrap());
        let tree = Tree::new(&chart, &given, &Preparation::default()).unwrap();
        tree.root.children().iter().map(|c| c.full_path()).collect()
    }

    #[test]
    fn declarations_rename_multiply_and_disable() {
        use serde_json::json;
        for (declaration, given, want) in [
            ("{name: s, version: 1.x}", json!({}), &["c/charts/u", "c/charts/s"][..]),
            (
                "{name: s, version: 1, alias: z}, {name: s, version: 1}",
                json!({}),
                &["c/charts/u", "c/charts/z", "c/charts/s"],
            ),
            ("{name: s, version: 2, alias: z}", json!({}), &["c/charts/s", "c/charts/u"]),
            ("{name: s, version: 1, condition: s.on}", json!({"s": {"on": false}}), &["c/charts/u"]),
            (
                "{name: s, version: 1, condition: 'x.y,s.on'}",
                json!({"x": {"y": true}, "s": {"on": false}}),
                &["c/charts/u", "c/charts/s"],
            ),
            ("{name: s, version: 1, tags: [t, v]}", json!({"tags": {"t": false}}), &["c/charts/u"]),
            (
                "{name: s, version: 1, tags: [t, v]}",
                json!({"tags": {"t": false, "v": true}}),
                &["c/charts/u", "c/charts/s"],
            ),
        ] {
            assert_eq!(names(declaration, &given), want, "{declaration} {given}");
        }
    }
}
