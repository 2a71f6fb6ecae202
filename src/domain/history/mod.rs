//! History: everything that is known of one customer, merged from facts so that neither order nor repetition matters.
//!
//! [`fold`] has two steps: [`merge`] turns many facts about one object into one object (links and evidence are unions,
//! cumulative figures are maxima, statuses follow a rank, any other field takes the value of the largest stamp), and
//! [`assemble`] joins objects into payments and puts refunds, disputes and credit notes where they belong.

mod assemble;
mod merge;

use std::collections::BTreeMap;

use super::Time;
use super::currency::Currency;
use super::facts::{BillingReason, ChargeBooked, EventFacts, Line, Metadata, PriceInfo};

/// Merges the facts of one customer (in any order, with any repetition) into its history.
pub fn fold(events: &[EventFacts]) -> History {
    assemble::assemble(merge::merge(events))
}

/// All that is known of one customer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Money received, in order of `(paid_at, reference)`.
    pub payments: Vec<Payment>,
    /// Who paid: Stripe customers by id, guests by `guest:` and their payment's reference.
    pub buyers: BTreeMap<String, Buyer>,
    /// Subscriptions by id.
    pub subscriptions: BTreeMap<String, Subscription>,
    /// What is known of prices, by id.
    pub prices: BTreeMap<String, PriceInfo>,
    /// Ids of refunds, disputes and credit notes that match no payment yet.
    pub unmatched: Vec<String>,
    /// Payment intents, or charges without one, of which something was taken back and of which it is not known which
    /// invoice or session they pay, sorted.
    pub unlinked: Vec<String>,
    /// Metadata and promotion codes that were fetched and are known to have been entered later than their object was made:
    /// history cannot tell since when they hold. They count from `at` on.
    pub edited: Vec<Said>,
}

/// What sort of payment it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An invoice.
    Invoice,
    /// A checkout session in payment mode.
    Checkout,
    /// A charge or payment intent of its own. `known_alone` says that it is known to belong to no invoice or session.
    Direct {
        /// The legacy field was there and null, or a look-up said so.
        known_alone: bool,
    },
}

/// An event at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When.
    pub at: Time,
    /// The event that said so.
    pub event_id: String,
}

/// Money received once.
#[derive(Debug, Clone, PartialEq)]
pub struct Payment {
    /// Main reference: its invoice, else session, else payment intent, else charge.
    pub reference: String,
    /// Every reference, sorted.
    pub references: Vec<String>,
    /// Key in [`History::buyers`].
    pub buyer: String,
    /// The Stripe customer, where there is one.
    pub customer: Option<String>,
    /// What sort.
    pub source: Source,
    /// `sub_…`
    pub subscription: Option<String>,
    /// Why Stripe made the invoice.
    pub billing_reason: Option<BillingReason>,
    /// When it was paid, and the first event that showed it paid.
    pub paid_at: Time,
    /// The first event that showed it paid.
    pub event_id: String,
    /// When the invoice was voided after all.
    pub voided: Option<Moment>,
    /// Currency of every amount.
    pub currency: Currency,
    /// Received through Stripe.
    pub on_stripe: i64,
    /// Received outside of Stripe.
    pub off_stripe: i64,
    /// After discounts, with tax.
    pub total: i64,
    /// Tax within the total.
    pub tax: i64,
    /// What was sold; at least one line.
    pub lines: Vec<Line>,
    /// Metadata that may name the product for all lines, nearest first.
    pub metadata: Vec<Metadata>,
    /// Evidence on the payment's own objects.
    pub said: Vec<Said>,
    /// The buyer's e-mails on the payment's own objects, lower case.
    pub emails: Vec<String>,
    /// Whether lines exist that no event shows (an invoice's further ones, all of a checkout's); they stand as one line
    /// without a product.
    pub has_unseen_lines: bool,
    /// Whether it has discounts behind which an unknown promotion code may be.
    pub has_hidden_discounts: bool,
    /// What was charged and given back, charge by charge.
    pub charges: Vec<ChargeMoney>,
    /// What credit notes gave back outside of Stripe.
    pub notes: Vec<NoteMoney>,
}

/// Where a clue was, nearest to the payment first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Checkout session.
    Session,
    /// Invoice.
    Invoice,
    /// Subscription, and the snapshot of its metadata on an invoice.
    Subscription,
    /// Payment intent.
    Intent,
    /// Charge.
    Charge,
    /// Customer.
    Customer,
}

impl Place {
    /// In words, for a trace.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Invoice => "invoice",
            Self::Subscription => "subscription",
            Self::Intent => "payment intent",
            Self::Charge => "charge",
            Self::Customer => "customer",
        }
    }
}

/// Something that may be evidence, raw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A metadata entry.
    Metadata(String, String),
    /// A promotion code's id or text.
    PromotionCode(String),
    /// A session's `client_reference_id`.
    ClientReference(String),
    /// The buyer's e-mail, lower case.
    Email(String),
}

/// Something that may be evidence, where it was and when it was first shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Where.
    pub place: Place,
    /// The object's id.
    pub object: String,
    /// What.
    pub what: What,
    /// First shown (a creation counts from the object's `created`).
    pub at: Time,
}

/// Who paid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buyer {
    /// E-mails in order of time, lower case.
    pub emails: Vec<(Time, String)>,
    /// Evidence, dated.
    pub said: Vec<Said>,
    /// What the buyer's subscriptions and sessions say: it may tell who the buyer is, but it is no evidence for all of
    /// the buyer's payments.
    pub identity: Vec<Said>,
}

/// A subscription.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscription {
    /// Evidence on it, dated: counts for payments from then on.
    pub said: Vec<Said>,
    /// Evidence on the sessions that started it: counts for all its payments.
    pub started_by: Vec<Said>,
    /// The sessions that started it.
    pub sessions: Vec<String>,
}

/// What was taken back from one charge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChargeMoney {
    /// What was taken from the buyer; zero where the charge itself is not known.
    pub captured: i64,
    /// How that was booked, and for which fee, where it is known.
    pub booked: Option<ChargeBooked>,
    /// Cumulative refund figures by the first event that showed each.
    pub figures: Vec<(Moment, i64)>,
    /// Refunds by id.
    pub refunds: Vec<RefundMoney>,
    /// Disputes by id.
    pub disputes: Vec<DisputeMoney>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq)]
pub struct RefundMoney {
    /// `re_…`
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// The refund's own `created`.
    pub created: Time,
    /// The first event that showed it succeeded.
    pub succeeded: Option<String>,
    /// When it failed or was canceled.
    pub ended: Option<Moment>,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq)]
pub struct DisputeMoney {
    /// `dp_…`
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// When the money was taken.
    pub taken: Option<Moment>,
    /// When it came back.
    pub returned: Option<Moment>,
}

/// A credit note's part that was paid out of band.
#[derive(Debug, Clone, PartialEq)]
pub struct NoteMoney {
    /// `cn_…`
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// The note's own `created`, and the first event.
    pub created: Moment,
    /// When it was voided.
    pub voided: Option<Moment>,
}
