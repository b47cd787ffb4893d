//! The functions templates may use and the templates themselves.
//!
//! In: rows of functions, texts of files. Out: a set in which every template of every file can be found by name.
//! Parsed templates are `Send + Sync` and shared: a clone of a set costs a few pointers, and what is parsed into the
//! clone is not seen by the original.

use super::ast::Template;
use super::builtins::{BUILTINS, Builtin};
use super::error::ParseError;
use super::function::{Function, Method, Native};
use super::parser::{self, MAX_NODES, Room};
use super::price::{Price, Prices, USUAL};
use std::collections::HashMap;
use std::sync::Arc;

/// Anything a name in a template can stand for, and what it costs.
#[derive(Clone, Copy)]
pub(super) struct Callable {
    pub code: Callee,
    pub price: &'static Price,
}

/// What runs when a name is called.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Pure(Function),
    Native(Native),
    Builtin(&'static Builtin),
}

/// The functions of a set of templates: Go's own and those added, later rows replacing earlier ones of the same name.
#[derive(Clone)]
pub struct Functions {
    table: HashMap<&'static str, Callable>,
    values_methods: &'static [Method],
}

impl Default for Functions {
    fn default() -> Self {
        Self::new()
    }
}

impl Functions {
    /// Go's built-in functions only.
    #[must_use]
    pub fn new() -> Self {
        let table = BUILTINS.iter().map(|b| (b.name, Callable { code: Callee::Builtin(b), price: &USUAL })).collect();
        Self { table, values_methods: &[] }
    }

    /// Adds functions that compute from their arguments alone.
    #[must_use]
    pub fn with(mut self, rows: &[Function]) -> Self {
        self.table.extend(rows.iter().map(|f| (f.name, Callable { code: Callee::Pure(*f), price: &USUAL })));
        self
    }

    /// Adds functions that need the running evaluator.
    #[must_use]
    pub fn with_natives(mut self, rows: &[Native]) -> Self {
        self.table.extend(rows.iter().map(|n| (n.name, Callable { code: Callee::Native(*n), price: &USUAL })));
        self
    }

    /// Sets the methods of maps of [`MapKind::Values`](super::MapKind::Values).
    #[must_use]
    pub fn with_values_methods(mut self, methods: &'static [Method]) -> Self {
        self.values_methods = methods;
        self
    }

    /// Sets the prices of functions that are there; without one a call has the usual price.
    #[must_use]
    pub fn priced(mut self, prices: &'static Prices) -> Self {
        for (names, price) in prices {
            for name in *names {
                if let Some(callable) = self.table.get_mut(name) {
                    callable.price = price;
                }
            }
        }
        self
    }

    /// The names of functions without a price of their own.
    #[must_use]
    pub fn unpriced(&self) -> Vec<&'static str> {
        let usual = self.table.iter().filter(|(_, callable)| std::ptr::eq(callable.price, &raw const USUAL));
        let mut names: Vec<_> = usual.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    /// Removes functions, so that their names are undefined.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.table.retain(|name, _| !names.contains(name));
        self
    }

    /// Whether there is a function of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Callable> {
        self.table.get(name).copied()
    }

    pub(super) fn values_method(&self, name: &str) -> Option<Method> {
        self.values_methods.iter().find(|m| m.name == name).copied()
    }
}

/// Templates by name, one name space for all files parsed into it.
#[derive(Clone)]
pub struct TemplateSet {
    name: Arc<str>,
    functions: Arc<Functions>,
    /// What was there when the set was cloned, shared with the other clones.
    base: Arc<HashMap<String, Arc<Template>>>,
    /// What was parsed since; wins over `base`.
    own: HashMap<String, Arc<Template>>,
    /// What may still be parsed into it.
    room: Room,
}

impl TemplateSet {
    /// An empty set; the name appears only in the error about an unknown template.
    #[must_use]
    pub fn new(name: &str, functions: Arc<Functions>) -> Self {
        Self { name: name.into(), functions, base: Arc::default(), own: HashMap::new(), room: Room::default() }
    }

    /// Parses a file: its own body becomes the template `file`, each `define` and `block` a template of its name.
    ///
    /// As in Go, a later definition replaces an earlier one unless its body is empty (white space and comments).
    ///
    /// # Errors
    /// Go's text for a syntax error, an unknown function or a name defined twice in this file; or there is too much of it.
    /// No template is added then.
    pub fn parse(&mut self, file: &str, text: impl AsRef<[u8]>) -> Result<(), ParseError> {
        for template in parser::parse(file, text.as_ref(), &self.functions, &mut self.room)? {
            if template.is_empty() && self.contains(&template.name) {
                continue;
            }
            let (name, template) = (template.name.clone(), Arc::new(template));
            match Arc::get_mut(&mut self.base) {
                Some(base) if self.own.is_empty() => base.insert(name, template),
                _ => self.own.insert(name, template),
            };
        }
        Ok(())
    }

    /// Whether there is a template of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.base.contains_key(name)
    }

    /// How many nodes all its templates have.
    #[must_use]
    pub fn size(&self) -> usize {
        MAX_NODES - self.room.nodes
    }

    /// How many templates a clone of the set copies.
    #[must_use]
    pub fn own(&self) -> usize {
        self.own.len()
    }

    /// The name of the set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Template>> {
        self.own.get(name).or_else(|| self.base.get(name))
    }

    pub(super) fn functions(&self) -> &Functions {
        &self.functions
    }
}
