//! Making a statement: entries, the statement before and this month's payout go in, a statement that adds up comes out.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use super::{FORMAT, Figures, Held, Line, PayoutPart, Refused, Statement};
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::entry::EntryKind;
use crate::domain::money::Overflow;
use crate::domain::netting::Period;

/// What a statement is made of.
#[derive(Debug, Clone)]
pub struct Making<'a> {
    /// `st_…`
    pub statement: String,
    /// The workspace's key.
    pub workspace: &'a str,
    /// `live` or `test`.
    pub mode: &'a str,
    /// The month that is closed.
    pub month: Month,
    /// The zone on whose calendar it is.
    pub time_zone: Tz,
    /// From when to when it goes.
    pub period: Period,
    /// Entries booked from then on wait for the next statement.
    pub cut_off: Time,
    /// The partner's key.
    pub partner: &'a str,
    /// The partner's name; the key where it is empty.
    pub partner_name: &'a str,
    /// Of every amount.
    pub currency: Currency,
    /// The partner's statement before.
    pub previous: Option<&'a Previous>,
    /// This month's payout.
    pub payouts: Vec<PayoutPart>,
    /// The entries that no earlier statement holds, in any order.
    pub lines: Vec<Line>,
    /// Payments of the month that earned nothing, in any order.
    pub refused: Vec<Refused>,
}

/// What the next statement goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its hash.
    pub sha256: String,
    /// Its closing balance.
    pub closing: i64,
    /// What it held, by day.
    pub on_hold: Vec<Held>,
}

impl Statement {
    /// Makes a statement.
    ///
    /// # Errors
    /// Where a sum is too large for minor units.
    pub fn make(making: Making<'_>) -> Result<Self, Overflow> {
        let Making { mut lines, mut refused, payouts, previous, .. } = making;
        lines.sort_by(|a, b| a.entry.cmp(&b.entry));
        refused.sort_by(|a, b| (a.date, &a.payment).cmp(&(b.date, &b.payment)));
        let figures = Figures::of(previous.map_or(0, |previous| previous.closing), &lines)?;
        let on_hold = on_hold(previous, &lines, making.period.end, making.time_zone)?;
        let to_be_paid = sum(payouts.iter().map(|payout| payout.amount))?;
        let rolled_over = sum(payouts.iter().map(|payout| payout.kept))?;
        let held = sum(on_hold.iter().map(|held| held.amount))?;
        let rest = i128::from(figures.closing) - i128::from(to_be_paid) - i128::from(rolled_over) - i128::from(held);
        Ok(Self {
            format: FORMAT.to_owned(),
            statement: making.statement,
            workspace: making.workspace.to_owned(),
            mode: making.mode.to_owned(),
            month: making.month,
            time_zone: making.time_zone,
            period_start: making.period.start,
            period_end: making.period.end,
            cut_off: making.cut_off,
            partner: making.partner.to_owned(),
            partner_name: if making.partner_name.is_empty() { making.partner } else { making.partner_name }.to_owned(),
            currency: making.currency,
            exponent: making.currency.exponent(),
            previous_sha256: previous.map(|previous| previous.sha256.clone()),
            opening: figures.opening,
            earned: figures.earned,
            reversed: figures.reversed,
            adjusted: figures.adjusted,
            paid: figures.paid,
            closing: figures.closing,
            to_be_paid,
            rolled_over,
            held,
            pending: i64::try_from(rest).map_err(|_| Overflow)?,
            payouts,
            on_hold,
            lines,
            refused,
        })
    }
}

pub(super) fn sum(amounts: impl Iterator<Item = i64>) -> Result<i64, Overflow> {
    i64::try_from(amounts.map(i128::from).sum::<i128>()).map_err(|_| Overflow)
}

/// What the statement before held and this month's payout could not pay either, and what came since. Payouts take what
/// is available, whenever they are booked.
fn on_hold(previous: Option<&Previous>, lines: &[Line], end: Time, zone: Tz) -> Result<Vec<Held>, Overflow> {
    let day = |at: Time| at.with_timezone(&zone).date_naive();
    let mut days: BTreeMap<NaiveDate, i128> = BTreeMap::new();
    for held in previous.iter().flat_map(|previous| &previous.on_hold).filter(|held| held.until >= day(end)) {
        *days.entry(held.until).or_default() += i128::from(held.amount);
    }
    for line in lines.iter().filter(|line| line.hold_until >= end && line.kind != EntryKind::Payout) {
        *days.entry(day(line.hold_until)).or_default() += i128::from(line.amount);
    }
    days.retain(|_, amount| *amount != 0);
    days.into_iter()
        .map(|(until, amount)| Ok(Held { until, amount: i64::try_from(amount).map_err(|_| Overflow)? }))
        .collect()
}

/// Letters and digits that nobody takes for another: Crockford's.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What a customer is called on a partner's statements: the same on all of them, another on another partner's, and
/// nothing that leads back to the customer.
///
/// ```
/// use commission_bridge::domain::statement::pseudonym;
///
/// let name = pseudonym("acme", "cus_9s6XKzkNRiz8i3");
/// assert_eq!(name, pseudonym("acme", "cus_9s6XKzkNRiz8i3"));
/// assert_ne!(name, pseudonym("other", "cus_9s6XKzkNRiz8i3"));
/// assert_eq!(name.len(), "Customer K7Q2M9".len());
/// ```
pub fn pseudonym(partner: &str, customer: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(partner);
    hash.update([0]);
    hash.update(customer);
    let hash = hash.finalize();
    // Thirty bits: two of a thousand customers share a name once in two thousand statements.
    let bits = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let letter = |place: u32| char::from(ALPHABET[((bits >> (27 - 5 * place)) & 31) as usize]);
    let name: String = (0..6).map(letter).collect();
    format!("Customer {name}")
}
