//! `/setup/{token}`: the first key of the API, for whoever reads what `serve` prints. The link works once, for an hour.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use chrono::TimeDelta;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::body::At;
use super::{App, DEFAULT_WORKSPACE, Problem};
use crate::admin::{Session, keys};
use crate::domain::Time;
use crate::store::api_keys::Role;
use crate::store::{Mode, workspaces};

/// How long the link works.
const LASTS: TimeDelta = TimeDelta::hours(1);

/// The link that works now, if any: what is kept is its hash.
#[derive(Clone, Default)]
pub struct Setup(Arc<Mutex<Option<Open>>>);

/// A token's hash, and until when it works.
type Open = ([u8; 32], Time);

impl Setup {
    /// A link for a token that nobody can guess.
    pub fn open(token: &str, now: Time) -> Self {
        Self(Arc::new(Mutex::new(Some((Sha256::digest(token).into(), now + LASTS)))))
    }

    fn is_open(&self, token: &str, now: Time) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.is_some_and(|(hash, until)| hash == <[u8; 32]>::from(Sha256::digest(token)) && now < until)
    }

    /// Whether it worked until now; from now on it does not.
    fn close(&self, token: &str, now: Time) -> bool {
        let worked = self.is_open(token, now);
        if worked {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        worked
    }
}

/// What the page asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Wish {
    mode: String,
}

fn gone() -> Problem {
    Problem::not_found(
        "this link does not work any more: it works once, for an hour. `commission-bridge api-key create` makes a key, too",
    )
}

/// Asks before it makes the key: whoever only looks at links, as mail programs do, uses up nothing.
pub(super) async fn ask(State(app): State<App>, At(token): At<String>) -> Result<Response, Problem> {
    if !app.setup.is_open(&token, app.clock.now()) {
        return Err(gone());
    }
    Ok(page(
        "<p>Make the first key of the API. It may do everything, opens one book, and is shown once.</p>\
         <form method=\"post\"><p><label><input type=\"radio\" name=\"mode\" value=\"live\" checked> live</label> \
         <label><input type=\"radio\" name=\"mode\" value=\"test\"> test</label></p>\
         <p><button>Make the key</button></p></form>",
    ))
}

/// Makes the key and shows it.
pub(super) async fn make(
    State(app): State<App>,
    At(token): At<String>,
    Form(wish): Form<Wish>,
) -> Result<Response, Problem> {
    let mode: Mode = wish.mode.parse().map_err(|error: String| Problem::invalid("mode", error))?;
    if !app.setup.close(&token, app.clock.now()) {
        return Err(gone());
    }
    let mut tx = app.db.read().await?;
    let workspace = workspaces::find(&mut tx, DEFAULT_WORKSPACE).await?.ok_or_else(Problem::internal)?;
    tx.rollback().await?;
    let author = "setup link".to_owned();
    let mut session = Session::begin(&app.db, &app.clock, &app.ids, (workspace, mode), author).await?;
    let (_, key) = keys::create(&mut session, "first key", Role::Admin, mode).await?;
    session.commit().await?;
    // Made of hexadecimal digits and underscores.
    Ok(page(&format!(
        "<p>This is the only time that the key is shown:</p><p><code>{key}</code></p>\
         <p><a href=\"/docs/\">The reference of the API</a></p>"
    )))
}

fn page(body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>commission-bridge</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}\
         code{{overflow-wrap:anywhere;font-size:1.1rem}}</style><h1>commission-bridge</h1>{body}</html>"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, Html(html)).into_response()
}
