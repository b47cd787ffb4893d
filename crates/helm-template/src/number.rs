//! Text of numbers as Go writes them.
//!
//! In: a float or a [`serde_json::Number`]. Out: the text of `strconv.FormatFloat(f, 'g', -1, …)` (which
//! `fmt`'s `%v` prints too) or of `encoding/json`. All use the shortest digits that read back to the same
//! float; only the choice between plain digits and an exponent differs.

use serde_json::{Number, Value};

/// The shortest decimal digits of a finite float, and where the point goes.
struct Digits {
    negative: bool,
    /// Significant digits without a point; `0` for zero.
    significant: String,
    /// Exponent of the first digit: `d.ddd × 10^exponent`.
    exponent: i32,
}

impl Digits {
    /// The shortest digits that read back to the same float; of two such texts equally near, the one with the even last
    /// digit, as Go does (Rust rounds the tie up).
    fn of<F: std::fmt::LowerExp + std::str::FromStr + PartialEq>(float: &F) -> Self {
        let shortest = Self::parse(&format!("{float:e}"));
        let nearest = format!("{float:.*e}", shortest.significant.len() - 1);
        if nearest.parse::<F>().is_ok_and(|parsed| parsed == *float) { Self::parse(&nearest) } else { shortest }
    }

    fn parse(scientific: &str) -> Self {
        let negative = scientific.starts_with('-');
        let body = scientific.trim_start_matches('-');
        let (mantissa, exponent) = body.split_once('e').unwrap_or((body, "0"));
        Self {
            negative,
            significant: mantissa.chars().filter(|c| *c != '.').collect(),
            exponent: exponent.parse().unwrap_or(0),
        }
    }

    /// `-d.ddde+XX` with at least `width` exponent digits.
    fn scientific(&self, width: usize) -> String {
        let mut out = self.sign();
        let (first, rest) = self.significant.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        out.push('e');
        out.push(if self.exponent < 0 { '-' } else { '+' });
        let exponent = self.exponent.unsigned_abs().to_string();
        out.extend(std::iter::repeat_n('0', width.saturating_sub(exponent.len())));
        out.push_str(&exponent);
        out
    }

    /// Digits with a point and no exponent.
    fn plain(&self) -> String {
        let mut out = self.sign();
        let Ok(whole) = usize::try_from(self.exponent + 1) else {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', self.exponent.unsigned_abs() as usize - 1));
            out.push_str(&self.significant);
            return out;
        };
        if whole == 0 {
            out.push_str("0.");
            out.push_str(&self.significant);
        } else if whole >= self.significant.len() {
            out.push_str(&self.significant);
            out.extend(std::iter::repeat_n('0', whole - self.significant.len()));
        } else {
            let (head, tail) = self.significant.split_at(whole);
            out.push_str(head);
            out.push('.');
            out.push_str(tail);
        }
        out
    }

    fn sign(&self) -> String {
        if self.negative { "-".to_owned() } else { String::new() }
    }
}

fn special(float: f64) -> Option<&'static str> {
    if float.is_nan() {
        Some("NaN")
    } else if float.is_infinite() {
        Some(if float > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// Exponent form when the exponent is below -4 or above 5 (the limits of `'g'` with shortest digits), else plain digits.
fn general(digits: &Digits) -> String {
    if digits.exponent < -4 || digits.exponent > 5 { digits.scientific(2) } else { digits.plain() }
}

/// Text of `strconv.FormatFloat(f, 'g', -1, 64)`, which is also what `fmt`'s `%v` and `%g` print: `100000.5`, `1e+06`,
/// `1.2345675e+06`, `1e-05`. Non-finite: `NaN`, `+Inf`, `-Inf`.
#[must_use]
pub fn format_float_g(float: f64) -> String {
    special(float).map_or_else(|| general(&Digits::of(&float)), str::to_owned)
}

/// Text of `strconv.FormatFloat(f, 'g', -1, 32)`: [`format_float_g`] after rounding to 32 bits. YAML map keys that are
/// floats are written like this.
#[must_use]
pub fn format_float_g32(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what the form asks for")]
    let short = float as f32;
    special(f64::from(short)).map_or_else(|| general(&Digits::of(&short)), str::to_owned)
}

/// Text of a finite float in `encoding/json`: plain digits from 1e-6 up to below 1e21, else `1e+21`, `1e-7`.
/// `None` for NaN and infinities, which JSON cannot hold.
#[must_use]
pub fn json_float_text(float: f64) -> Option<String> {
    if !float.is_finite() {
        return None;
    }
    let digits = Digits::of(&float);
    let size = float.abs();
    Some(if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // encoding/json shortens e-09 to e-9 but keeps e+21; exponents above are at least two digits anyway.
        digits.scientific(1)
    } else {
        digits.plain()
    })
}

/// Text of a number in `encoding/json`: integers in full, floats as [`json_float_text`].
#[must_use]
pub fn json_number_text(number: &Number) -> String {
    if number.is_f64() {
        number.as_f64().and_then(json_float_text).unwrap_or_else(|| "null".to_owned())
    } else {
        number.to_string()
    }
}

/// A number as Go's `%v` prints it: integers in full, floats as [`format_float_g`].
#[must_use]
pub fn number_text_v(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format_float_g(float),
        _ => number.to_string(),
    }
}

/// What Go reads through JSON has floats only.
pub fn to_floats(value: &mut Value) {
    match value {
        Value::Number(n) => {
            if let Some(float) = n.as_f64().and_then(Number::from_f64) {
                *n = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_floats),
        Value::Object(map) => map.values_mut().for_each(to_floats),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_take_the_g_form_of_strconv() {
        for (float, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1e5, "100000"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (100_000.5, "100000.5"),
            (1e20, "1e+20"),
            (1e100, "1e+100"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (0.1, "0.1"),
            (-12.5, "-12.5"),
            (860_407_400_092_559.0 + 0.25, "8.604074000925592e+14"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float_g(float), text);
        }
    }

    #[test]
    fn floats_take_the_json_form() {
        for (float, text) in [
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (-0.0, "-0"),
            (1.5e-10, "1.5e-10"),
            (0.5, "0.5"),
        ] {
            assert_eq!(json_float_text(float).as_deref(), Some(text));
        }
    }

    #[test]
    fn key_floats_are_rounded_to_32_bits() {
        assert_eq!(format_float_g32(123_456_789.5), "1.2345679e+08");
        assert_eq!(format_float_g32(1.5), "1.5");
    }
}
