//! `/v1/payments`: what was received, and why it was credited, or was not.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, object};
use super::super::query::{self, List, Page, Query};
use super::super::{App, Problem};
use super::customers;
use crate::domain::decision::Code;
use crate::ledger::explain::{Explanation, explain_reference};
use crate::store::{Span, StoreError, payments};

/// Money received once, and what was decided about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Payment {
    /// Always `payment`.
    #[schema(example = "payment")]
    object: &'static str,
    /// `pay_…`
    payment_id: String,
    /// Its main reference: its invoice, else session, else payment intent, else charge.
    #[schema(example = "in_1")]
    r#ref: String,
    /// Every reference it is known by.
    references: Vec<String>,
    /// The bridge's customer, `cust_…`.
    customer_id: String,
    /// The Stripe customer, where there is one.
    #[schema(example = "cus_1")]
    customer: Option<String>,
    /// `first`, `recurring`, `change` or `one_off`.
    #[schema(example = "first")]
    kind: String,
    paid_at: DateTime<Utc>,
    /// Received, minor units.
    paid: i64,
    /// Taken back, minor units.
    taken_back: i64,
    #[schema(example = "usd")]
    currency: String,
    decision: Decision,
}

/// Who is credited for a payment, and how much.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PaymentDecision)]
pub(super) struct Decision {
    /// Why it was credited, or was not; stable.
    #[schema(example = "credited")]
    code: String,
    /// The code in a sentence.
    sentence: &'static str,
    /// Who is credited, or would be but for the reason.
    partner_key: Option<String>,
    program: Option<String>,
    version: Option<i64>,
    /// By what evidence the partner was credited, for this payment or the one that won its customer: `manual`,
    /// `partner_key`, `click_id`, `promotion_code`, `customer_key` or `email`.
    #[schema(example = "click_id")]
    evidence_kind: Option<String>,
    /// The key, click id or code; an e-mail is not kept.
    evidence: Option<String>,
    /// The link that was clicked, `lnk_…`.
    link_id: Option<String>,
    /// Owed, minor units.
    amount: i64,
    decided_at: DateTime<Utc>,
}

impl TryFrom<payments::Payment> for Payment {
    type Error = StoreError;

    fn try_from(payment: payments::Payment) -> Result<Self, StoreError> {
        Ok(Self {
            object: "payment",
            references: payment.references()?,
            paid_at: payment.paid_at(),
            decision: Decision {
                sentence: sentence(&payment.code),
                decided_at: payment.decided_at(),
                code: payment.code,
                partner_key: payment.partner_key,
                program: payment.program_key,
                version: payment.version,
                evidence_kind: payment.evidence_kind,
                evidence: payment.evidence,
                link_id: payment.link_id,
                amount: payment.amount,
            },
            payment_id: payment.payment_id,
            r#ref: payment.reference,
            customer_id: payment.customer_id,
            customer: payment.stripe_customer,
            kind: payment.kind,
            paid: payment.paid,
            taken_back: payment.taken_back,
            currency: payment.currency,
        })
    }
}

/// A code as the ledger keeps it, in a sentence.
fn sentence(code: &str) -> &'static str {
    let deserializer: serde::de::value::StrDeserializer<'_, Error> = code.into_deserializer();
    Code::deserialize(deserializer).map_or("", Code::sentence)
}

/// A payment's decision with its trace, and what is booked for it.
#[derive(ToSchema)]
#[allow(dead_code)] // the shape of what the ledger says of itself
pub(super) struct Explained {
    payment: ExplainedPayment,
    decision: ExplainedDecision,
    /// Who earns beside the partner who is credited.
    shares: Vec<ExplainedShare>,
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
struct ExplainedShare {
    partner_key: String,
    program: String,
    /// Which part of the payment's commission.
    #[schema(example = "level_2")]
    component: String,
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
    /// `direct` or `level_2`: which part of the payment's commission.
    component: String,
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
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `payment_id` of the last payment of the page before.
    #[param(pattern = "^pay_")]
    starting_after: Option<String>,
    /// Those that this partner is credited for, or would be but for the reason.
    partner: Option<String>,
    /// Those that were decided so.
    #[param(value_type = Option<String>, example = "no_evidence")]
    code: Option<Code>,
    /// Those of this customer: `cus_…`, `cust_…` or a customer key.
    customer: Option<String>,
    /// Those paid at this moment or later.
    since: Option<DateTime<Utc>>,
    /// Those paid before this moment.
    until: Option<DateTime<Utc>>,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// What was received
///
/// The payments paid last first.
#[utoipa::path(
    get, path = "/v1/payments", tag = "ledger", operation_id = "list_payments", params(Wanted),
    responses((status = 200, description = "A page of payments", body = List<Payment>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Payment>>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "pay_")?;
    let mut tx = app.db.read().await?;
    let behind = match &page.starting_after {
        None => None,
        Some(id) => {
            let found = payments::by_id(&mut tx, caller.workspace(), mode, id).await?;
            Some(found.ok_or_else(|| page.unknown())?)
        }
    };
    let customer = match &wanted.customer {
        None => None,
        // Nobody has paid anything.
        Some(name) => match customers::find(&mut tx, (caller.workspace(), mode), name).await? {
            None => return Ok(Json(page.list(Vec::new()))),
            found => found,
        },
    };
    let filter = payments::Wanted {
        partner: wanted.partner.as_deref(),
        code: wanted.code.map(Code::as_str),
        customer_id: customer.as_ref().map(|customer| customer.customer_id.as_str()),
        paid: Span { since: wanted.since, until: wanted.until },
        behind: behind.as_ref(),
    };
    let found = payments::newest(&mut tx, caller.workspace(), mode, &filter, page.and_one()).await?;
    let found = found.into_iter().map(Payment::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(page.list(found)))
}

/// A payment
///
/// The one that any of its references names (`in_…`, `cs_…`, `pi_…`, `ch_…`, `pay_…`), as it was last decided. Of a
/// payment that turned out to be another, that other one.
#[utoipa::path(
    get, path = "/v1/payments/{reference}", tag = "ledger", operation_id = "get_payment",
    params(("reference" = String, Path, description = "Any reference of the payment", example = "in_1"), Book),
    responses((status = 200, description = "The payment", body = Payment))
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(reference): At<String>,
    Query(book): Query<Book>,
) -> Result<Response, Problem> {
    let mode = caller.book(query::mode(book.mode.as_deref())?)?;
    let mut tx = app.db.read().await?;
    match payments::find(&mut tx, caller.workspace(), mode, &reference).await? {
        Some(payment) => object(StatusCode::OK, &Payment::try_from(payment)?),
        None => Err(Problem::not_found(format!("there is no payment {reference:?} in the {mode} book"))),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Book {
    /// The key's own book, `live` or `test`; there is no need to say it.
    pub mode: Option<String>,
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
