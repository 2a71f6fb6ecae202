//! `/v1/reconciliations`: months held against Stripe's own objects.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::Post;
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::{Wanted, begin};
use crate::domain::calendar::Month;
use crate::intake::asking::Asking;
use crate::intake::patience::Patience;
use crate::reconcile::{ReconcileError, Reconciler};
use crate::store::api_keys::Role;
use crate::store::{StoreError, reconciliations as stored};

/// A month held against Stripe's own objects.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reconciliation {
    /// Always `reconciliation`.
    #[schema(example = "reconciliation")]
    object: &'static str,
    /// In the workspace's time zone.
    #[schema(example = "2026-10")]
    month: String,
    /// `live` or `test`.
    mode: &'static str,
    /// When it was compared last.
    checked_at: DateTime<Utc>,
    /// Whether nothing differs.
    is_clean: bool,
    /// How many objects differ.
    differing: i64,
    /// `objects`: how many were looked at, by kind. `currencies`: minor units by currency; `stripe` is what Stripe received,
    /// and `credited`, all of `refused`, `unsettled` and `differing` add up to it. `differences`: the first thousand objects
    /// that differ, each with `kind`, `id`, `why` (`missing`, `differs`, `unknown_to_stripe`, `unreadable`), `ours` and
    /// `stripe`.
    #[schema(value_type = Object)]
    report: Value,
}

impl Reconciliation {
    fn of(found: &stored::Reconciliation) -> Result<Self, StoreError> {
        let report = found.report()?;
        Ok(Self {
            object: "reconciliation",
            month: found.month.clone(),
            mode: found.mode().as_str(),
            checked_at: found.checked_at(),
            is_clean: report.is_clean(),
            differing: found.differing,
            report: serde_json::to_value(&report).unwrap_or_default(),
        })
    }
}

/// The months that were compared
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/reconciliations", tag = "stripe", operation_id = "list_reconciliations", params(Wanted),
    responses((status = 200, description = "A page of months", body = List<Reconciliation>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Reconciliation>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let mut tx = app.db.read().await?;
    let book = (caller.workspace(), caller.mode());
    let found = stored::list(&mut tx, book, page.starting_after.as_deref(), page.and_one()).await?;
    let List { object, data, has_more } = page.list(found);
    let data = data.iter().map(Reconciliation::of).collect::<Result<_, _>>()?;
    Ok(Json(List { object, data, has_more }))
}

/// A month to compare.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToCompare {
    /// In the workspace's time zone.
    #[schema(example = "2026-10")]
    month: String,
}

/// Compare a month
///
/// Lists Stripe's charges, invoices, refunds and disputes of the month, which takes a call for every hundred of them.
#[utoipa::path(
    post, path = "/v1/reconciliations", tag = "stripe", operation_id = "reconcile_month", request_body = ToCompare,
    responses((status = 200, description = "What it came to", body = Reconciliation))
)]
pub(super) async fn compare(
    State(app): State<App>,
    caller: Caller,
    post: Post<ToCompare>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let month: Month = post
        .body
        .month
        .parse()
        .map_err(|error: crate::domain::calendar::BadMonth| Problem::invalid("month", error.to_string()))?;
    let book = (caller.workspace(), caller.mode());
    let api = app.stripe_of(book.0, book.1).await?;
    let asking = Asking::new(api, Patience::machine());
    let reconciler = Reconciler { db: app.db.clone(), clock: app.clock.clone(), book, asking };
    // Comparing changes nothing but what is kept of it: done again for a request that is sent again, it is as true.
    match reconciler.run(month).await {
        Ok(_) => {}
        Err(ReconcileError::Store(error)) => return Err(error.into()),
        Err(ReconcileError::Ask(error)) => return Err(Problem::unavailable("stripe_unclear", error.to_string())),
    }
    let mut doing = begin!(post, app, caller);
    let found = stored::of_month(&mut doing.session.tx, book, &month.to_string()).await?;
    let found = found.ok_or_else(Problem::internal)?;
    doing.answer(StatusCode::OK, &Reconciliation::of(&found)?).await
}
