//! `POST /c`: a visitor came to the merchant's page with a partner's key in the address, and the page's script tells.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::body::{parse, read};
use super::super::{App, DEFAULT_WORKSPACE, Problem, query};
use super::redirect::record;
use super::ways::{By, Lost};
use crate::domain::evidence::decode_base64;

/// The largest body that is read, in bytes.
const LIMIT: usize = 2048;
/// How long the disk may take; the script waits beside the page.
const PATIENCE: Duration = Duration::from_secs(3);

/// A visit to tell of: one of `link`, `partner_key` and `ps_partner_key`.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Visit {
    /// The workspace's key; `default` where nobody says.
    workspace: Option<String>,
    /// What a link's address ends with.
    link: Option<String>,
    /// A partner's key; also read from the names that other tools gave it: `via`, `ref`, `fpr`, `aff`, `a_aid`.
    #[serde(alias = "via", alias = "ref", alias = "fpr", alias = "aff", alias = "a_aid")]
    partner_key: Option<String>,
    /// A partner's key in base64.
    ps_partner_key: Option<String>,
}

/// The click that was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Clicked {
    /// `clk_…`: what to put into Stripe's metadata as `irclickid`.
    click_id: String,
}

/// Tell of a visit
///
/// For scripts on the merchant's pages, of any origin; takes no key. The fields come as JSON of any content type, or as
/// parameters. What names nobody who earns is answered with 404, and no click is recorded.
#[utoipa::path(
    post, path = "/c", tag = "evidence", operation_id = "tell_visit", params(Visit), request_body = Visit,
    responses((status = 200, description = "The click", body = Clicked))
)]
pub(in crate::http) async fn click(State(app): State<App>, request: Request) -> Response {
    let mut response = match take(&app, request).await {
        Ok(click_id) => (StatusCode::OK, axum::Json(Clicked { click_id })).into_response(),
        Err(problem) => problem.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn take(app: &App, request: Request) -> Result<String, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = read(body, LIMIT).await?;
    let visit: Visit =
        if bytes.is_empty() { query::parse(parts.uri.query().unwrap_or_default())? } else { parse(&bytes)? };
    let by = match (visit.link, visit.partner_key, visit.ps_partner_key) {
        (Some(link), None, None) => By::Link(link),
        (None, Some(key), None) => By::Partner(key),
        (None, None, Some(key)) => By::Partner(decode_base64(key.trim())),
        (None, None, None) => return Err(Problem::invalid("partner_key", "is missing: give it, or a link")),
        _ => return Err(Problem::invalid("partner_key", "give only one of link, partner_key and ps_partner_key")),
    };
    let nobody = || Problem::not_found("this names nobody who earns");
    let unknown = |lost| match lost {
        Lost::Unknown(_) => nobody(),
        Lost::Silent => lost.into(),
    };
    let workspace = app.ways.workspace(app, visit.workspace.as_deref().unwrap_or(DEFAULT_WORKSPACE)).await;
    let way = app.ways.find(app, workspace.map_err(unknown)?, by, None).await.map_err(unknown)?;
    if !way.earns {
        return Err(nobody());
    }
    let not_stored = || Problem::unavailable("not_stored", "the click could not be stored; send it again");
    record(app, &way, PATIENCE).await.ok_or_else(not_stored)
}
