//! `/v1/reports`: a month in figures, by partner, link or product.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::auth::Caller;
use super::super::query::{self, Query};
use super::super::{App, Problem};
use crate::domain::calendar::{BadMonth, Month};
use crate::reports::{Asked, ReportError, ReportShape, make};
use crate::store::reports::By;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The month, by the workspace's clock; one that runs is reported as it stands now.
    #[param(example = "2026-10")]
    month: String,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// A month by partner
///
/// Clicks, customers who came, paid and left, what recurs by the month, revenue, refunds and commission of each partner,
/// by currency and, where the workspace has a base currency and rates are known, in that.
#[utoipa::path(
    get, path = "/v1/reports/partners", tag = "reports", operation_id = "report_partners", params(Wanted),
    responses((status = 200, description = "The month", body = ReportShape))
)]
pub(super) async fn partners(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ReportShape>, Problem> {
    report(&app, &caller, &wanted, By::Partner).await
}

/// A month by link
///
/// As by partner, of what came by clicks on links; a customer counts for the link by which it was won.
#[utoipa::path(
    get, path = "/v1/reports/links", tag = "reports", operation_id = "report_links", params(Wanted),
    responses((status = 200, description = "The month", body = ReportShape))
)]
pub(super) async fn links(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ReportShape>, Problem> {
    report(&app, &caller, &wanted, By::Link).await
}

/// A month by product
///
/// As by partner, of what partners brought; without clicks, which are of no product.
#[utoipa::path(
    get, path = "/v1/reports/products", tag = "reports", operation_id = "report_products", params(Wanted),
    responses((status = 200, description = "The month", body = ReportShape))
)]
pub(super) async fn products(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<ReportShape>, Problem> {
    report(&app, &caller, &wanted, By::Product).await
}

async fn report(app: &App, caller: &Caller, wanted: &Wanted, by: By) -> Result<Json<ReportShape>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let month: Month = wanted.month.parse().map_err(|error: BadMonth| Problem::invalid("month", error.to_string()))?;
    let asked = Asked { workspace: caller.workspace(), mode, by, month };
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, caller.workspace()).await?;
    match make(&mut tx, &asked, &terms, app.clock.now()).await {
        Ok(report) => Ok(Json(ReportShape::new(&report, by, mode))),
        Err(ReportError::Store(error)) => Err(error.into()),
        Err(error @ ReportError::NotBegun(_)) => Err(Problem::invalid("month", error.to_string())),
        Err(ReportError::Overflow(error)) => {
            tracing::error!(%error, "a report could not be made");
            Err(Problem::internal())
        }
    }
}
