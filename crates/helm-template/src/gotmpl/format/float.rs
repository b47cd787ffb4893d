//! Floats: Go's `strconv.FormatFloat` and the flags on top of it.

use super::output::{BadVerb, Printer};
use std::fmt::Write;

/// `%v`: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e6 digits on.
#[must_use]
pub fn float(value: f64) -> String {
    float_with(value, 'g', None)
}

/// `strconv.FormatFloat(value, verb, precision, 64)`; no precision means as many digits as needed. Verbs are
/// `e E f F g G b x X`.
#[must_use]
pub fn float_with(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    let text = match verb {
        'e' | 'E' => exponential(value, precision),
        'f' | 'F' => match precision {
            Some(p) => {
                let exact = p.min(EXACT);
                format!("{value:.exact$}") + &"0".repeat(p - exact)
            }
            None => format!("{value}"),
        },
        'b' => binary(value),
        'x' | 'X' => hexadecimal(value, precision),
        _ => general(value, precision),
    };
    let text = if verb.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text };
    format!("{sign}{text}")
}

/// From this many decimals on a float has only zeros; the standard library formats no more than 65535.
const EXACT: usize = 1100;

/// Rust's exponential form with Go's exponent: a sign and two digits at least.
fn exponential(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(p) => format!("{value:.*e}", p.min(EXACT)),
        None => format!("{value:e}"),
    };
    let zeros = "0".repeat(precision.unwrap_or(0).saturating_sub(EXACT));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}{zeros}e{sign}{digits:0>2}")
}

fn general(value: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|p| p.max(1));
    let text = match precision {
        Some(p) => format!("{value:.*e}", (p - 1).min(EXACT)),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let mut digits = mantissa.replace('.', "");
    digits.truncate(digits.trim_end_matches('0').len().max(1));
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let threshold = match precision.and_then(|p| i64::try_from(p).ok()) {
        None => 6,
        Some(p) if p > count && count > exponent => count,
        Some(p) => p,
    };
    if exponent < -4 || exponent >= threshold {
        return exponential(value, Some(digits.len() - 1));
    }
    let decimals = usize::try_from(count - 1 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// `4503599627370496p-52`
fn binary(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    format!("{mantissa}p{exponent:+}")
}

/// The value as mantissa and binary exponent: `mantissa * 2^exponent`.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0) {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

/// `0x1.8p+01`
fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    const UNIT: u64 = 1 << 60;
    let (mantissa, exponent) = parts(value);
    let mut exponent = if mantissa == 0 { 0 } else { exponent + 52 };
    let mut mantissa = mantissa << 8;
    while mantissa != 0 && mantissa & UNIT == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(p) = precision.filter(|p| *p < 15) {
        let shift = p * 4;
        let extra = (mantissa << shift) & (UNIT - 1);
        mantissa >>= 60 - shift;
        // Half rounds to even.
        mantissa += u64::from(extra | (mantissa & 1) > UNIT >> 1);
        mantissa <<= 60 - shift;
        if mantissa & (UNIT << 1) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60 & 1);
    let all = format!("{:015x}", mantissa & (UNIT - 1));
    let digits = match precision {
        None => all.trim_end_matches('0').to_owned(),
        Some(p) => all.chars().chain(std::iter::repeat('0')).take(p).collect(),
    };
    if !digits.is_empty() {
        text.push('.');
        text.push_str(&digits);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a string cannot fail.
    let _ = write!(text, "p{sign}{:02}", exponent.unsigned_abs());
    text
}

impl Printer {
    pub(super) fn float(&mut self, f: f64, verb: char) -> Result<(), BadVerb> {
        let (form, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return Err(BadVerb),
        };
        self.formed(f, form, self.flags.precision.or(precision));
        Ok(())
    }

    fn formed(&mut self, f: f64, form: char, precision: Option<usize>) {
        let text = float_with(f, form, precision);
        let (sign, mut digits) = match text.as_bytes() {
            [sign @ (b'+' | b'-'), ..] => (char::from(*sign), text.get(1..).unwrap_or_default().to_owned()),
            _ => ('+', text),
        };
        let sign = if self.flags.space && sign == '+' && !self.flags.plus { ' ' } else { sign };
        let shown = self.flags.plus || sign != '+';
        if !f.is_finite() {
            let shown = if f.is_nan() { self.flags.plus || self.flags.space } else { true };
            // Infinity always shows its sign, not-a-number only when asked.
            let text = if shown { format!("{sign}{digits}") } else { digits };
            return self.pad_with_blanks(text.as_bytes());
        }
        if self.flags.sharp && form != 'b' {
            digits = with_point(&digits, form, precision);
        }
        if !shown {
            return self.pad(digits.as_bytes());
        }
        // Zeros go between the sign and the digits.
        match self.flags.width {
            Some(width) if self.flags.zero && !self.flags.minus && width > digits.len() + 1 => {
                self.rune(sign);
                self.padding(width - digits.len() - 1);
                self.out.extend_from_slice(digits.as_bytes());
            }
            _ => self.pad(format!("{sign}{digits}").as_bytes()),
        }
    }
}

/// The `#` flag: a decimal point always, and the trailing zeros that `%g` drops.
fn with_point(text: &str, form: char, precision: Option<usize>) -> String {
    let exponent_at = match form {
        'x' | 'X' => text.find(['p', 'P']),
        _ => text.find(['e', 'E']),
    };
    let (number, tail) = text.split_at(exponent_at.unwrap_or(text.len()));
    let mut number = number.to_owned();
    let mut missing = match form {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let significant = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    missing = missing.saturating_sub(significant);
    if !number.contains('.') {
        if number == "0" {
            missing = missing.saturating_sub(1);
        }
        number.push('.');
    }
    number.push_str(&"0".repeat(missing));
    number + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, text) in [
            (1.0, "1"),
            (100_000.0, "100000"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (20_971_520.0, "2.097152e+07"),
            (123_456.75, "123456.75"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (1e100, "1e+100"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(float(value), text);
        }
        assert_eq!(float_with(1.0, 'x', None), "0x1p+00");
        assert_eq!(float_with(1.5, 'x', Some(3)), "0x1.800p+00");
        assert_eq!(float_with(1.0, 'b', None), "4503599627370496p-52");
        assert_eq!(float_with(2.34567, 'g', Some(3)), "2.35");
        assert_eq!(float_with(1234.0, 'g', Some(2)), "1.2e+03");
        assert_eq!(float_with(1200.0, 'g', Some(4)), "1200");
    }
}
