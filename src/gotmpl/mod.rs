//! Go's `text/template`, as Helm runs it: without knowledge of Helm or Kubernetes.
//!
//! In: texts of templates ([`TemplateSet::parse`]), tables of functions ([`Functions`]) and a [`Value`]. Out: the bytes
//! written ([`execute`]), or an error that reads as Go's does. Guarantees: option `missingkey=zero`; maps range in key
//! order; templates once parsed are `Send + Sync` and cheap to share; hostile input ends in an error, not in a stack
//! overflow, if the thread has the stack that [`Budgets`] names.

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
mod set;
pub mod value;

#[cfg(test)]
mod tests;

pub use error::{CallError, ExecError, Exhausted, Failure, Location, NoTemplate, ParseError, Problem};
pub use exec::{Budgets, Environment, Executor, execute};
pub use function::{Ambient, Function, Method, Native, NativeCall, Pure, Signature, Type};
pub use set::{Functions, TemplateSet};
pub use value::{List, ListKind, Map, MapKind, Object, Text, Value};
