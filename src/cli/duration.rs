//! Durations as Go writes them: `10s`, `1m30s`, `1.5s`, `500ms`.

use std::time::Duration;

/// The units, longest name first where one begins another.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// Longer than anything that is waited for, and short enough to be counted with.
const LONGEST: f64 = 1e9;

/// Reads a duration that is longer than nothing.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration such as 10s, 1m30s, 1.5s or 500ms");
    let (mut rest, mut total) = (text.strip_prefix('+').unwrap_or(text), 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        total += number * seconds;
        rest = after.get(unit.len()..).unwrap_or_default();
    }
    let duration = Duration::try_from_secs_f64(total.min(LONGEST)).map_err(|_| wrong())?;
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let all =
            [("10s", 10_000), ("1m30s", 90_000), ("1.5s", 1500), ("500ms", 500), (".5s", 500), ("1h1m", 3_660_000)];
        for (text, milliseconds) in all {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(parse("2\u{b5}s"), Ok(Duration::from_micros(2)));
        assert_eq!(parse("+1s"), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_no_duration_is_refused_and_so_is_none() {
        for text in ["", "10", "s", "1.2.3s", "-1s", "1d", "0s", "0", "1s2", ".s", "1 s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
