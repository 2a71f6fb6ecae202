//! `GET /r/{link}`: a visitor follows a link, and is sent on with a fresh click id. The click is on disk before the
//! answer; where the disk does not answer in time, the visitor goes on without: a sale must never break.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::body::At;
use super::super::{App, Counters, DEFAULT_WORKSPACE, Problem};
use super::address::destination;
use super::ways::{By, Lost, Way};
use crate::admin::clicks::{fresh_id, moment};
use crate::domain::decision::Click;

/// How long a visitor waits for the disk.
const PATIENCE: Duration = Duration::from_millis(500);
const SECONDS_PER_DAY: u64 = 86_400;

/// Follow a link
///
/// Records a click and sends the visitor on to the link's target, with the click id as `irclickid` and in the cookie
/// `cb_click`. Parameters of the request are passed on unless the target has them; `to=/path` leads to another page of
/// the target's site. `HEAD` records nothing.
#[utoipa::path(
    get, path = "/r/{link}", tag = "evidence", operation_id = "follow_link",
    params(
        ("link" = String, Path, description = "A link of workspace `default`", example = "acme-summer"),
        ("to" = Option<String>, Query, description = "Another page of the target's site", example = "/pricing"),
    ),
    responses((status = 302, description = "To the target: see Location"))
)]
pub(in crate::http) async fn follow(
    State(app): State<App>,
    method: Method,
    At(link): At<String>,
    RawQuery(query): RawQuery,
) -> Response {
    lead(&app, &method, DEFAULT_WORKSPACE, link, query).await
}

/// Follow a link of any workspace
///
/// As `/r/{link}`.
#[utoipa::path(
    get, path = "/r/{workspace}/{link}", tag = "evidence", operation_id = "follow_link_of_workspace",
    params(
        ("workspace" = String, Path, description = "The workspace's key"),
        ("link" = String, Path, description = "A link of that workspace", example = "acme-summer"),
        ("to" = Option<String>, Query, description = "Another page of the target's site", example = "/pricing"),
    ),
    responses((status = 302, description = "To the target: see Location"))
)]
pub(in crate::http) async fn follow_in(
    State(app): State<App>,
    method: Method,
    At((workspace, link)): At<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    lead(&app, &method, &workspace, link, query).await
}

async fn lead(app: &App, method: &Method, workspace: &str, link: String, query: Option<String>) -> Response {
    let mut response = match send_on(app, method, workspace, link, &query.unwrap_or_default()).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}

async fn send_on(app: &App, method: &Method, workspace: &str, link: String, query: &str) -> Result<Response, Problem> {
    let unknown = |lost| match lost {
        Lost::Unknown(_) => Problem::not_found("there is no such link, or it is no longer active"),
        Lost::Silent => lost.into(),
    };
    let workspace = app.ways.workspace(app, workspace).await.map_err(unknown)?;
    let way = app.ways.find(app, workspace, By::Link(link), None).await.map_err(unknown)?;
    let Some(target) = &way.target else { return Err(Problem::internal()) };
    let records = method != Method::HEAD && way.earns;
    let click_id = if records { record(app, &way, PATIENCE).await } else { None };
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    let to = destination(target, query, click_id.as_deref());
    headers.insert(header::LOCATION, value(to.as_str())?);
    // The partner's site, but not the page, is told to the merchant's; neither to an unencrypted one.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    if let Some(id) = click_id {
        let seconds = u64::from(way.window_days) * SECONDS_PER_DAY;
        let secure = if app.public_url.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!("cb_click={id}; Max-Age={seconds}; Path=/; SameSite=Lax{secure}");
        headers.insert(header::SET_COOKIE, value(&cookie)?);
    }
    Ok(response)
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|error| {
        tracing::error!(%error, "a redirect could not be written");
        Problem::internal()
    })
}

/// Records a click of this moment; its id once it is on disk. None where that takes longer than `patience` or fails.
pub(super) async fn record(app: &App, way: &Way, patience: Duration) -> Option<String> {
    let (id, now) = (fresh_id(&app.ids), app.clock.now());
    let (partner, program) = (way.partner.clone(), way.program.clone());
    let link = way.link_id.clone();
    let click = Click { partner, program, link, clicked_at: moment(now), entered_at: now };
    let stored = tokio::time::timeout(patience, app.clicks.fresh(way.workspace, id.clone(), click)).await;
    if matches!(stored, Ok(Ok(()))) {
        Counters::count(&app.counters.clicks_stored);
        return Some(id);
    }
    // Who failed has said why; one line for each visitor would say no more.
    Counters::count(&app.counters.clicks_lost);
    None
}
