//! Type and value of a YAML scalar, by the YAML 1.1 rules as Go's yaml.v2 applies them.
//!
//! In: the text of a scalar and its explicit tag, if any. Out: a [`Scalar`]. Both the reader (what does `017` mean?) and
//! the writer (may the string `017` be written without quotes?) decide by this one function, so that what is written is
//! read back unchanged. Facts: `y n yes no on off` are booleans, `_` may stand between digits, `0777` and `0o777` are
//! octal, base 60 stays text, dates stay text but are recognised (a string that looks like one is quoted).

/// What a plain scalar stands for. For `Text` and `Timestamp` the scalar's own text is the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// `~`, `null`, or nothing.
    Null,
    /// One of the YAML 1.1 boolean words.
    Bool(bool),
    /// An integer that fits 64 bits with sign.
    Int(i64),
    /// An integer above that which fits 64 bits without sign.
    Unsigned(u64),
    /// A float, also `.inf` and `.nan`, and integers beyond 64 bits.
    Float(f64),
    /// A date or a date with time.
    Timestamp,
    /// Anything else.
    Text,
}

impl Scalar {
    /// The short tag, as error messages of yaml.v2 name types.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Unsigned(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Text => "!!str",
        }
    }
}

/// Exact words and what they stand for.
const WORDS: &[(&str, Scalar)] = &[
    ("", Scalar::Null),
    ("~", Scalar::Null),
    ("null", Scalar::Null),
    ("Null", Scalar::Null),
    ("NULL", Scalar::Null),
    ("y", Scalar::Bool(true)),
    ("Y", Scalar::Bool(true)),
    ("yes", Scalar::Bool(true)),
    ("Yes", Scalar::Bool(true)),
    ("YES", Scalar::Bool(true)),
    ("true", Scalar::Bool(true)),
    ("True", Scalar::Bool(true)),
    ("TRUE", Scalar::Bool(true)),
    ("on", Scalar::Bool(true)),
    ("On", Scalar::Bool(true)),
    ("ON", Scalar::Bool(true)),
    ("n", Scalar::Bool(false)),
    ("N", Scalar::Bool(false)),
    ("no", Scalar::Bool(false)),
    ("No", Scalar::Bool(false)),
    ("NO", Scalar::Bool(false)),
    ("false", Scalar::Bool(false)),
    ("False", Scalar::Bool(false)),
    ("FALSE", Scalar::Bool(false)),
    ("off", Scalar::Bool(false)),
    ("Off", Scalar::Bool(false)),
    ("OFF", Scalar::Bool(false)),
    (".nan", Scalar::Float(f64::NAN)),
    (".NaN", Scalar::Float(f64::NAN)),
    (".NAN", Scalar::Float(f64::NAN)),
    (".inf", Scalar::Float(f64::INFINITY)),
    (".Inf", Scalar::Float(f64::INFINITY)),
    (".INF", Scalar::Float(f64::INFINITY)),
    ("+.inf", Scalar::Float(f64::INFINITY)),
    ("+.Inf", Scalar::Float(f64::INFINITY)),
    ("+.INF", Scalar::Float(f64::INFINITY)),
    ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
    ("-.Inf", Scalar::Float(f64::NEG_INFINITY)),
    ("-.INF", Scalar::Float(f64::NEG_INFINITY)),
];

/// Longest entry of [`WORDS`]; longer text needs no look-up.
const LONGEST_WORD: usize = 5;

/// Type and value of a plain scalar without a tag.
#[must_use]
pub fn resolve(text: &str) -> Scalar {
    classify(text, true)
}

/// Type and value of a scalar with an explicit tag in short (`!!int`) or long form. Tags that are not about scalars of
/// the core types leave the text as it is. An error says that text and tag do not fit, in the words of yaml.v2.
pub fn resolve_tagged(tag: &str, text: &str) -> Result<Scalar, String> {
    let short = tag.strip_prefix("tag:yaml.org,2002:").or_else(|| tag.strip_prefix("!!")).unwrap_or("");
    let found = match short {
        "bool" | "int" | "float" | "null" => classify(text, false),
        "timestamp" => classify(text, true),
        _ => return Ok(Scalar::Text),
    };
    match (short, found) {
        #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
        ("float", Scalar::Int(int)) => Ok(Scalar::Float(int as f64)),
        _ if found.tag().trim_start_matches('!') == short => Ok(found),
        _ => Err(format!("cannot decode {} `{text}` as a !!{short}", found.tag())),
    }
}

/// Whether text is a number in base 60 (`12:30`), which other readers of YAML 1.1 take for a number; such text is quoted
/// when written.
#[must_use]
pub fn is_base_60(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (body, fraction) = match body.split_once('.') {
        Some((body, fraction)) => (body, fraction),
        None => (body, ""),
    };
    let mut parts = body.split(':');
    let head = parts.next().unwrap_or("");
    let digits_or_underscore = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut count = 0;
    let sixty = parts.all(|part| {
        count += 1;
        match *part.as_bytes() {
            [unit] => unit.is_ascii_digit(),
            [ten, unit] => (b'0'..=b'5').contains(&ten) && unit.is_ascii_digit(),
            _ => false,
        }
    });
    sixty
        && count > 0
        && head.starts_with(|c: char| c.is_ascii_digit())
        && digits_or_underscore(head)
        && digits_or_underscore(fraction)
}

fn classify(text: &str, dates: bool) -> Scalar {
    if text.len() <= LONGEST_WORD
        && let Some((_, scalar)) = WORDS.iter().find(|(word, _)| *word == text)
    {
        return *scalar;
    }
    match text.as_bytes().first() {
        Some(b'.') => dotted_float(text).map_or(Scalar::Text, Scalar::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            if dates && is_timestamp(text) {
                return Scalar::Timestamp;
            }
            let plain: String = text.chars().filter(|c| *c != '_').collect();
            number(&plain).unwrap_or(Scalar::Text)
        }
        _ => Scalar::Text,
    }
}

/// Text that starts with a digit or a sign, underscores already removed.
fn number(plain: &str) -> Option<Scalar> {
    let (negative, body) = match plain.as_bytes().first() {
        Some(b'-') => (true, plain.get(1..)?),
        Some(b'+') => (false, plain.get(1..)?),
        _ => (false, plain),
    };
    if let Some(scalar) = with_prefix(body).and_then(|(digits, radix)| integer(negative, digits, radix)) {
        // A number above 2^63 is only read without a sign.
        if matches!(scalar, Scalar::Int(_)) || !plain.starts_with('+') {
            return Some(scalar);
        }
    }
    if is_decimal(body) {
        let float: f64 = plain.parse().ok()?;
        return float.is_finite().then_some(Scalar::Float(float));
    }
    // Leftovers of an older syntax: a sign after the prefix, `0b-11`.
    let signed = plain.strip_prefix("0b")?;
    let (negative, digits) = match signed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, signed.strip_prefix('+').unwrap_or(signed)),
    };
    match integer(negative, digits, 2) {
        Some(Scalar::Int(int)) => Some(Scalar::Int(int)),
        _ => None,
    }
}

/// Splits `0x`, `0o`, `0b` and the octal `0` off; the rest are the digits.
fn with_prefix(body: &str) -> Option<(&str, u32)> {
    let rest = body.strip_prefix('0').filter(|rest| !rest.is_empty());
    let Some(rest) = rest else { return Some((body, 10)) };
    let radix = match rest.as_bytes().first()? {
        b'x' | b'X' => 16,
        b'o' | b'O' => 8,
        b'b' | b'B' => 2,
        _ => return Some((rest, 8)),
    };
    Some((rest.get(1..)?, radix))
}

fn integer(negative: bool, digits: &str, radix: u32) -> Option<Scalar> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(size).map(Scalar::Int);
    }
    Some(i64::try_from(size).map_or(Scalar::Unsigned(size), Scalar::Int))
}

/// `(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?`
fn is_decimal(body: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (body, None),
    };
    if exponent.is_some_and(|e| e.is_empty() || !digits(e)) {
        return false;
    }
    match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    }
}

/// A float that starts with a point, in the syntax of Go: `_` only between digits.
fn dotted_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let single = |i: usize| {
        let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
        digit(i.checked_sub(1)) && digit(Some(i + 1))
    };
    if bytes.iter().enumerate().any(|(i, b)| *b == b'_' && !single(i)) {
        return None;
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if !is_decimal(&plain) {
        return None;
    }
    plain.parse().ok().filter(|float: &f64| float.is_finite())
}

/// Whether text is a date (`2001-1-31`), a date and time with `T` or `t` and a zone, or a date and time with a blank and
/// no zone; the calendar must have that day.
fn is_timestamp(text: &str) -> bool {
    let mut rest = Cursor(text.as_bytes());
    let Some(year) = rest.digits(4, 4) else { return false };
    let date = (|| {
        rest.byte(b'-')?;
        let month = rest.digits(1, 2)?;
        rest.byte(b'-')?;
        let day = rest.digits(1, 2)?;
        ((1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)).then_some(())
    })();
    if date.is_none() {
        return false;
    }
    match rest.0.first() {
        None => true,
        Some(b'T' | b't') => {
            rest.skip(1);
            rest.clock().and_then(|()| rest.zone()).is_some() && rest.0.is_empty()
        }
        Some(b' ') => {
            while rest.byte(b' ').is_some() {}
            rest.clock().is_some() && rest.0.is_empty()
        }
        Some(_) => false,
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.0.first() == Some(&byte)).then(|| self.skip(1))
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.0.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        let value = self.0.iter().take(count).fold(0, |sum, b| sum * 10 + u32::from(b - b'0'));
        (count >= least).then(|| {
            self.skip(count);
            value
        })
    }

    /// `h:m:s` with an optional fraction.
    fn clock(&mut self) -> Option<()> {
        let hour = self.digits(1, 2)?;
        self.byte(b':')?;
        let minute = self.digits(1, 2)?;
        self.byte(b':')?;
        let second = self.digits(1, 2)?;
        if matches!(self.0, [b'.' | b',', b'0'..=b'9', ..]) {
            self.skip(1);
            self.skip(self.0.iter().take_while(|b| b.is_ascii_digit()).count());
        }
        (hour < 24 && minute < 60 && second < 60).then_some(())
    }

    /// `Z` or `±hh:mm`.
    fn zone(&mut self) -> Option<()> {
        if self.byte(b'Z').is_some() {
            return Some(());
        }
        self.byte(b'+').or_else(|| self.byte(b'-'))?;
        let hour = self.digits(2, 2)?;
        self.byte(b':')?;
        let minute = self.digits(2, 2)?;
        (hour <= 24 && minute <= 60).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_yaml_1_1() {
        for (text, scalar) in [
            ("017", Scalar::Int(15)),
            ("0o17", Scalar::Int(15)),
            ("0b11", Scalar::Int(3)),
            ("-0b11", Scalar::Int(-3)),
            ("0b-11", Scalar::Int(-3)),
            ("0x1F", Scalar::Int(31)),
            ("08", Scalar::Float(8.0)),
            ("0777_7", Scalar::Int(4095)),
            ("1_000.5", Scalar::Float(1000.5)),
            ("1.", Scalar::Float(1.0)),
            (".5_5", Scalar::Float(0.55)),
            ("._5", Scalar::Text),
            ("1e400", Scalar::Text),
            ("0x", Scalar::Text),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("9223372036854775808", Scalar::Unsigned(1 << 63)),
            ("+9223372036854775808", Scalar::Float(9_223_372_036_854_775_808.0)),
            ("99999999999999999999", Scalar::Float(1e20)),
            ("12:30", Scalar::Text),
            ("2001-02-28", Scalar::Timestamp),
            ("2001-02-30", Scalar::Text),
            ("2001-1-1T1:2:3.5+01:00", Scalar::Timestamp),
            ("2001-1-1  1:2:3", Scalar::Timestamp),
            ("2001-1-1T1:2:3", Scalar::Text),
            ("oN", Scalar::Text),
            ("<<", Scalar::Text),
        ] {
            assert_eq!(resolve(text), scalar, "{text}");
        }
    }

    #[test]
    fn a_tag_decides_or_is_refused() {
        assert_eq!(resolve_tagged("!!float", "1"), Ok(Scalar::Float(1.0)));
        assert_eq!(resolve_tagged("!!str", "1"), Ok(Scalar::Text));
        assert_eq!(resolve_tagged("!mine", "1"), Ok(Scalar::Text));
        assert_eq!(resolve_tagged("!!int", "x"), Err("cannot decode !!str `x` as a !!int".to_owned()));
    }

    #[test]
    fn base_60_is_recognised() {
        for (text, yes) in
            [("12:30", true), ("190:20:30.15", true), ("-1:00", true), ("1:99", false), ("1:", false), ("a:10", false)]
        {
            assert_eq!(is_base_60(text), yes, "{text}");
        }
    }
}
