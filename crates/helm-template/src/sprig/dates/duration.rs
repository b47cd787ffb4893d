//! Go's `time.Duration`: nanoseconds, read from `1h30m` and written as such.

/// Nanoseconds in a second.
pub(super) const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Units as written, with their nanoseconds. Both letters for micro are Go's.
const UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

/// The largest magnitude, which only a negative duration reaches.
const LIMIT: u64 = 1 << 63;

/// A text that is not a duration; the texts are Go's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not a row of numbers with units, or more than 64 bits of nanoseconds.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(Vec<u8>),
    /// A number has no unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    NoUnit(Vec<u8>),
    /// A number has a unit that there is not.
    #[error("time: unknown unit {} in duration {}", quote(unit), quote(text))]
    Unit {
        /// The unit.
        unit: Vec<u8>,
        /// The whole text.
        text: Vec<u8>,
    },
}

/// `time.ParseDuration`.
///
/// # Errors
/// The text is not a duration.
pub(super) fn parse(text: &[u8]) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = take_digits(rest);
        let (fraction, after) = after.strip_prefix(b".").map_or((&b""[..], after), take_digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let length = after.iter().position(|b| *b == b'.' || b.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| name.as_bytes() == unit) else {
            return Err(DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() });
        };
        let amount = amount(whole, fraction, size.unsigned_abs()).ok_or_else(invalid)?;
        total = total.checked_add(amount).filter(|t| *t <= LIMIT).ok_or_else(invalid)?;
        rest = after;
    }
    match (negative, i64::try_from(total)) {
        (false, Ok(n)) => Ok(n),
        (false, Err(_)) => Err(invalid()),
        (true, Ok(n)) => Ok(-n),
        (true, Err(_)) => Ok(i64::MIN),
    }
}

/// A number of units in nanoseconds; `None` if it overflows.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Go's own arithmetic
fn amount(whole: &[u8], fraction: &[u8], unit: u64) -> Option<u64> {
    let mut value: u64 = 0;
    for digit in whole {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|v| *v <= LIMIT)?;
    }
    value = value.checked_mul(unit).filter(|v| *v <= LIMIT)?;
    let (mut part, mut scale) = (0_u64, 1_f64);
    for digit in fraction {
        // Digits beyond what fits do not count.
        let Some(next) = part.checked_mul(10).filter(|p| *p <= LIMIT) else { break };
        part = next + u64::from(digit - b'0');
        scale *= 10.0;
    }
    let part = (part as f64 * (unit as f64 / scale)) as u64;
    value.checked_add(part).filter(|v| *v <= LIMIT)
}

fn take_digits(s: &[u8]) -> (&[u8], &[u8]) {
    s.split_at(s.iter().position(|b| !b.is_ascii_digit()).unwrap_or(s.len()))
}

/// Quotes as package time does: everything beyond ASCII as bytes.
pub(super) fn quote(s: &[u8]) -> String {
    let mut out = String::from("\"");
    for b in s {
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str(r"\\"),
            b' '..=b'\x7f' => out.push(char::from(*b)),
            _ => out.extend(["\\x", &format!("{b:02x}")]),
        }
    }
    out.push('"');
    out
}

/// `Duration.String`: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn to_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let part = |unit: i64| total / unit.unsigned_abs();
    let body = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", with_fraction(part(1_000), total % 1_000, 3)),
        1_000_000..1_000_000_000 => format!("{}ms", with_fraction(part(1_000_000), total % 1_000_000, 6)),
        _ => {
            let seconds = with_fraction(part(SECOND) % 60, total % SECOND.unsigned_abs(), 9);
            match (part(HOUR), part(MINUTE) % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{body}")
}

/// A number with a fraction of `digits` digits, without trailing zeros.
fn with_fraction(whole: u64, fraction: u64, digits: usize) -> String {
    let text = format!("{whole}.{fraction:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `Duration.Round`: halves away from zero; the limits stay what they are.
pub(super) fn round(nanoseconds: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    let truncated = nanoseconds - rest;
    if rest.unsigned_abs() < unit.unsigned_abs() - rest.unsigned_abs() {
        truncated
    } else {
        truncated.saturating_add(if nanoseconds < 0 { -unit } else { unit })
    }
}

/// `durationRound`: the largest unit of which there is more than one, `0s` below a second.
pub(super) fn coarse(nanoseconds: i64) -> String {
    let total = nanoseconds.unsigned_abs();
    let units = [("y", 365 * DAY), ("mo", 30 * DAY), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)];
    let found = units.into_iter().find(|(_, size)| total > size.unsigned_abs());
    found.map_or_else(|| "0s".to_owned(), |(name, size)| format!("{}{name}", total / size.unsigned_abs()))
}
