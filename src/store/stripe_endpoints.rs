//! Whose key a book is reached by, and the webhook endpoints that the bridge made at Stripe: each has its row before
//! Stripe is asked.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// The account whose key reaches a book, if one was seen.
pub async fn account(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Option<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT account FROM stripe_connections WHERE workspace_id = $1 AND mode = $2")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_optional(conn)
            .await?
    }))
}

/// Says whose key reaches a book.
pub async fn set_account(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    account: &str,
    now: Time,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO stripe_connections (workspace_id, mode, account, connected_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, mode) DO UPDATE SET
                 account = excluded.account, connected_at = excluded.connected_at",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(account)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// What is under way with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being made; where it has an id, that is the one it takes the place of.
    Making,
    /// It is there, and the one before is to be removed.
    Retiring,
    /// It is there.
    Made,
    /// It is being removed.
    Removing,
}

impl State {
    /// As in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Retiring => "retiring",
            Self::Made => "made",
            Self::Removing => "removing",
        }
    }

    fn from_str(text: &str) -> Self {
        match text {
            "making" => Self::Making,
            "retiring" => Self::Retiring,
            "removing" => Self::Removing,
            _ => Self::Made,
        }
    }
}

/// An endpoint of the bridge's own.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Endpoint {
    mode: i64,
    connect: i64,
    /// Where it sends to.
    pub url: String,
    state: String,
    /// `we_…`, once it is known.
    pub stripe_id: Option<String>,
    /// The id of its signing secret, `whs_…`.
    pub secret_id: Option<String>,
    /// The endpoint that it takes the place of, until that is removed.
    pub old_id: Option<String>,
    /// Under which Stripe makes it once.
    pub idempotency_key: String,
    key_since: i64,
    changed_at: i64,
}

impl Endpoint {
    /// One that is to be made, in the place of `old`.
    pub fn to_make(mode: Mode, connect: bool, url: &str, old: Option<&str>, key: String, now: Time) -> Self {
        Self {
            mode: mode.as_i64(),
            connect: i64::from(connect),
            url: url.to_owned(),
            state: State::Making.as_str().to_owned(),
            stripe_id: None,
            secret_id: None,
            old_id: old.map(ToOwned::to_owned),
            idempotency_key: key,
            key_since: micros(now),
            changed_at: micros(now),
        }
    }

    /// Of which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// Whether it is for the events of connected accounts.
    pub fn connect(&self) -> bool {
        self.connect != 0
    }

    /// What is under way.
    pub fn state(&self) -> State {
        State::from_str(&self.state)
    }

    /// Goes on.
    pub fn set_state(&mut self, state: State) {
        state.as_str().clone_into(&mut self.state);
    }

    /// Since when its key is in use.
    pub fn key_since(&self) -> Time {
        from_micros(self.key_since)
    }

    /// When anything about it changed last.
    pub fn changed_at(&self) -> Time {
        from_micros(self.changed_at)
    }

    /// From now on it is made under another key.
    pub fn set_key(&mut self, key: String, now: Time) {
        self.idempotency_key = key;
        self.key_since = micros(now);
    }
}

/// The endpoints of a workspace, of both books.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Endpoint>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, connect, url, state, stripe_id, secret_id, old_id, idempotency_key, key_since, changed_at
             FROM stripe_endpoints WHERE workspace_id = $1
             ORDER BY mode, connect, url",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// Keeps an endpoint as it is now.
pub async fn put(tx: &mut Tx, workspace: WorkspaceId, endpoint: &Endpoint, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO stripe_endpoints (workspace_id, mode, connect, url, state, stripe_id, secret_id, old_id,
                                           idempotency_key, key_since, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (workspace_id, mode, connect, url) DO UPDATE SET
                 state = excluded.state, stripe_id = excluded.stripe_id, secret_id = excluded.secret_id,
                 old_id = excluded.old_id, idempotency_key = excluded.idempotency_key,
                 key_since = excluded.key_since, changed_at = excluded.changed_at",
        )
        .bind(workspace.0)
        .bind(endpoint.mode)
        .bind(endpoint.connect)
        .bind(&endpoint.url)
        .bind(&endpoint.state)
        .bind(&endpoint.stripe_id)
        .bind(&endpoint.secret_id)
        .bind(&endpoint.old_id)
        .bind(&endpoint.idempotency_key)
        .bind(endpoint.key_since)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Forgets an endpoint.
pub async fn remove(tx: &mut Tx, workspace: WorkspaceId, endpoint: &Endpoint) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "DELETE FROM stripe_endpoints WHERE workspace_id = $1 AND mode = $2 AND connect = $3 AND url = $4",
        )
        .bind(workspace.0)
        .bind(endpoint.mode)
        .bind(endpoint.connect)
        .bind(&endpoint.url)
        .execute(conn)
        .await?;
    });
    Ok(())
}
