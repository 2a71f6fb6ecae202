//! `/v1/payments`: what was received, and why it was credited, or was not.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::At;
use super::super::query::{self, Query};
use super::super::{App, Problem};
use crate::ledger::explain::{Explanation, explain_reference};
use chrono::{DateTime, Utc};

/// A payment's decision with its trace, and what is booked for it.
#[derive(ToSchema)]
#[allow(dead_code)] // the shape of what the ledger says of itself
pub(super) struct Explained {
    payment: ExplainedPayment,
    decision: ExplainedDecision,
    /// Evidence, rule and arithmetic, a sentence a line.
    trace: Vec<String>,
    /// Its lines in the ledger.
    entries: Vec<ExplainedEntry>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct ExplainedPayment {
    /// `pay_…`, once it is settled.
    id: Option<String>,
    /// Its main reference: its invoice, else session, else payment intent, else charge.
    #[schema(example = "in_1")]
    r#ref: String,
    /// Every reference it is known by.
    references: Vec<String>,
    /// The Stripe customer, where there is one.
    customer: Option<String>,
    /// `first`, `recurring`, `change` or `one_off`.
    kind: String,
    paid_at: DateTime<Utc>,
    /// Received, minor units.
    paid: i64,
    /// Taken back by now, minor units.
    taken_back: i64,
    currency: String,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct ExplainedDecision {
    /// Why it was credited, or was not; stable.
    #[schema(example = "credited")]
    code: String,
    /// The code in a sentence.
    sentence: String,
    /// Who is credited, or would be but for the reason.
    partner_key: Option<String>,
    program: Option<String>,
    version: Option<u32>,
    /// Owed now, minor units.
    amount: i64,
    currency: String,
}

#[derive(ToSchema)]
#[allow(dead_code)]
struct ExplainedEntry {
    entry_id: String,
    kind: String,
    partner_key: String,
    program: Option<String>,
    /// Signed, in minor units.
    amount: i64,
    currency: String,
    occurred_at: DateTime<Utc>,
    available_at: DateTime<Utc>,
    event_id: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Book {
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// Why a payment was credited, or was not
///
/// The decision about the payment that any of its references names (`in_…`, `cs_…`, `pi_…`, `ch_…`, `pay_…`), decided
/// once more with its trace, and what is booked for it.
#[utoipa::path(
    get, path = "/v1/payments/{reference}/explain", tag = "ledger", operation_id = "explain_payment",
    params(("reference" = String, Path, description = "Any reference of the payment", example = "in_1"), Book),
    responses((status = 200, description = "The explanation", body = Explained))
)]
pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    At(reference): At<String>,
    Query(book): Query<Book>,
) -> Result<Json<Value>, Problem> {
    let mode = caller.book(query::mode(book.mode.as_deref())?)?;
    match explain_reference(&app.ledger(), caller.workspace(), mode, &reference).await? {
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
