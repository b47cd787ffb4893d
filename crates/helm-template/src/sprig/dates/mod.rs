//! Times, dates and durations, with Go's layouts.
//!
//! In: times, seconds since 1970, layouts, names of zones. Out: times (`time.Time`) and texts. The present comes from
//! [`Host::now`], the local zone from [`Host::timezone`], all other zones from the built-in tz database.
//!
//! Known difference: `now` prints without Go's reading of the monotonic clock (`m=+0.01`).

mod duration;
mod layout;
mod object;
mod parse;
#[cfg(test)]
mod tests;
mod zone;

use super::args::{at, fixed, text};
use super::cast::{IntError, parse_int};
use crate::gotmpl::Type::{Any, String as GoString, Time as GoTime};
use crate::gotmpl::{Function, Host, Value};
pub use duration::DurationError;
use object::Time;
use zone::Zone;

/// A duration in Go's form (`1h30m`), in nanoseconds.
///
/// # Errors
/// The text is not a duration.
pub(super) fn parse_duration(text: &str) -> Result<i64, DurationError> {
    duration::parse(text.as_bytes())
}

/// The functions of this file. Two spellings of a name are one function.
pub const FUNCTIONS: &[Function] = &[
    fixed("now", &[], |host, _| Ok(now(host).into_value())),
    fixed("date", &[GoString, Any], |host, a| Ok(format(host, text(a, 0), at(a, 1), b"Local"))),
    fixed("dateInZone", &[GoString, Any, GoString], |host, a| Ok(format(host, text(a, 0), at(a, 1), text(a, 2)))),
    fixed("date_in_zone", &[GoString, Any, GoString], |host, a| Ok(format(host, text(a, 0), at(a, 1), text(a, 2)))),
    fixed("htmlDate", &[Any], |host, a| Ok(format(host, DATE, at(a, 0), b"Local"))),
    fixed("htmlDateInZone", &[Any, GoString], |host, a| Ok(format(host, DATE, at(a, 0), text(a, 1)))),
    fixed("dateModify", &[GoString, GoTime], |_, a| Ok(modify(a).unwrap_or_else(|_| at(a, 1).clone()))),
    fixed("date_modify", &[GoString, GoTime], |_, a| Ok(modify(a).unwrap_or_else(|_| at(a, 1).clone()))),
    fixed("mustDateModify", &[GoString, GoTime], |_, a| modify(a)),
    fixed("must_date_modify", &[GoString, GoTime], |_, a| modify(a)),
    fixed("toDate", &[GoString, GoString], |host, a| {
        Ok(read(host, a).unwrap_or_else(|_| Time::zero(local(host)).into_value()))
    }),
    fixed("mustToDate", &[GoString, GoString], read),
    fixed("unixEpoch", &[GoTime], |host, a| Ok(Value::string(instant(host, at(a, 0)).seconds.to_string()))),
    fixed("ago", &[Any], |host, a| {
        let passed = now(host).since(&instant(host, at(a, 0)));
        Ok(Value::string(duration::to_text(duration::round(passed, duration::SECOND))))
    }),
    fixed("duration", &[Any], |_, a| Ok(seconds_as_text(at(a, 0)))),
    fixed("durationRound", &[Any], |host, a| Ok(coarse(host, at(a, 0)))),
];

/// The layout of a date in HTML.
const DATE: &[u8] = b"2006-01-02";

/// The layout of a time in JSON.
const RFC3339_NANO: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

/// Seconds since 1970 in UTC, by a layout.
pub(crate) fn utc(layout: &[u8], seconds: i64) -> Vec<u8> {
    layout::format(layout, seconds, 0, &Zone::Utc)
}

/// The local zone.
fn local(host: &Host) -> Zone {
    Zone::load("Local", &host.timezone)
}

fn now(host: &Host) -> Time {
    let (seconds, nanoseconds) = (host.now)();
    Time { seconds, nanoseconds, zone: local(host), local: local(host) }
}

/// The time that a value stands for: a time, or whole seconds since 1970. Everything else, floats of a values file
/// included, stands for now.
fn instant(host: &Host, value: &Value) -> Time {
    match value {
        Value::Int(seconds) | Value::Int64(seconds) => {
            Time { seconds: *seconds, nanoseconds: 0, zone: local(host), local: local(host) }
        }
        other => Time::of(other).cloned().unwrap_or_else(|| now(host)),
    }
}

/// A value's time in a zone, by a layout.
fn format(host: &Host, layout: &[u8], value: &Value, zone: &[u8]) -> Value {
    let zone = Zone::load(&String::from_utf8_lossy(zone), &host.timezone);
    Value::string(instant(host, value).in_zone(&zone).format(layout))
}

/// The second argument, a time, moved by the first, a duration.
fn modify(args: &[Value]) -> Result<Value, String> {
    let nanoseconds = duration::parse(text(args, 0)).map_err(|error| error.to_string())?;
    Ok(Time::of(at(args, 1)).map_or(Value::Nil, |time| time.add(nanoseconds).into_value()))
}

/// Reads the second argument by the layout in the first.
fn read(host: &Host, args: &[Value]) -> Result<Value, String> {
    let local = local(host);
    let read = parse::parse(text(args, 0), text(args, 1), &local)?;
    Ok(Time { seconds: read.seconds, nanoseconds: read.nanoseconds, zone: read.zone, local }.into_value())
}

/// `duration`: seconds as a text or an int64; any other number counts as 0.
fn seconds_as_text(value: &Value) -> Value {
    let seconds = match value {
        Value::Int64(seconds) => *seconds,
        Value::String(s) => match parse_int(s.as_bytes(), 10) {
            Ok(seconds) | Err(IntError::Range(seconds)) => seconds,
            Err(IntError::Syntax) => 0,
        },
        _ => 0,
    };
    Value::string(duration::to_text(seconds.wrapping_mul(duration::SECOND)))
}

/// `durationRound`: of a duration as text, of nanoseconds, or of the time that has passed.
fn coarse(host: &Host, value: &Value) -> Value {
    let nanoseconds = match value {
        Value::String(s) => duration::parse(s.as_bytes()).unwrap_or(0),
        Value::Int64(nanoseconds) => *nanoseconds,
        other => Time::of(other).map_or(0, |time| now(host).since(time)),
    };
    Value::string(duration::coarse(nanoseconds))
}
