//! Single values: keys, amounts, percentages, durations, delays, moments.

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::super::fault::Faults;
use super::super::file::Moment;
use super::super::valid::{self, DELAYS, DURATIONS, MOMENTS, PERCENT};
use super::node::Node;
use crate::domain::currency::Currency;
use crate::domain::terms::{AmountByCurrency, Duration};

/// A key that metadata and addresses can carry.
pub(super) fn key(node: &Node<'_>, what: &str, faults: &mut Faults) -> Option<String> {
    node.valid(what, |text| valid::key(text, what), faults)
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

/// `{ usd = "50.00", eur = "50.00" }`
pub(super) fn amounts(node: &Node<'_>, faults: &mut Faults) -> AmountByCurrency {
    let mut amounts = AmountByCurrency::new();
    for (code, item) in node.pairs("amounts by currency such as { usd = \"50.00\" }", faults) {
        let Some(currency) = faults.check(&item.spot, valid::currency(code)) else { continue };
        let Some(amount) = amount(&item, currency, faults) else { continue };
        if amounts.insert(currency, amount).is_some() {
            faults.add(&item.spot, format!("{currency} is listed twice"));
        }
    }
    amounts
}

fn amount(node: &Node<'_>, currency: Currency, faults: &mut Faults) -> Option<i64> {
    if faults.minor_units {
        return minor_units(node, faults);
    }
    let Some(text) = node.value.as_str() else {
        // `50` could be meant as dollars or as cents.
        node.expected("a decimal amount in quotes such as \"50.00\"", faults);
        return None;
    };
    faults.check(&node.spot, valid::amount(text, currency))
}

fn minor_units(node: &Node<'_>, faults: &mut Faults) -> Option<i64> {
    let whole = node.value.as_integer().and_then(|whole| i64::from_str_radix(whole.as_str(), whole.radix()).ok());
    let amount = whole.filter(|amount| *amount >= 0);
    if amount.is_none() {
        faults.add(&node.spot, "expected a whole number of minor units, 0 or more, such as 5000 for 50.00 USD");
    }
    amount
}

/// A percentage from 0 to 100, exact: `"30"`, `30`, `"12.5"`, `12.5`.
pub(super) fn percent(node: &Node<'_>, faults: &mut Faults) -> Option<Decimal> {
    let text = match node.value {
        DeValue::String(text) => text.trim().to_owned(),
        // The source's own digits: a float would not be exact.
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
        _ => {
            node.expected(PERCENT, faults);
            return None;
        }
    };
    faults.check(&node.spot, valid::percent(&text))
}

/// `one_time`, `12 months`, `6 payments`, `lifetime`.
pub(super) fn duration(node: &Node<'_>, faults: &mut Faults) -> Option<Duration> {
    let Some(text) = node.value.as_str() else {
        node.expected(DURATIONS, faults);
        return None;
    };
    faults.check(&node.spot, valid::duration(text))
}

/// A delay in seconds: `1s`, `90m`, `1h`, `2d`.
pub(super) fn delay(node: &Node<'_>, faults: &mut Faults) -> Option<i64> {
    let Some(text) = node.value.as_str() else {
        node.expected(DELAYS, faults);
        return None;
    };
    faults.check(&node.spot, valid::delay(text))
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
    faults.check(&node.spot, valid::moment(&text))
}
