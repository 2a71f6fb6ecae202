//! One Stripe event: its envelope, which the inbox needs at once, and its facts, which are read later.

use super::outer::Event;
use super::problem::{EnvelopeError, ReadError};
use super::shape::Outline;
use super::{
    account, charge, checkout, credit_note, customer, dispute, fetched, invoice, invoice_payment, payment_intent,
    price, promotion_code, refund, subscription, transfer,
};
use crate::domain::Time;
use crate::domain::facts::{EventFacts, Fact, Stamp};

/// What the inbox needs to know of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `evt_…`
    pub id: String,
    /// `invoice.paid`, …
    pub type_: String,
    /// When Stripe made it, in whole seconds.
    pub created: Time,
    /// Which book it belongs to.
    pub livemode: bool,
    /// The connected account (`acct_…`); the platform's own events have none.
    pub account: Option<String>,
    /// The API version it is written in.
    pub api_version: Option<String>,
    /// A number that is equal for redeliveries of one rendering and differs between renderings of one event in
    /// different API versions: a hash of the version and of which top-level fields of the object are not null.
    pub shape: i64,
    /// A thin event (`v2.core.event`): it names its object without showing it.
    pub thin: bool,
}

/// What became of reading an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// What it says.
    Facts(EventFacts),
    /// It says nothing that concerns partners.
    Ignored(IgnoredReason),
}

/// Why an event was not read. The texts are stable API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoredReason {
    /// Its type is none of [`UNDERSTOOD`].
    UnknownType,
    /// It does not show its object.
    ThinEvent,
}

impl IgnoredReason {
    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::ThinEvent => "thin_event",
        }
    }
}

/// Reads one object out of its JSON, given the event's type.
type Reader = fn(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError>;

/// The readers of Stripe's own events.
const READERS: [(&str, Reader); 41] = [
    ("invoice.paid", invoice::read),
    ("invoice.payment_succeeded", invoice::read),
    ("invoice.payment_failed", invoice::read),
    ("invoice.voided", invoice::read),
    ("invoice.marked_uncollectible", invoice::read),
    ("invoice_payment.paid", invoice_payment::read),
    ("checkout.session.completed", checkout::read),
    ("checkout.session.async_payment_succeeded", checkout::read),
    ("checkout.session.async_payment_failed", checkout::read),
    ("checkout.session.expired", checkout::read),
    ("payment_intent.succeeded", payment_intent::read),
    ("charge.succeeded", charge::read),
    ("charge.captured", charge::read),
    ("charge.updated", charge::read),
    ("charge.failed", charge::read),
    ("charge.refunded", charge::read),
    ("charge.refund.updated", refund::read),
    ("refund.created", refund::read),
    ("refund.updated", refund::read),
    ("refund.failed", refund::read),
    ("charge.dispute.created", dispute::read),
    ("charge.dispute.updated", dispute::read),
    ("charge.dispute.funds_withdrawn", dispute::read),
    ("charge.dispute.funds_reinstated", dispute::read),
    ("charge.dispute.closed", dispute::read),
    ("credit_note.created", credit_note::read),
    ("credit_note.updated", credit_note::read),
    ("credit_note.voided", credit_note::read),
    ("customer.created", customer::read),
    ("customer.updated", customer::read),
    ("customer.deleted", customer::read),
    ("customer.subscription.created", subscription::read),
    ("customer.subscription.updated", subscription::read),
    ("customer.subscription.deleted", subscription::read),
    ("promotion_code.created", promotion_code::read),
    ("promotion_code.updated", promotion_code::read),
    ("transfer.created", transfer::read),
    ("transfer.updated", transfer::read),
    ("transfer.reversed", transfer::read),
    ("account.updated", account::read),
    ("account.application.deauthorized", account::read_deauthorized),
];

/// The readers of what was fetched from Stripe's API ([`super::fetched`]), and of what people say of an object's past.
const FETCHED: [(&str, Reader); 14] = [
    ("fetched.invoice", invoice::read),
    ("fetched.invoice_payment", invoice_payment::read),
    ("fetched.checkout_session", checkout::read),
    ("fetched.payment_intent", payment_intent::read),
    ("fetched.charge", charge::read),
    ("fetched.refund", refund::read),
    ("fetched.dispute", dispute::read),
    ("fetched.credit_note", credit_note::read),
    ("fetched.customer", customer::read),
    ("fetched.subscription", subscription::read),
    ("fetched.promotion_code", promotion_code::read),
    ("fetched.price", price::read),
    ("stated.customer", customer::read),
    ("stated.subscription", subscription::read),
];

fn reader(event_type: &str) -> Option<Reader> {
    READERS.iter().chain(&FETCHED).find(|(known, _)| *known == event_type).map(|(_, reader)| *reader)
}

/// Whether events of a type are read: Stripe's ([`UNDERSTOOD`]), and what was fetched.
pub fn is_understood(event_type: &str) -> bool {
    reader(event_type).is_some()
}

/// Those of them that are about partners' connected accounts: an endpoint for events of connected accounts ("Connect")
/// should subscribe to these, and the merchant's own need not. They name the partner's account, not the merchant's.
pub const OF_CONNECTED_ACCOUNTS: &[&str] = &["account.updated", "account.application.deauthorized"];

/// Every event type that is read. Webhook endpoints should subscribe to these and to nothing else.
pub const UNDERSTOOD: &[&str] = &{
    let mut types = [""; READERS.len()];
    let mut index = 0;
    while index < types.len() {
        types[index] = READERS[index].0;
        index += 1;
    }
    types
};

/// Reads the envelope of an event, fast: one pass, borrowing, the object inside is skipped.
///
/// An event wrapped by `EventBridge` (`{"detail": …}`) or Event Grid (`{"data": …}`) is taken out of its wrapper. The
/// event's type need not be [`UNDERSTOOD`].
///
/// ```
/// let body = br#"{"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1790000000,
///     "livemode": true, "api_version": "2026-10-28.endive", "data": {"object": {"id": "in_1"}}}"#;
/// let envelope = commission_bridge::stripe::envelope(body).unwrap();
/// assert_eq!((envelope.id.as_str(), envelope.livemode, envelope.thin), ("evt_1", true, false));
/// ```
///
/// # Errors
///
/// [`EnvelopeError`] where the body is no JSON or no event.
pub fn envelope(body: &[u8]) -> Result<Envelope, EnvelopeError> {
    let event = Event::<Outline>::open(body)?;
    let mut envelope = event.envelope()?;
    if !event.thin {
        envelope.shape = event.object()?.shape(envelope.api_version.as_deref());
    }
    Ok(envelope)
}

/// Reads an event's facts, whatever API version it was written in.
///
/// # Errors
///
/// [`ReadError`] names the field that is at fault. The event should be kept: a later release may read it.
pub fn read(body: &[u8]) -> Result<Reading, ReadError> {
    Opened::new(body)?.read()
}

/// An event whose outer part was read.
pub struct Opened<'a>(Event<'a, &'a serde_json::value::RawValue>);

impl<'a> Opened<'a> {
    /// Reads the outer part.
    ///
    /// # Errors
    ///
    /// As [`read`].
    pub fn new(body: &'a [u8]) -> Result<Self, ReadError> {
        Ok(Self(Event::open(body)?))
    }

    /// The connected account that it is about.
    pub fn account(&self) -> Option<&str> {
        self.0.account()
    }

    /// Its type, where it names one.
    pub fn event_type(&self) -> &str {
        self.0.type_().unwrap_or_default()
    }

    /// Reads the facts.
    ///
    /// # Errors
    ///
    /// As [`read`].
    pub fn read(&self) -> Result<Reading, ReadError> {
        let event = &self.0;
        if event.thin {
            return Ok(Reading::Ignored(IgnoredReason::ThinEvent));
        }
        let event_type = event.type_()?;
        let Some(reader) = reader(event_type) else {
            return Ok(Reading::Ignored(IgnoredReason::UnknownType));
        };
        let stamp = Stamp { created: event.created()?, event_id: event.id()?.to_owned() };
        let mut facts = reader(event.object()?.get(), event_type)
            .map_err(|error| error.within(&format!("{}data.object.", event.prefix)))?;
        // An application that is gone shows itself; whose account it is stands outside.
        for fact in &mut facts {
            if let Fact::Account(account) = fact
                && account.id.is_empty()
            {
                let id = event.account().ok_or_else(|| ReadError::missing("account", "an account's id"))?;
                id.clone_into(&mut account.id);
            }
        }
        let fetched_at = event.fetched_at();
        if fetched_at.is_some() {
            fetched::as_shown(&mut facts);
        }
        Ok(Reading::Facts(EventFacts { stamp, fetched_at, facts }))
    }
}
