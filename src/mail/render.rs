//! What a mail says, made when it is sent, of what is frozen: the statement, the payout, the batch.

use std::collections::BTreeMap;

use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::money::Overflow;
use crate::domain::statement::Converted;
use crate::domain::terms::{Profile, Settings, Terms};
use crate::statements::mail::{
    self as templates, ActionNeeded, BlockedGroup, CurrencyTotal, MailContent, MonthEnd, PayoutSent, Trouble,
};
use crate::statements::{self, Merchant, Reader};
use crate::store::batches::{self, Batch};
use crate::store::mails::{self, Kind, Mail};
use crate::store::payouts::{self, Payout};
use crate::store::statements as frozen;
use crate::store::{Mode, StoreError, Tx, WorkspaceId, workspaces};

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// What it speaks of is not there (any more).
    #[error("{0}, of which it speaks, is not there")]
    Missing(String),
    /// The sums of a batch are beyond all bounds.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The templates.
    #[error(transparent)]
    Template(#[from] statements::RenderError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a mail.
///
/// # Errors
/// [`RenderError`].
pub async fn content(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mail: &Mail,
    terms: &Terms,
) -> Result<MailContent, RenderError> {
    let settings = terms.current_settings();
    let key = workspaces::key(tx, workspace).await?;
    let merchant = Merchant::of(&settings.mail, &key, mail.mode == Mode::Test);
    match mail.kind {
        Kind::Statement => {
            let frozen = frozen::frozen(tx, workspace, mail.mode, &mail.object_id).await?;
            let frozen = frozen.ok_or_else(|| RenderError::Missing(mail.object_id.clone()))?;
            let statement = &frozen.statement;
            let reader = reader(terms, &settings, &statement.partner, &statement.partner_name);
            Ok(templates::statement(&merchant, &reader, &frozen)?)
        }
        Kind::PayoutSent | Kind::ActionNeeded => {
            let (payout, batch) = payout_and_batch(tx, workspace, &mail.object_id).await?;
            let then: Profile = serde_json::from_str(&payout.profile).unwrap_or_default();
            let reader = reader(terms, &settings, &payout.partner_key, &then.name);
            let month = month_of(&batch)?;
            Ok(match mail.kind {
                Kind::PayoutSent => templates::payout_sent(&merchant, &reader, &sent(&payout, month, mail)?)?,
                _ => templates::action_needed(&merchant, &reader, &needed(&payout, month)?)?,
            })
        }
        Kind::MonthEnd => {
            let batch = batches::by_id(tx, workspace, &mail.object_id).await?;
            let batch = batch.ok_or_else(|| RenderError::Missing(mail.object_id.clone()))?;
            let summary = summary(tx, workspace, &batch, terms).await?;
            let reader = Reader { name: String::new(), locale: None, time_zone: settings.time_zone };
            Ok(templates::month_end(&merchant, &reader, &summary)?)
        }
    }
}

async fn payout_and_batch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payout_id: &str,
) -> Result<(Payout, Batch), RenderError> {
    let missing = |what: &str| RenderError::Missing(what.to_owned());
    let payout = payouts::by_id(tx, workspace, payout_id).await?.ok_or_else(|| missing(payout_id))?;
    let batch = batches::by_id(tx, workspace, &payout.batch_id).await?.ok_or_else(|| missing(&payout.batch_id))?;
    Ok((payout, batch))
}

/// The partner who reads it: by the name that they have now, or had then, or their key.
fn reader(terms: &Terms, settings: &Settings, partner: &str, name_then: &str) -> Reader {
    let profile = terms.partners.get(partner).map(|partner| &partner.profile);
    let name_now = profile.map_or("", |profile| profile.name.as_str());
    let name = [name_now, name_then, partner].into_iter().find(|name| !name.trim().is_empty()).unwrap_or(partner);
    let locale = profile.and_then(|profile| profile.locale.clone());
    Reader { name: name.to_owned(), locale, time_zone: settings.time_zone }
}

fn month_of(batch: &Batch) -> Result<Month, StoreError> {
    batch.month.parse().map_err(|error: crate::domain::calendar::BadMonth| StoreError::Unreadable {
        what: "batch",
        key: batch.batch_id.clone(),
        why: error.to_string(),
    })
}

fn sent(payout: &Payout, month: Month, mail: &Mail) -> Result<PayoutSent, StoreError> {
    let (currency, paid_currency) = (payout.currency()?, payout.paid_currency()?);
    let converted = (currency != paid_currency).then(|| Converted {
        amount: payout.paid_amount,
        currency: paid_currency,
        rate: payout.fx_rate.clone().unwrap_or_default(),
        day: payout.fx_day.clone().unwrap_or_default(),
        source: payout.fx_source.clone().unwrap_or_default(),
    });
    Ok(PayoutSent {
        month,
        amount: payout.amount,
        currency,
        converted,
        method: payout.method.clone(),
        destination: payout.destination.clone(),
        reference: payout.reference.clone(),
        external_id: payout.external_id.clone(),
        sent_at: payout.sent_at().or(payout.settled_at()).unwrap_or(mail.created_at),
    })
}

fn needed(payout: &Payout, month: Month) -> Result<ActionNeeded, StoreError> {
    let said = payout.failure_reason.clone();
    let (amount, trouble) = match payout.status.as_str() {
        "blocked" => (payout.closing, Trouble::Blocked(payout.reason.clone().unwrap_or_default())),
        "returned" => (payout.returned, Trouble::Returned(said)),
        _ => (payout.amount, Trouble::Failed(said)),
    };
    Ok(ActionNeeded {
        month,
        amount,
        currency: payout.currency()?,
        trouble,
        method: payout.method.clone(),
        destination: payout.destination.clone(),
        link: None,
    })
}

async fn summary(tx: &mut Tx, workspace: WorkspaceId, batch: &Batch, terms: &Terms) -> Result<MonthEnd, RenderError> {
    let all = payouts::of_batch(tx, workspace, &batch.batch_id).await?;
    let mut totals: BTreeMap<Currency, CurrencyTotal> = BTreeMap::new();
    let mut blocked: BTreeMap<(String, Currency), BlockedGroup> = BTreeMap::new();
    for payout in &all {
        let currency = payout.currency()?;
        let empty = CurrencyTotal { currency, payouts: 0, amount: 0, blocked: 0, kept: 0 };
        let total = totals.entry(currency).or_insert(empty);
        total.kept = total.kept.checked_add(payout.closing).ok_or(Overflow)?;
        if payout.pays() {
            total.payouts += 1;
            total.amount = total.amount.checked_add(payout.amount).ok_or(Overflow)?;
            continue;
        }
        total.blocked += 1;
        let reason = payout.reason.clone().unwrap_or_default();
        let none = || BlockedGroup { reason: reason.clone(), currency, payouts: 0, amount: 0, partners: Vec::new() };
        let group = blocked.entry((reason.clone(), currency)).or_insert_with(none);
        group.payouts += 1;
        group.amount = group.amount.checked_add(payout.closing).ok_or(Overflow)?;
        let name = terms.partners.get(&payout.partner_key).map(|partner| partner.profile.name.trim());
        let name = name.filter(|name| !name.is_empty()).unwrap_or(&payout.partner_key);
        group.partners.push(name.to_owned());
    }
    let without_address = all
        .iter()
        .filter(|payout| terms.partners.get(&payout.partner_key).is_none_or(|partner| partner.profile.email.is_none()));
    let mut to_do = Vec::new();
    match without_address.count() {
        0 => {}
        1 => to_do.push("1 partner has no e-mail address and gets no statement.".to_owned()),
        many => to_do.push(format!("{many} partners have no e-mail address and get no statement.")),
    }
    Ok(MonthEnd {
        month: month_of(batch)?,
        status: batch.status.clone(),
        closed_at: batch.closed_at(),
        statements: mails::statements(tx, workspace, &batch.batch_id).await?.len(),
        totals: totals.into_values().collect(),
        blocked: blocked.into_values().collect(),
        to_do,
    })
}
