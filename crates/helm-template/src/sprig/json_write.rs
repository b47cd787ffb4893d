//! `encoding/json`'s output.
//!
//! In: a value. Out: compact or indented JSON with keys in byte order, or the text of Go's error for what JSON cannot
//! say. Bytes that are not UTF-8 become `\ufffd`, a `[]uint8` becomes base64.

use super::base::base64;
use super::cast::byte_items;
use super::go_text;
use crate::gotmpl::{ListKind, Value};
use crate::number::{format_float_g, json_float_text};

/// Nesting from which Go looks for cycles; deeper values are taken for such.
const MAX_DEPTH: usize = 500;

/// The compact form; `escape_html` writes `<`, `>` and `&` as `\u003c` and so on.
pub(crate) fn compact(v: &Value, escape_html: bool) -> Result<String, String> {
    let mut out = String::new();
    write(&mut out, v, escape_html, 0)?;
    Ok(out)
}

/// The form with two blanks per level.
pub(crate) fn pretty(v: &Value) -> Result<String, String> {
    Ok(indented(&compact(v, true)?))
}

fn write(out: &mut String, v: &Value, html: bool, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("json: unsupported value: encountered a cycle via {}", v.type_name()));
    }
    match v {
        Value::Nil => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) | Value::Int64(i) => out.push_str(&i.to_string()),
        Value::Uint64(u) => out.push_str(&u.to_string()),
        Value::Float(f) => {
            let text = json_float_text(*f);
            out.push_str(&text.ok_or_else(|| format!("json: unsupported value: {}", format_float_g(*f)))?);
        }
        Value::String(s) => write_string(out, s.as_bytes(), html),
        Value::List(l) if l.kind() == ListKind::Bytes => {
            write_string(out, &base64(&byte_items(&l.snapshot())), html);
        }
        Value::List(l) => {
            out.push('[');
            for (i, item) in l.snapshot().iter().enumerate() {
                separate(out, i);
                write(out, item, html, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(m) => {
            out.push('{');
            for (i, (key, item)) in m.snapshot().iter().enumerate() {
                separate(out, i);
                write_string(out, key.as_bytes(), html);
                out.push(':');
                write(out, item, html, depth + 1)?;
            }
            out.push('}');
        }
        Value::Object(o) => {
            for c in o.to_json()?.chars() {
                push_escaped_markup(out, c, html);
            }
        }
    }
    Ok(())
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn write_string(out: &mut String, s: &[u8], html: bool) {
    out.push('"');
    for (c, bytes) in go_text::runes(s) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => push_escape(out, c),
            char::REPLACEMENT_CHARACTER if bytes.len() == 1 => out.push_str("\\ufffd"),
            _ => push_escaped_markup(out, c, html),
        }
    }
    out.push('"');
}

/// What Go escapes for the sake of HTML and JavaScript; the line separators even where HTML does not matter.
fn push_escaped_markup(out: &mut String, c: char, html: bool) {
    match c {
        '<' | '>' | '&' if !html => out.push(c),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => push_escape(out, c),
        _ => out.push(c),
    }
}

/// `\u2028`: four hexadecimal digits, which is enough for all that is escaped like this.
fn push_escape(out: &mut String, c: char) {
    out.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        out.push(char::from_digit((u32::from(c) >> shift) & 0xf, 16).unwrap_or('0'));
    }
}

/// `json.Indent` of compact JSON with two blanks per level; what is empty stays on its line.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out
}
