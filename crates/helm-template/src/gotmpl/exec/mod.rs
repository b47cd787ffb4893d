//! Executes templates.
//!
//! In: a [`TemplateSet`], the name of a template, its data and an [`ExecContext`]. Out: the bytes written, or an
//! [`ExecError`] that prints as Go's does. Guarantees: the same input and a [`Host`] that gives the same answers give the
//! same output; whatever the templates are, execution ends within the [`Budgets`](super::Budgets) of the host's [`Usage`].
//!
//! | module | what it is |
//! |---|---|
//! | `function`, `functions`, `builtins`, `compare` | what templates call |
//! | `set` | the parsed templates |
//! | `walk`, `eval`, `call`, `slot` | the evaluator: nodes, pipelines, calls, and values as Go's reflection sees them |

mod builtins;
mod call;
mod compare;
mod eval;
mod function;
mod functions;
mod set;
mod slot;
mod walk;

pub use function::{ExecFunction, ExecFunctionCall, Function, FunctionCall, Method};
pub use functions::Functions;
pub use set::TemplateSet;

use super::ast::Template;
use super::error::{ExecError, NoTemplate};
use super::host::Host;
use super::usage::{Exhausted, Usage};
use super::value::Value;
use slot::Slot;
use std::any::Any;
use std::sync::Arc;

/// What functions find around them while templates execute.
#[derive(Clone, Copy)]
pub struct ExecContext<'e> {
    /// Time and randomness, and what may be used up.
    pub host: &'e Host,
    /// The caller's own state for its [`ExecFunction`]s, see [`Executor::state`].
    pub state: &'e dyn Any,
}

/// Executes the template `name` of `set` on `data` and returns what it writes.
///
/// # Errors
/// The first failing node, or that there is no such template.
pub fn execute(set: &TemplateSet, name: &str, data: Value, context: &ExecContext<'_>) -> Result<Vec<u8>, ExecError> {
    let mut executor = Executor { set: set.clone(), context: *context, out: Vec::new(), depth: 0, nesting: 0 };
    executor.execute(name, data)
}

/// A running execution, as an [`ExecFunction`] gets it.
pub struct Executor<'e> {
    set: TemplateSet,
    context: ExecContext<'e>,
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

    /// The caller's state, as given in the [`ExecContext`].
    #[must_use]
    pub fn state(&self) -> &'e dyn Any {
        self.context.state
    }

    /// Time and randomness.
    #[must_use]
    pub fn host(&self) -> &'e Host {
        self.context.host
    }

    /// What the render has used, and may use.
    #[must_use]
    pub fn usage(&self) -> &'e Usage {
        &self.context.host.usage
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
        // An error leaves the levels as they were where it arose; the caller may handle it and go on.
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
