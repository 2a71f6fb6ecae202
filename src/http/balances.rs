//! `GET /v1/balances`: what each partner has.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::auth::Caller;
use super::{App, Problem};
use crate::store::{Mode, StoreError, entries};

/// What each partner has by currency, in minor units: in all, what can be paid out now, and what is on hold.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let mode = caller.book(wished_mode(query.as_deref().unwrap_or_default())?)?;
    let found = async {
        let mut tx = app.db.read().await?;
        entries::balances(&mut tx, caller.0.workspace, mode, app.clock.now()).await
    };
    let balances = found.await.map_err(|error: StoreError| {
        tracing::error!(%error, "balances could not be read");
        Problem::unavailable("database_unavailable", "the database does not answer; try again")
    })?;
    Ok(Json(
        json!({ "mode": mode.as_str(), "balances": balances.iter().map(entries::Balance::json).collect::<Vec<_>>() }),
    ))
}

/// `mode=live` or `mode=test`, the one parameter there is.
fn wished_mode(query: &str) -> Result<Option<Mode>, Problem> {
    let mut wished = None;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=').unwrap_or((part, "")) {
            ("mode", mode) => wished = Some(mode.parse().map_err(|error| Problem::invalid("mode", error))?),
            (other, _) => return Err(Problem::invalid(other, "there is no such parameter: expected mode")),
        }
    }
    Ok(wished)
}
