//! Batches: a month's payouts, from the close to the last one paid.

use serde_json::Value;
use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
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
    /// The position in the log of changes whose terms closed it.
    pub terms_seq: i64,
    /// The batch before it, whose rolled-over balances it opens with.
    pub before_id: Option<String>,
    /// While it is being closed: the last partner whose payouts it has.
    pub closed_up_to: Option<String>,
    /// `closing`, `draft`, `approved`, `paying` or `paid`.
    pub status: String,
    closed_at: i64,
    /// Who closed it.
    pub closed_by: String,
    approved_at: Option<i64>,
    /// Who approved it.
    pub approved_by: Option<String>,
    pay_asked_at: Option<i64>,
    paused: Option<String>,
    paid_at: Option<i64>,
}

/// What a new batch is.
#[derive(Debug, Clone)]
pub struct NewBatch<'a> {
    /// `bat_…`
    pub batch_id: String,
    /// Which book.
    pub mode: Mode,
    /// `2026-10`
    pub month: String,
    /// The month's first moment, and the first after it.
    pub period: (Time, Time),
    /// What was booked from then on waits for the next batch.
    pub cut_off: Time,
    /// The position in the log of changes whose terms close it.
    pub terms_seq: i64,
    /// The batch before it.
    pub before_id: Option<String>,
    /// When it is closed.
    pub closed_at: Time,
    /// Who closes it.
    pub closed_by: &'a str,
}

impl Batch {
    /// As in the API and on the command line.
    pub fn json(&self) -> Value {
        serde_json::json!({
            "batch_id": self.batch_id,
            "mode": self.mode().as_str(),
            "month": self.month,
            "period_start": self.period_start(),
            "period_end": self.period_end(),
            "cut_off_at": self.cut_off(),
            "status": self.status,
            "closed_at": self.closed_at(),
            "closed_by": self.closed_by,
            "approved_at": self.approved_at(),
            "approved_by": self.approved_by,
            "paused": self.paused(),
            "paid_at": self.paid_at(),
        })
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

    /// When it was approved: its payouts are booked since.
    pub fn approved_at(&self) -> Option<Time> {
        self.approved_at.map(from_micros)
    }

    /// When somebody asked to pay it by Stripe.
    pub fn pay_asked_at(&self) -> Option<Time> {
        self.pay_asked_at.map(from_micros)
    }

    /// Why paying stands still: `{"code": …, …}`.
    pub fn paused(&self) -> Option<Value> {
        self.paused.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// When its last payout was paid.
    pub fn paid_at(&self) -> Option<Time> {
        self.paid_at.map(from_micros)
    }

    /// Whether it still takes partners in.
    pub fn is_closing(&self) -> bool {
        self.status == "closing"
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
pub async fn by_id(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Option<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND batch_id = $2")
            .bind(workspace.0)
            .bind(batch_id)
            .fetch_optional(conn)
            .await?
    }))
}

/// Every batch of a book, the latest month first.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND mode = $2 ORDER BY month DESC")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_all(conn)
            .await?
    }))
}

/// Every batch of a status, in both books, the oldest month first.
pub async fn in_status(tx: &mut Tx, workspace: WorkspaceId, status: &str) -> Result<Vec<Batch>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM batches WHERE workspace_id = $1 AND status = $2 ORDER BY month, mode")
            .bind(workspace.0)
            .bind(status)
            .fetch_all(conn)
            .await?
    }))
}

/// Opens a month's batch, as `closing`; false if it is there already.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, batch: &NewBatch<'_>) -> Result<bool, StoreError> {
    let inserted = on!(tx, conn => {
        sqlx::query(
            "INSERT INTO batches (workspace_id, batch_id, mode, month, period_start_at, period_end_at, cut_off_at,
                                  terms_seq, before_id, closed_up_to, status, closed_at, closed_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', 'closing', $10, $11)
             ON CONFLICT (workspace_id, mode, month) DO NOTHING",
        )
        .bind(workspace.0)
        .bind(&batch.batch_id)
        .bind(batch.mode.as_i64())
        .bind(&batch.month)
        .bind(micros(batch.period.0))
        .bind(micros(batch.period.1))
        .bind(micros(batch.cut_off))
        .bind(batch.terms_seq)
        .bind(&batch.before_id)
        .bind(micros(batch.closed_at))
        .bind(batch.closed_by)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(inserted == 1)
}

/// Moves the close of a batch on from one partner to another; false if somebody else did. Held until the end of the
/// transaction.
pub async fn close_up_to(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    from: &str,
    to: &str,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET closed_up_to = $4
             WHERE workspace_id = $1 AND batch_id = $2 AND status = 'closing' AND closed_up_to = $3",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(from)
        .bind(to)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Ends the close of a batch that came up to `from`; false if somebody else did.
pub async fn end_close(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str, from: &str) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET closed_up_to = NULL, status = 'draft'
             WHERE workspace_id = $1 AND batch_id = $2 AND status = 'closing' AND closed_up_to = $3",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(from)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Marks a draft as approved; false if it was no draft (any more).
pub async fn approve(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    author: &str,
    now: Time,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET status = 'approved', approved_at = $3, approved_by = $4
             WHERE workspace_id = $1 AND batch_id = $2 AND status = 'draft'",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(micros(now))
        .bind(author)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Notes that somebody asked to pay an approved batch by Stripe: whatever it stood still for is tried again. False if it
/// is not approved, or paid already.
pub async fn ask_to_pay(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str, now: Time) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET status = 'paying', pay_asked_at = $3, paused = NULL
             WHERE workspace_id = $1 AND batch_id = $2 AND status IN ('approved', 'paying')",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Marks a batch as being paid: some of its payouts are on their way, or settled.
pub async fn begin_paying(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET status = 'paying' WHERE workspace_id = $1 AND batch_id = $2 AND status = 'approved'",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Marks an approved batch as paid where none of its payouts is open any more; tells whether it did.
pub async fn end_paying(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str, now: Time) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET status = 'paid', paid_at = $3, paused = NULL
             WHERE workspace_id = $1 AND batch_id = $2 AND status IN ('approved', 'paying')
               AND NOT EXISTS (SELECT 1 FROM payouts
                               WHERE workspace_id = $1 AND batch_id = $2 AND status IN ('ready', 'sending', 'sent'))",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}
