//! Kubernetes quantities, exactly: `1024Mi` is `1Gi`, `2000m` is `2`.
//!
//! Only what is finer than a billionth is rounded: away from zero, as Kubernetes does. An amount of more than 29 digits is
//! valid, but its size is not known.

/// What a suffix multiplies by, as (suffix, power of ten) and (suffix, power of two).
const DECIMAL: &[(&str, i32)] =
    &[("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// How an amount was written, and is written again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

const NANO: i128 = 1_000_000_000;

/// The parts of a text that is a quantity.
struct Parts<'t> {
    is_negative: bool,
    whole: &'t str,
    fraction: &'t str,
    /// The power of two of a binary form, else of ten.
    power: i32,
    form: Form,
}

impl<'t> Parts<'t> {
    /// `None` if the text is not a quantity.
    fn of(text: &'t str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let binary = || BINARY.iter().find(|(s, _)| *s == suffix).and_then(|(_, power)| i32::try_from(*power).ok());
        let (power, form) = match DECIMAL.iter().find(|(s, _)| *s == suffix) {
            Some((_, power)) => (*power, Form::Decimal),
            None => match binary() {
                Some(power) => (power, Form::Binary),
                None => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, Form::Exponent),
            },
        };
        Some(Self { is_negative: text.starts_with('-'), whole, fraction, power, form })
    }

    /// Billionths, rounded away from zero; `None` where there are too many.
    fn nanos(&self) -> Option<i128> {
        let digits: i128 = format!("0{}{}", self.whole, self.fraction).parse().ok()?;
        let mut numerator = digits.checked_mul(NANO)?;
        let mut denominator = 10_i128.checked_pow(u32::try_from(self.fraction.len()).ok()?)?;
        let base: i128 = if self.form == Form::Binary { 2 } else { 10 };
        let factor = base.checked_pow(self.power.unsigned_abs());
        if self.power < 0 {
            // A divisor that overflows leaves the smallest amount.
            denominator = factor.and_then(|factor| denominator.checked_mul(factor)).unwrap_or(i128::MAX);
        } else {
            numerator = if digits == 0 { 0 } else { numerator.checked_mul(factor?)? };
        }
        let nanos = numerator / denominator + i128::from(numerator % denominator > 0);
        Some(if self.is_negative { -nanos } else { nanos })
    }
}

/// Billionths, and the form. `None` if the text is not a quantity, or is too large.
fn parse(text: &str) -> Option<(i128, Form)> {
    let parts = Parts::of(text.trim())?;
    Some((parts.nanos()?, parts.form))
}

/// Whether a text is a quantity, of whatever size.
#[must_use]
pub fn is_quantity(text: &str) -> bool {
    Parts::of(text).is_some()
}

/// The amount in billionths; `None` if the text is not a quantity, or is too large.
#[must_use]
pub fn amount(text: &str) -> Option<i128> {
    parse(text).map(|(nanos, _)| nanos)
}

/// The canonical text: the largest suffix that leaves a whole number.
#[must_use]
pub fn canonical(text: &str) -> Option<String> {
    let (nanos, form) = parse(text)?;
    if nanos == 0 {
        return Some("0".to_owned());
    }
    let units = nanos / NANO;
    if form == Form::Binary && nanos % NANO == 0 && units.abs() >= 1024 {
        let fits = BINARY.iter().rev().find(|(_, power)| units % (1_i128 << power) == 0);
        return Some(fits.map_or_else(|| units.to_string(), |(s, power)| format!("{}{s}", units / (1 << power))));
    }
    let (mut amount, mut power) = (nanos, -9);
    while amount % 1000 == 0 && power < 18 {
        amount /= 1000;
        power += 3;
    }
    let suffix = DECIMAL.iter().find(|(_, p)| *p == power).map_or("", |(s, _)| s);
    Some(match form {
        Form::Exponent if power != 0 => format!("{amount}e{power}"),
        _ => format!("{amount}{suffix}"),
    })
}

/// The amount in whole units, rounded up.
#[must_use]
pub fn ceiling(text: &str) -> Option<i64> {
    let (nanos, _) = parse(text)?;
    i64::try_from(nanos.div_euclid(NANO) + i128::from(nanos.rem_euclid(NANO) > 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_in_their_canonical_form() {
        for (text, want) in [
            ("2000m", "2"),
            ("1024Mi", "1Gi"),
            ("100m", "100m"),
            ("128Mi", "128Mi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("0.1Ki", "102400m"),
            ("100Ki", "100Ki"),
            ("1000Ki", "1000Ki"),
            ("1500k", "1500k"),
            ("1000000", "1M"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("-2000m", "-2"),
            ("1025", "1025"),
            ("0.0000000001", "1n"),
            ("1E", "1E"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1.2.3", "Mi", "--1", "1 Mi", "1e", &"9".repeat(60)] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn odd_forms_are_counted_exactly() {
        const NANOS: i128 = 1_000_000_000;
        for (text, want) in [
            ("1e3", Some(1000 * NANOS)),
            ("1E3", Some(1000 * NANOS)),
            ("1e+3", Some(1000 * NANOS)),
            ("1e-3", Some(NANOS / 1000)),
            ("1E", Some(1_000_000_000_000_000_000 * NANOS)),
            ("1Ei", Some((1 << 60) * NANOS)),
            ("0.5", Some(NANOS / 2)),
            (".5", Some(NANOS / 2)),
            ("5.", Some(5 * NANOS)),
            ("100m", Some(NANOS / 10)),
            ("1Ki", Some(1024 * NANOS)),
            ("0.1Ki", Some(102_400_000_000)),
            ("+1", Some(NANOS)),
            ("-1", Some(-NANOS)),
            ("-0", Some(0)),
            ("0e99", Some(0)),
            ("0.1n", Some(1)),
            ("-0.1n", Some(-1)),
            ("1e-99", Some(1)),
            ("100E", Some(100_000_000_000_000_000_000 * NANOS)),
            ("1e40", None),
            ("+-1", None),
            ("1Kii", None),
            ("1K", None),
            ("1e1.5", None),
            (".", None),
            ("1m2", None),
        ] {
            assert_eq!(amount(text), want, "{text}");
        }
        assert_eq!(amount("0.3"), amount("300m"), "no float is exactly that");
        assert_ne!(amount("9007199254740993"), amount("9007199254740992"), "nor that");
    }

    #[test]
    fn a_quantity_may_be_larger_than_can_be_counted() {
        for text in ["1e40", "1E", &"9".repeat(60)] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["", "1gb", "much", "1 Gi", " 1", "--1", "1e", "Mi"] {
            assert!(!is_quantity(text), "{text:?}");
        }
    }

    #[test]
    fn processors_are_counted_up() {
        for (text, want) in [("2", 2), ("1500m", 2), ("100m", 1), ("0", 0)] {
            assert_eq!(ceiling(text), Some(want), "{text}");
        }
    }
}
