//! Go's `text/template`, as Helm runs it: without knowledge of Helm or Kubernetes.
//!
//! In: texts of templates ([`TemplateSet::parse`]), tables of functions ([`Functions`]) and a [`Value`]. Out: the bytes
//! written ([`execute`]), or an error that reads as Go's does. Guarantees: option `missingkey=zero`; maps range in key
//! order; templates once parsed are `Send + Sync` and cheap to share; hostile input ends in an error, not in a stack
//! overflow, if the thread has the stack that [`Budgets::stack`] names. What one render may use up is in [`usage`], what
//! each function costs in [`price`]: it is paid before the function runs, so nothing is made that there is no room for.
//!
//! ```
//! use helm_template::gotmpl::{ExecContext, Functions, Host, TemplateSet, Value, execute};
//!
//! let mut set = TemplateSet::new("greetings", Functions::new().into());
//! set.parse("hello", "Hello, {{ .name }}!")?;
//! let data = Value::map([("name", Value::string("world"))]);
//! let written = execute(&set, "hello", data, &ExecContext { host: &Host::fixed(), state: &() })?;
//! assert_eq!(written, b"Hello, world!");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ast;
mod error;
mod escape;
mod exec;
pub mod format;
mod host;
mod lexer;
mod literal;
mod parser;
pub mod price;
mod signature;
pub mod usage;
pub mod value;

#[cfg(test)]
mod tests;

pub use error::{CallError, ExecError, Failure, Location, NoTemplate, ParseError, Problem, bounded};
pub use exec::{
    ExecContext, ExecFunction, ExecFunctionCall, Executor, Function, FunctionCall, Functions, Method, TemplateSet,
    execute,
};
pub use host::{Entropy, Host};
pub use parser::MAX_NODES;
pub use price::{Measure, Price, Prices, ResultSize};
pub use signature::{Signature, Type};
pub use usage::{Budgets, Cost, Exhausted, Usage};
pub(crate) use value::changes;
pub use value::{Document, List, ListKind, Map, MapKind, Object, Text, Value};
