//! Go's `text/template`, as Helm runs it: without knowledge of Helm or Kubernetes.
//!
//! In: texts of templates ([`TemplateSet::parse`]), tables of functions ([`Functions`]) and a [`Value`]. Out: the bytes
//! written ([`execute`]), or an error that reads as Go's does. Guarantees: option `missingkey=zero`; maps range in key
//! order; templates once parsed are `Send + Sync` and cheap to share; hostile input ends in an error, not in a stack
//! overflow, if the thread has the stack that [`Budgets`] names. What one render may use up is in [`usage`], what each
//! function costs in [`price`]: it is paid before the function runs, so nothing is made that there is no room for.

mod ast;
mod builtins;
mod compare;
mod error;
mod escape;
mod exec;
pub mod format;
pub mod function;
mod lexer;
mod literal;
mod parser;
pub mod price;
mod set;
pub mod usage;
pub mod value;

#[cfg(test)]
mod tests;

pub use error::{CallError, ExecError, Failure, Location, NoTemplate, ParseError, Problem, bounded};
pub use exec::{Environment, Executor, execute};
pub use function::{Ambient, Function, Method, Native, NativeCall, Pure, Signature, Type};
pub use parser::MAX_NODES;
pub use price::{By, Makes, Price, Prices};
pub use set::{Functions, TemplateSet};
pub use usage::{Budgets, Cost, Exhausted, Usage};
pub use value::{List, ListKind, Map, MapKind, Object, Text, Value};
