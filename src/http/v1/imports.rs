//! `POST /v1/imports`: partners, customers and codes from CSV files, other tools' exports included.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{PostFile, object};
use super::super::query::parse;
use super::super::{App, Problem};
use super::begin;
use crate::admin::imports::{self as admin, ImportFailure, Imported};
use crate::imports::fault::Fault;
use crate::imports::{Format, ImportError, ImportFile, Kind, read};

/// What an import did, or would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Import {
    /// Always `import`.
    #[schema(example = "import")]
    object: &'static str,
    /// Whether it was entered: not where it was only tried out.
    applied: bool,
    #[schema(example = "partners")]
    kind: &'static str,
    #[schema(example = "bridge")]
    format: &'static str,
    created: usize,
    updated: usize,
    unchanged: usize,
    /// The changes, for people: `+` new, `~` changed.
    changes: Vec<String>,
    /// Columns that mean nothing here.
    ignored_columns: Vec<String>,
    /// What was left out, and what will not earn yet.
    notes: Vec<String>,
}

impl Import {
    fn of(file: &ImportFile, imported: Imported) -> Self {
        Self {
            object: "import",
            applied: imported.applied,
            kind: file.kind.as_str(),
            format: file.format.as_str(),
            created: imported.counts.created,
            updated: imported.counts.updated,
            unchanged: imported.counts.unchanged,
            changes: imported.lines,
            ignored_columns: file.ignored_columns.clone(),
            notes: imported.notes,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// What the file lists: `partners`, `customers` or `codes`.
    #[param(example = "partners")]
    kind: String,
    /// Whose file it is: `bridge`, `rewardful`, `firstpromoter`, `tolt` or `partnerstack`; as its headings tell where
    /// left out.
    format: Option<String>,
    /// The program to enroll partners in; for customers and codes, the program where a row names none.
    program: Option<String>,
    /// Only tell what would be entered.
    dry_run: Option<bool>,
}

/// Import a CSV file
///
/// All or nothing: a row that cannot be meant is named with its number and the reason, and nothing is entered. The same
/// file twice changes nothing.
#[utoipa::path(
    post, path = "/v1/imports", tag = "administration", operation_id = "import_file", params(How),
    request_body(content = String, content_type = "text/csv", description = "The file, UTF-8, at most 16 MiB"),
    responses((status = 200, description = "What was entered, or would be", body = Import))
)]
pub(super) async fn import(State(app): State<App>, caller: Caller, post: PostFile) -> Result<Response, Problem> {
    let how: How = parse(post.query.as_deref().unwrap_or_default())?;
    let kind: Kind = how.kind.parse().map_err(|error| Problem::invalid("kind", error))?;
    let format: Option<Format> =
        how.format.as_deref().map(str::parse).transpose().map_err(|error| Problem::invalid("format", error))?;
    app.may_change_terms(&caller).await?;
    let file = read(&post.bytes, kind, format, "the file").map_err(Problem::from)?;
    let program = how.program.as_deref();
    if how.dry_run == Some(true) {
        let mut tx = app.db.read().await?;
        let terms = app.db.terms(&mut tx, caller.workspace()).await?;
        let would = admin::try_out(&mut tx, caller.workspace(), &terms, &file, program).await?;
        return object(StatusCode::OK, &Import::of(&file, would));
    }
    let mut doing = begin!(post, app, caller);
    let imported = admin::apply(&mut doing.session.desk().await?, &file, program).await?;
    let answer = doing.answer(StatusCode::OK, &Import::of(&file, imported)).await?;
    app.wake();
    Ok(answer)
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        Self::rows(error.faults.into_iter().map(|fault| (place(&fault), fault.message)).collect())
    }
}

/// `row 3, email`
fn place(fault: &Fault) -> String {
    let row = fault.row.map(|row| format!("row {row}"));
    [row, fault.column.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl From<ImportFailure> for Problem {
    fn from(failure: ImportFailure) -> Self {
        match failure {
            ImportFailure::File(error) => error.into(),
            ImportFailure::Store(error) => Self::database(&error),
        }
    }
}
