//! The ledger's lines. They are appended and read; the database refuses everything else.

use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::balances::Sums;
use super::listing::{Listing, Span};
use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::entry::{Component, EntryKind};
use crate::domain::terms::{PartnerKey, ProgramKey};
use crate::on;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `ent_…`
    pub entry_id: String,
    /// Which book.
    pub mode: Mode,
    /// What it is.
    pub kind: EntryKind,
    /// Whose money.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// Which part of a payment's commission.
    pub component: Component,
    /// Counts the lines of one payment, partner, program and component (or of one payout and kind) from 1.
    pub revision: i64,
    /// The payment it is about.
    pub payment_id: Option<String>,
    /// Signed minor units.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
    /// The moment of the fact.
    pub occurred_at: Time,
    /// The moment of the append.
    pub booked_at: Time,
    /// From when it can be paid out.
    pub available_at: Time,
    /// The event that said so.
    pub event_id: Option<String>,
    /// The payout it is about.
    pub payout_id: Option<String>,
    /// Why, in a word.
    pub reason: Option<String>,
}

/// An entry as the database has it, with the digest it was appended with.
#[derive(Debug, Clone)]
pub struct Booked {
    /// The line.
    pub entry: Entry,
    /// What [`Entry::digest`] was then.
    pub digest: String,
}

impl Entry {
    /// The first 16 bytes of SHA-256 over every column, in hex: a line that was tampered with no longer has its own.
    pub fn digest(&self, workspace: WorkspaceId) -> String {
        let mut hash = Sha256::new();
        let mut field = |value: Option<&str>| match value {
            Some(text) => {
                hash.update(text.len().to_le_bytes());
                hash.update(text);
            }
            None => hash.update(u64::MAX.to_le_bytes()),
        };
        field(Some(&workspace.0.to_string()));
        field(Some(&self.entry_id));
        field(Some(self.mode.as_str()));
        field(Some(self.kind.as_str()));
        field(Some(&self.partner));
        field(self.program.as_deref());
        field(Some(self.component.as_str()));
        field(Some(&self.revision.to_string()));
        field(self.payment_id.as_deref());
        field(Some(&self.amount.to_string()));
        field(Some(self.currency.as_str()));
        for at in [self.occurred_at, self.booked_at, self.available_at] {
            field(Some(&micros(at).to_string()));
        }
        field(self.event_id.as_deref());
        field(self.payout_id.as_deref());
        field(self.reason.as_deref());
        hex::encode(&hash.finalize()[..16])
    }
}

impl Entry {
    /// As in the API and in files: the amount in minor units, the payment by its main reference.
    pub fn json(&self, payment: Option<&str>) -> serde_json::Value {
        serde_json::json!({
            "entry_id": self.entry_id,
            "occurred_at": self.occurred_at,
            "booked_at": self.booked_at,
            "available_at": self.available_at,
            "partner_key": self.partner,
            "program": self.program,
            "component": self.component.as_str(),
            "kind": self.kind.as_str(),
            "amount": self.amount,
            "currency": self.currency,
            "payment_ref": payment,
            "event_id": self.event_id,
            "payout_id": self.payout_id,
            "reason": self.reason,
        })
    }
}

const COLUMNS: &[(&str, Column)] = &[
    ("entry_id", Text),
    ("mode", Int),
    ("kind", Text),
    ("partner_key", Text),
    ("program_key", Text),
    ("component", Text),
    ("revision", Int),
    ("payment_id", Text),
    ("amount", Int),
    ("currency", Text),
    ("occurred_at", Int),
    ("booked_at", Int),
    ("available_at", Int),
    ("event_id", Text),
    ("payout_id", Text),
    ("reason", Text),
    ("digest", Text),
];

/// Appends lines, and adds them to what their partners have.
pub async fn append(
    tx: &mut Tx,
    workspace: WorkspaceId,
    entries: impl IntoIterator<Item = &Entry>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(COLUMNS);
    let mut sums = Sums::default();
    for entry in entries {
        sums.add(entry)?;
        rows.push([
            (&entry.entry_id).into(),
            entry.mode.as_i64().into(),
            entry.kind.as_str().into(),
            (&entry.partner).into(),
            entry.program.as_deref().into(),
            entry.component.as_str().into(),
            entry.revision.into(),
            entry.payment_id.as_deref().into(),
            entry.amount.into(),
            entry.currency.to_string().into(),
            micros(entry.occurred_at).into(),
            micros(entry.booked_at).into(),
            micros(entry.available_at).into(),
            entry.event_id.as_deref().into(),
            entry.payout_id.as_deref().into(),
            entry.reason.as_deref().into(),
            entry.digest(workspace).into(),
        ]);
    }
    let text = "INSERT INTO entries (workspace_id, entry_id, mode, kind, partner_key, program_key, component, revision,
                                     payment_id, amount, currency, occurred_at, booked_at, available_at, event_id,
                                     payout_id, reason, digest)
                SELECT $1, entry_id, mode, kind, partner_key, program_key, component, revision,
                       payment_id, amount, currency, occurred_at, booked_at, available_at, event_id,
                       payout_id, reason, digest
                FROM v";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    sums.keep(tx, workspace).await
}

/// A row of the table; others that select all its columns (`SELECT entries.* …`) read it too.
#[derive(Debug, FromRow)]
pub struct Row {
    entry_id: String,
    mode: i64,
    kind: String,
    partner_key: String,
    program_key: Option<String>,
    component: String,
    revision: i64,
    payment_id: Option<String>,
    amount: i64,
    currency: String,
    occurred_at: i64,
    booked_at: i64,
    available_at: i64,
    event_id: Option<String>,
    payout_id: Option<String>,
    reason: Option<String>,
    digest: String,
}

impl TryFrom<Row> for Booked {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let unreadable = |why: String| StoreError::Unreadable { what: "entry", key: row.entry_id.clone(), why };
        let kind = row.kind.parse().map_err(|error| unreadable(format!("{error}")))?;
        let component = row.component.parse().map_err(|error| unreadable(format!("{error}")))?;
        let currency = row.currency.parse().map_err(|error| unreadable(format!("{error}")))?;
        let entry = Entry {
            kind,
            component,
            currency,
            entry_id: row.entry_id,
            mode: Mode::from_i64(row.mode),
            partner: row.partner_key,
            program: row.program_key,
            revision: row.revision,
            payment_id: row.payment_id,
            amount: row.amount,
            occurred_at: from_micros(row.occurred_at),
            booked_at: from_micros(row.booked_at),
            available_at: from_micros(row.available_at),
            event_id: row.event_id,
            payout_id: row.payout_id,
            reason: row.reason,
        };
        Ok(Self { entry, digest: row.digest })
    }
}

fn read(rows: Vec<Row>) -> Result<Vec<Booked>, StoreError> {
    rows.into_iter().map(Booked::try_from).collect()
}

/// The lines of some payments, in the order in which they were appended.
pub async fn of_payments(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payments: impl IntoIterator<Item = &str>,
) -> Result<Vec<Booked>, StoreError> {
    let text = "SELECT e.entry_id, e.mode, e.kind, e.partner_key, e.program_key, e.component, e.revision, e.payment_id,
                       e.amount, e.currency, e.occurred_at, e.booked_at, e.available_at, e.event_id, e.payout_id,
                       e.reason, e.digest
                FROM entries e
                WHERE e.workspace_id = $1 AND e.payment_id $in(payment_id)";
    let rows = Rows::texts(&[("payment_id", Text)], payments).fetch(tx, text, &[workspace.0.into()]).await?;
    let mut booked = read(rows)?;
    booked.sort_by(|a, b| a.entry.entry_id.cmp(&b.entry.entry_id));
    Ok(booked)
}

/// A page of one book in the order in which it was appended, after `after`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Booked>, StoreError> {
    read(on!(tx, conn => {
        sqlx::query_as(
            "SELECT * FROM entries
             WHERE workspace_id = $1 AND entry_id > $2 AND mode = $3
             ORDER BY entry_id
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(mode.as_i64())
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Whether a book has any line.
pub async fn any(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<bool, StoreError> {
    let found: Option<String> = on!(tx, conn => {
        sqlx::query_scalar("SELECT entry_id FROM entries WHERE workspace_id = $1 AND mode = $2 ORDER BY entry_id LIMIT 1")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_optional(conn)
            .await?
    });
    Ok(found.is_some())
}

/// Which lines are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Of this partner.
    pub partner: Option<&'a str>,
    /// Of this program.
    pub program: Option<&'a str>,
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// When they were booked.
    pub booked: Span,
    /// Behind this one.
    pub behind: Option<&'a Entry>,
}

impl Wanted<'_> {
    /// Whether a line is asked for.
    pub fn has(&self, entry: &Entry) -> bool {
        let place = |entry: &Entry| (entry.booked_at, entry.entry_id.clone());
        self.partner.is_none_or(|partner| entry.partner == partner)
            && self.program.is_none_or(|program| entry.program.as_deref() == Some(program))
            && self.kind.is_none_or(|kind| entry.kind == kind)
            && self.booked.since.is_none_or(|since| entry.booked_at >= since)
            && self.booked.until.is_none_or(|until| entry.booked_at < until)
            && self.behind.is_none_or(|behind| place(entry) < place(behind))
    }
}

/// A page of one book's lines, those booked last first.
pub async fn newest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<Booked>, StoreError> {
    let mut listing = Listing::of("SELECT * FROM entries WHERE workspace_id =", workspace);
    listing.and_cell("mode =", mode.as_i64());
    listing.and_some("partner_key =", wanted.partner);
    listing.and_some("program_key =", wanted.program);
    if let Some(kind) = wanted.kind {
        listing.and_cell("kind =", kind.as_str());
        if kind != EntryKind::Accrual {
            // Accruals are most of all lines, and found as fast without an index of their own.
            listing.and("kind <> 'accrual'");
        }
    }
    listing.within("booked_at", wanted.booked);
    if let Some(behind) = wanted.behind {
        listing.before("(booked_at, entry_id)", [micros(behind.booked_at).into(), (&behind.entry_id).into()]);
    }
    read(listing.fetch(tx, "booked_at DESC, entry_id DESC", limit).await?)
}

/// A line of a book.
pub async fn by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    entry_id: &str,
) -> Result<Option<Booked>, StoreError> {
    let row: Option<Row> = on!(tx, conn => {
        sqlx::query_as("SELECT * FROM entries WHERE workspace_id = $1 AND entry_id = $2 AND mode = $3")
            .bind(workspace.0)
            .bind(entry_id)
            .bind(mode.as_i64())
            .fetch_optional(conn)
            .await?
    });
    row.map(Booked::try_from).transpose()
}

/// Entries of one payment, partner and program of which one is gone.
#[derive(Debug, FromRow)]
pub struct Gap {
    /// `pay_…`
    pub payment_id: String,
    /// Whose.
    pub partner_key: String,
    /// The highest revision; they count from 0.
    pub last: i64,
    /// How many there are.
    pub count: i64,
}

/// Where revisions are missing.
pub async fn series_with_gaps(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Gap>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT payment_id, partner_key, MAX(revision) AS last, COUNT(*) AS count
             FROM entries
             WHERE workspace_id = $1 AND payment_id IS NOT NULL
             GROUP BY payment_id, partner_key, program_key, component
             HAVING MAX(revision) + 1 <> COUNT(*)
             ORDER BY payment_id
             LIMIT 1000",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// Ids of entries about payments that are not there, or are of a customer that is not there.
pub async fn of_unknown_payments(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT e.entry_id
             FROM entries e
             LEFT JOIN payments p ON p.workspace_id = e.workspace_id AND p.payment_id = e.payment_id
             LEFT JOIN customers c ON c.workspace_id = p.workspace_id AND c.customer_id = p.customer_id
             WHERE e.workspace_id = $1 AND e.payment_id IS NOT NULL AND c.customer_id IS NULL
             ORDER BY e.entry_id
             LIMIT 1000",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// Ids of entries that nothing accounts for: commissions of no payment, payouts that there are not, lines of nothing,
/// and kinds that nobody enters.
pub async fn without_cause(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT e.entry_id
             FROM entries e
             LEFT JOIN payouts p ON p.workspace_id = e.workspace_id AND p.payout_id = e.payout_id
             LEFT JOIN adjustments a
                    ON a.workspace_id = e.workspace_id AND a.entry_id = e.entry_id AND a.mode = e.mode AND a.kind = e.kind
                       AND a.partner_key = e.partner_key AND a.amount = e.amount AND a.currency = e.currency
             WHERE e.workspace_id = $1
               AND (e.amount = 0
                    OR (e.kind IN ('adjustment', 'bonus') AND a.adjustment_id IS NULL)
                    OR (e.kind IN ('accrual', 'reversal') AND (e.payment_id IS NULL OR e.program_key IS NULL))
                    OR (e.kind IN ('payout', 'payout_return', 'carry') AND p.payout_id IS NULL))
             ORDER BY e.entry_id
             LIMIT 1000",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// An entry about a payout.
#[derive(Debug, Clone, FromRow)]
pub struct PayoutLine {
    /// `po_…`
    pub payout_id: String,
    /// `payout`, `payout_return` or `carry`.
    pub kind: String,
    /// Signed minor units.
    pub amount: i64,
}

/// The entries about some payouts.
pub async fn of_payouts(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payouts: impl IntoIterator<Item = &str>,
) -> Result<Vec<PayoutLine>, StoreError> {
    let text = "SELECT e.payout_id, e.kind, e.amount
                FROM entries e
                WHERE e.workspace_id = $1 AND e.payout_id $in(payout_id)";
    Rows::texts(&[("payout_id", Text)], payouts).fetch(tx, text, &[workspace.0.into()]).await
}
