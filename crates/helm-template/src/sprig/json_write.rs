//! `encoding/json`'s output of template values, by the [`Writer`] of trees.
//!
//! In: a value. Out: JSON on one line or indented, with keys in byte order, or the text of Go's error for what JSON
//! cannot say. Bytes that are not UTF-8 become `\ufffd`, a `[]uint8` becomes base64.

use super::base::base64;
use super::cast::byte_items;
use crate::gotmpl::{ListKind, Value};
use crate::json::{Html, Writer, indented};
use crate::number::{format_float_g, json_float_text};

/// Nesting from which Go looks for cycles; deeper values are taken for such.
const MAX_DEPTH: usize = 500;

/// The form on one line.
pub(crate) fn compact(v: &Value, html: Html) -> Result<String, String> {
    let mut writer = Writer::new(html);
    write(&mut writer, v)?;
    Ok(writer.out)
}

/// The form with two blanks per level.
pub(crate) fn pretty(v: &Value) -> Result<String, String> {
    Ok(indented(&compact(v, Html::Escaped)?, "  "))
}

/// Writes a value where `writer` is.
pub(crate) fn write(writer: &mut Writer, v: &Value) -> Result<(), String> {
    write_at(writer, v, 0)
}

fn write_at(writer: &mut Writer, v: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("json: unsupported value: encountered a cycle via {}", v.type_name()));
    }
    match v {
        Value::Nil => writer.out.push_str("null"),
        Value::Bool(b) => writer.out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) | Value::Int64(i) => writer.out.push_str(&i.to_string()),
        Value::Uint64(u) => writer.out.push_str(&u.to_string()),
        Value::Float(f) => {
            let text = json_float_text(*f);
            writer.out.push_str(&text.ok_or_else(|| format!("json: unsupported value: {}", format_float_g(*f)))?);
        }
        Value::String(s) => writer.string(s.as_bytes()),
        Value::List(l) if l.kind() == ListKind::Bytes => writer.string(&base64(&byte_items(&l.snapshot()))),
        Value::List(l) => writer.array(|writer| {
            l.snapshot().iter().try_for_each(|item| {
                writer.separate();
                write_at(writer, item, depth + 1)
            })
        })?,
        Value::Map(m) => writer.object(|writer| {
            m.snapshot().iter().try_for_each(|(key, item)| {
                writer.key(key.as_bytes());
                write_at(writer, item, depth + 1)
            })
        })?,
        Value::Object(o) => writer.json(&o.to_json()?),
    }
    Ok(())
}
