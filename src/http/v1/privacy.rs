//! `/v1/privacy/…`: what is kept of a customer or partner, and erasing it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::Post;
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::begin;
use crate::privacy;
use crate::store::api_keys::Role;
use crate::store::erasures;

/// So many events are in one answer at most.
const MOST_EVENTS: usize = 5_000;

/// Of whom: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whom {
    /// A customer, by anything that finds them: `cus_…`, a payment's reference, an e-mail, the merchant's own key.
    #[schema(max_length = 500, example = "ada@buyer.example")]
    customer: Option<String>,
    /// A partner.
    partner_key: Option<String>,
}

impl Whom {
    fn one(&self) -> Result<Of<'_>, Problem> {
        match (&self.customer, &self.partner_key) {
            (Some(name), None) => Ok(Of::Customer(name)),
            (None, Some(key)) => Ok(Of::Partner(key)),
            (None, None) => Err(Problem::invalid("customer", "is missing: give either customer or partner_key")),
            (Some(_), Some(_)) => Err(Problem::invalid("partner_key", "give either customer or partner_key")),
        }
    }
}

enum Of<'a> {
    Customer(&'a str),
    Partner(&'a str),
}

/// That somebody was erased.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Erasure {
    /// Always `erasure`.
    #[schema(example = "erasure")]
    object: &'static str,
    /// `era_…`
    erasure_id: String,
    /// `customer` or `partner`.
    #[schema(example = "customer")]
    of: String,
    /// An id, a key, or a pseudonym of an address.
    #[schema(example = "cus_1")]
    subject: String,
    author: String,
    /// When it was done the last time.
    erased_at: DateTime<Utc>,
}

impl From<erasures::Erasure> for Erasure {
    fn from(erasure: erasures::Erasure) -> Self {
        Self {
            object: "erasure",
            erased_at: erasure.erased_at(),
            erasure_id: erasure.erasure_id,
            of: erasure.object,
            subject: erasure.subject,
            author: erasure.author,
        }
    }
}

/// What was erased.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Erased {
    /// Always `erasure`.
    #[schema(example = "erasure")]
    object: &'static str,
    /// `era_…`
    erasure_id: String,
    /// `customer` or `partner`.
    #[schema(example = "customer")]
    of: &'static str,
    /// An id, a key, or a pseudonym of an address.
    #[schema(example = "cus_1")]
    subject: String,
    /// The customers concerned, `cust_…`.
    customers: Vec<String>,
    /// Raw events that were written again.
    events: usize,
    /// Leads whose address became a pseudonym.
    leads: usize,
    /// Other rows that were written again.
    rows: usize,
    /// What stays, and why.
    kept: &'static str,
}

/// Export what is kept of somebody
///
/// Everything, as JSON, for them to read. Nothing is changed, and an `Idempotency-Key` keeps no copy.
#[utoipa::path(
    post, path = "/v1/privacy/exports", tag = "administration", operation_id = "export_personal_data", request_body = Whom,
    responses((status = 200, description = "All that is kept", body = Object))
)]
pub(super) async fn export(State(app): State<App>, caller: Caller, post: Post<Whom>) -> Result<Json<Value>, Problem> {
    caller.must_be(Role::Admin)?;
    let (book, now) = ((caller.workspace(), caller.mode()), app.clock.now());
    Ok(Json(match post.body.one()? {
        Of::Customer(name) => privacy::export_customer(&app.db, book, name, now, MOST_EVENTS).await?,
        Of::Partner(key) => privacy::export_partner(&app.db, book, key, now).await?,
    }))
}

/// Erase who somebody is
///
/// From raw events, facts, leads, mails and logs; amounts, ids and decisions stay. It cannot be undone. Erasing once more
/// erases what came since. A partner must be inactive and owed nothing.
#[utoipa::path(
    post, path = "/v1/privacy/erasures", tag = "administration", operation_id = "erase_personal_data", request_body = Whom,
    responses((status = 200, description = "What was erased, and what stays", body = Erased))
)]
pub(super) async fn erase(State(app): State<App>, caller: Caller, post: Post<Whom>) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    if matches!(post.body.one()?, Of::Partner(_)) {
        app.may_change_terms(&caller).await?;
    }
    let mut doing = begin!(post, app, caller);
    let ledger = app.ledger();
    let outcome = match post.body.one()? {
        Of::Customer(name) => privacy::erase_customer(&mut doing.session, &ledger, name).await?,
        Of::Partner(key) => privacy::erase_partner(&mut doing.session, key).await?,
    };
    let erased = Erased {
        object: "erasure",
        erasure_id: outcome.erasure_id,
        of: outcome.object.as_str(),
        subject: outcome.subject,
        customers: outcome.customers,
        events: outcome.events,
        leads: outcome.leads,
        rows: outcome.rows,
        kept: outcome.kept,
    };
    let response = doing.answer(StatusCode::OK, &erased).await?;
    app.wake();
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `erasure_id` of the last one of the page before.
    #[param(pattern = "^era_")]
    starting_after: Option<String>,
}

/// Who was erased
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/privacy/erasures", tag = "administration", operation_id = "list_erasures", params(Wanted),
    responses((status = 200, description = "A page of erasures", body = List<Erasure>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Erasure>>, Problem> {
    caller.must_be(Role::Admin)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "era_")?;
    let mut tx = app.db.read().await?;
    let book = (caller.workspace(), caller.mode());
    let found = erasures::page(&mut tx, book, page.starting_after.as_deref(), page.and_one()).await?;
    Ok(Json(page.list(found.into_iter().map(Erasure::from).collect())))
}
