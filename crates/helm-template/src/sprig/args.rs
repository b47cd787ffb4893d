//! Reading arguments, and writing rows of function tables.
//!
//! The evaluator has checked count and types of the arguments before a function runs, so an argument that is missing
//! here or of another type is read as the zero value of its type instead of being reported again.

use crate::gotmpl::{Function, FunctionCall, Map, MapKind, Type, Value};

/// A function with a fixed number of parameters.
pub(crate) const fn fixed(name: &'static str, params: &'static [Type], call: FunctionCall) -> Function {
    Function { name, params, variadic: None, call }
}

/// A function with any number of arguments of one type after the fixed ones.
pub(crate) const fn variadic(name: &'static str, params: &'static [Type], rest: Type, call: FunctionCall) -> Function {
    Function { name, params, variadic: Some(rest), call }
}

/// The argument at an index.
pub(crate) fn at(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// The arguments from an index on.
pub(crate) fn from(args: &[Value], index: usize) -> &[Value] {
    args.get(index..).unwrap_or_default()
}

/// A string argument.
pub(crate) fn text(args: &[Value], index: usize) -> &[u8] {
    match args.get(index) {
        Some(Value::String(s)) => s.as_bytes(),
        _ => &[],
    }
}

/// An int argument.
pub(crate) fn int(args: &[Value], index: usize) -> i64 {
    match args.get(index) {
        Some(Value::Int(i) | Value::Int64(i)) => *i,
        Some(Value::Uint64(u)) => i64::try_from(*u).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// A map argument.
pub(crate) fn map(args: &[Value], index: usize) -> Map {
    match args.get(index) {
        Some(Value::Map(m)) => m.clone(),
        _ => Map::new(MapKind::Any),
    }
}
