//! Kubernetes quantities: `1024Mi` is written `1Gi`, `2000m` is written `2`.

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

/// Billionths, rounded away from zero, and the form. `None` for what is no quantity.
fn parse(text: &str) -> Option<(i128, Form)> {
    let text = text.trim();
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let mut numerator = digits.checked_mul(NANO)?;
    let mut denominator = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let form = if let Some((_, power)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        numerator = numerator.checked_mul(1 << power)?;
        Form::Binary
    } else {
        let named = DECIMAL.iter().find(|(s, _)| *s == suffix).map(|(_, power)| (*power, Form::Decimal));
        let written = || Some((suffix.strip_prefix(['e', 'E'])?.parse().ok()?, Form::Exponent));
        let (power, form) = named.or_else(written)?;
        let factor = 10_i128.checked_pow(power.unsigned_abs())?;
        if power < 0 {
            denominator = denominator.checked_mul(factor)?;
        } else {
            numerator = numerator.checked_mul(factor)?;
        }
        form
    };
    let nanos = numerator.checked_add(denominator - 1)? / denominator;
    Some((if negative { -nanos } else { nanos }, form))
}

/// The amount in billionths; `None` for what is no quantity.
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
    fn processors_are_counted_up() {
        for (text, want) in [("2", 2), ("1500m", 2), ("100m", 1), ("0", 0)] {
            assert_eq!(ceiling(text), Some(want), "{text}");
        }
    }
}
