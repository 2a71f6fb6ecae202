//! How much is missing, where the balance does not suffice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Payer;
use crate::domain::currency::Currency;
use crate::store::transfers;
use crate::store::{StoreError, Tx, Urgency, WorkspaceId};
use crate::stripe_api::Answer;

impl Payer {
    /// Why a batch stands still; where the balance does not suffice, with how much is missing now.
    pub(super) async fn say_what_is_missing(&self, batch_id: &str) -> Result<Option<Value>, StoreError> {
        let mut tx = self.db.read().await?;
        let Some(known) = transfers::paused(&mut tx, self.workspace, batch_id).await? else { return Ok(None) };
        if known["code"] != "balance_insufficient" {
            return Ok(Some(known));
        }
        let open = open(&mut tx, self.workspace, batch_id).await?;
        tx.rollback().await?;
        let currency = known["currency"].as_str().and_then(|text| text.parse::<Currency>().ok());
        let (Some(currency), Answer::Done(balance)) = (currency, self.api.balance().await) else {
            return Ok(Some(known));
        };
        let (needed, available) = (open.get(currency.as_str()).copied().unwrap_or(0), balance.available(currency));
        let missing = needed.saturating_sub(available).max(0);
        let why = json!({
            "code": "balance_insufficient",
            "currency": currency,
            "missing": missing,
            "needed": needed,
            "available": available,
        });
        let mut tx = self.db.write(Urgency::Now).await?;
        transfers::say_paused(&mut tx, self.workspace, batch_id, (&known, &why)).await?;
        tx.commit().await?;
        Ok(Some(why))
    }
}

/// What is still to be paid, by currency.
async fn open(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut sums = BTreeMap::new();
    for standing in transfers::standing(tx, workspace, batch_id).await? {
        if matches!(standing.status.as_str(), "ready" | "sending") {
            let sum: &mut i64 = sums.entry(standing.currency).or_default();
            *sum = sum.saturating_add(standing.sum);
        }
    }
    Ok(sums)
}
