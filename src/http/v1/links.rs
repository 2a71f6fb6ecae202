//! `/v1/links`: addresses that partners spread, which lead to the merchant's pages and record a click on the way.

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
use super::super::{App, DEFAULT_WORKSPACE, Problem};
use super::{IfMatchHeader, begin};
use crate::admin::links::{self as desk, LinkChange, NewLink};
use crate::store::api_keys::Role;
use crate::store::{links, workspaces};

/// A link: whoever follows it comes to its target, with a click id of its partner's.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Link {
    /// Always `link`.
    #[schema(example = "link")]
    object: &'static str,
    /// What its address ends with.
    #[schema(example = "acme-summer")]
    link: String,
    /// The address to spread.
    #[schema(example = "https://go.shop.example/r/acme-summer")]
    url: String,
    /// Whose clicks it records.
    partner_key: String,
    /// Under which program; the partner's earliest where there is none.
    program: Option<String>,
    /// Where it leads.
    #[schema(example = "https://shop.example/pricing")]
    target: String,
    /// `active`, or `inactive`: then it leads nowhere.
    #[schema(example = "active")]
    status: &'static str,
    created_at: DateTime<Utc>,
}

/// A link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateLink {
    /// What its address is to end with; a short random text where nobody says.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme-summer")]
    link: Option<String>,
    /// Whose clicks it records.
    #[schema(example = "acme")]
    partner_key: String,
    /// Under which program.
    program: Option<String>,
    /// Where it leads: an https address, without a user name or password. http is for localhost alone.
    #[schema(max_length = 2000, example = "https://shop.example/pricing")]
    target: String,
}

/// What to change about a link; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateLink {
    /// Where it leads.
    #[schema(max_length = 2000)]
    target: Option<String>,
    /// `active` or `inactive`.
    #[schema(example = "inactive")]
    status: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `link` of the last link of the page before.
    starting_after: Option<String>,
    /// This partner's alone.
    #[param(example = "acme")]
    partner: Option<String>,
}

/// Where the links of a workspace begin.
struct Root(String);

impl Root {
    fn of(app: &App, workspace: &str) -> Self {
        let public = &app.public_url;
        Self(if workspace == DEFAULT_WORKSPACE { format!("{public}/r") } else { format!("{public}/r/{workspace}") })
    }

    fn show(&self, link: &links::Link) -> Link {
        Link {
            object: "link",
            link: link.link.clone(),
            url: format!("{}/{}", self.0, link.link),
            partner_key: link.partner.clone(),
            program: link.program.clone(),
            target: link.target.clone(),
            status: link.status(),
            created_at: link.created_at,
        }
    }
}

/// Links
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/links", tag = "evidence", operation_id = "list_links", params(Wanted),
    responses((status = 200, description = "A page of links", body = List<Link>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Link>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let workspace = caller.workspace();
    let mut tx = app.db.read().await?;
    let before = match &page.starting_after {
        None => None,
        Some(link) => {
            let unknown = || Problem::invalid("starting_after", "expected the `link` of a link of this list");
            Some(links::find(&mut tx, workspace, link).await?.ok_or_else(unknown)?.link_id)
        }
    };
    let partner = wanted.partner.as_deref();
    let found = links::page(&mut tx, workspace, partner, before.as_deref(), page.and_one()).await?;
    let root = Root::of(&app, &workspaces::key(&mut tx, workspace).await?);
    tx.rollback().await?;
    Ok(Json(page.list(found.iter().map(|link| root.show(link)).collect())))
}

/// Make a link
#[utoipa::path(
    post, path = "/v1/links", tag = "evidence", operation_id = "create_link", request_body = CreateLink,
    responses((status = 201, description = "The link", body = Link))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<CreateLink>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = begin!(post, app, caller);
    let CreateLink { link, partner_key, program, target } = &post.body;
    let new = NewLink { link: link.as_deref(), partner: partner_key, program: program.as_deref(), target };
    let link = desk::create(&mut doing.session, &new).await?;
    let root = Root::of(&app, &workspaces::key(&mut doing.session.tx, caller.workspace()).await?);
    doing.answer(StatusCode::CREATED, &root.show(&link)).await
}

/// A link
#[utoipa::path(
    get, path = "/v1/links/{link}", tag = "evidence", operation_id = "get_link",
    params(("link" = String, Path, description = "What its address ends with", example = "acme-summer")),
    responses((status = 200, description = "The link", body = Link))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(link): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let Some(found) = links::find(&mut tx, caller.workspace(), &link).await? else {
        return Err(Problem::not_found("there is no such link"));
    };
    let root = Root::of(&app, &workspaces::key(&mut tx, caller.workspace()).await?);
    object(StatusCode::OK, &root.show(&found))
}

/// Lead a link elsewhere, or switch it off or on
///
/// Takes effect within two seconds.
#[utoipa::path(
    post, path = "/v1/links/{link}", tag = "evidence", operation_id = "update_link", request_body = UpdateLink,
    params(
        ("link" = String, Path, description = "What its address ends with", example = "acme-summer"),
        IfMatchHeader,
    ),
    responses((status = 200, description = "The link", body = Link))
)]
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    At(link): At<String>,
    post: Post<UpdateLink>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = begin!(post, app, caller);
    let before = desk::find(&mut doing.session, &link).await?;
    let root = Root::of(&app, &workspaces::key(&mut doing.session.tx, caller.workspace()).await?);
    post.if_match.check(&root.show(&before))?;
    let change = LinkChange { target: post.body.target.as_deref(), status: post.body.status.as_deref() };
    let after = desk::update(&mut doing.session, &before, &change).await?;
    doing.answer(StatusCode::OK, &root.show(&after)).await
}
