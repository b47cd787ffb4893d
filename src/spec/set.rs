//! `--set path=value` lines.
//!
//! In: the line. Out: the path and the typed value. The line is split at the first `=`, so that a value may hold more of
//! them (upstream Istio refuses such a line); both sides are trimmed. Types are tried in this order: whole number in base
//! 10 (`007` is 7), float (`1e3`, `1.10` is 1.1), boolean (`t`, `True`, `F` too), else text in which `\,` stands for `,`.
//! Text in double quotes loses them and stays text, so that `tag="1.10"` works (upstream keeps the quotes). `inf`
//! and `nan` stay text, as no configuration can hold them.

use serde_json::{Number, Value};

use super::path::{Path, PathError};

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No `=`.
    #[error("set flag {0} has incorrect format, must be path=value")]
    NoValue(String),
    /// Nothing before the `=`.
    #[error("set flag {0} has no path before the equals sign, must be path=value")]
    NoPath(String),
    /// The path cannot be parsed.
    #[error("set flag {line}: {error}")]
    Path {
        /// The whole line.
        line: String,
        /// What is wrong with the path.
        error: PathError,
    },
}

/// Path and value of a line, the path as written.
///
/// # Errors
/// See [`SetError`].
pub fn parse_line(line: &str) -> Result<(Path, Value), SetError> {
    let (path, value) = line.split_once('=').ok_or_else(|| SetError::NoValue(line.to_owned()))?;
    let path = Path::parse(path.trim()).map_err(|error| SetError::Path { line: line.to_owned(), error })?;
    if path.is_empty() {
        return Err(SetError::NoPath(line.to_owned()));
    }
    Ok((path, parse_value(value.trim())))
}

/// The path of a `--set` line within an `IstioOperator`: below `spec`, which need not be written.
#[must_use]
pub fn below_spec(path: Path) -> Path {
    if path.starts_with(&["spec"]) { path } else { path.below("spec") }
}

/// Places whose values are texts, whatever they look like, since release 1.N: these paths, and those that begin so.
const TEXTS: [(&str, u32); 6] = [
    ("spec.values.compatibilityVersion", 21),
    ("spec.tag", 24),
    ("spec.values.global.tag", 24),
    ("spec.meshConfig.defaultConfig.proxyMetadata.", 18),
    ("spec.values.meshConfig.defaultConfig.proxyMetadata.", 18),
    ("spec.compatibilityVersion", 21),
];

/// The value of a line as release 1.`minor` takes it: since 1.24, `tag=1.10` is the text `1.10`.
#[must_use]
pub fn as_text(line: &str, path: &Path, value: Value, minor: u32) -> Value {
    match line.split_once('=') {
        Some((_, text)) if is_text(&path.to_string(), minor) && !value.is_string() => {
            Value::String(text.trim().to_owned())
        }
        _ => value,
    }
}

/// Whether release 1.`minor` takes what stands at a path for a text.
#[must_use]
pub fn is_text(path: &str, minor: u32) -> bool {
    TEXTS.iter().any(|(start, since)| path.starts_with(start) && minor >= *since)
}

/// Whether releases from 1.24 on do.
#[must_use]
pub fn is_text_since_124(path: &str) -> bool {
    is_text(path, 24)
}

/// A value with the type its text has; in quotes it is a text.
#[must_use]
pub fn parse_value(text: &str) -> Value {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => Value::String(inner.replace("\\,", ",")),
        None => value_of_type(text),
    }
}

/// A value with the type its text has, quotes and all.
#[must_use]
pub fn value_of_type(text: &str) -> Value {
    if let Ok(int) = text.parse::<i64>() {
        return Value::Number(int.into());
    }
    // Rust reads the same floats as Go, except hexadecimal ones.
    if let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64) {
        return Value::Number(number);
    }
    match text {
        "t" | "T" | "TRUE" | "true" | "True" => Value::Bool(true),
        "f" | "F" | "FALSE" | "false" | "False" => Value::Bool(false),
        _ => Value::String(text.replace("\\,", ",")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_get_the_type_of_their_text() {
        for (text, value) in [
            ("007", json!(7)),
            ("+5", json!(5)),
            ("-3", json!(-3)),
            ("1e3", json!(1000.0)),
            ("1.10", json!(1.1)),
            ("9223372036854775808", json!(9_223_372_036_854_775_808.0)),
            ("1", json!(1)),
            ("t", json!(true)),
            ("FALSE", json!(false)),
            ("tRUE", json!("tRUE")),
            ("yes", json!("yes")),
            ("inf", json!("inf")),
            ("NaN", json!("NaN")),
            ("0x10", json!("0x10")),
            ("", json!("")),
            (r"a\,b", json!("a,b")),
            ("\"1.10\"", json!("1.10")),
            ("\"true\"", json!("true")),
            ("\"", json!("\"")),
        ] {
            assert_eq!(parse_value(text), value, "{text}");
        }
    }

    #[test]
    fn a_line_splits_at_the_first_equals_sign() {
        let (path, value) = parse_line(" meshConfig.x = a=b=c ").expect("line");
        assert_eq!((path.to_string().as_str(), value), ("meshConfig.x", json!("a=b=c")));
        let (path, value) = parse_line("hub=").expect("line");
        assert_eq!((path.to_string().as_str(), value), ("hub", json!("")));
    }

    #[test]
    fn a_path_is_put_below_spec_once() {
        for line in ["values.a=1", "spec.values.a=1"] {
            let (path, _) = parse_line(line).expect("line");
            assert_eq!(below_spec(path).to_string(), "spec.values.a");
        }
    }

    #[test]
    fn broken_lines_are_refused() {
        for (line, message) in [
            ("abc", "set flag abc has incorrect format, must be path=value"),
            ("=1", "set flag =1 has no path before the equals sign, must be path=value"),
            ("a[x=1", "set flag a[x=1: path a[x: element [x has no closing bracket; write \\[ for a bracket in a key"),
        ] {
            assert_eq!(parse_line(line).expect_err(line).to_string(), message);
        }
    }

    #[test]
    fn what_is_a_text_depends_on_the_release() {
        let of = |line: &str, minor| {
            let (path, value) = parse_line(line).unwrap();
            as_text(line, &below_spec(path), value, minor).is_string()
        };
        for (line, since) in [
            ("compatibilityVersion=1.22", 21),
            ("values.compatibilityVersion=1.22", 21),
            ("meshConfig.defaultConfig.proxyMetadata.X=true", 18),
            ("tag=1.10", 24),
        ] {
            assert_eq!([of(line, since - 1), of(line, since)], [false, true], "{line}");
        }
        assert!(!of("values.pilot.traceSampling=1.0", 30));
    }
}
