//! What each partner has, kept beside the ledger so that nobody has to sum it: whoever appends entries adds
//! them here, in the same transaction.
//!
//! A row is the sum of the entries of one partner and currency that become available on one day of UTC. Days gone by are
//! available, days to come are not, and of the running day the entries themselves are looked at: so the answer is exact
//! at any moment, and a partner has a few dozen rows, not millions. Each process adds to rows of its own (`shard`), so
//! that several on one `PostgreSQL` do not wait for each other.

use std::collections::{BTreeMap, HashMap};

use super::entries::Entry;
use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::terms::PartnerKey;
use crate::on;

/// The day of what was available as soon as it was booked, and of days that are long gone.
const AT_ONCE: i64 = 0;
const MICROS_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// So many shards; a process has one of them.
pub(super) const SHARDS: i64 = 8;

/// What a partner has in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Who.
    pub partner: PartnerKey,
    /// In what.
    pub currency: Currency,
    /// Sum of all lines, minor units.
    pub balance: i64,
    /// The part of it that can be paid out at the moment asked for.
    pub available: i64,
}

impl Balance {
    /// As in the API and in files.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "partner_key": self.partner,
            "currency": self.currency,
            "balance": self.balance,
            "available": self.available,
            "on_hold": self.balance - self.available,
        })
    }
}

/// The day of UTC that a moment is in.
fn day(at: Time) -> i64 {
    micros(at).div_euclid(MICROS_A_DAY)
}

const COLUMNS: &[(&str, Column)] =
    &[("mode", Int), ("partner_key", Text), ("currency", Text), ("day", Int), ("amount", Int)];

const ADD: &str = "INSERT INTO balances (workspace_id, mode, partner_key, currency, day, shard, amount)
                   SELECT $1, mode, partner_key, currency, day, $2, amount
                   FROM v
                   WHERE TRUE
                   ON CONFLICT (workspace_id, mode, partner_key, currency, day, shard) DO UPDATE SET
                       amount = balances.amount + excluded.amount";

/// Entries that are being appended, summed up; by book, partner, currency and day.
#[derive(Default)]
pub(super) struct Sums<'a>(BTreeMap<(i64, &'a str, &'a str, i64), i64>);

impl<'a> Sums<'a> {
    /// One more.
    pub(super) fn add(&mut self, entry: &'a Entry) -> Result<(), StoreError> {
        let day = if entry.available_at <= entry.booked_at { AT_ONCE } else { day(entry.available_at) };
        let sum = self.0.entry((entry.mode.as_i64(), &entry.partner, entry.currency.as_str(), day)).or_default();
        *sum = sum.checked_add(entry.amount).ok_or_else(|| too_much(&entry.partner))?;
        Ok(())
    }

    /// Adds them to what is kept. Rows are taken in the order of their key, so that two who add never wait for each
    /// other in a circle.
    pub(super) async fn keep(self, tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
        let mut rows = Rows::new(COLUMNS);
        for ((mode, partner, currency, day), amount) in self.0 {
            rows.push([mode.into(), partner.into(), currency.into(), day.into(), amount.into()]);
        }
        let shard = tx.shard;
        rows.execute(tx, ADD, &[workspace.0.into(), shard.into()]).await?;
        Ok(())
    }
}

fn too_much(partner: &str) -> StoreError {
    StoreError::Unreadable { what: "the balance of", key: partner.to_owned(), why: "the sum is too large".to_owned() }
}

/// What the rows say of a partner and currency: partner, currency, all, what days before today sum up to, and whether
/// anything becomes available today.
type Kept = (String, String, i64, i64, i64);

/// A page of what partners have, in order of partner and currency, behind `after`. Who has nothing is left out.
pub async fn page(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    at: Time,
    after: Option<(&str, &str)>,
    limit: usize,
) -> Result<Vec<Balance>, StoreError> {
    let today = day(at);
    let (partner, currency) = after.unwrap_or_default();
    let mut after = (partner.to_owned(), currency.to_owned());
    let mut found = Vec::new();
    while found.len() < limit {
        let asked = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
        let kept: Vec<Kept> = on!(tx, conn => {
            sqlx::query_as(
                "SELECT partner_key, currency, CAST(SUM(amount) AS BIGINT),
                        CAST(SUM(CASE WHEN day < $5 THEN amount ELSE 0 END) AS BIGINT),
                        MAX(CASE WHEN day = $5 THEN CAST(1 AS BIGINT) ELSE 0 END)
                 FROM balances
                 WHERE workspace_id = $1 AND mode = $2 AND (partner_key, currency) > ($3, $4)
                 GROUP BY partner_key, currency
                 HAVING SUM(amount) <> 0 OR SUM(CASE WHEN day < $5 THEN amount ELSE 0 END) <> 0
                     OR MAX(CASE WHEN day = $5 THEN 1 ELSE 0 END) = 1
                 ORDER BY partner_key, currency
                 LIMIT $6",
            )
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(&after.0)
            .bind(&after.1)
            .bind(today)
            .bind(asked)
            .fetch_all(conn)
            .await?
        });
        let is_last = kept.len() < limit - found.len();
        let Some(last) = kept.last() else { break };
        after = (last.0.clone(), last.1.clone());
        let since_midnight = available_today(tx, (workspace, mode), &kept, at).await?;
        for (partner, currency, balance, before_today, _) in kept {
            let key = (partner, currency);
            let available = before_today + since_midnight.get(&key).copied().unwrap_or_default();
            let (partner, currency) = key;
            if balance == 0 && available == 0 {
                continue;
            }
            let currency = currency.parse().map_err(|error| StoreError::Unreadable {
                what: "the balance of",
                key: partner.clone(),
                why: format!("{error}"),
            })?;
            found.push(Balance { partner, currency, balance, available });
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// What has become available since midnight, of those to whom something does today.
async fn available_today(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    kept: &[Kept],
    at: Time,
) -> Result<HashMap<(String, String), i64>, StoreError> {
    let mut rows = Rows::new(&[("partner_key", Text), ("currency", Text)]);
    for (partner, currency, _, _, is_of_today) in kept {
        if *is_of_today == 1 {
            rows.push([partner.into(), currency.into()]);
        }
    }
    let text = "SELECT e.partner_key, e.currency, CAST(SUM(e.amount) AS BIGINT)
                FROM v CROSS JOIN entries e
                WHERE e.workspace_id = $1 AND e.mode = $2 AND e.partner_key = v.partner_key
                  AND e.currency = v.currency AND e.available_at >= $3 AND e.available_at <= $4
                  AND e.available_at > e.booked_at
                GROUP BY e.partner_key, e.currency";
    let midnight = day(at) * MICROS_A_DAY;
    let args = [workspace.0.into(), mode.as_i64().into(), midnight.into(), micros(at).into()];
    let sums: Vec<(String, String, i64)> = rows.fetch(tx, text, &args).await?;
    Ok(sums.into_iter().map(|(partner, currency, sum)| ((partner, currency), sum)).collect())
}

/// What every partner has who has anything, in order of partner and currency. Lines that cancel out leave nothing,
/// whatever the order in which events came.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, at: Time) -> Result<Vec<Balance>, StoreError> {
    const AT_A_TIME: usize = 1000;
    let mut all: Vec<Balance> = Vec::new();
    loop {
        let after = all.last().map(|last| (last.partner.clone(), last.currency));
        let after = after.as_ref().map(|(partner, currency)| (partner.as_str(), currency.as_str()));
        let page = page(tx, (workspace, mode), at, after, AT_A_TIME).await?;
        let is_last = page.len() < AT_A_TIME;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Adds the rows of days long gone to the row of what is available, at most `limit` of them; tells how many there were.
/// Nobody writes those days any more, so that this stands in nobody's way.
pub async fn fold(tx: &mut Tx, workspace: WorkspaceId, now: Time, limit: i64) -> Result<u64, StoreError> {
    let mut sums: BTreeMap<(i64, String, String), i64> = BTreeMap::new();
    let folded: Vec<(i64, String, String, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "DELETE FROM balances
             WHERE (workspace_id, mode, partner_key, currency, day, shard) IN (
                 SELECT workspace_id, mode, partner_key, currency, day, shard FROM balances
                 WHERE workspace_id = $1 AND day > 0 AND day < $2
                 ORDER BY workspace_id, mode, partner_key, currency, day, shard
                 LIMIT $3)
             RETURNING mode, partner_key, currency, amount",
        )
        .bind(workspace.0)
        // Yesterday's may still be written by somebody whose transaction began before midnight.
        .bind(day(now) - 1)
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let count = folded.len();
    for (mode, partner, currency, amount) in folded {
        let too_much = too_much(&partner);
        let sum = sums.entry((mode, partner, currency)).or_default();
        *sum = sum.checked_add(amount).ok_or(too_much)?;
    }
    let mut rows = Rows::new(COLUMNS);
    for ((mode, partner, currency), amount) in &sums {
        rows.push([(*mode).into(), partner.into(), currency.into(), AT_ONCE.into(), (*amount).into()]);
    }
    let shard = tx.shard;
    rows.execute(tx, ADD, &[workspace.0.into(), shard.into()]).await?;
    Ok(count as u64)
}

/// Where the rows and the entries say different things of a partner, currency and day: what is kept, and what the
/// entries come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Off {
    /// Which book.
    pub mode: Mode,
    /// Whose.
    pub partner: PartnerKey,
    /// In what.
    pub currency: String,
    /// What the rows come to.
    pub kept: i64,
    /// What the entries come to.
    pub booked: i64,
}

/// Where rows and entries do not agree, at most 1000 of them.
pub async fn off(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Vec<Off>, StoreError> {
    let today = day(now);
    let rows: Vec<(i64, String, String, i64, i64)> = on!(tx, conn => {
        // Whether a day is folded or not yet, it comes to the same.
        sqlx::query_as(
            "SELECT mode, partner_key, currency, CAST(SUM(kept) AS BIGINT), CAST(SUM(booked) AS BIGINT)
             FROM (SELECT mode, partner_key, currency, CASE WHEN day < $2 THEN 0 ELSE day END AS day, amount AS kept,
                          0 AS booked
                   FROM balances
                   WHERE workspace_id = $1
                   UNION ALL
                   SELECT mode, partner_key, currency,
                          CASE WHEN available_at <= booked_at OR available_at < $3 THEN 0
                               ELSE available_at / 86400000000 END,
                          0, amount
                   FROM entries
                   WHERE workspace_id = $1) both_sides
             GROUP BY mode, partner_key, currency, day
             HAVING SUM(kept) <> SUM(booked)
             ORDER BY mode, partner_key, currency, day
             LIMIT 1000",
        )
        .bind(workspace.0)
        .bind(today)
        .bind(today * MICROS_A_DAY)
        .fetch_all(conn)
        .await?
    });
    let off =
        |(mode, partner, currency, kept, booked)| Off { mode: Mode::from_i64(mode), partner, currency, kept, booked };
    Ok(rows.into_iter().map(off).collect())
}
