//! Netting: a partner's free entries of one currency become one payout, or roll over with the reason why.
//!
//! What comes out always adds up: `opening + earned − reversed + adjustments = amount + carry + closing`.

use serde::{Deserialize, Serialize};

use super::Time;
use super::calendar::Month;
use super::currency::Currency;
use super::entry::EntryKind;
use super::money::Overflow;
use super::terms::{Method, Profile, Settings};

/// A span of time, its end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Its first moment.
    pub start: Time,
    /// The first moment after it.
    pub end: Time,
}

impl Period {
    /// A calendar month on a zone's clock.
    pub fn of(month: Month, zone: chrono_tz::Tz) -> Self {
        Self { start: month.start(zone), end: month.end(zone) }
    }
}

/// A ledger line that no live payout has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayableEntry {
    /// Its id.
    pub entry_id: String,
    /// What it is. [`EntryKind::Payout`] lines belong to their payout and are passed over.
    pub kind: EntryKind,
    /// Signed minor units.
    pub amount: i64,
    /// From when it can be paid out.
    pub available_at: Time,
    /// When it was appended.
    pub booked_at: Time,
    /// Whether the batch before had it and left it.
    pub left: bool,
}

/// Everything that netting looks at.
#[derive(Debug, Clone, Copy)]
pub struct ToNet<'a> {
    /// All unreserved entries of one partner and currency; those out of time are passed over.
    pub entries: &'a [PayableEntry],
    /// The currency of every amount.
    pub currency: Currency,
    /// How the partner is paid.
    pub profile: &'a Profile,
    /// The workspace's settings.
    pub settings: &'a Settings,
    /// The month that is closed.
    pub period: Period,
    /// Entries booked from then on wait for the next batch.
    pub cut_off: Time,
    /// What the batch before left: zero where it paid, or where the partner had nothing in it.
    pub opening: i64,
}

/// A partner's month in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netted {
    /// What the batch before rolled over.
    pub opening: i64,
    /// Commissions since.
    pub earned: i64,
    /// Commissions taken back since; positive takes away.
    pub reversed: i64,
    /// Everything else since: adjustments, bonuses, carries, returned payouts.
    pub adjustments: i64,
    /// Paid out; zero where all rolls over.
    pub amount: i64,
    /// What the currency cannot pay out: booked as a pair, it opens the next month's adjustments.
    pub carry: i64,
    /// What rolls over; zero where it is paid.
    pub closing: i64,
    /// The minimum that counted.
    pub minimum: i64,
    /// Paid, or why not.
    pub outcome: Outcome,
    /// The entries that make up the total, in the order they came: to reserve where it is paid.
    pub entry_ids: Vec<String>,
    /// How many of them are commissions that were earned.
    pub commission_count: usize,
}

/// What becomes of the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is paid.
    Pay,
    /// It stays, for a reason.
    RollOver(Reason),
}

/// Why nothing is paid. The texts are stable API and stand on statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The entries cancel out, or there are none.
    NothingDue,
    /// More was taken back than earned.
    NegativeBalance,
    /// Somebody put the partner's payouts on hold.
    OnHold,
    /// Nobody said how the partner is paid.
    NoMethod,
    /// The total is below the minimum, or below the least that the currency can pay out.
    BelowMinimum,
}

impl Reason {
    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingDue => "nothing_due",
            Self::NegativeBalance => "negative_balance",
            Self::OnHold => "on_hold",
            Self::NoMethod => "no_method",
            Self::BelowMinimum => "below_minimum",
        }
    }

    /// The reason in one sentence a partner would accept.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NothingDue => "Nothing is due this month.",
            Self::NegativeBalance => "More was taken back than earned; the next commissions make up for it.",
            Self::OnHold => "Payouts are on hold until they are released.",
            Self::NoMethod => "It is not known yet how to pay; the balance is kept until it is.",
            Self::BelowMinimum => "The balance is below the minimum payout; it is kept until it is reached.",
        }
    }
}

/// Nets one partner's free entries of one currency.
///
/// # Errors
/// Where the sums are too large for minor units.
pub fn net(input: &ToNet<'_>) -> Result<Netted, Overflow> {
    let taken: Vec<&PayableEntry> = input.entries.iter().filter(|entry| input.takes(entry)).collect();
    let (seen, fresh): (Vec<&PayableEntry>, Vec<&PayableEntry>) = taken.iter().partition(|entry| entry.left);
    let of_kind = |kind: EntryKind| sum(fresh.iter().filter(move |entry| entry.kind == kind));

    let total = sum(&taken)?;
    let opening = input.opening;
    let earned = of_kind(EntryKind::Accrual)?;
    let reversed = of_kind(EntryKind::Reversal)?.checked_neg().ok_or(Overflow)?;
    // Entries that the batch before paid and then released count as adjusted: its statement had closed without them.
    let released = sum(&seen)?.checked_sub(opening).ok_or(Overflow)?;
    let others = fresh.iter().filter(|entry| !matches!(entry.kind, EntryKind::Accrual | EntryKind::Reversal));
    let adjustments = sum(others)?.checked_add(released).ok_or(Overflow)?;

    let minimum = input.minimum();
    let outcome = input.outcome(total, minimum);
    let carry = total.rem_euclid(input.currency.payout_step());
    let (amount, carry, closing) = match outcome {
        Outcome::Pay => (total - carry, carry, 0),
        Outcome::RollOver(_) => (0, 0, total),
    };
    let entry_ids = taken.iter().map(|entry| entry.entry_id.clone()).collect();
    let commission_count = taken.iter().filter(|entry| entry.kind == EntryKind::Accrual).count();
    Ok(Netted {
        opening,
        earned,
        reversed,
        adjustments,
        amount,
        carry,
        closing,
        minimum,
        outcome,
        entry_ids,
        commission_count,
    })
}

fn sum<'a>(entries: impl IntoIterator<Item = &'a &'a PayableEntry>) -> Result<i64, Overflow> {
    // Wide, so that only the result has to fit and not each step towards it.
    let wide: i128 = entries.into_iter().map(|entry| i128::from(entry.amount)).sum();
    i64::try_from(wide).map_err(|_| Overflow)
}

impl ToNet<'_> {
    fn takes(&self, entry: &PayableEntry) -> bool {
        entry.kind != EntryKind::Payout && entry.available_at < self.period.end && entry.booked_at < self.cut_off
    }

    /// The partner's own minimum, else the workspace's, else none.
    fn minimum(&self) -> i64 {
        let own = self.profile.minimum_payout.get(&self.currency);
        own.or_else(|| self.settings.minimum_payout.get(&self.currency)).copied().unwrap_or(0)
    }

    /// The reason that the partner or the merchant can do most about comes first.
    fn outcome(&self, total: i64, minimum: i64) -> Outcome {
        let reason = if total == 0 {
            Reason::NothingDue
        } else if total < 0 {
            Reason::NegativeBalance
        } else if self.profile.on_hold {
            Reason::OnHold
        } else if !has_destination(self.profile) {
            Reason::NoMethod
        } else if total < minimum.max(self.currency.payout_step()) {
            Reason::BelowMinimum
        } else {
            return Outcome::Pay;
        };
        Outcome::RollOver(reason)
    }
}

/// Whether it is known how, and to where, the partner is paid.
fn has_destination(profile: &Profile) -> bool {
    profile.payout.as_ref().is_some_and(|payout| payout.method == Method::Csv || payout.account.is_some())
}

#[cfg(test)]
mod tests;
