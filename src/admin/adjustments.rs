//! Adjustments and bonuses: entries by hand, with a note and an author.

use serde_json::json;

use super::reviews::{currency, prose};
use super::{Desk, Refused};
use crate::domain::Time;
use crate::domain::entry::{Component, EntryKind};
use crate::store::adjustments::{self, Adjustment};
use crate::store::entries::{self, Entry};

/// What to book.
#[derive(Debug, Clone)]
pub struct NewAdjustment<'a> {
    /// `adjustment` (either sign) or `bonus` (positive).
    pub kind: EntryKind,
    /// Whose money.
    pub partner: &'a str,
    /// Under which program, if any.
    pub program: Option<&'a str>,
    /// Signed minor units, not zero.
    pub amount: i64,
    /// Of what.
    pub currency: &'a str,
    /// Why: it is on the partner's statement.
    pub note: &'a str,
    /// From when it can be paid out; now when `None`.
    pub available_at: Option<Time>,
}

/// Books an adjustment or bonus in the session's book.
///
/// # Errors
/// [`Refused`].
pub async fn create(desk: &mut Desk<'_>, new: &NewAdjustment<'_>) -> Result<Adjustment, Refused> {
    let note = prose("note", new.note)?;
    let currency = currency(new.currency)?;
    if new.amount == 0 {
        return Err(Refused::invalid("amount", "is zero: expected minor units, negative to take away"));
    }
    if new.kind == EntryKind::Bonus && new.amount < 0 {
        return Err(Refused::invalid("amount", "a bonus is positive: take away with an adjustment"));
    }
    if !desk.terms.partners.contains_key(new.partner) {
        return Err(Refused::invalid("partner_key", format!("there is no partner {:?}", new.partner)));
    }
    if let Some(program) = new.program.filter(|program| !desk.terms.programs.contains_key(*program)) {
        return Err(Refused::invalid("program", format!("there is no program {program:?}")));
    }
    let session = &mut *desk.session;
    let (mode, now) = (session.mode, session.now);
    let entry = Entry {
        entry_id: session.ids.next("ent"),
        mode,
        kind: new.kind,
        partner: new.partner.to_owned(),
        program: new.program.map(ToOwned::to_owned),
        component: if new.kind == EntryKind::Bonus { Component::Bonus } else { Component::Direct },
        revision: 0,
        payment_id: None,
        amount: new.amount,
        currency,
        occurred_at: now,
        booked_at: now,
        available_at: new.available_at.map_or(now, |at| at.max(now)),
        event_id: None,
        payout_id: None,
        reason: Some(note.clone()),
    };
    let adjustment = Adjustment::new(
        session.ids.next("adj"),
        mode,
        new.kind.as_str().to_owned(),
        new.partner.to_owned(),
        new.program.map(ToOwned::to_owned),
        (new.amount, currency.to_string()),
        note,
        session.author.clone(),
        now,
        entry.entry_id.clone(),
    );
    entries::append(&mut session.tx, session.workspace, [&entry]).await?;
    adjustments::insert(&mut session.tx, session.workspace, &adjustment).await?;
    let booked = json!({
        "kind": adjustment.kind,
        "partner": adjustment.partner_key,
        "program": adjustment.program_key,
        "amount": adjustment.amount,
        "currency": adjustment.currency,
        "note": adjustment.note,
        "mode": mode.as_str(),
    });
    session.audit(("adjustment.booked", "adjustment"), &adjustment.adjustment_id, None, Some(booked)).await?;
    Ok(adjustment)
}
