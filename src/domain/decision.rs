//! THE function: the whole history of one customer, the terms and a moment go in; for every payment comes out who is
//! owed what and why.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Time;
use super::attribution::Via;
use super::currency::Currency;
use super::deciding::Deciding;
use super::entry::Component;
use super::facts::PriceInfo;
use super::history::History;
use super::lead::{Lead, LeadBy};
use super::missing::Missing;
use super::money::Overflow;
use super::terms::{Kind, PartnerKey, ProgramKey, Terms};
use super::tiers::{AggregateKey, Aggregates};
use super::trace::Trace;

/// Why a payment was credited, or was not. The texts are stable API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the documentation; `Code::sentence` says each in words
pub enum Code {
    Credited,
    NoEvidence,
    PartnerUnknown,
    PartnerInactive,
    NotEnrolled,
    ClickUnknown,
    OutsideWindow,
    ProgramInactive,
    NoRuleMatches,
    OneTimeAlreadyEarned,
    MonthsExhausted,
    PaymentsExhausted,
    ZeroAmount,
    ProductExcluded,
    SelfReferral,
    CurrencyNotPriced,
    AwaitingLink,
    AwaitingLookup,
    Voided,
    AwaitingReview,
    RejectedByReview,
    Refunded,
    Disputed,
}

impl Code {
    /// Every code, in the order in which they are documented.
    pub const ALL: [Self; 23] = [
        Self::Credited,
        Self::NoEvidence,
        Self::PartnerUnknown,
        Self::PartnerInactive,
        Self::NotEnrolled,
        Self::ClickUnknown,
        Self::OutsideWindow,
        Self::ProgramInactive,
        Self::NoRuleMatches,
        Self::OneTimeAlreadyEarned,
        Self::MonthsExhausted,
        Self::PaymentsExhausted,
        Self::ZeroAmount,
        Self::ProductExcluded,
        Self::SelfReferral,
        Self::CurrencyNotPriced,
        Self::AwaitingLink,
        Self::AwaitingLookup,
        Self::Voided,
        Self::AwaitingReview,
        Self::RejectedByReview,
        Self::Refunded,
        Self::Disputed,
    ];

    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::NoEvidence => "no_evidence",
            Self::PartnerUnknown => "partner_unknown",
            Self::PartnerInactive => "partner_inactive",
            Self::NotEnrolled => "not_enrolled",
            Self::ClickUnknown => "click_unknown",
            Self::OutsideWindow => "outside_window",
            Self::ProgramInactive => "program_inactive",
            Self::NoRuleMatches => "no_rule_matches",
            Self::OneTimeAlreadyEarned => "one_time_already_earned",
            Self::MonthsExhausted => "months_exhausted",
            Self::PaymentsExhausted => "payments_exhausted",
            Self::ZeroAmount => "zero_amount",
            Self::ProductExcluded => "product_excluded",
            Self::SelfReferral => "self_referral",
            Self::CurrencyNotPriced => "currency_not_priced",
            Self::AwaitingLink => "awaiting_link",
            Self::AwaitingLookup => "awaiting_lookup",
            Self::Voided => "voided",
            Self::AwaitingReview => "awaiting_review",
            Self::RejectedByReview => "rejected_by_review",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// The code in one sentence a partner would accept.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Credited => "The payment earns a commission.",
            Self::NoEvidence => "Nothing on the payment or its customer names a partner.",
            Self::PartnerUnknown => "The partner key on the payment belongs to no partner.",
            Self::PartnerInactive => "The partner was not active when the payment was made.",
            Self::NotEnrolled => "The partner was not enrolled in a program when the payment was made.",
            Self::ClickUnknown => "The click id on the payment is not known.",
            Self::OutsideWindow => "The click was too long before the payment.",
            Self::ProgramInactive => "The program was not active when the payment was made.",
            Self::NoRuleMatches => "No rule of the program is for this kind of payment.",
            Self::OneTimeAlreadyEarned => "The rule pays once per customer, and an earlier payment earned it.",
            Self::MonthsExhausted => "The months for which the rule pays were over.",
            Self::PaymentsExhausted => "The number of payments for which the rule pays was used up.",
            Self::ZeroAmount => "No money was received.",
            Self::ProductExcluded => "The program excludes what was sold.",
            Self::SelfReferral => "The buyer is the partner.",
            Self::CurrencyNotPriced => "The rule names no amount in the payment's currency.",
            Self::AwaitingLink => "It is not known yet whether the payment belongs to an invoice or a checkout.",
            Self::AwaitingLookup => "Stripe has to be asked for something that no event says, such as its fees.",
            Self::Voided => "The invoice was voided.",
            Self::AwaitingReview => "The buyer looks like the partner: a reviewer has yet to say whether it earns.",
            Self::RejectedByReview => "A reviewer rejected the commission.",
            Self::Refunded => "The whole payment was refunded.",
            Self::Disputed => "The whole payment was taken back by a dispute.",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A click, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// Whose link was clicked.
    pub partner: PartnerKey,
    /// The program the link names, if any.
    pub program: Option<ProgramKey>,
    /// The link that led there, `lnk_…`; none where the id was brought by somebody else.
    pub link: Option<String>,
    /// When it was clicked.
    pub clicked_at: Time,
    /// When the bridge came to know it.
    pub entered_at: Time,
}

/// What deciding looks up by the values found in the evidence.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    /// Clicks by id.
    pub clicks: HashMap<String, Click>,
    /// Leads by what they are known by (an e-mail in lower case, or a customer key), in order of entry.
    pub leads: HashMap<(LeadBy, String), Vec<Lead>>,
    /// Texts of promotion codes by their `promo_…` id.
    pub promotion_codes: HashMap<String, String>,
    /// Prices that Stripe was asked for, by id.
    pub prices: HashMap<String, PriceInfo>,
    /// What partners brought in the months before, for tiers. What is asked for and not here counts as nothing, and is
    /// named in [`Decisions::needs`].
    pub aggregates: Aggregates,
}

/// All decisions about one customer at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Decisions {
    /// One for each payment, in order of `(paid_at, reference)`.
    pub payments: Vec<Decision>,
    /// The next moment at which time alone changes an answer (a refund's delay ends).
    pub settle_due_at: Option<Time>,
    /// Ids of refunds, disputes and credit notes that match no payment yet.
    pub unmatched: Vec<String>,
    /// What tiers asked for and was not known: the answer stands once it is looked up and everything decided again.
    #[serde(skip)]
    pub needs: BTreeSet<AggregateKey>,
    /// What Stripe would have to be asked for; the answer stands meanwhile, and may change when it is known.
    #[serde(skip)]
    pub missing: BTreeSet<Missing>,
}

/// The answer for one payment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The payment's main reference: its invoice, else session, else payment intent, else charge.
    pub reference: String,
    /// Every reference it is known by, the main one included, sorted.
    pub references: Vec<String>,
    /// The Stripe customer, where there is one.
    pub customer: Option<String>,
    /// What it is to a rule.
    pub kind: Kind,
    /// When it was paid.
    pub paid_at: Time,
    /// Currency of every amount.
    pub currency: Currency,
    /// Received, minor units.
    pub paid: i64,
    /// Taken back by now, minor units, 0 to `paid`.
    pub taken_back: i64,
    /// The answer.
    pub code: Code,
    /// Who is credited, or was (refunded), or would be but for the reason; none where nobody is named.
    pub partner: Option<PartnerKey>,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// Priced by which version.
    pub version: Option<u32>,
    /// Owed now to the partner, minor units: the sum of the steps.
    pub amount: i64,
    /// What a percentage was a percentage of, minor units; zero where nothing prices it.
    #[serde(skip)]
    pub base: i64,
    /// What the rules gave, in words: `20 %`, `25.00 usd`, or both with a `+`.
    #[serde(skip)]
    pub rate: Option<String>,
    /// What was sold, by the merchant's key or Stripe's id, as far as known.
    #[serde(skip)]
    pub product: Option<String>,
    /// By what evidence `partner` was credited, for this payment or the one that won its customer.
    #[serde(skip)]
    pub via: Option<Via>,
    /// What was taken back in all from each moment on, minor units, in order; nothing before the first.
    #[serde(skip)]
    pub takings: Vec<(Time, i64)>,
    /// How that came about: the ledger lines that this payment should have for the partner, in order.
    pub steps: Vec<Step>,
    /// What others earn on the same payment; still named where nothing is owed to them (any more).
    pub shares: Vec<Share>,
    /// Evidence, rule and arithmetic, a sentence a line.
    pub trace: Vec<String>,
}

/// What somebody earns on a payment beside the partner who is credited with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Who.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: ProgramKey,
    /// Which part of the payment's commission.
    pub component: Component,
    /// Owed now, minor units: the sum of the steps.
    pub amount: i64,
    /// The ledger lines that this payment should have for them, in order.
    pub steps: Vec<Step>,
}

/// One movement of what is owed for a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The moment of the fact.
    pub occurred_at: Time,
    /// From when it can be paid out.
    pub available_at: Time,
    /// Signed minor units; never zero.
    pub amount: i64,
    /// The event that said so.
    pub event_id: Option<String>,
    /// `payment`, `refund`, `refund_failed`, `dispute`, `dispute_returned`, `credit_note`, `credit_note_voided`, `voided`.
    pub reason: &'static str,
}

/// Why a customer could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// Amounts or rates too large for exact arithmetic.
    #[error("payment {reference}: {source}")]
    Overflow {
        /// The payment's main reference.
        reference: String,
        /// What happened.
        source: Overflow,
    },
}

/// Decides every payment of one customer as of `now`.
///
/// # Errors
/// [`DecideError::Overflow`] where amounts or rates are too large for exact arithmetic.
pub fn decide(history: &History, terms: &Terms, lookups: &Lookups, now: Time) -> Result<Decisions, DecideError> {
    Deciding::new(history, terms, lookups, now, Trace::off()).run()
}

/// The same, with a trace in each decision: evidence, rule and arithmetic in sentences.
///
/// # Errors
/// As [`decide`].
pub fn explain(history: &History, terms: &Terms, lookups: &Lookups, now: Time) -> Result<Decisions, DecideError> {
    Deciding::new(history, terms, lookups, now, Trace::on()).run()
}
