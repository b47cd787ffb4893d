//! JSON text, byte for byte as Go's `encoding/json` writes it.
//!
//! In: a tree; the functions of templates write their values through the same [`Writer`]. Out: text without a final
//! newline. Keys of a tree are sorted by bytes, floats take the form of
//! [`json_float_text`](crate::number::json_float_text), U+2028 and U+2029 are always escaped.

use std::fmt::Write as _;

use serde_json::Value;

use crate::number::json_number_text;

/// Whether `<`, `>` and `&` are written as `\u003c`, `\u003e` and `\u0026`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Html {
    /// As `json.Marshal` does.
    Escaped,
    /// As an encoder with `SetEscapeHTML(false)` does.
    Raw,
}

/// One line, HTML escaped: `json.Marshal`.
#[must_use]
pub fn to_string(value: &Value) -> String {
    to_string_with(value, Html::Escaped, None)
}

/// Several lines with two blanks per level, HTML escaped: `json.MarshalIndent(v, "", "  ")`.
#[must_use]
pub fn to_string_pretty(value: &Value) -> String {
    to_string_with(value, Html::Escaped, Some("  "))
}

/// Any combination of escaping and indentation (`None`: one line).
#[must_use]
pub fn to_string_with(value: &Value, html: Html, indent: Option<&str>) -> String {
    let mut writer = Writer::new(html);
    write(&mut writer, value);
    match indent {
        Some(indent) => indented(&writer.out, indent),
        None => writer.out,
    }
}

/// A string as a quoted JSON string.
#[must_use]
pub fn quote(text: &str, html: Html) -> String {
    let mut writer = Writer::new(html);
    writer.string(text.as_bytes());
    writer.out
}

fn write(writer: &mut Writer, value: &Value) {
    match value {
        Value::Null => writer.out.push_str("null"),
        Value::Bool(bool) => writer.out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) => writer.out.push_str(&json_number_text(number)),
        Value::String(text) => writer.string(text.as_bytes()),
        Value::Array(items) => writer.array(|writer| {
            for item in items {
                writer.separate();
                write(writer, item);
            }
        }),
        Value::Object(map) => writer.object(|writer| {
            for (key, value) in map {
                writer.key(key.as_bytes());
                write(writer, value);
            }
        }),
    }
}

/// JSON on one line, while it is written: for whoever has another form than a tree, or another order of keys.
pub struct Writer {
    /// What is written so far. Literals and numbers are pushed to it as they are.
    pub(crate) out: String,
    html: Html,
}

impl Writer {
    /// Of nothing yet.
    #[must_use]
    pub fn new(html: Html) -> Self {
        Self { out: String::new(), html }
    }

    /// What was written.
    #[must_use]
    pub fn into_text(self) -> String {
        self.out
    }

    /// A whole tree, its keys sorted.
    pub fn value(&mut self, value: &Value) {
        write(self, value);
    }

    /// An array of what `items` writes, a [`separate`](Self::separate) before each.
    pub fn array<T>(&mut self, items: impl FnOnce(&mut Self) -> T) -> T {
        self.out.push('[');
        let result = items(self);
        self.out.push(']');
        result
    }

    /// An object of what `members` writes, a [`key`](Self::key) before each value.
    pub fn object<T>(&mut self, members: impl FnOnce(&mut Self) -> T) -> T {
        self.out.push('{');
        let result = members(self);
        self.out.push('}');
        result
    }

    /// A comma, unless this is the first item. No item ends with a bracket that opens, and a string ends with a quote.
    pub fn separate(&mut self) {
        if !self.out.ends_with(['[', '{']) {
            self.out.push(',');
        }
    }

    /// The key of a member.
    pub fn key(&mut self, key: &[u8]) {
        self.separate();
        self.string(key);
        self.out.push(':');
    }

    /// A string; each byte that is not UTF-8 becomes `\ufffd`.
    pub(crate) fn string(&mut self, text: &[u8]) {
        self.out.push('"');
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => self.out.extend(['\\', c]),
                    '\n' => self.out.push_str("\\n"),
                    '\r' => self.out.push_str("\\r"),
                    '\t' => self.out.push_str("\\t"),
                    '\u{8}' => self.out.push_str("\\b"),
                    '\u{C}' => self.out.push_str("\\f"),
                    '\0'..='\u{1F}' => self.escape(c),
                    _ => self.markup(c),
                }
            }
            for _ in chunk.invalid() {
                self.out.push_str("\\ufffd");
            }
        }
        self.out.push('"');
    }

    /// JSON on one line that was written elsewhere, such as that of an object with a form of its own.
    pub(crate) fn json(&mut self, json: &str) {
        for c in json.chars() {
            self.markup(c);
        }
    }

    /// A character that Go escapes only for the sake of HTML and JavaScript; the line separators even where HTML does
    /// not matter.
    fn markup(&mut self, c: char) {
        match c {
            '<' | '>' | '&' if self.html == Html::Raw => self.out.push(c),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => self.escape(c),
            _ => self.out.push(c),
        }
    }

    fn escape(&mut self, c: char) {
        let _ = write!(self.out, "\\u{:04x}", u32::from(c));
    }
}

/// JSON on several lines from JSON on one, as `json.Indent`; what is empty stays on its line.
pub(crate) fn indented(json: &str, indent: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(indent, depth));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn compact_text_is_html_escaped_unless_raw() {
        let value = json!({"b": [1, 1.0, 1e21, 1e-7, null, true], "a": "<&>\u{2028}\u{1}\"\\\n\t\u{8}é"});
        let escaped = r#"{"a":"\u003c\u0026\u003e\u2028\u0001\"\\\n\t\bé","b":[1,1,1e+21,1e-7,null,true]}"#;
        let raw = r#"{"a":"<&>\u2028\u0001\"\\\n\t\bé","b":[1,1,1e+21,1e-7,null,true]}"#;
        assert_eq!(to_string(&value), escaped);
        assert_eq!(to_string_with(&value, Html::Raw, None), raw);
    }

    #[test]
    fn indented_text_keeps_empty_collections_on_one_line() {
        let value = json!({"a": [], "b": {}, "c": [1, {"d": 2}]});
        let text = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"d\": 2\n    }\n  ]\n}";
        assert_eq!(to_string_pretty(&value), text);
    }

    #[test]
    fn bytes_that_are_no_text_and_json_from_elsewhere_are_escaped_too() {
        let mut writer = Writer::new(Html::Escaped);
        writer.object(|writer| {
            writer.key(b"\xff[");
            writer.array(|writer| {
                for json in ["[]", r#""\"<{\"""#, "{}"] {
                    writer.separate();
                    writer.json(json);
                }
            });
        });
        assert_eq!(writer.out, r#"{"\ufffd[":[[],"\"\u003c{\"",{}]}"#);
        let lines = "{\n\t\"\\ufffd[\": [\n\t\t[],\n\t\t\"\\\"\\u003c{\\\"\",\n\t\t{}\n\t]\n}";
        assert_eq!(indented(&writer.out, "\t"), lines);
    }
}
