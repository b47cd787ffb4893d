//! A chart of one render: its name there, its parent, its subcharts and what they export.
//!
//! Helm works on shared pointers here, and two aliases of one chart share its subcharts and declarations; so do the nodes.

use super::chart::Chart;
use super::metadata::{Dependency, Metadata};
use super::preparation::Preparation;
use super::tables;
use crate::gotmpl::{Map, Value, price};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

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

pub(super) type Declarations = Option<Vec<Rc<Declared>>>;

/// A chart in one render.
pub struct Node<'c> {
    /// The chart; several nodes may have the same.
    pub chart: &'c Chart,
    /// Its name, or the alias.
    pub name: String,
    pub(super) declared: RefCell<Declarations>,
    /// The defaults, once imports have changed them.
    pub(super) defaults: RefCell<Option<Map>>,
    children: RefCell<Vec<Rc<Node<'c>>>>,
    parent: RefCell<Weak<Node<'c>>>,
}

impl<'c> Node<'c> {
    pub(super) fn new(chart: &'c Chart) -> Rc<Self> {
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
    pub(super) fn renamed(&self, name: &str) -> Rc<Self> {
        Rc::new(Self {
            chart: self.chart,
            name: name.to_owned(),
            declared: RefCell::new(self.declared.borrow().clone()),
            defaults: RefCell::new(self.defaults.borrow().clone()),
            children: RefCell::new(self.children.borrow().clone()),
            parent: RefCell::default(),
        })
    }

    pub(super) fn adopt(this: &Rc<Self>, children: Vec<Rc<Self>>) {
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
    /// The budgets of the render do not allow it.
    pub fn default_values(&self, preparation: &Preparation) -> Result<Map, String> {
        if let Some(map) = &*self.defaults.borrow() {
            return tables::paid_copy(map, preparation);
        }
        let size = price::weight_of_json(&self.chart.values);
        preparation.pay(size * 2, size)?;
        Ok(tables::from_json(&self.chart.values))
    }
}
