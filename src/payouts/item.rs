//! What a payment file says of one payout.

use crate::domain::currency::Currency;
use crate::domain::terms::Profile;
use crate::store::StoreError;
use crate::store::payouts::Payout;

/// A payout on its way into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayItem {
    /// `po_…`
    pub payout_id: String,
    /// Who is paid.
    pub partner_key: String,
    /// Their name on legal papers, else the one that is shown.
    pub name: String,
    /// Where a service may write to.
    pub email: Option<String>,
    /// Whether they are a company: who has a VAT number is one.
    pub is_company: bool,
    /// Where the money goes: e-mail, IBAN, account.
    pub account: Option<String>,
    /// What leaves, in minor units; above zero.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
    /// What the partner sees, at most 35 characters.
    pub reference: String,
}

impl PayItem {
    /// What a file says of a payout.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where a frozen row is damaged.
    pub fn of(payout: &Payout) -> Result<Self, StoreError> {
        let damaged = |why: String| StoreError::Unreadable { what: "payout", key: payout.payout_id.clone(), why };
        let profile: Profile = serde_json::from_str(&payout.profile).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            payout_id: payout.payout_id.clone(),
            partner_key: payout.partner_key.clone(),
            name: profile.legal_name.unwrap_or(profile.name),
            email: profile.email,
            is_company: profile.vat_id.is_some(),
            account: payout.destination.clone(),
            amount: payout.paid_amount,
            currency: payout.paid_currency()?,
            reference: payout.reference.clone(),
        })
    }
}

#[cfg(test)]
pub mod testing {
    //! Payouts for the formats' tests.

    use super::PayItem;

    /// The payout with this number, of this amount.
    pub fn item(number: u32, partner: &str, account: &str, amount: i64, currency: &str) -> PayItem {
        PayItem {
            payout_id: format!("po_{number:032x}"),
            partner_key: partner.to_owned(),
            name: format!("{partner} Media"),
            email: None,
            is_company: false,
            account: Some(account.to_owned()),
            amount,
            currency: currency.parse().unwrap(),
            reference: format!("{partner}-2026-10"),
        }
    }
}
