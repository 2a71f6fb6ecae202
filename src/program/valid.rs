//! Single values as people write them, wherever they do: in the program file, the JSON API or a CSV file. Each check
//! gives the value as it is kept, or says what is wrong as the end of a sentence that begins with the field's name.
//! What is personal (an e-mail, a payout destination) is never repeated in it.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::currencies;
use super::fault::nearest;
use super::file::Moment;
use crate::domain::currency::Currency;
use crate::domain::money::parse_decimal;
use crate::domain::terms::{Duration, Method, PayoutMethod, Status};

/// The most characters of a key or promotion code.
pub const MOST_KEY: usize = 200;
/// The most characters of an e-mail address, by RFC 5321.
const MOST_EMAIL: usize = 254;
/// A century: longer durations are `lifetime`.
const MOST_MONTHS: u32 = 1200;
/// A year: a refund that takes back later than that is not meant.
const MOST_DELAY: i64 = 366 * 86_400;
pub(super) const DURATIONS: &str = "\"one_time\", \"12 months\", \"6 payments\" or \"lifetime\"";
pub(super) const DELAYS: &str = "a time such as \"1s\", \"90m\", \"1h\" or \"2d\"";
pub(super) const MOMENTS: &str = "a date such as 2026-10-01 or a time such as 2026-10-01T12:00:00Z";
pub(super) const PERCENT: &str = "a percentage such as \"30\" or 12.5";

/// What sites send when they have no partner to name: such a key would win every such sale.
const PLACEHOLDERS: [&str; 12] =
    ["test", "null", "undefined", "none", "nil", "nan", "unknown", "n/a", "-", "0", "true", "false"];

/// Whether something earns, by its name.
pub const STATUS: [(&str, Status); 2] = [("active", Status::Active), ("inactive", Status::Inactive)];
/// Ways to pay, by their names.
pub const METHODS: [(&str, Method); 5] = [
    ("stripe", Method::Stripe),
    ("csv", Method::Csv),
    ("paypal", Method::Paypal),
    ("wise", Method::Wise),
    ("sepa", Method::Sepa),
];

/// A text of one line, trimmed and not empty; `what` it is says what was expected.
pub fn text(text: &str, what: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("is empty: expected {what}, or leave the key out"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("holds a control character: expected {what}"));
    }
    Ok(text.to_owned())
}

/// A text of one line or more, trimmed and not empty.
pub fn prose(text: &str, what: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("is empty: expected {what}, or leave the key out"));
    }
    if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
        return Err(format!("holds a control character: expected {what}"));
    }
    Ok(text.to_owned())
}

/// One of some words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let hint = nearest(text, &names).map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default();
        format!("{text:?} is unknown{hint}: expected {}", names.join(", "))
    })
}

/// `active` or `inactive`.
pub fn status(text: &str) -> Result<Status, String> {
    word(text, &STATUS)
}

/// A key that metadata and addresses can carry: `what` key it is (`a program's key`).
pub fn key(value: &str, what: &str) -> Result<String, String> {
    let key = text(value, what)?;
    if key.chars().any(char::is_whitespace) {
        return Err(format!("{key:?} holds white space, which {what} may not"));
    }
    if key.chars().count() > MOST_KEY {
        return Err(format!("is too long: {what} has at most {MOST_KEY} characters"));
    }
    Ok(key)
}

/// A program's key.
pub fn program_key(value: &str) -> Result<String, String> {
    key(value, "a program's key")
}

/// A partner's key: none that sites send when they mean nobody.
pub fn partner_key(value: &str) -> Result<String, String> {
    let key = key(value, "a partner's key")?;
    if PLACEHOLDERS.iter().any(|placeholder| key.eq_ignore_ascii_case(placeholder)) {
        return Err(format!("{key:?} is a placeholder that sites send for \"nobody\": choose another key"));
    }
    Ok(key)
}

/// A promotion code's text, or its `promo_…` id.
pub fn promotion_code(value: &str) -> Result<String, String> {
    key(value, "a promotion code")
}

/// An e-mail address, as it was written.
pub fn email(value: &str) -> Result<String, String> {
    let email = text(value, "an e-mail address")?;
    let whole = email.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
    if !whole || email.chars().any(char::is_whitespace) || email.chars().count() > MOST_EMAIL {
        return Err("is no e-mail address: expected one such as \"pay@acme.example\"".to_owned());
    }
    Ok(email)
}

/// A sender: an address, or a name and an address in angle brackets. As it was written, on one line.
pub fn mailbox(value: &str) -> Result<String, String> {
    let mailbox = text(value, "a sender")?;
    let address = match mailbox.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => &mailbox,
    };
    email(address).map_err(|_| "is no sender: expected one such as \"Acme <pay@acme.example>\"".to_owned())?;
    Ok(mailbox)
}

/// What `List-Id` names a list by: a domain of the merchant's.
pub fn list_id(value: &str) -> Result<String, String> {
    let id = text(value, "a List-Id")?;
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if id.contains('.') && id.split('.').all(is_label) {
        Ok(id)
    } else {
        Err(format!("{id:?} is no List-Id: expected a name such as \"partners.acme.example\""))
    }
}

/// A bank's BIC: 8 or 11 letters and digits, in upper case.
pub fn bic(value: &str) -> Result<String, String> {
    let bic = text(value, "a BIC")?.to_ascii_uppercase();
    if matches!(bic.len(), 8 | 11) && bic.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(bic)
    } else {
        Err(format!("{bic:?} is no BIC: expected 8 or 11 letters and digits"))
    }
}

/// A BCP 47 language tag, by its form alone: whoever writes in it falls back to what it knows.
pub fn locale(value: &str) -> Result<String, String> {
    let tag = text(value, "a language tag")?;
    let mut parts = tag.split('-');
    let language = parts
        .next()
        .is_some_and(|part| matches!(part.len(), 2 | 3) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    if language
        && parts.all(|part| matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        Ok(tag)
    } else {
        Err(format!("{tag:?} is no language tag: expected one such as \"de-AT\""))
    }
}

/// An ISO 3166 country of two letters, in upper case.
pub fn country(value: &str) -> Result<String, String> {
    let country = text(value, "a country")?;
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(format!("{country:?} is no country: expected two letters such as \"DE\""));
    }
    Ok(country.to_ascii_uppercase())
}

/// A currency that Stripe knows.
pub fn currency(value: &str) -> Result<Currency, String> {
    let currency: Currency = value.parse().map_err(|error: crate::domain::currency::BadCurrency| error.to_string())?;
    if currencies::is_known(currency) {
        Ok(currency)
    } else {
        Err(format!("{value:?} is no currency that Stripe knows"))
    }
}

/// An amount of 0 or more, a decimal in the currency's own unit (`"50.00"`), as minor units.
pub fn amount(value: &str, currency: Currency) -> Result<i64, String> {
    let amount = parse_decimal(value, currency)?;
    if amount < 0 { Err(format!("{value:?} is negative: expected \"0\" or more")) } else { Ok(amount) }
}

/// A percentage from 0 to 100, exact.
pub fn percent(value: &str) -> Result<Decimal, String> {
    let value = value.trim();
    let percent: Decimal = value
        .parse()
        .map_err(|_| format!("{value:?} is no percentage: expected a plain decimal such as \"30\" or \"12.5\""))?;
    if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
        return Err(format!("{value} is out of range: expected a percentage from 0 to 100"));
    }
    let percent = percent.normalize();
    if percent.scale() > 6 {
        return Err(format!("{value} has too many decimals: expected at most 6"));
    }
    Ok(percent)
}

/// `one_time`, `12 months`, `6 payments`, `lifetime`.
pub fn duration(value: &str) -> Result<Duration, String> {
    match value.trim() {
        "one_time" => return Ok(Duration::OneTime),
        "lifetime" => return Ok(Duration::Lifetime),
        _ => {}
    }
    let unknown = || format!("{value:?} is no duration: expected {DURATIONS}");
    let (count, unit) = value.trim().split_once(char::is_whitespace).ok_or_else(unknown)?;
    let count: u32 = count.parse().map_err(|_| unknown())?;
    let duration = match unit.trim() {
        "month" | "months" if count > MOST_MONTHS => {
            return Err(format!("{value:?} is more than {MOST_MONTHS} months: expected fewer, or \"lifetime\""));
        }
        "month" | "months" => Duration::Months(count),
        "payment" | "payments" => Duration::Payments(count),
        _ => return Err(unknown()),
    };
    if count == 0 { Err(format!("{value:?} never pays: expected 1 or more")) } else { Ok(duration) }
}

/// A delay in seconds: `1s`, `90m`, `1h`, `2d`.
pub fn delay(value: &str) -> Result<i64, String> {
    let unknown = || format!("{value:?} is no time: expected {DELAYS}");
    let trimmed = value.trim();
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
        delay if delay > MOST_DELAY => Err(format!("{value:?} is longer than a year")),
        delay => Ok(delay),
    }
}

/// A date or time, with or without an offset from UTC.
pub fn moment(value: &str) -> Result<Moment, String> {
    let value = value.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(value) {
        return Ok(Moment::Exact(time.to_utc()));
    }
    if let Ok(date) = value.parse::<NaiveDate>() {
        return Ok(Moment::Local(date.and_time(NaiveTime::MIN)));
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(value, format).ok())
        .map(Moment::Local)
        .ok_or_else(|| format!("{value:?} is no moment: expected {MOMENTS}"))
}

/// A time zone by its name.
pub fn time_zone(value: &str) -> Result<Tz, String> {
    let zone = text(value, "a time zone such as \"Europe/Berlin\"")?;
    if let Ok(zone) = zone.parse() {
        return Ok(zone);
    }
    let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let meant = nearest(&zone, &lower.iter().map(String::as_str).collect::<Vec<_>>());
    let meant = meant.and_then(|meant| names.iter().find(|name| name.eq_ignore_ascii_case(meant)));
    let hint = meant.map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default();
    Err(format!("{zone:?} is no time zone{hint}: expected a name such as \"Europe/Berlin\" or \"UTC\""))
}

/// The id of the Stripe account that a workspace is for.
pub fn stripe_account(value: &str) -> Result<String, String> {
    let account = text(value, "a Stripe account's id")?;
    if account.starts_with("acct_") {
        Ok(account)
    } else {
        Err(format!("{account:?} is no Stripe account: expected an id that starts with acct_"))
    }
}

/// A way to pay, by its name.
pub fn method(value: &str) -> Result<Method, String> {
    word(value, &METHODS)
}

/// Where a method pays to: `csv` needs nothing, all others an account; `stripe` one that starts with `acct_`.
pub fn payout_account(method: Method, account: Option<&str>) -> Result<Option<String>, String> {
    let Some(account) = account else {
        return match method {
            Method::Csv => Ok(None),
            _ => Err(format!("is missing, which {} needs", method.as_str())),
        };
    };
    let account = text(account, "an account")?;
    if method == Method::Stripe && !account.starts_with("acct_") {
        return Err("is no Stripe account: expected an id that starts with acct_".to_owned());
    }
    Ok(Some(account))
}

/// How a partner is paid, of its three parts; an error names the part: `method`, `account` or `currency`.
pub fn payout(
    method_name: &str,
    account: Option<&str>,
    currency_code: Option<&str>,
) -> Result<PayoutMethod, (&'static str, String)> {
    let method = method(method_name).map_err(|why| ("method", why))?;
    let account = payout_account(method, account).map_err(|why| ("account", why))?;
    let currency = currency_code.map(currency).transpose().map_err(|why| ("currency", why))?;
    Ok(PayoutMethod { method, account, currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        for (text, expected) in [
            ("one_time", Duration::OneTime),
            ("lifetime", Duration::Lifetime),
            ("1 month", Duration::Months(1)),
            ("12 months", Duration::Months(12)),
            ("6 payments", Duration::Payments(6)),
            (" 1  payment ", Duration::Payments(1)),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for bad in ["", "12", "months", "-1 months", "1.5 months", "0 months", "0 payments", "2 years", "1201 months"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn delays_in_words() {
        for (text, seconds) in [("1s", 1), ("90m", 5400), ("1h", 3600), ("2d", 172_800), ("0s", 0)] {
            assert_eq!(delay(text), Ok(seconds), "{text}");
        }
        for bad in ["", "h", "1", "-1h", "1.5h", "1 w", "4294967295d", "9999999999999999999s", "1é"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_with_and_without_an_offset() {
        let exact: crate::domain::Time = "2026-10-01T10:00:00Z".parse().unwrap();
        assert_eq!(moment("2026-10-01T12:00:00+02:00"), Ok(Moment::Exact(exact)));
        let local = moment("2026-10-01").unwrap();
        assert_eq!(
            local.resolve(chrono_tz::Europe::Berlin),
            "2026-09-30T22:00:00Z".parse::<crate::domain::Time>().unwrap()
        );
        assert_eq!(moment("2026-10-01T00:00:00"), Ok(local));
        assert!(moment("12:00:00").is_err());
        // Clocks in Berlin skip this half hour.
        let skipped = moment("2026-03-29T02:30").unwrap();
        assert_eq!(
            skipped.resolve(chrono_tz::Europe::Berlin),
            "2026-03-29T01:00:00Z".parse::<crate::domain::Time>().unwrap()
        );
    }

    #[test]
    fn what_is_personal_is_not_repeated() {
        for bad in ["ann.buyer.example", "@buyer.example", "ann@", "ann buyer@x.example"] {
            let why = email(bad).unwrap_err();
            assert!(!why.contains("ann") && !why.contains("buyer"), "{why}");
        }
        let why = payout("stripe", Some("DE02120300000000202051"), None).unwrap_err();
        assert_eq!(why.0, "account");
        assert!(!why.1.contains("DE02"), "{}", why.1);
    }

    #[test]
    fn a_payout_names_the_part_that_is_wrong() {
        assert!(payout("csv", None, None).is_ok());
        assert_eq!(payout("paypal", None, None).unwrap_err().0, "account");
        assert_eq!(payout("cash", None, None).unwrap_err().0, "method");
        assert_eq!(payout("csv", None, Some("uds")).unwrap_err().0, "currency");
    }

    #[test]
    fn keys_and_codes() {
        assert_eq!(partner_key(" acme "), Ok("acme".to_owned()));
        for bad in ["", " ", "a b", "NULL", "a\u{0}b", &"x".repeat(201)] {
            assert!(partner_key(bad).is_err(), "{bad}");
        }
        assert_eq!(country("de"), Ok("DE".to_owned()));
        assert!(country("deu").is_err());
    }
}
