//! Netting: a partner's free entries of one currency become one payout, or roll over with the reason why.
//!
//! What comes out always adds up: `opening + earned − reversed + adjustments = amount + carry + closing`.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Time;
use super::calendar::Month;
use super::currency::Currency;
use super::entry::EntryKind;
use super::fx::{Rate, Rates, convert};
use super::money::{Exact, Overflow};
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
    /// What is known of the connected account that would be paid.
    pub account: Readiness,
    /// Exchange rates, for partners who want another currency.
    pub rates: &'a Rates,
    /// The day of the close, whose rates count.
    pub day: NaiveDate,
}

/// Whether a connected Stripe account can be paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Nobody said yet: the transfer itself will tell.
    #[default]
    Unknown,
    /// Stripe said that it can.
    Ready,
    /// Stripe said that it cannot (yet).
    NotReady,
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
    /// What really leaves, minor units of `paid_currency`.
    pub paid_amount: i64,
    /// In what it leaves.
    pub paid_currency: Currency,
    /// By which rate, where that is another currency.
    pub rate: Option<Rate>,
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
    /// Stripe says that the partner's account cannot receive transfers (yet).
    AccountNotReady,
    /// The workspace demands a tax form, and has none of the partner.
    TaxFormMissing,
    /// The method cannot pay this currency.
    CurrencyNotPayable,
    /// There is no exchange rate into the currency that the partner wants.
    RateMissing,
    /// The total is below the minimum, or below the least that the currency can pay out.
    BelowMinimum,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NothingDue,
        Self::NegativeBalance,
        Self::OnHold,
        Self::NoMethod,
        Self::AccountNotReady,
        Self::TaxFormMissing,
        Self::CurrencyNotPayable,
        Self::RateMissing,
        Self::BelowMinimum,
    ];

    /// From its text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingDue => "nothing_due",
            Self::NegativeBalance => "negative_balance",
            Self::OnHold => "on_hold",
            Self::NoMethod => "no_method",
            Self::AccountNotReady => "account_not_ready",
            Self::TaxFormMissing => "tax_form_missing",
            Self::CurrencyNotPayable => "currency_not_payable",
            Self::RateMissing => "rate_missing",
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
            Self::AccountNotReady => "The Stripe account cannot receive money yet; the balance is kept until it can.",
            Self::TaxFormMissing => "A tax form is missing; the balance is kept until it is there.",
            Self::CurrencyNotPayable => "The way of payment cannot pay this currency; the balance is kept.",
            Self::RateMissing => "There was no exchange rate on the day of the close; the balance is kept.",
            Self::BelowMinimum => "The balance is below the minimum payout; it is kept until it is reached.",
        }
    }

    /// What the merchant can do about it; none where there is nothing to do.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NothingDue | Self::NegativeBalance | Self::BelowMinimum => None,
            Self::OnHold => Some("Release the partner: on_hold = false."),
            Self::NoMethod => Some("Enter how the partner is paid, or send an onboarding link."),
            Self::AccountNotReady => Some("Send the partner an onboarding link: Stripe still needs something of them."),
            Self::TaxFormMissing => Some("Ask the partner for a tax form, and enter it: tax_form = \"W-9\"."),
            Self::CurrencyNotPayable => {
                Some("Give the partner a payout currency that the method can pay, or another method.")
            }
            Self::RateMissing => Some("Fetch or import exchange rates before the next close."),
        }
    }

    /// Whether the partner themselves has to do something.
    pub fn needs_partner(self) -> bool {
        matches!(self, Self::NoMethod | Self::AccountNotReady | Self::TaxFormMissing)
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
    let leaving = match input.refusal(total) {
        Some(reason) => Err(reason),
        None => input.leaving(total)?.ok_or(Reason::RateMissing),
    };
    // What is due is told before what would be paid of it.
    let leaving = leaving.and_then(|leaving| {
        if total < minimum || leaving.paid_amount <= 0 || leaving.amount <= 0 {
            Err(Reason::BelowMinimum)
        } else {
            Ok(leaving)
        }
    });
    let (outcome, leaving, closing) = match leaving {
        Ok(leaving) => (Outcome::Pay, leaving, 0),
        Err(reason) => (Outcome::RollOver(reason), Leaving::nothing(input.currency), total),
    };
    let carry = if outcome == Outcome::Pay { total.checked_sub(leaving.amount).ok_or(Overflow)? } else { 0 };
    let Leaving { amount, paid_amount, paid_currency, rate } = leaving;
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
        paid_amount,
        paid_currency,
        rate,
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

    /// Why nothing of a total is paid, whatever its height. What the partner or the merchant can do most about comes
    /// first.
    fn refusal(&self, total: i64) -> Option<Reason> {
        let profile = self.profile;
        let method = profile.payout.as_ref().map(|payout| payout.method);
        if total == 0 {
            Some(Reason::NothingDue)
        } else if total < 0 {
            Some(Reason::NegativeBalance)
        } else if profile.on_hold {
            Some(Reason::OnHold)
        } else if !has_destination(profile) {
            Some(Reason::NoMethod)
        } else if method == Some(Method::Stripe) && self.account == Readiness::NotReady {
            Some(Reason::AccountNotReady)
        } else if self.settings.month_end.tax_form_required && profile.tax_form.is_none() {
            Some(Reason::TaxFormMissing)
        } else if method == Some(Method::Sepa) && self.wanted().as_str() != "eur" {
            Some(Reason::CurrencyNotPayable)
        } else {
            None
        }
    }

    /// The currency that the partner wants.
    fn wanted(&self) -> Currency {
        self.profile.payout.as_ref().and_then(|payout| payout.currency).unwrap_or(self.currency)
    }

    /// What leaves of a total, in whole steps of the currency that it leaves in; none where there is no rate. What is
    /// too little for a step stays in the ledger's currency.
    fn leaving(&self, total: i64) -> Result<Option<Leaving>, Overflow> {
        let wanted = self.wanted();
        if wanted == self.currency {
            let amount = total - total.rem_euclid(wanted.payout_step());
            return Ok(Some(Leaving { amount, paid_amount: amount, paid_currency: wanted, rate: None }));
        }
        let Some(rate) = self.rates.rate(self.currency, wanted, self.day) else { return Ok(None) };
        let converted = convert(total, self.currency, wanted, &rate)?;
        let left = converted.rem_euclid(wanted.payout_step());
        let paid_amount = converted - left;
        let amount = if left == 0 {
            total
        } else {
            let of_total = Exact::from(total).times(Exact::ratio(paid_amount, converted)?)?;
            of_total.round_half_even()?.min(total)
        };
        Ok(Some(Leaving { amount, paid_amount, paid_currency: wanted, rate: Some(rate) }))
    }
}

/// What leaves of a total.
struct Leaving {
    /// Minor units of the ledger's currency.
    amount: i64,
    /// Minor units of the currency that it leaves in.
    paid_amount: i64,
    paid_currency: Currency,
    rate: Option<Rate>,
}

impl Leaving {
    fn nothing(currency: Currency) -> Self {
        Self { amount: 0, paid_amount: 0, paid_currency: currency, rate: None }
    }
}

/// Whether it is known how, and to where, the partner is paid.
fn has_destination(profile: &Profile) -> bool {
    profile.payout.as_ref().is_some_and(|payout| payout.method == Method::Csv || payout.account.is_some())
}

#[cfg(test)]
mod tests;
