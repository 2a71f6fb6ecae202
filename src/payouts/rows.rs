//! A batch's payouts as rows of the generic export.

use chrono::{Months, NaiveDate};

use super::generic::GenericRow;
use crate::domain::terms::{Method, Profile};
use crate::store::StoreError;
use crate::store::batches::Batch;
use crate::store::payouts::Payout;

/// One row for each payout of a batch, those that roll over included, with the reason why.
///
/// # Errors
/// [`StoreError::Unreadable`] where a frozen row is damaged.
pub fn generic_rows(batch: &Batch, payouts: &[Payout]) -> Result<Vec<GenericRow>, StoreError> {
    payouts.iter().map(|payout| row(batch, payout)).collect()
}

fn row(batch: &Batch, payout: &Payout) -> Result<GenericRow, StoreError> {
    let damaged = |why: String| StoreError::Unreadable { what: "payout", key: payout.payout_id.clone(), why };
    let profile: Profile = serde_json::from_str(&payout.profile).map_err(|error| damaged(error.to_string()))?;
    let first = NaiveDate::parse_from_str(&format!("{}-01", batch.month), "%Y-%m-%d");
    let period_start = first.map_err(|error| damaged(error.to_string()))?;
    let next = period_start.checked_add_months(Months::new(1)).and_then(|next| next.pred_opt());
    let total = payout.opening + payout.earned - payout.reversed + payout.adjustments;
    Ok(GenericRow {
        payout_id: payout.payout_id.clone(),
        period_start,
        period_end: next.unwrap_or(period_start),
        partner_id: payout.partner_key.clone(),
        partner_key: payout.partner_key.clone(),
        partner_name: profile.name,
        legal_name: profile.legal_name,
        country: profile.country,
        tax_id: profile.tax_id,
        vat_id: profile.vat_id,
        method: method(&payout.method),
        destination: payout.destination.clone(),
        currency: payout.currency()?,
        opening: payout.opening,
        earned: payout.earned,
        reversed: payout.reversed,
        adjustments: payout.adjustments,
        fee: 0,
        withheld: 0,
        closing: payout.closing,
        paid: payout.amount,
        minimum_met: total >= payout.minimum,
        reference: payout.reference.clone(),
        commission_count: u64::try_from(payout.commission_count).unwrap_or(0),
        status: payout.status.clone(),
        sent_at: payout.sent_at(),
        settled_at: payout.settled_at(),
        failure_reason: payout.failure_reason.clone().or_else(|| payout.reason.clone()),
        external_id: payout.external_id.clone(),
        paid_currency: payout.paid_currency()?,
        paid_amount: payout.paid_amount,
        fx_rate: payout.fx_rate.clone(),
        fx_day: payout.fx_day.clone(),
    })
}

fn method(text: &str) -> Option<Method> {
    [Method::Stripe, Method::Csv, Method::Paypal, Method::Wise, Method::Sepa]
        .into_iter()
        .find(|method| method.as_str() == text)
}
