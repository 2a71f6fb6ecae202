//! A partner's personal data: who they are, how they are reached and paid.

use serde_json::Value;

use super::{Outcome, note, terms_with_pseudonyms};
use crate::admin::{Refused, Session};
use crate::domain::pseudonym::{ERASED, Eraser};
use crate::domain::terms::{Change, Erasable, Status, Terms};
use crate::intake::payload;
use crate::ledger::erase::all_without;
use crate::store::events::StoredEvent;
use crate::store::{Mode, Tx, WorkspaceId, balances, changes, events, personal};
use crate::stripe::OF_CONNECTED_ACCOUNTS;

/// What stays of a partner.
const KEPT: &str = "the partner's key, commissions, and what was frozen to be kept: statements, payouts with where they \
    went, and payment files are accounting records, which the law has one keep for years. Remove the key from your program \
    files, or the next `apply` enters the partner again.";

/// So many events are in memory at a time.
const PAGE: usize = 256;

/// Texts of a partner's JSON that are personal.
const PERSONAL: [&str; 9] = ["account", "country", "email", "legal_name", "locale", "name", "note", "tax_id", "vat_id"];

/// Erases a partner who does not earn any more and is owed nothing. The caller commits.
///
/// # Errors
/// [`Refused`]: there is no such partner, or money still moves.
pub async fn erase(session: &mut Session, key: &str) -> Result<Outcome, Refused> {
    let (terms, pseudonyms) = terms_with_pseudonyms(session).await?;
    let partner = terms.partners.get(key);
    let partner = partner.ok_or_else(|| Refused::Missing(format!("there is no partner {key:?}")))?;
    if partner.is_active(session.now) {
        return Err(Refused::conflict(
            "partner_active",
            format!(
                "partner {key} may still earn: make them inactive first (PATCH /v1/partners/{key}, or the program file)"
            ),
        ));
    }
    owed_nothing(session, key).await?;
    let eraser = Eraser { pseudonyms: &pseudonyms, terms: &terms };
    let workspace = session.workspace;
    let mut rows = 0;
    for entered in changes::since(&mut session.tx, workspace, 0).await? {
        let Change::Partner { partner, profile } = &entered.change else { continue };
        let erased = eraser.profile(profile);
        if partner != key || erased == *profile {
            continue;
        }
        let change = Change::Partner { partner: partner.clone(), profile: erased };
        personal::put_change(&mut session.tx, workspace, entered.seq, &text(&change)?).await?;
        rows += 1;
    }
    rows += audit_log(&mut session.tx, workspace, key, &eraser).await?;
    rows += answers(&mut session.tx, workspace, key, &eraser).await?;
    for (mail, _, recipient, _) in personal::mails(&mut session.tx, workspace, key).await? {
        let pseudonym = eraser.email(&recipient);
        if pseudonym != recipient {
            personal::put_recipient(&mut session.tx, workspace, &mail, &pseudonym).await?;
            rows += 1;
        }
    }
    personal::remove_invitations(&mut session.tx, workspace, key).await?;
    let account = partner.profile.payout.as_ref().and_then(|payout| payout.account.clone());
    let events = match account.filter(|account| account.starts_with("acct_")) {
        Some(account) => account_events(&mut session.tx, workspace, &account, &terms).await?,
        None => 0,
    };
    let erasure_id = note(session, Erasable::Partner, key, rows + events > 0).await?;
    Ok(Outcome {
        erasure_id,
        object: Erasable::Partner,
        subject: key.to_owned(),
        customers: Vec::new(),
        events,
        leads: 0,
        rows,
        kept: KEPT,
    })
}

fn text(value: &impl serde::Serialize) -> Result<String, Refused> {
    serde_json::to_string(value).map_err(|error| Refused::conflict("not_erased", error.to_string()))
}

/// Refuses while money is on its way: it needs to know where to.
async fn owed_nothing(session: &mut Session, key: &str) -> Result<(), Refused> {
    for mode in Mode::ALL {
        let all = balances::all(&mut session.tx, session.workspace, mode, session.now).await?;
        if let Some(open) = all.iter().find(|balance| balance.partner == key && balance.balance != 0) {
            return Err(Refused::conflict(
                "balance_open",
                format!(
                    "partner {key} has {} minor units of {} in the {mode} book: pay them, or book an adjustment, first",
                    open.balance, open.currency
                ),
            ));
        }
        let payouts = personal::payouts(&mut session.tx, (session.workspace, mode), key).await?;
        if let Some(open) = payouts.iter().find(|payout| matches!(payout.2.as_str(), "ready" | "sending" | "sent")) {
            return Err(Refused::conflict(
                "payout_open",
                format!("payout {} of {} is {}: wait until it is settled, or cancel it", open.0, open.1, open.2),
            ));
        }
    }
    if session
        .terms()
        .await?
        .partners
        .get(key)
        .is_some_and(|partner| partner.status.latest().copied().unwrap_or(Status::Active) == Status::Active)
    {
        return Err(Refused::conflict(
            "partner_active",
            format!("partner {key} will earn again: make them inactive first"),
        ));
    }
    Ok(())
}

/// Puts pseudonyms and [`ERASED`] into a partner's JSON.
fn scrub(value: &mut Value, eraser: &Eraser<'_>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "email" => *text = eraser.email(text),
                    Value::String(text) if PERSONAL.contains(&name.as_str()) => ERASED.clone_into(text),
                    other => scrub(other, eraser),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, eraser)),
        _ => {}
    }
}

fn scrubbed(text: &str, eraser: &Eraser<'_>) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    scrub(&mut value, eraser);
    value.to_string()
}

async fn audit_log(tx: &mut Tx, workspace: WorkspaceId, key: &str, eraser: &Eraser<'_>) -> Result<usize, Refused> {
    let mut rows = 0;
    for (id, before, after) in personal::audited(tx, workspace, ("partner", key)).await? {
        let erased = |text: &Option<String>| text.as_deref().map(|text| scrubbed(text, eraser));
        let (new_before, new_after) = (erased(&before), erased(&after));
        if (&new_before, &new_after) != (&before, &after) {
            personal::put_audited(tx, workspace, &id, new_before.as_deref(), new_after.as_deref()).await?;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Answers about this partner that were kept for requests that are repeated.
async fn answers(tx: &mut Tx, workspace: WorkspaceId, key: &str, eraser: &Eraser<'_>) -> Result<usize, Refused> {
    let mut rows = 0;
    for (mode, name, body) in personal::answers_with(tx, workspace, &format!("\"{key}\"")).await? {
        let Ok(mut answer) = serde_json::from_str::<Value>(&body) else { continue };
        let is_theirs = |value: &Value| value.get("partner_key").and_then(Value::as_str) == Some(key);
        if !is_theirs(&answer) {
            continue;
        }
        scrub(&mut answer, eraser);
        let erased = answer.to_string();
        if erased != body {
            personal::put_answer(tx, workspace, (mode, &name), &erased).await?;
            rows += 1;
        }
    }
    Ok(rows)
}

fn names(event: &StoredEvent, account: &str) -> bool {
    let body = payload::unpack(&event.payload, event.payload_codec).unwrap_or_default();
    String::from_utf8_lossy(&body).contains(&format!("\"{account}\""))
}

/// What Stripe said of the partner's own account.
async fn account_events(tx: &mut Tx, workspace: WorkspaceId, account: &str, terms: &Terms) -> Result<usize, Refused> {
    let terms = std::sync::Arc::new(terms.clone());
    let mut erased = 0;
    for mode in Mode::ALL {
        for kind in OF_CONNECTED_ACCOUNTS {
            let keys = events::of_type(tx, (workspace, mode), kind).await?;
            for page in keys.chunks(PAGE) {
                let asked: Vec<(&str, i64)> = page.iter().map(|(id, shape)| (id.as_str(), *shape)).collect();
                let mut raw = events::by_keys(tx, workspace, asked).await?;
                raw.retain(|event| names(event, account));
                let rewritten = all_without(raw, &terms).await?;
                events::rewrite(tx, workspace, &rewritten).await?;
                erased += rewritten.len();
            }
        }
    }
    Ok(erased)
}
