//! A customer's timeline: what became of their subscriptions and payments, moment by moment.
//!
//! Told by all facts of the customer, in any order and repetition. Moments are dated by the objects' own times where they
//! have them, else by the event's. Where an object was fetched, only its state at that time is known: what begins with it
//! is marked as assumed, for nobody knows since when it has been so.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Time;
use super::currency::Currency;
use super::facts::{EventFacts, Fact, InvoiceFact};
use super::history::{Payment, Source, fold};
use super::mrr::{Standing, Subscription, subscriptions};
use super::subscribed::Status;
use super::taken::taken;
use super::terms::Settings;

/// What happened. The texts are stable API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the documentation; `Moment::sentence` says each in words
pub enum What {
    SubscriptionStarted,
    TrialStarted,
    TrialConverted,
    TrialEnded,
    PlanChanged,
    QuantityChanged,
    MrrChanged,
    Paused,
    Resumed,
    PaymentFailed,
    PastDue,
    Paid,
    PaymentRecovered,
    Refunded,
    RefundFailed,
    Disputed,
    DisputeReturned,
    CreditNote,
    CreditNoteVoided,
    Voided,
    CancelScheduled,
    CancelCalledOff,
    Canceled,
    Expired,
}

impl What {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SubscriptionStarted => "subscription_started",
            Self::TrialStarted => "trial_started",
            Self::TrialConverted => "trial_converted",
            Self::TrialEnded => "trial_ended",
            Self::PlanChanged => "plan_changed",
            Self::QuantityChanged => "quantity_changed",
            Self::MrrChanged => "mrr_changed",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::PaymentFailed => "payment_failed",
            Self::PastDue => "past_due",
            Self::Paid => "paid",
            Self::PaymentRecovered => "payment_recovered",
            Self::Refunded => "refunded",
            Self::RefundFailed => "refund_failed",
            Self::Disputed => "disputed",
            Self::DisputeReturned => "dispute_returned",
            Self::CreditNote => "credit_note",
            Self::CreditNoteVoided => "credit_note_voided",
            Self::Voided => "voided",
            Self::CancelScheduled => "cancel_scheduled",
            Self::CancelCalledOff => "cancel_called_off",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Moment {
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
    /// The subscription it is about.
    pub subscription: Option<String>,
    /// The payment it is about, by its main reference; the invoice where no money came.
    pub payment: Option<String>,
    /// Money received, asked for or taken back, minor units; negative where it came back.
    pub amount: Option<i64>,
    /// Of every amount.
    pub currency: Option<Currency>,
    /// What recurred a month before, minor units.
    pub mrr_before: Option<i64>,
    /// What recurs a month from then on.
    pub mrr_after: Option<i64>,
    /// The prices before, each with how many of it.
    pub prices_before: Vec<(String, i64)>,
    /// The prices from then on.
    pub prices_after: Vec<(String, i64)>,
    /// Which attempt to collect it was, from 1.
    pub attempt: Option<i64>,
    /// When the next attempt, a trial's end or a planned end is due.
    pub due_at: Option<Time>,
    /// Why it ended, where that is known: `cancellation_requested`, `payment_failed`, `payment_disputed`.
    pub reason: Option<String>,
    /// The event that says so.
    pub event_id: Option<String>,
    /// Whether the moment is only the earliest at which it is known to be so.
    pub is_assumed: bool,
}

impl Moment {
    fn new(at: Time, what: What) -> Self {
        Self {
            at,
            what,
            subscription: None,
            payment: None,
            amount: None,
            currency: None,
            mrr_before: None,
            mrr_after: None,
            prices_before: Vec::new(),
            prices_after: Vec::new(),
            attempt: None,
            due_at: None,
            reason: None,
            event_id: None,
            is_assumed: false,
        }
    }
}

/// All that happened to a customer up to `now`, in order of time.
pub fn timeline(events: &[EventFacts], settings: &Settings, now: Time) -> Vec<Moment> {
    let mut moments = Vec::new();
    for subscription in subscriptions(events, settings) {
        tell_subscription(&subscription, &mut moments);
    }
    let failures = failures(events);
    for payment in &fold(events).payments {
        tell_payment(payment, &failures, now, &mut moments);
    }
    moments.extend(failures.into_values());
    moments.retain(|moment| moment.at <= now);
    moments.sort();
    moments
}

fn tell_subscription(subscription: &Subscription, moments: &mut Vec<Moment>) {
    let mut before: Option<&Standing> = None;
    for standing in &subscription.standings {
        for moment in changes(before, standing) {
            moments.push(Moment {
                subscription: Some(subscription.id.clone()),
                currency: standing.currency,
                event_id: Some(standing.event_id.clone()),
                // A planned end may say when it was planned.
                is_assumed: standing.is_assumed && moment.at == standing.from,
                ..moment
            });
        }
        before = Some(standing);
    }
}

/// What changed from one standing to the next.
fn changes(before: Option<&Standing>, after: &Standing) -> Vec<Moment> {
    let at = |what| Moment::new(after.from, what);
    let trial = || Moment { due_at: after.state.trial_end, ..at(What::TrialStarted) };
    let Some(before) = before else {
        let started =
            Moment { mrr_after: Some(after.mrr), prices_after: after.prices.clone(), ..at(What::SubscriptionStarted) };
        let mut moments = vec![started];
        moments.extend((after.status == Status::Trialing).then(trial));
        moments.extend(ended(None, after));
        return moments;
    };
    if after.status.is_final() {
        return ended(Some(before), after).into_iter().collect();
    }
    let mrr = |what| Moment { mrr_before: Some(before.mrr), mrr_after: Some(after.mrr), ..at(what) };
    let priced =
        |what| Moment { prices_before: before.prices.clone(), prices_after: after.prices.clone(), ..mrr(what) };
    let mut moments = Vec::new();
    let same_plans = before.prices.iter().map(|(price, _)| price).eq(after.prices.iter().map(|(price, _)| price));
    if !same_plans {
        moments.push(priced(What::PlanChanged));
    } else if before.prices != after.prices {
        moments.push(priced(What::QuantityChanged));
    } else if before.status == after.status && before.mrr != after.mrr {
        moments.push(mrr(What::MrrChanged));
    }
    match (before.status, after.status) {
        (one, other) if one == other => {}
        (_, Status::Trialing) => moments.push(trial()),
        (Status::Trialing, Status::Active) => moments.push(mrr(What::TrialConverted)),
        (Status::Trialing, _) => moments.push(mrr(What::TrialEnded)),
        (Status::Paused, Status::Active) => moments.push(mrr(What::Resumed)),
        (_, Status::Paused) => moments.push(mrr(What::Paused)),
        (_, Status::PastDue | Status::Unpaid) => moments.push(mrr(What::PastDue)),
        _ => {}
    }
    moments.extend(planned(before, after));
    moments
}

/// What changed about a planned end.
fn planned(before: &Standing, after: &Standing) -> Option<Moment> {
    let plans = |standing: &Standing| standing.state.cancel_at.is_some() || standing.state.cancels_at_period_end;
    match (plans(before), plans(after)) {
        (false, true) => {
            let asked_at = after.state.canceled_at.filter(|at| *at > before.from && *at <= after.from);
            let due_at = after.state.cancel_at;
            Some(Moment { due_at, ..Moment::new(asked_at.unwrap_or(after.from), What::CancelScheduled) })
        }
        (true, false) => Some(Moment::new(after.from, What::CancelCalledOff)),
        _ => None,
    }
}

fn ended(before: Option<&Standing>, after: &Standing) -> Option<Moment> {
    let what = match after.status {
        Status::Canceled => What::Canceled,
        Status::IncompleteExpired => What::Expired,
        _ => return None,
    };
    let unpaid = before.is_some_and(|before| matches!(before.status, Status::PastDue | Status::Unpaid));
    let reason = after.state.cancel_reason.clone().or_else(|| unpaid.then(|| "payment_failed".to_owned()));
    let mrr_before = before.map(|before| before.mrr);
    Some(Moment { mrr_before, mrr_after: Some(0), reason, ..Moment::new(after.from, what) })
}

/// Attempts that failed, each once, by invoice and attempt.
fn failures(events: &[EventFacts]) -> BTreeMap<(String, Option<i64>, Time), Moment> {
    let mut failures: BTreeMap<(String, Option<i64>, Time), Moment> = BTreeMap::new();
    for event in events {
        for fact in &event.facts {
            let Fact::Invoice(invoice) = fact else { continue };
            let Some(moment) = failure(event, invoice) else { continue };
            // Two events may tell of one attempt; without its number only their times tell attempts apart.
            let undated = if moment.attempt.is_some() { Time::MIN_UTC } else { moment.at };
            let known = failures.entry((invoice.id.clone(), moment.attempt, undated)).or_insert_with(|| moment.clone());
            // The first that told of it; of one event in two shapes, the one that says more.
            let order = (moment.at, &moment.event_id).cmp(&(known.at, &known.event_id));
            if order.then_with(|| (*known).cmp(&moment)).is_lt() {
                *known = moment;
            }
        }
    }
    failures
}

fn failure(event: &EventFacts, invoice: &InvoiceFact) -> Option<Moment> {
    let failed = invoice.failed.as_ref()?;
    Some(Moment {
        subscription: invoice.subscription.clone(),
        payment: Some(invoice.id.clone()),
        amount: Some(invoice.amount_due),
        currency: Some(invoice.currency),
        attempt: failed.attempt,
        due_at: failed.next_at,
        event_id: Some(event.stamp.event_id.clone()),
        ..Moment::new(event.stamp.created, What::PaymentFailed)
    })
}

fn tell_payment(
    payment: &Payment,
    failures: &BTreeMap<(String, Option<i64>, Time), Moment>,
    now: Time,
    moments: &mut Vec<Moment>,
) {
    let paid = payment.on_stripe.saturating_add(payment.off_stripe);
    // A charge that may be an invoice's is told of once it is known to be one of its own.
    if paid <= 0 || payment.source == (Source::Direct { known_alone: false }) {
        return;
    }
    let of_payment = |what, at, amount| Moment {
        subscription: payment.subscription.clone(),
        payment: Some(payment.reference.clone()),
        amount: Some(amount),
        currency: Some(payment.currency),
        ..Moment::new(at, what)
    };
    let failed = failures.values().any(|failed| {
        failed.at <= payment.paid_at && payment.references.iter().any(|own| Some(own) == failed.payment.as_ref())
    });
    let what = if failed { What::PaymentRecovered } else { What::Paid };
    let event_id = Some(payment.event_id.clone());
    moments.push(Moment { event_id, ..of_payment(what, payment.paid_at, paid) });
    let mut before = 0;
    for level in taken(payment, paid, 0, now).levels {
        let what = match level.reason {
            "refund" => What::Refunded,
            "refund_failed" => What::RefundFailed,
            "dispute" => What::Disputed,
            "dispute_returned" => What::DisputeReturned,
            "credit_note" => What::CreditNote,
            "credit_note_voided" => What::CreditNoteVoided,
            _ => What::Voided,
        };
        let event_id = Some(level.event_id);
        moments.push(Moment { event_id, ..of_payment(what, level.at, level.taken.saturating_sub(before)) });
        before = level.taken;
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
