//! `/v1/workspaces`: merchants, their settings, and the secrets of their webhook endpoints.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, DEFAULT_WORKSPACE, Problem};
use super::shapes::WorkspaceSettings;
use super::{Wanted, begin};
use crate::admin::{Refused, keys, workspaces as admin};
use crate::program::json::Fault;
use crate::program::{json, valid};
use crate::store::api_keys::Role;
use crate::store::webhook_secrets::{self, WebhookSecret};
use crate::store::{Tx, WorkspaceId, workspaces};

/// A merchant. It has two books, live and test, chosen by each event's `livemode`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Workspace {
    /// Always `workspace`.
    #[schema(example = "workspace")]
    object: &'static str,
    #[schema(example = "default")]
    key: String,
    /// Where Stripe sends its events.
    webhook_url: String,
    /// The book that commands and pages show where nobody chooses: `live` once it has events.
    #[schema(example = "live")]
    mode: &'static str,
    created_at: DateTime<Utc>,
    #[schema(value_type = WorkspaceSettings)]
    settings: Value,
    /// The first key of a workspace that was just made: shown once, and null ever after.
    api_key: Option<String>,
}

/// A workspace to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkspace {
    /// Part of its webhook address.
    #[schema(example = "shop-eu", pattern = "^[a-z0-9_-]{1,64}$")]
    key: String,
    #[serde(default)]
    #[schema(value_type = Option<WorkspaceSettings>)]
    settings: Map<String, Value>,
}

/// Settings to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkspaceChange {
    /// What is left out stays as it is; what is null goes.
    #[schema(value_type = WorkspaceSettings)]
    settings: Map<String, Value>,
}

/// A signing secret of the webhook endpoint, which is never shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Secret {
    /// Always `webhook_secret`.
    #[schema(example = "webhook_secret")]
    object: &'static str,
    /// `whs_…`
    secret_id: String,
    created_at: DateTime<Utc>,
    /// Until when it counts.
    expires_at: Option<DateTime<Utc>>,
}

/// A signing secret to enter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSecret {
    /// `whsec_…`, as Stripe shows it.
    #[schema(example = "whsec_…")]
    secret: String,
    /// After which time the other secrets count no more, such as `24h` while one is rotated; they stay where left out.
    others_end_in: Option<String>,
}

impl From<&WebhookSecret> for Secret {
    fn from(secret: &WebhookSecret) -> Self {
        Self {
            object: "webhook_secret",
            secret_id: secret.secret_id.clone(),
            created_at: secret.created_at(),
            expires_at: secret.expires_at(),
        }
    }
}

impl Workspace {
    async fn of(app: &App, tx: &mut Tx, found: &workspaces::Workspace) -> Result<Self, Problem> {
        let terms = app.db.terms(tx, found.id).await?;
        Self::with(app, tx, found, json::settings(&terms.current_settings())).await
    }

    async fn with(app: &App, tx: &mut Tx, found: &workspaces::Workspace, settings: Value) -> Result<Self, Problem> {
        let mode = workspaces::usual_mode(tx, found.id).await?;
        Ok(Self {
            object: "workspace",
            key: found.key.clone(),
            webhook_url: format!("{}/webhooks/stripe/{}", app.public_url, found.key),
            mode: mode.as_str(),
            created_at: found.created_at(),
            settings,
            api_key: None,
        })
    }
}

/// Who may see a workspace: its own keys, and those of administrators of the first one, who run the service.
async fn visible(tx: &mut Tx, caller: &Caller, key: &str) -> Result<workspaces::Workspace, Problem> {
    let found = workspaces::get(tx, key).await?;
    let found = found.filter(|found| found.id == caller.workspace() || caller.0.role == Role::Admin);
    let missing = || Problem::not_found(format!("there is no workspace {key:?}"));
    match found {
        Some(found) if found.id == caller.workspace() || is_operator(tx, caller).await? => Ok(found),
        _ => Err(missing()),
    }
}

async fn is_operator(tx: &mut Tx, caller: &Caller) -> Result<bool, Problem> {
    let first = workspaces::find(tx, DEFAULT_WORKSPACE).await?;
    Ok(caller.0.role == Role::Admin && first == Some(caller.workspace()))
}

fn in_settings(refused: Refused) -> Problem {
    match refused {
        Refused::Faults(faults) => {
            let placed = |fault: Fault| Fault { field: format!("settings.{}", fault.field), ..fault };
            Refused::Faults(faults.into_iter().map(placed).collect()).into()
        }
        other => other.into(),
    }
}

/// The workspaces
///
/// A key sees its own; an administrator of workspace `default`, who runs the service, sees all.
#[utoipa::path(
    get, path = "/v1/workspaces", tag = "workspaces", operation_id = "list_workspaces", params(Wanted),
    responses((status = 200, description = "A page of workspaces", body = List<Workspace>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Workspace>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let mut tx = app.db.read().await?;
    let after = page.starting_after.as_deref().unwrap_or_default();
    let found = if is_operator(&mut tx, &caller).await? {
        workspaces::list(&mut tx, after, page.and_one()).await?
    } else {
        let own = workspaces::by_id(&mut tx, caller.workspace()).await?;
        own.into_iter().filter(|own| own.key.as_str() > after).collect()
    };
    let List { object, data, has_more } = page.list(found);
    let mut shown = Vec::new();
    for found in &data {
        shown.push(Workspace::of(&app, &mut tx, found).await?);
    }
    Ok(Json(List { object, data: shown, has_more }))
}

/// Make a workspace
///
/// For administrators of workspace `default`, who run the service. The answer shows the first key of the new workspace,
/// an administrator's to the same book as the asking key, this once.
#[utoipa::path(
    post, path = "/v1/workspaces", tag = "workspaces", operation_id = "create_workspace", request_body = NewWorkspace,
    responses((status = 201, description = "The workspace", body = Workspace))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<NewWorkspace>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = begin!(post, app, caller);
    if !is_operator(&mut doing.session.tx, &caller).await? {
        let detail = "only administrators of workspace `default` make workspaces";
        return Err(Problem::forbidden("not_the_operator", detail));
    }
    let own = doing.session.workspace;
    let made = admin::create(&mut doing.session, &post.body.key).await?;
    doing.session.workspace = made;
    let mut desk = doing.session.desk().await?;
    admin::update(&mut desk, &post.body.settings).await.map_err(in_settings)?;
    let settings = json::settings(&desk.terms.current_settings());
    let (_, secret) = keys::create(&mut doing.session, "first key", Role::Admin, caller.mode()).await?;
    let tx = &mut doing.session.tx;
    let found = workspaces::get(tx, &post.body.key).await?.ok_or_else(Problem::internal)?;
    let workspace = Workspace { api_key: Some(secret), ..Workspace::with(&app, tx, &found, settings).await? };
    // The answer is kept with the asking key's own.
    doing.session.workspace = own;
    doing.answer_without(StatusCode::CREATED, &workspace, &["/api_key"]).await
}

/// A workspace
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "get_workspace",
    params(("workspace" = String, Path, description = "The workspace's key", example = "default")),
    responses((status = 200, description = "The workspace", body = Workspace))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = visible(&mut tx, &caller, &key).await?;
    object(StatusCode::OK, &Workspace::of(&app, &mut tx, &found).await?)
}

/// Change a workspace's settings
///
/// They count for payments from now on. With a key of the workspace itself.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "update_workspace",
    request_body = WorkspaceChange,
    params(
        ("workspace" = String, Path, description = "The workspace's key", example = "default"),
        super::IfMatchHeader,
    ),
    responses((status = 200, description = "The workspace", body = Workspace))
)]
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<WorkspaceChange>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let mut doing = begin!(post, app, caller);
    let found = own(&mut doing.session.tx, &caller, &key).await?;
    let mut desk = doing.session.desk().await?;
    let before = json::settings(&desk.terms.current_settings());
    let before = Workspace::with(&app, &mut desk.session.tx, &found, before).await?;
    post.if_match.check(&before)?;
    admin::update(&mut desk, &post.body.settings).await.map_err(in_settings)?;
    let settings = json::settings(&desk.terms.current_settings());
    let changed = Workspace { settings, ..before };
    let answer = doing.answer(StatusCode::OK, &changed).await?;
    app.wake();
    Ok(answer)
}

/// A workspace that the key is of.
async fn own(tx: &mut Tx, caller: &Caller, key: &str) -> Result<workspaces::Workspace, Problem> {
    let found = visible(tx, caller, key).await?;
    if found.id == caller.workspace() {
        return Ok(found);
    }
    Err(Problem::forbidden("other_workspace", format!("this takes a key of workspace {key:?} itself")))
}

async fn own_id(app: &App, caller: &Caller, key: &str) -> Result<WorkspaceId, Problem> {
    let mut tx = app.db.read().await?;
    Ok(own(&mut tx, caller, key).await?.id)
}

/// The signing secrets that count
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/webhook-secrets", tag = "workspaces",
    operation_id = "list_webhook_secrets",
    params(("workspace" = String, Path, description = "The workspace's key", example = "default"), Wanted),
    responses((status = 200, description = "A page of secrets, which are not shown", body = List<Secret>))
)]
pub(super) async fn secrets(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Secret>>, Problem> {
    caller.must_be(Role::Admin)?;
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let workspace = own_id(&app, &caller, &key).await?;
    let mut tx = app.db.read().await?;
    let all = webhook_secrets::all(&mut tx, workspace, app.clock.now()).await?;
    Ok(Json(page.of_all(all.iter().map(Secret::from), |secret| &secret.secret_id)?))
}

/// Enter a signing secret
///
/// Several count while one is rotated. It counts within five seconds, without a restart.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/webhook-secrets", tag = "workspaces",
    operation_id = "add_webhook_secret", request_body = NewSecret,
    params(("workspace" = String, Path, description = "The workspace's key", example = "default")),
    responses((status = 201, description = "The secret, which is not shown", body = Secret))
)]
pub(super) async fn add_secret(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<NewSecret>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    own_id(&app, &caller, &key).await?;
    let ends = post.body.others_end_in.as_deref().map(valid::delay).transpose();
    let ends = ends.map_err(|error| Problem::invalid("others_end_in", error))?.map(TimeDelta::seconds);
    let mut doing = begin!(post, app, caller);
    let id = admin::add_secret(&mut doing.session, &post.body.secret, ends).await?;
    let (now, workspace) = (doing.session.now, doing.session.workspace);
    let all = webhook_secrets::all(&mut doing.session.tx, workspace, now).await?;
    let added = all.iter().find(|secret| secret.secret_id == id).map(Secret::from);
    doing.answer(StatusCode::CREATED, &added.ok_or_else(Problem::internal)?).await
}

/// Remove a signing secret
///
/// Within five seconds nothing signed with it is accepted.
#[utoipa::path(
    delete, path = "/v1/workspaces/{workspace}/webhook-secrets/{secret_id}", tag = "workspaces",
    operation_id = "remove_webhook_secret",
    params(
        ("workspace" = String, Path, description = "The workspace's key", example = "default"),
        ("secret_id" = String, Path, description = "`whs_…`"),
    ),
    responses((status = 200, description = "The secret as it was", body = Secret))
)]
pub(super) async fn remove_secret(
    State(app): State<App>,
    caller: Caller,
    At((key, id)): At<(String, String)>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    own_id(&app, &caller, &key).await?;
    let mut session = app.session(&caller).await?;
    let removed = admin::remove_secret(&mut session, &id).await?;
    session.commit().await?;
    object(StatusCode::OK, &Secret::from(&removed))
}
