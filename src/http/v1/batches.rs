//! `/v1/batches`: a month's payouts, from the close to the bank.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Nothing, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::payouts::Payout;
use super::{Wanted, begin};
use crate::domain::calendar::Month;
use crate::payouts::batch::{self, Paid, PayoutError};
use crate::payouts::generic;
use crate::payouts::rows::generic_rows;
use crate::payouts::totals::{self, Total, Totals};
use crate::payouts::transfers;
use crate::program::valid;
use crate::store::api_keys::Role;
use crate::store::{batches as stored, payouts};

/// A month's payouts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Batch {
    /// Always `batch`.
    #[schema(example = "batch")]
    object: &'static str,
    /// `bat_…`
    batch_id: String,
    /// `live` or `test`.
    mode: &'static str,
    #[schema(example = "2026-10")]
    month: String,
    /// The month's first moment.
    period_start: DateTime<Utc>,
    /// The first moment after it.
    period_end: DateTime<Utc>,
    /// What was booked from then on waits for the next batch.
    cut_off_at: DateTime<Utc>,
    /// `closing`, `draft`, `approved`, `paying` or `paid`.
    #[schema(example = "draft")]
    status: String,
    closed_at: DateTime<Utc>,
    /// Who closed it: `cli`, `serve`, or `api:` and how the key begins.
    closed_by: String,
    approved_at: Option<DateTime<Utc>>,
    approved_by: Option<String>,
    /// Why paying stands still: `{"code": "balance_insufficient", "currency": "usd", "missing": 12300}`.
    #[schema(value_type = Option<Object>)]
    paused: Option<Value>,
    paid_at: Option<DateTime<Utc>>,
}

/// A month's payouts, and what they add up to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct BatchWithTotals {
    #[serde(flatten)]
    batch: Batch,
    /// What it pays, by the ledger's currencies.
    totals: Vec<BatchTotal>,
    /// The workspace's base currency, if it has one.
    #[schema(example = "eur")]
    base_currency: Option<String>,
    /// What it pays in the base currency, in minor units; null where a rate is missing.
    total_in_base: Option<i64>,
}

/// What a batch pays in one currency; amounts in minor units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct BatchTotal {
    #[schema(example = "usd")]
    currency: String,
    /// How many payouts.
    payouts: i64,
    amount: i64,
    /// What came back of it, or never left.
    returned: i64,
    /// The amount in the base currency; null where no rate is known.
    in_base: Option<i64>,
    /// Units of the base currency for one of this.
    #[schema(example = "0.8641548566")]
    rate: Option<String>,
    /// The day for which the rate was published.
    #[schema(example = "2026-10-30")]
    rate_day: Option<String>,
    rate_source: Option<String>,
}

impl BatchWithTotals {
    fn of(batch: &stored::Batch, totals: &Totals) -> Self {
        let total = |total: &Total| {
            let in_base = total.in_base.as_ref();
            BatchTotal {
                currency: total.currency.to_string(),
                payouts: total.payouts,
                amount: total.amount,
                returned: total.returned,
                in_base: in_base.map(|in_base| in_base.amount),
                rate: in_base.map(|in_base| in_base.rate.to_string()),
                rate_day: in_base.map(|in_base| in_base.day.to_string()),
                rate_source: in_base.map(|in_base| in_base.source.clone()),
            }
        };
        Self {
            batch: batch.into(),
            totals: totals.by_currency.iter().map(total).collect(),
            base_currency: totals.base.map(|base| base.to_string()),
            total_in_base: totals.in_base,
        }
    }
}

/// A month to close.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBatch {
    /// On the workspace's calendar; it must be over.
    #[schema(example = "2026-10", pattern = "^[0-9]{4}-[0-9]{2}$")]
    month: String,
}

/// What was paid.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkPaid {
    /// Only this partner's payouts.
    partner_key: Option<String>,
    /// Only payouts in this currency.
    currency: Option<String>,
    /// What the bank or service calls it; for one payout only.
    #[schema(min_length = 1, max_length = 255)]
    external_id: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportOf {
    /// `generic`: one row for each payout, with all that a bookkeeper asks for.
    format: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PayoutFilter {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `payout_id` of the last payout of the page before.
    #[param(pattern = "^po_")]
    starting_after: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
    /// `ready`, `blocked`, `sending`, `sent`, `settled`, `failed`, `returned` or `canceled`.
    status: Option<String>,
}

impl From<&stored::Batch> for Batch {
    fn from(batch: &stored::Batch) -> Self {
        Self {
            object: "batch",
            batch_id: batch.batch_id.clone(),
            mode: batch.mode().as_str(),
            month: batch.month.clone(),
            period_start: batch.period_start(),
            period_end: batch.period_end(),
            cut_off_at: batch.cut_off(),
            status: batch.status.clone(),
            closed_at: batch.closed_at(),
            closed_by: batch.closed_by.clone(),
            approved_at: batch.approved_at(),
            approved_by: batch.approved_by.clone(),
            paused: batch.paused(),
            paid_at: batch.paid_at(),
        }
    }
}

impl From<PayoutError> for Problem {
    fn from(error: PayoutError) -> Self {
        match error {
            PayoutError::NoBatch(name) => {
                Self::not_found(format!("there is no batch {name:?}: GET /v1/batches lists them, by id or month"))
            }
            PayoutError::NotOver { .. } => Self::conflict("month_not_over", error.to_string()),
            PayoutError::OutOfOrder { .. } => Self::conflict("later_month_closed", error.to_string()),
            PayoutError::NotApproved(month) => Self::conflict(
                "not_approved",
                format!("the payouts of {month} are not approved yet: POST /v1/batches/{month}/approve"),
            ),
            PayoutError::NoPayout { month, whom } => {
                Self::conflict("no_such_payout", format!("the batch of {month} pays nothing to {whom}"))
            }
            PayoutError::WhichPayout(_) => Self::conflict("several_payouts", error.to_string()),
            PayoutError::StillClosing(_) => Self::conflict("still_closing", error.to_string()),
            PayoutError::FourEyes { .. } => Self::conflict("four_eyes", error.to_string()),
            PayoutError::UnknownPayout(id) => Self::not_found(format!("there is no payout {id:?}")),
            PayoutError::NotNow { .. } => Self::conflict("not_now", error.to_string()),
            PayoutError::InFile { .. } => Self::conflict("in_payment_file", error.to_string()),
            PayoutError::PaidAs { .. } => Self::conflict("paid_otherwise", error.to_string()),
            PayoutError::Overflow { .. } => Self::conflict("amount_too_large", error.to_string()),
            PayoutError::Store(error) => Self::database(&error),
        }
    }
}

/// The closed months
///
/// The latest first.
#[utoipa::path(
    get, path = "/v1/batches", tag = "payouts", operation_id = "list_batches", params(Wanted),
    responses((status = 200, description = "A page of batches", body = List<Batch>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Batch>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "bat_")?;
    let mut tx = app.db.read().await?;
    let all = stored::all(&mut tx, caller.workspace(), caller.mode()).await?;
    Ok(Json(page.of_all(all.iter().map(Batch::from), |batch| &batch.batch_id)?))
}

/// Close a month
///
/// Nets what is payable into one payout per partner, currency and method; what is not payable rolls over, with a reason.
/// Closing it again changes nothing and answers with the batch as it is. A batch of many partners is answered while it is
/// still `closing`: the service goes on by itself, and `GET /v1/batches/{batch}` says `draft` when it is done.
#[utoipa::path(
    post, path = "/v1/batches", tag = "payouts", operation_id = "close_month", request_body = NewBatch,
    responses((status = 201, description = "The batch", body = Batch))
)]
pub(super) async fn close(State(app): State<App>, caller: Caller, post: Post<NewBatch>) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let month: Month = post.body.month.parse().map_err(|error| Problem::invalid("month", format!("{error}")))?;
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let (batch, _) = batch::close(tx, by, caller.mode(), month).await?;
    doing.answer(StatusCode::CREATED, &Batch::from(&batch)).await
}

/// A batch
#[utoipa::path(
    get, path = "/v1/batches/{batch}", tag = "payouts", operation_id = "get_batch",
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 200, description = "The batch", body = BatchWithTotals))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = batch::find(&mut tx, caller.workspace(), caller.mode(), &name).await?;
    let settings = app.db.terms(&mut tx, caller.workspace()).await?.current_settings();
    let totals = totals::of_batch(&mut tx, caller.workspace(), &settings, &found).await?;
    object(StatusCode::OK, &BatchWithTotals::of(&found, &totals))
}

/// A batch's payouts
#[utoipa::path(
    get, path = "/v1/batches/{batch}/payouts", tag = "payouts", operation_id = "list_payouts",
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10"), PayoutFilter),
    responses((status = 200, description = "A page of payouts", body = List<Payout>))
)]
pub(super) async fn payouts_of(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Query(filter): Query<PayoutFilter>,
) -> Result<Json<List<Payout>>, Problem> {
    let page = Page::of_ids(filter.limit, filter.starting_after, "po_")?;
    let mut tx = app.db.read().await?;
    let found = batch::find(&mut tx, caller.workspace(), caller.mode(), &name).await?;
    let all = payouts::of_batch(&mut tx, caller.workspace(), &found.batch_id).await?;
    let fits = |payout: &&payouts::Payout| {
        filter.partner.as_ref().is_none_or(|partner| payout.partner_key == *partner)
            && filter.status.as_ref().is_none_or(|status| payout.status == *status)
    };
    Ok(Json(page.of_all(all.iter().filter(fits).map(Payout::from), |payout| &payout.payout_id)?))
}

/// Approve a batch
///
/// Its payouts are booked. Approving it again changes nothing.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/approve", tag = "payouts", operation_id = "approve_batch",
    request_body = Option<Nothing>,
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 200, description = "The batch", body = Batch))
)]
pub(super) async fn approve(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let (batch, _) = batch::approve(tx, by, caller.mode(), &name).await?;
    doing.answer(StatusCode::OK, &Batch::from(&batch)).await
}

/// Pay a batch by Stripe
///
/// Asks for it; the service pays in the background, each payout once. A batch that stands still (`paused`) goes on.
/// `GET /v1/batches/{batch}` shows how far it is.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/pay", tag = "payouts", operation_id = "pay_batch",
    request_body = Option<Nothing>,
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 200, description = "The batch", body = Batch))
)]
pub(super) async fn pay(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    app.stripe_of(caller.workspace(), caller.mode()).await?;
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let batch = transfers::ask(tx, by, caller.mode(), &name).await?;
    doing.answer(StatusCode::OK, &Batch::from(&batch)).await
}

/// Mark payouts as paid
///
/// All approved payouts of the batch, or one partner's. Marking them again changes nothing.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/mark-paid", tag = "payouts", operation_id = "mark_batch_paid",
    request_body = MarkPaid,
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 200, description = "The batch", body = Batch))
)]
pub(super) async fn mark_paid(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: Post<MarkPaid>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let body = &post.body;
    let currency = body.currency.as_deref().map(valid::currency).transpose();
    let external_id = body.external_id.as_deref().map(str::trim);
    if external_id.is_some_and(|id| id.is_empty() || id.chars().count() > 255 || id.chars().any(char::is_control)) {
        return Err(Problem::invalid("external_id", "expected 1 to 255 characters"));
    }
    let paid = Paid {
        partner: body.partner_key.as_deref(),
        currency: currency.map_err(|error| Problem::invalid("currency", error))?,
        external_id,
    };
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let (batch, _) = batch::mark_paid(tx, by, caller.mode(), &name, &paid).await?;
    doing.answer(StatusCode::OK, &Batch::from(&batch)).await
}

/// A batch as a file
///
/// The same as `payouts export`: byte for byte the same each time.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/export", tag = "payouts", operation_id = "export_batch",
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10"), ExportOf),
    responses((status = 200, description = "The file", body = String, content_type = "text/csv"))
)]
pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Query(wanted): Query<ExportOf>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    if let Some(other) = wanted.format.as_deref().filter(|format| *format != "generic") {
        return Err(Problem::invalid("format", format!("{other:?} is no format: expected generic")));
    }
    let mut tx = app.db.read().await?;
    let batch = batch::find(&mut tx, caller.workspace(), caller.mode(), &name).await?;
    let all = payouts::of_batch(&mut tx, caller.workspace(), &batch.batch_id).await?;
    tx.rollback().await?;
    let mut file = Vec::new();
    generic::write(&generic_rows(&batch, &all)?, &mut file).map_err(|error| {
        tracing::error!(%error, "a payout file could not be written");
        Problem::internal()
    })?;
    let disposition = format!("attachment; filename=\"payouts-{}.csv\"", batch.month);
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, file).into_response())
}
