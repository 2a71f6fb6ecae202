//! Facts about money that goes back to buyers: refunds, disputes, credit notes.

use serde::{Deserialize, Serialize};

use crate::domain::Time;
use crate::domain::currency::Currency;

/// Where a refund stands. The rank is the order; failed and canceled are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// `pending`, `requires_action`: takes nothing yet.
    Pending,
    /// `succeeded`, and null (which old refunds of cards have).
    Succeeded,
    /// `failed`: the money never left, or came back.
    Failed,
    /// `canceled`.
    Canceled,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFact {
    /// `re_…` or `pyr_…`
    pub id: String,
    /// `ch_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// `pi_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Currency of the amount.
    pub currency: Currency,
    /// What it gives back.
    pub amount: i64,
    /// Where it stands.
    pub status: RefundStatus,
    /// Object's `created`: what the reversal delay counts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
}

/// What one event says about the money of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeMoney {
    /// Nothing: an inquiry, a mere update, a dispute that was won.
    Unmoved,
    /// Taken: `funds_withdrawn`, status `lost`, or a negative balance transaction without a positive one.
    Taken,
    /// Given back: `funds_reinstated`, or balance transactions that show it.
    Returned,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeFact {
    /// `dp_…` or `du_…`
    pub id: String,
    /// `ch_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// `pi_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Currency of the amount.
    pub currency: Currency,
    /// The disputed amount; may differ from the charge's.
    pub amount: i64,
    /// What this event says of the money.
    pub money: DisputeMoney,
    /// When the money was taken, where balance transactions are shown (their `created`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Time>,
    /// When it came back, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<Time>,
}

/// A credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNoteFact {
    /// `cn_…`
    pub id: String,
    /// `in_…`
    pub invoice: String,
    /// `cus_…` or `customer_account`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Currency of the amount.
    pub currency: Currency,
    /// `out_of_band_amount`: given back outside of Stripe. The only part that takes back by itself.
    pub out_of_band: i64,
    /// Ids of the refunds it made; they count by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<String>,
    /// `status` is `void`.
    pub voided: bool,
    /// `voided_at`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<Time>,
    /// Object's `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
}
