//! YAML text of a tree, byte for byte as Helm's `toYaml` and `toYamlPretty` write it.
//!
//! In: any tree. Out: block style YAML that ends with a newline, or `None` where Go reports an error.
//!
//! [`to_string`] is `sigs.k8s.io/yaml`: the tree goes through JSON, is read again as YAML 1.1 and written by the emitter
//! of yaml.v2. Visible effects: integral floats become integers, lists inside maps are not indented, long scalars are
//! folded at the first blank past column 80, a few control characters make the whole text fail.
//! [`to_string_pretty`] is the emitter of yaml.v3 alone: lists inside maps are indented, nothing is folded, floats keep
//! their float form.
//!
//! Keys are in the emitters' natural order (`a2` before `a10`), strings are quoted only where a reader would take them
//! for something else, text with newlines becomes a literal block. The work is split as in the emitters: this file walks
//! the tree, `style` decides how a string is written, `emitter` writes it and `order` sorts keys.

mod emitter;
mod order;
mod style;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::number::{format_float_g, json_number_text};
use emitter::Emitter;

/// Which of the two emitters to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// yaml.v2 after a round trip through JSON.
    V2,
    /// yaml.v3 with an indentation of two.
    V3,
}

/// Deepest tree that is written. Go stops at 10000; no configuration is that deep.
const MAX_DEPTH: usize = 1000;

/// Longest key in characters of its JSON text, quotes included: the reader of the round trip takes no longer ones.
const MAX_KEY: usize = 1024;

/// The tree as Helm's `toYaml` writes it, with a final newline (which `toYaml` itself cuts off).
///
/// `None` where Go reports an error and `toYaml` gives the empty string: a control character (DEL, U+0080 to U+009F but
/// U+0085) in a string, a key of more than 1022 characters, nesting beyond 1000 levels.
#[must_use]
pub fn to_string(value: &Value) -> Option<String> {
    write(value, Dialect::V2)
}

/// The tree as Helm's `toYamlPretty` writes it, with a final newline. `None` for nesting beyond 1000 levels.
#[must_use]
pub fn to_string_pretty(value: &Value) -> Option<String> {
    write(value, Dialect::V3)
}

fn write(value: &Value, dialect: Dialect) -> Option<String> {
    let mut writer = Writer { emitter: Emitter::new(dialect), dialect, depth: 0 };
    writer.node(value, Place::Root)?;
    Some(writer.emitter.finish())
}

/// Where a node stands, which decides about indentation and line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    MapValue,
}

struct Writer {
    emitter: Emitter,
    dialect: Dialect,
    depth: usize,
}

impl Writer {
    fn node(&mut self, value: &Value, place: Place) -> Option<()> {
        match value {
            Value::Null => self.emitter.word("null"),
            Value::Bool(true) => self.emitter.word("true"),
            Value::Bool(false) => self.emitter.word("false"),
            Value::Number(number) => self.emitter.word(&number_text(number, self.dialect)),
            Value::String(text) => {
                let text = self.reread(text)?;
                self.emitter.text(&text, false);
            }
            Value::Array(items) if items.is_empty() => self.emitter.word("[]"),
            Value::Object(map) if map.is_empty() => self.emitter.word("{}"),
            Value::Array(items) => self.nested(|w| w.list(items, place))?,
            Value::Object(map) => self.nested(|w| w.map(map))?,
        }
        Some(())
    }

    fn nested(&mut self, body: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let indent = self.emitter.indent();
        body(self)?;
        self.emitter.set_indent(indent);
        self.depth -= 1;
        Some(())
    }

    fn list(&mut self, items: &[Value], place: Place) -> Option<()> {
        let flush = self.dialect == Dialect::V2 && place == Place::MapValue && !self.emitter.at_indentation();
        if !flush {
            self.emitter.indent_more();
        }
        for item in items {
            self.emitter.start_line();
            self.emitter.indicator("-", true, true);
            self.node(item, Place::Item)?;
        }
        Some(())
    }

    fn map(&mut self, map: &Map<String, Value>) -> Option<()> {
        self.emitter.indent_more();
        let mut entries: Vec<(Cow<'_, str>, &Value)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            entries.push((self.reread_key(key)?, value));
        }
        order::sort_by_key(&mut entries, self.dialect == Dialect::V3);
        for (key, value) in entries {
            self.emitter.start_line();
            if style::is_simple_key(&key) {
                self.emitter.text(&key, true);
                self.emitter.indicator(":", false, false);
            } else {
                self.emitter.indicator("?", true, true);
                self.emitter.text(&key, false);
                self.emitter.start_line();
                self.emitter.indicator(":", true, true);
            }
            self.node(value, Place::MapValue)?;
        }
        Some(())
    }

    /// What a string becomes on its way through JSON text and the YAML reader.
    fn reread<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        let odd = |c: char| matches!(c, '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}');
        let common = text.bytes().all(|b| b < 0x7F);
        if common || self.dialect == Dialect::V3 || !text.contains(odd) {
            return Some(Cow::Borrowed(text));
        }
        if text.contains(|c| odd(c) && c != NEL) {
            return None;
        }
        fold_nel(text).map(Cow::Owned)
    }

    fn reread_key<'a>(&self, key: &'a str) -> Option<Cow<'a, str>> {
        // Counting is only worth it for keys that could reach the limit with every character escaped.
        let too_long = key.len() * 6 + 2 > MAX_KEY && json_length(key) > MAX_KEY;
        if self.dialect == Dialect::V2 && (key.contains(NEL) || too_long) {
            return None;
        }
        self.reread(key)
    }
}

/// U+0085, a line break for the YAML reader but not for JSON.
const NEL: char = '\u{85}';

/// Folds the line breaks of a double quoted scalar: blanks around breaks go, one break becomes a blank, more breaks
/// become one newline less than they are. A document marker at the start of a line is an error.
fn fold_nel(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.split(NEL).enumerate().peekable();
    let mut breaks = 0;
    while let Some((number, line)) = lines.next() {
        if number > 0
            && ["---", "..."]
                .iter()
                .any(|mark| line.strip_prefix(mark).is_some_and(|rest| ends_marker(rest, lines.peek().is_some())))
        {
            return None;
        }
        let last = lines.peek().is_none();
        let line = if number > 0 { line.trim_start_matches(' ') } else { line };
        let line = if last { line } else { line.trim_end_matches(' ') };
        if number > 0 {
            breaks += 1;
        }
        if line.is_empty() && !last {
            continue;
        }
        match breaks {
            0 => {}
            1 => out.push(' '),
            more => out.extend(std::iter::repeat_n('\n', more - 1)),
        }
        breaks = 0;
        out.push_str(line);
    }
    Some(out)
}

fn ends_marker(rest: &str, break_follows: bool) -> bool {
    rest.starts_with(' ') || (rest.is_empty() && break_follows)
}

/// Characters of a string's JSON text, quotes included.
fn json_length(text: &str) -> usize {
    let width = |c| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{C}' => 2,
        '\0'..='\u{1F}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        _ => 1,
    };
    2 + text.chars().map(width).sum::<usize>()
}

fn number_text(number: &Number, dialect: Dialect) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    let float = number.as_f64().unwrap_or_default();
    if dialect == Dialect::V3 {
        return format_float_g(float);
    }
    let json = json_number_text(number);
    if json == "-0" {
        return "0".to_owned();
    }
    if json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok() { json } else { format_float_g(float) }
}
