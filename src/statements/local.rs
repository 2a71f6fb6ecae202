//! Money and dates as they are written where the reader lives: digits, separators and order by Unicode's data, the
//! currency as its code behind the number. Months are Gregorian everywhere: the books are.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::{YM, YMD};
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_locale::{Locale, LocaleDirectionality, locale};

use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;

/// Between a number and its currency: no line breaks there.
const NO_BREAK: char = '\u{a0}';

/// How one reader reads.
pub struct Local {
    is_rtl: bool,
    numbers: Option<DecimalFormatter>,
    days: Option<FixedCalendarDateTimeFormatter<Gregorian, YMD>>,
    months: Option<FixedCalendarDateTimeFormatter<Gregorian, YM>>,
    zone: Tz,
}

impl Local {
    /// For a BCP 47 tag; English where there is none, or it is no tag.
    pub fn new(tag: Option<&str>, zone: Tz) -> Self {
        let locale = tag.and_then(|tag| Locale::try_from_str(tag).ok()).unwrap_or(locale!("en"));
        // Without data for a locale, Unicode's root is used; the plain forms below are for none at all.
        Self {
            is_rtl: LocaleDirectionality::new_common().is_right_to_left(&locale.id),
            numbers: DecimalFormatter::try_new(
                (&locale).into(),
                icu_decimal::options::DecimalFormatterOptions::default(),
            )
            .ok(),
            days: FixedCalendarDateTimeFormatter::try_new((&locale).into(), YMD::medium()).ok(),
            months: FixedCalendarDateTimeFormatter::try_new((&locale).into(), YM::long()).ok(),
            zone,
        }
    }

    /// Whether it is read from the right.
    pub fn is_rtl(&self) -> bool {
        self.is_rtl
    }

    /// Minor units as a number in the currency's own exponent: `1,234.50`.
    pub fn number(&self, amount: i64, currency: Currency) -> String {
        let mut decimal = Decimal::from(amount);
        // At most three.
        decimal.multiply_pow10(-i16::try_from(currency.exponent()).unwrap_or_default());
        self.decimal(&decimal)
    }

    /// The same with the currency: `1,234.50 USD`.
    pub fn money(&self, amount: i64, currency: Currency) -> String {
        format!("{}{NO_BREAK}{}", self.number(amount, currency), code(currency))
    }

    /// A count.
    pub fn count(&self, count: usize) -> String {
        self.decimal(&Decimal::from(u64::try_from(count).unwrap_or(u64::MAX)))
    }

    /// A plain decimal, such as a rate of exchange; as it is where it is none.
    pub fn plain(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |decimal| self.decimal(&decimal))
    }

    fn decimal(&self, decimal: &Decimal) -> String {
        match &self.numbers {
            Some(numbers) => numbers.format(decimal).to_string(),
            None => decimal.to_string(),
        }
    }

    /// The day of a moment on the workspace's calendar.
    pub fn day(&self, at: Time) -> String {
        self.date(at.with_timezone(&self.zone).date_naive())
    }

    /// A day.
    pub fn date(&self, date: NaiveDate) -> String {
        let (month, day) = (u8::try_from(date.month()), u8::try_from(date.day()));
        let (Ok(month), Ok(day), Some(days)) = (month, day, &self.days) else { return date.to_string() };
        match Date::try_new_gregorian(date.year(), month, day) {
            Ok(gregorian) => days.format(&gregorian).to_string(),
            Err(_) => date.to_string(),
        }
    }

    /// A month.
    pub fn month(&self, month: Month) -> String {
        let first = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d");
        let (Ok(first), Some(months)) = (first, &self.months) else { return month.to_string() };
        match Date::try_new_gregorian(first.year(), u8::try_from(first.month()).unwrap_or(1), 1) {
            Ok(gregorian) => months.format(&gregorian).to_string(),
            Err(_) => month.to_string(),
        }
    }
}

/// `USD`
pub fn code(currency: Currency) -> String {
    currency.as_str().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tag: &str) -> [String; 4] {
        let local = Local::new(Some(tag), chrono_tz::Europe::Berlin);
        let money = |amount, code: &str| local.money(amount, code.parse().unwrap()).replace(NO_BREAK, "_");
        [
            money(-123_456_789, "eur"),
            money(1_234_567, "kwd"),
            local.day("2026-10-02T22:30:00Z".parse().unwrap()),
            local.month("2026-10".parse().unwrap()),
        ]
    }

    #[test]
    fn money_and_dates_are_written_as_the_reader_writes_them() {
        let all: Vec<String> =
            ["en", "en-GB", "de-DE", "fr-FR", "ja-JP", "ar-EG", "he", "hi-IN", "de-CH", "th", "xx", "no tag"]
                .map(|tag| format!("{tag}: {}", written(tag).join(" | ")))
                .to_vec();
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn some_are_read_from_the_right() {
        for (tag, is_rtl) in
            [("ar-EG", true), ("he", true), ("fa", true), ("ur-PK", true), ("en", false), ("ja", false)]
        {
            assert_eq!(Local::new(Some(tag), Tz::UTC).is_rtl(), is_rtl, "{tag}");
        }
    }

    #[test]
    fn no_amount_is_too_large() {
        let local = Local::new(None, Tz::UTC);
        assert_eq!(local.number(i64::MIN, "usd".parse().unwrap()), "-92,233,720,368,547,758.08");
        assert_eq!(local.number(-5, "jpy".parse().unwrap()), "-5");
        assert_eq!(local.number(0, "kwd".parse().unwrap()), "0.000");
    }
}
