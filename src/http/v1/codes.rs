//! `/v1/codes`: whose a promotion code is.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::begin;
use crate::admin::{Refused, partners};
use crate::domain::terms::{CodeOwner, Terms};
use crate::program::json::spelled;

/// A promotion code and its owner.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Code {
    /// Always `code`.
    #[schema(example = "code")]
    object: &'static str,
    /// Its text in upper case, or its `promo_…` id.
    #[schema(example = "ACME20")]
    code: String,
    partner_key: String,
    /// The program that it names, if any.
    program: Option<String>,
}

/// Whose a code is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCode {
    /// Its text, in any case, or its `promo_…` id.
    #[schema(example = "ACME20")]
    code: String,
    #[schema(example = "acme")]
    partner_key: String,
    /// The program that it names: for partners who are in several.
    program: Option<String>,
    /// For payments from then on. Where left out, a code's first owner reaches back to the beginning, and a change counts
    /// from now on.
    from: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `code` of the last one of the page before.
    starting_after: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
}

fn code(key: &str, owner: &CodeOwner) -> Code {
    let CodeOwner { partner, program } = owner.clone();
    Code { object: "code", code: spelled(key), partner_key: partner, program }
}

fn find(terms: &Terms, key: &str) -> Result<Code, Problem> {
    let key = key.trim().to_lowercase();
    let owner = terms.codes.get(&key).and_then(|dated| dated.latest()?.as_ref());
    owner.map(|owner| code(&key, owner)).ok_or_else(|| Problem::not_found(format!("nobody owns a code {key:?}")))
}

/// The codes that are somebody's
///
/// In order of their texts.
#[utoipa::path(
    get, path = "/v1/codes", tag = "partners", operation_id = "list_codes", params(Filter),
    responses((status = 200, description = "A page of codes", body = List<Code>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<List<Code>>, Problem> {
    let page = Page::of(filter.limit, filter.starting_after)?;
    let terms = app.terms(&caller).await?;
    let owned = terms.codes.iter().filter_map(|(key, dated)| Some((key, dated.latest()?.as_ref()?)));
    let fitting = owned.filter(|(_, owner)| filter.partner.as_ref().is_none_or(|partner| owner.partner == *partner));
    let mut codes: Vec<Code> = fitting.map(|(key, owner)| code(key, owner)).collect();
    codes.sort_unstable_by(|a, b| a.code.cmp(&b.code));
    Ok(Json(page.of_all(codes, |code| &code.code)?))
}

/// Say whose a code is
///
/// Sales with this code that credit nobody are credited now. Given to another partner, it counts for payments from now
/// on.
#[utoipa::path(
    post, path = "/v1/codes", tag = "partners", operation_id = "give_code", request_body = NewCode,
    responses((status = 200, description = "The code", body = Code))
)]
pub(super) async fn give(State(app): State<App>, caller: Caller, post: Post<NewCode>) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let NewCode { code, partner_key, program, from } = &post.body;
    let owner = CodeOwner { partner: partner_key.clone(), program: program.clone() };
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let key = partners::give_code(&mut desk, code, Some(owner), *from).await?;
    let given = find(&desk.terms, &key)?;
    let answer = doing.answer(StatusCode::OK, &given).await?;
    app.wake();
    Ok(answer)
}

/// A code
#[utoipa::path(
    get, path = "/v1/codes/{code}", tag = "partners", operation_id = "get_code",
    params(("code" = String, Path, description = "Its text, in any case, or its `promo_…` id", example = "ACME20")),
    responses((status = 200, description = "The code", body = Code))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    object(StatusCode::OK, &find(&*app.terms(&caller).await?, &key)?)
}

/// Take a code away from its owner
///
/// For payments from now on it is nobody's.
#[utoipa::path(
    delete, path = "/v1/codes/{code}", tag = "partners", operation_id = "take_code",
    params(("code" = String, Path, description = "Its text, in any case, or its `promo_…` id", example = "ACME20")),
    responses((status = 200, description = "The code as it was", body = Code))
)]
pub(super) async fn take(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let mut session = app.session(&caller).await?;
    let mut desk = session.desk().await?;
    let before = find(&desk.terms, &key)?;
    // Whatever can be found can be named.
    match partners::give_code(&mut desk, &key, None, None).await {
        Err(Refused::Invalid { .. }) => return Err(Problem::not_found(format!("nobody owns a code {key:?}"))),
        other => other?,
    };
    session.commit().await?;
    app.wake();
    object(StatusCode::OK, &before)
}
