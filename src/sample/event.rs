//! One Stripe event, described without any API version.

use serde::Deserialize;
use serde_json::Value;

use super::random::derived_id;
use super::shape::charge::{Charge, PaymentIntent};
use super::shape::checkout::Session;
use super::shape::customer::{Customer, PromotionCode, Subscription};
use super::shape::invoice::{Invoice, InvoicePayment};
use super::shape::taken_back::{CreditNote, Dispute, Refund};
use crate::domain::Time;

/// One event: what happened, when, and the object it shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Described")]
pub struct Event {
    /// `evt_…`; if not given, derived from everything else, so that the same description twice is the same event.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// When (`created`).
    pub at: Time,
    /// Live or test.
    pub livemode: bool,
    /// The connected account, where the event comes from one.
    pub account: Option<String>,
    /// The object as it is after what happened.
    pub object: Object,
    /// `data.previous_attributes`, where it matters.
    pub previous: Option<Value>,
}

/// The object that an event shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// `in_…`
    Invoice(Box<Invoice>),
    /// `inpay_…`
    InvoicePayment(InvoicePayment),
    /// `cs_…`
    Session(Box<Session>),
    /// `pi_…`
    PaymentIntent(PaymentIntent),
    /// `ch_…`
    Charge(Box<Charge>),
    /// `re_…`
    Refund(Refund),
    /// `dp_…`
    Dispute(Dispute),
    /// `cn_…`
    CreditNote(CreditNote),
    /// `cus_…`
    Customer(Customer),
    /// `sub_…`
    Subscription(Subscription),
    /// `promo_…`
    PromotionCode(PromotionCode),
    /// Any object of a type that the bridge ignores, as JSON.
    Other(Value),
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])? $variant:ident = $name:literal in $table:ident;)*) => {
        /// What happened: the event types that the bridge reads, and any other.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A type that the bridge ignores.
            Other(String),
        }

        impl Kind {
            /// Every type that the bridge reads.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The type as Stripe writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }

            /// The table that describes this type's object.
            pub fn table(&self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($table),)*
                    Self::Other(_) => "object",
                }
            }
        }

        impl From<String> for Kind {
            fn from(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$variant,)*
                    _ => Self::Other(name),
                }
            }
        }
    };
}

kinds! {
    InvoicePaid = "invoice.paid" in invoice;
    InvoicePaymentSucceeded = "invoice.payment_succeeded" in invoice;
    InvoicePaymentFailed = "invoice.payment_failed" in invoice;
    InvoiceVoided = "invoice.voided" in invoice;
    InvoiceMarkedUncollectible = "invoice.marked_uncollectible" in invoice;
    InvoicePaymentPaid = "invoice_payment.paid" in invoice_payment;
    SessionCompleted = "checkout.session.completed" in session;
    SessionAsyncPaymentSucceeded = "checkout.session.async_payment_succeeded" in session;
    SessionAsyncPaymentFailed = "checkout.session.async_payment_failed" in session;
    SessionExpired = "checkout.session.expired" in session;
    PaymentIntentSucceeded = "payment_intent.succeeded" in payment_intent;
    ChargeSucceeded = "charge.succeeded" in charge;
    ChargeCaptured = "charge.captured" in charge;
    ChargeUpdated = "charge.updated" in charge;
    ChargeFailed = "charge.failed" in charge;
    ChargeRefunded = "charge.refunded" in charge;
    RefundCreated = "refund.created" in refund;
    RefundUpdated = "refund.updated" in refund;
    RefundFailed = "refund.failed" in refund;
    ChargeRefundUpdated = "charge.refund.updated" in refund;
    DisputeCreated = "charge.dispute.created" in dispute;
    DisputeUpdated = "charge.dispute.updated" in dispute;
    DisputeFundsWithdrawn = "charge.dispute.funds_withdrawn" in dispute;
    DisputeFundsReinstated = "charge.dispute.funds_reinstated" in dispute;
    DisputeClosed = "charge.dispute.closed" in dispute;
    CreditNoteCreated = "credit_note.created" in credit_note;
    CreditNoteVoided = "credit_note.voided" in credit_note;
    CustomerCreated = "customer.created" in customer;
    CustomerUpdated = "customer.updated" in customer;
    CustomerDeleted = "customer.deleted" in customer;
    SubscriptionCreated = "customer.subscription.created" in subscription;
    SubscriptionUpdated = "customer.subscription.updated" in subscription;
    SubscriptionDeleted = "customer.subscription.deleted" in subscription;
    PromotionCodeCreated = "promotion_code.created" in promotion_code;
    PromotionCodeUpdated = "promotion_code.updated" in promotion_code;
}

/// A description that cannot be an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// The object's table is missing.
    #[error("an event of type {kind} needs a table `{table}`")]
    Missing {
        /// The event's type.
        kind: String,
        /// The table it needs.
        table: &'static str,
    },
    /// A table that belongs to another type.
    #[error("an event of type {kind} is described by the table `{table}` alone")]
    TooMany {
        /// The event's type.
        kind: String,
        /// The one table it takes.
        table: &'static str,
    },
}

/// An event as people write it: one flat table with one object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    at: Time,
    livemode: Option<bool>,
    account: Option<String>,
    previous: Option<Value>,
    invoice: Option<Box<Invoice>>,
    invoice_payment: Option<InvoicePayment>,
    session: Option<Box<Session>>,
    payment_intent: Option<PaymentIntent>,
    charge: Option<Box<Charge>>,
    refund: Option<Refund>,
    dispute: Option<Dispute>,
    credit_note: Option<CreditNote>,
    customer: Option<Customer>,
    subscription: Option<Subscription>,
    promotion_code: Option<PromotionCode>,
    object: Option<Value>,
}

impl TryFrom<Described> for Event {
    type Error = BadEvent;

    fn try_from(given: Described) -> Result<Self, BadEvent> {
        let kind = Kind::from(given.kind);
        let mut objects: Vec<(&str, Object)> = [
            given.invoice.map(|it| ("invoice", Object::Invoice(it))),
            given.invoice_payment.map(|it| ("invoice_payment", Object::InvoicePayment(it))),
            given.session.map(|it| ("session", Object::Session(it))),
            given.payment_intent.map(|it| ("payment_intent", Object::PaymentIntent(it))),
            given.charge.map(|it| ("charge", Object::Charge(it))),
            given.refund.map(|it| ("refund", Object::Refund(it))),
            given.dispute.map(|it| ("dispute", Object::Dispute(it))),
            given.credit_note.map(|it| ("credit_note", Object::CreditNote(it))),
            given.customer.map(|it| ("customer", Object::Customer(it))),
            given.subscription.map(|it| ("subscription", Object::Subscription(it))),
            given.promotion_code.map(|it| ("promotion_code", Object::PromotionCode(it))),
            given.object.map(|it| ("object", Object::Other(it))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (kind_name, table) = (kind.as_str().to_owned(), kind.table());
        if objects.len() > 1 {
            return Err(BadEvent::TooMany { kind: kind_name, table });
        }
        let Some((found, object)) = objects.pop() else { return Err(BadEvent::Missing { kind: kind_name, table }) };
        if found != table {
            return Err(BadEvent::TooMany { kind: kind_name, table });
        }
        let mut event = Self::new(kind, given.at, object);
        event.livemode = given.livemode.unwrap_or(true);
        event.account = given.account;
        event.previous = given.previous;
        event.id = given.id.unwrap_or_else(|| derived_id("evt", &[&format!("{event:?}")]));
        Ok(event)
    }
}

impl Event {
    /// A live event without an id yet.
    pub fn new(kind: Kind, at: Time, object: Object) -> Self {
        Self { id: String::new(), kind, at, livemode: true, account: None, object, previous: None }
    }
}
