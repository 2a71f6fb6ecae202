//! What is known of prices beside what customers' own subscriptions say: product, interval, metadata.

use std::collections::{BTreeMap, HashMap};

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId};
use crate::domain::facts::{Metadata, PriceInfo};

/// As it is stored: id, product, interval, metadata as JSON.
type Row = (String, Option<String>, Option<String>, String);

fn read((price, product, interval, metadata): Row) -> Result<PriceInfo, StoreError> {
    let metadata: Metadata = serde_json::from_str(&metadata).map_err(|error| StoreError::Unreadable {
        what: "price",
        key: price.clone(),
        why: error.to_string(),
    })?;
    Ok(PriceInfo { price, product, interval, metadata })
}

/// Prices by id; unknown ones are left out. An id is of one book only.
pub async fn of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, PriceInfo>, StoreError> {
    let text = "SELECT price_id, product, billing_interval, metadata FROM prices
                WHERE workspace_id = $1 AND price_id $in(id)";
    let rows: Vec<Row> = Rows::texts(&[("id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await?;
    rows.into_iter().map(read).map(|price| price.map(|price| (price.price.clone(), price))).collect()
}

/// Learns what was said of prices: what is known stays, what is new is added, so that nothing that was sold becomes
/// another product. Returns those of which something new is known.
pub async fn learn(
    tx: &mut Tx,
    workspace: WorkspaceId,
    said: &[(Mode, PriceInfo)],
) -> Result<Vec<(Mode, String)>, StoreError> {
    let known = of(tx, workspace, said.iter().map(|(_, price)| price.price.as_str())).await?;
    let mut changed: BTreeMap<(Mode, &str), PriceInfo> = BTreeMap::new();
    for (mode, price) in said {
        let key = (*mode, price.price.as_str());
        let before = changed.get(&key).or(known.get(&price.price)).cloned();
        let mut after = before.clone().unwrap_or_else(|| price.clone());
        after.product = after.product.or_else(|| price.product.clone());
        after.interval = after.interval.or_else(|| price.interval.clone());
        for (name, value) in &price.metadata {
            after.metadata.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if before.as_ref() != Some(&after) {
            changed.insert(key, after);
        }
    }
    let mut rows = Rows::new(&[
        ("mode", Int),
        ("price_id", Text),
        ("product", Text),
        ("billing_interval", Text),
        ("metadata", Text),
    ]);
    for ((mode, id), price) in &changed {
        let metadata = serde_json::to_string(&price.metadata).expect("texts are JSON");
        rows.push([
            mode.as_i64().into(),
            (*id).into(),
            price.product.as_deref().into(),
            price.interval.as_deref().into(),
            metadata.into(),
        ]);
    }
    let text = "INSERT INTO prices (workspace_id, mode, price_id, product, billing_interval, metadata)
                SELECT $1, mode, price_id, product, billing_interval, metadata FROM v WHERE TRUE
                ON CONFLICT (workspace_id, price_id, mode) DO UPDATE SET
                    product = excluded.product, billing_interval = excluded.billing_interval,
                    metadata = excluded.metadata";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(changed.into_keys().map(|(mode, id)| (mode, id.to_owned())).collect())
}
