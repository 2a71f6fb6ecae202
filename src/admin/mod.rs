//! What people enter, through whatever door: checked against the terms as they are, appended to the log, and written
//! into the audit log, in one transaction.

pub mod adjustments;
pub mod apply;
pub mod backfills;
pub mod clicks;
pub mod events;
pub mod evidence;
pub mod fx;
pub mod imports;
pub mod keys;
pub mod leads;
pub mod links;
pub mod mails;
pub mod onboarding;
pub mod partners;
pub mod programs;
pub mod reviews;
pub mod workspaces;

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::domain::Time;
use crate::domain::terms::{Change, Terms};
use crate::ids::Ids;
use crate::program::json::Fault;
use crate::store::audit::{self, Act, By};
use crate::store::batches::{self, Batch};
use crate::store::changes::{self, Entering, Keyed};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId};

/// Why something was not entered; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What it is about is not there.
    #[error("{0}")]
    Missing(String),
    /// A value cannot be meant.
    #[error("{field}: {detail}")]
    Invalid {
        /// Which, as `rules[1].percent`.
        field: String,
        /// What is wrong, and what was expected.
        detail: String,
    },
    /// Several cannot.
    #[error("{}", .0.iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
    /// What is asked for and what is there do not go together.
    #[error("{detail}")]
    Conflict {
        /// Stable, for programs.
        code: &'static str,
        /// What is in the way, and what to do.
        detail: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refused {
    /// A value that cannot be meant.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), detail: detail.into() }
    }

    /// What does not go together with what is there.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }
}

/// Who enters something: one transaction of one author.
pub struct Session {
    /// The transaction.
    pub tx: Tx,
    /// Into which workspace.
    pub workspace: WorkspaceId,
    /// Which book its author has open.
    pub mode: Mode,
    /// `cli`, or `api:` and how the key begins.
    pub author: String,
    /// When.
    pub now: Time,
    /// Where ids come from.
    pub ids: Ids,
    db: Db,
}

impl Session {
    /// Begins one.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(
        db: &Db,
        clock: &Clock,
        ids: &Ids,
        (workspace, mode): (WorkspaceId, Mode),
        author: String,
    ) -> Result<Self, StoreError> {
        let tx = db.write(Urgency::Now).await?;
        Ok(Self { tx, workspace, mode, author, now: clock.now(), ids: ids.clone(), db: db.clone() })
    }

    /// The terms as they are. They may change before this session ends: what they hold stays, but for its status.
    ///
    /// # Errors
    /// The database's.
    pub async fn terms(&mut self) -> Result<Arc<Terms>, StoreError> {
        self.db.terms(&mut self.tx, self.workspace).await
    }

    /// Takes the log's lock: from now on the terms stand still until this session ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn desk(&mut self) -> Result<Desk<'_>, StoreError> {
        changes::hold(&mut self.tx, self.workspace).await?;
        let terms = self.db.terms(&mut self.tx, self.workspace).await?;
        Ok(Desk { terms: Terms::clone(&terms), session: self })
    }

    /// The transaction, and who writes in it.
    pub fn parts(&mut self) -> (&mut Tx, By<'_>) {
        let by = By { workspace: self.workspace, author: &self.author, now: self.now, ids: &self.ids };
        (&mut self.tx, by)
    }

    /// Writes into the audit log.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(
        &mut self,
        (action, object): (&'static str, &'static str),
        object_id: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), StoreError> {
        let act = Act { action, object, object_id: object_id.to_owned(), before, after };
        let (tx, by) = self.parts();
        audit::append(tx, by, &[act]).await
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The database's.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

/// A session that holds the log of changes.
pub struct Desk<'a> {
    /// The session.
    pub session: &'a mut Session,
    /// The terms as they are, what was entered here included.
    pub terms: Terms,
}

impl Desk<'_> {
    /// Enters a change under a key with the position in the log that it will have.
    ///
    /// # Errors
    /// The database's.
    pub async fn enter(&mut self, thing: &str, change: Change) -> Result<(), StoreError> {
        let key = format!("{thing}/{}", self.terms.seq.saturating_add(1));
        self.append(&[(key, change)]).await.map(drop)
    }

    /// Enters changes under keys of their own; tells how many were new.
    ///
    /// # Errors
    /// The database's.
    pub async fn append(&mut self, keyed: &[Keyed]) -> Result<usize, StoreError> {
        let Session { tx, workspace, author, now, ids, .. } = &mut *self.session;
        let entering = Entering { workspace: *workspace, author, now: *now, ids };
        changes::append(tx, &entering, &mut self.terms, keyed).await
    }

    /// The end of the last closed month of the live book: what is tried out in the test book binds nobody.
    ///
    /// # Errors
    /// The database's.
    pub async fn closed_until(&mut self) -> Result<Option<Time>, StoreError> {
        closed_until(&mut self.session.tx, self.session.workspace).await
    }
}

/// The end of the last closed month of the live book: what is tried out in the test book binds nobody.
///
/// # Errors
/// The database's.
pub async fn closed_until(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Time>, StoreError> {
    let batches = batches::all(tx, workspace, Mode::Live).await?;
    Ok(batches.first().map(Batch::period_end))
}
