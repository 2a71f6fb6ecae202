//! Opening a database, bringing its schema up to date, and handing out transactions.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor as _, PgPool, Sqlite};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::log::LevelFilter;

use super::changes::TermsCache;
use super::months::{Known, RemovedMonth};
use super::resting::Resting;
use super::sqlite::{File, READERS};
use super::tx::Inner;
use super::vault::Vault;
use super::{StoreError, Tx, Urgency, WorkspaceId, balances};
use crate::domain::calendar::Month;
use crate::domain::terms::Terms;

static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// How long anybody waits for a lock or a connection before the answer is "busy".
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const SLOW: Duration = Duration::from_secs(1);
/// How long a new schema waits for who holds its tables, and between two tries.
const HELD_PATIENCE: Duration = Duration::from_mins(2);
const HELD_PAUSE: Duration = Duration::from_millis(500);
const POSTGRES_CONNECTIONS: u32 = 12;
/// Bulk statements come in a handful of sizes each, all of which stay prepared.
pub(super) const PREPARED_STATEMENTS: usize = 400;

/// A batch's statements are planned for the batch: a plan made once for a batch of unknown size, when the tables were
/// small, is a hundred times slower when they have grown. A page found by its key costs about what one in a row does:
/// the default, four times as much, is a disk's with a moving head.
const SESSION: &str = "SET plan_cache_mode = force_custom_plan; SET jit = off; SET random_page_cost = 1.1";

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// The one to grow on.
    Postgres,
}

/// How busy the connections of a pool are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// `writer`, `readers`, or `all`.
    pub name: &'static str,
    /// In use.
    pub used: u32,
    /// Open and idle.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
}

/// What came since this process began.
#[derive(Debug, Default)]
struct Grown {
    events: AtomicUsize,
    payouts: AtomicUsize,
}

/// A database of the bridge. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
    background: Arc<Mutex<()>>,
    pouring: Arc<AtomicBool>,
    terms: TermsCache,
    /// Events recorded by this process.
    grown: Arc<Grown>,
    known: Arc<Known>,
    resting: Arc<Resting>,
    /// See [`Tx::shard`].
    shard: i64,
    vault: Arc<Vault>,
}

#[derive(Debug, Clone)]
enum Pools {
    Sqlite(File),
    Postgres(PgPool),
}

/// One setting that durability hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// Whether it is as it should be.
    pub is_safe: bool,
    /// The setting and its value.
    pub sentence: String,
}

/// Why a database could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no known kind.
    #[error(
        "{0:?} is no database URL: expected sqlite://commission-bridge.db (a file, made when it is not there) or \
         postgres://user@host/database"
    )]
    Url(String),
    /// In-memory `SQLite` would lose what was acknowledged.
    #[error("a ledger cannot live in memory: name a file, such as sqlite://commission-bridge.db")]
    InMemory,
    /// The file or server did not answer.
    #[error("cannot open the database at {url}: {source}. Check that it is there and may be written")]
    Unreachable {
        /// Where, without a password.
        url: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A later release has been here.
    #[error(
        "the database has schema version {0}, which this release does not know: it was made by a newer release. \
         Install that release or a later one; nothing was changed"
    )]
    Newer(i64),
    /// Somebody would not let go of a table.
    #[error(
        "cannot bring the database's schema up to date: for two minutes somebody held a table that it changes. Look for \
         long transactions (SELECT * FROM pg_stat_activity WHERE xact_start < now() - interval '1 minute'), end them, and \
         start again; nothing was changed"
    )]
    Held,
    /// The schema could not be brought up to date.
    #[error("cannot bring the database's schema up to date: {0}. Nothing was acknowledged; restore a backup or ask")]
    Migrate(#[source] MigrateError),
}

impl Db {
    /// Opens `sqlite://path` or `postgres://…` and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_telling(url, LevelFilter::Off).await
    }

    /// The same; every statement is told to `tracing` on a level. For tests that look at what is asked.
    #[doc(hidden)]
    pub async fn open_telling(url: &str, statements: LevelFilter) -> Result<Self, OpenError> {
        let pools = if url.starts_with("sqlite:") {
            Pools::Sqlite(File::open(url, statements).await?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url, statements).await?
        } else {
            return Err(OpenError::Url(url.split("://").next().unwrap_or_default().to_owned()));
        };
        let shard = shard(&pools);
        let known = Known::new(match &pools {
            Pools::Sqlite(_) => None,
            Pools::Postgres(pool) => Some(pool.clone()),
        });
        Ok(Self {
            pools,
            background: Arc::default(),
            pouring: Arc::default(),
            terms: TermsCache::default(),
            grown: Arc::default(),
            known,
            resting: Arc::default(),
            shard,
            vault: Arc::default(),
        })
    }

    /// The same database; secrets are kept as a vault keeps them.
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.vault = Arc::new(vault);
        self
    }

    /// How secrets are kept.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether what is committed survives a crash of the machine, setting by setting.
    ///
    /// # Errors
    /// The database's.
    pub async fn durability(&self) -> Result<Vec<Durability>, StoreError> {
        match &self.pools {
            Pools::Sqlite(file) => {
                let mut tx = file.begin_to_write(false).await?;
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *tx).await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await?;
                tx.rollback().await?;
                let is_safe = synchronous >= 2 && !matches!(journal.as_str(), "off" | "memory");
                let what_to_do = if is_safe { "" } else { ": a crash can lose acknowledged events; report this" };
                let sentence = format!("journal_mode {journal}, synchronous {synchronous} (2 = full){what_to_do}");
                Ok(vec![Durability { is_safe, sentence }])
            }
            Pools::Postgres(pool) => {
                let mut found = Vec::new();
                for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
                    let value: String =
                        sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(pool).await?;
                    let is_safe = value != "off";
                    let what_to_do =
                        if is_safe { "" } else { ": a crash of the server can lose acknowledged events; turn it on" };
                    found.push(Durability { is_safe, sentence: format!("{setting} is {value}{what_to_do}") });
                }
                Ok(found)
            }
        }
    }

    /// Which engine it is, in which version, in words.
    ///
    /// # Errors
    /// The database's.
    pub async fn version(&self) -> Result<String, StoreError> {
        Ok(match &self.pools {
            Pools::Sqlite(File { writer, .. }) => {
                let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(writer).await?;
                format!("SQLite {version}")
            }
            Pools::Postgres(pool) => {
                let version: String =
                    sqlx::query_scalar("SELECT current_setting('server_version')").fetch_one(pool).await?;
                format!("PostgreSQL {version}")
            }
        })
    }

    /// How busy the connections are, pool by pool.
    pub fn connections(&self) -> Vec<Connections> {
        let of = |name, size: u32, idle: usize, most| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX);
            Connections { name, used: size.saturating_sub(idle), idle, most }
        };
        match &self.pools {
            Pools::Sqlite(File { writer, readers, .. }) => vec![
                of("writer", writer.size(), writer.num_idle(), 1),
                of("readers", readers.size(), readers.num_idle(), READERS),
            ],
            Pools::Postgres(pool) => vec![of("all", pool.size(), pool.num_idle(), POSTGRES_CONNECTIONS)],
        }
    }

    /// How many bytes are free beside the database file; none where it is a server, which has its own disk.
    pub fn free_space(&self) -> Option<u64> {
        let Pools::Sqlite(file) = &self.pools else { return None };
        let beside = rustix::fs::statvfs(file.path()).ok()?;
        Some(beside.f_bavail.saturating_mul(beside.f_frsize))
    }

    /// Which engine.
    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite(_) => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// A transaction to look with: it sees one moment, and cannot write on `SQLite`. Keep it short, or page: a long one
    /// keeps the database from tidying up.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        let inner = match &self.pools {
            Pools::Sqlite(file) => {
                file.is_there()?;
                Inner::Sqlite(file.readers.begin().await?)
            }
            Pools::Postgres(pool) => {
                Inner::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
            }
        };
        Ok(self.open_tx(inner, false, Urgency::Now, None))
    }

    /// A transaction to write with.
    pub async fn write(&self, urgency: Urgency) -> Result<Tx, StoreError> {
        match &self.pools {
            Pools::Sqlite(file) => {
                let turn = match urgency {
                    Urgency::Now => None,
                    Urgency::Background | Urgency::Derived => Some(self.background.clone().lock_owned().await),
                };
                file.is_there()?;
                let inner = Inner::Sqlite(file.begin_to_write(self.is_relaxed(urgency)).await?);
                Ok(self.open_tx(inner, true, urgency, turn))
            }
            Pools::Postgres(pool) => {
                let begun = if self.is_relaxed(urgency) {
                    pool.begin_with("BEGIN; SET LOCAL synchronous_commit TO off").await?
                } else {
                    pool.begin().await?
                };
                Ok(self.open_tx(Inner::Postgres(begun), true, urgency, None))
            }
        }
    }

    /// Says whether webhooks pour in: then [`Urgency::Derived`] does not wait for the disk. Whoever says so says soon that
    /// it is over, and what is written after that brings all to the disk.
    pub fn pour(&self, pouring: bool) {
        self.pouring.store(pouring, Ordering::Relaxed);
    }

    /// Whether webhooks pour in.
    pub fn pours(&self) -> bool {
        self.pouring.load(Ordering::Relaxed)
    }

    fn is_relaxed(&self, urgency: Urgency) -> bool {
        urgency == Urgency::Derived && self.pours()
    }

    fn open_tx(&self, inner: Inner, writes: bool, urgency: Urgency, turn: Option<OwnedMutexGuard<()>>) -> Tx {
        let (known, resting, vault) = (self.known.clone(), self.resting.clone(), self.vault.clone());
        let opened = Instant::now();
        Tx { inner, writes, urgency, shard: self.shard, known, minutes: Vec::new(), resting, opened, vault, turn }
    }

    /// A transaction for work that reads much, thinks, then writes: see [`Db::upgrade`].
    pub(crate) async fn read_to_write(&self) -> Result<Tx, StoreError> {
        match self.engine() {
            Engine::Sqlite => self.read().await,
            Engine::Postgres => self.write(Urgency::Derived).await,
        }
    }

    /// Goes from reading to writing. A transaction that can write stays as it is, with the locks it took. `SQLite` opens
    /// a writing one only now, so that the writer is held for the writing alone: the caller checks that what it read
    /// still holds.
    pub(crate) async fn upgrade(&self, tx: Tx) -> Result<Tx, StoreError> {
        if tx.writes {
            return Ok(tx);
        }
        tx.rollback().await?;
        self.write(Urgency::Derived).await
    }

    /// The workspace's terms as the transaction sees them: see [`TermsCache::get`].
    pub async fn terms(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Arc<Terms>, StoreError> {
        self.terms.get(tx, workspace).await
    }

    /// Says that so many events were recorded. `PostgreSQL` must know how the tables look to plan well, and looks by
    /// itself only after a minute, in which a hundred thousand events may come: it is asked to look at 500 and whenever
    /// there are eight times as many. Where it will not, work goes on, only slower.
    pub async fn grown_by(&self, events: usize) {
        let tables = || {
            // Of the months, those that grow.
            let mut tables = self.known.tables();
            tables.push(
                "event_ids, unread, unrecorded, customers, facts, refs, clues, payments, payment_refs, entries, balances"
                    .to_owned(),
            );
            tables.join(", ")
        };
        self.look_again(&self.grown.events, events, 500, tables).await;
    }

    /// The same of so many payouts that were made, each of which may hold a hundred entries.
    pub async fn grown_by_payouts(&self, payouts: usize) {
        let tables = || "payouts, payout_entries, statements".to_owned();
        self.look_again(&self.grown.payouts, payouts, 50, tables).await;
    }

    async fn look_again(&self, grown: &AtomicUsize, rows: usize, first: usize, tables: impl Fn() -> String) {
        let Pools::Postgres(pool) = &self.pools else { return };
        let before = grown.fetch_add(rows, Ordering::Relaxed);
        let mark = std::iter::successors(Some(first), |mark| mark.checked_mul(8)).find(|mark| *mark > before);
        if mark.is_some_and(|mark| before + rows >= mark)
            && let Err(error) = sqlx::query(AssertSqlSafe(format!("ANALYZE {}", tables()))).execute(pool).await
        {
            tracing::warn!(%error, "PostgreSQL did not look at its tables; its plans may be slow until it does");
        }
    }

    /// Removes a month's table of raw events, where all that is in it was put into files: see [`RemovedMonth`].
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_month(&self, month: Month) -> Result<RemovedMonth, StoreError> {
        self.known.remove(month).await
    }

    /// A connection to read `SQLite` by; none where it is a server.
    pub(super) async fn sqlite_reader(&self) -> Result<Option<PoolConnection<Sqlite>>, StoreError> {
        let Pools::Sqlite(file) = &self.pools else { return Ok(None) };
        file.is_there()?;
        Ok(Some(file.readers.acquire().await?))
    }

    /// Closes every connection; on `SQLite` this folds the write-ahead log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(file) => file.close().await,
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Processes that share a `PostgreSQL` draw lots; on `SQLite` nobody writes beside another.
fn shard(pools: &Pools) -> i64 {
    let Pools::Postgres(_) = pools else { return 0 };
    let mut lot = [0];
    // Without chance they share rows, and wait for each other.
    let _ = getrandom::fill(&mut lot);
    i64::from(lot[0]) % balances::SHARDS
}

async fn open_postgres(url: &str, statements: LevelFilter) -> Result<Pools, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url("postgres".to_owned()))?;
    let shown = format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_default()
    );
    let options = options
        .application_name("commission-bridge")
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .log_statements(statements)
        .log_slow_statements(LevelFilter::Warn, SLOW);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(|_| ()) }));
    let pool = match pool.connect_with(options.clone()).await {
        Ok(pool) => pool,
        // It waited for a server that may be starting. Asking once more tells why there is none.
        Err(sqlx::Error::PoolTimedOut) => {
            let source = options.connect().await.err().unwrap_or(sqlx::Error::PoolTimedOut);
            return Err(OpenError::Unreachable { url: shown, source });
        }
        Err(source) => return Err(OpenError::Unreachable { url: shown, source }),
    };
    migrate_postgres(&options).await?;
    Ok(Pools::Postgres(pool))
}

/// Brings the schema up to date beside whoever still uses it: a table that somebody holds is waited for a moment, then
/// all is given up and tried anew. Whoever reads table after table is neither kept waiting for long nor thrown out by
/// `PostgreSQL` because the two wait for each other, which it does after a second.
async fn migrate_postgres(options: &PgConnectOptions) -> Result<(), OpenError> {
    let begun = Instant::now();
    loop {
        // Given up half-way, it would keep the migrations' own lock; a connection of its own takes that with it.
        let mut connection = options.connect().await.map_err(|error| OpenError::Migrate(error.into()))?;
        let tried = async {
            connection.execute("SET lock_timeout = '500ms'").await?;
            POSTGRES_MIGRATIONS.run(&mut connection).await
        };
        let tried = tried.await;
        let _ = connection.close().await;
        match tried {
            Err(error) if is_held(&error) && begun.elapsed() < HELD_PATIENCE => {
                tracing::warn!("somebody holds a table that the new schema changes; trying again");
                tokio::time::sleep(HELD_PAUSE).await;
            }
            Err(error) if is_held(&error) => return Err(OpenError::Held),
            other => return other.map_err(migration),
        }
    }
}

/// Whether a lock was not to be had in time, or two waited for each other.
fn is_held(error: &MigrateError) -> bool {
    let (MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) = error else { return false };
    let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

pub(super) fn migration(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(version) => OpenError::Newer(version),
        other => OpenError::Migrate(other),
    }
}
