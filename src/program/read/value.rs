//! Single values: keys, amounts, percentages, durations, delays, moments.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use rust_decimal::Decimal;
use toml::de::DeValue;

use super::super::currencies;
use super::super::fault::Faults;
use super::super::file::Moment;
use super::node::Node;
use crate::domain::currency::Currency;
use crate::domain::money::parse_decimal;
use crate::domain::terms::{AmountByCurrency, Duration};

/// A century: longer durations are `lifetime`.
const MOST_MONTHS: u32 = 1200;
/// A year: a refund that takes back later than that is not meant.
const MOST_DELAY: i64 = 366 * 86_400;
const DURATIONS: &str = "\"one_time\", \"12 months\", \"6 payments\" or \"lifetime\"";
const DELAYS: &str = "a time such as \"1s\", \"90m\", \"1h\" or \"2d\"";
const MOMENTS: &str = "a date such as 2026-10-01 or a time such as 2026-10-01T12:00:00Z";

/// A key that metadata and addresses can carry.
pub(super) fn key(node: &Node<'_>, what: &str, faults: &mut Faults) -> Option<String> {
    let text = node.text(what, faults)?;
    if text.chars().any(char::is_whitespace) {
        faults.add(&node.spot, format!("{text:?} holds white space, which {what} may not"));
        return None;
    }
    if text.chars().count() > 200 {
        faults.add(&node.spot, format!("is too long: {what} has at most 200 characters"));
        return None;
    }
    Some(text)
}

/// A text or several, without repetitions.
pub(super) fn texts(node: &Node<'_>, what: &str, faults: &mut Faults) -> Vec<String> {
    let items = node.one_or_more();
    if items.is_empty() {
        faults
            .add(&node.spot, format!("is an empty list, which nothing matches: expected {what}, or leave the key out"));
    }
    let mut texts: Vec<String> = Vec::new();
    for item in items {
        match item.text(what, faults) {
            Some(text) if texts.contains(&text) => faults.add(&item.spot, format!("{text:?} is listed twice")),
            Some(text) => texts.push(text),
            None => {}
        }
    }
    texts
}

/// A currency that Stripe knows.
pub(super) fn currency(text: &str) -> Result<Currency, String> {
    let currency: Currency = text.parse().map_err(|error: crate::domain::currency::BadCurrency| error.to_string())?;
    if currencies::is_known(currency) {
        Ok(currency)
    } else {
        Err(format!("{text:?} is no currency that Stripe knows"))
    }
}

/// A currency by its name alone, such as `"usd"`.
pub(super) fn currency_name(node: &Node<'_>, faults: &mut Faults) -> Option<Currency> {
    let text = node.text("a currency", faults)?;
    faults.check(&node.spot, currency(&text))
}

/// `{ usd = "50.00", eur = "50.00" }`
pub(super) fn amounts(node: &Node<'_>, faults: &mut Faults) -> AmountByCurrency {
    let mut amounts = AmountByCurrency::new();
    for (code, item) in node.pairs("amounts by currency such as { usd = \"50.00\" }", faults) {
        let Some(currency) = faults.check(&item.spot, currency(code)) else { continue };
        let Some(amount) = amount(&item, currency, faults) else { continue };
        if amounts.insert(currency, amount).is_some() {
            faults.add(&item.spot, format!("{currency} is listed twice"));
        }
    }
    amounts
}

fn amount(node: &Node<'_>, currency: Currency, faults: &mut Faults) -> Option<i64> {
    let Some(text) = node.value.as_str() else {
        // `50` could be meant as dollars or as cents.
        node.expected("a decimal amount in quotes such as \"50.00\"", faults);
        return None;
    };
    let amount = faults.check(&node.spot, parse_decimal(text, currency))?;
    if amount < 0 {
        faults.add(&node.spot, format!("{text:?} is negative: expected \"0\" or more"));
        return None;
    }
    Some(amount)
}

/// A percentage from 0 to 100, exact: `"30"`, `30`, `"12.5"`, `12.5`.
pub(super) fn percent(node: &Node<'_>, faults: &mut Faults) -> Option<Decimal> {
    let text = match node.value {
        DeValue::String(text) => text.trim().to_owned(),
        // The source's own digits: a float would not be exact.
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
        _ => {
            node.expected("a percentage such as \"30\" or 12.5", faults);
            return None;
        }
    };
    let Ok(percent) = text.parse::<Decimal>() else {
        faults
            .add(&node.spot, format!("{text:?} is no percentage: expected a plain decimal such as \"30\" or \"12.5\""));
        return None;
    };
    if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
        faults.add(&node.spot, format!("{text} is out of range: expected a percentage from 0 to 100"));
        return None;
    }
    let percent = percent.normalize();
    if percent.scale() > 6 {
        faults.add(&node.spot, format!("{text} has too many decimals: expected at most 6"));
        return None;
    }
    Some(percent)
}

/// `one_time`, `12 months`, `6 payments`, `lifetime`.
pub(super) fn duration(node: &Node<'_>, faults: &mut Faults) -> Option<Duration> {
    let Some(text) = node.value.as_str() else {
        node.expected(DURATIONS, faults);
        return None;
    };
    faults.check(&node.spot, duration_of(text))
}

fn duration_of(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "one_time" => return Ok(Duration::OneTime),
        "lifetime" => return Ok(Duration::Lifetime),
        _ => {}
    }
    let unknown = || format!("{text:?} is no duration: expected {DURATIONS}");
    let (count, unit) = text.trim().split_once(char::is_whitespace).ok_or_else(unknown)?;
    let count: u32 = count.parse().map_err(|_| unknown())?;
    let duration = match unit.trim() {
        "month" | "months" if count > MOST_MONTHS => {
            return Err(format!("{text:?} is more than {MOST_MONTHS} months: expected fewer, or \"lifetime\""));
        }
        "month" | "months" => Duration::Months(count),
        "payment" | "payments" => Duration::Payments(count),
        _ => return Err(unknown()),
    };
    if count == 0 { Err(format!("{text:?} never pays: expected 1 or more")) } else { Ok(duration) }
}

/// A delay in seconds: `1s`, `90m`, `1h`, `2d`.
pub(super) fn delay(node: &Node<'_>, faults: &mut Faults) -> Option<i64> {
    let Some(text) = node.value.as_str() else {
        node.expected(DELAYS, faults);
        return None;
    };
    faults.check(&node.spot, delay_of(text))
}

fn delay_of(text: &str) -> Result<i64, String> {
    let unknown = || format!("{text:?} is no time: expected {DELAYS}");
    let trimmed = text.trim();
    let unit = trimmed.chars().last().ok_or_else(unknown)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(unknown()),
    };
    let count: u32 = trimmed[..trimmed.len() - unit.len_utf8()].parse().map_err(|_| unknown())?;
    match i64::from(count) * seconds {
        delay if delay > MOST_DELAY => Err(format!("{text:?} is longer than a year")),
        delay => Ok(delay),
    }
}

/// A date or time, with or without an offset, as TOML's own or in quotes.
pub(super) fn moment(node: &Node<'_>, faults: &mut Faults) -> Option<Moment> {
    let text = match node.value {
        DeValue::String(text) => text.trim().to_owned(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => {
            node.expected(MOMENTS, faults);
            return None;
        }
    };
    let moment = moment_of(&text);
    if moment.is_none() {
        faults.add(&node.spot, format!("{text:?} is no moment: expected {MOMENTS}"));
    }
    moment
}

fn moment_of(text: &str) -> Option<Moment> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Moment::Exact(time.to_utc()));
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(Moment::Local(date.and_time(NaiveTime::MIN)));
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(Moment::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        for (text, duration) in [
            ("one_time", Duration::OneTime),
            ("lifetime", Duration::Lifetime),
            ("1 month", Duration::Months(1)),
            ("12 months", Duration::Months(12)),
            ("6 payments", Duration::Payments(6)),
            (" 1  payment ", Duration::Payments(1)),
        ] {
            assert_eq!(duration_of(text), Ok(duration), "{text}");
        }
        for bad in ["", "12", "months", "-1 months", "1.5 months", "0 months", "0 payments", "2 years", "1201 months"] {
            assert!(duration_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn delays_in_words() {
        for (text, seconds) in [("1s", 1), ("90m", 5400), ("1h", 3600), ("2d", 172_800), ("0s", 0)] {
            assert_eq!(delay_of(text), Ok(seconds), "{text}");
        }
        for bad in ["", "h", "1", "-1h", "1.5h", "1 w", "4294967295d", "9999999999999999999s", "1é"] {
            assert!(delay_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_with_and_without_an_offset() {
        let exact: crate::domain::Time = "2026-10-01T10:00:00Z".parse().unwrap();
        assert_eq!(moment_of("2026-10-01T12:00:00+02:00"), Some(Moment::Exact(exact)));
        let local = moment_of("2026-10-01").unwrap();
        assert_eq!(
            local.resolve(chrono_tz::Europe::Berlin),
            "2026-09-30T22:00:00Z".parse::<crate::domain::Time>().unwrap()
        );
        assert_eq!(moment_of("2026-10-01T00:00:00"), Some(local));
        assert_eq!(moment_of("12:00:00"), None);
        // Clocks in Berlin skip this half hour.
        let skipped = moment_of("2026-03-29T02:30").unwrap();
        assert_eq!(
            skipped.resolve(chrono_tz::Europe::Berlin),
            "2026-03-29T01:00:00Z".parse::<crate::domain::Time>().unwrap()
        );
    }
}
