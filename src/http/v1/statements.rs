//! `/v1/statements`: what partners get: figures, the document that proves them, a table, a page.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use crate::domain::calendar::Month;
use crate::domain::statement::Frozen;
use crate::statements::{Merchant, Reader, page, table};
use crate::store::statements::{self, StatementRow};
use crate::store::{Mode, batches, workspaces};

/// A partner's month in one currency, frozen when the month was closed; amounts in minor units. It adds up:
/// `opening + earned − reversed + adjusted − paid = closing`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Statement {
    /// Always `statement`.
    #[schema(example = "statement")]
    object: &'static str,
    /// `st_…`
    statement_id: String,
    batch_id: String,
    /// `live` or `test`.
    mode: &'static str,
    #[schema(example = "2026-10")]
    month: String,
    partner_key: String,
    #[schema(example = "usd")]
    currency: String,
    /// What the statement before closed with.
    opening: i64,
    /// Commissions since.
    earned: i64,
    /// Commissions taken back since; positive takes away.
    reversed: i64,
    /// Everything else since.
    adjusted: i64,
    /// Paid out since; positive takes away.
    paid: i64,
    /// What the partner has, on hold or not.
    closing: i64,
    /// How many entries it holds.
    line_count: i64,
    /// Entries booked before this moment are in it or in an earlier one.
    cut_off_at: DateTime<Utc>,
    /// SHA-256 of the document's lines.
    sha256: String,
    /// That of the partner's statement before.
    previous_sha256: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<&StatementRow> for Statement {
    type Error = Problem;

    fn try_from(row: &StatementRow) -> Result<Self, Problem> {
        let figures = row.figures();
        Ok(Self {
            object: "statement",
            statement_id: row.statement_id.clone(),
            batch_id: row.batch_id.clone(),
            mode: row.mode().as_str(),
            month: row.month.clone(),
            partner_key: row.partner_key.clone(),
            currency: row.currency()?.to_string(),
            opening: figures.opening,
            earned: figures.earned,
            reversed: figures.reversed,
            adjusted: figures.adjusted,
            paid: figures.paid,
            closing: figures.closing,
            line_count: row.line_count,
            cut_off_at: row.cut_off(),
            sha256: row.hash.clone(),
            previous_sha256: row.previous_hash.clone(),
            created_at: row.created_at(),
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `statement_id` of the last statement of the page before.
    #[param(pattern = "^st_")]
    starting_after: Option<String>,
    /// Those of this month, `2026-10`.
    month: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no statement {id:?}"))
}

/// Statements
///
/// In order of partner, currency and month.
#[utoipa::path(
    get, path = "/v1/statements", tag = "payouts", operation_id = "list_statements", params(Wanted),
    responses((status = 200, description = "A page of statements", body = List<Statement>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Statement>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "st_")?;
    let month = wanted.month.as_deref().map(str::parse::<Month>).transpose();
    let month = month.map_err(|error| Problem::invalid("month", error.to_string()))?;
    let (workspace, mode, mut tx) = (caller.workspace(), caller.mode(), app.db.read().await?);
    let behind = match &page.starting_after {
        None => None,
        Some(id) => Some(statements::by_id(&mut tx, workspace, mode, id).await?.ok_or_else(|| page.unknown())?),
    };
    let batch = match month {
        None => None,
        Some(month) => match batches::of_month(&mut tx, workspace, mode, &month.to_string()).await? {
            None => return Ok(Json(page.list(Vec::new()))),
            found => found,
        },
    };
    let filter = statements::Wanted {
        batch_id: batch.as_ref().map(|batch| batch.batch_id.as_str()),
        partner: wanted.partner.as_deref(),
        behind: behind.as_ref(),
    };
    let found = statements::page(&mut tx, workspace, mode, &filter, page.and_one()).await?;
    tx.rollback().await?;
    Ok(Json(page.list(found.iter().map(Statement::try_from).collect::<Result<_, _>>()?)))
}

/// A statement
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}", tag = "payouts", operation_id = "get_statement",
    params(("statement_id" = String, Path, description = "`st_…`")),
    responses((status = 200, description = "The statement's figures", body = Statement))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = statements::by_id(&mut tx, caller.workspace(), caller.mode(), &id).await?;
    tx.rollback().await?;
    object(StatusCode::OK, &Statement::try_from(&found.ok_or_else(|| unknown(&id))?)?)
}

async fn frozen(app: &App, caller: &Caller, id: &str) -> Result<Frozen, Problem> {
    let mut tx = app.db.read().await?;
    let found = statements::frozen(&mut tx, caller.workspace(), caller.mode(), id).await?;
    tx.rollback().await?;
    found.ok_or_else(|| unknown(id))
}

fn file(content_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes)
        .into_response()
}

/// The document that proves a statement
///
/// The file that came with its mail, byte for byte: every line of it but the last is hashed, and the last says the hash.
/// `commission-bridge statements check` proves it; so does `sed '$d' FILE | sha256sum`.
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/document", tag = "payouts", operation_id = "get_statement_document",
    params(("statement_id" = String, Path, description = "`st_…`")),
    responses((status = 200, description = "The document", body = serde_json::Value))
)]
pub(super) async fn document(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let frozen = frozen(&app, &caller, &id).await?;
    Ok(file("application/json", &format!("{}.json", frozen.statement.file_stem()), frozen.file()))
}

/// A statement's lines as a table
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/csv", tag = "payouts", operation_id = "get_statement_csv",
    params(("statement_id" = String, Path, description = "`st_…`")),
    responses((status = 200, description = "The table", body = String, content_type = "text/csv"))
)]
pub(super) async fn csv(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let statement = frozen(&app, &caller, &id).await?.statement;
    Ok(file("text/csv; charset=utf-8", &format!("{}.csv", statement.file_stem()), table::csv(&statement)))
}

/// A statement as a page for reading and printing
#[utoipa::path(
    get, path = "/v1/statements/{statement_id}/page", tag = "payouts", operation_id = "get_statement_page",
    params(("statement_id" = String, Path, description = "`st_…`")),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(super) async fn page_of(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let frozen = frozen(&app, &caller, &id).await?;
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, caller.workspace()).await?;
    let key = workspaces::key(&mut tx, caller.workspace()).await?;
    tx.rollback().await?;
    let merchant = Merchant::of(&terms.current_settings().mail, &key, caller.mode() == Mode::Test);
    let html = page::page(&merchant, &Reader::of(&terms, &frozen.statement.partner), &frozen).map_err(|error| {
        tracing::error!(%error, "a statement's page could not be rendered");
        Problem::internal()
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    Ok((headers, html).into_response())
}
