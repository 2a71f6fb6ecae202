//! A copy of a `SQLite` database, taken while it is in use.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use super::StoreError;
use super::db::Db;
use super::sqlite::schema_version;

/// A copy that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// How large it is, in bytes.
    pub bytes: u64,
    /// The schema's version.
    pub schema: i64,
    /// How many events it holds.
    pub events: i64,
    /// How many lines of the ledger, of all workspaces and books.
    pub entries: i64,
}

/// Why there is no copy; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something of that name.
    #[error("{0} is there already: a backup takes the place of nothing. Choose another name, or remove it first")]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {path}: {source}. Check that its folder is there, may be written and has room")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The copy is not what it should be.
    #[error(
        "the copy is damaged and was removed: {0}. Check the disk that it was written to, and the database: doctor"
    )]
    Damaged(String),
    /// The database is a server.
    #[error("a PostgreSQL database is copied by its own tools")]
    Server,
    /// The database's own error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Db {
    /// Copies the database as it is at this moment into a new file. Nobody waits for it: it reads one moment, as any
    /// reader does, while others write. The file has its name only once it is whole, checked and on disk.
    ///
    /// # Errors
    /// [`BackupError`]; nothing is left behind then.
    pub async fn backup(&self, to: &Path) -> Result<Backup, BackupError> {
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Removed(partial.into());
        partial.remove();
        let mut source = self.sqlite_reader().await?.ok_or(BackupError::Server)?;
        let name = partial.0.to_str().ok_or_else(|| file(to, ErrorKind::InvalidFilename.into()))?;
        // The folder's own error says more than the database's would. Nobody else may read it: it holds personal data.
        let made = File::options().write(true).create_new(true).mode(0o600).open(&partial.0);
        made.map_err(|source| file(to, source))?;
        sqlx::query("VACUUM INTO $1").bind(name).execute(&mut *source).await?;
        drop(source);
        let backup = checked(&partial.0).await?;
        into_place(&partial.0, to)?;
        Ok(backup)
    }
}

/// A file that goes when whoever made it does, unless it has another name by then.
struct Removed(PathBuf);

impl Removed {
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        self.remove();
    }
}

fn file(path: &Path, source: std::io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}

/// Reads all of a copy, and counts what matters.
async fn checked(path: &Path) -> Result<Backup, BackupError> {
    let damaged = |error: sqlx::Error| BackupError::Damaged(error.to_string());
    let options = SqliteConnectOptions::from_str("sqlite:").map_err(damaged)?.filename(path);
    // As one file: a copy needs no log beside it.
    let options = options.journal_mode(SqliteJournalMode::Delete).read_only(true);
    let mut copy = options.connect().await.map_err(damaged)?;
    let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut copy).await.map_err(damaged)?;
    if said != "ok" {
        return Err(BackupError::Damaged(said));
    }
    let schema = schema_version(&mut copy).await.map_err(damaged)?;
    let events = count(&mut copy, "SELECT COUNT(*) FROM events").await.map_err(damaged)?;
    let entries = count(&mut copy, "SELECT COUNT(*) FROM entries").await.map_err(damaged)?;
    copy.close().await.map_err(damaged)?;
    let bytes = std::fs::metadata(path).map_err(|source| file(path, source))?.len();
    Ok(Backup { bytes, schema, events, entries })
}

async fn count(copy: &mut SqliteConnection, text: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(text).fetch_one(copy).await
}

/// Gives a file its name, which nobody took meanwhile, once all of it is on disk.
fn into_place(from: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => file(to, source),
    };
    File::open(from).and_then(|written| written.sync_all()).map_err(failed)?;
    match std::fs::hard_link(from, to) {
        // Not every file system has links.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            std::fs::rename(from, to).map_err(failed)?;
        }
        other => other.map_err(failed)?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
