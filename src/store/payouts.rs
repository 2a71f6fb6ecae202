//! Batches, payouts, and which entries each payout pays.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;

use super::entries::{Booked, Row};
use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::on;

/// A month's payouts.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Batch {
    /// `bat_…`
    pub batch_id: String,
    mode: i64,
    /// `2026-10`
    pub month: String,
    period_start_at: i64,
    period_end_at: i64,
    cut_off_at: i64,
    /// `closed`, `approved` or `paid`.
    pub status: String,
    closed_at: i64,
    approved_at: Option<i64>,
    paid_at: Option<i64>,
}

impl Batch {
    /// As in the API and on the command line.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "batch_id": self.batch_id,
            "mode": self.mode().as_str(),
            "month": self.month,
            "period_start": self.period_start(),
            "period_end": self.period_end(),
            "cut_off_at": self.cut_off(),
            "status": self.status,
            "closed_at": self.closed_at(),
            "approved_at": self.approved_at(),
            "paid_at": self.paid_at(),
        })
    }

    /// A batch that was closed just now.
    pub fn closed(batch_id: String, mode: Mode, month: String, period: (Time, Time), cut_off: Time, now: Time) -> Self {
        Self {
            batch_id,
            mode: mode.as_i64(),
            month,
            period_start_at: micros(period.0),
            period_end_at: micros(period.1),
            cut_off_at: micros(cut_off),
            status: "closed".to_owned(),
            closed_at: micros(now),
            approved_at: None,
            paid_at: None,
        }
    }

    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// The month's first moment.
    pub fn period_start(&self) -> Time {
        from_micros(self.period_start_at)
    }

    /// The first moment after the month.
    pub fn period_end(&self) -> Time {
        from_micros(self.period_end_at)
    }

    /// What was booked from then on waits for the next batch.
    pub fn cut_off(&self) -> Time {
        from_micros(self.cut_off_at)
    }

    /// When it was closed.
    pub fn closed_at(&self) -> Time {
        from_micros(self.closed_at)
    }

    /// When it was approved.
    pub fn approved_at(&self) -> Option<Time> {
        self.approved_at.map(from_micros)
    }

    /// When its last payout was marked as paid.
    pub fn paid_at(&self) -> Option<Time> {
        self.paid_at.map(from_micros)
    }
}

/// One partner's money in one currency by one method. Amounts are frozen at the close.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Payout {
    /// `po_…`
    pub payout_id: String,
    /// Whose batch.
    pub batch_id: String,
    /// Who is paid.
    pub partner_key: String,
    currency: String,
    /// `stripe`, `csv`, …; `none` where it is not known.
    pub method: String,
    /// `acct_…`, e-mail, IBAN.
    pub destination: Option<String>,
    /// `ready`, `rolled_over`, `approved` or `paid`.
    pub status: String,
    /// What is paid; zero where all rolls over.
    pub amount: i64,
    /// What the batch before rolled over.
    pub opening: i64,
    /// Commissions since.
    pub earned: i64,
    /// Commissions taken back since, positive.
    pub reversed: i64,
    /// Everything else since.
    pub adjustments: i64,
    /// What stays: rolled over, or what the currency cannot pay out.
    pub closing: i64,
    /// The minimum that counted.
    pub minimum: i64,
    /// How many entries make it up.
    pub entry_count: i64,
    /// How many of them are commissions that were earned.
    pub commission_count: i64,
    /// Why nothing is paid.
    pub reason: Option<String>,
    /// What the partner sees on their account, at most 35 characters.
    pub reference: String,
    /// The partner's profile as it was, JSON.
    pub profile: String,
    sent_at: Option<i64>,
    settled_at: Option<i64>,
    /// What the bank or service calls it.
    pub external_id: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
}

impl Payout {
    /// As in the API and on the command line: amounts in minor units, without where the money goes.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "payout_id": self.payout_id,
            "partner_key": self.partner_key,
            "currency": self.currency,
            "method": self.method,
            "opening": self.opening,
            "earned": self.earned,
            "reversed": self.reversed,
            "adjustments": self.adjustments,
            "amount": self.amount,
            "closing": self.closing,
            "minimum": self.minimum,
            "entry_count": self.entry_count,
            "commission_count": self.commission_count,
            "status": self.status,
            "reason": self.reason,
            "reference": self.reference,
            "sent_at": self.sent_at(),
            "settled_at": self.settled_at(),
            "external_id": self.external_id,
            "failure_reason": self.failure_reason,
        })
    }
}

/// What a new payout is made of.
#[derive(Debug, Clone)]
pub struct NewPayout {
    /// The frozen row; times are empty.
    pub payout: Payout,
    /// The entries that it is made of.
    pub entry_ids: Vec<String>,
}

impl Payout {
    /// Of what.
    pub fn currency(&self) -> Result<Currency, StoreError> {
        self.currency.parse().map_err(|error| StoreError::Unreadable {
            what: "payout",
            key: self.payout_id.clone(),
            why: format!("{error}"),
        })
    }

    /// When it left.
    pub fn sent_at(&self) -> Option<Time> {
        self.sent_at.map(from_micros)
    }

    /// When it arrived.
    pub fn settled_at(&self) -> Option<Time> {
        self.settled_at.map(from_micros)
    }

    /// Whether it pays anything.
    pub fn pays(&self) -> bool {
        self.status != "rolled_over"
    }

    /// A payout with nothing in it yet.
    pub fn empty(payout_id: String, batch_id: &str, partner_key: &str, currency: Currency) -> Self {
        Self {
            payout_id,
            batch_id: batch_id.to_owned(),
            partner_key: partner_key.to_owned(),
            currency: currency.to_string(),
            method: "none".to_owned(),
            destination: None,
            status: "rolled_over".to_owned(),
            amount: 0,
            opening: 0,
            earned: 0,
            reversed: 0,
            adjustments: 0,
            closing: 0,
            minimum: 0,
            entry_count: 0,
            commission_count: 0,
            reason: None,
            reference: String::new(),
            profile: "{}".to_owned(),
            sent_at: None,
            settled_at: None,
            external_id: None,
            failure_reason: None,
        }
    }
}

/// The batch of a month.
pub async fn of_month(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    month: &str,
) -> Result<Option<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND mode = $2 AND month = $3")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(month)
            .fetch_optional(conn)
            .await?
    }))
}

/// A batch by its id.
pub async fn batch(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Option<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND batch_id = $2")
            .bind(workspace.0)
            .bind(batch_id)
            .fetch_optional(conn)
            .await?
    }))
}

/// Every batch of a book, the latest month first.
pub async fn batches(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND mode = $2 ORDER BY month DESC")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_all(conn)
            .await?
    }))
}

/// Opens a month's batch; false if it is there already.
pub async fn insert_batch(tx: &mut Tx, workspace: WorkspaceId, batch: &Batch) -> Result<bool, StoreError> {
    let inserted = on!(tx, conn => {
        sqlx::query(
            "INSERT INTO batches (workspace_id, batch_id, mode, month, period_start_at, period_end_at, cut_off_at,
                                  status, closed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (workspace_id, mode, month) DO NOTHING",
        )
        .bind(workspace.0)
        .bind(&batch.batch_id)
        .bind(batch.mode)
        .bind(&batch.month)
        .bind(batch.period_start_at)
        .bind(batch.period_end_at)
        .bind(batch.cut_off_at)
        .bind(&batch.status)
        .bind(batch.closed_at)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(inserted == 1)
}

/// Partners with entries, in order, after `after`.
pub async fn partners(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT DISTINCT partner_key FROM balances
             WHERE workspace_id = $1 AND mode = $2 AND partner_key > $3
             ORDER BY partner_key
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// The entries of some partners that no live payout has reserved, available before `end` and booked before `cut_off`,
/// in the order in which they were appended.
pub async fn free_entries(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    partners: &[String],
    end: Time,
    cut_off: Time,
) -> Result<Vec<Booked>, StoreError> {
    let text = "SELECT e.entry_id, e.mode, e.kind, e.partner_key, e.program_key, e.component, e.revision, e.payment_id,
                       e.amount, e.currency, e.occurred_at, e.booked_at, e.available_at, e.event_id, e.payout_id,
                       e.reason, e.digest
                FROM v CROSS JOIN entries e
                LEFT JOIN payout_entries p
                       ON p.workspace_id = $1 AND p.entry_id = e.entry_id AND p.live = 1
                WHERE e.workspace_id = $1 AND e.mode = $2 AND e.partner_key = v.partner_key
                  AND e.available_at < $3 AND e.booked_at < $4 AND p.entry_id IS NULL";
    let rows: Vec<Row> = Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str))
        .fetch(tx, text, &[workspace.0.into(), mode.as_i64().into(), micros(end).into(), micros(cut_off).into()])
        .await?;
    let mut booked = rows.into_iter().map(Booked::try_from).collect::<Result<Vec<_>, _>>()?;
    booked.sort_by(|a, b| a.entry.entry_id.cmp(&b.entry.entry_id));
    Ok(booked)
}

const COLUMNS: &[(&str, Column)] = &[
    ("payout_id", Text),
    ("batch_id", Text),
    ("partner_key", Text),
    ("currency", Text),
    ("method", Text),
    ("destination", Text),
    ("status", Text),
    ("amount", Int),
    ("opening", Int),
    ("earned", Int),
    ("reversed", Int),
    ("adjustments", Int),
    ("closing", Int),
    ("minimum", Int),
    ("entry_count", Int),
    ("commission_count", Int),
    ("reason", Text),
    ("reference", Text),
    ("profile", Text),
];

/// Writes payouts and which entries each is made of. Those of payouts that pay are reserved: the database refuses an
/// entry that another live payout has.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, payouts: &[NewPayout]) -> Result<(), StoreError> {
    let mut rows = Rows::new(COLUMNS);
    let mut entries = Rows::new(&[("payout_id", Text), ("entry_id", Text), ("live", Int)]);
    for NewPayout { payout, entry_ids } in payouts {
        rows.push([
            (&payout.payout_id).into(),
            (&payout.batch_id).into(),
            (&payout.partner_key).into(),
            (&payout.currency).into(),
            (&payout.method).into(),
            payout.destination.as_deref().into(),
            (&payout.status).into(),
            payout.amount.into(),
            payout.opening.into(),
            payout.earned.into(),
            payout.reversed.into(),
            payout.adjustments.into(),
            payout.closing.into(),
            payout.minimum.into(),
            payout.entry_count.into(),
            payout.commission_count.into(),
            payout.reason.as_deref().into(),
            (&payout.reference).into(),
            (&payout.profile).into(),
        ]);
        let live = i64::from(payout.pays());
        for entry in entry_ids {
            entries.push([(&payout.payout_id).into(), entry.into(), live.into()]);
        }
    }
    let text =
        "INSERT INTO payouts (workspace_id, mode, payout_id, batch_id, partner_key, currency, method, destination,
                                     status, amount, opening, earned, reversed, adjustments, closing, minimum,
                                     entry_count, commission_count, reason, reference, profile)
                SELECT $1, $2, payout_id, batch_id, partner_key, currency, method, destination,
                       status, amount, opening, earned, reversed, adjustments, closing, minimum,
                       entry_count, commission_count, reason, reference, profile
                FROM v";
    rows.execute(tx, text, &[workspace.0.into(), mode.as_i64().into()]).await?;
    reserve_rows(tx, workspace, &entries).await
}

/// Reserves further entries for payouts: `(payout, entry)`.
pub async fn reserve(
    tx: &mut Tx,
    workspace: WorkspaceId,
    reserved: impl IntoIterator<Item = (&str, &str)>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("payout_id", Text), ("entry_id", Text), ("live", Int)]);
    for (payout, entry) in reserved {
        rows.push([payout.into(), entry.into(), 1.into()]);
    }
    reserve_rows(tx, workspace, &rows).await
}

async fn reserve_rows(tx: &mut Tx, workspace: WorkspaceId, rows: &Rows<'_>) -> Result<(), StoreError> {
    let text = "INSERT INTO payout_entries (workspace_id, payout_id, entry_id, live)
                SELECT $1, payout_id, entry_id, live
                FROM v";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// A batch's payouts, in order of partner and currency.
pub async fn of_batch(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Vec<Payout>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT payout_id, batch_id, partner_key, currency, method, destination, status, amount, opening, earned,
                    reversed, adjustments, closing, minimum, entry_count, commission_count, reason, reference, profile,
                    sent_at, settled_at, external_id, failure_reason
             FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2
             ORDER BY partner_key, currency, method",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// What a batch left for each partner and currency.
pub async fn closings(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
) -> Result<HashMap<(String, String), i64>, StoreError> {
    let rows: Vec<(String, String, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT partner_key, currency, CAST(SUM(closing) AS BIGINT) FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2
             GROUP BY partner_key, currency",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    });
    Ok(rows.into_iter().map(|(partner, currency, closing)| ((partner, currency), closing)).collect())
}

/// The entries that a batch had for some partners and did not pay.
pub async fn left_by(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    partners: &[String],
) -> Result<HashSet<String>, StoreError> {
    let text = "SELECT r.entry_id
                FROM payouts p
                JOIN payout_entries r ON r.workspace_id = $1 AND r.payout_id = p.payout_id AND r.live = 0
                WHERE p.workspace_id = $1 AND p.batch_id = $2 AND p.partner_key $in(partner_key)";
    let partners = Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str));
    let left: Vec<(String,)> = partners.fetch(tx, text, &[workspace.0.into(), batch_id.into()]).await?;
    Ok(left.into_iter().map(|(id,)| id).collect())
}

/// Moves a batch from one status to the next and notes when; false if it was not in `from`.
pub async fn advance_batch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    from: &str,
    to: &str,
    now: Time,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches
             SET status = $4,
                 approved_at = CASE WHEN $4 = 'approved' THEN $5 ELSE approved_at END,
                 paid_at = CASE WHEN $4 = 'paid' THEN $5 ELSE paid_at END
             WHERE workspace_id = $1 AND batch_id = $2 AND status = $3",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(from)
        .bind(to)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Marks the ready payouts of a batch as approved; tells how many.
pub async fn approve(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<u64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts SET status = 'approved' WHERE workspace_id = $1 AND batch_id = $2 AND status = 'ready'",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .execute(conn)
        .await?
        .rows_affected()
    }))
}

/// Marks one approved payout as paid; false if it was not approved (any more).
pub async fn mark_paid(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payout_id: &str,
    external_id: Option<&str>,
    now: Time,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts
             SET status = 'paid', sent_at = COALESCE(sent_at, $3), settled_at = $3, external_id = $4
             WHERE workspace_id = $1 AND payout_id = $2 AND status = 'approved'",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .bind(micros(now))
        .bind(external_id)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// What a payout says, and what the entries that it is made of say.
#[derive(Debug, Clone, FromRow)]
pub struct Made {
    /// `po_…`
    pub payout_id: String,
    /// `ready`, `rolled_over`, `approved` or `paid`.
    pub status: String,
    /// What is paid.
    pub amount: i64,
    /// What stays.
    pub closing: i64,
    /// Opening + earned − reversed + adjustments.
    pub stated: i64,
    /// How many entries it was made of when it was closed.
    pub entry_count: i64,
    /// How many belong to it now, its own booking included.
    pub entries: i64,
    /// Their sum.
    pub sum: i64,
}

/// A page of payouts, in order of their ids, beside the entries that each is made of.
pub async fn made_of(tx: &mut Tx, workspace: WorkspaceId, after: &str, limit: i64) -> Result<Vec<Made>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT p.payout_id, p.status, p.amount, p.closing,
                    p.opening + p.earned - p.reversed + p.adjustments AS stated, p.entry_count,
                    COUNT(e.entry_id) AS entries, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) AS sum
             FROM (SELECT * FROM payouts WHERE workspace_id = $1 AND payout_id > $2 ORDER BY payout_id LIMIT $3) p
             LEFT JOIN payout_entries r ON r.workspace_id = $1 AND r.payout_id = p.payout_id
             LEFT JOIN entries e ON e.workspace_id = $1 AND e.entry_id = r.entry_id
                                AND e.partner_key = p.partner_key AND e.currency = p.currency
             GROUP BY p.payout_id, p.status, p.amount, p.closing, p.opening, p.earned, p.reversed, p.adjustments,
                      p.entry_count
             ORDER BY p.payout_id",
        )
        .bind(workspace.0)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}
