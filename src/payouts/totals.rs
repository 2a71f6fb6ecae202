//! What a batch pays in all: by currency, and in the workspace's base currency where rates are known.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::domain::currency::Currency;
use crate::domain::fx::convert;
use crate::domain::terms::Settings;
use crate::store::batches::Batch;
use crate::store::payouts::{self, Sum};
use crate::store::{StoreError, Tx, WorkspaceId, fx_rates};

/// What a batch pays in one currency of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Of what.
    pub currency: Currency,
    /// How many payouts.
    pub payouts: i64,
    /// Their sum, in minor units.
    pub amount: i64,
    /// What came back of it, or never left.
    pub returned: i64,
    /// The same as [`Total::amount`] in the base currency; none where no rate is known.
    pub in_base: Option<InBase>,
}

/// An amount in the base currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InBase {
    /// In minor units.
    pub amount: i64,
    /// Units of the base currency for one of the other.
    pub rate: Decimal,
    /// The day for which the rate was published.
    pub day: NaiveDate,
    /// Who published it.
    pub source: String,
}

/// All that a batch pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// By currency.
    pub by_currency: Vec<Total>,
    /// The workspace's base currency, if it has one.
    pub base: Option<Currency>,
    /// The sum in it; none where a rate is missing, because a sum without a part of it is none.
    pub in_base: Option<i64>,
}

/// Adds up what a batch pays. Rates are those of the day of its close, as they were known then.
///
/// # Errors
/// The database's.
pub async fn of_batch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    settings: &Settings,
    batch: &Batch,
) -> Result<Totals, StoreError> {
    let day = batch.closed_at().with_timezone(&settings.time_zone).date_naive();
    let base = settings.base_currency;
    let rates = fx_rates::known_by(tx, workspace, day, batch.closed_at()).await?;
    let mut by_currency = Vec::new();
    for Sum { currency, payouts, amount, returned } in payouts::sums(tx, workspace, &batch.batch_id).await? {
        let damaged = |why: String| StoreError::Unreadable { what: "batch", key: batch.batch_id.clone(), why };
        let currency: Currency = currency.parse().map_err(|error| damaged(format!("{error}")))?;
        let in_base = base.and_then(|base| {
            let rate = rates.rate(currency, base, day)?;
            let amount = convert(amount, currency, base, &rate).ok()?;
            Some(InBase { amount, rate: rate.rate, day: rate.day, source: rate.source })
        });
        by_currency.push(Total { currency, payouts, amount, returned, in_base });
    }
    let mut known = by_currency.iter().map(|total| total.in_base.as_ref().map(|in_base| in_base.amount));
    let in_base = base.and_then(|_| known.try_fold(0_i64, |sum, amount| sum.checked_add(amount?)));
    Ok(Totals { by_currency, base, in_base })
}
