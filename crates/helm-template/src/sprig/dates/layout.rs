//! Go's time layouts: a text in which parts of the reference time `Mon Jan 2 15:04:05 MST 2006` stand for fields.
//!
//! In: a layout and a time. Out: the text. Reading by a layout is in [`super::parse`].

use super::zone::{Civil, Zone};
use std::io::Write as _;

/// A field in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    Abbreviation,
    Offset(Offset),
    Fraction(Fraction),
}

/// How an offset from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// `Z` for UTC.
    pub(super) zulu: bool,
    /// Colons between the numbers.
    pub(super) colon: bool,
    /// How many numbers: hours, minutes, seconds.
    pub(super) numbers: usize,
}

/// How a fraction of a second is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fraction {
    /// `.` or `,`
    separator: u8,
    pub(super) digits: usize,
    /// Without zeros at the end.
    pub(super) trimmed: bool,
}

const fn offset(zulu: bool, colon: bool, numbers: usize) -> Element {
    Element::Offset(Offset { zulu, colon, numbers })
}

/// Elements as written; what begins like another stands before it.
const WRITTEN: &[(&[u8], Element)] = &[
    (b"January", Element::LongMonth),
    (b"Jan", Element::Month),
    (b"Monday", Element::LongWeekday),
    (b"Mon", Element::Weekday),
    (b"MST", Element::Abbreviation),
    (b"01", Element::ZeroMonth),
    (b"002", Element::ZeroYearDay),
    (b"02", Element::ZeroDay),
    (b"03", Element::ZeroHour12),
    (b"04", Element::ZeroMinute),
    (b"05", Element::ZeroSecond),
    (b"06", Element::Year),
    (b"15", Element::Hour),
    (b"1", Element::NumMonth),
    (b"2006", Element::LongYear),
    (b"2", Element::Day),
    (b"__2", Element::UnderYearDay),
    (b"_2", Element::UnderDay),
    (b"3", Element::Hour12),
    (b"4", Element::Minute),
    (b"5", Element::Second),
    (b"PM", Element::UpperHalf),
    (b"pm", Element::LowerHalf),
    (b"-070000", offset(false, false, 3)),
    (b"-07:00:00", offset(false, true, 3)),
    (b"-0700", offset(false, false, 2)),
    (b"-07:00", offset(false, true, 2)),
    (b"-07", offset(false, false, 1)),
    (b"Z070000", offset(true, false, 3)),
    (b"Z07:00:00", offset(true, true, 3)),
    (b"Z0700", offset(true, false, 2)),
    (b"Z07:00", offset(true, true, 2)),
    (b"Z07", offset(true, false, 1)),
];

/// Names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of the days of the week.
pub(super) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A name by its number from 0.
pub(super) fn name<const N: usize>(names: &[&'static str; N], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|i| names.get(i)).copied().unwrap_or("")
}

/// The first three letters of a name.
pub(super) fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// A layout cut at its first element.
pub(super) struct Cut<'a> {
    /// What stands before.
    pub(super) prefix: &'a [u8],
    /// The element and how it is written; `None` at the end of the layout.
    pub(super) element: Option<(Element, &'a [u8])>,
    /// What stands after.
    pub(super) rest: &'a [u8],
}

/// Finds the first element.
pub(super) fn cut(layout: &[u8]) -> Cut<'_> {
    for at in 0..layout.len() {
        let (prefix, rest) = layout.split_at(at);
        if let Some((element, length)) = element_at(rest) {
            let (written, rest) = rest.split_at(length);
            return Cut { prefix, element: Some((element, written)), rest };
        }
    }
    Cut { prefix: layout, element: None, rest: &[] }
}

/// The element that a layout begins with, and its length.
fn element_at(layout: &[u8]) -> Option<(Element, usize)> {
    if let [separator @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = layout {
        let digits = layout.iter().skip(1).take_while(|b| *b == digit).count();
        let ends = !layout.get(digits + 1).is_some_and(u8::is_ascii_digit);
        let fraction = Fraction { separator: *separator, digits, trimmed: *digit == b'9' };
        return ends.then_some((Element::Fraction(fraction), digits + 1));
    }
    let (written, element) = WRITTEN.iter().find(|(written, _)| layout.starts_with(written))?;
    let followed_by_lower = layout.get(written.len()).is_some_and(u8::is_ascii_lowercase);
    let is_part_of_word = matches!(element, Element::Month | Element::Weekday) && followed_by_lower;
    // An underscore before the long year is one.
    let is_year = *element == Element::UnderDay && layout.starts_with(b"_2006");
    (!is_part_of_word && !is_year).then_some((*element, written.len()))
}

/// `Time.Format`.
pub(super) fn format(layout: &[u8], seconds: i64, nanoseconds: u32, zone: &Zone) -> Vec<u8> {
    let (abbreviation, offset) = zone.at(seconds);
    let shown = Shown { civil: Civil::from_seconds(seconds.saturating_add(offset)), nanoseconds, abbreviation, offset };
    let mut out = Vec::new();
    let mut rest = layout;
    loop {
        let found = cut(rest);
        out.extend_from_slice(found.prefix);
        let Some((element, _)) = found.element else { return out };
        shown.write(&mut out, element);
        rest = found.rest;
    }
}

/// A time in a zone.
struct Shown {
    civil: Civil,
    nanoseconds: u32,
    abbreviation: String,
    offset: i64,
}

impl Shown {
    fn write(&self, out: &mut Vec<u8>, element: Element) {
        let c = &self.civil;
        let half = if c.hour >= 12 { "PM" } else { "AM" };
        let hour12 = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
        match element {
            Element::LongMonth => out.extend_from_slice(name(&MONTHS, c.month - 1).as_bytes()),
            Element::Month => out.extend_from_slice(short(name(&MONTHS, c.month - 1)).as_bytes()),
            Element::NumMonth => pad(out, c.month, 0),
            Element::ZeroMonth => pad(out, c.month, 2),
            Element::LongWeekday => out.extend_from_slice(name(&WEEKDAYS, c.weekday).as_bytes()),
            Element::Weekday => out.extend_from_slice(short(name(&WEEKDAYS, c.weekday)).as_bytes()),
            Element::Day => pad(out, c.day, 0),
            Element::UnderDay => drop(write!(out, "{:2}", c.day)),
            Element::ZeroDay => pad(out, c.day, 2),
            Element::UnderYearDay => drop(write!(out, "{:3}", c.year_day)),
            Element::ZeroYearDay => pad(out, c.year_day, 3),
            Element::Hour => pad(out, c.hour, 2),
            Element::Hour12 => pad(out, hour12, 0),
            Element::ZeroHour12 => pad(out, hour12, 2),
            Element::Minute => pad(out, c.minute, 0),
            Element::ZeroMinute => pad(out, c.minute, 2),
            Element::Second => pad(out, c.second, 0),
            Element::ZeroSecond => pad(out, c.second, 2),
            Element::LongYear => pad(out, c.year, 4),
            Element::Year => pad(out, c.year.abs() % 100, 2),
            Element::UpperHalf => out.extend_from_slice(half.as_bytes()),
            Element::LowerHalf => out.extend_from_slice(half.to_ascii_lowercase().as_bytes()),
            Element::Abbreviation if self.abbreviation.is_empty() => {
                self.write_offset(out, Offset { zulu: false, colon: false, numbers: 2 });
            }
            Element::Abbreviation => out.extend_from_slice(self.abbreviation.as_bytes()),
            Element::Offset(form) => self.write_offset(out, form),
            Element::Fraction(form) => self.write_fraction(out, form),
        }
    }

    fn write_offset(&self, out: &mut Vec<u8>, form: Offset) {
        if form.zulu && self.offset == 0 {
            out.push(b'Z');
            return;
        }
        // Less than a minute west of UTC has no sign in Go.
        let minutes = self.offset / 60;
        out.push(if minutes < 0 { b'-' } else { b'+' });
        let numbers = [minutes.abs() / 60, minutes.abs() % 60, self.offset.abs() % 60];
        for (index, number) in numbers.into_iter().take(form.numbers).enumerate() {
            if form.colon && index > 0 {
                out.push(b':');
            }
            pad(out, number, 2);
        }
    }

    fn write_fraction(&self, out: &mut Vec<u8>, form: Fraction) {
        let digits = format!("{:09}", self.nanoseconds);
        let digits = digits.get(..form.digits).unwrap_or(&digits);
        let digits = if form.trimmed { digits.trim_end_matches('0') } else { digits };
        if !digits.is_empty() {
            out.push(form.separator);
            out.extend_from_slice(digits.as_bytes());
        }
    }
}

/// A number with zeros in front; the sign does not count.
fn pad(out: &mut Vec<u8>, number: i64, width: usize) {
    if number < 0 {
        out.push(b'-');
    }
    drop(write!(out, "{:0width$}", number.unsigned_abs()));
}
