//! Payment files: which payouts go into which file, and what each format says of them. Plain functions.

pub mod paypal;
pub mod sepa;
pub mod wise;

use std::fmt;
use std::str::FromStr;

use super::item::PayItem;
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::money::Overflow;
use crate::domain::terms::{Method, Settings};

/// Who reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `PayPal`'s upload of payouts.
    Paypal,
    /// Wise's upload of batch payments.
    Wise,
    /// A bank: a SEPA credit transfer.
    Sepa,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Paypal, Self::Wise, Self::Sepa];

    /// As in flags, JSON and SQL.
    pub fn as_str(self) -> &'static str {
        self.method().as_str()
    }

    /// The way to pay whose payouts such a file holds.
    pub fn method(self) -> Method {
        match self {
            Self::Paypal => Method::Paypal,
            Self::Wise => Method::Wise,
            Self::Sepa => Method::Sepa,
        }
    }

    /// The most payouts in one file: what its reader takes.
    pub fn most(self) -> usize {
        match self {
            Self::Paypal => 5000,
            Self::Wise => 1000,
            // The scheme sets no limit, banks do: this many are taken everywhere.
            Self::Sepa => 10_000,
        }
    }

    /// What the file is, for browsers.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Paypal | Self::Wise => "text/csv; charset=utf-8",
            Self::Sepa => "application/xml",
        }
    }

    /// How a file's name ends.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Paypal | Self::Wise => "csv",
            Self::Sepa => "xml",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no payment file's format: expected paypal, wise or sepa"))
    }
}

/// Why a payout cannot be in a file, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `po_…`; none for what concerns all of them.
    pub payout_id: Option<String>,
    /// Whose payout.
    pub partner_key: Option<String>,
    /// What is wrong. It repeats no account.
    pub detail: String,
}

impl Problem {
    fn of(item: &PayItem, detail: impl Into<String>) -> Self {
        let (payout_id, partner_key) = (Some(item.payout_id.clone()), Some(item.partner_key.clone()));
        Self { payout_id, partner_key, detail: detail.into() }
    }

    fn of_all(detail: impl Into<String>) -> Self {
        Self { payout_id: None, partner_key: None, detail: detail.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.partner_key {
            Some(partner) => write!(f, "{partner}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

/// Which file it is.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// `pf_…`
    pub file_id: &'a str,
    /// When it is made.
    pub created_at: Time,
    /// Who pays.
    pub settings: &'a Settings,
}

/// Everything that keeps payouts out of a file; empty where nothing does.
pub fn check(format: Format, settings: &Settings, items: &[PayItem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if format == Format::Sepa
        && let Err(problem) = sepa::check_debtor(settings)
    {
        return vec![problem];
    }
    for item in items {
        if item.amount <= 0 {
            problems.push(Problem::of(item, "pays nothing"));
            continue;
        }
        let found = match format {
            Format::Paypal => paypal::check(item),
            Format::Wise => wise::check(item),
            Format::Sepa => sepa::check(settings, item),
        };
        problems.extend(found.into_iter().map(|detail| Problem::of(item, detail)));
    }
    problems
}

/// The files that some payouts make: by currency (and where a format has two kinds of files, by kind), no more than each
/// takes, in order of partner and payout.
pub fn split(format: Format, mut items: Vec<PayItem>) -> Vec<Vec<PayItem>> {
    let kind = |item: &PayItem| format == Format::Wise && !wise::by_email(item);
    items.sort_by(|a, b| {
        let key = |item: &PayItem| (item.currency, kind(item));
        key(a).cmp(&key(b)).then_with(|| a.partner_key.cmp(&b.partner_key)).then_with(|| a.payout_id.cmp(&b.payout_id))
    });
    let alike = items.chunk_by(|a, b| a.currency == b.currency && kind(a) == kind(b));
    alike.flat_map(|alike| alike.chunks(format.most())).map(<[PayItem]>::to_vec).collect()
}

/// A file's bytes: of payouts that were checked, in one currency. The same for the same payouts and head.
///
/// # Errors
/// What [`check`] finds.
pub fn write(format: Format, head: &Head<'_>, items: &[PayItem]) -> Result<Vec<u8>, Problem> {
    match format {
        Format::Paypal => paypal::write(items),
        Format::Wise => wise::write(head.settings, items),
        Format::Sepa => sepa::write(head, items),
    }
}

/// The sum of some payouts in one currency.
///
/// # Errors
/// [`Overflow`].
pub fn total(items: &[PayItem]) -> Result<i64, Overflow> {
    items.iter().try_fold(0_i64, |sum, item| sum.checked_add(item.amount)).ok_or(Overflow)
}

/// What a file is called: `payouts-2026-10-paypal-usd.csv`, and from the second on with its number.
pub fn name(format: Format, month: &str, currency: Currency, part: i64) -> String {
    let number = if part > 1 { format!("-{part}") } else { String::new() };
    format!("payouts-{month}-{format}-{currency}{number}.{}", format.extension())
}

/// Whether a text can be an e-mail address to which money is sent. One that a spreadsheet takes for a formula cannot:
/// it may not be changed, and not be written as it is.
fn is_email(text: &str) -> bool {
    let whole = text.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'));
    let formula = text.starts_with(['=', '+', '-', '@']);
    whole && !formula && text.chars().all(|letter| !letter.is_whitespace() && !letter.is_control() && letter != ',')
}

/// Text of one line, cut to so many characters.
fn one_line(text: &str, most: usize) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.trim().chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::super::item::testing::item;
    use super::*;

    #[test]
    fn files_are_cut_by_currency_and_by_what_their_reader_takes() {
        let mut items: Vec<PayItem> =
            (0..5001).map(|number| item(number, &format!("p{number:05}"), "p@acme.example", 100, "usd")).collect();
        items.extend([item(9001, "b", "b@acme.example", 100, "eur"), item(9000, "b", "b@acme.example", 100, "eur")]);
        items.reverse();
        let files = split(Format::Paypal, items.clone());
        assert_eq!(files.iter().map(Vec::len).collect::<Vec<_>>(), [2, 5000, 1]);
        assert_eq!(files[0][0].payout_id, item(9000, "", "", 1, "eur").payout_id, "then by payout");
        assert!(files[1].is_sorted_by(|a, b| a.partner_key < b.partner_key));
        items.rotate_left(1234);
        assert_eq!(split(Format::Paypal, items), files, "in whatever order they come");
        assert!(split(Format::Sepa, Vec::new()).is_empty());
    }

    #[test]
    fn names_say_what_is_in_a_file() {
        let usd = "usd".parse().unwrap();
        assert_eq!(name(Format::Paypal, "2026-10", usd, 1), "payouts-2026-10-paypal-usd.csv");
        assert_eq!(name(Format::Sepa, "2026-10", usd, 2), "payouts-2026-10-sepa-usd-2.xml");
        assert!("generic".parse::<Format>().is_err());
    }

    #[test]
    fn nothing_is_paid_by_a_file_and_sums_do_not_wrap() {
        let nothing = item(1, "acme", "a@acme.example", 0, "usd");
        assert_eq!(check(Format::Paypal, &Settings::default(), &[nothing])[0].to_string(), "acme: pays nothing");
        let most = item(1, "acme", "a@acme.example", i64::MAX, "usd");
        assert_eq!(total(&[most.clone(), most]), Err(Overflow));
    }
}
