//! Payouts, and which entries each pays.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;

use super::batches::Batch;
use super::entries::{Booked, Row};
use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::on;

/// One partner's money in one currency by one method. Amounts are frozen at the close.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Payout {
    /// `po_…`
    pub payout_id: String,
    mode: i64,
    /// Whose batch.
    pub batch_id: String,
    /// Who is paid.
    pub partner_key: String,
    currency: String,
    /// `stripe`, `csv`, …; `none` where it is not known.
    pub method: String,
    /// `acct_…`, e-mail, IBAN.
    pub destination: Option<String>,
    /// `ready`, `blocked`, `sending`, `sent`, `settled`, `failed`, `returned` or `canceled`.
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
    /// What really leaves, in minor units of [`Payout::paid_currency`].
    pub paid_amount: i64,
    paid_currency: String,
    /// Units of the paid currency for one of the ledger's, where they differ.
    pub fx_rate: Option<String>,
    /// The day for which the rate was published.
    pub fx_day: Option<String>,
    /// Who published it.
    pub fx_source: Option<String>,
    /// Why nothing is paid.
    pub reason: Option<String>,
    /// What the partner sees on their account, at most 35 characters.
    pub reference: String,
    /// The partner's profile as it was, JSON.
    pub profile: String,
    /// The payment file it stands in.
    pub file_id: Option<String>,
    /// How often a transfer was begun.
    pub attempt: i64,
    sent_at: Option<i64>,
    settled_at: Option<i64>,
    /// What the bank or service calls it.
    pub external_id: Option<String>,
    /// Why it failed, came back or was canceled.
    pub failure_reason: Option<String>,
    /// What came back, in the ledger's minor units.
    pub returned: i64,
    /// What came back, in minor units of [`Payout::paid_currency`].
    pub returned_paid: i64,
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
            "paid_amount": self.paid_amount,
            "paid_currency": self.paid_currency,
            "fx_rate": self.fx_rate,
            "fx_day": self.fx_day,
            "fx_source": self.fx_source,
            "status": self.status,
            "reason": self.reason,
            "reference": self.reference,
            "sent_at": self.sent_at(),
            "settled_at": self.settled_at(),
            "external_id": self.external_id,
            "failure_reason": self.failure_reason,
            "returned": self.returned,
            "returned_paid": self.returned_paid,
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
        self.parsed(&self.currency)
    }

    /// In what it leaves.
    pub fn paid_currency(&self) -> Result<Currency, StoreError> {
        self.parsed(&self.paid_currency)
    }

    /// The same, as it is kept.
    pub fn paid_currency_text(&self) -> &str {
        &self.paid_currency
    }

    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// Says in what it leaves, and how much.
    pub fn leaves_as(&mut self, amount: i64, currency: Currency) {
        self.paid_amount = amount;
        self.paid_currency = currency.to_string();
    }

    fn parsed(&self, currency: &str) -> Result<Currency, StoreError> {
        currency.parse().map_err(|error| StoreError::Unreadable {
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

    /// Notes that it left, if that was not known.
    pub fn left_at(&mut self, at: Time) {
        self.sent_at.get_or_insert(micros(at));
    }

    /// Notes that it arrived, if that was not known.
    pub fn arrived_at(&mut self, at: Time) {
        self.left_at(at);
        self.settled_at.get_or_insert(micros(at));
    }

    /// Whether it pays anything.
    pub fn pays(&self) -> bool {
        self.status != "blocked"
    }

    /// Whether its fate is not known yet.
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "sending" | "sent")
    }

    /// A payout with nothing in it yet.
    pub fn empty(payout_id: String, batch: &Batch, partner_key: &str, currency: Currency) -> Self {
        Self {
            payout_id,
            mode: batch.mode().as_i64(),
            batch_id: batch.batch_id.clone(),
            partner_key: partner_key.to_owned(),
            currency: currency.to_string(),
            method: "none".to_owned(),
            destination: None,
            status: "blocked".to_owned(),
            amount: 0,
            opening: 0,
            earned: 0,
            reversed: 0,
            adjustments: 0,
            closing: 0,
            minimum: 0,
            entry_count: 0,
            commission_count: 0,
            paid_amount: 0,
            paid_currency: currency.to_string(),
            fx_rate: None,
            fx_day: None,
            fx_source: None,
            reason: None,
            reference: String::new(),
            profile: "{}".to_owned(),
            file_id: None,
            attempt: 0,
            sent_at: None,
            settled_at: None,
            external_id: None,
            failure_reason: None,
            returned: 0,
            returned_paid: 0,
        }
    }
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
    ("paid_amount", Int),
    ("paid_currency", Text),
    ("fx_rate", Text),
    ("fx_day", Text),
    ("fx_source", Text),
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
            payout.paid_amount.into(),
            (&payout.paid_currency).into(),
            payout.fx_rate.as_deref().into(),
            payout.fx_day.as_deref().into(),
            payout.fx_source.as_deref().into(),
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
                                     entry_count, commission_count, paid_amount, paid_currency, fx_rate, fx_day,
                                     fx_source, reason, reference, profile, attempt, returned, returned_paid)
                SELECT $1, $2, payout_id, batch_id, partner_key, currency, method, destination,
                       status, amount, opening, earned, reversed, adjustments, closing, minimum,
                       entry_count, commission_count, paid_amount, paid_currency, fx_rate, fx_day,
                       fx_source, reason, reference, profile, 0, 0, 0
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
            "SELECT * FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2
             ORDER BY partner_key, currency, method",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// Whether the fate of any payout of a batch is not known yet.
pub async fn any_open(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<bool, StoreError> {
    let open: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT CAST(1 AS BIGINT) FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2 AND status IN ('ready', 'sending', 'sent')
             LIMIT 1",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_optional(conn)
        .await?
    });
    Ok(open.is_some())
}

/// What the payouts of a batch that are `ready` come to, by the ledger's currency.
pub async fn ready_totals(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT currency, CAST(SUM(amount) AS BIGINT) FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2 AND status = 'ready'
             GROUP BY currency
             ORDER BY currency",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// What a batch left for some partners, by partner and currency.
pub async fn closings(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    partners: &[String],
) -> Result<HashMap<(String, String), i64>, StoreError> {
    let text = "SELECT p.partner_key, p.currency, CAST(SUM(p.closing) AS BIGINT)
                FROM payouts p
                WHERE p.workspace_id = $1 AND p.batch_id = $2 AND p.partner_key $in(partner_key)
                GROUP BY p.partner_key, p.currency";
    let partners = Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str));
    let rows: Vec<(String, String, i64)> = partners.fetch(tx, text, &[workspace.0.into(), batch_id.into()]).await?;
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

/// A payout, held against whoever else wants to change it until the end of the transaction.
pub async fn hold(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str) -> Result<Option<Payout>, StoreError> {
    // One statement for both engines: an update that changes nothing holds the row, and SQLite has one writer anyway.
    on!(tx, conn => {
        sqlx::query("UPDATE payouts SET attempt = attempt WHERE workspace_id = $1 AND payout_id = $2")
            .bind(workspace.0)
            .bind(payout_id)
            .execute(conn)
            .await?;
    });
    by_id(tx, workspace, payout_id).await
}

/// A payout by its id.
pub async fn by_id(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str) -> Result<Option<Payout>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM payouts WHERE workspace_id = $1 AND payout_id = $2")
            .bind(workspace.0)
            .bind(payout_id)
            .fetch_optional(conn)
            .await?
    }))
}

/// Writes what became of a payout that is held: status, times, external id, reason and what came back.
pub async fn write_fate(tx: &mut Tx, workspace: WorkspaceId, payout: &Payout) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts
             SET status = $3, sent_at = $4, settled_at = $5, external_id = $6, failure_reason = $7, returned = $8,
                 returned_paid = $9, leased_until = NULL, leased_by = NULL
             WHERE workspace_id = $1 AND payout_id = $2",
        )
        .bind(workspace.0)
        .bind(&payout.payout_id)
        .bind(&payout.status)
        .bind(payout.sent_at)
        .bind(payout.settled_at)
        .bind(&payout.external_id)
        .bind(&payout.failure_reason)
        .bind(payout.returned)
        .bind(payout.returned_paid)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// How many entries give a payout's money back.
pub async fn returns_of(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM entries WHERE workspace_id = $1 AND payout_id = $2 AND kind = 'payout_return'",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .fetch_one(conn)
        .await?
    }))
}

/// What a payout says, and what the entries that it is made of say.
#[derive(Debug, Clone, FromRow)]
pub struct Made {
    /// `po_…`
    pub payout_id: String,
    /// `ready`, `blocked`, …
    pub status: String,
    /// Whether its batch is approved.
    pub approved: i64,
    /// What is paid.
    pub amount: i64,
    /// What came back of it.
    pub returned: i64,
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
            "SELECT p.payout_id, p.status, p.amount, p.closing, p.returned,
                    CAST(CASE WHEN b.approved_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS approved,
                    p.opening + p.earned - p.reversed + p.adjustments AS stated, p.entry_count,
                    COUNT(e.entry_id) AS entries, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) AS sum
             FROM (SELECT * FROM payouts WHERE workspace_id = $1 AND payout_id > $2 ORDER BY payout_id LIMIT $3) p
             JOIN batches b ON b.workspace_id = $1 AND b.batch_id = p.batch_id
             LEFT JOIN payout_entries r ON r.workspace_id = $1 AND r.payout_id = p.payout_id
             LEFT JOIN entries e ON e.workspace_id = $1 AND e.entry_id = r.entry_id
                                AND e.partner_key = p.partner_key AND e.currency = p.currency
             GROUP BY p.payout_id, p.status, b.approved_at, p.amount, p.closing, p.returned, p.opening, p.earned, p.reversed, p.adjustments,
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

/// What a batch pays in one currency.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Sum {
    /// Of what, as it is written.
    pub currency: String,
    /// How many payouts.
    pub payouts: i64,
    /// Their sum, in minor units.
    pub amount: i64,
    /// What came back of it, or never left.
    pub returned: i64,
}

/// What a batch pays, by the ledger's currencies.
pub async fn sums(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Vec<Sum>, StoreError> {
    let mut sums: Vec<Sum> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT currency, COUNT(*) AS payouts, CAST(SUM(amount) AS BIGINT) AS amount,
                    CAST(SUM(returned) AS BIGINT) AS returned
             FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2 AND status <> 'blocked'
             GROUP BY currency",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    });
    sums.sort_unstable_by(|a, b| a.currency.cmp(&b.currency));
    Ok(sums)
}
