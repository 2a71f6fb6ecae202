//! `GET /v1/balances`: what each partner has.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};

use super::auth::Caller;
use super::{App, Problem, query};
use crate::store::{StoreError, entries};

/// What each partner has by currency, in minor units: in all, what can be paid out now, and what is on hold.
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Problem> {
    let mode = caller.book(query::only_mode(asked.as_deref())?)?;
    let found = async {
        let mut tx = app.db.read().await?;
        entries::balances(&mut tx, caller.0.workspace, mode, app.clock.now()).await
    };
    let balances = found.await.map_err(|error: StoreError| Problem::database(&error))?;
    Ok(Json(
        json!({ "mode": mode.as_str(), "balances": balances.iter().map(entries::Balance::json).collect::<Vec<_>>() }),
    ))
}
