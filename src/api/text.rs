//! How messages name places and values.

use helm_template::number::number_text_v;
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

/// Appends a key to a path in text form, after a dot unless the path is empty.
pub fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    for c in key.chars() {
        if matches!(c, '.' | '[') {
            path.push('\\');
        }
        path.push(c);
    }
}

/// A scalar as Go's `fmt.Sprint` prints it; `None` for lists and maps.
#[must_use]
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("<nil>".to_owned()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Number(number) => Some(number_text_v(number)),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
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
