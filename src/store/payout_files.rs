//! Payment files, as they were made: whoever asks again gets the same bytes.

use sqlx::FromRow;
use zstd::bulk::Decompressor;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::on;

/// Files are read rarely and kept for years.
const LEVEL: i32 = 3;
/// No file is larger than this; a stored size beyond it is damage.
const LARGEST: usize = 64 * 1024 * 1024;

/// What is known of a file, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PayoutFile {
    /// `pf_…`
    pub file_id: String,
    mode: i64,
    /// Whose payouts it holds.
    pub batch_id: String,
    /// `paypal`, `wise` or `sepa`.
    pub format: String,
    currency: String,
    /// 1, 2, … of those of its batch, format and currency.
    pub part: i64,
    /// What it is called.
    pub name: String,
    /// How many payouts it holds.
    pub row_count: i64,
    /// Their sum, in minor units.
    pub total: i64,
    /// Of its bytes, in hexadecimal.
    pub sha256: String,
    created_at: i64,
    /// Who made it.
    pub created_by: String,
}

/// What a new file is.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// `pf_…`
    pub file_id: &'a str,
    /// Which book.
    pub mode: Mode,
    /// Whose payouts it holds.
    pub batch_id: &'a str,
    /// `paypal`, `wise` or `sepa`.
    pub format: &'a str,
    /// Of every payout in it.
    pub currency: Currency,
    /// 1, 2, … of those of its batch, format and currency.
    pub part: i64,
    /// What it is called.
    pub name: &'a str,
    /// How many payouts it holds.
    pub row_count: i64,
    /// Their sum, in minor units.
    pub total: i64,
    /// Of its bytes, in hexadecimal.
    pub sha256: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: &'a str,
}

impl PayoutFile {
    /// As in the API and on the command line: the total in minor units.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "file_id": self.file_id,
            "batch_id": self.batch_id,
            "mode": self.mode().as_str(),
            "format": self.format,
            "currency": self.currency,
            "part": self.part,
            "name": self.name,
            "row_count": self.row_count,
            "total": self.total,
            "sha256": self.sha256,
            "created_at": self.created_at(),
            "created_by": self.created_by,
        })
    }

    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// Of every payout in it.
    pub fn currency(&self) -> Result<Currency, StoreError> {
        self.currency.parse().map_err(|error| self.unreadable(format!("{error}")))
    }

    /// When it was made.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }

    fn unreadable(&self, why: String) -> StoreError {
        StoreError::Unreadable { what: "payment file", key: self.file_id.clone(), why }
    }
}

/// Keeps a file.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, file: &NewFile<'_>) -> Result<(), StoreError> {
    let unreadable = |error: std::io::Error| StoreError::Unreadable {
        what: "payment file",
        key: file.file_id.to_owned(),
        why: format!("it cannot be compressed: {error}"),
    };
    let packed = zstd::bulk::compress(file.content, LEVEL).map_err(unreadable)?;
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO payout_files (workspace_id, file_id, mode, batch_id, format, currency, part, name, row_count,
                                       total, sha256, content, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(workspace.0)
        .bind(file.file_id)
        .bind(file.mode.as_i64())
        .bind(file.batch_id)
        .bind(file.format)
        .bind(file.currency.as_str())
        .bind(file.part)
        .bind(file.name)
        .bind(file.row_count)
        .bind(file.total)
        .bind(file.sha256)
        .bind(packed)
        .bind(micros(file.created_at))
        .bind(file.created_by)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Puts ready payouts that are in no file into one; tells how many there were.
pub async fn take(
    tx: &mut Tx,
    workspace: WorkspaceId,
    file_id: &str,
    payouts: impl IntoIterator<Item = &str>,
) -> Result<u64, StoreError> {
    let text = "UPDATE payouts SET file_id = $2
                WHERE workspace_id = $1 AND status = 'ready' AND file_id IS NULL AND payout_id $in(payout_id)";
    Rows::texts(&[("payout_id", Text)], payouts).execute(tx, text, &[workspace.0.into(), file_id.into()]).await
}

/// A batch's files, by format, currency and part.
pub async fn of_batch(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Vec<PayoutFile>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT file_id, mode, batch_id, format, currency, part, name, row_count, total, sha256, created_at,
                    created_by
             FROM payout_files
             WHERE workspace_id = $1 AND batch_id = $2
             ORDER BY format, currency, part",
        )
        .bind(workspace.0)
        .bind(batch_id)
        .fetch_all(conn)
        .await?
    }))
}

/// A file by its id.
pub async fn by_id(tx: &mut Tx, workspace: WorkspaceId, file_id: &str) -> Result<Option<PayoutFile>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT file_id, mode, batch_id, format, currency, part, name, row_count, total, sha256, created_at,
                    created_by
             FROM payout_files
             WHERE workspace_id = $1 AND file_id = $2",
        )
        .bind(workspace.0)
        .bind(file_id)
        .fetch_optional(conn)
        .await?
    }))
}

/// A file's bytes, as they were made.
///
/// # Errors
/// [`StoreError::Unreadable`] where the stored bytes are not those.
pub async fn content(tx: &mut Tx, workspace: WorkspaceId, file: &PayoutFile) -> Result<Vec<u8>, StoreError> {
    let packed: Vec<u8> = on!(tx, conn => {
        sqlx::query_scalar("SELECT content FROM payout_files WHERE workspace_id = $1 AND file_id = $2")
            .bind(workspace.0)
            .bind(&file.file_id)
            .fetch_one(conn)
            .await?
    });
    let size = Decompressor::<'static>::upper_bound(&packed).filter(|size| *size <= LARGEST);
    let size = size.ok_or_else(|| file.unreadable("its stored bytes say no plausible size".to_owned()))?;
    let bytes = zstd::bulk::decompress(&packed, size).map_err(|error| file.unreadable(error.to_string()))?;
    if sha256(&bytes) == file.sha256 {
        Ok(bytes)
    } else {
        Err(file.unreadable("its stored bytes are not those of its checksum".to_owned()))
    }
}

/// A checksum, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    hex::encode(Sha256::digest(bytes))
}
