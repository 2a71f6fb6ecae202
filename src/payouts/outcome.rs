//! What became of a payout: handed over, arrived, failed, came back, canceled. Whoever learns it (a transfer's answer, a
//! bank's file, a person) says so here and nowhere else; saying it twice changes nothing.
//!
//! The ledger is never edited: money that did not leave, or came back, is given back by `payout_return` entries, free for
//! the next batch. [`Payout::returned`] is always their sum.

use serde_json::{Value, json};

use super::batch::{audited, book, entry_of};
use super::error::PayoutError;
use crate::domain::Time;
use crate::domain::entry::EntryKind;
use crate::domain::money::{Exact, Overflow};
use crate::mail::note;
use crate::store::audit::{self, Act, By};
use crate::store::batches::{self, Batch};
use crate::store::entries::{self, Entry};
use crate::store::payouts::{self, Payout};
use crate::store::{StoreError, Tx};

/// A payout before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was.
    pub before: Payout,
    /// As it is.
    pub after: Payout,
}

impl Changed {
    /// Whether anything is different.
    pub fn is_news(&self) -> bool {
        self.before != self.after
    }

    /// Its partner may want to hear of it.
    async fn note(&self, tx: &mut Tx, by: By<'_>) -> Result<(), StoreError> {
        let Payout { payout_id, status, .. } = &self.after;
        match status.as_str() {
            same if same == self.before.status => Ok(()),
            "settled" => note::payouts_settled(tx, by, self.after.mode(), &[payout_id]).await,
            "failed" | "returned" => note::payouts_failed(tx, by, self.after.mode(), &[payout_id]).await,
            _ => Ok(()),
        }
    }
}

/// It was handed over to who pays it: a bank has accepted it, a service has it in hand.
///
/// # Errors
/// [`PayoutError::NotNow`] where it is over, or its batch is not approved.
pub async fn sent(
    tx: &mut Tx,
    by: By<'_>,
    payout_id: &str,
    external_id: Option<&str>,
    at: Time,
) -> Result<Changed, PayoutError> {
    let mut held = Held::of(tx, by, payout_id).await?;
    held.must_be_booked()?;
    let payout = &mut held.after;
    if matches!(payout.status.as_str(), "ready" | "sending" | "sent") {
        "sent".clone_into(&mut payout.status);
        payout.left_at(at);
        note_id(payout, external_id);
    } else if !matches!(payout.status.as_str(), "settled" | "returned") {
        return Err(held.not_now("it cannot be on its way any more"));
    }
    held.write(tx, by, "payout.sent").await
}

/// It arrived. A payout that was thought to have failed, or was canceled, takes its money back from the ledger: what
/// really left is never due again.
///
/// # Errors
/// [`PayoutError::NotNow`] where its batch is not approved, [`PayoutError::PaidAs`] where it arrived under another id.
pub async fn settled(
    tx: &mut Tx,
    by: By<'_>,
    payout_id: &str,
    external_id: Option<&str>,
    at: Time,
) -> Result<Changed, PayoutError> {
    let mut held = Held::of(tx, by, payout_id).await?;
    held.must_be_booked()?;
    if let (Some(known), Some(new)) = (&held.after.external_id, external_id)
        && held.after.settled_at().is_some()
        && known != new
    {
        let (month, partner) = (held.batch.month.clone(), held.after.partner_key.clone());
        return Err(PayoutError::PaidAs { month, partner, known: known.clone() });
    }
    if held.after.status != "returned" {
        if matches!(held.after.status.as_str(), "failed" | "canceled") {
            held.give_back(tx, by, 0).await?;
            held.after.returned_paid = 0;
            held.after.failure_reason = None;
        }
        "settled".clone_into(&mut held.after.status);
        held.after.arrived_at(at);
        note_id(&mut held.after, external_id);
    }
    held.write(tx, by, "payout.settled").await
}

/// It did not leave and will not: its money is free for the next batch.
///
/// # Errors
/// [`PayoutError::NotNow`] where it has arrived, or its batch is not approved.
pub async fn failed(tx: &mut Tx, by: By<'_>, payout_id: &str, reason: &str) -> Result<Changed, PayoutError> {
    let mut held = Held::of(tx, by, payout_id).await?;
    held.must_be_booked()?;
    match held.after.status.as_str() {
        "ready" | "sending" | "sent" => held.give_all_back(tx, by, "failed", reason).await?,
        "failed" | "canceled" => {}
        _ => return Err(held.not_now("it has arrived: what comes back now is a return")),
    }
    held.write(tx, by, "payout.failed").await
}

/// It came back, whole or in part: `total` is all that came back so far, in minor units of the currency it left in.
///
/// # Errors
/// [`PayoutError::NotNow`] where it never left.
pub async fn returned(
    tx: &mut Tx,
    by: By<'_>,
    payout_id: &str,
    total: i64,
    reason: &str,
) -> Result<Changed, PayoutError> {
    let mut held = Held::of(tx, by, payout_id).await?;
    held.must_be_booked()?;
    if !matches!(held.after.status.as_str(), "ready" | "sending" | "sent" | "settled" | "returned") {
        // It never left as far as anybody knows, and its money was given back then.
        return held.write(tx, by, "payout.returned").await;
    }
    let total = total.clamp(held.after.returned_paid, held.after.paid_amount);
    if total > held.after.returned_paid {
        let of_ledger = held.in_ledger(total)?;
        held.give_back(tx, by, of_ledger).await?;
        let payout = &mut held.after;
        payout.returned_paid = total;
        payout.failure_reason = Some(reason.to_owned());
        payout.left_at(by.now);
        if total == payout.paid_amount {
            "returned".clone_into(&mut payout.status);
        }
    }
    held.write(tx, by, "payout.returned").await
}

/// Whether whoever cancels a payout that stands in a file knows that the file was not handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFile {
    /// Nobody said so.
    Refuse,
    /// They said so.
    NotPaidOut,
}

/// Somebody does not want it paid: its money is free for the next batch.
///
/// # Errors
/// [`PayoutError::NotNow`] where it is on its way or over, [`PayoutError::InFile`].
pub async fn cancel(
    tx: &mut Tx,
    by: By<'_>,
    payout_id: &str,
    reason: &str,
    in_file: InFile,
) -> Result<Changed, PayoutError> {
    let mut held = Held::of(tx, by, payout_id).await?;
    match held.after.status.as_str() {
        "ready" if held.after.file_id.is_some() && in_file == InFile::Refuse => {
            return Err(PayoutError::InFile { payout: payout_id.to_owned() });
        }
        "ready" => {
            if held.batch.approved_at().is_none() {
                // In the ledger it is booked and given back, so that its entries stay where they were reserved.
                let amount = -held.after.amount;
                let entry = entry_of(by, &held.batch, &held.after, EntryKind::Payout, amount, by.now)?;
                book(tx, by.workspace, &[entry]).await?;
            }
            held.give_all_back(tx, by, "canceled", reason).await?;
        }
        "canceled" => {}
        "blocked" => return Err(held.not_now("it pays nothing: there is nothing to cancel")),
        "sending" => return Err(held.not_now("a transfer is under way: its answer decides")),
        _ => return Err(held.not_now("only what has not left can be canceled")),
    }
    held.write(tx, by, "payout.canceled").await
}

fn note_id(payout: &mut Payout, external_id: Option<&str>) {
    if let Some(id) = external_id {
        payout.external_id = Some(id.to_owned());
    }
}

/// A payout that nobody else changes meanwhile.
struct Held {
    batch: Batch,
    before: Payout,
    after: Payout,
}

impl Held {
    async fn of(tx: &mut Tx, by: By<'_>, payout_id: &str) -> Result<Self, PayoutError> {
        let unknown = || PayoutError::UnknownPayout(payout_id.to_owned());
        let payout = payouts::hold(tx, by.workspace, payout_id).await?.ok_or_else(unknown)?;
        let batch = batches::by_id(tx, by.workspace, &payout.batch_id).await?.ok_or_else(unknown)?;
        Ok(Self { batch, before: payout.clone(), after: payout })
    }

    fn must_be_booked(&self) -> Result<(), PayoutError> {
        if self.after.status == "blocked" {
            return Err(self.not_now("it pays nothing"));
        }
        if self.batch.approved_at().is_none() && self.after.status != "canceled" {
            return Err(PayoutError::NotApproved(self.batch.month.clone()));
        }
        Ok(())
    }

    fn not_now(&self, why: &'static str) -> PayoutError {
        let Payout { payout_id, status, .. } = &self.after;
        PayoutError::NotNow { payout: payout_id.clone(), status: status.clone(), why }
    }

    /// How much of the ledger's amount so much of what left is: in proportion, and all of it for all.
    fn in_ledger(&self, paid: i64) -> Result<i64, PayoutError> {
        let Payout { amount, paid_amount, .. } = self.after;
        if paid == paid_amount {
            return Ok(amount);
        }
        let share = || Exact::from(amount).times(Exact::ratio(paid, paid_amount)?)?.round_half_even();
        share().map_err(|source| self.overflow(source))
    }

    fn overflow(&self, source: Overflow) -> PayoutError {
        let currency = self.after.currency();
        match currency {
            Ok(currency) => PayoutError::Overflow { partner: self.after.partner_key.clone(), currency, source },
            Err(error) => error.into(),
        }
    }

    async fn give_all_back(&mut self, tx: &mut Tx, by: By<'_>, status: &str, reason: &str) -> Result<(), PayoutError> {
        self.give_back(tx, by, self.after.amount).await?;
        self.after.returned_paid = self.after.paid_amount;
        status.clone_into(&mut self.after.status);
        self.after.failure_reason = Some(reason.to_owned());
        Ok(())
    }

    /// Books what is missing until so much is given back; what was given back too much is taken again.
    async fn give_back(&mut self, tx: &mut Tx, by: By<'_>, total: i64) -> Result<(), PayoutError> {
        let difference =
            total.checked_sub(self.after.returned).ok_or(Overflow).map_err(|error| self.overflow(error))?;
        if difference == 0 {
            return Ok(());
        }
        let revision = payouts::returns_of(tx, by.workspace, &self.after.payout_id).await? + 1;
        let entry = entry_of(by, &self.batch, &self.after, EntryKind::PayoutReturn, difference, by.now)?;
        entries::append(tx, by.workspace, &[Entry { revision, ..entry }]).await?;
        self.after.returned = total;
        Ok(())
    }

    async fn write(self, tx: &mut Tx, by: By<'_>, action: &'static str) -> Result<Changed, PayoutError> {
        let Self { batch, before, after } = self;
        let changed = Changed { before, after };
        if !changed.is_news() {
            return Ok(changed);
        }
        payouts::write_fate(tx, by.workspace, &changed.after).await?;
        let act = Act {
            action,
            object: "payout",
            object_id: changed.after.payout_id.clone(),
            before: Some(state(&changed.before)),
            after: Some(state(&changed.after)),
        };
        audit::append(tx, by, &[act]).await?;
        changed.note(tx, by).await?;
        if batch.approved_at().is_some() {
            follow(tx, by, &batch).await?;
        }
        Ok(changed)
    }
}

/// A batch is being paid once one of its payouts moved.
async fn follow(tx: &mut Tx, by: By<'_>, batch: &Batch) -> Result<(), StoreError> {
    batches::begin_paying(tx, by.workspace, &batch.batch_id).await?;
    follow_end(tx, by, batch).await
}

/// A batch is paid when none of its payouts is open.
///
/// # Errors
/// The database's.
pub async fn follow_end(tx: &mut Tx, by: By<'_>, batch: &Batch) -> Result<(), StoreError> {
    if batches::end_paying(tx, by.workspace, &batch.batch_id, by.now).await? {
        let after = batches::by_id(tx, by.workspace, &batch.batch_id).await?;
        if let Some(after) = after {
            audited(tx, by, "batch.paid", Some(batch), &after).await?;
        }
    }
    Ok(())
}

fn state(payout: &Payout) -> Value {
    json!({
        "status": payout.status,
        "external_id": payout.external_id,
        "failure_reason": payout.failure_reason,
        "returned": payout.returned,
    })
}
