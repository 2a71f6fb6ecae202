//! A customer's timeline, found by any of their references.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::settle::load_cases;
use super::{Ledger, think};
use crate::domain::timeline::{Moment, What, timeline};
use crate::store::{Mode, StoreError, WorkspaceId, customers, payments, refs};

/// What is known of a reference.
#[derive(Debug, Clone)]
pub enum Told {
    /// The customer's `cust_…`, and what happened to them, in order of time.
    Moments(String, Vec<Moment>),
    /// Nothing names it.
    Unknown,
    /// The customer's facts cannot be read; the reason.
    Unreadable(String),
}

/// Tells the timeline of the customer that `reference` (`cust_…`, `cus_…`, `sub_…`, `in_…`, `pi_…`, `ch_…`, `cs_…`,
/// `pay_…` or the merchant's own key) belongs to, up to now.
///
/// # Errors
/// The database's.
pub async fn of_reference(
    ledger: &Ledger,
    workspace: WorkspaceId,
    mode: Mode,
    reference: &str,
) -> Result<Told, StoreError> {
    let mut tx = ledger.db.read().await?;
    let key = format!("key:{reference}");
    let owner = if let Some(payment) = payments::find(&mut tx, workspace, mode, reference).await? {
        payment.customer_id
    } else {
        let owners = refs::owners(&mut tx, workspace, [(mode, reference), (mode, &key)]).await?;
        // A key may look like anything, an id of Stripe's included.
        let own = owners.iter().find(|((_, text), _)| text == reference).or_else(|| owners.first());
        own.map_or(reference, |(_, customer)| customer).to_owned()
    };
    let customer = customers::by_id(&mut tx, workspace, &owner).await?.filter(|customer| customer.mode() == mode);
    let terms = ledger.db.terms(&mut tx, workspace).await?;
    let cases = load_cases(&mut tx, workspace, customer.into_iter().collect()).await?;
    tx.rollback().await?;
    let Some(case) = cases.into_iter().next() else { return Ok(Told::Unknown) };
    let events = match case.events {
        Ok(events) => events,
        Err(reason) => return Ok(Told::Unreadable(reason)),
    };
    let now = ledger.clock.now();
    let moments = think(move || timeline(&events, &terms.current_settings(), now)).await?;
    Ok(Told::Moments(owner, moments))
}

/// Something that happened to a customer. Amounts are minor units; what a moment does not have is null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MomentShape {
    /// Always `moment`.
    #[schema(example = "moment")]
    object: &'static str,
    /// When.
    at: DateTime<Utc>,
    /// `subscription_started`, `trial_started`, `trial_converted`, `trial_ended`, `plan_changed`, `quantity_changed`,
    /// `mrr_changed`, `paused`, `resumed`, `payment_failed`, `past_due`, `paid`, `payment_recovered`, `refunded`,
    /// `refund_failed`, `disputed`, `dispute_returned`, `credit_note`, `credit_note_voided`, `voided`,
    /// `cancel_scheduled`, `cancel_called_off`, `canceled` or `expired`.
    #[schema(example = "plan_changed")]
    what: &'static str,
    /// In words.
    sentence: String,
    /// The subscription it is about.
    subscription: Option<String>,
    /// The payment it is about, by its main reference; the invoice where no money came.
    payment: Option<String>,
    /// Received, asked for or taken back; negative where it came back.
    amount: Option<i64>,
    /// Of every amount.
    currency: Option<String>,
    /// What recurred by the month before.
    mrr_before: Option<i64>,
    /// What recurs by the month from then on.
    mrr_after: Option<i64>,
    /// The prices before.
    prices_before: Vec<PriceShape>,
    /// The prices from then on.
    prices_after: Vec<PriceShape>,
    /// Which attempt to collect it was, from 1.
    attempt: Option<i64>,
    /// When the next attempt, a trial's end or a planned end is due.
    due_at: Option<DateTime<Utc>>,
    /// Why it ended, where that is known.
    #[schema(example = "payment_failed")]
    reason: Option<String>,
    /// The event that says so.
    event_id: Option<String>,
    /// Whether it is only known that it was so by then: an object was fetched, and shows not since when.
    is_assumed: bool,
}

/// A price of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct PriceShape {
    /// `price_…`
    price: String,
    /// How many of it.
    quantity: i64,
}

fn prices(prices: &[(String, i64)]) -> Vec<PriceShape> {
    prices.iter().map(|(price, quantity)| PriceShape { price: price.clone(), quantity: *quantity }).collect()
}

impl From<&Moment> for MomentShape {
    fn from(moment: &Moment) -> Self {
        Self {
            object: "moment",
            at: moment.at,
            what: moment.what.as_str(),
            sentence: sentence(moment),
            subscription: moment.subscription.clone(),
            payment: moment.payment.clone(),
            amount: moment.amount,
            currency: moment.currency.map(|currency| currency.to_string()),
            mrr_before: moment.mrr_before,
            mrr_after: moment.mrr_after,
            prices_before: prices(&moment.prices_before),
            prices_after: prices(&moment.prices_after),
            attempt: moment.attempt,
            due_at: moment.due_at,
            reason: moment.reason.clone(),
            event_id: moment.event_id.clone(),
            is_assumed: moment.is_assumed,
        }
    }
}

/// A moment in words.
pub fn sentence(moment: &Moment) -> String {
    let money = |amount: Option<i64>| match (amount, moment.currency) {
        (Some(amount), Some(currency)) => crate::domain::money::Money::new(amount, currency).to_string(),
        _ => "an unknown amount".to_owned(),
    };
    let recurs = || format!("{} a month before, {} from now on", money(moment.mrr_before), money(moment.mrr_after));
    let due = |words: &str| moment.due_at.map(|at| format!("{words} {}", at.format("%Y-%m-%d"))).unwrap_or_default();
    let list = |prices: &[(String, i64)]| {
        let one = |(price, quantity): &(String, i64)| {
            if *quantity == 1 { price.clone() } else { format!("{quantity} × {price}") }
        };
        prices.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let change = || format!("{} to {}; {}", list(&moment.prices_before), list(&moment.prices_after), recurs());
    let back = moment.amount.map(i64::saturating_neg);
    match moment.what {
        What::SubscriptionStarted => {
            format!("Subscription started: {}, {} a month", list(&moment.prices_after), money(moment.mrr_after))
        }
        What::TrialStarted => format!("Trial started{}", due(", until")),
        What::TrialConverted => format!("Trial became a subscription: {} a month", money(moment.mrr_after)),
        What::TrialEnded => "Trial ended without a subscription".to_owned(),
        What::PlanChanged => format!("Plan changed from {}", change()),
        What::QuantityChanged => format!("Quantity changed from {}", change()),
        What::MrrChanged => format!("Price changed: {}", recurs()),
        What::Paused => "Paused".to_owned(),
        What::Resumed => format!("Resumed: {} a month", money(moment.mrr_after)),
        What::PaymentFailed => {
            let attempt = moment.attempt.map(|attempt| format!(", attempt {attempt}")).unwrap_or_default();
            let next = moment.due_at.map_or_else(|| "; no further attempt".to_owned(), |_| due("; next attempt"));
            format!("Payment of {} failed{attempt}{next}", money(moment.amount))
        }
        What::PastDue => "Past due: a payment is missing".to_owned(),
        What::Paid => format!("Paid {}", money(moment.amount)),
        What::PaymentRecovered => format!("Paid {} after attempts that failed", money(moment.amount)),
        What::Refunded => format!("Refunded {}", money(moment.amount)),
        What::RefundFailed => format!("A refund failed: {} came back", money(back)),
        What::Disputed => format!("Disputed: {} taken back", money(moment.amount)),
        What::DisputeReturned => format!("Dispute returned {}", money(back)),
        What::CreditNote => format!("Credit note: {} given back", money(moment.amount)),
        What::CreditNoteVoided => format!("Credit note voided: {} came back", money(back)),
        What::Voided => format!("Invoice voided: {}", money(moment.amount)),
        What::CancelScheduled => format!("Cancellation planned{}", due(" for")),
        What::CancelCalledOff => "Cancellation called off".to_owned(),
        What::Expired => "The first payment never came; the subscription expired".to_owned(),
        What::Canceled => match moment.reason.as_deref() {
            Some("cancellation_requested") => "Canceled, as asked for".to_owned(),
            Some("payment_failed") => "Canceled after payments that failed".to_owned(),
            Some("payment_disputed") => "Canceled after a dispute".to_owned(),
            Some(reason) => format!("Canceled ({reason})"),
            None => "Canceled".to_owned(),
        },
    }
}
