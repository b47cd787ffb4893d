//! What a template function is: a signature that the evaluator checks arguments against, as Go's reflection does, and
//! the code.

use super::error::CallError;
use super::exec::Executor;
use super::usage::{Cost, Usage};
use super::value::{Map, Value};
use std::cell::RefCell;

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: anything, nil included
    Any,
    /// bool
    Bool,
    /// int
    Int,
    /// int64
    Int64,
    /// float64
    Float,
    /// string
    String,
    /// `map[string]interface {}`
    Map,
    /// `[]interface {}`
    List,
    /// uint32, which only `derivePassword` takes
    Uint32,
    /// `time.Time`
    Time,
    /// `reflect.Value`: anything, checked by the function itself (`eq`, `index`, `len`); a [`Function`] cannot tell it
    /// from `Any`
    Reflect,
    /// `sprig.certificate`
    Certificate,
}

impl Type {
    /// The name Go prints in "expected T".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::String => "string",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Uint32 => "uint32",
            Self::Time => "time.Time",
            Self::Reflect => "reflect.Value",
            Self::Certificate => "sprig.certificate",
        }
    }
}

/// What a function may ask of the world outside: the only source of time and randomness in templates.
pub struct Ambient {
    /// Seconds and nanoseconds since the epoch.
    pub now: fn() -> (i64, u32),
    /// IANA name of the local zone, for `date`; `UTC` unless the caller has another.
    pub timezone: String,
    /// Fills a buffer with random bytes.
    pub entropy: RefCell<Entropy>,
    /// What the render has used, and may use.
    pub usage: Usage,
}

/// Fills a buffer with random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8])>;

/// A function without access to the evaluator. The error is the text after `error calling NAME: `.
pub type Pure = fn(&Ambient, &[Value]) -> Result<Value, String>;

/// A row of a function table: name, fixed parameters, type of the variadic rest, code.
#[derive(Clone, Copy)]
pub struct Function {
    /// The name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic function.
    pub variadic: Option<Type>,
    /// The code; arguments arrive checked and converted.
    pub call: Pure,
}

/// What a callable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic one.
    pub variadic: Option<Type>,
}

/// The code of a [`Native`].
pub type NativeCall = fn(&mut Executor<'_>, &[Value]) -> Result<Value, CallError>;

/// A row of a table of functions that need the running evaluator: to execute further templates, or to reach the
/// caller's own state by [`Executor::context`].
#[derive(Clone, Copy)]
pub struct Native {
    /// The name in templates.
    pub name: &'static str,
    /// Types of the fixed parameters.
    pub params: &'static [Type],
    /// Type of the arguments after them, for a variadic function.
    pub variadic: Option<Type>,
    /// The code; arguments arrive checked and converted.
    pub call: NativeCall,
}

/// A method of maps of [`MapKind::Values`](super::MapKind::Values); such methods win over keys of the same name.
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
