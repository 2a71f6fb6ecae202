//! What banks and services say became of payouts: their files, read as rows that name a payout and its fate. Plain
//! functions; who applies them is `results`.

mod amount;
mod camt054;
mod columns;
mod csv;
mod pain002;
mod paypal;
mod reasons;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::domain::currency::Currency;
use crate::imports::ImportError;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// `payout_id,status,external_id,reason`, and an edited generic export.
    Csv,
    /// `PayPal`'s results of an upload.
    Paypal,
    /// A bank's status report: accepted or rejected.
    Pain002,
    /// A bank's notice of what it booked.
    Camt054,
}

impl ResultFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Csv, Self::Paypal, Self::Pain002, Self::Camt054];

    /// As in flags and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Paypal => "paypal",
            Self::Pain002 => "pain002",
            Self::Camt054 => "camt054",
        }
    }
}

impl fmt::Display for ResultFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ResultFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no format: expected csv, paypal, pain002 or camt054"))
    }
}

/// What a file says of one payout, or of all in one payment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row as a spreadsheet counts them; in XML the transactions and bookings, from 1.
    pub number: usize,
    /// Of whom.
    pub whom: Whom,
    /// What became of it.
    pub fate: Fate,
    /// How much, where the file says so; never negative.
    pub said: Option<Said>,
    /// What the bank or service calls it.
    pub external_id: Option<String>,
    /// On which day, where the file says so.
    pub day: Option<NaiveDate>,
}

/// Of whom a row speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The payout with this id.
    Payout(String),
    /// Every payout in the payment file with this id of which no row speaks by itself.
    File(String),
    /// Something that is not ours; as the file calls it, if it does.
    Other(String),
}

/// What became of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was taken over, and is on its way.
    Sent,
    /// It arrived.
    Settled,
    /// It will not leave, and why.
    Failed(String),
    /// It came back, and why. The row's amount is what came back; all of it where there is none.
    Returned(String),
    /// Nothing that changes it, and why.
    Waits(String),
}

impl Fate {
    /// In one word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Settled => "settled",
            Self::Failed(_) => "failed",
            Self::Returned(_) => "returned",
            Self::Waits(_) => "waits",
        }
    }

    /// Why, where there is a why.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Sent | Self::Settled => None,
            Self::Failed(why) | Self::Returned(why) | Self::Waits(why) => Some(why),
        }
    }
}

/// An amount as a file says it: major units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// How much; never negative.
    pub amount: Decimal,
    /// Of what, where it says so.
    pub currency: Option<Currency>,
}

/// Reads a file.
///
/// # Errors
/// All that is wrong with it, by row.
pub fn read(format: ResultFormat, bytes: &[u8], file_name: &str) -> Result<Vec<Row>, ImportError> {
    let rows = match format {
        ResultFormat::Csv => csv::read(bytes, file_name)?,
        ResultFormat::Paypal => paypal::read(bytes, file_name)?,
        ResultFormat::Pain002 => pain002::read(xml(bytes, file_name)?, file_name)?,
        ResultFormat::Camt054 => camt054::read(xml(bytes, file_name)?, file_name)?,
    };
    if rows.is_empty() {
        return Err(ImportError::one(file_name, None, None, "the file says nothing of any payment"));
    }
    Ok(rows)
}

fn xml<'a>(bytes: &'a [u8], file_name: &str) -> Result<&'a str, ImportError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map_err(|_| ImportError::one(file_name, None, None, "the file is not UTF-8 text: ask the bank for UTF-8"))
}

/// As large as a bank's largest file of ours: ten thousand payments, each of a hundred elements.
fn limits() -> sepa::ParseLimits {
    let usual = sepa::ParseLimits::default();
    sepa::ParseLimits { nodes: 2_000_000, total_text_bytes: usual.input_bytes, ..usual }
}

/// A text of one line and of a length that can be shown.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let text = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.chars().take(200).collect()
}
