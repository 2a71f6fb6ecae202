//! Everything that is kept of somebody, as JSON, for them to read.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::find;
use crate::admin::Refused;
use crate::clock::from_micros;
use crate::domain::Time;
use crate::domain::evidence::clues;
use crate::domain::terms::{Change, Terms};
use crate::intake::payload;
use crate::store::leads::StoredLead;
use crate::store::{
    Db, Mode, StoreError, Tx, WorkspaceId, balances, changes, customers, erasures, events, facts, leads, payments,
    personal, refs, statements,
};

/// Everything that is kept of the customers who are called so. `most`: of more events the export is refused.
///
/// # Errors
/// [`Refused`].
pub async fn customer(
    db: &Db,
    (workspace, mode): (WorkspaceId, Mode),
    name: &str,
    now: Time,
    most: usize,
) -> Result<Value, Refused> {
    let mut tx = db.read().await?;
    let terms = db.terms(&mut tx, workspace).await?;
    let pseudonyms = erasures::pseudonyms(&mut tx, workspace).await?;
    let found = find(&mut tx, (workspace, mode), name, pseudonyms.as_ref()).await?;
    let ids: Vec<&str> = found.customers.iter().map(String::as_str).collect();
    let keys = facts::events_of_customers(&mut tx, workspace, ids.iter().copied()).await?;
    if keys.len() > most {
        let why = format!("{} events are kept of them: `commission-bridge privacy export` writes them all", keys.len());
        return Err(Refused::conflict("too_many_events", why));
    }
    let mut described = Vec::new();
    let mut asked = found.addresses.clone();
    for id in &ids {
        described.push(one_customer(&mut tx, workspace, id, &terms, &mut asked).await?);
    }
    let leads = all_leads(&mut tx, workspace, &asked).await?;
    tx.rollback().await?;
    if described.is_empty() && leads.is_empty() {
        return Err(Refused::Missing("nothing is kept of a customer who is called so".to_owned()));
    }
    Ok(json!({
        "object": "personal_data", "of": "customer", "mode": mode.as_str(), "exported_at": now,
        "customers": described, "leads": leads,
    }))
}

async fn one_customer(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: &str,
    terms: &Terms,
    addresses: &mut BTreeSet<(crate::domain::lead::LeadBy, String)>,
) -> Result<Value, StoreError> {
    let customer = customers::by_id(tx, workspace, id).await?;
    let stored = facts::of_customers(tx, workspace, [id]).await?;
    let mut found_by = BTreeSet::new();
    for stored in &stored {
        found_by.extend(clues(&stored.read()?, terms));
    }
    addresses.extend(
        found_by
            .iter()
            .filter_map(|clue| crate::domain::lead::LeadBy::of_clue(clue))
            .map(|(by, value)| (by, value.to_owned())),
    );
    let keys: Vec<(&str, i64)> = stored.iter().map(|facts| (facts.event_id.as_str(), facts.shape)).collect();
    let mut bodies = Vec::new();
    for page in keys.chunks(256) {
        for event in events::by_keys(tx, workspace, page.iter().copied()).await? {
            let body = payload::unpack(&event.payload, event.payload_codec).unwrap_or_default();
            bodies.push(json!({
                "event_id": event.event_id, "received_at": event.received(),
                "body": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
            }));
        }
    }
    bodies.sort_by_key(|body| body["received_at"].to_string());
    let paid = payments::of_customers(tx, workspace, [id]).await?;
    let paid: Vec<Value> = paid
        .iter()
        .map(|payment| {
            json!({
                "payment_id": payment.payment_id, "reference": payment.reference, "paid": payment.paid,
                "taken_back": payment.taken_back, "currency": payment.currency, "decision": payment.code,
                "partner_key": payment.partner_key, "evidence_kind": payment.evidence_kind, "evidence": payment.evidence,
            })
        })
        .collect();
    let names = refs::of_customers(tx, workspace, [id]).await?;
    Ok(json!({
        "customer_id": id,
        "known_since": customer.map(|customer| customer.created_at()),
        "references": names.into_iter().map(|(_, name)| name).collect::<Vec<_>>(),
        "found_by": found_by, "payments": paid, "events": bodies,
    }))
}

async fn all_leads(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &BTreeSet<(crate::domain::lead::LeadBy, String)>,
) -> Result<Vec<Value>, StoreError> {
    let found: Vec<StoredLead> = leads::stored(tx, workspace, asked).await?;
    let described = |lead: &StoredLead| {
        json!({
            "lead_id": lead.lead_id, "by": lead.by().as_str(), "value": lead.value, "partner_key": lead.partner_key,
            "program": lead.program_key, "click_id": lead.click_id, "from": lead.from(), "entered_at": lead.entered(),
            "author": lead.author,
        })
    };
    Ok(found.iter().map(described).collect())
}

/// Everything that is kept of a partner.
///
/// # Errors
/// [`Refused`].
pub async fn partner(db: &Db, (workspace, mode): (WorkspaceId, Mode), key: &str, now: Time) -> Result<Value, Refused> {
    let mut tx = db.read().await?;
    let terms = db.terms(&mut tx, workspace).await?;
    let known = terms.partners.get(key);
    let known = known.ok_or_else(|| Refused::Missing(format!("there is no partner {key:?}")))?;
    let entered = changes::since(&mut tx, workspace, 0).await?;
    let history: Vec<Value> = entered
        .iter()
        .filter(|entered| concerns(&entered.change, key))
        .map(|entered| json!({ "at": entered.at, "author": entered.author, "change": entered.change }))
        .collect();
    let audited: Vec<Value> = personal::audited(&mut tx, workspace, ("partner", key))
        .await?
        .into_iter()
        .map(|(id, before, after)| json!({ "audit_id": id, "before": parsed(before), "after": parsed(after) }))
        .collect();
    let mails: Vec<Value> = personal::mails(&mut tx, workspace, key)
        .await?
        .into_iter()
        .map(|(id, kind, recipient, at)| {
            json!({ "mail_id": id, "kind": kind, "recipient": recipient, "created_at": from_micros(at) })
        })
        .collect();
    let payouts: Vec<Value> = personal::payouts(&mut tx, (workspace, mode), key)
        .await?
        .into_iter()
        .map(|(id, month, status, amount, currency, destination, profile)| {
            json!({
                "payout_id": id, "month": month, "status": status, "amount": amount, "currency": currency,
                "destination": destination, "profile": parsed(Some(profile)),
            })
        })
        .collect();
    let statements = all_statements(&mut tx, (workspace, mode), key).await?;
    let owed: HashMap<String, i64> = balances::all(&mut tx, workspace, mode, now)
        .await?
        .into_iter()
        .filter(|balance| balance.partner == key)
        .map(|balance| (balance.currency.to_string(), balance.balance))
        .collect();
    tx.rollback().await?;
    Ok(json!({
        "object": "personal_data", "of": "partner", "mode": mode.as_str(), "exported_at": now, "partner_key": key,
        "profile": known.profile, "entered_at": known.entered_at,
        "programs": known.enrollments.iter().map(|(program, _)| program).collect::<Vec<_>>(),
        "history": history, "audit_log": audited, "mails": mails, "payouts": payouts, "statements": statements,
        "balances": owed,
    }))
}

fn concerns(change: &Change, key: &str) -> bool {
    match change {
        Change::Partner { partner, .. }
        | Change::PartnerStatus { partner, .. }
        | Change::PartnerGroup { partner, .. }
        | Change::PartnerRecruiter { partner, .. }
        | Change::Enrollment { partner, .. } => partner == key,
        Change::Code { owner, .. } => owner.as_ref().is_some_and(|owner| owner.partner == key),
        _ => false,
    }
}

fn parsed(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

async fn all_statements(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    key: &str,
) -> Result<Vec<Value>, StoreError> {
    const PAGE: i64 = 100;
    let (mut all, mut behind): (Vec<Value>, Option<statements::StatementRow>) = (Vec::new(), None);
    loop {
        let wanted = statements::Wanted { batch_id: None, partner: Some(key), behind: behind.as_ref() };
        let page = statements::page(tx, workspace, mode, &wanted, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        behind = Some(last.clone());
        for row in &page {
            let frozen = statements::frozen(tx, workspace, mode, &row.statement_id).await?;
            let file = frozen.and_then(|frozen| serde_json::from_slice::<Value>(&frozen.file()).ok());
            all.push(json!({ "statement_id": row.statement_id, "month": row.month, "document": file }));
        }
    }
}
