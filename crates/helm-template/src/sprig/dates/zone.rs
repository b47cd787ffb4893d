//! Time zones and the calendar: from seconds since 1970 to the fields of a date and back.
//!
//! Zones come from the tz database that is built in, so results do not depend on the machine.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A day in seconds.
const DAY: i64 = 86_400;

/// Where a time is shown.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// UTC
    Utc,
    /// A zone of the tz database.
    Named(TimeZone),
    /// A fixed offset in seconds east, as read from a text; the name may be empty.
    Fixed(String, i64),
}

impl Zone {
    /// Go's `LoadLocation`, where `Local` is the zone given; UTC for a name that is not known.
    pub(super) fn load(name: &str, local: &str) -> Self {
        match name {
            "" | "UTC" => Self::Utc,
            "Local" if local != "Local" => Self::load(local, local),
            _ => match TimeZoneDatabase::bundled().get(name) {
                // The database ignores case, Go's file names do not.
                Ok(zone) if zone.iana_name() == Some(name) => Self::Named(zone),
                _ => Self::Utc,
            },
        }
    }

    /// Abbreviation and offset in seconds east at a time.
    pub(super) fn at(&self, seconds: i64) -> (String, i64) {
        match self {
            Self::Utc => ("UTC".to_owned(), 0),
            Self::Fixed(name, offset) => (name.clone(), *offset),
            Self::Named(zone) => {
                let edge = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
                let info = zone.to_offset_info(Timestamp::from_second(seconds).unwrap_or(edge));
                (info.abbreviation().to_owned(), i64::from(info.offset().seconds()))
            }
        }
    }

    /// The offset that an abbreviation has in this zone around a time of its clock.
    pub(super) fn offset_named(&self, abbreviation: &str, seconds: i64) -> Option<i64> {
        // Half a year away the other half of daylight saving is in effect.
        [0, -182 * DAY, 182 * DAY].into_iter().find_map(|shift| {
            let (name, offset) = self.at(seconds + shift);
            (name == abbreviation).then_some(offset)
        })
    }

    /// Seconds since 1970 of a reading of this zone's clock, as Go's `time.Date` decides at changes of the offset.
    pub(super) fn resolve(&self, clock: i64) -> i64 {
        match self.at(clock).1 {
            0 => clock,
            offset => clock - self.at(clock - offset).1,
        }
    }
}

/// The fields of a date, in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    /// From 1.
    pub(super) year_day: i64,
    /// From Sunday as 0.
    pub(super) weekday: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Civil {
    /// The fields for seconds since 1970, offset included.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = date_of(days);
        Self {
            year,
            month,
            day,
            year_day: days - days_before(year, 1, 1) + 1,
            weekday: (days + 4).rem_euclid(7),
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// Seconds since 1970; month and day may lie outside their ranges and carry over.
    pub(super) fn seconds(year: i64, month: i64, day: i64, time_of_day: i64) -> i64 {
        let months = year.saturating_mul(12).saturating_add(month - 1);
        let days = days_before(months.div_euclid(12), months.rem_euclid(12) + 1, 1).saturating_add(day - 1);
        days.saturating_mul(DAY).saturating_add(time_of_day)
    }
}

/// Days in a month.
pub(super) fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a year has 366 days.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in 400 years.
const ERA: i64 = 146_097;

/// Days from 1970-01-01 to a date. Years are counted from March, so that the leap day comes last.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(ERA).saturating_add(day_of_era - 719_468)
}

/// Year, month and day of a number of days since 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
