//! Times and durations as templates see them: Go structs and numbers with methods.

use super::layout::{MONTHS, WEEKDAYS, format, name};
use super::zone::{Civil, Zone};
use super::{RFC3339_NANO, duration};
use crate::gotmpl::Type::{Int, Int64, String as GoString, Time as GoTimeType};
use crate::gotmpl::{Object, Signature, Type, Value};
use crate::json::Html;
use crate::sprig::args::{at, int, text};
use crate::sprig::json_write;
use std::any::Any;
use std::rc::Rc;

/// How Go prints a time.
const PRINTED: &[u8] = b"2006-01-02 15:04:05.999999999 -0700 MST";

/// Seconds from the year 1, Go's zero time, to 1970.
const ZERO_TIME: i64 = -62_135_596_800;

/// `time.Time`
#[derive(Clone)]
pub(super) struct Time {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    /// Where it is shown.
    pub(super) zone: Zone,
    /// The zone of the method `Local`.
    pub(super) local: Zone,
}

impl Time {
    /// Go's zero time: the first second of the year 1.
    pub(super) fn zero(local: Zone) -> Self {
        Self { seconds: ZERO_TIME, nanoseconds: 0, zone: Zone::Utc, local }
    }

    /// The argument at an index, if it is a time.
    pub(super) fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Object(o) => o.as_any().downcast_ref(),
            _ => None,
        }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    pub(super) fn format(&self, layout: &[u8]) -> Vec<u8> {
        format(layout, self.seconds, self.nanoseconds, &self.zone)
    }

    pub(super) fn in_zone(&self, zone: &Zone) -> Self {
        Self { zone: zone.clone(), ..self.clone() }
    }

    fn total_nanoseconds(&self) -> i128 {
        i128::from(self.seconds) * i128::from(duration::SECOND) + i128::from(self.nanoseconds)
    }

    /// The time a number of nanoseconds later.
    pub(super) fn add(&self, nanoseconds: i64) -> Self {
        let total = self.total_nanoseconds() + i128::from(nanoseconds);
        let second = i128::from(duration::SECOND);
        let seconds = i64::try_from(total.div_euclid(second)).unwrap_or(self.seconds);
        let nanoseconds = u32::try_from(total.rem_euclid(second)).unwrap_or(0);
        Self { seconds, nanoseconds, ..self.clone() }
    }

    /// Nanoseconds since another time, as far as they fit.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let difference = self.total_nanoseconds() - other.total_nanoseconds();
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }

    fn civil(&self) -> Civil {
        Civil::from_seconds(self.seconds.saturating_add(self.zone.at(self.seconds).1))
    }

    /// The same time of day some years, months and days later; days beyond the end of a month carry over.
    fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
        let c = self.civil();
        let time_of_day = (c.hour * 60 + c.minute) * 60 + c.second;
        let (year, month) = (c.year.saturating_add(years), c.month.saturating_add(months));
        let clock = Civil::seconds(year, month, c.day.saturating_add(days), time_of_day);
        Self { seconds: self.zone.resolve(clock), ..self.clone() }
    }

    /// Methods without parameters.
    fn property(&self, name: &str) -> Option<Value> {
        let c = self.civil();
        let unit = |nanoseconds: i64| {
            let total = self.total_nanoseconds().div_euclid(i128::from(nanoseconds));
            Value::Int64(i64::try_from(total).unwrap_or(i64::MIN))
        };
        let enumeration = |kind: Kind, number: i64| Value::Object(Rc::new(Number { kind, number }));
        Some(match name {
            "String" => Value::string(self.display()),
            "Unix" => Value::Int64(self.seconds),
            "UnixMilli" => unit(1_000_000),
            "UnixMicro" => unit(1_000),
            "UnixNano" => unit(1),
            "Year" => Value::Int(c.year),
            "Month" => enumeration(Kind::Month, c.month),
            "Day" => Value::Int(c.day),
            "YearDay" => Value::Int(c.year_day),
            "Weekday" => enumeration(Kind::Weekday, c.weekday),
            "Hour" => Value::Int(c.hour),
            "Minute" => Value::Int(c.minute),
            "Second" => Value::Int(c.second),
            "Nanosecond" => Value::Int(i64::from(self.nanoseconds)),
            "IsZero" => Value::Bool(self.seconds == ZERO_TIME && self.nanoseconds == 0),
            "UTC" => self.in_zone(&Zone::Utc).into_value(),
            "Local" => self.in_zone(&self.local).into_value(),
            _ => return None,
        })
    }

    /// Methods that take a time.
    fn compare(&self, name: &str, other: &Self) -> Option<Value> {
        let order = self.total_nanoseconds().cmp(&other.total_nanoseconds());
        Some(match name {
            "After" => Value::Bool(order.is_gt()),
            "Before" => Value::Bool(order.is_lt()),
            "Equal" => Value::Bool(order.is_eq()),
            "Compare" => Value::Int(order as i64),
            "Sub" => Number::duration(self.since(other)),
            _ => return None,
        })
    }
}

/// Methods of a time, with what they take.
const METHODS: &[(&str, &[Type])] = &[
    ("String", &[]),
    ("Unix", &[]),
    ("UnixMilli", &[]),
    ("UnixMicro", &[]),
    ("UnixNano", &[]),
    ("Year", &[]),
    ("Month", &[]),
    ("Day", &[]),
    ("YearDay", &[]),
    ("Weekday", &[]),
    ("Hour", &[]),
    ("Minute", &[]),
    ("Second", &[]),
    ("Nanosecond", &[]),
    ("IsZero", &[]),
    ("UTC", &[]),
    ("Local", &[]),
    ("Format", &[GoString]),
    ("AddDate", &[Int, Int, Int]),
    ("After", &[GoTimeType]),
    ("Before", &[GoTimeType]),
    ("Equal", &[GoTimeType]),
    ("Compare", &[GoTimeType]),
    ("Sub", &[GoTimeType]),
    // A duration, which a literal number is too.
    ("Add", &[Type::Any]),
];

fn signature(methods: &[(&str, &'static [Type])], name: &str) -> Option<Signature> {
    let (_, params) = methods.iter().find(|(n, _)| *n == name)?;
    Some(Signature { params, variadic: None })
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        signature(METHODS, name).is_some()
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        signature(METHODS, name)
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        if name == "Add" {
            let given = at(args, 0);
            let later = Number::nanoseconds(given).map(|nanoseconds| self.add(nanoseconds).into_value());
            let refused = || format!("wrong type for value; expected time.Duration; got {}", given.type_name());
            return Some(later.ok_or_else(refused));
        }
        Some(Ok(match name {
            "Format" => Value::string(self.format(text(args, 0))),
            "AddDate" => self.add_date(int(args, 0), int(args, 1), int(args, 2)).into_value(),
            _ => match Self::of(at(args, 0)) {
                Some(other) => self.compare(name, other)?,
                None => self.property(name)?,
            },
        }))
    }

    fn display(&self) -> String {
        String::from_utf8_lossy(&self.format(PRINTED)).into_owned()
    }

    fn to_json(&self) -> Result<String, String> {
        let wrong =
            |what: &str| Err(format!("json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: {what}"));
        if !(0..10_000).contains(&self.civil().year) {
            return wrong("year outside of range [0,9999]");
        }
        if self.zone.at(self.seconds).1.abs() >= 24 * 3600 {
            return wrong("timezone hour outside of range [0,23]");
        }
        json_write::compact(&Value::string(self.format(RFC3339_NANO)), Html::Escaped)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Which of Go's named numbers a [`Number`] is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Month,
    Weekday,
    Duration,
}

/// `time.Month`, `time.Weekday` or `time.Duration`.
struct Number {
    kind: Kind,
    number: i64,
}

/// Methods of a duration.
const DURATION_METHODS: &[(&str, &[Type])] = &[
    ("String", &[]),
    ("Hours", &[]),
    ("Minutes", &[]),
    ("Seconds", &[]),
    ("Milliseconds", &[]),
    ("Microseconds", &[]),
    ("Nanoseconds", &[]),
    ("Abs", &[]),
    ("Round", &[Int64]),
    ("Truncate", &[Int64]),
];

impl Number {
    fn duration(number: i64) -> Value {
        Value::Object(Rc::new(Self { kind: Kind::Duration, number }))
    }

    /// The nanoseconds of a duration or of a literal number.
    fn nanoseconds(value: &Value) -> Option<i64> {
        match value {
            Value::Int(n) => Some(*n),
            Value::Object(o) => {
                let number: &Self = o.as_any().downcast_ref()?;
                (number.kind == Kind::Duration).then_some(number.number)
            }
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss)] // as in Go
    fn call_duration(&self, name: &str, unit: i64) -> Option<Value> {
        let n = self.number;
        let in_units = |unit: i64| (n / unit) as f64 + (n % unit) as f64 / unit as f64;
        Some(match name {
            "Hours" => Value::Float(in_units(3600 * duration::SECOND)),
            "Minutes" => Value::Float(in_units(60 * duration::SECOND)),
            "Seconds" => Value::Float(in_units(duration::SECOND)),
            "Milliseconds" => Value::Int64(n / 1_000_000),
            "Microseconds" => Value::Int64(n / 1_000),
            "Nanoseconds" => Value::Int64(n),
            "Abs" => Self::duration(n.checked_abs().unwrap_or(i64::MAX)),
            "Round" => Self::duration(duration::round(n, unit)),
            "Truncate" => Self::duration(if unit <= 0 { n } else { n - n % unit }),
            _ => return None,
        })
    }
}

impl Object for Number {
    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Month => "time.Month",
            Kind::Weekday => "time.Weekday",
            Kind::Duration => "time.Duration",
        }
    }

    fn kind_name(&self) -> &'static str {
        if self.kind == Kind::Duration { "int64" } else { "int" }
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn has_method(&self, name: &str) -> bool {
        self.method_signature(name).is_some()
    }

    fn method_signature(&self, name: &str) -> Option<Signature> {
        let own = if self.kind == Kind::Duration { DURATION_METHODS } else { &[("String", &[] as &[Type])] };
        signature(own, name)
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        if name == "String" {
            return Some(Ok(Value::string(self.display())));
        }
        if self.kind == Kind::Duration { self.call_duration(name, int(args, 0)).map(Ok) } else { None }
    }

    fn display(&self) -> String {
        match self.kind {
            Kind::Month => name(&MONTHS, self.number - 1).to_owned(),
            Kind::Weekday => name(&WEEKDAYS, self.number).to_owned(),
            Kind::Duration => duration::to_text(self.number),
        }
    }

    fn to_json(&self) -> Result<String, String> {
        Ok(self.number.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
