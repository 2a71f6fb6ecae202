//! Transfers: who is paying which payout (a lease), and every try at it, written before the call.

use serde_json::Value;
use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::{Column, Rows};
use super::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::on;

/// A payout that this process pays now, until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Claimed {
    /// `po_…`
    pub payout_id: String,
    /// Its batch.
    pub batch_id: String,
    /// The batch's month.
    pub month: String,
    /// Who is paid.
    pub partner_key: String,
    /// `acct_…`
    pub destination: Option<String>,
    /// What leaves, in minor units of [`Claimed::currency`].
    pub paid_amount: i64,
    paid_currency: String,
    ledger_currency: String,
    method: String,
    /// What the partner sees.
    pub reference: String,
    /// The statement that says what it is made of.
    pub statement_id: Option<String>,
    status: String,
    /// Which try this is: 1, 2, …
    pub attempt: i64,
    /// The key under which Stripe does it once.
    pub idempotency_key: Option<String>,
    /// How often Stripe was asked about it before.
    pub tries: Option<i64>,
    started_at: Option<i64>,
    approved_at: Option<i64>,
}

impl Claimed {
    /// In what it leaves.
    pub fn currency(&self) -> Result<Currency, StoreError> {
        self.paid_currency.parse().map_err(|error: crate::domain::currency::BadCurrency| StoreError::Unreadable {
            what: "payout",
            key: self.payout_id.clone(),
            why: error.to_string(),
        })
    }

    /// Whether an earlier claim began this attempt: Stripe may know of it.
    pub fn is_resumed(&self) -> bool {
        self.status == "sending"
    }

    /// When Stripe could first have heard of this attempt.
    pub fn started_at(&self) -> Time {
        from_micros(self.started_at.unwrap_or_default())
    }

    /// Since when its batch could be paid.
    pub fn approved_at(&self) -> Time {
        from_micros(self.approved_at.unwrap_or_default())
    }

    /// The key.
    pub fn key(&self) -> &str {
        self.idempotency_key.as_deref().unwrap_or_default()
    }
}

/// Who claims, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Lease<'a> {
    /// A name that no other process has.
    pub by: &'a str,
    /// From now on.
    pub now: Time,
    /// Somebody else may take over from then on.
    pub until: Time,
}

/// Where a claim goes on: behind this partner, currency and method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(String, String, String);

/// Claims up to `limit` payouts of a batch that is to be paid now: those that nobody has begun, and those whose lease
/// has ended. Each has an open attempt afterwards.
pub async fn claim(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    after: &Cursor,
    lease: &Lease<'_>,
    limit: i64,
) -> Result<(Vec<Claimed>, Option<Cursor>), StoreError> {
    let text = format!(
        "SELECT p.payout_id, p.batch_id, b.month, p.partner_key, p.destination, p.paid_amount, p.paid_currency,
                p.currency AS ledger_currency, p.method, p.reference, p.status, p.attempt, s.statement_id,
                a.idempotency_key, a.tries, a.started_at, b.approved_at
         FROM payouts p
         JOIN batches b ON b.workspace_id = $1 AND b.batch_id = p.batch_id
         LEFT JOIN statements s
                ON s.workspace_id = $1 AND s.batch_id = p.batch_id AND s.partner_key = p.partner_key
               AND s.currency = p.currency
         LEFT JOIN transfer_attempts a
                ON a.workspace_id = $1 AND a.payout_id = p.payout_id AND a.attempt = p.attempt AND a.status = 'open'
         WHERE p.workspace_id = $1 AND p.batch_id = $2 AND (p.partner_key, p.currency, p.method) > ($3, $4, $5)
           AND p.method = 'stripe' AND p.file_id IS NULL AND p.status IN ('ready', 'sending')
           AND (p.leased_until IS NULL OR p.leased_until <= $6)
           AND b.status IN ('approved', 'paying') AND b.pay_asked_at IS NOT NULL AND b.paused IS NULL
         ORDER BY p.partner_key, p.currency, p.method
         LIMIT $7{}",
        match tx.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE OF p SKIP LOCKED",
        }
    );
    let mut claimed: Vec<Claimed> = on!(tx, conn => {
        sqlx::query_as(sqlx::AssertSqlSafe(text))
            .bind(workspace.0)
            .bind(batch_id)
            .bind(&after.0)
            .bind(&after.1)
            .bind(&after.2)
            .bind(micros(lease.now))
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    let cursor =
        claimed.last().map(|last| Cursor(last.partner_key.clone(), last.ledger_currency.clone(), last.method.clone()));
    begin(tx, workspace, lease, &mut claimed).await?;
    Ok((claimed, cursor))
}

const ATTEMPT: &[(&str, Column)] = &[("payout_id", Text), ("attempt", Int), ("idempotency_key", Text)];

/// Writes the attempts down that begin, and that those of old are tried once more.
async fn begin(
    tx: &mut Tx,
    workspace: WorkspaceId,
    lease: &Lease<'_>,
    claimed: &mut [Claimed],
) -> Result<(), StoreError> {
    for claimed in claimed.iter_mut() {
        // Where an attempt is open it goes on, whatever the payout says.
        if claimed.idempotency_key.is_some() {
            "sending".clone_into(&mut claimed.status);
            continue;
        }
        claimed.attempt = claimed.attempt.checked_add(1).ok_or(StoreError::Conflict)?;
        claimed.idempotency_key = Some(format!("{}/{}", claimed.payout_id, claimed.attempt));
        claimed.started_at = Some(micros(lease.now));
        "ready".clone_into(&mut claimed.status);
    }
    let rows = |wanted: bool| {
        let mut rows = Rows::new(ATTEMPT);
        for claimed in claimed.iter().filter(|claimed| claimed.is_resumed() == wanted) {
            rows.push([(&claimed.payout_id).into(), claimed.attempt.into(), claimed.key().into()]);
        }
        rows
    };
    let (now, until) = (micros(lease.now), micros(lease.until));
    let text = "INSERT INTO transfer_attempts (workspace_id, payout_id, attempt, idempotency_key, status, tries,
                                               started_at, tried_at)
                SELECT $1, payout_id, attempt, idempotency_key, 'open', 1, $2, $2
                FROM v";
    rows(false).execute(tx, text, &[workspace.0.into(), now.into()]).await?;
    let text = "UPDATE transfer_attempts SET tries = tries + 1, tried_at = $2
                WHERE workspace_id = $1 AND payout_id $in(payout_id) AND status = 'open'";
    rows(true).execute(tx, text, &[workspace.0.into(), now.into()]).await?;
    let mut all = Rows::new(ATTEMPT);
    for claimed in claimed.iter() {
        all.push([(&claimed.payout_id).into(), claimed.attempt.into(), claimed.key().into()]);
    }
    let text = "UPDATE payouts
                SET status = 'sending', leased_by = $2, leased_until = $3,
                    attempt = (SELECT v.attempt FROM v WHERE v.payout_id = payouts.payout_id)
                WHERE workspace_id = $1 AND payout_id $in(payout_id)";
    all.execute(tx, text, &[workspace.0.into(), lease.by.into(), until.into()]).await?;
    Ok(())
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The transfer exists.
    Done,
    /// Stripe refused it, and a look-up showed that there is none.
    Refused,
    /// Its key has expired, and a look-up showed that there is none.
    Expired,
    /// Stripe was never asked.
    Unsent,
}

impl Ended {
    /// As in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Unsent => "unsent",
        }
    }
}

/// Closes an open attempt; false if it is not open any more.
pub async fn close(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (payout_id, attempt): (&str, i64),
    ended: Ended,
    (code, message): (Option<&str>, Option<&str>),
    now: Time,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE transfer_attempts SET status = $4, code = $5, message = $6, ended_at = $7
             WHERE workspace_id = $1 AND payout_id = $2 AND attempt = $3 AND status = 'open'",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .bind(attempt)
        .bind(ended.as_str())
        .bind(code)
        .bind(message)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Closes whatever attempt of a payout is open: its transfer was found by another way.
pub async fn close_open(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE transfer_attempts SET status = 'done', ended_at = $3
             WHERE workspace_id = $1 AND payout_id = $2 AND status = 'open'",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Holds a payout whose lease is still one's own, until the transaction ends; false where somebody else may have it.
/// Only who holds it may conclude that nothing was paid.
pub async fn still_leased(
    tx: &mut Tx,
    workspace: WorkspaceId,
    claimed: &Claimed,
    by: &str,
    now: Time,
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts SET leased_by = $4
             WHERE workspace_id = $1 AND payout_id = $2 AND attempt = $3 AND status = 'sending'
               AND leased_by = $4 AND leased_until > $5",
        )
        .bind(workspace.0)
        .bind(&claimed.payout_id)
        .bind(claimed.attempt)
        .bind(by)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Whether a payout is one's own until a moment.
pub async fn is_leased_until(
    tx: &mut Tx,
    workspace: WorkspaceId,
    claimed: &Claimed,
    by: &str,
    until: Time,
) -> Result<bool, StoreError> {
    let found: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT leased_until FROM payouts
             WHERE workspace_id = $1 AND payout_id = $2 AND attempt = $3 AND status = 'sending'
               AND leased_by = $4 AND leased_until >= $5",
        )
        .bind(workspace.0)
        .bind(&claimed.payout_id)
        .bind(claimed.attempt)
        .bind(by)
        .bind(micros(until))
        .fetch_optional(conn)
        .await?
    });
    Ok(found.is_some())
}

/// Gives a payout back whose attempt is closed and paid nothing: the next claim begins a new one.
pub async fn make_ready(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts SET status = 'ready', leased_by = NULL, leased_until = NULL
             WHERE workspace_id = $1 AND payout_id = $2 AND status = 'sending'",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Lets go of a payout whose attempt stays open: nobody tries it before `not_before`.
pub async fn let_go(
    tx: &mut Tx,
    workspace: WorkspaceId,
    claimed: &Claimed,
    by: &str,
    not_before: Time,
    why: &str,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE transfer_attempts SET message = $4
             WHERE workspace_id = $1 AND payout_id = $2 AND attempt = $3 AND status = 'open'",
        )
        .bind(workspace.0)
        .bind(&claimed.payout_id)
        .bind(claimed.attempt)
        .bind(why)
        .execute(conn)
        .await?;
    });
    on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts SET leased_by = NULL, leased_until = $4
             WHERE workspace_id = $1 AND payout_id = $2 AND leased_by = $3 AND status = 'sending'",
        )
        .bind(workspace.0)
        .bind(&claimed.payout_id)
        .bind(by)
        .bind(micros(not_before))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Lets whatever of a batch waits for its next try be tried now: whoever asks wants to know now.
pub async fn wait_no_longer(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE payouts SET leased_until = $3
             WHERE workspace_id = $1 AND batch_id = $2 AND method = 'stripe' AND status = 'sending'
               AND leased_by IS NULL AND leased_until > $3",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Lets a batch stand still and says why; one that is paid, or that stands still already, is left as it is.
pub async fn pause(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str, why: &Value) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE batches SET paused = $3
             WHERE workspace_id = $1 AND batch_id = $2 AND status IN ('approved', 'paying') AND paused IS NULL",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(why.to_string())
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Says more exactly why a batch stands still, as long as it does for the reason known.
pub async fn say_paused(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    (known, why): (&Value, &Value),
) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query("UPDATE batches SET paused = $4 WHERE workspace_id = $1 AND batch_id = $2 AND paused = $3")
            .bind(workspace.0)
            .bind(batch_id)
            .bind(known.to_string())
            .bind(why.to_string())
            .execute(conn)
            .await?
            .rows_affected()
    });
    Ok(changed == 1)
}

/// Why a batch stands still.
pub async fn paused(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Option<Value>, StoreError> {
    let text: Option<Option<String>> = on!(tx, conn => {
        sqlx::query_scalar("SELECT paused FROM batches WHERE workspace_id = $1 AND batch_id = $2")
            .bind(workspace.0)
            .bind(batch_id)
            .fetch_optional(conn)
            .await?
    });
    Ok(text.flatten().and_then(|text| serde_json::from_str(&text).ok()))
}

/// The batches that somebody asked to pay and that do not stand still.
pub async fn asked(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(String, Mode)>, StoreError> {
    let rows: Vec<(String, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT batch_id, mode FROM batches
             WHERE workspace_id = $1 AND pay_asked_at IS NOT NULL AND paused IS NULL AND status IN ('approved', 'paying')
             ORDER BY month",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    });
    Ok(rows.into_iter().map(|(batch, mode)| (batch, Mode::from_i64(mode))).collect())
}

/// What of a batch is paid by transfers and is as it says.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Standing {
    /// `ready`, `sending`, `settled`, …
    pub status: String,
    /// In what it leaves.
    pub currency: String,
    /// How many payouts.
    pub count: i64,
    /// Minor units of [`Standing::currency`].
    pub sum: i64,
}

/// How a batch's transfers stand, by status and currency.
pub async fn standing(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Vec<Standing>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT status, paid_currency AS currency, COUNT(*) AS count, CAST(SUM(paid_amount) AS BIGINT) AS sum
             FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2 AND method = 'stripe' AND file_id IS NULL
             GROUP BY status, paid_currency
             ORDER BY status, paid_currency",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// The earliest moment at which something of a batch that is open can be claimed.
pub async fn next_due(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Option<Time>, StoreError> {
    let due: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT MIN(COALESCE(leased_until, 0)) FROM payouts
             WHERE workspace_id = $1 AND batch_id = $2 AND method = 'stripe' AND file_id IS NULL
               AND status IN ('ready', 'sending')",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_one(conn)
        .await?
    });
    Ok(due.map(from_micros))
}

/// A try at paying a payout.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Attempt {
    /// 1, 2, …
    pub attempt: i64,
    /// The key under which Stripe does it once.
    pub idempotency_key: String,
    /// `open`, `done`, `refused`, `expired` or `unsent`.
    pub status: String,
    /// How often Stripe was asked.
    pub tries: i64,
    started_at: i64,
    tried_at: i64,
    ended_at: Option<i64>,
    /// Why it was refused.
    pub code: Option<String>,
    /// The same in words, or why its outcome is not known yet.
    pub message: Option<String>,
}

impl Attempt {
    /// When it began.
    pub fn started_at(&self) -> Time {
        from_micros(self.started_at)
    }

    /// When it was tried last.
    pub fn tried_at(&self) -> Time {
        from_micros(self.tried_at)
    }

    /// When its outcome was known.
    pub fn ended_at(&self) -> Option<Time> {
        self.ended_at.map(from_micros)
    }
}

/// Every try at paying a payout, in order.
pub async fn attempts(tx: &mut Tx, workspace: WorkspaceId, payout_id: &str) -> Result<Vec<Attempt>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT attempt, idempotency_key, status, tries, started_at, tried_at, ended_at, code, message
             FROM transfer_attempts
             WHERE workspace_id = $1 AND payout_id = $2
             ORDER BY attempt",
        )
        .bind(workspace.0)
        .bind(payout_id)
        .fetch_all(conn)
        .await?
    }))
}
