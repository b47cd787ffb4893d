//! How messages name places and values.

use serde_json::Value;

/// A key as an element of a path in text form: `a.b` is `a\.b`.
#[must_use]
pub fn escape(key: &str) -> String {
    key.replace('.', "\\.").replace('[', "\\[")
}

/// A path in text form, and a key below it: `a.b` and `c.d` are `a.b.c\.d`.
#[must_use]
pub fn join(path: &str, key: &str) -> String {
    format!("{path}.{}", escape(key))
}

/// What a value is: `the number 5`, `a map`.
#[must_use]
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => format!("{b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the string {s:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}
