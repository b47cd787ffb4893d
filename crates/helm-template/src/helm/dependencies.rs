//! Which subcharts take part in a render, under which names, and what they export into their parents' values.
//!
//! In: a [`Chart`] and the user's values. Out: a tree of [`Node`]s, one per chart that renders. Helm works on shared
//! pointers here and two aliases of one chart share its subcharts and declarations; so do the nodes.

use super::chart::Chart;
use super::metadata::{Dependency, Metadata};
use super::values;
use crate::gotmpl::{Cost, Exhausted, Map, MapKind, Usage, Value};
use crate::sprig::semver::{self, Version};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// Log lines, collected, and what preparing a render has used of its budgets.
#[derive(Debug, Default)]
pub struct Warnings {
    lines: RefCell<Vec<String>>,
    usage: Usage,
}

impl Warnings {
    /// No lines; everything is counted in the usage of the render.
    #[must_use]
    pub fn new(usage: &Usage) -> Self {
        Self { lines: RefCell::default(), usage: usage.clone() }
    }

    /// Adds a line, as long as lines are read by anybody.
    pub fn push(&self, line: impl Into<String>) {
        const MOST: usize = 1000;
        let mut lines = self.lines.borrow_mut();
        if lines.len() < MOST {
            lines.push(bounded(line.into()));
        } else if lines.len() == MOST {
            lines.push("there are more warnings, which are left out".to_owned());
        }
    }

    /// Pays for work on values or subcharts, and for the bytes that they take.
    ///
    /// # Errors
    /// The budgets of the render do not reach so far.
    pub fn pay(&self, work: u64, bytes: u64) -> Result<(), String> {
        self.pay_for("putting the values of the chart and its subcharts together", work, bytes)
    }

    /// As [`pay`](Self::pay), for something else.
    ///
    /// # Errors
    /// The budgets of the render do not reach so far.
    pub fn pay_for(&self, what: &str, work: u64, bytes: u64) -> Result<(), String> {
        let told = |e: Exhausted| format!("{what}: {e}");
        self.usage.afford(Cost { work, bytes }).map_err(told)?;
        self.usage.make(usize::try_from(bytes).unwrap_or(usize::MAX)).map_err(told)
    }

    /// All lines so far.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.lines.take()
    }
}

/// As much of a line as is read.
fn bounded(mut line: String) -> String {
    const LONGEST: usize = 16 << 10;
    if line.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A declared dependency while it is processed.
pub struct Declared {
    /// The declaration.
    pub source: Dependency,
    /// The name, replaced by the alias.
    pub name: RefCell<String>,
    /// Whether it takes part.
    pub enabled: Cell<bool>,
    /// `import-values`; entries that were processed have become maps of texts.
    pub imports: RefCell<Vec<Value>>,
}

/// The work of looking whether a version lies in a range, which is read anew each time.
const COMPARISON: u64 = 300;
/// What a chart of a render takes besides its values.
const NODE: u64 = 2000;
/// The longest path of `import-values`: what is wrapped into more maps is too deep for all that walks through values.
const DEEPEST: usize = 100;

type Declarations = Option<Vec<Rc<Declared>>>;

/// A chart in one render.
pub struct Node<'c> {
    /// The chart; several nodes may have the same.
    pub chart: &'c Chart,
    /// Its name, or the alias.
    pub name: String,
    declared: RefCell<Declarations>,
    /// The defaults, once imports have changed them.
    defaults: RefCell<Option<Map>>,
    children: RefCell<Vec<Rc<Node<'c>>>>,
    parent: RefCell<Weak<Node<'c>>>,
}

impl<'c> Node<'c> {
    fn new(chart: &'c Chart) -> Rc<Self> {
        let declare = |d: &Dependency| {
            Rc::new(Declared {
                source: d.clone(),
                name: RefCell::new(d.name.clone()),
                enabled: Cell::new(d.enabled),
                imports: RefCell::new(d.import_values.iter().map(Value::from_json).collect()),
            })
        };
        let list = chart.metadata.dependencies.as_ref();
        let node = Rc::new(Self {
            chart,
            name: chart.metadata.name.clone(),
            declared: RefCell::new(list.map(|list| list.iter().flatten().map(declare).collect())),
            defaults: RefCell::default(),
            children: RefCell::default(),
            parent: RefCell::default(),
        });
        let children = chart.dependencies.iter().map(Self::new).collect();
        Self::adopt(&node, children);
        node
    }

    /// A copy under another name, sharing all that Helm's copy shares; the children keep their parent.
    fn renamed(&self, name: &str) -> Rc<Self> {
        Rc::new(Self {
            chart: self.chart,
            name: name.to_owned(),
            declared: RefCell::new(self.declared.borrow().clone()),
            defaults: RefCell::new(self.defaults.borrow().clone()),
            children: RefCell::new(self.children.borrow().clone()),
            parent: RefCell::default(),
        })
    }

    fn adopt(this: &Rc<Self>, children: Vec<Rc<Self>>) {
        for child in &children {
            *child.parent.borrow_mut() = Rc::downgrade(this);
        }
        *this.children.borrow_mut() = children;
    }

    /// The subcharts that take part.
    #[must_use]
    pub fn children(&self) -> Vec<Rc<Self>> {
        self.children.borrow().clone()
    }

    /// The declarations that take part.
    #[must_use]
    pub fn declared(&self) -> Vec<Rc<Declared>> {
        self.declared.borrow().clone().unwrap_or_default()
    }

    /// What `Chart.yaml` says.
    #[must_use]
    pub fn metadata(&self) -> &'c Metadata {
        &self.chart.metadata
    }

    /// Whether this is the chart that was asked for.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent.borrow().upgrade().is_none()
    }

    /// `root/charts/sub/charts/…`, by chart names.
    #[must_use]
    pub fn full_path(&self) -> String {
        match self.parent.borrow().upgrade() {
            Some(parent) => format!("{}/charts/{}", parent.full_path(), self.name),
            None => self.name.clone(),
        }
    }

    /// A fresh copy of the default values.
    ///
    /// # Errors
    /// They do not fit into the budgets of the render any more.
    pub fn default_values(&self, warnings: &Warnings) -> Result<Map, String> {
        if let Some(map) = &*self.defaults.borrow() {
            return values::paid_copy(map, warnings);
        }
        let size = values::size_of_json(&self.chart.values);
        warnings.pay(size * 2, size)?;
        Ok(table(&self.chart.values))
    }
}

/// A JSON object as a table.
#[must_use]
pub fn table(object: &serde_json::Map<String, serde_json::Value>) -> Map {
    let entries = object.iter().map(|(k, v)| (k.as_str().into(), Value::from_json(v)));
    Map::from_entries(MapKind::Any, entries.collect())
}

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
    pub fn new(chart: &'c Chart, given: &Map, warnings: &Warnings) -> Result<Self, String> {
        let root = Node::new(chart);
        let tree = Self { root: Rc::clone(&root), others: RefCell::default() };
        tree.select(&root, given, "", warnings)?;
        import_values(&root, warnings)?;
        Ok(tree)
    }

    /// Applies versions, aliases, tags and conditions to one chart, then to its subcharts.
    fn select(&self, node: &Rc<Node<'c>>, given: &Map, path: &str, warnings: &Warnings) -> Result<(), String> {
        let Some(declared) = node.declared.borrow().clone() else { return Ok(()) };
        // Every declaration is compared with every subchart; each that fits becomes a chart of its own.
        let (count, present) = (declared.len() as u64, node.children().len() as u64);
        warnings.pay(count * (1000 + present * COMPARISON), count * (NODE + present * 8))?;
        Node::adopt(node, self.resolve(node, &declared));
        for d in &declared {
            d.enabled.set(true);
        }
        let values = values::coalesce(node, given, warnings)?;
        apply_tags(&declared, &values, warnings);
        apply_conditions(&declared, &values, path, warnings)?;
        let disabled: Vec<String> =
            declared.iter().filter(|d| !d.enabled.get()).map(|d| d.name.borrow().clone()).collect();
        let mut children = node.children();
        children.retain(|c| !disabled.contains(&c.name));
        for child in &children {
            self.select(child, &values, &format!("{path}{}.", child.name), warnings)?;
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

fn apply_tags(declared: &[Rc<Declared>], values: &Map, warnings: &Warnings) {
    let Ok(tags) = values::table(values, "tags") else { return };
    for d in declared {
        let (mut on, mut off) = (false, false);
        for tag in &d.source.tags {
            match tags.get(tag) {
                None => {}
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => warnings.push(format!(
                    "dependencies.go:95: Warning: Tag '{tag}' for chart {} returned non-bool value",
                    d.name.borrow()
                )),
            }
        }
        d.enabled.set(on || !off);
    }
}

fn apply_conditions(declared: &[Rc<Declared>], values: &Map, prefix: &str, warnings: &Warnings) -> Result<(), String> {
    for d in declared {
        let paths = d.source.condition.split(',').count();
        warnings.pay((d.source.condition.len() + paths * (prefix.len() + 20)) as u64 * 20, 0)?;
        for path in d.source.condition.trim().split(',').filter(|p| !p.is_empty()) {
            match values::path_value(values, &format!("{prefix}{path}")) {
                None => {}
                Some(Value::Bool(enabled)) => {
                    d.enabled.set(enabled);
                    break;
                }
                Some(_) => warnings.push(format!(
                    "dependencies.go:64: Warning: Condition path '{path}' for chart {} returned non-bool value",
                    d.name.borrow()
                )),
            }
        }
    }
    Ok(())
}

/// Moves what subcharts export into the defaults of their parents, children first.
fn import_values(node: &Rc<Node<'_>>, warnings: &Warnings) -> Result<(), String> {
    for child in node.children() {
        import_values(&child, warnings)?;
    }
    let Some(declared) = node.declared.borrow().clone() else { return Ok(()) };
    let merged = values::merge(node, &Map::new(MapKind::Any), warnings)?;
    let imported = Map::new(MapKind::Any);
    for d in declared {
        let mut done = Vec::new();
        for import in d.imports.take() {
            let Some((child, parent, from_list)) = import_paths(&import) else { continue };
            let parts = parent.split('.').count();
            if parts > DEEPEST {
                return Err(format!("import-values of {}: a path of {parts} parts is too long", d.name.borrow()));
            }
            warnings.pay(parts as u64 * 200, parts as u64 * 300)?;
            done.push(import_pair(&child, &parent));
            let name = d.name.borrow().clone();
            match values::table(&merged, &format!("{name}.{child}")) {
                Ok(table) => values::merge_tables(&imported, &nested(&parent, table), warnings)?,
                Err(part) => {
                    let part = super::text::quoted(part);
                    warnings.push(if from_list {
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
    let defaults = values::paid_copy(&merged, warnings)?;
    values::merge_tables(&defaults, &imported, warnings)?;
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
        let chart = Chart::from_memory(files.iter().map(|(name, text)| (*name, text.as_bytes()))).unwrap();
        let given = table(given.as_object().unwrap());
        let tree = Tree::new(&chart, &given, &Warnings::default()).unwrap();
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
