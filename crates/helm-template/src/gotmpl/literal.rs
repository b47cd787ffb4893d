//! Go's literals: quoted strings, characters and numbers.
//!
//! In: the text of a token as the lexer cut it. Out: its value, or the message Go's parser gives.

/// A number literal in every reading it allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Number {
    /// As written.
    pub text: String,
    /// The value as a signed integer, where it is one.
    pub int: Option<i64>,
    /// The value as an unsigned integer, where it is one.
    pub uint: Option<u64>,
    /// The value as a float, where it is one.
    pub float: Option<f64>,
    /// An imaginary or complex literal; its value cannot be used.
    pub complex: bool,
}

impl Number {
    /// Whether the literal is a float where the type is free (`1.0`, `1e3`, `0x1p4`).
    pub(super) fn is_written_as_float(&self) -> bool {
        let text = self.text.as_bytes();
        let hexadecimal_int =
            text.len() > 2 && (text.starts_with(b"0x") || text.starts_with(b"0X")) && !self.text.contains(['p', 'P']);
        self.float.is_some()
            && !hexadecimal_int
            && !text.starts_with(b"'")
            && self.text.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// Reads a number token.
pub(super) fn number(text: &str) -> Result<Number, String> {
    let mut n = Number { text: text.to_owned(), ..Number::default() };
    if let Some(imaginary) = text.strip_suffix('i')
        && let Some(f) = float(imaginary)
    {
        n.complex = true;
        if f == 0.0 {
            n.float = Some(0.0);
            n.int = Some(0);
            n.uint = Some(0);
        }
        return Ok(n);
    }
    n.uint = magnitude(text);
    n.int = signed(text);
    if n.int == Some(0) {
        n.uint = Some(0);
    }
    if let Some(i) = n.int {
        n.float = Some(lossy(i));
    } else if let Some(u) = n.uint {
        n.float = Some(lossy_unsigned(u));
    } else if let Some(f) = float(text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quoted(text)));
        }
        n.float = Some(f);
        n.int = whole(f);
        n.uint = n.int.and_then(|i| u64::try_from(i).ok());
    }
    if n.float.is_none() {
        return Err(format!("illegal number syntax: {}", quoted(text)));
    }
    Ok(n)
}

/// Reads a complex token such as `1+2i`: only its syntax matters.
pub(super) fn complex(text: &str) -> Number {
    Number { text: text.to_owned(), complex: true, ..Number::default() }
}

fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&super::format::quote(text.as_bytes())).into_owned()
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn lossy(i: i64) -> f64 {
    i as f64
}

#[expect(clippy::cast_precision_loss, reason = "as Go converts")]
fn lossy_unsigned(u: u64) -> f64 {
    u as f64
}

/// The integer a float is, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "bounds are checked")]
fn whole(f: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f);
    (in_range && f.fract() == 0.0).then_some(f as i64)
}

/// Go's `strconv.ParseInt(s, 0, 64)`.
pub(super) fn signed(s: &str) -> Option<i64> {
    match s.strip_prefix('-') {
        Some(rest) => 0i64.checked_sub_unsigned(magnitude(rest)?),
        None => i64::try_from(magnitude(s.strip_prefix('+').unwrap_or(s))?).ok(),
    }
}

/// Go's `strconv.ParseUint(s, 0, 64)`: prefixes `0x 0o 0b 0`, `_` between digits.
pub(super) fn magnitude(s: &str) -> Option<u64> {
    let lower = s.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'o', ..] => (8, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if !underscores_are_fine(&lower) {
        return None;
    }
    let plain = digits.replace('_', "");
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

/// Whether `_` stands only between digits, or between a base prefix and a digit. Takes lower case without sign.
fn underscores_are_fine(s: &str) -> bool {
    if !s.contains('_') {
        return true;
    }
    let bytes = s.as_bytes();
    let prefixed = matches!(bytes, [b'0', b'x' | b'o' | b'b', ..]);
    let hexadecimal = matches!(bytes, [b'0', b'x', ..]);
    // A `0` prefix counts as a digit; so does the base letter for the `_` that follows it.
    let mut before = if prefixed { '0' } else { '^' };
    if !prefixed && bytes.first() != Some(&b'0') && !s.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    for c in s.chars().skip(if prefixed { 2 } else { 0 }) {
        if c.is_ascii_digit() || (hexadecimal && c.is_ascii_hexdigit()) {
            before = '0';
        } else if c == '_' {
            if before != '0' {
                return false;
            }
            before = '_';
        } else {
            if before == '_' {
                return false;
            }
            before = '!';
        }
    }
    before != '_'
}

/// Go's `strconv.ParseFloat(s, 64)` for what the lexer lets through; overflow is not a value.
pub(super) fn float(s: &str) -> Option<f64> {
    let unsigned = s.strip_prefix(['+', '-']).unwrap_or(s);
    let lower = unsigned.to_ascii_lowercase();
    let value = if let Some(digits) = lower.strip_prefix("0x") {
        hexadecimal_float(digits)?
    } else {
        // Go allows `_` in floats only with a base prefix.
        if lower.contains('_') || !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        lower.parse::<f64>().ok()?
    };
    (value.is_finite()).then_some(if s.starts_with('-') { -value } else { value })
}

/// The value of `h.hhhp±d`; an exponent is required.
fn hexadecimal_float(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut bits = 0u64;
    let mut scale = exponent;
    let mut any = false;
    for (i, c) in whole.chars().chain(fraction.chars()).filter(|c| *c != '_').enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        any = true;
        let after_point = i >= whole.chars().filter(|c| *c != '_').count();
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            scale -= if after_point { 4 } else { 0 };
        } else {
            // Digits beyond 60 bits only move the point; f64 would round them off anyway.
            scale += if after_point { 0 } else { 4 };
        }
    }
    any.then(|| lossy_unsigned(bits) * 2f64.powi(scale))
}

/// Go's `strconv.Unquote` for a token in double quotes or backquotes; `None` is `invalid syntax`.
pub(super) fn string(token: &[u8]) -> Option<Vec<u8>> {
    match token {
        [b'`', raw @ .., b'`'] => Some(raw.iter().copied().filter(|b| *b != b'\r').collect()),
        [b'"', inner @ .., b'"'] => {
            let mut out = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                rest = unquote_one(rest, b'"', &mut out)?;
            }
            Some(out)
        }
        _ => None,
    }
}

/// Go's reading of a character constant with its quotes.
pub(super) fn character(token: &str) -> Result<Number, String> {
    let inner = token.strip_prefix('\'').unwrap_or(token);
    let mut out = Vec::new();
    let rest = unquote_one(inner.as_bytes(), b'\'', &mut out).ok_or("invalid syntax")?;
    if rest != b"'" {
        return Err(format!("malformed character constant: {token}"));
    }
    let code = match std::str::from_utf8(&out).ok().and_then(|s| s.chars().next()) {
        Some(c) => u32::from(c),
        None => out.first().copied().map_or(0, u32::from),
    };
    Ok(Number {
        text: token.to_owned(),
        int: Some(code.into()),
        uint: Some(code.into()),
        float: Some(code.into()),
        complex: false,
    })
}

/// Takes one character or escape off the front, writes what it stands for, returns the rest.
fn unquote_one<'a>(s: &'a [u8], quote: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&first, rest) = s.split_first()?;
    if first == quote || first == b'\n' {
        return None;
    }
    if first != b'\\' {
        out.push(first);
        // The bytes of a longer character follow by themselves, except for a constant, which wants one character.
        let tail = rest.iter().take_while(|b| first >= 0xC0 && **b & 0xC0 == 0x80).count();
        let (tail, rest) = rest.split_at_checked(tail)?;
        out.extend_from_slice(tail);
        return Some(rest);
    }
    let (&escape, rest) = rest.split_first()?;
    let simple = match escape {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if escape == quote => escape,
        b'x' => return coded(rest, 2, 16, true, out),
        b'u' => return coded(rest, 4, 16, false, out),
        b'U' => return coded(rest, 8, 16, false, out),
        b'0'..=b'7' => return coded(s.get(1..)?, 3, 8, true, out),
        _ => return None,
    };
    out.push(simple);
    Some(rest)
}

/// A character given by a fixed number of digits: a byte, or a code point.
fn coded<'a>(s: &'a [u8], digits: usize, radix: u32, byte: bool, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (code, rest) = s.split_at_checked(digits)?;
    let code = std::str::from_utf8(code).ok().filter(|c| !c.starts_with('+'))?;
    let code = u32::from_str_radix(code, radix).ok()?;
    if byte {
        out.push(u8::try_from(code).ok()?);
    } else {
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_every_base() {
        for (text, value) in
            [("010", 8), ("0b11", 3), ("0o17", 15), ("0x10", 16), ("1_000", 1000), ("-3", -3), ("+4", 4)]
        {
            assert_eq!(number(text).unwrap().int, Some(value), "{text}");
        }
        assert_eq!(number("9223372036854775808").unwrap().int, None);
        assert_eq!(number("9223372036854775808").unwrap().uint, Some(1 << 63));
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
        for text in ["09", "1__0", "1_", "0x", "08"] {
            assert_eq!(magnitude(text), None, "{text}");
        }
        assert_eq!(magnitude("0_7"), Some(7));
        assert_eq!(magnitude("0x_1"), Some(1));
    }

    #[test]
    fn floats_know_whether_they_are_whole() {
        assert_eq!(number("1e6").unwrap().int, Some(1_000_000));
        assert_eq!(number("1.5").unwrap().int, None);
        assert_eq!(number("0x1p4").unwrap().float, Some(16.0));
        assert!(number("0x1p4").unwrap().is_written_as_float());
        assert!(!number("0x1e4").unwrap().is_written_as_float());
        assert_eq!(number("0x1.8p1").unwrap().float, Some(3.0));
        assert!(number("1i").unwrap().complex);
    }

    #[test]
    fn characters_are_numbers() {
        assert_eq!(character("'a'").unwrap().int, Some(97));
        assert_eq!(character("'é'").unwrap().int, Some(0xe9));
        assert_eq!(character(r"'\n'").unwrap().int, Some(10));
        assert_eq!(character(r"'\xff'").unwrap().int, Some(255));
        assert!(character("'ab'").is_err());
        assert!(character("''").is_err());
    }

    #[test]
    fn strings_are_unquoted_as_go_does() {
        assert_eq!(string(br#""a\tb\x41\u00e9\101""#).unwrap(), "a\tbAéA".as_bytes());
        assert_eq!(string(b"`a\\n\r\nb`").unwrap(), b"a\\n\nb");
        assert_eq!(string(br#""\'""#), None);
        assert_eq!(string(br#""\q""#), None);
        assert_eq!(string(br#""\ud800""#), None);
    }
}
