//! What a template function is: its name, the types of its parameters, which the evaluator checks as Go's reflection
//! does, and its code.

use super::super::error::CallError;
use super::super::host::Host;
use super::super::signature::Type;
use super::super::usage::Cost;
use super::super::value::{Map, Value};
use super::Executor;

/// The code of a [`Function`]. The error is the text after `error calling NAME: `.
pub type FunctionCall = fn(&Host, &[Value]) -> Result<Value, String>;

/// A function that needs nothing but its arguments and the host: a row of a table for [`Functions::with`](super::Functions::with).
#[derive(Clone, Copy)]
pub struct Function {
    /// The name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic function.
    pub variadic: Option<Type>,
    /// The code; arguments arrive checked and converted.
    pub call: FunctionCall,
}

/// The code of an [`ExecFunction`].
pub type ExecFunctionCall = fn(&mut Executor<'_>, &[Value]) -> Result<Value, CallError>;

/// A function that needs the running execution, to execute further templates or to reach the caller's own state by
/// [`Executor::state`]: a row of a table for [`Functions::with_exec_functions`](super::Functions::with_exec_functions).
#[derive(Clone, Copy)]
pub struct ExecFunction {
    /// The name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic function.
    pub variadic: Option<Type>,
    /// The code; arguments arrive checked and converted.
    pub call: ExecFunctionCall,
}

/// A method of maps of [`MapKind::Values`](crate::gotmpl::MapKind::Values); such methods win over keys of the same name.
#[derive(Clone, Copy)]
pub struct Method {
    /// The name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic method.
    pub variadic: Option<Type>,
    /// What a call costs.
    pub cost: fn(&Map, &[Value]) -> Cost,
    /// The code, on the map and the checked arguments; the error is the text after `error calling NAME: `.
    pub call: fn(&Map, &[Value]) -> Result<Value, String>,
}
