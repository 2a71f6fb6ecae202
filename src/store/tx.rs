//! One transaction on either engine, and the macro that writes a statement once for both.

use std::sync::Arc;

use sqlx::{Postgres, Sqlite, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::StoreError;
use super::db::Engine;
use super::months::{Known, Minute};

/// Who waits for the one writer of `SQLite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for the answer: a webhook, a request, a command.
    Now,
    /// Recording, settling and the like: one of these at a time stands in the queue, so that whoever is urgent waits
    /// for one short transaction at most.
    Background,
}

/// An open transaction. Dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    /// For [`on!`](crate::on), also in tests.
    #[doc(hidden)]
    pub inner: Inner,
    /// Whether it can write.
    pub(crate) writes: bool,
    /// Which rows of a sum that many add to are this process's.
    pub(crate) shard: i64,
    /// Which months and minutes of raw events are there already.
    pub(super) known: Arc<Known>,
    /// Those that this transaction adds.
    pub(super) minutes: Vec<Minute>,
    /// The place in the queue of background writers; given back last.
    pub(crate) turn: Option<OwnedMutexGuard<()>>,
}

/// The engine's own transaction; matched by [`on!`](crate::on).
pub enum Inner {
    /// `SQLite`.
    Sqlite(Transaction<'static, Sqlite>),
    /// `PostgreSQL`.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Which engine.
    pub fn engine(&self) -> Engine {
        match self.inner {
            Inner::Sqlite(_) => Engine::Sqlite,
            Inner::Postgres(_) => Engine::Postgres,
        }
    }

    /// Makes everything durable.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        if !self.minutes.is_empty() {
            self.known.remember(self.minutes);
        }
        drop(self.turn);
        Ok(())
    }

    /// Undoes everything.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self.inner {
            Inner::Sqlite(tx) => tx.rollback().await?,
            Inner::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Runs one body on whichever engine a [`Tx`] is open: `on!(tx, conn => sqlx::query("…").bind(1).execute(conn).await)`.
/// The text uses `$1, $2, …`, which both engines know.
#[macro_export]
macro_rules! on {
    ($tx:expr, $conn:ident => $body:expr) => {
        match &mut $tx.inner {
            $crate::store::Inner::Sqlite(tx) => {
                let $conn = &mut **tx;
                $body
            }
            $crate::store::Inner::Postgres(tx) => {
                let $conn = &mut **tx;
                $body
            }
        }
    };
}
