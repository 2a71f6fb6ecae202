//! `/v1/api-keys`: who may use this API.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Begun, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::live_or_test;
use crate::admin::keys;
use crate::store::api_keys::{self, Role};

/// A key of this API.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct ApiKey {
    /// Always `api_key`.
    #[schema(example = "api_key")]
    object: &'static str,
    /// `key_…`
    key_id: String,
    /// What people call it.
    name: String,
    /// `read` (look), `finance` (look, review and pay) or `admin` (everything).
    #[schema(example = "finance")]
    role: &'static str,
    /// The book it opens: `live` or `test`.
    #[schema(example = "live")]
    mode: &'static str,
    /// How it begins.
    #[schema(example = "cb_live_3f2a")]
    prefix: String,
    created_at: DateTime<Utc>,
    /// To the minute.
    last_used_at: Option<DateTime<Utc>>,
    /// Since when it opens nothing.
    revoked_at: Option<DateTime<Utc>>,
    /// The key itself: shown once, when it is made, and null ever after.
    key: Option<String>,
}

impl From<&api_keys::ApiKey> for ApiKey {
    fn from(key: &api_keys::ApiKey) -> Self {
        Self {
            object: "api_key",
            key_id: key.id.clone(),
            name: key.name.clone(),
            role: key.role.as_str(),
            mode: key.mode.as_str(),
            prefix: key.prefix.clone(),
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            key: None,
        }
    }
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200, example = "bookkeeping")]
    name: String,
    /// `read`, `finance` or `admin`; `read` where nobody says.
    #[schema(example = "finance")]
    role: Option<String>,
    /// The book it opens, `live` or `test`; that of the asking key where nobody says.
    mode: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `key_id` of the last key of the page before.
    #[param(pattern = "^key_")]
    starting_after: Option<String>,
}

/// The keys of both books
///
/// The oldest first, those revoked included.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "administration", operation_id = "list_api_keys", params(Wanted),
    responses((status = 200, description = "A page of keys", body = List<ApiKey>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<ApiKey>>, Problem> {
    caller.must_be(Role::Admin)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "key_")?;
    let mut tx = app.db.read().await?;
    let keys = api_keys::all(&mut tx, caller.workspace()).await?;
    Ok(Json(page.of_all(keys.iter().map(ApiKey::from), |key| &key.key_id)?))
}

/// Make a key
///
/// The answer is the only one that shows it: only a hash of it is kept. A test key cannot make a live one.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "administration", operation_id = "create_api_key", request_body = NewApiKey,
    responses((status = 201, description = "The key", body = ApiKey))
)]
pub(super) async fn create(State(app): State<App>, caller: Caller, post: Post<NewApiKey>) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let role = post.body.role.as_deref().map_or(Ok(Role::Read), str::parse);
    let role = role.map_err(|error| Problem::invalid("role", error))?;
    let mode = live_or_test("mode", post.body.mode.as_deref())?.unwrap_or(caller.mode());
    caller.may_open(mode)?;
    let mut doing = match post.begin(&app, &caller).await? {
        Begun::Before(response) => return Ok(response),
        Begun::Now(doing) => doing,
    };
    let (key, secret) = keys::create(&mut doing.session, &post.body.name, role, mode).await?;
    let made = ApiKey { key: Some(secret), ..ApiKey::from(&key) };
    doing.answer_without(StatusCode::CREATED, &made, &["/key"]).await
}

/// A key
#[utoipa::path(
    get, path = "/v1/api-keys/{key_id}", tag = "administration", operation_id = "get_api_key",
    params(("key_id" = String, Path, description = "`key_…`")),
    responses((status = 200, description = "The key", body = ApiKey))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut tx = app.db.read().await?;
    match api_keys::by_id(&mut tx, caller.workspace(), &id).await? {
        Some(key) => object(StatusCode::OK, &ApiKey::from(&key)),
        None => Err(Problem::not_found(format!("there is no API key {id:?}"))),
    }
}

/// Revoke a key
///
/// From now on (within five seconds everywhere) it opens nothing. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/api-keys/{key_id}", tag = "administration", operation_id = "revoke_api_key",
    params(("key_id" = String, Path, description = "`key_…`")),
    responses((status = 200, description = "The key, revoked", body = ApiKey))
)]
pub(super) async fn revoke(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut session = app.session(&caller).await?;
    let (key, _) = keys::revoke(&mut session, &id).await?;
    caller.may_open(key.mode)?;
    session.commit().await?;
    object(StatusCode::OK, &ApiKey::from(&key))
}
