//! Reads YAML into structs as Go does it for Helm: the case of keys is ignored, scalars become strings where a string is
//! wanted, `null` leaves a field as it is, unknown keys are ignored, and the first mismatch is reported in the words of
//! `encoding/json`.

use crate::yaml;
use serde_json::{Map, Value};

/// Parses YAML bytes for typed reading; integers stay integers.
///
/// # Errors
/// Helm's text, which starts with `error converting YAML to JSON: `.
pub fn yaml(data: &[u8]) -> Result<Value, String> {
    let text = text(data)?;
    // Only the untyped reading words its errors as Helm does.
    yaml::parse(text).or_else(|_| yaml::parse_helm(text)).map_err(|error| error.to_string())
}

/// Parses the YAML of a values file into a map; `null` and an empty text give an empty one.
///
/// # Errors
/// Broken YAML, and anything but a map.
pub fn yaml_map(data: &[u8]) -> Result<Map<String, Value>, String> {
    yaml::parse_helm_map(text(data)?).map_err(|error| error.to_string())
}

fn text(data: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(data).map_err(|_| "error converting YAML to JSON: yaml: invalid leading UTF-8 octet".to_owned())
}

/// encoding/json's complaint; `place` is `value` or `struct field T.path`.
fn mismatch(value: &Value, place: &str, wanted: &str) -> String {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {got} into Go {place} of type {wanted}"
    )
}

/// Collects the first mismatch while a struct is read.
#[derive(Default)]
pub struct Decoder {
    error: Option<String>,
}

/// Where a field stands in Go's words: the struct's name, and the path of fields to it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Name of the struct that has the field.
    pub structure: &'a str,
    /// Path of the struct's own field in the outer ones, with a final dot, or empty.
    pub path: &'a str,
    /// The field.
    pub field: &'a str,
}

impl Decoder {
    /// Ends the reading.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn finish(self) -> Result<(), String> {
        self.error.map_or(Ok(()), Err)
    }

    fn wrong(&mut self, value: &Value, place: Place<'_>, wanted: &str) {
        let Place { structure, path, field } = place;
        let text = mismatch(value, &format!("struct field {structure}.{path}{field}"), wanted);
        self.error.get_or_insert(text);
    }

    /// The root as a map; `go_type` is the type's name for the complaint.
    pub fn root<'v>(&mut self, value: &'v Value, go_type: &str) -> Vec<(&'v str, &'v Value)> {
        match value {
            Value::Object(map) => sorted(map),
            Value::Null => Vec::new(),
            other => {
                self.error.get_or_insert(mismatch(other, "value", go_type));
                Vec::new()
            }
        }
    }

    /// A nested struct; `None` for null or a mismatch.
    pub fn structure<'v>(
        &mut self,
        value: &'v Value,
        place: Place<'_>,
        go_type: &str,
    ) -> Option<Vec<(&'v str, &'v Value)>> {
        match value {
            Value::Object(map) => Some(sorted(map)),
            Value::Null => None,
            other => {
                self.wrong(other, place, go_type);
                None
            }
        }
    }

    /// A text, into `target`; numbers and booleans become text.
    pub fn text(&mut self, value: &Value, place: Place<'_>, target: &mut String) {
        match value {
            Value::Null => {}
            Value::Array(_) | Value::Object(_) => self.wrong(value, place, "string"),
            scalar => *target = scalar_text(scalar),
        }
    }

    /// A boolean, into `target`.
    pub fn boolean(&mut self, value: &Value, place: Place<'_>, target: &mut bool) {
        match value {
            Value::Null => {}
            Value::Bool(b) => *target = *b,
            other => self.wrong(other, place, "bool"),
        }
    }

    /// A list; `None` for a mismatch, an empty one for null.
    pub fn list<'v>(&mut self, value: &'v Value, place: Place<'_>, go_type: &str) -> Option<&'v [Value]> {
        match value {
            Value::Array(items) => Some(items),
            Value::Null => Some(&[]),
            other => {
                self.wrong(other, place, go_type);
                None
            }
        }
    }

    /// A list of texts, into `target`.
    pub fn texts(&mut self, value: &Value, place: Place<'_>, target: &mut Vec<String>) {
        let Some(items) = self.list(value, place, "[]string") else { return };
        target.resize(items.len(), String::new());
        for (item, slot) in items.iter().zip(target.iter_mut()) {
            self.text(item, place, slot);
        }
    }

    /// A map of texts, into `target`.
    pub fn text_map(
        &mut self,
        value: &Value,
        place: Place<'_>,
        target: &mut std::collections::BTreeMap<String, String>,
    ) {
        for (key, item) in self.structure(value, place, "map[string]string").into_iter().flatten() {
            let mut text = String::new();
            self.text(item, place, &mut text);
            target.insert(key.to_owned(), text);
        }
    }
}

/// The entries in key order, the order in which Go meets them.
fn sorted(map: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut entries: Vec<_> = map.iter().map(|(k, v)| (k.as_str(), v)).collect();
    entries.sort_by_key(|(k, _)| *k);
    entries
}

/// A scalar where a text is wanted: integers in full, other numbers with the shortest digits of a 32-bit float.
fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) if n.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "Go prints these through a 32-bit float")]
            let short = n.as_f64().unwrap_or_default() as f32;
            shortest_f32(short)
        }
        Value::Number(n) => n.to_string(),
        _ => String::new(),
    }
}

/// Go's `FormatFloat(f, 'g', -1, 32)`.
fn shortest_f32(f: f32) -> String {
    let scientific = format!("{f:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(e) if !(-4..6).contains(&e) => {
            let sign = if e < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", e.abs())
        }
        _ => f.to_string(),
    }
}
