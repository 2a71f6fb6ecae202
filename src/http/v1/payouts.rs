//! `/v1/payouts`: one partner's money of a month, and what becomes of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::{App, Problem};
use super::begin;
use crate::payouts::outcome::{self, InFile};
use crate::program::valid;
use crate::store::api_keys::Role;
use crate::store::{payouts, transfers};

/// One partner's money in one currency by one method; amounts in minor units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Payout {
    /// Always `payout`.
    #[schema(example = "payout")]
    object: &'static str,
    /// `po_…`
    pub(super) payout_id: String,
    batch_id: String,
    partner_key: String,
    #[schema(example = "usd")]
    currency: String,
    /// `stripe`, `csv`, `paypal`, `wise`, `sepa`, or `none` where it is not known.
    method: String,
    /// What the batch before rolled over.
    opening: i64,
    /// Commissions since.
    earned: i64,
    /// Commissions taken back since, positive.
    reversed: i64,
    /// Everything else since.
    adjustments: i64,
    /// What is paid; zero where all rolls over.
    amount: i64,
    /// What stays.
    closing: i64,
    /// The minimum that counted.
    minimum: i64,
    /// How many entries make it up.
    entry_count: i64,
    /// How many of them are commissions that were earned.
    commission_count: i64,
    /// What really leaves, in minor units of `paid_currency`.
    paid_amount: i64,
    /// The currency that the partner is paid in.
    paid_currency: String,
    /// Units of the paid currency for one of the ledger's, where they differ.
    #[schema(example = "0.8641548566")]
    fx_rate: Option<String>,
    /// The day for which the rate was published.
    #[schema(example = "2026-10-30")]
    fx_day: Option<String>,
    /// Who published it.
    fx_source: Option<String>,
    /// `ready`, `blocked`, `sending`, `sent`, `settled`, `failed`, `returned` or `canceled`.
    status: String,
    /// Why nothing is paid.
    reason: Option<String>,
    /// What the partner sees on their account.
    reference: String,
    sent_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
    /// What the bank or service calls it.
    external_id: Option<String>,
    /// Why it failed, came back or was canceled.
    failure_reason: Option<String>,
    /// What came back, in minor units of `currency`.
    returned: i64,
    /// The payment file that it stands in.
    file_id: Option<String>,
}

/// A payout, and every try at paying it by Stripe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PayoutWithAttempts {
    #[serde(flatten)]
    payout: Payout,
    attempts: Vec<Attempt>,
}

/// A try at paying a payout by Stripe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attempt {
    /// 1, 2, …
    attempt: i64,
    /// Under which Stripe does it once.
    idempotency_key: String,
    /// `open` (its outcome is not known yet), `done`, `refused`, `expired` or `unsent`.
    #[schema(example = "done")]
    status: String,
    /// How often Stripe was asked.
    tries: i64,
    started_at: DateTime<Utc>,
    tried_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// Stripe's code, where it was refused.
    #[schema(example = "balance_insufficient")]
    code: Option<String>,
    /// The same in words, or why its outcome is not known yet.
    message: Option<String>,
}

impl From<transfers::Attempt> for Attempt {
    fn from(attempt: transfers::Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            started_at: attempt.started_at(),
            tried_at: attempt.tried_at(),
            ended_at: attempt.ended_at(),
            idempotency_key: attempt.idempotency_key,
            status: attempt.status,
            tries: attempt.tries,
            code: attempt.code,
            message: attempt.message,
        }
    }
}

/// Why a payout is canceled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelPayout {
    /// For the partner's next statement and the audit log.
    #[schema(min_length = 1, max_length = 1000, example = "wrong account")]
    reason: String,
    /// That the payment file in which it stands was not, and will not be, handed over.
    #[serde(default)]
    not_paid_out: bool,
}

impl From<&payouts::Payout> for Payout {
    fn from(payout: &payouts::Payout) -> Self {
        Self {
            object: "payout",
            payout_id: payout.payout_id.clone(),
            batch_id: payout.batch_id.clone(),
            partner_key: payout.partner_key.clone(),
            currency: payout.currency().map(|currency| currency.to_string()).unwrap_or_default(),
            method: payout.method.clone(),
            opening: payout.opening,
            earned: payout.earned,
            reversed: payout.reversed,
            adjustments: payout.adjustments,
            amount: payout.amount,
            closing: payout.closing,
            minimum: payout.minimum,
            entry_count: payout.entry_count,
            commission_count: payout.commission_count,
            paid_amount: payout.paid_amount,
            paid_currency: payout.paid_currency_text().to_owned(),
            fx_rate: payout.fx_rate.clone(),
            fx_day: payout.fx_day.clone(),
            fx_source: payout.fx_source.clone(),
            status: payout.status.clone(),
            reason: payout.reason.clone(),
            reference: payout.reference.clone(),
            sent_at: payout.sent_at(),
            settled_at: payout.settled_at(),
            external_id: payout.external_id.clone(),
            failure_reason: payout.failure_reason.clone(),
            returned: payout.returned,
            file_id: payout.file_id.clone(),
        }
    }
}

/// A payout
///
/// With every try at paying it by Stripe.
#[utoipa::path(
    get, path = "/v1/payouts/{payout}", tag = "payouts", operation_id = "get_payout",
    params(("payout" = String, Path, description = "`po_…`")),
    responses((status = 200, description = "The payout", body = PayoutWithAttempts))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = payouts::by_id(&mut tx, caller.workspace(), &id).await?;
    let found = found.filter(|payout| payout.mode() == caller.mode());
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no payout {id:?}")))?;
    let attempts = transfers::attempts(&mut tx, caller.workspace(), &id).await?;
    let attempts = attempts.into_iter().map(Attempt::from).collect();
    object(StatusCode::OK, &PayoutWithAttempts { payout: Payout::from(&found), attempts })
}

/// Cancel a payout
///
/// Only one that has not left. Its money is free for the next batch, by an entry of the ledger. Canceling it again
/// changes nothing.
#[utoipa::path(
    post, path = "/v1/payouts/{payout}/cancel", tag = "payouts", operation_id = "cancel_payout",
    request_body = CancelPayout,
    params(("payout" = String, Path, description = "`po_…`")),
    responses((status = 200, description = "The payout", body = Payout))
)]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    post: Post<CancelPayout>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let reason = valid::prose(&post.body.reason, "a reason").map_err(|error| Problem::invalid("reason", error))?;
    let in_file = if post.body.not_paid_out { InFile::NotPaidOut } else { InFile::Refuse };
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let known = payouts::by_id(tx, by.workspace, &id).await?.filter(|payout| payout.mode() == caller.mode());
    if known.is_none() {
        return Err(Problem::not_found(format!("there is no payout {id:?}")));
    }
    let changed = outcome::cancel(tx, by, &id, &reason, in_file).await?;
    doing.answer(StatusCode::OK, &Payout::from(&changed.after)).await
}
