//! `/v1/files`: a batch's payment files, and `POST /v1/batches/{batch}/results`: what became of what they pay.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Post, PostFile, object};
use super::super::query::{List, Page, Query, parse};
use super::super::{App, Problem};
use super::{Wanted, begin};
use crate::payouts::batch;
use crate::payouts::files::{self, FileError};
use crate::payouts::formats::Format;
use crate::payouts::readback::{self, ResultFormat};
use crate::payouts::results::{self, Did, ResultsError};
use crate::store::api_keys::Role;
use crate::store::payout_files::{self, PayoutFile};

/// A payment file, as it was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct File {
    /// Always `file`.
    #[schema(example = "file")]
    object: &'static str,
    /// `pf_…`
    file_id: String,
    batch_id: String,
    /// `live` or `test`.
    mode: &'static str,
    /// `paypal`, `wise` or `sepa`.
    #[schema(example = "sepa")]
    format: String,
    #[schema(example = "eur")]
    currency: String,
    /// 1, 2, … of those of its batch, format and currency.
    part: i64,
    #[schema(example = "payouts-2026-10-sepa-eur.xml")]
    name: String,
    /// How many payouts it holds.
    row_count: i64,
    /// Their sum, in minor units.
    total: i64,
    /// Of its bytes, in hexadecimal.
    sha256: String,
    created_at: DateTime<Utc>,
    /// `cli`, or `api:` and how the key begins.
    created_by: String,
}

impl File {
    fn of(file: &PayoutFile) -> Result<Self, Problem> {
        Ok(Self {
            object: "file",
            file_id: file.file_id.clone(),
            batch_id: file.batch_id.clone(),
            mode: file.mode().as_str(),
            format: file.format.clone(),
            currency: file.currency()?.to_string(),
            part: file.part,
            name: file.name.clone(),
            row_count: file.row_count,
            total: file.total,
            sha256: file.sha256.clone(),
            created_at: file.created_at(),
            created_by: file.created_by.clone(),
        })
    }
}

/// Which files to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFiles {
    /// `paypal`, `wise` or `sepa`.
    #[schema(example = "sepa")]
    format: String,
}

/// Files that were made, now or before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Files {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<File>,
    /// Always false: these are all.
    has_more: bool,
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Payout(error) => error.into(),
            FileError::Nothing { .. } => Self::conflict("nothing_to_pay", error.to_string()),
            FileError::Problems(problems) => Self::rows(
                problems
                    .into_iter()
                    .map(|problem| (problem.payout_id.unwrap_or_else(|| "settings".to_owned()), problem.detail))
                    .collect(),
            ),
        }
    }
}

/// Make payment files
///
/// Of the batch's ready payouts that are paid in this way, split by currency and by what the format's reader takes. Asking
/// again answers with the same files. Where a payout cannot be in one, none is made, and all that is in the way is told.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/files", tag = "payouts", operation_id = "make_files", request_body = NewFiles,
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 201, description = "The files", body = Files))
)]
pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: Post<NewFiles>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let format: Format = post.body.format.parse().map_err(|error| Problem::invalid("format", error))?;
    let mut doing = begin!(post, app, caller);
    let settings = doing.session.terms().await?.current_settings();
    let (tx, by) = doing.session.parts();
    let (_, made, _) = files::export(tx, by, &settings, (caller.mode(), &name, format)).await?;
    let data = made.iter().map(File::of).collect::<Result<_, _>>()?;
    doing.answer(StatusCode::CREATED, &Files { object: "list", data, has_more: false }).await
}

/// A batch's payment files
#[utoipa::path(
    get, path = "/v1/batches/{batch}/files", tag = "payouts", operation_id = "list_files",
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10"), Wanted),
    responses((status = 200, description = "A page of files", body = List<File>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<File>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "pf_")?;
    let mut tx = app.db.read().await?;
    let batch = batch::find(&mut tx, caller.workspace(), caller.mode(), &name).await?;
    let all = payout_files::of_batch(&mut tx, caller.workspace(), &batch.batch_id).await?;
    let all = all.iter().map(File::of).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(page.of_all(all, |file| &file.file_id)?))
}

/// A payment file
#[utoipa::path(
    get, path = "/v1/files/{file}", tag = "payouts", operation_id = "get_file",
    params(("file" = String, Path, description = "`pf_…`")),
    responses((status = 200, description = "What is known of it", body = File))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = payout_files::by_id(&mut tx, caller.workspace(), &id).await?;
    let found = found.filter(|file| file.mode() == caller.mode()).ok_or_else(|| unknown(&id))?;
    object(StatusCode::OK, &File::of(&found)?)
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("there is no payment file {id:?}: GET /v1/batches/{{batch}}/files lists them"))
}

/// A payment file's bytes
///
/// As they were made: the same each time.
#[utoipa::path(
    get, path = "/v1/files/{file}/content", tag = "payouts", operation_id = "download_file",
    params(("file" = String, Path, description = "`pf_…`")),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/xml"))))
)]
pub(super) async fn content(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let mut tx = app.db.read().await?;
    let found = payout_files::by_id(&mut tx, caller.workspace(), &id).await?;
    let found = found.filter(|file| file.mode() == caller.mode()).ok_or_else(|| unknown(&id))?;
    let bytes = payout_files::content(&mut tx, caller.workspace(), &found).await?;
    tx.rollback().await?;
    let kind = found.format.parse::<Format>().map_or("application/octet-stream", Format::media_type);
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", found.name)),
        (header::ETAG, format!("\"{}\"", found.sha256)),
    ];
    Ok((headers, bytes).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `csv` (`payout_id,status,external_id,reason`), `paypal`, `pain002` or `camt054`.
    #[param(example = "pain002")]
    format: String,
    /// Only tell what would change.
    dry_run: Option<bool>,
}

/// What a file of results did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Results {
    /// Always `results`.
    #[schema(example = "results")]
    object: &'static str,
    batch_id: String,
    /// Whether it was entered: not where it was only tried out.
    applied: bool,
    /// How many payouts it changed, or would.
    changed: usize,
    rows: Vec<ResultRow>,
}

/// What a row of it did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResultRow {
    /// As a spreadsheet counts rows; in XML the transactions and bookings, from 1.
    row: usize,
    /// `po_…`; null for what is no payout of this batch.
    payout_id: Option<String>,
    partner_key: Option<String>,
    /// `sent`, `settled`, `failed`, `returned`, or `waits` for what changes nothing.
    says: &'static str,
    /// The payout's status before.
    before: Option<String>,
    /// The payout's status now.
    after: Option<String>,
    changed: bool,
    /// Why, or why not.
    note: Option<String>,
}

impl From<Did> for ResultRow {
    fn from(did: Did) -> Self {
        let Did { row, payout_id, partner_key, says, before, after, changed, note } = did;
        Self { row, payout_id, partner_key, says, before, after, changed, note }
    }
}

impl From<ResultsError> for Problem {
    fn from(error: ResultsError) -> Self {
        match error {
            ResultsError::File(error) => error.into(),
            ResultsError::Store(error) => Self::database(&error),
        }
    }
}

/// Read back what became of payouts
///
/// From a service's or bank's file. All or nothing: a row that contradicts what is known is named with the reason, and
/// nothing is entered. The same file twice changes nothing.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/results", tag = "payouts", operation_id = "read_results",
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10"), How),
    request_body(
        content((String = "text/csv"), (String = "application/xml")),
        description = "The file, UTF-8, at most 16 MiB"
    ),
    responses((status = 200, description = "What each row did, or would", body = Results))
)]
pub(super) async fn results(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: PostFile,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let how: How = parse(post.query.as_deref().unwrap_or_default())?;
    let format: ResultFormat = how.format.parse().map_err(|error| Problem::invalid("format", error))?;
    let rows = readback::read(format, &post.bytes, "the file")?;
    let is_trial = how.dry_run == Some(true);
    let mut doing = begin!(post, app, caller);
    let (tx, by) = doing.session.parts();
    let batch = batch::find(tx, by.workspace, caller.mode(), &name).await?;
    let did = results::apply(tx, by, &batch, (format, "the file"), &rows).await?;
    let answer = Results {
        object: "results",
        batch_id: batch.batch_id,
        applied: !is_trial,
        changed: did.iter().filter(|did| did.changed).count(),
        rows: did.into_iter().map(ResultRow::from).collect(),
    };
    if is_trial {
        // The transaction is dropped, and with it what was tried out.
        return object(StatusCode::OK, &answer);
    }
    doing.answer(StatusCode::OK, &answer).await
}
