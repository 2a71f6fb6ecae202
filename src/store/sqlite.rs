//! A `SQLite` file: one connection that writes, some that read, and one that folds the write-ahead log into the file
//! beside them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tracing::log::LevelFilter;

use super::StoreError;
use super::db::{OpenError, PATIENCE, PREPARED_STATEMENTS, SLOW, migration};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How many connections read.
pub(super) const READERS: u32 = 4;

/// Rows that `SQLite`'s thread may be ahead of whoever reads them: a batch, so that the two do not take turns.
const ROWS_IN_FLIGHT: usize = 1024;

/// Pages of the write-ahead log that are worth folding into the file.
const WORTH_FOLDING: i64 = 4_000;
/// From so many on, a third of a gigabyte, it is seen to that the log begins anew. Nobody may write meanwhile, and the disk
/// is waited for: some tens of milliseconds, which are to be rare.
const LONG: i64 = 80_000;
/// So long whoever reads may keep it from that; then it is tried again.
const MOMENT: Duration = Duration::from_millis(5);
/// A connection folds by itself only when nobody else did.
const BY_ITSELF: &str = "256000";
/// After so many transactions the log's length is looked at.
const LOOK_EVERY: u32 = 16;

/// An open file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// Connects when first used.
    folder: SqlitePool,
    identity: Arc<Identity>,
    log: Arc<Log>,
}

/// What is known of the write-ahead log.
#[derive(Debug, Default)]
struct Log {
    /// Transactions since it was looked at.
    written: AtomicU32,
    folding: AtomicBool,
}

impl File {
    /// Opens `sqlite://path` and brings its schema up to date.
    pub(super) async fn open(url: &str, statements: LevelFilter) -> Result<Self, OpenError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(OpenError::InMemory);
        }
        let unreachable = |source| OpenError::Unreachable { url: url.to_owned(), source };
        let options = SqliteConnectOptions::from_str(url)
            .map_err(unreachable)?
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(PREPARED_STATEMENTS)
            .row_buffer_size(ROWS_IN_FLIGHT)
            .pragma("temp_store", "memory")
            .log_statements(statements)
            .log_slow_statements(LevelFilter::Warn, SLOW);
        let path = options.get_filename().to_owned();
        let pool = || SqlitePoolOptions::new().acquire_timeout(PATIENCE).idle_timeout(None).max_lifetime(None);
        let writing = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", BY_ITSELF);
        let writer =
            pool().max_connections(1).test_before_acquire(false).connect_with(writing).await.map_err(unreachable)?;
        migrate(&writer).await?;
        let reading = options.clone().read_only(true).pragma("cache_size", "-2048");
        let readers = pool().max_connections(READERS).connect_with(reading).await.map_err(unreachable)?;
        let folder =
            pool().max_connections(1).test_before_acquire(false).connect_lazy_with(options.busy_timeout(MOMENT));
        let identity = Identity::at(path).map_err(|error| unreachable(sqlx::Error::Io(error)))?;
        Ok(Self { writer, readers, folder, identity: Arc::new(identity), log: Arc::default() })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.identity.path
    }

    /// See [`Identity`].
    pub(super) fn is_there(&self) -> Result<(), StoreError> {
        self.identity.is_there()
    }

    /// Begins on the one connection that writes; what is relaxed does not wait for the disk when it is committed. Where the disk is full, `SQLite` undoes a transaction by itself; the
    /// driver then still believes in it and would never begin another, so that its connection gives way to a new one.
    pub(super) async fn begin_to_write(&self, relaxed: bool) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.look_at_log();
        // One message to the thread that runs it. Within a transaction it could not be changed.
        let begin = if relaxed {
            "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE"
        } else {
            "PRAGMA synchronous = FULL; BEGIN IMMEDIATE"
        };
        match self.writer.begin_with(begin).await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                self.writer.begin_with(begin).await
            }
            other => other,
        }
    }

    /// Closes every connection; the last one folds the write-ahead log into the file.
    pub(super) async fn close(&self) {
        self.folder.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Now and then somebody looks whether the log is long. Left to itself, whoever commits when it is would fold it,
    /// tens of milliseconds in which everybody waits for the writer.
    fn look_at_log(&self) {
        let written = self.log.written.fetch_add(1, Ordering::Relaxed) + 1;
        if written >= LOOK_EVERY && !self.log.folding.swap(true, Ordering::AcqRel) {
            self.log.written.store(0, Ordering::Relaxed);
            let file = self.clone();
            tokio::spawn(async move {
                if let Err(error) = file.fold_log().await {
                    tracing::debug!(%error, "the write-ahead log was not folded; it is tried again");
                }
                file.log.folding.store(false, Ordering::Release);
            });
        }
    }

    async fn fold_log(&self) -> Result<(), sqlx::Error> {
        let mut connection = self.folder.acquire().await?;
        let (_, length, folded) = checkpoint(&mut connection, "PRAGMA wal_checkpoint(NOOP)").await?;
        if length - folded < WORTH_FOLDING {
            return Ok(());
        }
        checkpoint(&mut connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
        if length >= LONG {
            // What was written meanwhile, so that little is left to do while all wait.
            checkpoint(&mut connection, "PRAGMA wal_checkpoint(PASSIVE)").await?;
            let nobody_writes = self.writer.acquire().await?;
            checkpoint(&mut connection, "PRAGMA wal_checkpoint(RESTART)").await?;
            drop(nobody_writes);
        }
        Ok(())
    }
}

/// Whether it was kept from it; how many pages are in the log, and how many of them in the file as well.
async fn checkpoint(connection: &mut SqliteConnection, text: &'static str) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(text).fetch_one(connection).await
}

/// The file of a `SQLite` database. Moved or deleted, it can still be written by whoever has it open; nobody would
/// find again what was.
#[derive(Debug)]
struct Identity {
    path: PathBuf,
    /// The device and the number on it.
    number: (u64, u64),
}

impl Identity {
    fn at(path: PathBuf) -> std::io::Result<Self> {
        let number = number(&path)?;
        Ok(Self { path, number })
    }

    fn is_there(&self) -> Result<(), StoreError> {
        match number(&self.path) {
            Ok(found) if found == self.number => Ok(()),
            _ => Err(StoreError::Gone(self.path.display().to_string())),
        }
    }
}

fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Brings the schema up to date. Two processes that begin at the same moment both try; the one that comes second finds
/// that it was done.
async fn migrate(writer: &SqlitePool) -> Result<(), OpenError> {
    match MIGRATIONS.run(writer).await {
        Err(MigrateError::ExecuteMigration(..) | MigrateError::Execute(_)) => {
            MIGRATIONS.run(writer).await.map_err(migration)
        }
        other => other.map_err(migration),
    }
}

/// Which schema a file has.
pub(super) async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn a_long_log_is_folded_beside_whoever_writes_and_reads() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("log.db").display());
        let file = File::open(&url, LevelFilter::Off).await.unwrap();
        let mut tx = file.begin_to_write(false).await.unwrap();
        tx.execute("CREATE TABLE pages (page)").await.unwrap();
        let pages = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 4100)
                     INSERT INTO pages SELECT zeroblob(3500) FROM n";
        tx.execute(pages).await.unwrap();
        tx.commit().await.unwrap();
        let mut reading = file.readers.begin().await.unwrap();
        let count = |count: (i64,)| count.0;
        assert_eq!(
            sqlx::query_as("SELECT COUNT(*) FROM pages").fetch_one(&mut *reading).await.map(count).unwrap(),
            4100
        );
        let writing = file.begin_to_write(false).await.unwrap();
        file.fold_log().await.unwrap();
        let mut connection = file.folder.acquire().await.unwrap();
        let (_, length, folded) = checkpoint(&mut connection, "PRAGMA wal_checkpoint(NOOP)").await.unwrap();
        assert!(length >= WORTH_FOLDING && folded == length, "{folded} of {length}");
        drop((connection, reading, writing));
        file.close().await;
    }
}
