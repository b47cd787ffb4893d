//! JSON text of a tree, byte for byte as Go's `encoding/json` writes it.
//!
//! In: any tree. Out: text without a final newline. Keys are sorted by bytes, floats take the form of
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
    let mut writer = Writer { out: String::new(), html, indent, level: 0 };
    writer.value(value);
    writer.out
}

/// A string as a quoted JSON string.
#[must_use]
pub fn quote(text: &str, html: Html) -> String {
    let mut writer = Writer { out: String::with_capacity(text.len() + 2), html, indent: None, level: 0 };
    writer.string(text);
    writer.out
}

struct Writer<'a> {
    out: String,
    html: Html,
    indent: Option<&'a str>,
    level: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(bool) => self.out.push_str(if *bool { "true" } else { "false" }),
            Value::Number(number) => self.out.push_str(&json_number_text(number)),
            Value::String(text) => self.string(text),
            Value::Array(items) => self.collection('[', ']', items.iter(), Self::value),
            Value::Object(map) => self.collection('{', '}', map.iter(), |writer, (key, value)| {
                writer.string(key);
                writer.out.push_str(if writer.indent.is_some() { ": " } else { ":" });
                writer.value(value);
            }),
        }
    }

    fn collection<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) {
        self.out.push(open);
        let empty = items.len() == 0;
        self.level += 1;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.newline();
            write(self, item);
        }
        self.level -= 1;
        if !empty {
            self.newline();
        }
        self.out.push(close);
    }

    fn newline(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(indent, self.level));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{C}' => self.out.push_str("\\f"),
                '\0'..='\u{1F}' | '\u{2028}' | '\u{2029}' => self.escape(c),
                '<' | '>' | '&' if self.html == Html::Escaped => self.escape(c),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        let _ = write!(self.out, "\\u{:04x}", u32::from(c));
    }
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
}
