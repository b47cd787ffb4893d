//! `encoding/json`'s input.
//!
//! In: JSON text. Out: a value whose numbers are `float64`, or Go's error text. As in Go, the text is checked as a
//! whole before a number that does not fit is reported.

use super::go_text;
use crate::gotmpl::format::quote;
use crate::gotmpl::{Map, MapKind, Value};

/// Go's limit is 10000 levels; no real document comes near either.
const MAX_DEPTH: usize = 500;

/// A parsed document.
pub(crate) struct Document {
    /// The value; a number that does not fit is nil.
    pub value: Value,
    /// Go's text for the first number that does not fit.
    pub misfit: Option<String>,
}

/// Reads one document; nothing but white space may follow it.
pub(crate) fn parse(text: &[u8]) -> Result<Document, String> {
    let mut reader = Reader { text, at: 0, misfit: None };
    let value = reader.value(0)?;
    match reader.token() {
        None => Ok(Document { value, misfit: reader.misfit }),
        Some(b) => Err(invalid(b, "after top-level value")),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    misfit: Option<String>,
}

/// `invalid character 'x' …`, the character quoted as Go quotes it.
fn invalid(b: u8, context: &str) -> String {
    let quoted = match b {
        b'\'' => r"'\''".to_owned(),
        b'"' => r#"'"'"#.to_owned(),
        _ => {
            let text = quote(char::from(b).to_string().as_bytes());
            format!("'{}'", String::from_utf8_lossy(&text).trim_matches('"'))
        }
    };
    format!("invalid character {quoted} {context}")
}

fn unexpected_end() -> String {
    "unexpected end of JSON input".to_owned()
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, String> {
        let b = self.peek().ok_or_else(unexpected_end)?;
        self.at += 1;
        Ok(b)
    }

    /// The next byte inside a token; at the end Go's scanner sees a blank there.
    fn next_in_token(&mut self) -> u8 {
        self.next().unwrap_or(b' ')
    }

    /// The next byte that is not white space, not consumed.
    fn token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        let start = self.token().ok_or_else(unexpected_end)?;
        match start {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Value::string),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Nil),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(invalid(start, "looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        let map = Map::new(MapKind::Any);
        self.at += 1;
        if self.token() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(map));
        }
        loop {
            match self.token().ok_or_else(unexpected_end)? {
                b'"' => {}
                b => return Err(invalid(b, "looking for beginning of object key string")),
            }
            let key = self.string()?;
            match self.token().ok_or_else(unexpected_end)? {
                b':' => self.at += 1,
                b => return Err(invalid(b, "after object key")),
            }
            map.set(key, self.value(depth + 1)?);
            match self.token().ok_or_else(unexpected_end)? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(Value::Map(map));
                }
                b => return Err(invalid(b, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        self.at += 1;
        if self.token() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.token().ok_or_else(unexpected_end)? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(Value::list(items));
                }
                b => return Err(invalid(b, "after array element")),
            }
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for expected in word.bytes() {
            let b = self.next_in_token();
            if b != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(invalid(b, &context));
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or_default());
        Ok(match text.parse::<f64>() {
            Ok(f) if f.is_finite() => Value::Float(f),
            _ => {
                let misfit = format!("json: cannot unmarshal number {text} into Go value of type float64");
                self.misfit.get_or_insert(misfit);
                Value::Nil
            }
        })
    }

    /// At least one digit.
    fn digits(&mut self, context: &str) -> Result<(), String> {
        let b = self.next_in_token();
        if !b.is_ascii_digit() {
            return Err(invalid(b, context));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape(&mut bytes)?,
                b @ ..=0x1f => return Err(invalid(b, "in string literal")),
                b => bytes.push(b),
            }
        }
        // One U+FFFD for every byte that is not UTF-8.
        Ok(go_text::runes(&bytes).map(|(c, _)| c).collect())
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        out.push(match self.next_in_token() {
            b @ (b'"' | b'\\' | b'/') => b,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.hex()?;
                let c = self.scalar(unit);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            b => return Err(invalid(b, "in string escape code")),
        });
        Ok(())
    }

    /// The character of a UTF-16 unit; a high surrogate is read with the low one after it, a lone surrogate is U+FFFD.
    fn scalar(&mut self, unit: u16) -> char {
        let here = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.text.get(here..here + 2) == Some(b"\\u") {
            self.at += 2;
            if let Ok(low) = self.hex()
                && let Some(Ok(c)) = char::decode_utf16([unit, low]).next()
            {
                return c;
            }
            self.at = here;
        }
        char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u16, String> {
        let mut unit = 0;
        for _ in 0..4 {
            let b = self.next_in_token();
            let digit = char::from(b).to_digit(16).and_then(|d| u16::try_from(d).ok());
            unit = unit * 16 + digit.ok_or_else(|| invalid(b, "in \\u hexadecimal character escape"))?;
        }
        Ok(unit)
    }
}
