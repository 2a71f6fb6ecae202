//! The outbox: mails, written before they are sent, and what became of each. A row holds no text: that is made when it
//! is sent, of what is frozen.
//!
//! `noted → queued → sending → sent`, or `refused`, or `canceled`. A note says that something happened of which somebody
//! may want to hear, in the transaction in which it happened; whether it becomes a mail is decided a moment later.

use std::fmt::Write as _;

use sqlx::FromRow;

use super::db::Engine;
use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// What a mail says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A partner's statement; the object is a statement.
    Statement,
    /// A payout reached its partner; the object is a payout.
    PayoutSent,
    /// A payout failed, came back, or waits for its partner; the object is a payout.
    ActionNeeded,
    /// The month's summary for the owner; the object is a batch.
    MonthEnd,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Statement, Self::PayoutSent, Self::ActionNeeded, Self::MonthEnd];

    /// As in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::PayoutSent => "payout_sent",
            Self::ActionNeeded => "action_needed",
            Self::MonthEnd => "month_end",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of mail"))
    }
}

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It waits for its (next) try.
    Queued,
    /// Somebody is sending it.
    Sending,
    /// The mail server took it.
    Sent,
    /// It will not be sent: refused for good, or too often.
    Refused,
    /// Somebody called it off.
    Canceled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sending, Self::Sent, Self::Refused, Self::Canceled];

    /// As in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Canceled => "canceled",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| {
            format!("{text:?} is no status of a mail: expected queued, sending, sent, refused or canceled")
        })
    }
}

/// A mail to queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    /// `mail_…`
    pub mail_id: String,
    /// What makes it once: `statement/stm_…`.
    pub natural_key: String,
    /// What it says.
    pub kind: Kind,
    /// Of what it speaks.
    pub object_id: String,
    /// Of which batch that is.
    pub batch_id: Option<String>,
    /// To which partner it goes; none for the owner's.
    pub partner_key: Option<String>,
    /// The address that it goes to.
    pub recipient: String,
    /// `Message-ID`, with its angle brackets: the same at each try.
    pub message_id: String,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `mail_…`
    pub mail_id: String,
    /// Of which book.
    pub mode: Mode,
    /// What it says.
    pub kind: Kind,
    /// Of what it speaks.
    pub object_id: String,
    /// Of which batch that is.
    pub batch_id: Option<String>,
    /// To which partner it goes; none for the owner's.
    pub partner_key: Option<String>,
    /// The address that it goes to.
    pub recipient: String,
    /// `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// What became of it.
    pub status: Status,
    /// How often it was tried.
    pub tries: i64,
    /// When it is tried next; while it is being sent, when somebody else may.
    pub next_try_at: Option<Time>,
    /// Why the last try failed, in the server's words.
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: Time,
    /// When the mail server took it.
    pub sent_at: Option<Time>,
}

#[derive(FromRow)]
struct Row {
    mail_id: String,
    mode: i64,
    kind: String,
    object_id: String,
    batch_id: Option<String>,
    partner_key: Option<String>,
    recipient: String,
    message_id: String,
    status: String,
    tries: i64,
    next_try_at: Option<i64>,
    error: Option<String>,
    created_at: i64,
    sent_at: Option<i64>,
}

const COLUMNS: &str = "mail_id, mode, kind, object_id, batch_id, partner_key, recipient, message_id, status, tries, \
                       next_try_at, error, created_at, sent_at";

impl TryFrom<Row> for Mail {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let damaged = |why: String| StoreError::Unreadable { what: "mail", key: row.mail_id.clone(), why };
        Ok(Self {
            mode: Mode::from_i64(row.mode),
            kind: row.kind.parse().map_err(damaged)?,
            status: row.status.parse().map_err(damaged)?,
            object_id: row.object_id,
            batch_id: row.batch_id,
            partner_key: row.partner_key,
            recipient: row.recipient,
            message_id: row.message_id,
            tries: row.tries,
            next_try_at: row.next_try_at.map(from_micros),
            error: row.error,
            created_at: from_micros(row.created_at),
            sent_at: row.sent_at.map(from_micros),
            mail_id: row.mail_id,
        })
    }
}

/// Queues mails that were not queued before, due at once; the ids of those that are new.
pub async fn queue(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    mails: &[NewMail],
    now: Time,
) -> Result<Vec<String>, StoreError> {
    let mut rows = Rows::new(&[
        ("mail_id", Text),
        ("natural_key", Text),
        ("kind", Text),
        ("object_id", Text),
        ("batch_id", Text),
        ("partner_key", Text),
        ("recipient", Text),
        ("message_id", Text),
    ]);
    for mail in mails {
        rows.push([
            (&mail.mail_id).into(),
            (&mail.natural_key).into(),
            mail.kind.as_str().into(),
            (&mail.object_id).into(),
            mail.batch_id.as_deref().into(),
            mail.partner_key.as_deref().into(),
            (&mail.recipient).into(),
            (&mail.message_id).into(),
        ]);
    }
    let text = "INSERT INTO mails (workspace_id, mode, mail_id, natural_key, kind, object_id, batch_id, partner_key,
                                   recipient, message_id, status, tries, next_try_at, created_at)
                SELECT $1, $2, mail_id, natural_key, kind, object_id, batch_id, partner_key,
                       recipient, message_id, 'queued', 0, $3, $3
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, natural_key) DO NOTHING
                RETURNING mail_id";
    let args = [workspace.0.into(), mode.as_i64().into(), micros(now).into()];
    let queued: Vec<(String,)> = rows.fetch(tx, text, &args).await?;
    Ok(queued.into_iter().map(|(id,)| id).collect())
}

/// What happened, of which somebody may want to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `mail_…`
    pub mail_id: String,
    /// In which book.
    pub mode: Mode,
    /// What a mail about it would say.
    pub kind: Kind,
    /// To what it happened.
    pub object_id: String,
    /// When.
    pub at: Time,
}

/// Notes what happened; once for each kind and object at a time.
pub async fn note(tx: &mut Tx, workspace: WorkspaceId, notes: &[Note]) -> Result<(), StoreError> {
    for mode in Mode::ALL {
        let mut rows = Rows::new(&[("mail_id", Text), ("natural_key", Text), ("kind", Text), ("object_id", Text)]);
        for note in notes.iter().filter(|note| note.mode == mode) {
            let key = format!("note/{}/{}", note.kind.as_str(), note.object_id);
            rows.push([(&note.mail_id).into(), key.into(), note.kind.as_str().into(), (&note.object_id).into()]);
        }
        let Some(at) = notes.iter().map(|note| note.at).max().filter(|_| !rows.is_empty()) else { continue };
        let text =
            "INSERT INTO mails (workspace_id, mode, mail_id, natural_key, kind, object_id, recipient, message_id,
                                       status, tries, created_at)
                    SELECT $1, $2, mail_id, natural_key, kind, object_id, '', '', 'noted', 0, $3
                    FROM v
                    WHERE TRUE
                    ON CONFLICT (workspace_id, natural_key) DO NOTHING";
        rows.execute(tx, text, &[workspace.0.into(), mode.as_i64().into(), micros(at).into()]).await?;
    }
    Ok(())
}

/// Takes the oldest notes off: whoever takes them decides in the same transaction what becomes of them.
pub async fn take_notes(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, limit: i64) -> Result<Vec<Note>, StoreError> {
    let text = match tx.engine() {
        Engine::Sqlite => {
            "SELECT mail_id, kind, object_id, created_at
             FROM mails
             WHERE workspace_id = $1 AND mode = $2 AND status = 'noted'
             ORDER BY mail_id
             LIMIT $3"
        }
        Engine::Postgres => {
            "SELECT mail_id, kind, object_id, created_at
             FROM mails
             WHERE workspace_id = $1 AND mode = $2 AND status = 'noted'
             ORDER BY mail_id
             LIMIT $3
             FOR UPDATE SKIP LOCKED"
        }
    };
    let rows: Vec<(String, String, String, i64)> = on!(tx, conn => {
        sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).bind(limit).fetch_all(conn).await?
    });
    let mut notes = Vec::with_capacity(rows.len());
    for (mail_id, kind, object_id, at) in rows {
        let kind = kind.parse().map_err(|why| StoreError::Unreadable { what: "note", key: mail_id.clone(), why })?;
        notes.push(Note { mail_id, mode, kind, object_id, at: from_micros(at) });
    }
    let taken = Rows::texts(&[("mail_id", Text)], notes.iter().map(|note| note.mail_id.as_str()));
    let text = "DELETE FROM mails WHERE workspace_id = $1 AND status = 'noted' AND mail_id $in(mail_id)";
    taken.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(notes)
}

/// Whether there are notes.
pub async fn any_notes(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<bool, StoreError> {
    let one: Option<String> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT mail_id FROM mails WHERE workspace_id = $1 AND mode = $2 AND status = 'noted' LIMIT 1",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .fetch_optional(conn)
        .await?
    });
    Ok(one.is_some())
}

/// Whether a mail is due.
pub async fn any_due(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<bool, StoreError> {
    let one: Option<String> = on!(tx, conn => {
        sqlx::query_scalar("SELECT mail_id FROM mails WHERE workspace_id = $1 AND next_try_at <= $2 LIMIT 1")
            .bind(workspace.0)
            .bind(micros(now))
            .fetch_optional(conn)
            .await?
    });
    Ok(one.is_some())
}

/// The statements of a batch and their partners, in order of the partners.
pub async fn statements(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT statement_id, partner_key
             FROM statements
             WHERE workspace_id = $1 AND batch_id = $2
             ORDER BY partner_key, currency",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// Takes the mail that has been due the longest, until `until`: `by` alone may send it.
pub async fn claim(
    tx: &mut Tx,
    workspace: WorkspaceId,
    by: &str,
    now: Time,
    until: Time,
) -> Result<Option<Mail>, StoreError> {
    let text = match tx.engine() {
        Engine::Sqlite => {
            "SELECT mail_id FROM mails
             WHERE workspace_id = $1 AND next_try_at <= $2
             ORDER BY next_try_at, mail_id
             LIMIT 1"
        }
        Engine::Postgres => {
            "SELECT mail_id FROM mails
             WHERE workspace_id = $1 AND next_try_at <= $2
             ORDER BY next_try_at, mail_id
             LIMIT 1
             FOR UPDATE SKIP LOCKED"
        }
    };
    let due: Option<String> = on!(tx, conn => {
        sqlx::query_scalar(text).bind(workspace.0).bind(micros(now)).fetch_optional(conn).await?
    });
    let Some(mail_id) = due else { return Ok(None) };
    let text = format!(
        "UPDATE mails SET status = 'sending', tries = tries + 1, next_try_at = $3, leased_by = $4
         WHERE workspace_id = $1 AND mail_id = $2
         RETURNING {COLUMNS}"
    );
    let row: Row = on!(tx, conn => {
        sqlx::query_as(sqlx::AssertSqlSafe(text))
            .bind(workspace.0)
            .bind(&mail_id)
            .bind(micros(until))
            .bind(by)
            .fetch_one(conn)
            .await?
    });
    Mail::try_from(row).map(Some)
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The mail server took it.
    Sent,
    /// It is tried again at this moment, for this reason.
    Later(Time, String),
    /// It is given up, for this reason.
    Refused(String),
    /// It was not tried at all: something is wrong with the server, or there was no time left.
    Untried(Option<String>),
}

/// Writes down what the try of a mail came to; false where it is no longer `by`'s, and nothing was written.
pub async fn end(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mail_id: &str,
    by: &str,
    ended: &Ended,
    now: Time,
) -> Result<bool, StoreError> {
    let (status, next, error, sent_at, untried) = match ended {
        Ended::Sent => ("sent", None, None, Some(now), 0_i64),
        Ended::Later(at, why) => ("queued", Some(*at), Some(why.as_str()), None, 0),
        Ended::Refused(why) => ("refused", None, Some(why.as_str()), None, 0),
        Ended::Untried(why) => ("queued", Some(now), why.as_deref(), None, 1),
    };
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE mails
             SET status = $4, next_try_at = $5, error = $6, sent_at = $7, tries = tries - $8, leased_by = NULL
             WHERE workspace_id = $1 AND mail_id = $2 AND leased_by = $3 AND status = 'sending'",
        )
        .bind(workspace.0)
        .bind(mail_id)
        .bind(by)
        .bind(status)
        .bind(next.map(micros))
        .bind(error)
        .bind(sent_at.map(micros))
        .bind(untried)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Makes a mail that waits, was refused or called off due at once, as if it were new; false where it is none of these.
pub async fn retry(tx: &mut Tx, workspace: WorkspaceId, mail_id: &str, now: Time) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE mails SET status = 'queued', tries = 0, next_try_at = $3
             WHERE workspace_id = $1 AND mail_id = $2 AND status IN ('queued', 'refused', 'canceled')",
        )
        .bind(workspace.0)
        .bind(mail_id)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Calls a mail off that waits; false where it does not.
pub async fn cancel(tx: &mut Tx, workspace: WorkspaceId, mail_id: &str) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE mails SET status = 'canceled', next_try_at = NULL
             WHERE workspace_id = $1 AND mail_id = $2 AND status = 'queued'",
        )
        .bind(workspace.0)
        .bind(mail_id)
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// One mail.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, mail_id: &str) -> Result<Option<Mail>, StoreError> {
    let text = format!("SELECT {COLUMNS} FROM mails WHERE workspace_id = $1 AND mail_id = $2 AND status <> 'noted'");
    let row: Option<Row> = on!(tx, conn => {
        sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(workspace.0).bind(mail_id).fetch_optional(conn).await?
    });
    row.map(Mail::try_from).transpose()
}

/// Those of some natural keys.
pub async fn of_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = &str>,
) -> Result<Vec<Mail>, StoreError> {
    let text = "SELECT m.mail_id, m.mode, m.kind, m.object_id, m.batch_id, m.partner_key, m.recipient, m.message_id,
                       m.status, m.tries, m.next_try_at, m.error, m.created_at, m.sent_at
                FROM mails m
                WHERE m.workspace_id = $1 AND m.natural_key $in(natural_key)";
    let keys = Rows::texts(&[("natural_key", Text)], keys);
    let rows: Vec<Row> = keys.fetch(tx, text, &[workspace.0.into()]).await?;
    rows.into_iter().map(Mail::try_from).collect()
}

/// A batch's mails of a kind, in the order in which they were queued.
pub async fn of_batch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    kind: Kind,
) -> Result<Vec<Mail>, StoreError> {
    let text =
        format!("SELECT {COLUMNS} FROM mails WHERE workspace_id = $1 AND batch_id = $2 AND kind = $3 ORDER BY mail_id");
    let rows: Vec<Row> = on!(tx, conn => {
        sqlx::query_as(sqlx::AssertSqlSafe(text))
            .bind(workspace.0)
            .bind(batch_id)
            .bind(kind.as_str())
            .fetch_all(conn)
            .await?
    });
    rows.into_iter().map(Mail::try_from).collect()
}

/// How often each object has had a mail of a kind: `(object, mails)`.
pub async fn times(
    tx: &mut Tx,
    workspace: WorkspaceId,
    batch_id: &str,
    kind: Kind,
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT object_id, COUNT(*)
             FROM mails
             WHERE workspace_id = $1 AND batch_id = $2 AND kind = $3
             GROUP BY object_id",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .bind(kind.as_str())
        .fetch_all(conn)
        .await?
    }))
}

/// Which mails are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// With this status.
    pub status: Option<Status>,
    /// Of this batch.
    pub batch_id: Option<&'a str>,
    /// Behind this one.
    pub before: Option<&'a str>,
}

/// A page of mails, the newest first.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<Mail>, StoreError> {
    let status = wanted.status.map(Status::as_str);
    let mut text = format!("SELECT {COLUMNS} FROM mails WHERE workspace_id = $1 AND mode = $2 AND mail_id < $3");
    let mut binds = vec![wanted.before.unwrap_or("mail_~")];
    for (column, value) in [("status", status), ("batch_id", wanted.batch_id)] {
        if let Some(value) = value {
            binds.push(value);
            let _ = write!(text, " AND {column} = ${}", binds.len() + 2);
        }
    }
    if status.is_none() {
        text.push_str(" AND status <> 'noted'");
    }
    let _ = write!(text, " ORDER BY mail_id DESC LIMIT ${}", binds.len() + 3);
    let rows: Vec<Row> = on!(tx, conn => {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(workspace.0).bind(mode.as_i64());
        for bind in binds {
            query = query.bind(bind);
        }
        query.bind(limit).fetch_all(conn).await?
    });
    rows.into_iter().map(Mail::try_from).collect()
}

/// How many mails there are of each status, and the oldest of each: `(status, mails, oldest)`.
pub async fn counts(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(Status, i64, Time)>, StoreError> {
    let rows: Vec<(String, i64, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT status, COUNT(*), MIN(created_at)
             FROM mails
             WHERE workspace_id = $1 AND status <> 'noted'
             GROUP BY status",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    });
    rows.into_iter()
        .map(|(status, count, oldest)| {
            let status = status.parse().map_err(|why| StoreError::Unreadable {
                what: "mails with status",
                key: status.clone(),
                why,
            })?;
            Ok((status, count, from_micros(oldest)))
        })
        .collect()
}

/// How many mails are due now.
pub async fn due(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM mails WHERE workspace_id = $1 AND next_try_at <= $2",
        )
        .bind(workspace.0)
        .bind(micros(now))
        .fetch_one(conn)
        .await?
    }))
}
