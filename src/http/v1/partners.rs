//! `/v1/partners`: who earns.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::begin;
use super::shapes::PartnerFields;
use crate::admin::partners;
use crate::domain::mask::mask;
use crate::domain::terms::{self, Terms};
use crate::program::{json, valid};
use crate::store::api_keys::Role;

/// A partner.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Partner {
    /// Always `partner`.
    #[schema(example = "partner")]
    object: &'static str,
    created_at: DateTime<Utc>,
    #[serde(flatten)]
    #[schema(value_type = PartnerFields)]
    fields: Value,
}

impl Partner {
    fn of(terms: &Terms, key: &str, partner: &terms::Partner, role: Role) -> Self {
        let mut fields = json::partner(terms, key, partner);
        if role < Role::Finance
            && let Some(Value::String(account)) = fields.pointer_mut("/payout/account")
        {
            *account = mask(account);
        }
        Self { object: "partner", created_at: partner.entered_at, fields }
    }

    fn find(terms: &Terms, key: &str, role: Role) -> Result<Self, Problem> {
        let found = terms.partners.get(key).map(|partner| Self::of(terms, key, partner, role));
        found.ok_or_else(|| Problem::not_found(format!("there is no partner {key:?}")))
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `key` of the last partner of the page before.
    starting_after: Option<String>,
    /// `active` or `inactive`.
    status: Option<String>,
    /// Those of this group.
    group: Option<String>,
    /// Those who are in this program.
    program: Option<String>,
    /// The one with this e-mail, in any case.
    email: Option<String>,
    /// Entered since then.
    since: Option<DateTime<Utc>>,
    /// Entered before then.
    until: Option<DateTime<Utc>>,
}

impl Filter {
    fn fits(&self, partner: &terms::Partner, status: Option<terms::Status>) -> bool {
        let email = self.email.as_deref().map(crate::domain::evidence::normal_email);
        let is_in = |program: &str| {
            partner.enrollment(program).and_then(|dated| dated.latest()) == Some(&terms::Status::Active)
        };
        status.is_none_or(|status| partner.status.latest().copied().unwrap_or_default() == status)
            && self.group.is_none() | (partner.group.latest().and_then(Option::as_ref) == self.group.as_ref())
            && self.program.as_deref().is_none_or(is_in)
            && email.is_none_or(|email| {
                partner.profile.email.as_deref().map(crate::domain::evidence::normal_email) == Some(email)
            })
            && self.since.is_none_or(|since| partner.entered_at >= since)
            && self.until.is_none_or(|until| partner.entered_at < until)
    }
}

/// The partners
///
/// In order of their keys.
#[utoipa::path(
    get, path = "/v1/partners", tag = "partners", operation_id = "list_partners", params(Filter),
    responses((status = 200, description = "A page of partners", body = List<Partner>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<List<Partner>>, Problem> {
    let page = Page::of(filter.limit, filter.starting_after.clone())?;
    let status = filter.status.as_deref().map(valid::status).transpose();
    let status = status.map_err(|error| Problem::invalid("status", error))?;
    let terms = app.terms(&caller).await?;
    let after = page.starting_after.as_deref();
    let behind = terms.partners.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let fitting = behind.filter(|(_, partner)| filter.fits(partner, status));
    let most = usize::try_from(page.and_one()).unwrap_or(usize::MAX);
    let role = caller.0.role;
    Ok(Json(page.list(fitting.take(most).map(|(key, partner)| Partner::of(&terms, key, partner, role)).collect())))
}

/// Enter a partner
///
/// Sales that named this key before are credited now, where nobody else was.
#[utoipa::path(
    post, path = "/v1/partners", tag = "partners", operation_id = "create_partner", request_body = PartnerFields,
    responses((status = 201, description = "The partner", body = Partner))
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    post: Post<Map<String, Value>>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let key = partners::create(&mut desk, &post.body).await?;
    let made = Partner::find(&desk.terms, &key, caller.0.role)?;
    let answer = doing.answer(StatusCode::CREATED, &made).await?;
    app.wake();
    Ok(answer)
}

/// A partner
#[utoipa::path(
    get, path = "/v1/partners/{key}", tag = "partners", operation_id = "get_partner",
    params(("key" = String, Path, description = "The partner's key", example = "acme")),
    responses((status = 200, description = "The partner", body = Partner))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    object(StatusCode::OK, &Partner::find(&*app.terms(&caller).await?, &key, caller.0.role)?)
}

/// Change a partner
///
/// Fields that are left out stay as they are; null takes a value away. `programs`, `codes` and `overrides` are given
/// whole. Status and group count for payments from now on.
#[utoipa::path(
    post, path = "/v1/partners/{key}", tag = "partners", operation_id = "update_partner", request_body = PartnerFields,
    params(("key" = String, Path, description = "The partner's key", example = "acme"), super::IfMatchHeader),
    responses((status = 200, description = "The partner", body = Partner))
)]
pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<Map<String, Value>>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    post.if_match.check(&Partner::find(&desk.terms, &key, caller.0.role)?)?;
    partners::update(&mut desk, &key, &post.body).await?;
    let changed = Partner::find(&desk.terms, &key, caller.0.role)?;
    let answer = doing.answer(StatusCode::OK, &changed).await?;
    app.wake();
    Ok(answer)
}
