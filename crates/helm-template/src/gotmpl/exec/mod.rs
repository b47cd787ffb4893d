//! Executes templates.
//!
//! In: a [`TemplateSet`], the name of a template, its data and an [`Environment`]. Out: the bytes written, or an
//! [`ExecError`] that prints as Go's does. Guarantees: the same input gives the same output unless functions read the
//! [`Ambient`]; execution ends by the [`Budgets`](super::Budgets) of the ambient's [`Usage`] whatever the templates are.

mod call;
mod eval;
mod slot;
mod walk;

pub(super) use slot::Slot;

use super::ast::Template;
use super::error::{ExecError, NoTemplate, Problem};
use super::function::Ambient;
use super::set::TemplateSet;
use super::usage::{Exhausted, Usage};
use super::value::Value;
use std::any::Any;
use std::sync::Arc;

/// What surrounds an execution.
#[derive(Clone, Copy)]
pub struct Environment<'e> {
    /// Time and randomness for functions, and what they may use up.
    pub ambient: &'e Ambient,
    /// The caller's own state for its [`Native`](super::Native) functions, see [`Executor::context`].
    pub context: &'e dyn Any,
}

/// Executes the template `name` of `set` on `data` and returns what it writes.
///
/// # Errors
/// The first failing node, or that there is no such template.
pub fn execute(
    set: &TemplateSet,
    name: &str,
    data: Value,
    environment: &Environment<'_>,
) -> Result<Vec<u8>, ExecError> {
    let mut executor = Executor { set: set.clone(), environment: *environment, out: Vec::new(), depth: 0, nesting: 0 };
    executor.execute(name, data)
}

/// A running execution, as [`Native`](super::Native) functions get it.
pub struct Executor<'e> {
    set: TemplateSet,
    environment: Environment<'e>,
    /// What the template being executed has written so far.
    out: Vec<u8>,
    depth: usize,
    nesting: usize,
}

impl<'e> Executor<'e> {
    /// The templates in use: those of the innermost [`execute_in`](Self::execute_in).
    #[must_use]
    pub fn templates(&self) -> &TemplateSet {
        &self.set
    }

    /// The caller's state, as given in the [`Environment`].
    #[must_use]
    pub fn context(&self) -> &'e dyn Any {
        self.environment.context
    }

    /// Time and randomness.
    #[must_use]
    pub fn ambient(&self) -> &'e Ambient {
        self.environment.ambient
    }

    /// What the render has used, and may use.
    #[must_use]
    pub fn usage(&self) -> &'e Usage {
        &self.environment.ambient.usage
    }

    /// Executes a template of the set in use and returns what it writes.
    ///
    /// # Errors
    /// The first failing node, or that there is no such template.
    pub fn execute(&mut self, name: &str, data: Value) -> Result<Vec<u8>, ExecError> {
        let Some(template) = self.set.get(name).map(Arc::clone) else {
            return Err(ExecError::NoTemplate(Box::new(NoTemplate {
                name: name.to_owned(),
                set: self.set.name().to_owned(),
            })));
        };
        // An error may leave the levels as they were where it arose; whoever handles it goes on from here.
        let levels = (self.depth, self.nesting);
        self.enter().map_err(ExecError::Exhausted)?;
        let outer = std::mem::take(&mut self.out);
        let result = walk::run(self, &template, Slot::bare(data));
        let written = std::mem::replace(&mut self.out, outer);
        (self.depth, self.nesting) = levels;
        result.map(|()| written)
    }

    /// Executes a template of another set, typically a clone of [`templates`](Self::templates) with something added.
    /// Everything executed meanwhile uses that set too.
    ///
    /// # Errors
    /// The first failing node, or that there is no such template.
    pub fn execute_in(&mut self, set: TemplateSet, name: &str, data: Value) -> Result<Vec<u8>, ExecError> {
        let outer = std::mem::replace(&mut self.set, set);
        let result = self.execute(name, data);
        self.set = outer;
        result
    }

    /// Begins the execution of a template.
    fn enter(&mut self) -> Result<(), Exhausted> {
        let most = self.usage().budgets().depth;
        if self.depth >= most {
            return Err(Exhausted::Depth(most));
        }
        self.usage().iterate()?;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes one level deeper into blocks, pipelines and calls.
    fn descend(&mut self) -> Result<(), Exhausted> {
        let usage = self.usage();
        if self.nesting >= usage.budgets().nesting {
            return Err(Exhausted::Nesting(usage.budgets().nesting));
        }
        self.nesting += 1;
        Ok(())
    }

    fn ascend(&mut self) {
        self.nesting -= 1;
    }

    /// Counts what has been written beyond `before` bytes.
    fn account(&mut self, before: usize) -> Result<(), Exhausted> {
        self.usage().write(self.out.len().saturating_sub(before))
    }
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

/// A variable and its value.
struct Variable<'t> {
    name: &'t str,
    slot: Slot,
}

/// The execution of one template.
struct State<'x, 'e, 't> {
    executor: &'x mut Executor<'e>,
    template: &'t Template,
    /// The node being evaluated, for errors.
    at: Option<&'t dyn super::ast::Place>,
    variables: Vec<Variable<'t>>,
}
