//! Facts: what one Stripe event says, in the bridge's words, whatever API version it was written in.
//!
//! Readers (`crate::stripe`) make them, `record` keeps them, [`super::history`] merges them. A field that the event does
//! not carry is `None`/empty: "not said" never overrides what another event said. Amounts are minor units of the
//! object's currency. Times are Stripe's own. Metadata is kept raw, because which keys are evidence is a setting.

mod given_back;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;
use super::currency::Currency;
use super::subscribed::{FailedAttempt, SubscriptionState};

pub use given_back::{CreditNoteFact, DisputeFact, DisputeMoney, RefundFact, RefundStatus};

/// An object's `metadata`, as Stripe sent it (non-empty values only).
pub type Metadata = BTreeMap<String, String>;

/// What orders facts about the same object: the largest `(created, event_id)` wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The event's `created`.
    pub created: Time,
    /// The event's id (`evt_…`).
    pub event_id: String,
}

/// Everything one event in one shape says. This is what the `facts` table stores as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFacts {
    /// When, and by which event.
    pub stamp: Stamp,
    /// When the object was asked for, where it is no event of Stripe's but an object that was fetched: it shows what
    /// stands at that moment, and not since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Time>,
    /// One fact for the event's object, and one for each expanded object inside that is worth keeping.
    pub facts: Vec<Fact>,
}

/// One statement about one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "snake_case")]
pub enum Fact {
    /// An invoice.
    Invoice(Box<InvoiceFact>),
    /// A checkout session.
    Checkout(Box<CheckoutFact>),
    /// A payment intent.
    Intent(IntentFact),
    /// A charge (`ch_…`, `py_…`).
    Charge(ChargeFact),
    /// A refund.
    Refund(RefundFact),
    /// A dispute.
    Dispute(DisputeFact),
    /// A credit note.
    CreditNote(CreditNoteFact),
    /// That a payment intent or charge paid an invoice.
    InvoicePayment(InvoicePaymentFact),
    /// A customer.
    Customer(CustomerFact),
    /// A subscription.
    Subscription(SubscriptionFact),
    /// A promotion code: which id has which text. Belongs to no customer.
    PromotionCode(PromotionCodeFact),
    /// A price that was looked up. Belongs to no customer.
    Price(PriceInfo),
    /// A transfer to a partner's account. Belongs to no customer.
    Transfer(TransferFact),
    /// A partner's account. Belongs to no customer.
    Account(AccountFact),
}

/// A reference that an old API version always carries and a new one never does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The field was not there: this shape cannot say.
    #[default]
    Unsaid,
    /// The field was there and null: it is known that there is none.
    None,
    /// The id.
    To(String),
}

impl Link {
    /// The id, where there is one.
    pub fn id(&self) -> Option<&str> {
        if let Self::To(id) = self { Some(id) } else { None }
    }

    /// Whether this shape cannot say.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::Unsaid
    }
}

/// Why Stripe made an invoice (`billing_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingReason {
    /// `subscription_create`
    SubscriptionCreate,
    /// `subscription_cycle`
    SubscriptionCycle,
    /// `subscription_update`
    SubscriptionUpdate,
    /// `subscription_threshold`
    SubscriptionThreshold,
    /// `subscription`: written before 2018 for any subscription invoice
    Subscription,
    /// `quote_accept`
    QuoteAccept,
    /// `manual`
    Manual,
    /// `automatic_pending_invoice_item_invoice`
    AutomaticPendingInvoiceItem,
    /// A reason that was new when this was written (`upcoming` too). Null is `None` outside.
    Other,
}

/// Where an invoice stands. The rank is the order: a later state is never taken back by an older event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// `draft`, `open`, `uncollectible` or unknown: no money (yet).
    #[default]
    Open,
    /// `paid` (legacy `paid: true` too).
    Paid,
    /// `void`.
    Void,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFact {
    /// `in_…`
    pub id: String,
    /// `cus_…`, else the `customer_account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The buyer's e-mail on the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// New path `parent.subscription_details.subscription`, then `subscription`, then the lines'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// `billing_reason`; null and absent alike are `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_reason: Option<BillingReason>,
    /// Currency of every amount below.
    pub currency: Currency,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// `total`: after discounts, with tax, before the customer's balance.
    pub total: i64,
    /// All tax within `total` (sum of `total_taxes`, or `total_tax_amounts`, or `tax`).
    pub tax: i64,
    /// `amount_due`: `total` less what the customer's balance covers.
    pub amount_due: i64,
    /// Received through Stripe: `amount_paid` without what was paid out of band.
    pub paid_on_stripe: i64,
    /// Received outside of Stripe (`paid_out_of_band`: what was still due; `amount_paid_off_stripe`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paid_off_stripe: i64,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// `status_transitions.paid_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Time>,
    /// `status_transitions.voided_at` of an invoice that was fetched; an event that tells of it has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<Time>,
    /// `payment_intent` where the shape has it, and those of an included `payments` list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<String>,
    /// `charge` where the shape has it, and those of an included `payments` list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<String>,
    /// The invoice's own metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The subscription's metadata as it was when the invoice was made (`subscription_details.metadata`; as a last
    /// resort that of its subscription lines).
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub subscription_metadata: Metadata,
    /// Whether it shows that the subscription's metadata was empty then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty_snapshot: bool,
    /// Promotion code ids or texts among the discounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotion_codes: Vec<String>,
    /// The lines the event shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Whether it has discounts of which the event shows ids alone: a promotion code may be behind them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden_discounts: bool,
    /// What lines beyond the first page add up to (`subtotal` less the lines shown), where `has_more` says there are
    /// some.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen_lines: i64,
    /// What `invoice.payment_failed` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedAttempt>,
}

/// One line of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `il_…`
    pub id: String,
    /// `amount`: before payment-level discounts, negative for a credit (proration).
    pub amount: i64,
    /// `pricing.price_details.price`, else `price.id`, else `plan.id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// `pricing.price_details.product`, else `price.product`, else `plan.product`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// `day`, `week`, `month` or `year`, where the price or plan is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Whether it is a proration.
    #[serde(default, skip_serializing_if = "is_false")]
    pub proration: bool,
    /// Whether it belongs to a subscription.
    #[serde(default, skip_serializing_if = "is_false")]
    pub subscription: bool,
    /// `period.start`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_start: Option<Time>,
    /// `period.end`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_end: Option<Time>,
    /// The line's metadata, then that of its price, plan and expanded product (the nearest wins).
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// `mode` of a checkout session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutMode {
    /// A one-time payment.
    #[default]
    Payment,
    /// Starts a subscription; the money is on its invoices.
    Subscription,
    /// Saves a payment method; no money.
    Setup,
}

/// How far a checkout session came. The rank is the order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutStatus {
    /// Not completed, expired, or its delayed payment failed.
    #[default]
    Open,
    /// Completed; a delayed payment is on its way.
    Completed,
    /// Completed and paid (`payment_status` `paid` or `no_payment_required`).
    Paid,
}

/// A checkout session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutFact {
    /// `cs_…`
    pub id: String,
    /// What it is for.
    pub mode: CheckoutMode,
    /// How far it came.
    pub status: CheckoutStatus,
    /// `cus_…` or `customer_account`; guests have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `customer_details.email`, else `customer_email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The invoice, where one was made: then the money is the invoice's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// `pi_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// `sub_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Currency of the amounts; a session without money (setup) has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// `amount_total`: what is charged.
    pub total: i64,
    /// `amount_subtotal`: before discounts, tax and shipping.
    pub subtotal: i64,
    /// `total_details.amount_tax`
    pub tax: i64,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// `client_reference_id`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_reference: Option<String>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Promotion code ids or texts among the discounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotion_codes: Vec<String>,
    /// What was sold, where somebody asked for it; events do not show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
}

/// A payment intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentFact {
    /// `pi_…`
    pub id: String,
    /// `cus_…` or `customer_account`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `receipt_email`, or that of the included charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The invoice it pays, in shapes that can say.
    #[serde(default, skip_serializing_if = "Link::is_unsaid")]
    pub invoice: Link,
    /// Currency of the amount.
    pub currency: Currency,
    /// `amount_received`; zero until it succeeded.
    pub received: i64,
    /// `latest_charge` and the ids of an included `charges` list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<String>,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// A charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeFact {
    /// `ch_…` or `py_…`
    pub id: String,
    /// `pi_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// `cus_…` or `customer_account`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// `billing_details.email`, else `receipt_email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The invoice it pays, in shapes that can say.
    #[serde(default, skip_serializing_if = "Link::is_unsaid")]
    pub invoice: Link,
    /// Currency of the amounts.
    pub currency: Currency,
    /// Really taken: `amount_captured` (else `amount`) of a succeeded, captured charge; zero for a failed, pending or
    /// merely authorised one.
    pub captured: i64,
    /// `amount_refunded`: cumulative. Zero for a charge that was never captured (an expired authorisation "refunds"
    /// what was never taken).
    pub refunded: i64,
    /// How it was booked, where its balance transaction is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booked: Option<ChargeBooked>,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// A charge in the merchant's balance, in the currency of the balance, which may be another than the charge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeBooked {
    /// `fee`: what Stripe (and an application) took of it, minor units.
    pub fee: i64,
    /// `amount`: the whole charge, minor units.
    pub amount: i64,
    /// `created`: when the money was booked; a delayed method's charge is made days before.
    pub at: Time,
}

/// That a payment intent or charge paid (part of) an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePaymentFact {
    /// `inpay_…`
    pub id: String,
    /// `in_…`
    pub invoice: String,
    /// `pi_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// `ch_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// `amount_paid`; null is zero.
    pub amount_paid: i64,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerFact {
    /// `cus_…`
    pub id: String,
    /// E-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Whether the event is the creation: its values then hold since `created`.
    pub is_creation: bool,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Promotion code ids of the customer's discount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotion_codes: Vec<String>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionFact {
    /// `sub_…`
    pub id: String,
    /// `cus_…` or `customer_account`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Whether the event is the creation: its values then hold since `created`.
    pub is_creation: bool,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Promotion code ids among the discounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotion_codes: Vec<String>,
    /// What its items say of their prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PriceInfo>,
    /// Where it stands and what it consists of, where the event shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<SubscriptionState>>,
}

/// What is known of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceInfo {
    /// `price_…`
    pub price: String,
    /// `prod_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// `day`, `week`, `month` or `year`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The price's metadata, then the expanded product's.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// A promotion code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionCodeFact {
    /// `promo_…`
    pub id: String,
    /// The text that buyers type.
    pub code: String,
}

/// Money that went from the merchant to a partner's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferFact {
    /// `tr_…`
    pub id: String,
    /// `transfer_group`: the payout that the bridge made it for.
    pub group: Option<String>,
    /// The same in its metadata.
    pub payout: Option<String>,
    /// `acct_…`
    pub destination: Option<String>,
    /// In what.
    pub currency: Currency,
    /// What went, minor units.
    pub amount: i64,
    /// What came back since, cumulative.
    pub reversed: i64,
    /// When it was made.
    pub created: Option<Time>,
}

/// Whether a partner's account can be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFact {
    /// `acct_…`
    pub id: String,
    /// Its capability `transfers`: `active`, `pending`, `inactive`; `unrequested` where it has none, `deauthorized` where
    /// the partner has left.
    pub transfers: String,
    /// What Stripe still asks the partner for, sorted.
    pub missing: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands references
fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands references
fn is_false(flag: &bool) -> bool {
    !flag
}

impl EventFacts {
    /// Every Stripe id that ties this event to one buyer: facts that share an id belong to one customer. The shared
    /// customer key, which depends on settings, is added by the caller.
    pub fn references(&self) -> Vec<&str> {
        let mut ids = Vec::new();
        for fact in &self.facts {
            fact.references(&mut ids);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Fact {
    fn references<'a>(&'a self, ids: &mut Vec<&'a str>) {
        match self {
            Self::Invoice(invoice) => {
                ids.push(&invoice.id);
                ids.extend(invoice.customer.as_deref());
                ids.extend(invoice.subscription.as_deref());
                ids.extend(invoice.intents.iter().map(String::as_str));
                ids.extend(invoice.charges.iter().map(String::as_str));
            }
            Self::Checkout(session) => {
                ids.push(&session.id);
                ids.extend(session.customer.as_deref());
                ids.extend(session.invoice.as_deref());
                ids.extend(session.intent.as_deref());
                ids.extend(session.subscription.as_deref());
            }
            Self::Intent(intent) => {
                ids.push(&intent.id);
                ids.extend(intent.customer.as_deref());
                ids.extend(intent.invoice.id());
                ids.extend(intent.charges.iter().map(String::as_str));
            }
            Self::Charge(charge) => {
                ids.push(&charge.id);
                ids.extend(charge.customer.as_deref());
                ids.extend(charge.invoice.id());
                ids.extend(charge.intent.as_deref());
            }
            Self::Refund(refund) => {
                ids.push(&refund.id);
                ids.extend(refund.charge.as_deref());
                ids.extend(refund.intent.as_deref());
            }
            Self::Dispute(dispute) => {
                ids.push(&dispute.id);
                ids.extend(dispute.charge.as_deref());
                ids.extend(dispute.intent.as_deref());
            }
            Self::CreditNote(note) => {
                ids.push(&note.id);
                ids.push(&note.invoice);
                ids.extend(note.customer.as_deref());
                ids.extend(note.refunds.iter().map(String::as_str));
            }
            Self::InvoicePayment(payment) => {
                ids.push(&payment.invoice);
                ids.extend(payment.intent.as_deref());
                ids.extend(payment.charge.as_deref());
            }
            Self::Customer(customer) => ids.push(&customer.id),
            Self::Subscription(subscription) => {
                ids.push(&subscription.id);
                ids.extend(subscription.customer.as_deref());
            }
            Self::PromotionCode(_) | Self::Price(_) | Self::Transfer(_) | Self::Account(_) => {}
        }
    }
}
