//! `/v1/clicks`: that a visitor came by a partner, told by the merchant's own servers.

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
use super::super::tracking::By;
use super::super::{App, Counters, Problem};
use super::begin;
use crate::admin::clicks::{self as desk, NewClick};
use crate::admin::evidence::{self, Named};
use crate::domain::decision;
use crate::intake::clicks::NotStored;
use crate::store::api_keys::Role;
use crate::store::clicks;

/// That a visitor came by a partner. Its id, in Stripe's metadata as `irclickid`, credits the payment to the partner.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Click {
    /// Always `click`.
    #[schema(example = "click")]
    object: &'static str,
    /// `clk_…`, or whatever its sender chose.
    click_id: String,
    partner_key: String,
    /// Under which program; the one that the payment names, else the partner's earliest, where there is none.
    program: Option<String>,
    clicked_at: DateTime<Utc>,
    /// When the bridge came to know it.
    entered_at: DateTime<Utc>,
}

impl Click {
    fn of(id: &str, click: &decision::Click) -> Self {
        Self {
            object: "click",
            click_id: id.to_owned(),
            partner_key: click.partner.clone(),
            program: click.program.clone(),
            clicked_at: click.clicked_at,
            entered_at: click.entered_at,
        }
    }
}

/// A click to enter: by `partner_key` or by `link`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateClick {
    /// Whose click it is.
    #[schema(example = "acme")]
    partner_key: Option<String>,
    /// What an active link's address ends with: its partner's click, under its program.
    link: Option<String>,
    /// Under which program; the link's where nobody says.
    program: Option<String>,
    /// An id that you chose, of at most 200 characters; a fresh one where nobody says.
    #[schema(max_length = 200)]
    click_id: Option<String>,
    /// When it was; now where nobody says.
    clicked_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `click_id` of the last click of the page before.
    starting_after: Option<String>,
    /// Whose.
    #[param(example = "acme")]
    partner: String,
}

/// A partner's clicks
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/clicks", tag = "evidence", operation_id = "list_clicks", params(Wanted),
    responses((status = 200, description = "A page of clicks", body = List<Click>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Click>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let workspace = caller.workspace();
    let mut tx = app.db.read().await?;
    let before = match &page.starting_after {
        None => None,
        Some(id) => {
            let last = clicks::find(&mut tx, workspace, id).await?.filter(|click| click.partner == wanted.partner);
            let unknown = || Problem::invalid("starting_after", "expected the `click_id` of a click of this list");
            Some((last.ok_or_else(unknown)?.clicked_at, id.as_str()))
        }
    };
    let found = clicks::of_partner(&mut tx, workspace, &wanted.partner, before, page.and_one()).await?;
    tx.rollback().await?;
    Ok(Json(page.list(found.iter().map(|(id, click)| Click::of(id, click)).collect())))
}

/// Enter a click
///
/// It is on disk when this is answered. Customers whose payments name it already are decided again: a late click reaches
/// back to what credits nobody. The same `click_id` again gives the same answer; with another partner, program or time it
/// is refused as `click_known`.
#[utoipa::path(
    post, path = "/v1/clicks", tag = "evidence", operation_id = "create_click", request_body = CreateClick,
    responses((status = 201, description = "The click", body = Click))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<CreateClick>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let by = by(&post.body)?;
    // Which is answered before needs a transaction of its own; all others share one.
    if post.has_key() {
        return create_once(&app, &caller, &post, by).await;
    }
    let CreateClick { program, click_id, clicked_at, .. } = &post.body;
    let way = app.ways.find(&app, caller.workspace(), by, program.as_deref()).await?;
    let named = Named { partner: way.partner.clone(), program: way.program.clone() };
    let now = app.clock.now();
    let new = NewClick::new(click_id.as_deref(), named, *clicked_at, now)?;
    let (id, click) = (new.id_or_fresh(&app.ids), new.click(now));
    let kept = if new.id.is_none() {
        app.clicks.fresh(way.workspace, id.clone(), click.clone()).await.map_err(not_stored)?;
        click
    } else {
        let kept = app.clicks.named(way.workspace, id.clone(), click).await.map_err(not_stored)?;
        new.must_be(&kept)?;
        kept
    };
    Counters::count(&app.counters.clicks_stored);
    object(StatusCode::CREATED, &Click::of(&id, &kept))
}

async fn create_once(app: &App, caller: &Caller, post: &Post<CreateClick>, by: By) -> Result<Response, Problem> {
    let mut doing = begin!(post, *app, *caller);
    let CreateClick { program, click_id, clicked_at, .. } = &post.body;
    let session = &mut doing.session;
    let terms = session.terms().await?;
    let named = match by {
        By::Partner(key) => {
            Named { partner: evidence::partner(&terms, &key)?, program: evidence::program(&terms, program.as_deref())? }
        }
        By::Link(link) => {
            evidence::of_link(&mut session.tx, caller.workspace(), &terms, &link, program.as_deref()).await?
        }
    };
    let new = NewClick::new(click_id.as_deref(), named, *clicked_at, session.now)?;
    let (id, click, wakes) = desk::enter(session, &new).await?;
    let response = doing.answer(StatusCode::CREATED, &Click::of(&id, &click)).await?;
    Counters::count(&app.counters.clicks_stored);
    if wakes {
        app.wake();
    }
    Ok(response)
}

fn by(body: &CreateClick) -> Result<By, Problem> {
    match (&body.partner_key, &body.link) {
        (Some(key), None) => Ok(By::Partner(key.trim().to_owned())),
        (None, Some(link)) => Ok(By::Link(link.clone())),
        (None, None) => Err(Problem::invalid("partner_key", "is missing: give either partner_key or link")),
        (Some(_), Some(_)) => Err(Problem::invalid("link", "give either partner_key or link")),
    }
}

fn not_stored(why: NotStored) -> Problem {
    match why {
        NotStored::Store(error) => Problem::database(&error),
        NotStored::Closed => Problem::unavailable("not_stored", "the service is going down; send it again"),
    }
}

/// A click
#[utoipa::path(
    get, path = "/v1/clicks/{click_id}", tag = "evidence", operation_id = "get_click",
    params(("click_id" = String, Path, description = "Its id", example = "clk_0198c0de")),
    responses((status = 200, description = "The click", body = Click))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    match clicks::find(&mut tx, caller.workspace(), &id).await? {
        Some(click) => object(StatusCode::OK, &Click::of(&id, &click)),
        None => Err(Problem::not_found("there is no such click")),
    }
}
