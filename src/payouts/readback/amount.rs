//! Amounts as people and services write them: `1,244.95`, `-124,95`, `124.95 USD`.

use rust_decimal::Decimal;

use super::Said;
use crate::domain::currency::Currency;

/// An amount without its sign, and its currency where that stands beside it.
///
/// # Errors
/// What was expected. A comma that may divide thousands or decimals is no amount: nobody guesses.
pub(super) fn read(text: &str) -> Result<Said, String> {
    let unknown = || format!("{text:?} is no amount: expected a number such as 1244.95");
    let mut number = text.trim();
    let mut currency = None;
    for side in [true, false] {
        let word = if side { number.split_whitespace().next_back() } else { number.split_whitespace().next() };
        let Some(word) = word else { continue };
        if let Ok(found) = word.parse::<Currency>() {
            currency = Some(found);
            number = if side { number.strip_suffix(word) } else { number.strip_prefix(word) }.unwrap_or(number).trim();
            break;
        }
    }
    let number = number.strip_prefix(['-', '+', '\u{2212}']).unwrap_or(number);
    let number = number.trim_start_matches(['$', '€', '£', ' ']);
    let plain = plain(number).ok_or_else(unknown)?;
    let amount: Decimal = plain.parse().map_err(|_| unknown())?;
    Ok(Said { amount, currency })
}

/// The number with a point before its decimals and nothing between its thousands.
fn plain(number: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str, by: char| {
        let mut groups = text.split(by);
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len()) && digits(first) && groups.all(|group| group.len() == 3 && digits(group))
    };
    let decimal = number.rfind(['.', ',']);
    let Some(at) = decimal else { return digits(number).then(|| number.to_owned()) };
    let (mark, whole, places) = (number.as_bytes()[at], &number[..at], &number[at + 1..]);
    let other = if mark == b'.' { ',' } else { '.' };
    if whole.contains(other) {
        let bare = whole.replace(other, "");
        return (grouped(whole, other) && digits(places)).then(|| format!("{bare}.{places}"));
    }
    if whole.contains(char::from(mark)) {
        // Several of one kind divide thousands.
        let bare = number.replace(char::from(mark), "");
        return grouped(number, char::from(mark)).then_some(bare);
    }
    match mark {
        b'.' => (digits(whole) && digits(places)).then(|| number.to_owned()),
        _ => (digits(whole) && digits(places) && places.len() < 3).then(|| format!("{whole}.{places}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for (text, amount, currency) in [
            ("1244.95", "1244.95", None),
            ("-1244.95", "1244.95", None),
            ("\u{2212}1.00", "1.00", None),
            ("1,244.95", "1244.95", None),
            ("1.244,95", "1244.95", None),
            ("1,234,567", "1234567", None),
            ("1,234,567.8", "1234567.8", None),
            ("12,95", "12.95", None),
            ("15409", "15409", None),
            ("0.001", "0.001", None),
            ("124.95 USD", "124.95", Some("usd")),
            ("USD 124.95", "124.95", Some("usd")),
            ("$1,000.00", "1000.00", None),
        ] {
            let said = read(text).unwrap();
            assert_eq!(said.amount, amount.parse().unwrap(), "{text}");
            assert_eq!(said.currency, currency.map(|code| code.parse().unwrap()), "{text}");
        }
        for bad in ["", "-", "1,244", "1,2,3", "12,34,567", "1.2.3", "1e5", "abc", "1,24.95", "1.", ".5", "٣"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".*", numbers in "[-+0-9., €A-Z]{0,12}") {
            let _ = (read(&text), read(&numbers));
        }
    }
}
