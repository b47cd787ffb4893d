//! TOML as `BurntSushi/toml` 1.6 writes it.
//!
//! In: a map. Out: keys in byte order, plain values before tables, tables indented by two blanks per level below the
//! first. Errors are the texts of that library.

use super::go_text::runes;
use crate::gotmpl::{Text, Value};
use crate::number::format_float_g;

/// Only a value that contains itself is nested deeper.
const MAX_DEPTH: usize = 500;

/// The document of a value.
pub(crate) fn to_string(v: &Value) -> Result<Vec<u8>, String> {
    let mut writer = Writer { out: Vec::new() };
    match v {
        Value::Map(m) => writer.entries(&[], &m.snapshot())?,
        _ if is_table_array(v, 0)? => return Err("toml: top-level values must be Go maps or structs".to_owned()),
        _ => writer.element(v, 0)?,
    }
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
}

/// Whether a list is written as an array of tables: it has items, and all are maps.
fn is_table_array(v: &Value, depth: usize) -> Result<bool, String> {
    let Value::List(list) = v else { return Ok(false) };
    if depth > MAX_DEPTH {
        return Err("toml: value is nested too deeply".to_owned());
    }
    let mut all_maps = !list.is_empty();
    for item in list.snapshot() {
        if matches!(item, Value::Nil) {
            return Err("toml: cannot encode array with nil element".to_owned());
        }
        is_table_array(&item, depth + 1)?;
        all_maps = all_maps && matches!(item, Value::Map(_));
    }
    Ok(all_maps)
}

impl Writer {
    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    /// A line end, unless nothing has been written yet.
    fn newline(&mut self) {
        if !self.out.is_empty() {
            self.put("\n");
        }
    }

    /// Plain values first, then tables; nil values are left out.
    fn entries(&mut self, path: &[Text], entries: &[(Text, Value)]) -> Result<(), String> {
        for tables in [false, true] {
            for (key, value) in entries {
                let array = is_table_array(value, 0)?;
                let is_table = array || matches!(value, Value::Map(_));
                if is_table != tables || matches!(value, Value::Nil) {
                    continue;
                }
                let path = [path, std::slice::from_ref(key)].concat();
                if path.len() > MAX_DEPTH {
                    return Err("toml: value is nested too deeply".to_owned());
                }
                match value {
                    Value::Map(m) => {
                        if path.len() == 1 {
                            self.newline();
                        }
                        self.header(&path, "[", "]");
                        self.entries(&path, &m.snapshot())?;
                    }
                    Value::List(l) if array => self.table_array(&path, &l.snapshot())?,
                    _ => {
                        self.put("  ".repeat(path.len() - 1));
                        self.key(key);
                        self.put(" = ");
                        self.element(value, 0)?;
                        self.put("\n");
                    }
                }
            }
        }
        Ok(())
    }

    fn table_array(&mut self, path: &[Text], tables: &[Value]) -> Result<(), String> {
        for table in tables {
            if let Value::Map(m) = table {
                self.newline();
                self.header(path, "[[", "]]");
                self.entries(path, &m.snapshot())?;
            }
        }
        Ok(())
    }

    fn header(&mut self, path: &[Text], open: &str, close: &str) {
        self.put("  ".repeat(path.len().saturating_sub(1)));
        self.put(open);
        for (i, key) in path.iter().enumerate() {
            if i > 0 {
                self.put(".");
            }
            self.key(key);
        }
        self.put(close);
        self.put("\n");
    }

    fn key(&mut self, key: &Text) {
        let bytes = key.as_bytes();
        let bare = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if bare { self.put(bytes) } else { self.string(bytes) }
    }

    fn string(&mut self, s: &[u8]) {
        self.put("\"");
        for (c, bytes) in runes(s) {
            match c {
                '"' | '\\' => self.put([b'\\', bytes.first().copied().unwrap_or_default()]),
                '\u{8}' => self.put("\\b"),
                '\t' => self.put("\\t"),
                '\n' => self.put("\\n"),
                '\u{c}' => self.put("\\f"),
                '\r' => self.put("\\r"),
                c if c.is_ascii_control() => self.put(format!("\\u{:04x}", u32::from(c))),
                _ => self.put(bytes),
            }
        }
        self.put("\"");
    }

    /// A value on the right side of `=`.
    fn element(&mut self, v: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("toml: value is nested too deeply".to_owned());
        }
        match v {
            Value::Nil => return Err("toml: cannot encode array with nil element".to_owned()),
            Value::Bool(b) => self.put(b.to_string()),
            Value::Int(i) | Value::Int64(i) => self.put(i.to_string()),
            Value::Uint64(u) => self.put(u.to_string()),
            Value::Float(f) => self.put(float(*f)),
            Value::String(s) => self.string(s.as_bytes()),
            Value::List(l) => {
                self.put("[");
                for (i, item) in l.snapshot().iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.put("]");
            }
            Value::Map(m) => self.inline_table(&m.snapshot(), depth)?,
            Value::Object(o) if o.type_name() == "time.Time" => {
                self.put(o.to_json()?.trim_matches('"'));
            }
            Value::Object(o) => self.string(o.plain().as_bytes()),
        }
        Ok(())
    }

    fn inline_table(&mut self, entries: &[(Text, Value)], depth: usize) -> Result<(), String> {
        self.put("{");
        let mut first = true;
        for tables in [false, true] {
            for (key, value) in entries {
                let is_table = matches!(value, Value::Map(_)) || is_table_array(value, 0)?;
                if is_table != tables || matches!(value, Value::Nil) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    self.put(", ");
                }
                self.key(key);
                self.put(" = ");
                self.element(value, depth + 1)?;
            }
        }
        self.put("}");
        Ok(())
    }
}

/// A float; TOML needs a point or an exponent to tell it from an integer.
fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format_float_g(f);
    if text.contains(['.', 'e']) { text } else { format!("{text}.0") }
}
