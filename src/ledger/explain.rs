//! Why a payment was credited, or was not: decided once more, with the trace.

use super::Ledger;
use super::asking::look_up;
use super::settle::{load_cases, load_lookups};
use crate::domain::decision::{Decision, explain};
use crate::domain::history::fold;
use crate::store::entries::{self, Entry};
use crate::store::{Mode, StoreError, WorkspaceId, customers, payments, refs};

/// A payment's decision with its trace, and what is booked for it.
#[derive(Debug, Clone)]
pub struct Explained {
    /// `pay_…`, once it is settled.
    pub payment_id: Option<String>,
    /// The answer, with its trace.
    pub decision: Decision,
    /// Its lines in the ledger.
    pub entries: Vec<Entry>,
}

impl Explained {
    /// As in the API and on the command line: amounts in minor units.
    pub fn json(&self) -> serde_json::Value {
        let Self { payment_id, decision, entries } = self;
        let entries: Vec<serde_json::Value> = entries
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "entry_id": entry.entry_id,
                    "kind": entry.kind.as_str(),
                    "partner_key": entry.partner,
                    "program": entry.program,
                    "component": entry.component.as_str(),
                    "amount": entry.amount,
                    "currency": entry.currency,
                    "occurred_at": entry.occurred_at,
                    "available_at": entry.available_at,
                    "event_id": entry.event_id,
                    "reason": entry.reason,
                })
            })
            .collect();
        let shares: Vec<serde_json::Value> = decision
            .shares
            .iter()
            .map(|share| {
                serde_json::json!({
                    "partner_key": share.partner,
                    "program": share.program,
                    "component": share.component.as_str(),
                    "amount": share.amount,
                    "currency": decision.currency,
                })
            })
            .collect();
        serde_json::json!({
            "payment": {
                "id": payment_id,
                "ref": decision.reference,
                "references": decision.references,
                "customer": decision.customer,
                "kind": decision.kind,
                "paid_at": decision.paid_at,
                "paid": decision.paid,
                "taken_back": decision.taken_back,
                "currency": decision.currency,
            },
            "decision": {
                "code": decision.code,
                "sentence": decision.code.sentence(),
                "partner_key": decision.partner,
                "program": decision.program,
                "version": decision.version,
                "amount": decision.amount,
                "currency": decision.currency,
            },
            "shares": shares,
            "trace": decision.trace,
            "entries": entries,
        })
    }
}

/// What is known of a reference.
#[derive(Debug, Clone)]
pub enum Explanation {
    /// It is a payment's.
    Payment(Box<Explained>),
    /// Something names it, but no money was received for it so far.
    NoPayment,
    /// Nothing names it.
    Unknown,
    /// Its customer cannot be decided; the reason.
    Parked(String),
}

/// Explains the payment that `reference` (`in_…`, `pi_…`, `ch_…`, `cs_…`, `pay_…`) belongs to, as of now.
///
/// # Errors
/// The database's.
pub async fn explain_reference(
    ledger: &Ledger,
    workspace: WorkspaceId,
    mode: Mode,
    reference: &str,
) -> Result<Explanation, StoreError> {
    let now = ledger.clock.now();
    let mut tx = ledger.db.read().await?;
    let terms = ledger.db.terms(&mut tx, workspace).await?;
    let known = payments::find(&mut tx, workspace, mode, reference).await?;
    let owner = match &known {
        Some(payment) => Some(payment.customer_id.clone()),
        None => refs::owners(&mut tx, workspace, [(mode, reference)]).await?.into_iter().next().map(|(_, owner)| owner),
    };
    let Some(owner) = owner else { return Ok(Explanation::Unknown) };
    let customers = customers::by_id(&mut tx, workspace, &owner).await?;
    let cases = load_cases(&mut tx, workspace, customers.into_iter().collect()).await?;
    let mut lookups = load_lookups(&mut tx, workspace, &cases, &terms).await?;
    let Some(case) = cases.into_iter().next() else { return Ok(Explanation::Unknown) };
    let history = match case.events {
        Ok(events) => fold(&events),
        Err(reason) => return Ok(Explanation::Parked(reason)),
    };
    let decisions = loop {
        match explain(&history, &terms, &lookups, now) {
            Ok(decisions) if decisions.needs.is_empty() => break decisions,
            Ok(decisions) => {
                look_up(&mut tx, workspace, case.customer.mode(), &decisions.needs, &mut lookups.aggregates).await?;
            }
            Err(error) => return Ok(Explanation::Parked(error.to_string())),
        }
    };
    let main = known.as_ref().map_or(reference, |payment| payment.reference.as_str());
    let is_it = |decision: &Decision| decision.references.iter().any(|known| known == reference || known == main);
    let Some(decision) = decisions.payments.into_iter().find(is_it) else { return Ok(Explanation::NoPayment) };
    let payment_id = known.map(|payment| payment.payment_id);
    let booked = entries::of_payments(&mut tx, workspace, payment_id.as_deref()).await?;
    let entries = booked.into_iter().map(|booked| booked.entry).collect();
    Ok(Explanation::Payment(Box::new(Explained { payment_id, decision, entries })))
}
