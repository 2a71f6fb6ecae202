//! Calendar months: the months of a rule's duration, and the month of a payout in the workspace's time zone.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Months, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use super::Time;

/// `start` plus `months` calendar months in UTC, the day clamped to the month's last: Jan 31 + 1 = Feb 28 or 29.
/// Nothing where the calendar ends.
pub fn add_months(start: Time, months: u32) -> Option<Time> {
    start.checked_add_months(Months::new(months))
}

/// A calendar month, `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i32,
    month: u32,
}

/// The text was not a month.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month: expected a year and a month such as \"2026-10\"")]
pub struct BadMonth(pub String);

impl Month {
    /// The month that contains `at` in `zone`.
    pub fn containing(at: Time, zone: Tz) -> Self {
        let local = at.with_timezone(&zone);
        Self { year: local.year(), month: local.month() }
    }

    /// The month after this one.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 { Self { year: self.year + 1, month: 1 } } else { Self { month: self.month + 1, ..self } }
    }

    /// The month before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        if self.month == 1 { Self { year: self.year - 1, month: 12 } } else { Self { month: self.month - 1, ..self } }
    }

    /// The first moment of the month in `zone`.
    pub fn start(self, zone: Tz) -> Time {
        self.at(1, 0, zone)
    }

    /// The moment at which the clocks of `zone` show a full hour on a day, 1 to 28, of the month.
    ///
    /// # Panics
    /// For days and hours that some month or day does not have.
    pub fn at(self, day: u32, hour: u32, zone: Tz) -> Time {
        let date = NaiveDate::from_ymd_opt(self.year, self.month, day).expect("every month has 28 days");
        let mut local = date.and_time(NaiveTime::from_hms_opt(hour, 0, 0).expect("every day has 24 hours"));
        // Where the clocks skip it, it is the first minute that exists.
        loop {
            if let Some(start) = zone.from_local_datetime(&local).earliest() {
                return start.to_utc();
            }
            local += chrono::TimeDelta::minutes(1);
        }
    }

    /// The first moment after the month in `zone`.
    pub fn end(self, zone: Tz) -> Time {
        self.next().start(zone)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = BadMonth;

    fn from_str(text: &str) -> Result<Self, BadMonth> {
        let bad = || BadMonth(text.to_owned());
        let (year, month) = text.split_once('-').ok_or_else(bad)?;
        // Numbers may have signs; months have none.
        if year.len() != 4 || month.len() != 2 || !(year.to_owned() + month).bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        let year: i32 = year.parse().map_err(|_| bad())?;
        let month: u32 = month.parse().map_err(|_| bad())?;
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
            return Err(bad());
        }
        Ok(Self { year, month })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn an_hour_of_a_day_is_on_the_zones_clock() {
        let at_nine = |month: &str, zone: Tz| month.parse::<Month>().unwrap().at(3, 9, zone);
        assert_eq!(at_nine("2026-11", chrono_tz::Europe::Berlin), at("2026-11-03T08:00:00Z"));
        assert_eq!(at_nine("2026-07", chrono_tz::Europe::Berlin), at("2026-07-03T07:00:00Z"));
        // Clocks skip from 2:00 to 3:00 on 8 March 2026.
        let skipped = "2026-03".parse::<Month>().unwrap().at(8, 2, chrono_tz::America::New_York);
        assert_eq!(skipped, at("2026-03-08T07:00:00Z"));
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        for (start, months, end) in [
            ("2026-01-31T10:00:00Z", 1, "2026-02-28T10:00:00Z"),
            ("2028-01-31T10:00:00Z", 1, "2028-02-29T10:00:00Z"),
            ("2026-01-31T10:00:00Z", 2, "2026-03-31T10:00:00Z"),
            ("2024-02-29T00:00:00Z", 12, "2025-02-28T00:00:00Z"),
        ] {
            assert_eq!(add_months(at(start), months), Some(at(end)), "{start} + {months}");
        }
    }

    #[test]
    fn a_payout_month_follows_the_workspaces_clock() {
        let october: Month = "2026-10".parse().unwrap();
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(october.start(berlin), at("2026-09-30T22:00:00Z"));
        assert_eq!(october.end(berlin), at("2026-10-31T23:00:00Z"));
        assert_eq!(Month::containing(at("2026-09-30T22:30:00Z"), berlin), october);
        assert_eq!(october.next().to_string(), "2026-11");
        assert_eq!("2026-01".parse::<Month>().unwrap().previous().to_string(), "2025-12");
    }

    #[test]
    fn a_skipped_midnight_starts_when_the_clock_does() {
        // Clocks in Asuncion went from 00:00 to 01:00 on 2017-10-01.
        let october: Month = "2017-10".parse().unwrap();
        assert_eq!(october.start(chrono_tz::America::Asuncion), at("2017-10-01T04:00:00Z"));
    }

    #[test]
    fn months_follow_each_other_through_the_year() {
        let mut month: Month = "1970-01".parse().unwrap();
        for count in 0..36_u32 {
            assert_eq!(month.to_string(), format!("{}-{:02}", 1970 + count / 12, 1 + count % 12));
            assert_eq!(month.next().previous(), month);
            month = month.next();
        }
        assert_eq!("9999-12".parse::<Month>().map(|month| month.to_string()), Ok("9999-12".to_owned()));
    }

    #[test]
    fn only_months_are_months() {
        for bad in [
            "",
            "2026",
            "2026-13",
            "2026-1",
            "26-10",
            "2026-10-01",
            "October",
            "2026-+1",
            "2026-00",
            "1969-12",
            "102026",
        ] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
