//! A workspace's settings.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::AmountByCurrency;
use super::month_end::{MailSettings, MonthEnd, SepaDebtor};
use crate::domain::currency::Currency;

/// A kind of evidence, for ordering by strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Entered by hand.
    Manual,
    /// `partner_key` metadata.
    PartnerKey,
    /// A click id (`irclickid`, …).
    ClickId,
    /// A promotion code.
    PromotionCode,
    /// A customer key that a lead ties to a partner.
    CustomerKey,
    /// An e-mail that a lead ties to a partner.
    Email,
}

impl EvidenceKind {
    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::PartnerKey => "partner_key",
            Self::ClickId => "click_id",
            Self::PromotionCode => "promotion_code",
            Self::CustomerKey => "customer_key",
            Self::Email => "email",
        }
    }

    /// Strongest first, unless the workspace says otherwise.
    pub const DEFAULT_ORDER: [Self; 6] =
        [Self::Manual, Self::PartnerKey, Self::ClickId, Self::PromotionCode, Self::CustomerKey, Self::Email];
}

/// What metadata can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataField {
    /// Names a partner.
    PartnerKey,
    /// Names a click.
    ClickId,
    /// The merchant's own key of the customer.
    CustomerKey,
    /// What was sold, in the merchant's words.
    ProductKey,
    /// Names the program.
    ProgramKey,
}

/// A workspace's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The zone of its months.
    pub time_zone: Tz,
    /// The least that is paid out, by currency; none when absent. A partner may have its own.
    pub minimum_payout: AmountByCurrency,
    /// Whether charges and payment intents outside of invoices and sessions are sales.
    pub count_direct_payments: bool,
    /// Whether invoices marked as paid outside of Stripe earn.
    pub count_out_of_band: bool,
    /// Further metadata keys (any case) and what they mean.
    pub metadata_aliases: BTreeMap<String, MetadataField>,
    /// Evidence, strongest first.
    pub evidence_order: Vec<EvidenceKind>,
    /// The Stripe account (`acct_…`) this workspace is for: events that name another are ignored.
    pub account: Option<String>,
    /// The currency that reports add up in; each currency stands by itself where it is `None`. It moves no entry.
    pub base_currency: Option<Currency>,
    /// When months are closed, and who must agree.
    pub month_end: MonthEnd,
    /// Who sends mail to partners, and when.
    pub mail: MailSettings,
    /// Whose account pays SEPA credit transfers.
    pub sepa: Option<SepaDebtor>,
    /// The currency of the balance that pays Wise's batches; the payout's own where it is `None`.
    pub wise_source_currency: Option<Currency>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: Tz::UTC,
            minimum_payout: AmountByCurrency::new(),
            count_direct_payments: false,
            count_out_of_band: true,
            metadata_aliases: BTreeMap::new(),
            evidence_order: EvidenceKind::DEFAULT_ORDER.to_vec(),
            account: None,
            base_currency: None,
            month_end: MonthEnd::default(),
            mail: MailSettings::default(),
            sepa: None,
            wise_source_currency: None,
        }
    }
}
