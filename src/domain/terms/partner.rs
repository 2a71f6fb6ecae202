//! Partners: who they are, how they are paid, and what they are in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dated::Dated;
use super::program::{Rule, Status};
use super::{AmountByCurrency, PartnerKey, ProgramKey};
use crate::domain::Time;
use crate::domain::currency::Currency;

/// Who a partner is and how they are paid. Not dated, but for the e-mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Display name.
    pub name: String,
    /// Where statements go; also what self-referral compares.
    pub email: Option<String>,
    /// Name on legal papers.
    pub legal_name: Option<String>,
    /// ISO 3166 country, upper case.
    pub country: Option<String>,
    /// Tax number.
    pub tax_id: Option<String>,
    /// VAT number.
    pub vat_id: Option<String>,
    /// How they are paid; not payable when `None`.
    pub payout: Option<PayoutMethod>,
    /// Their own minimum payout, by currency; the workspace's where a currency is not named.
    pub minimum_payout: AmountByCurrency,
    /// Whether payouts wait until somebody releases them.
    pub on_hold: bool,
    /// What the merchant wants to remember of them; no partner sees it.
    pub note: Option<String>,
    /// BCP 47 language tag (`de-AT`) by which money and dates are written to them; `en` when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The tax form that the merchant has of them, in the merchant's words (`W-9`, `W-8BEN 2026`); none when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_form: Option<String>,
}

/// How a partner is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutMethod {
    /// By what.
    pub method: Method,
    /// `acct_…`, e-mail, IBAN: whatever the method needs; `csv` needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The currency the partner wants; the ledger's when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// Ways to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A Stripe Connect transfer.
    Stripe,
    /// By hand, from the exported file.
    Csv,
    /// `PayPal`.
    Paypal,
    /// Wise.
    Wise,
    /// A SEPA credit transfer.
    Sepa,
}

impl Method {
    /// As in files and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Csv => "csv",
            Self::Paypal => "paypal",
            Self::Wise => "wise",
            Self::Sepa => "sepa",
        }
    }
}

/// A partner.
#[derive(Debug, Clone, Default)]
pub struct Partner {
    /// Who they are and how they are paid, now.
    pub profile: Profile,
    /// Their e-mail over time.
    pub email: Dated<Option<String>>,
    /// When they were entered.
    pub entered_at: Time,
    /// Whether they earn; active until said otherwise.
    pub status: Dated<Status>,
    /// Their group over time.
    pub group: Dated<Option<String>>,
    /// Who brought them, over time.
    pub recruiter: Dated<Option<PartnerKey>>,
    /// The programs they were ever in, in order of entry.
    pub enrollments: Vec<(ProgramKey, Dated<Status>)>,
    /// The rules that they have before a program's, over time.
    pub overrides: Overrides,
}

impl Partner {
    /// Whether they earn for a payment paid at `at`.
    pub fn is_active(&self, at: Time) -> bool {
        self.status.at(at).copied().unwrap_or_default() == Status::Active
    }

    /// Their enrollment in a program.
    pub fn enrollment(&self, program: &str) -> Option<&Dated<Status>> {
        self.enrollments.iter().find(|(key, _)| key == program).map(|(_, status)| status)
    }
}

/// A group of partners. The group that a partner is in need not be one of these.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Display name; the key where nobody gave it one.
    pub name: String,
    /// The rules that its partners have before a program's, over time.
    pub overrides: Overrides,
}

/// Rules tried before a program's, by program, over time; none where they ended.
pub type Overrides = BTreeMap<ProgramKey, Dated<Vec<Rule>>>;

/// A partner named by hand for a payment or customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// To whom; `None` takes it back.
    pub partner: Option<PartnerKey>,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// For payments from then on.
    pub from: Option<Time>,
    /// Position in the log: the latest wins.
    pub seq: i64,
    /// When it was entered.
    pub entered_at: Time,
}
