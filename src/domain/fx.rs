//! Exchange rates: from one currency to another by the euro, and amounts by a rate.
//!
//! Central banks publish what a euro is worth in other currencies, on working days. A rate between two others is the
//! quotient of two that were published for the same day.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use rust_decimal::{Decimal, RoundingStrategy};

use super::currency::Currency;
use super::money::{Exact, Overflow};

/// How many days back a published rate still counts: weekends and holidays, and no more.
pub const DAYS_BACK: u64 = 7;

/// Digits of a rate that count; those before the first that is no zero do not.
const DIGITS: u32 = 10;

/// What is said to be the source of a rate between a currency and itself.
const SAME: &str = "same currency";

/// What a euro was worth on some days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    days: BTreeMap<NaiveDate, BTreeMap<Currency, Published>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    per_euro: Decimal,
    source: String,
}

/// What a euro is worth in another currency, as published for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EuroRate {
    /// The day.
    pub day: NaiveDate,
    /// Of what.
    pub currency: Currency,
    /// Units for one euro; above zero.
    pub per_euro: Decimal,
}

/// A rate between two currencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Units of the one for one unit of the other, major units both; ten significant digits.
    pub rate: Decimal,
    /// The day for which it was published.
    pub day: NaiveDate,
    /// Who published it, such as `ecb`.
    pub source: String,
}

impl Rates {
    /// Adds what was published for a day: units of `currency` for one euro. One that is not above zero is no rate, and
    /// is left out.
    pub fn add(&mut self, day: NaiveDate, currency: Currency, per_euro: Decimal, source: &str) {
        if per_euro > Decimal::ZERO {
            let published = Published { per_euro, source: source.to_owned() };
            self.days.entry(day).or_default().insert(currency, published);
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Units of `to` for one unit of `from`: of the last day up to and including `on`, at most [`DAYS_BACK`] days back,
    /// for which both are known. None where there is no such day: nobody guesses.
    pub fn rate(&self, from: Currency, to: Currency, on: NaiveDate) -> Option<Rate> {
        if from == to {
            return Some(Rate { rate: Decimal::ONE, day: on, source: SAME.to_owned() });
        }
        let first = on.checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(NaiveDate::MIN);
        self.days.range(first..=on).rev().find_map(|(day, known)| {
            let (from, to) = (leg(known, from)?, leg(known, to)?);
            let rate = to.per_euro.checked_div(from.per_euro)?;
            let rate = rate.round_sf_with_strategy(DIGITS, RoundingStrategy::MidpointNearestEven)?.normalize();
            let source = match (from.source, to.source) {
                ("", one) | (one, "") => one.to_owned(),
                (one, other) if one == other => one.to_owned(),
                (one, other) => format!("{one} + {other}"),
            };
            (!rate.is_zero()).then_some(Rate { rate, day: *day, source })
        })
    }
}

struct Leg<'a> {
    per_euro: Decimal,
    source: &'a str,
}

fn leg(known: &BTreeMap<Currency, Published>, currency: Currency) -> Option<Leg<'_>> {
    if currency.as_str() == "eur" {
        return Some(Leg { per_euro: Decimal::ONE, source: "" });
    }
    known.get(&currency).map(|published| Leg { per_euro: published.per_euro, source: &published.source })
}

/// An amount of minor units of `from` as minor units of `to`: exact, with each currency's own exponent, and rounded once,
/// half to even.
///
/// # Errors
/// [`Overflow`] for what is too large to be real money.
pub fn convert(amount: i64, from: Currency, to: Currency, rate: &Rate) -> Result<i64, Overflow> {
    let exponents = Exact::ratio(10_i64.pow(to.exponent()), 10_i64.pow(from.exponent()))?;
    Exact::from(amount).times(Exact::decimal(rate.rate.normalize())?)?.times(exponents)?.round_half_even()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn rates() -> Rates {
        let mut rates = Rates::default();
        for (on, code, per_euro) in [
            ("2026-10-29", "usd", "1.1600"),
            ("2026-10-29", "gbp", "0.8700"),
            ("2026-10-30", "usd", "1.1572"),
            ("2026-10-30", "jpy", "178.31"),
            ("2026-10-30", "kwd", "0.35"),
        ] {
            rates.add(day(on), currency(code), per_euro.parse().unwrap(), "ecb");
        }
        rates
    }

    fn rate(from: &str, to: &str, on: &str) -> Option<(String, String)> {
        let rate = rates().rate(currency(from), currency(to), day(on))?;
        Some((rate.rate.to_string(), rate.day.to_string()))
    }

    fn is(rate: &str, day: &str) -> (String, String) {
        (rate.to_owned(), day.to_owned())
    }

    #[test]
    fn rates_go_by_the_euro() {
        assert_eq!(rate("eur", "usd", "2026-10-30"), Some(is("1.1572", "2026-10-30")));
        assert_eq!(rate("usd", "eur", "2026-10-30"), Some(is("0.8641548566", "2026-10-30")));
        assert_eq!(rate("usd", "jpy", "2026-10-30"), Some(is("154.0874525", "2026-10-30")));
        assert_eq!(rate("usd", "usd", "2026-10-30"), Some(is("1", "2026-10-30")));
        assert_eq!(rate("jpy", "kwd", "2026-10-30"), Some(is("0.001962873647", "2026-10-30")));
    }

    #[test]
    fn a_weekend_has_fridays_rates_and_both_are_of_one_day() {
        assert_eq!(rate("usd", "eur", "2026-11-01"), Some(is("0.8641548566", "2026-10-30")));
        // The pound is not known for Friday: both are Thursday's.
        assert_eq!(rate("usd", "gbp", "2026-11-01"), Some(is("0.75", "2026-10-29")));
        assert_eq!(rate("usd", "eur", "2026-11-06"), Some(is("0.8641548566", "2026-10-30")));
        assert_eq!(rate("usd", "eur", "2026-11-07"), None, "eight days are too many");
        assert_eq!(rate("usd", "eur", "2026-10-28"), None, "nobody knows what is to come");
        assert_eq!(rate("gbp", "jpy", "2026-11-01"), None, "never known for one day");
        assert_eq!(rate("usd", "chf", "2026-10-30"), None);
        assert_eq!(rate("eur", "usd", "-262143-01-02"), None);
    }

    #[test]
    fn what_is_no_rate_is_left_out() {
        let mut rates = Rates::default();
        for bad in ["0", "-1"] {
            rates.add(day("2026-10-30"), currency("usd"), bad.parse().unwrap(), "ecb");
        }
        assert!(rates.is_empty());
        rates.add(day("2026-10-30"), currency("usd"), Decimal::MAX, "ecb");
        assert!(!rates.is_empty());
        rates.add(day("2026-10-30"), currency("gbp"), "0.0000000000000000000000000001".parse().unwrap(), "own");
        assert_eq!(rates.rate(currency("gbp"), currency("usd"), day("2026-10-30")), None, "too large to say");
        assert_eq!(rates.rate(currency("usd"), currency("gbp"), day("2026-10-30")), None, "too small to say");
    }

    #[test]
    fn sources_are_told() {
        let mut rates = rates();
        rates.add(day("2026-10-30"), currency("usd"), "1.2".parse().unwrap(), "own");
        let source = |from: &str, to: &str| rates.rate(currency(from), currency(to), day("2026-10-30")).unwrap().source;
        assert_eq!(source("usd", "eur"), "own");
        assert_eq!(source("eur", "jpy"), "ecb");
        assert_eq!(source("kwd", "jpy"), "ecb");
        assert_eq!(source("usd", "jpy"), "own + ecb");
        assert_eq!(source("usd", "usd"), "same currency");
    }

    #[test]
    fn amounts_have_each_currencys_exponent_and_are_rounded_once() {
        let at = |text: &str| Rate { rate: text.parse().unwrap(), day: day("2026-10-30"), source: "ecb".to_owned() };
        for (amount, from, to, rate, converted) in [
            (10_000, "usd", "eur", "0.8641548566", 8_642),
            (-10_000, "usd", "eur", "0.8641548566", -8_642),
            (10_000, "usd", "jpy", "154.0874525", 15_409),
            (15_409, "jpy", "usd", "0.006489820784", 10_000),
            (10_000, "usd", "kwd", "0.3024542", 30_245),
            // Half to even.
            (1, "usd", "eur", "0.5", 0),
            (3, "usd", "eur", "0.5", 2),
            (5, "usd", "eur", "0.5", 2),
            (-5, "usd", "eur", "0.5", -2),
            // ISK has two decimals in amounts.
            (100, "eur", "isk", "141.9", 14_190),
            (0, "usd", "eur", "0.86", 0),
            (i64::MAX, "usd", "eur", "1", i64::MAX),
        ] {
            let found = convert(amount, currency(from), currency(to), &at(rate));
            assert_eq!(found, Ok(converted), "{amount} {from} as {to} at {rate}");
        }
        assert_eq!(convert(i64::MAX, currency("usd"), currency("eur"), &at("1.0000000001")), Err(Overflow));
        assert_eq!(convert(i64::MAX, currency("jpy"), currency("usd"), &at("1")), Err(Overflow));
        let largest = Rate { rate: Decimal::MAX, ..at("1") };
        assert_eq!(convert(i64::MAX, currency("jpy"), currency("kwd"), &largest), Err(Overflow));
    }
}
