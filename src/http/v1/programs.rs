//! `/v1/programs`: who earns what, in immutable versions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Nothing, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::shapes::ProgramTerms;
use super::{Wanted, begin};
use crate::admin::{Refused, programs};
use crate::domain::terms::{self, Status, Terms};
use crate::program::json::Fault;
use crate::program::{RepriceClosed, json, valid};

/// A program, with the terms of its latest version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Program {
    /// Always `program`.
    #[schema(example = "program")]
    object: &'static str,
    #[schema(example = "saas")]
    key: String,
    /// Its display name.
    name: String,
    /// `active`, or `inactive` once archived.
    #[schema(example = "active")]
    status: &'static str,
    /// The number of its latest version.
    version: u32,
    /// From which payments on the latest version counts.
    effective_from: DateTime<Utc>,
    created_at: DateTime<Utc>,
    #[schema(value_type = ProgramTerms)]
    terms: Value,
}

/// One immutable version of a program.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ProgramVersion {
    /// Always `program_version`.
    #[schema(example = "program_version")]
    object: &'static str,
    /// The program's key.
    program: String,
    /// From 1.
    version: u32,
    /// From which payments on it counts, as its author said.
    effective_from: DateTime<Utc>,
    /// From which payments on it really counts: later where closed months keep their terms.
    in_force_from: DateTime<Utc>,
    published_at: DateTime<Utc>,
    /// The deciding engine that it is decided by.
    engine: u32,
    #[schema(value_type = ProgramTerms)]
    terms: Value,
}

/// A program to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProgram {
    /// Chosen for good: payments and files name it.
    #[schema(example = "saas")]
    key: String,
    /// Its display name; the key where left out.
    name: Option<String>,
    /// From which payments on it counts; from now on where left out. Older payments use the first version anyway.
    effective_from: Option<DateTime<Utc>>,
    #[schema(value_type = ProgramTerms)]
    terms: Map<String, Value>,
}

/// A version to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewVersion {
    /// From which payments on it counts; from now on where left out.
    effective_from: Option<DateTime<Utc>>,
    /// Whether closed months are priced again, too, where it is back-dated.
    #[serde(default)]
    reprice_closed: bool,
    /// What changes; what is left out stays as in the latest version. `rules` are given whole.
    #[schema(value_type = ProgramTerms)]
    terms: Map<String, Value>,
}

/// What changes of a program, but for its terms.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgramChange {
    name: Option<String>,
    /// `active` or `inactive`.
    status: Option<String>,
}

impl Program {
    fn of(key: &str, program: &terms::Program) -> Option<Self> {
        let (first, latest) = (program.versions.first()?, program.latest()?);
        Some(Self {
            object: "program",
            key: key.to_owned(),
            name: program.name.clone(),
            status: super::status_word(program.status.latest().copied().unwrap_or_default()),
            version: latest.number,
            effective_from: latest.effective_from,
            created_at: first.published_at,
            terms: json::terms(&latest.terms),
        })
    }

    fn find(terms: &Terms, key: &str) -> Result<Self, Problem> {
        let found = terms.programs.get(key).and_then(|program| Self::of(key, program));
        found.ok_or_else(|| Problem::not_found(format!("there is no program {key:?}")))
    }
}

impl ProgramVersion {
    fn of(key: &str, version: &terms::Version) -> Self {
        Self {
            object: "program_version",
            program: key.to_owned(),
            version: version.number,
            effective_from: version.effective_from,
            in_force_from: version.in_force_from,
            published_at: version.published_at,
            engine: version.engine,
            terms: json::terms(&version.terms),
        }
    }

    fn find(terms: &Terms, key: &str, number: u32) -> Result<Self, Problem> {
        let version = terms.programs.get(key).and_then(|program| program.version(number));
        let unknown = || Problem::not_found(format!("there is no version {number} of program {key:?}"));
        version.map(|version| Self::of(key, version)).ok_or_else(unknown)
    }
}

/// Faults of terms are told with their path in the body.
pub(super) fn in_terms(refused: Refused) -> Problem {
    let placed = |field: String| match field.as_str() {
        "key" | "name" | "effective_from" => field,
        "" => "terms".to_owned(),
        _ => format!("terms.{field}"),
    };
    match refused {
        Refused::Faults(faults) => {
            Refused::Faults(faults.into_iter().map(|fault| Fault { field: placed(fault.field), ..fault }).collect())
                .into()
        }
        other => other.into(),
    }
}

/// Refuses what stands beside the terms when it stands among them.
pub(super) fn only_terms(terms: &Map<String, Value>) -> Result<(), Problem> {
    match ["key", "name", "status", "effective_from"].iter().find(|name| terms.contains_key(**name)) {
        Some(name) => Err(Problem::invalid(format!("terms.{name}"), "is none of a program's terms")),
        None => Ok(()),
    }
}

/// The programs
///
/// In order of their keys, archived ones included.
#[utoipa::path(
    get, path = "/v1/programs", tag = "programs", operation_id = "list_programs", params(Wanted),
    responses((status = 200, description = "A page of programs", body = List<Program>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Program>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let terms = app.terms(&caller).await?;
    let all = terms.programs.iter().filter_map(|(key, program)| Program::of(key, program));
    Ok(Json(page.of_all(all, |program| &program.key)?))
}

/// Make a program
///
/// Its terms are version 1.
#[utoipa::path(
    post, path = "/v1/programs", tag = "programs", operation_id = "create_program", request_body = NewProgram,
    responses((status = 201, description = "The program", body = Program))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<NewProgram>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let body = &post.body;
    only_terms(&body.terms)?;
    let mut fields = body.terms.clone();
    fields.insert("key".to_owned(), body.key.clone().into());
    fields.insert("name".to_owned(), body.name.clone().into());
    fields.insert("effective_from".to_owned(), body.effective_from.map(|from| from.to_rfc3339()).into());
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let key = programs::create(&mut desk, &fields).await.map_err(in_terms)?;
    let made = Program::find(&desk.terms, &key)?;
    let answer = doing.answer(StatusCode::CREATED, &made).await?;
    app.wake();
    Ok(answer)
}

/// A program
#[utoipa::path(
    get, path = "/v1/programs/{key}", tag = "programs", operation_id = "get_program",
    params(("key" = String, Path, description = "The program's key", example = "saas")),
    responses((status = 200, description = "The program", body = Program))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    object(StatusCode::OK, &Program::find(&*app.terms(&caller).await?, &key)?)
}

/// Rename a program, archive it, or take it up again
///
/// Payments made while it is inactive earn nothing. Its terms change by publishing a version.
#[utoipa::path(
    post, path = "/v1/programs/{key}", tag = "programs", operation_id = "update_program",
    request_body = ProgramChange,
    params(("key" = String, Path, description = "The program's key", example = "saas"), super::IfMatchHeader),
    responses((status = 200, description = "The program", body = Program))
)]
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<ProgramChange>,
) -> Result<Response, Problem> {
    let status = post.body.status.as_deref().map(valid::status).transpose();
    let status = status.map_err(|error| Problem::invalid("status", error))?;
    change(&app, &caller, &key, &post, post.body.name.clone(), status).await
}

/// Archive a program
///
/// The same as setting its status to `inactive`: payments from now on earn nothing.
#[utoipa::path(
    post, path = "/v1/programs/{key}/archive", tag = "programs", operation_id = "archive_program",
    request_body = Option<Nothing>,
    params(("key" = String, Path, description = "The program's key", example = "saas"), super::IfMatchHeader),
    responses((status = 200, description = "The program", body = Program))
)]
pub(super) async fn archive(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    change(&app, &caller, &key, &post, None, Some(Status::Inactive)).await
}

async fn change<T>(
    app: &App,
    caller: &Caller,
    key: &str,
    post: &Post<T>,
    name: Option<String>,
    status: Option<Status>,
) -> Result<Response, Problem> {
    app.may_change_terms(caller).await?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    post.if_match.check(&Program::find(&desk.terms, key)?)?;
    programs::update(&mut desk, key, name, status).await?;
    let changed = Program::find(&desk.terms, key)?;
    let answer = doing.answer(StatusCode::OK, &changed).await?;
    app.wake();
    Ok(answer)
}

/// A program's versions
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/programs/{key}/versions", tag = "programs", operation_id = "list_program_versions",
    params(("key" = String, Path, description = "The program's key", example = "saas"), Wanted),
    responses((status = 200, description = "A page of versions", body = List<ProgramVersion>))
)]
pub(super) async fn versions(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ProgramVersion>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let terms = app.terms(&caller).await?;
    Program::find(&terms, &key)?;
    let all = terms.programs.get(&key).into_iter().flat_map(|program| program.versions.iter().rev());
    let numbered: Vec<(String, ProgramVersion)> =
        all.map(|version| (version.number.to_string(), ProgramVersion::of(&key, version))).collect();
    let found = page.of_all(numbered, |(number, _)| number)?;
    let data = found.data.into_iter().map(|(_, version)| version).collect();
    Ok(Json(List { object: found.object, data, has_more: found.has_more }))
}

/// Publish a version
///
/// Settings that are left out stay as they are in the latest version. Where nothing changes, nothing is published and
/// the latest version is the answer. Old sales keep their terms: a customer is priced by the version in force at its
/// first credited payment, unless the program says `price_by` `payment`.
#[utoipa::path(
    post, path = "/v1/programs/{key}/versions", tag = "programs", operation_id = "publish_program_version",
    request_body = NewVersion,
    params(("key" = String, Path, description = "The program's key", example = "saas"), super::IfMatchHeader),
    responses((status = 201, description = "The latest version", body = ProgramVersion))
)]
pub(super) async fn publish(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<NewVersion>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    only_terms(&post.body.terms)?;
    let mut fields = post.body.terms.clone();
    fields.insert("effective_from".to_owned(), post.body.effective_from.map(|from| from.to_rfc3339()).into());
    let reprice = if post.body.reprice_closed { RepriceClosed::Yes } else { RepriceClosed::No };
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    post.if_match.check(&Program::find(&desk.terms, &key)?)?;
    let number = programs::publish(&mut desk, &key, &fields, reprice).await.map_err(in_terms)?;
    let version = ProgramVersion::find(&desk.terms, &key, number)?;
    let answer = doing.answer(StatusCode::CREATED, &version).await?;
    app.wake();
    Ok(answer)
}

/// A version of a program
#[utoipa::path(
    get, path = "/v1/programs/{key}/versions/{version}", tag = "programs", operation_id = "get_program_version",
    params(
        ("key" = String, Path, description = "The program's key", example = "saas"),
        ("version" = u32, Path, description = "From 1", example = 1),
    ),
    responses((status = 200, description = "The version", body = ProgramVersion))
)]
pub(super) async fn version(
    State(app): State<App>,
    caller: Caller,
    At((key, number)): At<(String, u32)>,
) -> Result<Response, Problem> {
    object(StatusCode::OK, &ProgramVersion::find(&*app.terms(&caller).await?, &key, number)?)
}
