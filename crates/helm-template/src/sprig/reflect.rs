//! Go types of values as templates can ask for them.

use super::args::{at, fixed, text};
use super::cast::deep_equal;
use crate::gotmpl::Type::{Any, String};
use crate::gotmpl::{Function, Value};

/// The functions of this file.
pub const FUNCTIONS: &[Function] = &[
    fixed("typeOf", &[Any], |_, a| Ok(Value::string(at(a, 0).type_name()))),
    fixed("kindOf", &[Any], |_, a| Ok(Value::string(at(a, 0).kind_name()))),
    fixed("typeIs", &[String, Any], |_, a| Ok(Value::Bool(at(a, 1).type_name().as_bytes() == text(a, 0)))),
    fixed("typeIsLike", &[String, Any], |_, a| {
        let (name, wanted) = (at(a, 1).type_name().as_bytes(), text(a, 0));
        Ok(Value::Bool(name == wanted || name.strip_prefix(b"*").is_some_and(|n| n == wanted)))
    }),
    fixed("kindIs", &[String, Any], |_, a| Ok(Value::Bool(at(a, 1).kind_name().as_bytes() == text(a, 0)))),
    fixed("deepEqual", &[Any, Any], |_, a| Ok(Value::Bool(deep_equal(at(a, 0), at(a, 1))))),
];

#[cfg(test)]
mod tests {
    #[test]
    fn types_are_named_as_in_helm() {
        crate::sprig::testing::check(include_str!("testdata/reflect.txt"));
    }
}
