//! Go's loose conversions, shared by all functions: to numbers as `spf13/cast` does it, to text as `%v` does it, and
//! the tests for emptiness and equality.
//!
//! In: values of any type. Out: numbers, bytes, booleans. Nothing here fails: what cannot be converted is 0 or the
//! text Go prints for it.

use super::go_float;
use crate::gotmpl::format::display;
use crate::gotmpl::{ListKind, Text, Value};

/// The items of any slice value, `None` for everything else (maps and nil included).
pub(crate) fn items(v: &Value) -> Option<Vec<Value>> {
    match v {
        Value::List(l) => Some(l.snapshot()),
        Value::Object(o) if o.kind_name() == "slice" => {
            Some(o.entries().unwrap_or_default().into_iter().map(|(_, v)| v).collect())
        }
        _ => None,
    }
}

/// `cast.ToInt64`: floats are truncated, strings parsed with Go's prefixes, everything else is 0.
pub(crate) fn to_int64(v: &Value) -> i64 {
    match v {
        Value::Int(i) | Value::Int64(i) => *i,
        Value::Uint64(u) => u.cast_signed(),
        Value::Float(f) => truncate(*f),
        Value::Bool(b) => i64::from(*b),
        Value::String(s) => parse_int(trim_zero_decimal(s.as_bytes()), 0).unwrap_or(0),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => 0,
    }
}

/// Go's conversion of a float to int64 on amd64: out of range gives the smallest integer.
#[allow(clippy::cast_possible_truncation)] // the range is checked before
fn truncate(f: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&f) { f as i64 } else { i64::MIN }
}

/// Cuts a tail of `.` and zeros, as cast does before it parses an integer.
fn trim_zero_decimal(s: &[u8]) -> &[u8] {
    let kept = s.iter().rposition(|b| *b != b'0');
    match kept {
        Some(dot) if dot + 1 < s.len() && s.get(dot) == Some(&b'.') => s.get(..dot).unwrap_or(s),
        _ => s,
    }
}

/// Why a text is not an integer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IntError {
    /// It is not a number.
    Syntax,
    /// It is out of range; this is the nearest integer in range.
    Range(i64),
}

/// `strconv.ParseInt(s, base, 64)`; base 0 reads the prefixes `0x`, `0o`, `0b`, `0` and underscores.
pub(crate) fn parse_int(s: &[u8], base: u32) -> Result<i64, IntError> {
    let (negative, digits) = match s.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, s),
    };
    let magnitude = parse_uint(digits, base)?;
    let limit = if negative { Some(i64::MIN) } else { None };
    match (negative, i64::try_from(magnitude)) {
        (false, Ok(n)) => Ok(n),
        (true, Ok(n)) => Ok(-n),
        (true, Err(_)) if magnitude == i64::MIN.unsigned_abs() => Ok(i64::MIN),
        _ => Err(IntError::Range(limit.unwrap_or(i64::MAX))),
    }
}

/// `strconv.ParseUint`, saturating at the largest uint64.
fn parse_uint(s: &[u8], base: u32) -> Result<u64, IntError> {
    let (radix, digits) = if base == 0 { prefix(s) } else { (base, s) };
    if digits.is_empty() {
        return Err(IntError::Syntax);
    }
    let mut value: u64 = 0;
    for b in digits {
        if *b == b'_' && base == 0 {
            continue;
        }
        let digit = char::from(*b).to_digit(radix).ok_or(IntError::Syntax)?;
        value = value.saturating_mul(u64::from(radix)).saturating_add(u64::from(digit));
    }
    if digits.contains(&b'_') && !underscores_separate_digits(s) {
        return Err(IntError::Syntax);
    }
    Ok(value)
}

/// The base that the prefix of a literal asks for, and the rest.
fn prefix(s: &[u8]) -> (u32, &[u8]) {
    match s {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest),
        [b'0', b'o' | b'O', rest @ ..] | [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
        _ => (10, s),
    }
}

/// Go's rule: an underscore stands between digits, or between a base prefix and a digit.
fn underscores_separate_digits(s: &[u8]) -> bool {
    let prefixed = matches!(s, [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', ..]);
    let body = if prefixed { s.get(2..).unwrap_or_default() } else { s };
    let mut previous_is_digit = prefixed;
    for b in body {
        if *b == b'_' && !previous_is_digit {
            return false;
        }
        previous_is_digit = *b != b'_';
    }
    previous_is_digit
}

/// `cast.ToFloat64`: strings by `ParseFloat`; what is not a number is 0.
#[allow(clippy::cast_precision_loss)] // as in Go
pub(crate) fn to_float(v: &Value) -> f64 {
    match v {
        Value::Float(f) => *f,
        Value::Int(i) | Value::Int64(i) => *i as f64,
        Value::Uint64(u) => *u as f64,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::String(s) => go_float::parse(s.as_bytes()).unwrap_or(0.0),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => 0.0,
    }
}

/// Sprig's `strval`: strings and bytes as they are, everything else as `%v` prints it.
pub(crate) fn strval(v: &Value) -> Vec<u8> {
    match v {
        Value::String(s) => s.as_bytes().to_vec(),
        Value::List(l) if l.kind() == ListKind::Bytes => byte_items(&l.snapshot()),
        _ => display(v),
    }
}

/// The bytes of the items of a `[]uint8`.
pub(crate) fn byte_items(items: &[Value]) -> Vec<u8> {
    items.iter().map(|v| to_int64(v).to_le_bytes()[0]).collect()
}

/// Sprig's `strslice`: the texts of a list without its nil items; any other value is a list of one, nil of none.
pub(crate) fn strslice(v: &Value) -> Vec<Vec<u8>> {
    match (v, items(v)) {
        (Value::Nil, _) => Vec::new(),
        (_, Some(list)) => list.iter().filter(|v| !matches!(v, Value::Nil)).map(strval).collect(),
        (_, None) => vec![strval(v)],
    }
}

/// A `[]string` of byte texts.
pub(crate) fn string_list(texts: impl IntoIterator<Item = Vec<u8>>) -> Value {
    Value::strings(texts.into_iter().map(Text::from))
}

/// Sprig's `empty`: nil, nothing in it, false or 0. Structs and pointers are never empty.
pub(crate) fn is_empty(v: &Value) -> bool {
    !v.is_true()
}

/// `reflect.DeepEqual`: equal types and equal contents; NaN equals nothing.
pub(crate) fn deep_equal(a: &Value, b: &Value) -> bool {
    equal(a, b, 0)
}

#[allow(clippy::float_cmp)] // Go compares exactly
fn equal(a: &Value, b: &Value, depth: usize) -> bool {
    /// Only maps that contain themselves are nested deeper; those are equal only if they are one and the same.
    const MAX_DEPTH: usize = 500;
    match (a, b) {
        _ if depth > MAX_DEPTH => false,
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::Int(x), Value::Int(y)) | (Value::Int64(x), Value::Int64(y)) => x == y,
        (Value::Uint64(x), Value::Uint64(y)) => x == y,
        (Value::Float(x), Value::Float(y)) => x == y,
        (Value::String(x), Value::String(y)) => x == y,
        (Value::List(x), Value::List(y)) => {
            let (xs, ys) = (x.snapshot(), y.snapshot());
            x.kind() == y.kind() && xs.len() == ys.len() && xs.iter().zip(&ys).all(|(p, q)| equal(p, q, depth + 1))
        }
        (Value::Map(x), Value::Map(y)) => {
            let (xs, ys) = (x.snapshot(), y.snapshot());
            x.kind() == y.kind()
                && (x.is_same(y)
                    || xs.len() == ys.len()
                        && xs.iter().zip(&ys).all(|((k, p), (l, q))| k == l && equal(p, q, depth + 1)))
        }
        (Value::Object(x), Value::Object(y)) => {
            std::rc::Rc::ptr_eq(x, y) || (x.type_name() == y.type_name() && x.plain() == y.plain())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_integers_as_cast_does_it() {
        let cases: &[(&str, i64)] = &[
            ("1.0", 1),
            ("12.", 0),
            ("100", 100),
            ("0.00", 0),
            ("0x1f", 31),
            ("010", 8),
            ("0b11", 3),
            ("1_000", 1000),
            ("_1", 0),
            ("0x_1", 1),
            ("1.5", 0),
            ("08", 0),
            (" 1", 0),
            ("1e3", 0),
            ("-7", -7),
            ("9223372036854775808", 0),
            ("-9223372036854775808", i64::MIN),
        ];
        for (text, want) in cases {
            assert_eq!(to_int64(&Value::string(*text)), *want, "{text}");
        }
        assert_eq!(to_int64(&Value::Float(1e20)), i64::MIN);
        assert_eq!(to_int64(&Value::Float(-2.9)), -2);
    }

    #[test]
    fn an_integer_out_of_range_knows_the_nearest_one() {
        assert_eq!(parse_int(b"99999999999999999999", 10), Err(IntError::Range(i64::MAX)));
        assert_eq!(parse_int(b"-99999999999999999999", 10), Err(IntError::Range(i64::MIN)));
        assert_eq!(parse_int(b"1_0", 10), Err(IntError::Syntax));
    }

    #[test]
    fn equality_tells_types_apart() {
        assert!(!deep_equal(&Value::Int(1), &Value::Float(1.0)));
        assert!(!deep_equal(&Value::strings(["a"]), &Value::list(vec![Value::string("a")])));
        assert!(deep_equal(&Value::map([("a", Value::Nil)]), &Value::map([("a", Value::Nil)])));
    }
}
