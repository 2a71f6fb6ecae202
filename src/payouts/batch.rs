//! A month's batch: close it, approve it, mark it as paid. Every step belongs into one transaction, which its caller
//! commits; doing it twice changes nothing.

use serde_json::json;

pub use super::closing::begin as close;
pub use super::error::PayoutError;
use super::outcome;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::entry::{Component, EntryKind};
use crate::mail::note;
use crate::store::audit::{self, Act, By};
use crate::store::batches::{self, Batch};
use crate::store::entries::{self, Entry};
use crate::store::payouts::{self, Payout};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, changes};

/// Whether a step did something or found it done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Just now.
    Now,
    /// It was done before; nothing was changed.
    Before,
}

/// Finds a batch by its id or month.
///
/// # Errors
/// [`PayoutError::NoBatch`], or the database's.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, name: &str) -> Result<Batch, PayoutError> {
    let found = if name.parse::<Month>().is_ok() {
        batches::of_month(tx, workspace, mode, name).await?
    } else {
        batches::by_id(tx, workspace, name).await?
    };
    found.ok_or_else(|| PayoutError::NoBatch(name.to_owned()))
}

/// Approves a batch: books each payout's amount, negative, as an entry of its own.
///
/// # Errors
/// [`PayoutError::NoBatch`], [`PayoutError::StillClosing`], [`PayoutError::FourEyes`], or the database's.
pub async fn approve(tx: &mut Tx, by: By<'_>, mode: Mode, name: &str) -> Result<(Batch, Done), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    let batch = find(tx, workspace, mode, name).await?;
    if batch.is_closing() {
        return Err(PayoutError::StillClosing(batch.month));
    }
    let settings = changes::terms_for_change(tx, workspace).await?.current_settings();
    if batch.status == "draft" && settings.month_end.four_eyes && batch.closed_by == by.author {
        return Err(PayoutError::FourEyes { month: batch.month, author: batch.closed_by });
    }
    if !batches::approve(tx, workspace, &batch.batch_id, by.author, now).await? {
        // Somebody else may have been approving it while this one waited: show it as it is now.
        return Ok((find(tx, workspace, mode, &batch.batch_id).await?, Done::Before));
    }
    let mut new = Vec::new();
    for payout in payouts::of_batch(tx, workspace, &batch.batch_id).await? {
        if payout.status == "ready" {
            new.push(entry_of(by, &batch, &payout, EntryKind::Payout, -payout.amount, now)?);
        }
    }
    book(tx, workspace, &new).await?;
    let approved = find(tx, workspace, batch.mode(), &batch.batch_id).await?;
    audited(tx, by, "batch.approved", Some(&batch), &approved).await?;
    note::batch_approved(tx, by, batch.mode(), &batch.batch_id).await?;
    outcome::follow_end(tx, by, &approved).await?;
    Ok((find(tx, workspace, batch.mode(), &batch.batch_id).await?, Done::Now))
}

/// Appends entries about payouts. What they take belongs to the payout; what they give is free.
pub(super) async fn book(tx: &mut Tx, workspace: WorkspaceId, new: &[Entry]) -> Result<(), StoreError> {
    entries::append(tx, workspace, new).await?;
    let taking = new.iter().filter(|entry| entry.amount < 0);
    let reserved = taking.map(|entry| (entry.payout_id.as_deref().unwrap_or_default(), entry.entry_id.as_str()));
    payouts::reserve(tx, workspace, reserved).await
}

/// A line of the ledger about a payout.
pub(super) fn entry_of(
    by: By<'_>,
    batch: &Batch,
    payout: &Payout,
    kind: EntryKind,
    amount: i64,
    now: Time,
) -> Result<Entry, StoreError> {
    Ok(Entry {
        entry_id: by.ids.next("ent"),
        mode: batch.mode(),
        kind,
        partner: payout.partner_key.clone(),
        program: None,
        component: Component::Direct,
        revision: 1,
        payment_id: None,
        amount,
        currency: payout.currency()?,
        occurred_at: now,
        booked_at: now,
        available_at: now,
        event_id: None,
        payout_id: Some(payout.payout_id.clone()),
        reason: Some(batch.month.clone()),
    })
}

/// Which payouts of a batch were paid, and as what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid<'a> {
    /// To this partner alone.
    pub partner: Option<&'a str>,
    /// In this currency alone.
    pub currency: Option<Currency>,
    /// What the bank or service calls it; for one payout.
    pub external_id: Option<&'a str>,
}

impl Paid<'_> {
    fn means(&self, payout: &Payout) -> bool {
        self.partner.is_none_or(|partner| payout.partner_key == partner)
            && self.currency.is_none_or(|currency| payout.currency().is_ok_and(|of| of == currency))
    }

    /// Who was named, in words.
    fn whom(&self) -> Option<String> {
        match (self.partner, self.currency) {
            (None, None) => None,
            (Some(partner), None) => Some(partner.to_owned()),
            (None, Some(currency)) => Some(format!("anybody in {currency}")),
            (Some(partner), Some(currency)) => Some(format!("{partner} in {currency}")),
        }
    }
}

/// Marks the approved payouts of a batch, or one partner's, as paid. The ledger has their entries since the approval.
///
/// # Errors
/// [`PayoutError::NotApproved`], [`PayoutError::NoPayout`], [`PayoutError::WhichPayout`], [`PayoutError::PaidAs`], or
/// the database's.
pub async fn mark_paid(
    tx: &mut Tx,
    by: By<'_>,
    mode: Mode,
    name: &str,
    paid: &Paid<'_>,
) -> Result<(Batch, usize), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    let batch = find(tx, workspace, mode, name).await?;
    if batch.approved_at().is_none() {
        return Err(PayoutError::NotApproved(batch.month));
    }
    let all = payouts::of_batch(tx, workspace, &batch.batch_id).await?;
    let wanted: Vec<&Payout> = all.iter().filter(|payout| payout.pays() && paid.means(payout)).collect();
    if wanted.is_empty() && paid.whom().is_some() {
        return Err(PayoutError::NoPayout { month: batch.month, whom: paid.whom().unwrap_or_default() });
    }
    if let Some(external_id) = paid.external_id {
        let [payout] = wanted[..] else { return Err(PayoutError::WhichPayout(batch.month)) };
        if let Some(known) = payout.external_id.clone().filter(|known| known != external_id) {
            return Err(PayoutError::PaidAs { month: batch.month, partner: payout.partner_key.clone(), known });
        }
    }
    let mut marked = 0;
    // A transfer that is under way is left to its answer.
    for payout in wanted.iter().filter(|payout| matches!(payout.status.as_str(), "ready" | "sent")) {
        let changed = outcome::settled(tx, by, &payout.payout_id, paid.external_id, now).await?;
        marked += usize::from(changed.is_news());
    }
    outcome::follow_end(tx, by, &batch).await?;
    let batch = find(tx, workspace, batch.mode(), &batch.batch_id).await?;
    Ok((batch, marked))
}

/// Writes what became of a batch into the audit log.
pub(super) async fn audited(
    tx: &mut Tx,
    by: By<'_>,
    action: &'static str,
    before: Option<&Batch>,
    after: &Batch,
) -> Result<(), StoreError> {
    let state = |batch: &Batch| json!({ "month": batch.month, "status": batch.status, "mode": batch.mode().as_str() });
    let (before, after_state) = (before.map(state), Some(state(after)));
    let act = Act { action, object: "batch", object_id: after.batch_id.clone(), before, after: after_state };
    audit::append(tx, by, &[act]).await
}
