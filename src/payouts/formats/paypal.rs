//! `PayPal`'s upload of payouts: no heading; recipient, amount, currency, customer id, note, wallet.

use super::super::item::PayItem;
use super::super::{csv_cell, marks};
use super::{Problem, is_email, one_line};
use crate::domain::money::decimal_text;

/// The currencies that it sends.
const CURRENCIES: [&str; 23] = [
    "aud", "brl", "cad", "chf", "czk", "dkk", "eur", "gbp", "hkd", "huf", "ils", "jpy", "mxn", "myr", "nok", "nzd",
    "php", "pln", "sek", "sgd", "thb", "twd", "usd",
];
/// Those that it sends in whole units.
const WHOLE: [&str; 3] = ["huf", "jpy", "twd"];
const MOST_NOTE: usize = 400;
const MOST_CUSTOMER_ID: usize = 30;

/// What keeps a payout out of the file.
pub(super) fn check(item: &PayItem) -> Vec<String> {
    let mut problems = Vec::new();
    let code = item.currency.as_str();
    if !CURRENCIES.contains(&code) {
        problems.push(format!("PayPal does not send {code}: give the partner a payout currency that it does"));
    } else if WHOLE.contains(&code) && item.amount % whole_unit(item) != 0 {
        problems.push(format!("PayPal sends {code} in whole units only, and {} is none", amount(item)));
    }
    if let Err(problem) = recipient(item) {
        problems.push(problem);
    }
    if customer_id(item).is_none() {
        problems.push("the payout's id has an unknown form".to_owned());
    }
    problems
}

/// The file.
pub(super) fn write(items: &[PayItem]) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for item in items {
        let recipient = recipient(item).map_err(|why| Problem::of(item, why))?;
        let customer_id = customer_id(item).ok_or_else(|| Problem::of(item, "the payout's id has an unknown form"))?;
        let note = one_line(&format!("{} ({})", item.reference, item.payout_id), MOST_NOTE);
        let note = csv_cell::text(&note);
        let row = [
            recipient.as_str(),
            &amount(item),
            &item.currency.as_str().to_uppercase(),
            &customer_id,
            note.as_ref(),
            "PAYPAL",
        ];
        writer.write_record(row).map_err(|error| Problem::of(item, error.to_string()))?;
    }
    writer.into_inner().map_err(|error| Problem::of_all(error.to_string()))
}

/// An e-mail address, a telephone number, or `PayPal`'s id of an account.
fn recipient(item: &PayItem) -> Result<String, String> {
    let account = item.account.as_deref().map(str::trim).filter(|account| !account.is_empty());
    let Some(account) = account else {
        return Err("has no PayPal recipient: give the partner a payout account".to_owned());
    };
    let digits: String = account.chars().filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')' | '.')).collect();
    let number = digits.strip_prefix('+').unwrap_or(&digits);
    let is_phone = (7..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_payer = account.len() == 13 && account.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if is_email(account) || is_payer {
        Ok(account.to_owned())
    } else if is_phone {
        // A number, which no spreadsheet takes for a formula.
        Ok(digits)
    } else {
        Err("the payout account is no PayPal recipient: expected an e-mail address, a telephone number with its \
             country, or a PayPal account id"
            .to_owned())
    }
}

fn customer_id(item: &PayItem) -> Option<String> {
    marks::short(&item.payout_id).filter(|id| id.len() <= MOST_CUSTOMER_ID)
}

fn whole_unit(item: &PayItem) -> i64 {
    10_i64.pow(item.currency.exponent())
}

fn amount(item: &PayItem) -> String {
    let text = decimal_text(item.amount, item.currency);
    let whole = WHOLE.contains(&item.currency.as_str()) && item.amount % whole_unit(item) == 0;
    if whole { text.split('.').next().unwrap_or_default().to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::super::item::testing::item;
    use super::super::super::marks;
    use super::*;

    fn written(items: &[PayItem]) -> String {
        String::from_utf8(write(items).unwrap()).unwrap()
    }

    #[test]
    fn rows_are_as_paypal_takes_them() {
        let mut odd = item(4, "acme", "QM4ZWL3ZFW5PN", 1_234_500, "huf");
        odd.reference = "=HYPERLINK(\"http://evil.example\")".to_owned();
        let items = [
            item(1, "acme", "pay@acme.example", 124_495, "usd"),
            item(2, "berg", "+49 (170) 123-4567", 5, "usd"),
            item(3, "cho", " cho@acme.example ", 15_409, "jpy"),
            odd,
        ];
        for item in &items {
            assert_eq!(check(item), [""; 0]);
        }
        assert_snapshot!(written(&items));
    }

    #[test]
    fn customer_ids_name_the_payout() {
        let file = written(&[item(77, "acme", "pay@acme.example", 100, "usd")]);
        let record = csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_bytes());
        let record = record.into_records().next().unwrap().unwrap();
        assert!(record[3].len() <= 30 && !record[3].contains(' '));
        assert_eq!(marks::find("po", &record[3]).unwrap(), format!("po_{:032x}", 77));
        assert_eq!(marks::find("po", &record[4]).unwrap(), format!("po_{:032x}", 77));
    }

    #[test]
    fn what_paypal_would_refuse_is_told_without_repeating_it() {
        for (account, amount, currency, told) in [
            ("pay@acme.example", 100, "inr", "does not send inr"),
            ("pay@acme.example", 150, "huf", "whole units"),
            ("", 100, "usd", "no PayPal recipient"),
            ("acme", 100, "usd", "no PayPal recipient"),
            ("=cmd@acme.example", 100, "usd", "no PayPal recipient"),
            ("-1@acme.example", 100, "usd", "no PayPal recipient"),
            ("a@b.example,1", 100, "usd", "no PayPal recipient"),
        ] {
            let problems = check(&item(1, "acme", account, amount, currency));
            assert!(problems.len() == 1 && problems[0].contains(told), "{account:?}: {problems:?}");
            assert!(account.is_empty() || !problems[0].contains(&format!("{account:?}")), "{problems:?}");
        }
        let nobody = PayItem { account: None, ..item(1, "acme", "", 100, "inr") };
        assert_eq!(check(&nobody).len(), 2, "all that is wrong is told");
    }
}
