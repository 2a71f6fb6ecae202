//! Settings of the month's end: when it is closed, who must agree, how partners are told.

use serde::{Deserialize, Serialize};

use super::AmountByCurrency;

/// `[workspace.month_end]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MonthEnd {
    /// What `serve` does by itself when a month is over.
    pub close: AutoClose,
    /// The day of the next month on which it does, 1 to 28, on the workspace's calendar.
    pub day: u32,
    /// The hour of that day, 0 to 23, on the workspace's clock.
    pub hour: u32,
    /// With [`AutoClose::Approve`]: the batch's total in each currency that it may approve by itself; a currency that is
    /// not named is not approved.
    pub approve_below: AmountByCurrency,
    /// Whether whoever approves a batch must be somebody else than who closed it.
    pub four_eyes: bool,
    /// Whether a partner without a tax form is not paid.
    pub tax_form_required: bool,
}

/// What `serve` does by itself when a month is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoClose {
    /// Nothing.
    #[default]
    Off,
    /// It closes the month; somebody approves the batch.
    Draft,
    /// It closes the month and approves the batch where its totals are below a limit.
    Approve,
}

impl Default for MonthEnd {
    fn default() -> Self {
        Self {
            close: AutoClose::Off,
            day: 3,
            hour: 9,
            approve_below: AmountByCurrency::new(),
            four_eyes: false,
            tax_form_required: false,
        }
    }
}

/// `[workspace.mail]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailSettings {
    /// The sender: `Acme Partners <partners@acme.example>`, or an address alone. No mail is sent without one.
    pub from: Option<String>,
    /// Where answers go; to the sender where it is `None`.
    pub reply_to: Option<String>,
    /// Where mail servers report what could not be delivered (the envelope's sender); the sender where it is `None`.
    pub bounce: Option<String>,
    /// `List-Id` of all mail to partners, such as `partners.acme.example`.
    pub list_id: Option<String>,
    /// Who gets the month's summary.
    pub owner: Option<String>,
    /// When statements are sent.
    pub statements: SendStatements,
    /// Whether partners are told when a payout was sent, failed, or needs something of them.
    pub payout_notices: bool,
}

/// When statements are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendStatements {
    /// When somebody says so.
    #[default]
    Manual,
    /// When the month's batch is approved.
    OnApproval,
}

/// `[workspace.sepa]`: whose account pays SEPA credit transfers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SepaDebtor {
    /// Name of the account's holder.
    pub name: String,
    /// The account, without spaces.
    pub iban: String,
    /// Its bank; many banks need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bic: Option<String>,
}

/// What a statement shows of a partner's customers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomersShown {
    /// A name of its own that tells one customer from another and nothing else.
    #[default]
    Pseudonym,
    /// Stripe's id.
    Id,
    /// Nothing.
    Hidden,
}
