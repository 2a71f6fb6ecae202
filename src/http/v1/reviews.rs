//! What people decide by hand: `/v1/payments/{reference}/reject`, `/restore` and `/attribute`, and
//! `/v1/customers/{customer}/attribute`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post};
use super::super::{App, Problem};
use super::begin;
use crate::admin::reviews::{self, To};
use crate::domain::terms::Verdict;
use crate::store::api_keys::Role;

/// What was said of a payment's commission.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Review {
    /// Always `review`.
    #[schema(example = "review")]
    object: &'static str,
    /// `pay_…`
    payment_id: String,
    /// The payment's main reference.
    payment_ref: String,
    /// `rejected` or `restored`.
    #[schema(example = "rejected")]
    verdict: &'static str,
    reason: String,
    author: String,
    at: DateTime<Utc>,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// It is in the trace, which partners may see, and in the audit log.
    #[schema(min_length = 1, max_length = 2000, example = "paid with a stolen card")]
    reason: String,
}

/// To whom a payment goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentTo {
    /// Who; null takes an earlier attribution by hand back.
    #[schema(example = "acme")]
    partner_key: Option<String>,
    /// Under which program; their earliest enrollment where left out.
    program: Option<String>,
}

/// To whom a customer's payments go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerTo {
    /// Who; null takes an earlier attribution by hand back.
    #[schema(example = "acme")]
    partner_key: Option<String>,
    /// Under which program; their earliest enrollment where left out.
    program: Option<String>,
    /// For payments from then on; for all where left out.
    from: Option<DateTime<Utc>>,
}

/// What was given to whom by hand.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Attribution {
    /// Always `attribution`.
    #[schema(example = "attribution")]
    object: &'static str,
    /// The payment's main reference, or the customer or subscription.
    #[schema(example = "in_1")]
    reference: String,
    partner_key: Option<String>,
    program: Option<String>,
    /// For payments from then on.
    from: Option<DateTime<Utc>>,
    author: String,
    at: DateTime<Utc>,
}

/// Reject a commission
///
/// The payment earns nothing; what is booked for it is taken back at once. It keeps its place among the customer's
/// payments.
#[utoipa::path(
    post, path = "/v1/payments/{reference}/reject", tag = "review", operation_id = "reject_payment",
    request_body = Reason,
    params(("reference" = String, Path, description = "Any reference of the payment", example = "in_1")),
    responses((status = 200, description = "The review", body = Review))
)]
pub(super) async fn reject(
    State(app): State<App>,
    caller: Caller,
    At(reference): At<String>,
    post: Post<Reason>,
) -> Result<Response, Problem> {
    review(&app, &caller, &reference, Verdict::Rejected, &post).await
}

/// Restore a commission
///
/// The payment earns again what it would have earned; one that waits for a review is released.
#[utoipa::path(
    post, path = "/v1/payments/{reference}/restore", tag = "review", operation_id = "restore_payment",
    request_body = Reason,
    params(("reference" = String, Path, description = "Any reference of the payment", example = "in_1")),
    responses((status = 200, description = "The review", body = Review))
)]
pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    At(reference): At<String>,
    post: Post<Reason>,
) -> Result<Response, Problem> {
    review(&app, &caller, &reference, Verdict::Restored, &post).await
}

async fn review(
    app: &App,
    caller: &Caller,
    reference: &str,
    verdict: Verdict,
    post: &Post<Reason>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let (payment_id, payment_ref) = reviews::review(&mut desk, reference, verdict, &post.body.reason).await?;
    let review = Review {
        object: "review",
        payment_id,
        payment_ref: payment_ref.clone(),
        verdict: match verdict {
            Verdict::Rejected => "rejected",
            Verdict::Restored => "restored",
        },
        reason: post.body.reason.trim().to_owned(),
        author: doing.session.author.clone(),
        at: doing.session.now,
    };
    let answer = doing.answer(StatusCode::OK, &review).await?;
    app.settle_at_once(caller, &payment_ref).await;
    Ok(answer)
}

/// Give a payment to a partner
///
/// By hand, whatever its evidence says; it takes the payment from an earlier winner.
#[utoipa::path(
    post, path = "/v1/payments/{reference}/attribute", tag = "review", operation_id = "attribute_payment",
    request_body = PaymentTo,
    params(("reference" = String, Path, description = "Any reference of the payment", example = "in_1")),
    responses((status = 200, description = "The attribution", body = Attribution))
)]
pub(super) async fn attribute_payment(
    State(app): State<App>,
    caller: Caller,
    At(reference): At<String>,
    post: Post<PaymentTo>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let PaymentTo { partner_key, program } = &post.body;
    let to = To { partner: partner_key.clone(), program: program.clone(), from: None };
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let reference = reviews::payment(&mut desk, &reference).await?;
    reviews::attribute(&mut desk, &reference, to.clone()).await?;
    attributed(&app, &caller, doing, reference, to).await
}

/// Give a customer to a partner
///
/// All payments of a Stripe customer or subscription, or those from a moment on.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/attribute", tag = "review", operation_id = "attribute_customer",
    request_body = CustomerTo,
    params(("customer" = String, Path, description = "`cus_…` or `sub_…`", example = "cus_1")),
    responses((status = 200, description = "The attribution", body = Attribution))
)]
pub(super) async fn attribute_customer(
    State(app): State<App>,
    caller: Caller,
    At(customer): At<String>,
    post: Post<CustomerTo>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let CustomerTo { partner_key, program, from } = &post.body;
    let to = To { partner: partner_key.clone(), program: program.clone(), from: *from };
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    reviews::customer(&mut desk, &customer).await?;
    reviews::attribute(&mut desk, &customer, to.clone()).await?;
    attributed(&app, &caller, doing, customer, to).await
}

async fn attributed(
    app: &App,
    caller: &Caller,
    doing: Box<super::super::body::Doing>,
    reference: String,
    to: To,
) -> Result<Response, Problem> {
    let attribution = Attribution {
        object: "attribution",
        reference: reference.clone(),
        partner_key: to.partner,
        program: to.program,
        from: to.from,
        author: doing.session.author.clone(),
        at: doing.session.now,
    };
    let answer = doing.answer(StatusCode::OK, &attribution).await?;
    app.settle_at_once(caller, &reference).await;
    Ok(answer)
}
