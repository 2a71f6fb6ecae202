//! How subscriptions stood over time: made of the facts at settling, read by reports.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::domain::mrr::Span;

/// The end of time.
const FOR_EVER: i64 = i64::MAX;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct State {
    mode: i64,
    subscription: String,
    from_at: i64,
    until_at: i64,
    customer_id: String,
    stripe_customer: Option<String>,
    status: String,
    mrr: i64,
    currency: Option<String>,
    product: Option<String>,
    partner_key: Option<String>,
    program_key: Option<String>,
    link_id: Option<String>,
}

impl State {
    fn new(customer_id: &str, mode: Mode, span: &Span) -> Self {
        let owner = span.owner.as_ref();
        Self {
            mode: mode.as_i64(),
            subscription: span.subscription.clone(),
            from_at: micros(span.from),
            until_at: if span.until == Time::MAX_UTC { FOR_EVER } else { micros(span.until) },
            customer_id: customer_id.to_owned(),
            stripe_customer: span.customer.clone(),
            status: span.status.as_str().to_owned(),
            mrr: span.mrr,
            currency: span.currency.map(|currency| currency.to_string()),
            product: span.product.clone(),
            partner_key: owner.map(|owner| owner.partner.clone()),
            program_key: owner.and_then(|owner| owner.program.clone()),
            link_id: owner.and_then(|owner| owner.link.clone()),
        }
    }
}

/// All rows of a customer's subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States {
    rows: Vec<State>,
    /// Stands for what they say; zero where there are none.
    pub digest: i64,
}

impl States {
    /// Of what a customer's facts and decisions say.
    pub fn new(customer_id: &str, mode: Mode, spans: &[Span]) -> Self {
        if spans.is_empty() {
            return Self::default();
        }
        let rows: Vec<State> = spans.iter().map(|span| State::new(customer_id, mode, span)).collect();
        let digest = Sha256::digest(format!("{rows:?}"));
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        let digest = i64::from_le_bytes(first);
        Self { rows, digest: if digest == 0 { 1 } else { digest } }
    }
}

const COLUMNS: &[(&str, Column)] = &[
    ("mode", Int),
    ("subscription", Text),
    ("from_at", Int),
    ("until_at", Int),
    ("customer_id", Text),
    ("stripe_customer", Text),
    ("status", Text),
    ("mrr", Int),
    ("currency", Text),
    ("product", Text),
    ("partner_key", Text),
    ("program_key", Text),
    ("link_id", Text),
];

/// Writes what differs from what is kept of these customers' subscriptions. Give only those whose digest differs.
pub async fn replace(
    tx: &mut Tx,
    workspace: WorkspaceId,
    states: impl IntoIterator<Item = &States>,
) -> Result<(), StoreError> {
    let mut wanted: BTreeMap<(i64, &str, i64), &State> = BTreeMap::new();
    let mut subscriptions: BTreeSet<&str> = BTreeSet::new();
    for state in states.into_iter().flat_map(|states| &states.rows) {
        subscriptions.insert(&state.subscription);
        wanted.insert((state.mode, &state.subscription, state.from_at), state);
    }
    if subscriptions.is_empty() {
        return Ok(());
    }
    let text =
        "SELECT s.mode, s.subscription, s.from_at, s.until_at, s.customer_id, s.stripe_customer, s.status, s.mrr,
                       s.currency, s.product, s.partner_key, s.program_key, s.link_id
                FROM v CROSS JOIN subscription_states s
                WHERE s.workspace_id = $1 AND s.mode = v.mode AND s.subscription = v.subscription";
    let mut asked = Rows::new(&[("mode", Int), ("subscription", Text)]);
    let of_modes: BTreeSet<(i64, &str)> = wanted.keys().map(|(mode, subscription, _)| (*mode, *subscription)).collect();
    for (mode, subscription) in of_modes {
        asked.push([mode.into(), subscription.into()]);
    }
    let known: Vec<State> = asked.fetch(tx, text, &[workspace.0.into()]).await?;
    let mut gone = Rows::new(&[("mode", Int), ("subscription", Text), ("from_at", Int)]);
    for state in &known {
        match wanted.get(&(state.mode, state.subscription.as_str(), state.from_at)) {
            Some(same) if *same == state => {
                wanted.remove(&(state.mode, state.subscription.as_str(), state.from_at));
            }
            Some(_) => {}
            None => gone.push([state.mode.into(), (&state.subscription).into(), state.from_at.into()]),
        }
    }
    let text = "DELETE FROM subscription_states
                WHERE workspace_id = $1 AND (mode, subscription, from_at) IN (SELECT mode, subscription, from_at FROM v)";
    gone.execute(tx, text, &[workspace.0.into()]).await?;
    let mut rows = Rows::new(COLUMNS);
    for state in wanted.values() {
        rows.push([
            state.mode.into(),
            (&state.subscription).into(),
            state.from_at.into(),
            state.until_at.into(),
            (&state.customer_id).into(),
            state.stripe_customer.as_deref().into(),
            (&state.status).into(),
            state.mrr.into(),
            state.currency.as_deref().into(),
            state.product.as_deref().into(),
            state.partner_key.as_deref().into(),
            state.program_key.as_deref().into(),
            state.link_id.as_deref().into(),
        ]);
    }
    let text = "INSERT INTO subscription_states (workspace_id, mode, subscription, from_at, until_at, customer_id,
                                                 stripe_customer, status, mrr, currency, product, partner_key,
                                                 program_key, link_id)
                SELECT $1, mode, subscription, from_at, until_at, customer_id,
                       stripe_customer, status, mrr, currency, product, partner_key,
                       program_key, link_id
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, subscription, from_at) DO UPDATE SET
                    until_at = excluded.until_at, customer_id = excluded.customer_id,
                    stripe_customer = excluded.stripe_customer, status = excluded.status, mrr = excluded.mrr,
                    currency = excluded.currency, product = excluded.product, partner_key = excluded.partner_key,
                    program_key = excluded.program_key, link_id = excluded.link_id";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}
