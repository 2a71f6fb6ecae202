//! One transaction on either engine, and the macro that writes a statement once for both.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use prometheus::{Histogram, HistogramOpts, HistogramVec};
use sqlx::{Postgres, Sqlite, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::StoreError;
use super::db::Engine;
use super::months::{Known, Minute};
use super::resting::Resting;
use super::vault::Vault;

/// From a good disk's commit to what somebody should look at.
const BUCKETS: [f64; 12] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0];

static COMMITS: LazyLock<Histogram> = LazyLock::new(|| {
    let name = "commission_bridge_commit_seconds";
    let options = HistogramOpts::new(name, "How long commits took, of every transaction.").buckets(BUCKETS.to_vec());
    Histogram::with_opts(options).expect("a sound name")
});

static WRITING: LazyLock<HistogramVec> = LazyLock::new(|| {
    let name = "commission_bridge_writing_seconds";
    let help = "How long transactions that write were open, the commit included: on SQLite everybody else waits meanwhile. \
                Those of recording and settling are in the background.";
    HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), &["urgency"]).expect("a sound name")
});

/// How long this process's commits took.
pub fn commits() -> &'static Histogram {
    &COMMITS
}

/// How long its transactions that write were open.
pub fn writing() -> &'static HistogramVec {
    &WRITING
}

/// Who waits for the one writer of `SQLite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for the answer: a webhook, a request, a command.
    Now,
    /// Recording, settling and the like: one of these at a time stands in the queue, so that whoever is urgent waits
    /// for one short transaction at most.
    Background,
    /// Recording and settling: in the background too, and while webhooks pour in ([`Db::pour`](super::Db::pour)) without
    /// waiting for the disk. A webhook's commit a moment later brings theirs there as well, since both are in one log; what
    /// the machine loses with its power before is made again from the events, which are on disk.
    Derived,
}

impl Urgency {
    fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Background | Self::Derived => "background",
        }
    }
}

/// An open transaction. Dropped without [`Tx::commit`] it is rolled back.
pub struct Tx {
    /// For [`on!`](crate::on), also in tests.
    #[doc(hidden)]
    pub inner: Inner,
    /// Whether it can write.
    pub(crate) writes: bool,
    /// Who waits for it.
    pub(super) urgency: Urgency,
    /// Which rows of a sum that many add to are this process's.
    pub(crate) shard: i64,
    /// Since when it is open.
    pub(super) opened: Instant,
    /// How secrets are kept.
    pub(crate) vault: Arc<Vault>,
    /// Which months and minutes of raw events are there already.
    pub(super) known: Arc<Known>,
    /// Those that this transaction adds.
    pub(super) minutes: Vec<Minute>,
    /// Whose histories are so long that they rest.
    pub(super) resting: Arc<Resting>,
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
        let began = Instant::now();
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        COMMITS.observe(began.elapsed().as_secs_f64());
        if self.writes {
            WRITING.with_label_values(&[self.urgency.as_str()]).observe(self.opened.elapsed().as_secs_f64());
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
