//! Durations of flags, as Go writes them.

use helm_template::sprig::go_duration;
use std::fmt;
use std::time::Duration;

/// A duration that is shown as it is written, so that the default of a flag can be a constant of the library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(pub(super) Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut left, mut is_empty) = (self.0.as_millis(), true);
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let count = left / millis;
            left %= millis;
            if count > 0 {
                is_empty = false;
                write!(f, "{count}{unit}")?;
            }
        }
        if is_empty { f.write_str("0s") } else { Ok(()) }
    }
}

/// As [`parse`].
pub(super) fn parse_written(text: &str) -> Result<Written, String> {
    parse(text).map(Written)
}

/// Longer than anything that is waited for, and short enough to be counted with.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 10);

/// Reads a duration that is longer than nothing.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let nanos = go_duration(text).ok().and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    let Some(nanos) = nanos else {
        return Err(format!(
            "{text:?} is not a duration of more than zero; write numbers with their units (h, m, s, ms, us, ns), such as \
             10s, 1m30s, 1.5s or 500ms"
        ));
    };
    Ok(Duration::from_nanos(nanos).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        let all = [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("500ms", 500),
            (".5s", 500),
            ("1h1m", 3_660_000),
            ("24h", 86_400_000),
        ];
        for (text, milliseconds) in all {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for micro in ["2us", "2\u{b5}s", "2\u{3bc}s"] {
            assert_eq!(parse(micro), Ok(Duration::from_micros(2)), "{micro}");
        }
        assert_eq!(parse("+1s"), Ok(Duration::from_secs(1)));
        assert_eq!(parse("2000000h"), Ok(LONGEST));
    }

    #[test]
    fn a_default_is_shown_as_it_is_written() {
        for text in ["10s", "1m30s", "500ms", "24h", "1h1m", "1s500ms"] {
            assert_eq!(parse_written(text).unwrap().to_string(), text);
        }
        assert_eq!(Written(Duration::ZERO).to_string(), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_is_one_and_so_is_none() {
        for text in ["", "10", "s", "1.2.3s", "-1s", "1d", "0s", "0", "1s2", ".s", "1 s", "9999999h"] {
            let message = parse(text).unwrap_err();
            assert!(message.starts_with(&format!("{text:?} is not a duration")), "{message}");
            assert!(message.contains("(h, m, s, ms, us, ns)") && message.contains("500ms"), "{message}");
        }
    }
}
