//! Statements: figures to list, and the document that was frozen, compressed.

use sqlx::FromRow;

use super::listing::Listing;
use super::payouts::Payout;
use super::rows::Column::{Bytes, Int, Text};
use super::rows::{Column, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::statement::{self, Figures, Frozen};
use crate::on;

/// Fast, and a few per cent behind the best: a document is written once and seldom read.
const LEVEL: i32 = 1;
/// No document is larger than this; a stored size beyond it is damage, not data.
const LARGEST: usize = 1 << 30;

/// A partner's month in one currency, without its lines.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StatementRow {
    /// `st_…`
    pub statement_id: String,
    mode: i64,
    /// Whose batch froze it.
    pub batch_id: String,
    /// `2026-10`
    pub month: String,
    /// Whose.
    pub partner_key: String,
    currency: String,
    opening: i64,
    earned: i64,
    reversed: i64,
    adjusted: i64,
    paid: i64,
    closing: i64,
    /// How many entries it holds.
    pub line_count: i64,
    cut_off_at: i64,
    /// SHA-256 of the document, in hex.
    pub hash: String,
    /// The hash of the partner's statement before.
    pub previous_hash: Option<String>,
    created_at: i64,
}

impl StatementRow {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// The six figures, in minor units.
    pub fn figures(&self) -> Figures {
        let Self { opening, earned, reversed, adjusted, paid, closing, .. } = *self;
        Figures { opening, earned, reversed, adjusted, paid, closing }
    }

    /// Of what.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn currency(&self) -> Result<Currency, StoreError> {
        self.currency.parse().map_err(|error| unreadable(&self.statement_id, &error))
    }

    /// Entries booked before this moment are in it or in an earlier one.
    pub fn cut_off(&self) -> Time {
        from_micros(self.cut_off_at)
    }

    /// When it was frozen.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }

    /// As in the API and on the command line: amounts in minor units.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "statement_id": self.statement_id,
            "mode": self.mode().as_str(),
            "batch_id": self.batch_id,
            "month": self.month,
            "partner_key": self.partner_key,
            "currency": self.currency,
            "opening": self.opening,
            "earned": self.earned,
            "reversed": self.reversed,
            "adjusted": self.adjusted,
            "paid": self.paid,
            "closing": self.closing,
            "line_count": self.line_count,
            "cut_off_at": self.cut_off(),
            "sha256": self.hash,
            "previous_sha256": self.previous_hash,
            "created_at": self.created_at(),
        })
    }
}

fn unreadable(statement_id: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: "statement", key: statement_id.to_owned(), why: why.to_string() }
}

/// A statement that is frozen just now.
#[derive(Debug, Clone)]
pub struct NewStatement {
    /// Whose batch.
    pub batch_id: String,
    /// What it says, and the bytes that prove it.
    pub frozen: Frozen,
    /// When.
    pub created_at: Time,
}

const COLUMNS: &[(&str, Column)] = &[
    ("statement_id", Text),
    ("batch_id", Text),
    ("month", Text),
    ("partner_key", Text),
    ("currency", Text),
    ("opening", Int),
    ("earned", Int),
    ("reversed", Int),
    ("adjusted", Int),
    ("paid", Int),
    ("closing", Int),
    ("line_count", Int),
    ("cut_off_at", Int),
    ("hash", Text),
    ("previous_hash", Text),
    ("document", Bytes),
    ("created_at", Int),
];

/// Writes statements. The database refuses a second one of the same partner, currency and month.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, new: &[NewStatement]) -> Result<(), StoreError> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|error| unreadable("(new)", &error))?;
    let mut packed = Vec::with_capacity(new.len());
    for one in new {
        let bytes = compressor.compress(&one.frozen.document);
        packed.push(bytes.map_err(|error| unreadable(&one.frozen.statement.statement, &error))?);
    }
    let mut rows = Rows::new(COLUMNS);
    for (one, document) in new.iter().zip(&packed) {
        let statement = &one.frozen.statement;
        rows.push([
            (&statement.statement).into(),
            (&one.batch_id).into(),
            statement.month.to_string().into(),
            (&statement.partner).into(),
            statement.currency.to_string().into(),
            statement.opening.into(),
            statement.earned.into(),
            statement.reversed.into(),
            statement.adjusted.into(),
            statement.paid.into(),
            statement.closing.into(),
            i64::try_from(statement.lines.len()).unwrap_or(i64::MAX).into(),
            micros(statement.cut_off).into(),
            (&one.frozen.sha256).into(),
            statement.previous_sha256.as_deref().into(),
            document.as_slice().into(),
            micros(one.created_at).into(),
        ]);
    }
    let text = "INSERT INTO statements (workspace_id, mode, statement_id, batch_id, month, partner_key, currency,
                                        opening, earned, reversed, adjusted, paid, closing, line_count, cut_off_at,
                                        hash, previous_hash, document, created_at)
                SELECT $1, $2, statement_id, batch_id, month, partner_key, currency,
                       opening, earned, reversed, adjusted, paid, closing, line_count, cut_off_at,
                       hash, previous_hash, document, created_at
                FROM v";
    rows.execute(tx, text, &[workspace.0.into(), mode.as_i64().into()]).await?;
    Ok(())
}

/// A partner's latest statement in one currency, as far as the next one needs it.
#[derive(Debug, FromRow)]
pub struct Latest {
    /// Whose.
    pub partner_key: String,
    currency: String,
    cut_off_at: i64,
    /// SHA-256 of its document.
    pub hash: String,
    /// What it closed with.
    pub closing: i64,
    document: Vec<u8>,
}

impl Latest {
    /// Of what.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn currency(&self) -> Result<Currency, StoreError> {
        self.currency.parse().map_err(|error| unreadable(&self.hash, &error))
    }

    /// Its cut-off.
    pub fn cut_off(&self) -> Time {
        from_micros(self.cut_off_at)
    }

    /// What it held, by day. Its lines are not looked at.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn on_hold(&self) -> Result<Vec<statement::Held>, StoreError> {
        use std::io::Read as _;
        let broken = |why: &dyn std::fmt::Display| unreadable(&self.hash, why);
        let mut decoder = zstd::stream::read::Decoder::new(self.document.as_slice()).map_err(|error| broken(&error))?;
        let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let more = decoder.read(&mut chunk).map_err(|error| broken(&error))?;
            read.extend_from_slice(&chunk[..more]);
            if let Some(head) = statement::head(&read).map_err(|error| broken(&error))? {
                return Ok(head.on_hold);
            }
            if more == 0 {
                return Err(broken(&"its document has no lines"));
            }
        }
    }
}

/// The latest statements of some partners before a month.
pub async fn latest_before(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    partners: &[String],
    month: &str,
) -> Result<Vec<Latest>, StoreError> {
    let text = "SELECT s.partner_key, s.currency, s.cut_off_at, s.hash, s.closing, s.document
                FROM v CROSS JOIN statements s
                WHERE s.workspace_id = $1 AND s.mode = $2 AND s.partner_key = v.partner_key
                  AND s.month = (SELECT MAX(m.month) FROM statements m
                                 WHERE m.workspace_id = $1 AND m.mode = $2 AND m.partner_key = s.partner_key
                                   AND m.currency = s.currency AND m.month < $3)";
    Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str))
        .fetch(tx, text, &[workspace.0.into(), mode.as_i64().into(), month.into()])
        .await
}

/// The documents of partners whose cut-off is after a moment, `(partner, moment)`, before a month.
pub async fn documents_since(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    since: &[(&str, Time)],
    month: &str,
) -> Result<Vec<Frozen>, StoreError> {
    let mut rows = Rows::new(&[("partner_key", Text), ("since", Int)]);
    for (partner, since) in since {
        rows.push([(*partner).into(), micros(*since).into()]);
    }
    let text = "SELECT s.hash, s.document
                FROM v CROSS JOIN statements s
                WHERE s.workspace_id = $1 AND s.mode = $2 AND s.partner_key = v.partner_key
                  AND s.cut_off_at > v.since AND s.month < $3";
    let found: Vec<(String, Vec<u8>)> =
        rows.fetch(tx, text, &[workspace.0.into(), mode.as_i64().into(), month.into()]).await?;
    found.into_iter().map(|(hash, document)| read(&hash, &document)).collect()
}

/// Reads a stored document, and proves that it has the hash it was stored with.
fn read(hash: &str, packed: &[u8]) -> Result<Frozen, StoreError> {
    let document = unpack(packed).map_err(|why| unreadable(hash, &why))?;
    let frozen = Frozen::of_document(document).map_err(|error| unreadable(hash, &error))?;
    if frozen.sha256 == hash { Ok(frozen) } else { Err(unreadable(hash, &"its document was changed")) }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let size = zstd::bulk::Decompressor::<'static>::upper_bound(packed).filter(|size| *size <= LARGEST);
    let size = size.ok_or("its document does not say a plausible size")?;
    zstd::bulk::decompress(packed, size).map_err(|error| error.to_string())
}

/// An entry, and what a statement says of its payment.
#[derive(Debug, FromRow)]
pub struct StatedEntry {
    /// `ent_…`
    pub entry_id: String,
    /// Whose money.
    pub partner_key: String,
    /// Of what.
    pub currency: String,
    /// What it is.
    pub kind: String,
    /// Which part of a payment's commission.
    pub component: String,
    /// Under which program.
    pub program_key: Option<String>,
    /// The payment it is about.
    pub payment_id: Option<String>,
    /// The payout it is about.
    pub payout_id: Option<String>,
    /// Why, in a word or (adjustments) in words.
    pub reason: Option<String>,
    /// Signed minor units.
    pub amount: i64,
    /// The moment of the fact, in microseconds.
    pub occurred_at: i64,
    /// The moment of the append.
    pub booked_at: i64,
    /// From when it can be paid out.
    pub available_at: i64,
    /// `first`, `recurring`, `change` or `one_off`.
    pub payment_kind: Option<String>,
    /// What was sold.
    pub product: Option<String>,
    /// What a percentage was a percentage of.
    pub base: Option<i64>,
    /// What the rules gave, in words.
    pub rate: Option<String>,
    /// Who paid.
    pub customer_id: Option<String>,
    /// What Stripe calls them.
    pub stripe_customer: Option<String>,
}

/// The entries of partners that were booked from a moment on, `(partner, moment)`, and before the cut-off.
pub async fn entries_since(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    since: &[(&str, Time)],
    cut_off: Time,
) -> Result<Vec<StatedEntry>, StoreError> {
    let mut rows = Rows::new(&[("partner_key", Text), ("since", Int)]);
    for (partner, since) in since {
        rows.push([(*partner).into(), micros(*since).into()]);
    }
    let text = "SELECT e.entry_id, e.partner_key, e.currency, e.kind, e.component, e.program_key, e.payment_id,
                       e.payout_id, e.reason, e.amount, e.occurred_at, e.booked_at, e.available_at,
                       p.kind AS payment_kind, p.product, p.base, p.rate, p.customer_id, p.stripe_customer
                FROM v CROSS JOIN entries e
                LEFT JOIN payments p ON p.workspace_id = $1 AND p.payment_id = e.payment_id
                WHERE e.workspace_id = $1 AND e.mode = $2 AND e.partner_key = v.partner_key
                  AND e.booked_at >= v.since AND e.booked_at < $3";
    rows.fetch(tx, text, &[workspace.0.into(), mode.as_i64().into(), micros(cut_off).into()]).await
}

/// A payment that earned nothing.
#[derive(Debug, FromRow)]
pub struct RefusedPayment {
    /// `pay_…`
    pub payment_id: String,
    /// Who would have earned.
    pub partner_key: String,
    /// Under which program.
    pub program_key: Option<String>,
    /// Of what.
    pub currency: String,
    /// What was paid, minor units.
    pub paid: i64,
    /// When, in microseconds.
    pub paid_at: i64,
    /// The reason code.
    pub code: String,
    /// What was sold.
    pub product: Option<String>,
}

/// The payments of some partners within a period that earned nothing. Those that were refunded or taken back by a
/// dispute had their entries, and are none of these.
pub async fn refused(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    partners: &[String],
    (start, end): (Time, Time),
) -> Result<Vec<RefusedPayment>, StoreError> {
    let text = "SELECT p.payment_id, p.partner_key, p.program_key, p.currency, p.paid, p.paid_at, p.code, p.product
                FROM v CROSS JOIN payments p
                WHERE p.workspace_id = $1 AND p.mode = $2 AND p.partner_key = v.partner_key
                  AND p.paid_at >= $3 AND p.paid_at < $4 AND p.merged_into IS NULL
                  AND p.code NOT IN ('credited', 'refunded', 'disputed')";
    Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str))
        .fetch(tx, text, &[workspace.0.into(), mode.as_i64().into(), micros(start).into(), micros(end).into()])
        .await
}

/// A batch's payouts to some partners.
pub async fn payouts_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    partners: &[String],
) -> Result<Vec<Payout>, StoreError> {
    let text = "SELECT p.*
                FROM payouts p
                WHERE p.workspace_id = $1 AND p.batch_id = $2 AND p.partner_key $in(partner_key)";
    Rows::texts(&[("partner_key", Text)], partners.iter().map(String::as_str))
        .fetch(tx, text, &[workspace.0.into(), batch_id.into()])
        .await
}

/// What is selected of a statement without its document.
const FIGURES: &str = "SELECT statement_id, mode, batch_id, month, partner_key, currency, opening, earned, reversed, \
                       adjusted, paid, closing, line_count, cut_off_at, hash, previous_hash, created_at \
                       FROM statements WHERE workspace_id =";

/// A statement by its id.
pub async fn by_id(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    statement_id: &str,
) -> Result<Option<StatementRow>, StoreError> {
    let mut listing = Listing::of(FIGURES, workspace);
    listing.and_cell("statement_id =", statement_id);
    listing.and_cell("mode =", mode.as_i64());
    Ok(listing.fetch(tx, "statement_id", 1).await?.pop())
}

/// A statement with all its lines, proved to be as it was frozen.
pub async fn frozen(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    statement_id: &str,
) -> Result<Option<Frozen>, StoreError> {
    let found: Option<(String, Vec<u8>)> = on!(tx, conn => {
        sqlx::query_as("SELECT hash, document FROM statements WHERE workspace_id = $1 AND statement_id = $2 AND mode = $3")
            .bind(workspace.0)
            .bind(statement_id)
            .bind(mode.as_i64())
            .fetch_optional(conn)
            .await?
    });
    found.map(|(hash, document)| read(&hash, &document)).transpose()
}

/// Which statements are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Of this batch.
    pub batch_id: Option<&'a str>,
    /// Of this partner.
    pub partner: Option<&'a str>,
    /// Behind this one.
    pub behind: Option<&'a StatementRow>,
}

/// A page of statements, in order of partner, currency and month.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<StatementRow>, StoreError> {
    let mut listing = Listing::of(FIGURES, workspace);
    if wanted.batch_id.is_none() {
        listing.and_cell("mode =", mode.as_i64());
    }
    listing.and_some("batch_id =", wanted.batch_id);
    listing.and_some("partner_key =", wanted.partner);
    let behind = wanted.behind;
    // A batch has one month.
    let (order, columns) = match wanted.batch_id {
        Some(_) => ("partner_key, currency", "(partner_key, currency)"),
        None => ("partner_key, currency, month", "(partner_key, currency, month)"),
    };
    if let Some(StatementRow { partner_key, currency, month, .. }) = behind {
        match wanted.batch_id {
            Some(_) => listing.after(columns, [partner_key.into(), currency.into()]),
            None => listing.after(columns, [partner_key.into(), currency.into(), month.into()]),
        }
    }
    listing.fetch(tx, order, limit).await
}

/// A page of statements with all that is stored of them, in order of partner, currency and month, for the proof:
/// `(figures, document)`, the document none where its bytes are damaged.
pub async fn stored(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    partner: &str,
) -> Result<Vec<(StatementRow, Result<Frozen, String>)>, StoreError> {
    #[derive(FromRow)]
    struct Stored {
        #[sqlx(flatten)]
        row: StatementRow,
        document: Vec<u8>,
    }
    let found: Vec<Stored> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT * FROM statements
             WHERE workspace_id = $1 AND mode = $2 AND partner_key = $3
             ORDER BY currency, month",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(partner)
        .fetch_all(conn)
        .await?
    });
    Ok(found
        .into_iter()
        .map(|Stored { row, document }| {
            let frozen =
                unpack(&document).and_then(|document| Frozen::of_document(document).map_err(|error| error.to_string()));
            (row, frozen)
        })
        .collect())
}

/// The next partner that has statements, after `after`.
pub async fn next_partner(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    after: &str,
) -> Result<Option<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT partner_key FROM statements
             WHERE workspace_id = $1 AND mode = $2 AND partner_key > $3
             ORDER BY partner_key
             LIMIT 1",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(after)
        .fetch_optional(conn)
        .await?
    }))
}
