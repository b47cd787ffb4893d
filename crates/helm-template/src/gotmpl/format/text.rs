//! Strings: padding, `%s %q %x`, and quoting.

use super::output::{BadVerb, Printer};

/// The first character of a text and its width; a byte that is not UTF-8 is U+FFFD of width 1.
#[must_use]
pub fn decode_rune(text: &[u8]) -> Option<(char, usize)> {
    let &first = text.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((char::REPLACEMENT_CHARACTER, 1)),
    };
    let c = text.get(..width).and_then(|t| std::str::from_utf8(t).ok()).and_then(|t| t.chars().next());
    Some(c.map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width)))
}

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the blank.
#[must_use]
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // The standard library's table of printable characters is only reachable through its escapes; the leading letter
    // keeps marks from being escaped as such.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) == Some(c)
}

/// Go's `strconv.Quote`, which is `%q`.
#[must_use]
pub fn quote(text: &[u8]) -> Vec<u8> {
    quote_with(text, '"', false)
}

/// Go's `strconv.QuoteToASCII`, which is `%+q`.
#[must_use]
pub fn quote_ascii(text: &[u8]) -> Vec<u8> {
    quote_with(text, '"', true)
}

pub(super) fn quote_with(text: &[u8], quote: char, ascii: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.extend_from_slice(quote.encode_utf8(&mut [0; 4]).as_bytes());
    let mut rest = text;
    while let Some((c, width)) = decode_rune(rest) {
        let (this, after) = rest.split_at_checked(width).unwrap_or((rest, b""));
        match this {
            [byte] if c == char::REPLACEMENT_CHARACTER => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            _ => escape(c, quote, ascii, &mut out),
        }
        rest = after;
    }
    out.extend_from_slice(quote.encode_utf8(&mut [0; 4]).as_bytes());
    out
}

fn escape(c: char, quote: char, ascii: bool, out: &mut Vec<u8>) {
    let escaped = match c {
        c if c == quote || c == '\\' => format!("\\{c}"),
        c if is_print(c) && (c.is_ascii() || !ascii) => c.to_string(),
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\x0b' => "\\v".to_owned(),
        '\0'..' ' | '\x7f' => format!("\\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x10000 => format!("\\u{:04x}", u32::from(c)),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    out.extend_from_slice(escaped.as_bytes());
}

/// Go's `strconv.CanBackquote`.
fn can_backquote(text: &[u8]) -> bool {
    std::str::from_utf8(text)
        .is_ok_and(|t| t.chars().all(|c| !matches!(c, '\u{feff}' | '`' | '\x7f') && (c >= ' ' || c == '\t')))
}

fn rune_count(text: &[u8]) -> usize {
    let mut rest = text;
    let mut count = 0;
    while let Some((_, width)) = decode_rune(rest) {
        rest = rest.get(width..).unwrap_or_default();
        count += 1;
    }
    count
}

impl Printer {
    pub(super) fn padding(&mut self, width: usize) {
        let pad = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + width, pad);
    }

    /// Writes with the verb's width.
    pub(super) fn pad(&mut self, text: &[u8]) {
        let missing = self.flags.width.map_or(0, |w| w.saturating_sub(rune_count(text)));
        if !self.flags.minus {
            self.padding(missing);
        }
        self.out.extend_from_slice(text);
        if self.flags.minus {
            self.padding(missing);
        }
    }

    /// Writes with the verb's width, never padded by zeros.
    pub(super) fn pad_with_blanks(&mut self, text: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// The beginning of a text that the verb's precision leaves.
    pub(super) fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut at = 0;
        for _ in 0..precision {
            match text.get(at..).and_then(decode_rune) {
                Some((_, width)) => at += width,
                None => break,
            }
        }
        text.get(..at).unwrap_or(text)
    }

    /// A string, or what is printed like one.
    /// `is_quoted` by `v`.
    pub(super) fn string(&mut self, text: &[u8], verb: char, is_quoted: bool) -> Result<(), BadVerb> {
        match verb {
            'v' if is_quoted => self.quoted(text),
            'v' | 's' => self.pad(self.cut(text)),
            'q' => self.quoted(text),
            'x' => self.hexadecimal(text, b"0123456789abcdefx"),
            'X' => self.hexadecimal(text, b"0123456789ABCDEFX"),
            _ => return Err(BadVerb),
        }
        Ok(())
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.cut(text);
        if self.flags.sharp && can_backquote(text) {
            self.pad(&[b"`", text, b"`"].concat());
        } else {
            self.pad(&quote_with(text, '"', self.flags.plus));
        }
    }

    fn hexadecimal(&mut self, text: &[u8], digits: &[u8; 17]) {
        let length = self.flags.precision.map_or(text.len(), |p| p.min(text.len()));
        let digit = |d: u8| digits.get(usize::from(d)).copied().unwrap_or(b'0');
        let mut code = Vec::with_capacity(2 * length);
        for (i, byte) in text.iter().take(length).enumerate() {
            if self.flags.space && i > 0 {
                code.push(b' ');
            }
            if self.flags.sharp && (self.flags.space || i == 0) {
                code.extend_from_slice(&[b'0', digit(16)]);
            }
            code.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        self.pad(&code);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_what_go_escapes() {
        let quoted = |s: &[u8]| String::from_utf8(quote(s)).unwrap();
        assert_eq!(quoted("a\"\\\n\x01\x7f".as_bytes()), r#""a\"\\\n\x01\x7f""#);
        assert_eq!(quoted("é\u{a0}😀\u{200b}\u{301}".as_bytes()), "\"é\\u00a0😀\\u200b\u{301}\"");
        assert_eq!(quoted(b"\xff\xc3"), r#""\xff\xc3""#);
        assert_eq!(quoted("\u{fffd}".as_bytes()), "\"\u{fffd}\"");
        assert_eq!(quote_ascii("é😀".as_bytes()), br#""\u00e9\U0001f600""#);
    }
}
