//! `/v1/adjustments`: entries by hand, with a note and an author.

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
use super::super::{App, Problem};
use super::begin;
use crate::admin::adjustments as admin;
use crate::domain::entry::EntryKind;
use crate::store::adjustments;
use crate::store::api_keys::Role;

/// An adjustment or bonus: one entry in the ledger.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Adjustment {
    /// Always `adjustment`.
    #[schema(example = "adjustment")]
    object: &'static str,
    /// `adj_…`
    adjustment_id: String,
    /// `adjustment` or `bonus`.
    #[schema(example = "bonus")]
    kind: String,
    partner_key: String,
    program: Option<String>,
    /// Signed, in minor units.
    amount: i64,
    #[schema(example = "usd")]
    currency: String,
    /// Why: it is on the partner's statement.
    note: String,
    author: String,
    created_at: DateTime<Utc>,
    /// The line in the ledger.
    entry_id: String,
}

/// An adjustment or bonus to book.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAdjustment {
    /// `adjustment` (either sign; where left out) or `bonus` (positive).
    kind: Option<String>,
    #[schema(example = "acme")]
    partner_key: String,
    /// Under which program, if any.
    program: Option<String>,
    /// Signed, in minor units; not zero.
    #[schema(example = 2500)]
    amount: i64,
    #[schema(example = "usd")]
    currency: String,
    /// Why: it is on the partner's statement.
    #[schema(min_length = 1, max_length = 2000, example = "launch bonus")]
    note: String,
    /// From when it can be paid out; now where left out.
    available_at: Option<DateTime<Utc>>,
}

impl From<adjustments::Adjustment> for Adjustment {
    fn from(booked: adjustments::Adjustment) -> Self {
        Self {
            object: "adjustment",
            created_at: booked.created_at(),
            adjustment_id: booked.adjustment_id,
            kind: booked.kind,
            partner_key: booked.partner_key,
            program: booked.program_key,
            amount: booked.amount,
            currency: booked.currency,
            note: booked.note,
            author: booked.author,
            entry_id: booked.entry_id,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `adjustment_id` of the last one of the page before.
    #[param(pattern = "^adj_")]
    starting_after: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
}

/// The adjustments and bonuses
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/adjustments", tag = "review", operation_id = "list_adjustments", params(Filter),
    responses((status = 200, description = "A page of adjustments", body = List<Adjustment>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<List<Adjustment>>, Problem> {
    let page = Page::of_ids(filter.limit, filter.starting_after, "adj_")?;
    let (partner, before) = (filter.partner.as_deref(), page.starting_after.as_deref());
    let mut tx = app.db.read().await?;
    let found =
        adjustments::newest(&mut tx, caller.workspace(), caller.mode(), partner, before, page.and_one()).await?;
    Ok(Json(page.list(found.into_iter().map(Adjustment::from).collect())))
}

/// Book an adjustment or bonus
///
/// It is an entry in the ledger at once and the next payout's. It never changes: a mistake is taken back by another.
#[utoipa::path(
    post, path = "/v1/adjustments", tag = "review", operation_id = "create_adjustment", request_body = NewAdjustment,
    responses((status = 201, description = "The adjustment", body = Adjustment))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<NewAdjustment>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let body = &post.body;
    let kind = match body.kind.as_deref() {
        None | Some("adjustment") => EntryKind::Adjustment,
        Some("bonus") => EntryKind::Bonus,
        Some(other) => {
            return Err(Problem::invalid("kind", format!("{other:?} is no kind: expected adjustment or bonus")));
        }
    };
    let new = admin::NewAdjustment {
        kind,
        partner: &body.partner_key,
        program: body.program.as_deref(),
        amount: body.amount,
        currency: &body.currency,
        note: &body.note,
        available_at: body.available_at,
    };
    let mut doing = begin!(post, app, caller);
    let booked = admin::create(&mut doing.session.desk().await?, &new).await?;
    doing.answer(StatusCode::CREATED, &Adjustment::from(booked)).await
}

/// An adjustment or bonus
#[utoipa::path(
    get, path = "/v1/adjustments/{adjustment_id}", tag = "review", operation_id = "get_adjustment",
    params(("adjustment_id" = String, Path, description = "`adj_…`")),
    responses((status = 200, description = "The adjustment", body = Adjustment))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    match adjustments::find(&mut tx, caller.workspace(), caller.mode(), &id).await? {
        Some(found) => object(StatusCode::OK, &Adjustment::from(found)),
        None => Err(Problem::not_found(format!("there is no adjustment {id:?} in this book"))),
    }
}
