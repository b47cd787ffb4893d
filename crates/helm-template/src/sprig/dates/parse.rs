//! Reading a time by a Go layout: `time.ParseInLocation`.

use super::duration::quote;
use super::layout::{Element, Fraction, MONTHS, Offset, WEEKDAYS, cut, short};
use super::zone::{Civil, Zone, days_in, is_leap};

/// A time that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) zone: Zone,
}

/// Why an element could not be read.
enum Flaw {
    /// It does not look like the element.
    Form,
    /// The named field is too large.
    Range(&'static str),
}

/// Reads a time; without a zone in the text it is in the local one.
///
/// # Errors
/// Go's text: `parsing time "x" as "2006": cannot parse "x" as "2006"`.
pub(super) fn parse(layout: &[u8], value: &[u8], local: &Zone) -> Result<Read, String> {
    let failed = |message: &str| format!("parsing time {}{message}", quote(value));
    let unreadable = |rest: &[u8], element: &[u8]| {
        failed(&format!(" as {}: cannot parse {} as {}", quote(layout), quote(rest), quote(element)))
    };
    let mut fields = Fields::default();
    let (mut rest, mut ahead) = (value, layout);
    loop {
        let found = cut(ahead);
        rest = skip(rest, found.prefix).map_err(|at| unreadable(at, found.prefix))?;
        let Some((element, written)) = found.element else { break };
        ahead = found.rest;
        rest = fields.read(element, rest, ahead).map_err(|flaw| match flaw {
            Flaw::Form => unreadable(rest, written),
            Flaw::Range(field) => failed(&format!(": {field} out of range")),
        })?;
    }
    if !rest.is_empty() {
        return Err(failed(&format!(": extra text: {}", quote(rest))));
    }
    fields.finish(local).map_err(|message| failed(&format!(": {message}")))
}

/// Steps over text that the layout demands; runs of blanks count as equal. The error is where it stopped.
fn skip<'a>(value: &'a [u8], prefix: &[u8]) -> Result<&'a [u8], &'a [u8]> {
    let (mut value, mut prefix) = (value, prefix);
    while let Some((wanted, tail)) = prefix.split_first() {
        match value.split_first() {
            None | Some((b' ', _)) if *wanted == b' ' => {
                prefix = prefix.trim_ascii_start_blanks();
                value = value.trim_ascii_start_blanks();
            }
            Some((first, rest)) if first == wanted => (prefix, value) = (tail, rest),
            _ => return Err(value),
        }
    }
    Ok(value)
}

/// Cutting blanks (no other white space) from the start.
trait Blanks {
    fn trim_ascii_start_blanks(&self) -> &Self;
}

impl Blanks for [u8] {
    fn trim_ascii_start_blanks(&self) -> &Self {
        let blanks = self.iter().take_while(|b| **b == b' ').count();
        self.get(blanks..).unwrap_or_default()
    }
}

/// The fields found so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    is_afternoon: Option<bool>,
    is_utc: bool,
    offset: Option<i64>,
    abbreviation: Option<Vec<u8>>,
}

/// What follows an element that was read.
type Rest<'a> = Result<&'a [u8], Flaw>;

impl Fields {
    /// Reads an element from the front of a text; `ahead` is the layout after it.
    fn read<'a>(&mut self, element: Element, value: &'a [u8], ahead: &[u8]) -> Rest<'a> {
        match element {
            Element::Year | Element::LongYear => self.read_year(element, value),
            Element::LongMonth | Element::Month | Element::LongWeekday | Element::Weekday => {
                self.read_name(element, value)
            }
            Element::NumMonth | Element::ZeroMonth => {
                let (month, rest) = number(value, element == Element::ZeroMonth)?;
                self.month = Some(month);
                in_range(month, 1, 12, "month").map(|()| rest)
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let value = if element == Element::UnderDay { one_blank_less(value) } else { value };
                let (day, rest) = number(value, element == Element::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let is_fixed = element == Element::ZeroYearDay;
                let value = if is_fixed { value } else { one_blank_less(one_blank_less(value)) };
                let digits = value.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
                if digits == 0 || (is_fixed && digits != 3) {
                    return Err(Flaw::Form);
                }
                let (day, rest) = value.split_at(digits);
                self.year_day = Some(decimal(day)?);
                Ok(rest)
            }
            Element::UpperHalf | Element::LowerHalf => self.read_half(element, value),
            Element::Abbreviation => self.read_abbreviation(value),
            Element::Offset(form) => self.read_offset(form, value),
            Element::Fraction(form) => self.read_fraction(form, value),
            Element::Second | Element::ZeroSecond => {
                let (second, rest) = number(value, element == Element::ZeroSecond)?;
                self.second = second;
                in_range(second, 0, 59, "second")?;
                self.read_unannounced_fraction(rest, ahead)
            }
            Element::Minute | Element::ZeroMinute => {
                let (minute, rest) = number(value, element == Element::ZeroMinute)?;
                self.minute = minute;
                in_range(minute, 0, 59, "minute").map(|()| rest)
            }
            Element::Hour | Element::Hour12 | Element::ZeroHour12 => {
                let (hour, rest) = number(value, element == Element::ZeroHour12)?;
                self.hour = hour;
                in_range(hour, 0, if element == Element::Hour { 23 } else { 12 }, "hour").map(|()| rest)
            }
        }
    }

    fn read_year<'a>(&mut self, element: Element, value: &'a [u8]) -> Rest<'a> {
        let is_long = element == Element::LongYear;
        let (text, rest) = value.split_at_checked(if is_long { 4 } else { 2 }).ok_or(Flaw::Form)?;
        if is_long && !text.first().is_some_and(u8::is_ascii_digit) {
            return Err(Flaw::Form);
        }
        let year = decimal(text)?;
        self.year = match (is_long, year >= 69) {
            (true, _) => year,
            (false, true) => year + 1900,
            (false, false) => year + 2000,
        };
        Ok(rest)
    }

    /// Months and days of the week by name, in any case. A day of the week is not compared with the date.
    fn read_name<'a>(&mut self, element: Element, value: &'a [u8]) -> Rest<'a> {
        let find = |names: &[&str], is_short: bool| {
            let shown = |name: &str| if is_short { short(name).len() } else { name.len() };
            let begins = |name: &str| {
                let name = name.as_bytes().get(..shown(name)).unwrap_or_default();
                value.get(..name.len()).is_some_and(|v| v.eq_ignore_ascii_case(name))
            };
            let index = names.iter().position(|name| begins(name))?;
            Some((index, names.get(index).map_or(0, |name| shown(name))))
        };
        let is_month = matches!(element, Element::LongMonth | Element::Month);
        let is_short = matches!(element, Element::Weekday | Element::Month);
        let found = if is_month { find(&MONTHS, is_short) } else { find(&WEEKDAYS, is_short) };
        let (index, length) = found.ok_or(Flaw::Form)?;
        if is_month {
            self.month = i64::try_from(index + 1).ok();
        }
        value.get(length..).ok_or(Flaw::Form)
    }

    fn read_half<'a>(&mut self, element: Element, value: &'a [u8]) -> Rest<'a> {
        let (text, rest) = value.split_at_checked(2).ok_or(Flaw::Form)?;
        let halves: [&[u8]; 2] = if element == Element::UpperHalf { [b"AM", b"PM"] } else { [b"am", b"pm"] };
        let index = halves.iter().position(|half| *half == text).ok_or(Flaw::Form)?;
        self.is_afternoon = Some(index == 1);
        Ok(rest)
    }

    fn read_abbreviation<'a>(&mut self, value: &'a [u8]) -> Rest<'a> {
        if let Some(rest) = value.strip_prefix(b"UTC") {
            self.is_utc = true;
            return Ok(rest);
        }
        let length = abbreviation_length(value).ok_or(Flaw::Form)?;
        let (name, rest) = value.split_at_checked(length).ok_or(Flaw::Form)?;
        self.abbreviation = Some(name.to_vec());
        Ok(rest)
    }

    fn read_offset<'a>(&mut self, form: Offset, value: &'a [u8]) -> Rest<'a> {
        if let Some(rest) = value.strip_prefix(b"Z").filter(|_| form.zulu) {
            self.is_utc = true;
            return Ok(rest);
        }
        let (sign, mut rest) = value.split_first().ok_or(Flaw::Form)?;
        let mut numbers = [0; 3];
        for (index, slot) in numbers.iter_mut().take(form.numbers).enumerate() {
            if form.colon && index > 0 {
                rest = rest.strip_prefix(b":").ok_or(Flaw::Form)?;
            }
            (*slot, rest) = number(rest, true)?;
        }
        let [hours, minutes, seconds] = numbers;
        in_range(hours, 0, 24, "time zone offset hour")?;
        in_range(minutes, 0, 60, "time zone offset minute")?;
        in_range(seconds, 0, 60, "time zone offset second")?;
        let offset = (hours * 60 + minutes) * 60 + seconds;
        self.offset = match sign {
            b'+' => Some(offset),
            b'-' => Some(-offset),
            _ => return Err(Flaw::Form),
        };
        Ok(rest)
    }

    fn read_fraction<'a>(&mut self, form: Fraction, value: &'a [u8]) -> Rest<'a> {
        if !form.trimmed {
            return self.take_nanoseconds(value, form.digits);
        }
        // It may be missing, and it may be longer than the layout shows.
        match fraction_digits(value) {
            0 => Ok(value),
            digits => self.take_nanoseconds(value, digits),
        }
    }

    /// A fraction after the seconds is read even if the layout has none.
    fn read_unannounced_fraction<'a>(&mut self, value: &'a [u8], ahead: &[u8]) -> Rest<'a> {
        let announced = matches!(cut(ahead).element, Some((Element::Fraction(_), _)));
        match fraction_digits(value) {
            digits if digits > 0 && !announced => self.take_nanoseconds(value, digits),
            _ => Ok(value),
        }
    }

    /// A separator and so many digits; beyond nanoseconds they do not count.
    fn take_nanoseconds<'a>(&mut self, value: &'a [u8], digits: usize) -> Rest<'a> {
        let (text, rest) = value.split_at_checked(digits + 1).ok_or(Flaw::Form)?;
        let [b'.' | b',', digits @ ..] = text else { return Err(Flaw::Form) };
        let counted = digits.get(..9).unwrap_or(digits);
        let number = decimal(counted)?;
        if number < 0 {
            return Err(Flaw::Range("fractional second"));
        }
        let scale = (counted.len()..9).fold(1, |scale, _| scale * 10);
        self.nanoseconds = u32::try_from(number * scale).map_err(|_| Flaw::Form)?;
        Ok(rest)
    }

    /// Month and day, from the day of the year if that was given.
    fn date(&self) -> Result<(i64, i64), &'static str> {
        let Some(year_day) = self.year_day else {
            return Ok((self.month.unwrap_or(1), self.day.unwrap_or(1)));
        };
        if year_day < 1 || year_day > 365 + i64::from(is_leap(self.year)) {
            return Err("day-of-year out of range");
        }
        let (mut month, mut day) = (1, year_day);
        while day > days_in(month, self.year) {
            day -= days_in(month, self.year);
            month += 1;
        }
        if self.month.is_some_and(|m| m != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|d| d != day) {
            return Err("day-of-year does not match day");
        }
        Ok((month, day))
    }

    fn finish(self, local: &Zone) -> Result<Read, &'static str> {
        let (month, day) = self.date()?;
        if day < 1 || day > days_in(month, self.year) {
            return Err("day out of range");
        }
        let hour = match self.is_afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let clock = Civil::seconds(self.year, month, day, (hour * 60 + self.minute) * 60 + self.second);
        let name = self.abbreviation.map(|a| String::from_utf8_lossy(&a).into_owned());
        let (seconds, zone) = match (self.is_utc, self.offset, name) {
            (true, _, _) => (clock, Zone::Utc),
            (false, Some(offset), name) => at_offset(clock, offset, name.unwrap_or_default(), local),
            (false, None, Some(name)) => at_abbreviation(clock, name, local),
            (false, None, None) => (local.resolve(clock), local.clone()),
        };
        Ok(Read { seconds, nanoseconds: self.nanoseconds, zone })
    }
}

/// The local zone if it has this offset then, else a fixed one.
fn at_offset(clock: i64, offset: i64, name: String, local: &Zone) -> (i64, Zone) {
    let seconds = clock - offset;
    let (local_name, local_offset) = local.at(seconds);
    let is_local = local_offset == offset && (name.is_empty() || name == local_name);
    (seconds, if is_local { local.clone() } else { Zone::Fixed(name, offset) })
}

/// The local zone if it knows the abbreviation, else one of that name. Such a zone has the offset 0, or the one that
/// `GMT+3` names, but the clock is read as UTC's in both cases.
fn at_abbreviation(clock: i64, name: String, local: &Zone) -> (i64, Zone) {
    if let Some(offset) = local.offset_named(&name, clock) {
        return (clock - offset, local.clone());
    }
    let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i64>().ok()).unwrap_or(0);
    (clock, Zone::Fixed(name, hours * 3600))
}

fn one_blank_less(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// How many digits follow a separator at the front; 0 if none do.
fn fraction_digits(value: &[u8]) -> usize {
    match value {
        [b'.' | b',', digits @ ..] => digits.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    }
}

fn in_range(number: i64, min: i64, max: i64, field: &'static str) -> Result<(), Flaw> {
    if (min..=max).contains(&number) { Ok(()) } else { Err(Flaw::Range(field)) }
}

/// One or two digits; always two if `fixed`.
fn number(value: &[u8], fixed: bool) -> Result<(i64, &[u8]), Flaw> {
    match value {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => Ok((i64::from(a - b'0') * 10 + i64::from(b - b'0'), rest)),
        [a @ b'0'..=b'9', rest @ ..] if !fixed => Ok((i64::from(a - b'0'), rest)),
        _ => Err(Flaw::Form),
    }
}

/// A whole number with or without sign.
fn decimal(text: &[u8]) -> Result<i64, Flaw> {
    std::str::from_utf8(text).ok().and_then(|s| s.parse().ok()).ok_or(Flaw::Form)
}

/// The length of what looks like the abbreviation of a zone.
fn abbreviation_length(value: &[u8]) -> Option<usize> {
    let begins = |name: &[u8]| value.starts_with(name);
    if value.len() < 3 {
        return None;
    }
    if begins(b"ChST") || begins(b"MeST") {
        return Some(4);
    }
    if let Some(hours) = value.strip_prefix(b"GMT") {
        return Some(3 + hours_length(hours));
    }
    if begins(b"+") || begins(b"-") {
        return Some(hours_length(value)).filter(|n| *n > 0);
    }
    let letters = value.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let ends_in_t = |at: usize| value.get(at) == Some(&b'T');
    match letters {
        5 if ends_in_t(4) => Some(5),
        4 if ends_in_t(3) || begins(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

/// The length of a sign and a number up to 23; 0 for anything else.
fn hours_length(value: &[u8]) -> usize {
    let [b'+' | b'-', digits @ ..] = value else { return 0 };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let hours = digits.get(..count).map_or(Err(Flaw::Form), decimal);
    if hours.is_ok_and(|h| h <= 23) { count + 1 } else { 0 }
}
