//! Wise's upload of batch payments. Recipients who are known by e-mail have a file of their own: its heading has no
//! account's columns.

use sepa::validate_iban;

use super::super::csv_cell;
use super::super::item::PayItem;
use super::{Problem, is_email, one_line};
use crate::domain::money::decimal_text;
use crate::domain::terms::Settings;

/// The heading, which may not be changed; an account's columns follow.
const COLUMNS: [&str; 8] = [
    "name",
    "recipientEmail",
    "paymentReference",
    "receiverType",
    "amountCurrency",
    "amount",
    "sourceCurrency",
    "targetCurrency",
];
/// The most characters of a reference that arrive everywhere.
const MOST_REFERENCE: usize = 21;
const MOST_NAME: usize = 140;

/// An account as a currency has it.
struct Shape {
    columns: &'static [&'static str],
    cells: fn(&str) -> Option<Vec<String>>,
    expected: &'static str,
}

fn shape(currency: &str) -> Option<Shape> {
    match currency {
        "eur" => Some(Shape {
            columns: &["IBAN"],
            cells: |account| validate_iban(account).ok().map(|iban| vec![iban.as_str().to_owned()]),
            expected: "an IBAN",
        }),
        "aud" => Some(Shape {
            columns: &["accountNumber", "bsbCode"],
            cells: |account| numbers(account, 6, 4..=9).map(|(code, number)| vec![number, code]),
            expected: "BSB code and account number, such as \"062-000 12345678\"",
        }),
        "gbp" => Some(Shape {
            columns: &["sortCode", "accountNumber"],
            cells: |account| numbers(account, 6, 8..=8).map(|(code, number)| vec![code, number]),
            expected: "sort code and account number, such as \"23-14-70 28821822\"",
        }),
        _ => None,
    }
}

/// A bank's code and an account's number, divided by a blank or `/`.
fn numbers(account: &str, code: usize, number: std::ops::RangeInclusive<usize>) -> Option<(String, String)> {
    let account = account.trim();
    let (left, right) = account.rsplit_once([' ', '/'])?;
    let digits = |text: &str| -> Option<String> {
        let text: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
    };
    let (left, right) = (digits(left)?, digits(right)?);
    (left.len() == code && number.contains(&right.len())).then_some((left, right))
}

/// Whether Wise asks the recipient by e-mail where their account is.
pub(super) fn by_email(item: &PayItem) -> bool {
    item.account.as_deref().is_some_and(|account| is_email(account.trim()))
}

/// What keeps a payout out of the file.
pub(super) fn check(item: &PayItem) -> Vec<String> {
    let mut problems = Vec::new();
    if one_line(&item.name, MOST_NAME).is_empty() {
        problems.push("has no name: Wise wants the account holder's".to_owned());
    }
    if let Err(problem) = account(item) {
        problems.push(problem);
    }
    problems
}

/// The cells of the account's columns; none for a recipient who is known by e-mail.
fn account(item: &PayItem) -> Result<Vec<String>, String> {
    let account = item.account.as_deref().map(str::trim).filter(|account| !account.is_empty());
    let Some(account) = account else {
        return Err("has no Wise recipient: give the partner a payout account".to_owned());
    };
    if is_email(account) {
        return Ok(Vec::new());
    }
    let code = item.currency.as_str();
    let Some(shape) = shape(code) else {
        return Err(format!(
            "the payout account is no e-mail address, which Wise needs for {code} (accounts are known for eur, gbp \
             and aud)"
        ));
    };
    (shape.cells)(account).ok_or_else(|| {
        format!(
            "the payout account is none that Wise takes for {code}: expected {}, or an e-mail address",
            shape.expected
        )
    })
}

/// The file, of payouts in one currency that are alike in [`by_email`].
pub(super) fn write(settings: &Settings, items: &[PayItem]) -> Result<Vec<u8>, Problem> {
    let Some(first) = items.first() else { return Ok(Vec::new()) };
    let extra = if by_email(first) { None } else { shape(first.currency.as_str()) };
    let extra = extra.map_or(&[][..], |shape| shape.columns);
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let failed = |error: csv::Error| Problem::of_all(error.to_string());
    writer.write_record(COLUMNS.iter().chain(extra)).map_err(failed)?;
    for item in items {
        let account = account(item).map_err(|why| Problem::of(item, why))?;
        let target = item.currency.as_str().to_uppercase();
        let source = settings.wise_source_currency.map(|source| source.as_str().to_uppercase());
        let email = if by_email(item) { item.account.as_deref().map(str::trim) } else { item.email.as_deref() };
        let email = email.filter(|email| is_email(email)).unwrap_or_default();
        let text = |text: &str, most| csv_cell::text(&one_line(text, most)).into_owned();
        let cells = [
            text(&item.name, MOST_NAME),
            email.to_owned(),
            text(&reference(&item.reference), MOST_REFERENCE),
            if item.is_company { "INSTITUTION" } else { "PERSON" }.to_owned(),
            // The partner gets the amount; what it costs is the payer's.
            "target".to_owned(),
            decimal_text(item.amount, item.currency),
            source.unwrap_or_else(|| target.clone()),
            target,
        ];
        writer.write_record(cells.iter().chain(&account)).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Problem::of_all(error.to_string()))
}

/// The month stays whole, at the end; the partner's key gives way. Letters that no bank refuses.
fn reference(reference: &str) -> String {
    let plain = sepa::transliterate(reference, sepa::Transliteration::Epc);
    let plain: String =
        plain.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-. ".contains(*letter)).collect();
    let plain = plain.trim_start_matches(['-', '.', ' ']);
    let over = plain.chars().count().saturating_sub(MOST_REFERENCE);
    if over == 0 {
        return plain.to_owned();
    }
    let month = plain.len().saturating_sub("-2026-10".len());
    let (partner, month) = plain.split_at(month);
    format!("{}{month}", partner.chars().take(partner.len().saturating_sub(over)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::super::item::testing::item;
    use super::super::{Format, split};
    use super::*;

    fn written(settings: &Settings, items: &[PayItem]) -> String {
        String::from_utf8(write(settings, items).unwrap()).unwrap()
    }

    #[test]
    fn each_currency_has_its_columns_and_mail_a_file_of_its_own() {
        let company = PayItem {
            name: "=Berg & Söhne, \"GmbH\"".to_owned(),
            email: Some("pay@berg.example".to_owned()),
            is_company: true,
            reference: "a-partner-with-a-long-key-2026-10".to_owned(),
            ..item(2, "berg", "DE02 1203 0000 0000 2020 51", 99_999, "eur")
        };
        let items = vec![
            item(1, "acme", "pay@acme.example", 124_495, "eur"),
            company,
            item(3, "cho", "23-14-70 28821822", 10_000, "gbp"),
            item(4, "dee", "062-000/1234567", 10_000, "aud"),
            item(5, "eno", "eno@acme.example", 1500, "jpy"),
        ];
        for item in &items {
            assert_eq!(check(item), [""; 0]);
        }
        let files: Vec<String> =
            split(Format::Wise, items).iter().map(|file| written(&Settings::default(), file)).collect();
        assert_eq!(files.len(), 5);
        assert_snapshot!(files.join("\n"));
    }

    #[test]
    fn the_balance_that_pays_is_the_workspaces() {
        let settings = Settings { wise_source_currency: Some("gbp".parse().unwrap()), ..Settings::default() };
        let file = written(&settings, &[item(1, "acme", "pay@acme.example", 100, "eur")]);
        assert!(file.lines().nth(1).unwrap().ends_with(",target,1.00,GBP,EUR"), "{file}");
    }

    #[test]
    fn references_are_short_and_keep_the_month() {
        for (long, short) in [
            ("acme-2026-10", "acme-2026-10"),
            ("a-partner-with-a-long-key-2026-10", "a-partner-wit-2026-10"),
            ("=ä_b-2026-10", "a-b-2026-10"),
            ("", ""),
        ] {
            assert_eq!(reference(long), short);
            assert!(short.len() <= MOST_REFERENCE);
        }
    }

    #[test]
    fn what_wise_would_refuse_is_told() {
        for (account, currency, told) in [
            ("DE02120300000000202052", "eur", "an IBAN"),
            ("acme 00", "aud", "BSB"),
            ("06-2000 99", "aud", "BSB"),
            ("06200 12345678", "aud", "BSB"),
            ("40-30-20 1234567", "gbp", "sort code"),
            ("231470", "usd", "e-mail"),
            ("", "usd", "no Wise recipient"),
        ] {
            let problems = check(&item(1, "acme", account, 100, currency));
            assert!(problems.len() == 1 && problems[0].contains(told), "{account:?}: {problems:?}");
            assert!(account.is_empty() || !problems[0].contains(account), "{problems:?}");
        }
    }
}
