//! Floats as Go's `strconv.ParseFloat` reads them.
//!
//! In: text. Out: a float, or nothing where Go reports an error.

/// `strconv.ParseFloat(s, 64)`; `None` for Go's errors, a number too large among them.
pub(crate) fn parse(s: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(s).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let value = parse_hex(hex)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    // Rust reads the same decimal forms and the same words for infinity and NaN; a sign before NaN is Rust's alone.
    if unsigned.len() != text.len() && unsigned.eq_ignore_ascii_case("nan") {
        return None;
    }
    if !text.contains('_') {
        let value = text.parse::<f64>().ok()?;
        return (value.is_finite() || !text.contains(|c: char| c.is_ascii_digit())).then_some(value);
    }
    let lone = |w: &[u8]| w.contains(&b'_') && !w.iter().all(|b| b.is_ascii_digit() || *b == b'_');
    if unsigned.starts_with('_') || unsigned.ends_with('_') || unsigned.contains("__") || s.windows(2).any(lone) {
        return None;
    }
    text.replace('_', "").parse::<f64>().ok()
}

/// A hexadecimal float after its `0x`: digits, perhaps a point, and the exponent that Go insists on.
#[allow(clippy::cast_precision_loss)] // 52 bits of digits are exact, more are rounded as they come
fn parse_hex(s: &str) -> Option<f64> {
    let (mantissa, exponent) = s.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || exponent.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for c in whole.chars().chain(fraction.chars()).filter(|c| *c != '_') {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let shift = exponent.parse::<i32>().ok()?.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    Some(value * 2.0_f64.powi(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        let cases: &[(&str, Option<f64>)] = &[
            ("1.5", Some(1.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("0x1p4", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("0x1", None),
            (" 1", None),
            ("", None),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1_0", Some(10.0)),
            ("1e1_0", Some(1e10)),
            ("1_.5", None),
            ("1__0", None),
            ("1e400", None),
            ("1_", None),
            ("in_f", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text.as_bytes()), *want, "{text}");
        }
    }
}
