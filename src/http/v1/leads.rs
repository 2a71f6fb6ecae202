//! `/v1/leads`: e-mails and customer keys that are tied to a partner before the first payment.

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
use crate::admin::leads::{self as desk, Asked};
use crate::domain::lead::LeadBy;
use crate::store::api_keys::Role;
use crate::store::leads::{self, Filter, StoredLead};

/// An e-mail or a customer key, tied to a partner or to a click: payments of that buyer are credited to the partner.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Lead {
    /// Always `lead`.
    #[schema(example = "lead")]
    object: &'static str,
    /// `lead_…`
    lead_id: String,
    /// What it is known by: `email` or `customer_key`.
    #[schema(example = "email")]
    by: &'static str,
    /// The e-mail in lower case; masked (`a…@buyer.example`) for keys with role read.
    email: Option<String>,
    /// The merchant's own key of the customer.
    customer_key: Option<String>,
    /// Whose lead it is; its click's where there is none.
    partner_key: Option<String>,
    program: Option<String>,
    /// The click whose partner, program and window count.
    click_id: Option<String>,
    /// It counts for payments from then on; for all where there is none.
    from: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl Lead {
    /// As whoever asks may see it.
    fn of(lead: &StoredLead, caller: &Caller) -> Self {
        let sees_all = caller.must_be(Role::Finance).is_ok();
        let value = if sees_all { lead.value.clone() } else { desk::shown(lead) };
        let by = lead.by();
        let (email, customer_key) = match by {
            LeadBy::Email => (Some(value), None),
            LeadBy::CustomerKey => (None, Some(value)),
        };
        Self {
            object: "lead",
            lead_id: lead.lead_id.clone(),
            by: by.as_str(),
            email,
            customer_key,
            partner_key: lead.partner_key.clone(),
            program: lead.program_key.clone(),
            click_id: lead.click_id.clone(),
            from: lead.from(),
            created_at: lead.entered(),
        }
    }
}

/// A lead to enter: by `email` or `customer_key`, to a `partner_key`, `click_id` or `link`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateLead {
    /// The buyer's e-mail, in any case.
    #[schema(max_length = 254, example = "ann@buyer.example")]
    email: Option<String>,
    /// Your own key of the customer, as Stripe's metadata `customer_key` has it.
    #[schema(max_length = 200)]
    customer_key: Option<String>,
    /// Whose lead it is.
    #[schema(example = "acme")]
    partner_key: Option<String>,
    /// The click whose partner, program and window count; it may become known later.
    click_id: Option<String>,
    /// What an active link's address ends with: its partner's lead, under its program.
    link: Option<String>,
    /// Under which program; not together with `click_id`.
    program: Option<String>,
    /// Counts for payments from then on. From now on where nobody says: earlier payments stay the merchant's own.
    from: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `lead_id` of the last lead of the page before.
    #[param(pattern = "^lead_")]
    starting_after: Option<String>,
    /// Only those that name this partner themselves, not by a click.
    #[param(example = "acme")]
    partner: Option<String>,
    /// Only those known by `email` or `customer_key`.
    #[param(example = "email")]
    by: Option<String>,
}

/// Leads
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/leads", tag = "evidence", operation_id = "list_leads", params(Wanted),
    responses((status = 200, description = "A page of leads", body = List<Lead>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Lead>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "lead_")?;
    let by = wanted
        .by
        .as_deref()
        .map(|by| LeadBy::parse(by).ok_or_else(|| Problem::invalid("by", "expected `email` or `customer_key`")));
    let filter = Filter { partner: wanted.partner.as_deref(), by: by.transpose()? };
    let mut tx = app.db.read().await?;
    let before = page.starting_after.as_deref();
    let found = leads::page(&mut tx, caller.workspace(), filter, before, page.and_one()).await?;
    tx.rollback().await?;
    Ok(Json(page.list(found.iter().map(|lead| Lead::of(lead, &caller)).collect())))
}

/// Enter a lead
///
/// Customers whom it credits to somebody are decided again. The same lead entered twice is one.
#[utoipa::path(
    post, path = "/v1/leads", tag = "evidence", operation_id = "create_lead", request_body = CreateLead,
    responses((status = 201, description = "The lead", body = Lead))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<CreateLead>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = begin!(post, app, caller);
    let CreateLead { email, customer_key, partner_key, click_id, link, program, from } = &post.body;
    let asked = Asked {
        email: email.as_deref(),
        customer_key: customer_key.as_deref(),
        partner_key: partner_key.as_deref(),
        click_id: click_id.as_deref(),
        link: link.as_deref(),
        program: program.as_deref(),
        from: *from,
    };
    let lead = desk::create(&mut doing.session, &asked).await?;
    let response = doing.answer(StatusCode::CREATED, &Lead::of(&lead, &caller)).await?;
    app.wake();
    Ok(response)
}

/// A lead
#[utoipa::path(
    get, path = "/v1/leads/{lead_id}", tag = "evidence", operation_id = "get_lead",
    params(("lead_id" = String, Path, description = "`lead_…`")),
    responses((status = 200, description = "The lead", body = Lead))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    match leads::find(&mut tx, caller.workspace(), &id).await? {
        Some(lead) => object(StatusCode::OK, &Lead::of(&lead, &caller)),
        None => Err(Problem::not_found("there is no such lead")),
    }
}
