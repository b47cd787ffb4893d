//! The functions that templates may use: Go's own and those that the caller adds, each with its price.

use super::super::ast::FunctionId;
use super::super::price::{Price, Prices, USUAL};
use super::builtins::{BUILTINS, Builtin};
use super::function::{ExecFunction, Function, Method};
use std::collections::HashMap;

/// Anything a name in a template can stand for, and what it costs.
#[derive(Clone, Copy)]
pub(super) struct Callable {
    pub code: Callee,
    pub price: &'static Price,
}

/// What runs when a name is called.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Plain(Function),
    Exec(ExecFunction),
    Builtin(&'static Builtin),
}

/// The functions of a set of templates: Go's own and those added, later rows replacing earlier ones of the same name.
#[derive(Clone)]
pub struct Functions {
    rows: Vec<Callable>,
    by_name: HashMap<&'static str, usize>,
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
        let none = Self { rows: Vec::new(), by_name: HashMap::new(), values_methods: &[] };
        none.extended(BUILTINS.iter().map(|b| (b.name, Callee::Builtin(b))))
    }

    fn extended(mut self, rows: impl Iterator<Item = (&'static str, Callee)>) -> Self {
        for (name, code) in rows {
            self.by_name.insert(name, self.rows.len());
            self.rows.push(Callable { code, price: &USUAL });
        }
        self
    }

    /// Adds functions that need nothing but their arguments and the [`Host`](crate::gotmpl::Host).
    #[must_use]
    pub fn with(self, rows: &[Function]) -> Self {
        self.extended(rows.iter().map(|f| (f.name, Callee::Plain(*f))))
    }

    /// Adds functions that need the running evaluator.
    #[must_use]
    pub fn with_exec_functions(self, rows: &[ExecFunction]) -> Self {
        self.extended(rows.iter().map(|f| (f.name, Callee::Exec(*f))))
    }

    /// Sets the methods of maps of [`MapKind::Values`](crate::gotmpl::MapKind::Values).
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
                if let Some(callable) = self.by_name.get(name).and_then(|at| self.rows.get_mut(*at)) {
                    callable.price = price;
                }
            }
        }
        self
    }

    /// The names of functions without a price of their own.
    #[must_use]
    pub fn unpriced(&self) -> Vec<&'static str> {
        let usual = |at: &usize| self.rows.get(*at).is_some_and(|c| std::ptr::eq(c.price, &raw const USUAL));
        let mut names: Vec<_> = self.by_name.iter().filter(|(_, at)| usual(at)).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    /// Removes functions, so that their names are undefined.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.by_name.retain(|name, _| !names.contains(name));
        self
    }

    /// Whether there is a function of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What a name in a template stands for.
    pub(super) fn id(&self, name: &str) -> Option<FunctionId> {
        self.by_name.get(name).copied().map(FunctionId)
    }

    pub(super) fn get(&self, id: FunctionId) -> Option<Callable> {
        self.rows.get(id.0).copied()
    }

    pub(super) fn values_method(&self, name: &str) -> Option<Method> {
        self.values_methods.iter().find(|m| m.name == name).copied()
    }
}
