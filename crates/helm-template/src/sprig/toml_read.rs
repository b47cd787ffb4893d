//! TOML input.
//!
//! In: a TOML document. Out: a map with `int64` and `float64` numbers, or an error that names the line.

use crate::gotmpl::{Map, MapKind, Value};

/// Reads a document.
pub(crate) fn parse(text: &str) -> Result<Map, String> {
    let table = text.parse::<toml::Table>().map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("toml: line {}: {}", before.matches('\n').count() + 1, e.message().replace('\n', "; "))
    })?;
    Ok(convert_table(table))
}

fn convert_table(table: toml::Table) -> Map {
    let entries = table.into_iter().map(|(key, value)| (key.into(), convert(value)));
    Map::from_entries(MapKind::Any, entries.collect())
}

fn convert(value: toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::string(s),
        toml::Value::Integer(i) => Value::Int64(i),
        toml::Value::Float(f) => Value::Float(f),
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(d) => Value::string(d.to_string()),
        toml::Value::Array(items) => Value::list(items.into_iter().map(convert).collect()),
        toml::Value::Table(table) => Value::Map(convert_table(table)),
    }
}
