//! Statements: a partner's month in one currency, and the document that proves it.
//!
//! `opening + earned − reversed + adjusted − paid = closing`, over every entry booked before the statement's cut-off
//! that no earlier statement holds, on hold or not. Beside it, what makes up the closing balance:
//! `to_be_paid + rolled_over + held + pending = closing`.
//!
//! | entries of kind | count as |
//! |---|---|
//! | accrual | earned |
//! | reversal | reversed, with the sign turned: a commission that is given back lowers it |
//! | adjustment, bonus, carry, payout return | adjusted, as in payout files |
//! | payout | paid, with the sign turned |

mod chain;
mod document;
mod make;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use chain::{Checked, check, faults};
pub use document::{Broken, FORMAT, Frozen, head};
pub use make::{Making, Previous, pseudonym};

use super::Time;
use super::calendar::Month;
use super::currency::Currency;
use super::entry::{Component, EntryKind};
use super::money::Overflow;

/// A partner's month in one currency. The fields are in the order of the document; amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORMAT`].
    pub format: String,
    /// `st_…`
    pub statement: String,
    /// The workspace's key.
    pub workspace: String,
    /// `live` or `test`.
    pub mode: String,
    /// The month, `2026-10`.
    #[serde(with = "text")]
    pub month: Month,
    /// The zone on whose calendar the month is.
    pub time_zone: Tz,
    /// The month's first moment.
    pub period_start: Time,
    /// The first moment after it.
    pub period_end: Time,
    /// Entries booked before this moment are in this statement or in an earlier one.
    pub cut_off: Time,
    /// The partner's key.
    pub partner: String,
    /// The partner's name when the month was closed.
    pub partner_name: String,
    /// Of every amount, but for what a payout pays in another one.
    pub currency: Currency,
    /// How many decimals the currency has: 1234 with an exponent of 2 is 12.34.
    pub exponent: u32,
    /// SHA-256 of the partner's statement before this one; none where this is the first.
    pub previous_sha256: Option<String>,
    /// The closing balance of the statement before.
    pub opening: i64,
    /// Commissions since.
    pub earned: i64,
    /// Commissions taken back since; positive takes away.
    pub reversed: i64,
    /// Everything else since: adjustments, bonuses, payouts that came back, what a currency could not pay out.
    pub adjusted: i64,
    /// Paid out since; positive takes away.
    pub paid: i64,
    /// What the partner has.
    pub closing: i64,
    /// The part of it that this month's payout pays.
    pub to_be_paid: i64,
    /// The part of it that could be paid and is not, for the payout's reason, or is left by its currency.
    pub rolled_over: i64,
    /// The part of it that cannot be paid out yet.
    pub held: i64,
    /// The part of it that payouts of other months pay, which are not booked yet.
    pub pending: i64,
    /// This month's payout: one, but for a partner who is paid by several methods; none where nothing could be paid.
    pub payouts: Vec<PayoutPart>,
    /// When what is held becomes available, in order.
    pub on_hold: Vec<Held>,
    /// Every entry, in order of its id.
    pub lines: Vec<Line>,
    /// Payments of the month that earned nothing, in order of their dates, where the program shares them.
    pub refused: Vec<Refused>,
}

/// This month's payout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayoutPart {
    /// `po_…`
    pub payout: String,
    /// `ready` or `blocked`.
    pub status: String,
    /// What it pays; zero where it is blocked.
    pub amount: i64,
    /// What stays: all of it where it is blocked, or what the currency cannot pay out.
    pub kept: i64,
    /// `stripe`, `csv`, …; `none` where it is not known.
    pub method: String,
    /// Where to, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// What the partner sees on their account.
    pub reference: String,
    /// The least that is paid out.
    pub minimum: i64,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it comes to in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<Converted>,
}

/// What a payout pays in another currency than the ledger's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Converted {
    /// What leaves, in minor units of `currency`.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// Units of it for one of the statement's currency.
    pub rate: String,
    /// The day of the rate.
    pub day: String,
    /// Who published it.
    pub source: String,
}

/// What becomes available on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The day, on the workspace's calendar.
    pub until: NaiveDate,
    /// How much.
    pub amount: i64,
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `ent_…`
    pub entry: String,
    /// The moment of the fact: the payment, the refund.
    pub date: Time,
    /// When it was booked.
    pub booked_at: Time,
    /// Until when it is on hold.
    pub hold_until: Time,
    /// What it is.
    pub kind: EntryKind,
    /// Which part of a payment's commission.
    pub component: Component,
    /// Signed.
    pub amount: i64,
    /// Under which program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The payment, `pay_…`: what `explain` takes, and what to name in a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// `first`, `recurring`, `change` or `one_off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_kind: Option<String>,
    /// What was sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Who bought it, as far as the program says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// What the rate was taken of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<i64>,
    /// The rate, `20%`, in words where several rules priced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// The payout it is about, `po_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout: Option<String>,
    /// Why, in a word: `refund`, `dispute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, in the words of whoever entered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A payment that earned nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// `pay_…`
    pub payment: String,
    /// When it was paid.
    pub date: Time,
    /// Under which program.
    pub program: String,
    /// What was sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What was paid.
    pub paid: i64,
    /// The reason code.
    pub code: String,
    /// The same in a sentence.
    pub sentence: String,
}

/// The six figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The closing balance of the statement before.
    pub opening: i64,
    /// Commissions.
    pub earned: i64,
    /// Commissions taken back; positive takes away.
    pub reversed: i64,
    /// Everything else.
    pub adjusted: i64,
    /// Paid out; positive takes away.
    pub paid: i64,
    /// What the partner has.
    pub closing: i64,
}

impl Figures {
    /// What some lines come to, after an opening balance.
    ///
    /// # Errors
    /// Where a sum is too large for minor units.
    pub fn of<'a>(opening: i64, lines: impl IntoIterator<Item = &'a Line>) -> Result<Self, Overflow> {
        // Wide, so that only the results have to fit and not each step towards them.
        let (mut earned, mut reversed, mut adjusted, mut paid) = (0_i128, 0_i128, 0_i128, 0_i128);
        for line in lines {
            let amount = i128::from(line.amount);
            match line.kind {
                EntryKind::Accrual => earned += amount,
                EntryKind::Reversal => reversed -= amount,
                EntryKind::Payout => paid -= amount,
                EntryKind::Adjustment | EntryKind::Bonus | EntryKind::Carry | EntryKind::PayoutReturn => {
                    adjusted += amount;
                }
            }
        }
        let fits = |sum: i128| i64::try_from(sum).map_err(|_| Overflow);
        Ok(Self {
            opening,
            closing: fits(i128::from(opening) + earned - reversed + adjusted - paid)?,
            earned: fits(earned)?,
            reversed: fits(reversed)?,
            adjusted: fits(adjusted)?,
            paid: fits(paid)?,
        })
    }
}

impl Statement {
    /// The six figures.
    pub fn figures(&self) -> Figures {
        let Self { opening, earned, reversed, adjusted, paid, closing, .. } = *self;
        Figures { opening, earned, reversed, adjusted, paid, closing }
    }

    /// What the file of the statement is called, without its ending: `statement-2026-10-acme-usd`.
    pub fn file_stem(&self) -> String {
        let partner: String = self
            .partner
            .chars()
            .map(
                |character| {
                    if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '-' }
                },
            )
            .collect();
        let test = if self.mode == "live" { "" } else { "-test" };
        format!("statement-{}-{partner}-{}{test}", self.month, self.currency)
    }
}

/// Whatever is written as its text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
