//! `/v1/partners/{key}/onboarding`: a link on which a partner opens their Stripe account.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Nothing, Post};
use super::super::{App, Problem};
use super::begin;
use crate::admin::onboarding;
use crate::store::api_keys::Role;

/// A link on which a partner opens the Stripe account that they are paid on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Onboarding {
    /// Always `onboarding`.
    #[schema(example = "onboarding")]
    object: &'static str,
    partner_key: String,
    /// `live` or `test`.
    mode: &'static str,
    /// For the partner alone: whoever has it opens the account. Shown this once; `null` where a request is repeated.
    #[schema(example = "https://bridge.example.com/onboard/4f0c…")]
    url: Option<String>,
    /// Until when it works, as often as it takes.
    expires_at: DateTime<Utc>,
}

/// Invite a partner to open their Stripe account
///
/// Makes a link for the partner. Its page opens the account once, leads to Stripe's form and back, and enters the account
/// as the way in which the partner is paid.
#[utoipa::path(
    post, path = "/v1/partners/{key}/onboarding", tag = "partners", operation_id = "onboard_partner",
    request_body = Option<Nothing>,
    params(("key" = String, Path, description = "The partner's key", example = "acme")),
    responses((status = 201, description = "The link", body = Onboarding))
)]
pub(super) async fn invite(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    app.stripe_of(caller.workspace(), caller.mode()).await?;
    let mut doing = begin!(post, app, caller);
    let opened = onboarding::open(&mut doing.session, &key).await?;
    let made = Onboarding {
        object: "onboarding",
        partner_key: key,
        mode: caller.mode().as_str(),
        url: Some(format!("{}/onboard/{}", app.public_url, opened.token)),
        expires_at: opened.expires_at,
    };
    doing.answer_without(StatusCode::CREATED, &made, &["/url"]).await
}
