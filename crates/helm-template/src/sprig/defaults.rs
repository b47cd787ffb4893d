//! Choosing between values: `default`, `coalesce`, `ternary` and the tests for emptiness.

use super::args::{at, fixed, from, variadic};
use super::cast::is_empty;
use crate::gotmpl::Type::{Any, Bool};
use crate::gotmpl::{Function, Value};

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    variadic("default", &[Any], Any, |_, a| {
        let given = a.get(1).filter(|v| !is_empty(v));
        Ok(given.unwrap_or(at(a, 0)).clone())
    }),
    fixed("empty", &[Any], |_, a| Ok(Value::Bool(is_empty(at(a, 0))))),
    variadic("coalesce", &[], Any, |_, a| Ok(a.iter().find(|v| !is_empty(v)).cloned().unwrap_or(Value::Nil))),
    variadic("all", &[], Any, |_, a| Ok(Value::Bool(!a.iter().any(is_empty)))),
    variadic("any", &[], Any, |_, a| Ok(Value::Bool(a.iter().any(|v| !is_empty(v))))),
    fixed("ternary", &[Any, Any, Bool], |_, a| {
        let chosen = usize::from(!matches!(from(a, 2), [Value::Bool(true), ..]));
        Ok(at(a, chosen).clone())
    }),
];

#[cfg(test)]
mod tests {
    #[test]
    fn choices_are_those_of_helm() {
        crate::sprig::testing::check(include_str!("testdata/defaults.txt"));
    }
}
