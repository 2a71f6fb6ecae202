//! `GET /v1/payments/{reference}/explain`: why a payment was credited, or was not.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use serde_json::Value;

use super::auth::Caller;
use super::{App, Problem, query};
use crate::ids::Ids;
use crate::ledger::Ledger;
use crate::ledger::explain::{Explanation, explain_reference};

/// The decision about the payment that any of its references names, decided once more with its trace, and what is
/// booked for it. The same as `commission-bridge explain --json`.
pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    reference: Result<Path<String>, PathRejection>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Problem> {
    let Ok(Path(reference)) = reference else {
        return Err(Problem::not_found("the reference is no text"));
    };
    let mode = caller.book(query::only_mode(asked.as_deref())?)?;
    let ledger = Ledger { db: app.db.clone(), clock: app.clock.clone(), ids: Ids::random() };
    let found = explain_reference(&ledger, caller.0.workspace, mode, &reference).await;
    match found.map_err(|error| Problem::database(&error))? {
        Explanation::Payment(explained) => Ok(Json(explained.json())),
        Explanation::NoPayment => Err(Problem::not_found(format!(
            "{reference} is known, but no money was received for it so far: there is nothing to credit yet"
        ))),
        Explanation::Unknown => Err(Problem::not_found(format!("nothing in the {mode} book names {reference}"))),
        Explanation::Parked(reason) => {
            Err(Problem::conflict("cannot_be_decided", format!("{reference} cannot be decided: {reason}")))
        }
    }
}
