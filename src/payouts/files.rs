//! A batch's payment files: made once, in one transaction with what stands in them, and the same ever after.
//!
//! A payout in a file is not sent yet: nobody knows whether the file was handed over. It stays ready, keeps the file's
//! id, and no second file takes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::batch::{self, Done, PayoutError};
use super::formats::{self, Format, Head, Problem};
use super::item::PayItem;
use crate::domain::currency::Currency;
use crate::domain::money::decimal_text;
use crate::domain::terms::Settings;
use crate::store::audit::{self, Act, By};
use crate::store::batches::Batch;
use crate::store::payout_files::{self, NewFile, PayoutFile};
use crate::store::payouts::{self, Payout};
use crate::store::{Mode, StoreError, Tx};

/// How many problems are printed; the rest are counted.
const SHOWN: usize = 20;

/// Why no file was made; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The batch is not there, or not approved.
    #[error(transparent)]
    Payout(#[from] PayoutError),
    /// The batch has nothing for such a file.
    #[error(
        "the batch of {month} has no payout that is ready to be paid by {format}: `commission-bridge payouts list \
         {month}` shows how each is paid, and where it stands"
    )]
    Nothing {
        /// Which batch.
        month: String,
        /// Which format.
        format: Format,
    },
    /// Some payouts cannot be in it.
    #[error("no file was made: {}", in_lines(.0))]
    Problems(Vec<Problem>),
}

impl From<StoreError> for FileError {
    fn from(error: StoreError) -> Self {
        Self::Payout(error.into())
    }
}

fn in_lines(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "one thing is in the way:".to_owned(),
        several => format!("{several} things are in the way:"),
    };
    for problem in problems.iter().take(SHOWN) {
        let _ = write!(text, "\n{problem}");
    }
    if problems.len() > SHOWN {
        let _ = write!(text, "\n… and {} more", problems.len() - SHOWN);
    }
    text
}

/// The files of a batch in a format. Ready payouts that are in no file yet are put into new ones; asked again, the same
/// files are told.
///
/// # Errors
/// [`FileError`]: nothing was made.
pub async fn export(
    tx: &mut Tx,
    by: By<'_>,
    settings: &Settings,
    (mode, name, format): (Mode, &str, Format),
) -> Result<(Batch, Vec<PayoutFile>, Done), FileError> {
    let batch = batch::find(tx, by.workspace, mode, name).await?;
    if batch.approved_at().is_none() {
        return Err(PayoutError::NotApproved(batch.month).into());
    }
    let mut done = Done::Before;
    // Whoever else makes them at this moment is done by the time this one may write: then theirs are told.
    for _ in 0..2 {
        match make(tx, by, settings, &batch, format).await? {
            Made::Files => done = Done::Now,
            Made::Nothing => {}
            Made::ByAnother => continue,
        }
        let files = of_format(tx, by, &batch, format).await?;
        if files.is_empty() {
            return Err(FileError::Nothing { month: batch.month, format });
        }
        return Ok((batch, files, done));
    }
    Err(StoreError::Conflict.into())
}

async fn of_format(tx: &mut Tx, by: By<'_>, batch: &Batch, format: Format) -> Result<Vec<PayoutFile>, StoreError> {
    let files = payout_files::of_batch(tx, by.workspace, &batch.batch_id).await?;
    Ok(files.into_iter().filter(|file| file.format == format.as_str()).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Files,
    Nothing,
    ByAnother,
}

async fn make(tx: &mut Tx, by: By<'_>, settings: &Settings, batch: &Batch, format: Format) -> Result<Made, FileError> {
    let all = payouts::of_batch(tx, by.workspace, &batch.batch_id).await?;
    let payable =
        |payout: &&Payout| payout.status == "ready" && payout.file_id.is_none() && payout.method == format.as_str();
    let items = all.iter().filter(payable).map(PayItem::of).collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Ok(Made::Nothing);
    }
    let problems = formats::check(format, settings, &items);
    if !problems.is_empty() {
        return Err(FileError::Problems(problems));
    }
    let mut parts = BTreeMap::new();
    for file in of_format(tx, by, batch, format).await? {
        parts.insert(file.currency()?, file.part);
    }
    let mut acts = Vec::new();
    for (at, items) in formats::split(format, items).iter().enumerate() {
        let Some(first) = items.first() else { continue };
        let part = parts.entry(first.currency).and_modify(|part| *part += 1).or_insert(1);
        let file_id = by.ids.next("pf");
        let taken = payout_files::take(tx, by.workspace, &file_id, items.iter().map(|item| item.payout_id.as_str()));
        match (usize::try_from(taken.await?).unwrap_or(usize::MAX), at) {
            (taken, _) if taken == items.len() => {}
            (0, 0) => return Ok(Made::ByAnother),
            // Somebody took or canceled some of them: nothing of this is kept.
            _ => return Err(StoreError::Conflict.into()),
        }
        acts.push(write(tx, by, settings, batch, (format, first.currency, *part), (&file_id, items)).await?);
    }
    audit::append(tx, by, &acts).await?;
    Ok(Made::Files)
}

async fn write(
    tx: &mut Tx,
    by: By<'_>,
    settings: &Settings,
    batch: &Batch,
    (format, currency, part): (Format, Currency, i64),
    (file_id, items): (&str, &[PayItem]),
) -> Result<Act, FileError> {
    let one = |problem| FileError::Problems(vec![problem]);
    let head = Head { file_id, created_at: by.now, settings };
    let content = formats::write(format, &head, items).map_err(one)?;
    let total = formats::total(items);
    let total = total.map_err(|source| PayoutError::Overflow { partner: "all".to_owned(), currency, source })?;
    let (name, sha256) = (formats::name(format, &batch.month, currency, part), payout_files::sha256(&content));
    let row_count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let file = NewFile {
        file_id,
        mode: batch.mode(),
        batch_id: &batch.batch_id,
        format: format.as_str(),
        currency,
        part,
        name: &name,
        row_count,
        total,
        sha256: &sha256,
        content: &content,
        created_at: by.now,
        created_by: by.author,
    };
    payout_files::insert(tx, by.workspace, &file).await?;
    let after = json!({
        "batch_id": batch.batch_id,
        "format": format.as_str(),
        "name": name,
        "row_count": row_count,
        "total": total,
        "currency": currency,
        "sha256": sha256,
    });
    Ok(Act { action: "file.made", object: "file", object_id: file_id.to_owned(), before: None, after: Some(after) })
}

/// A file in one line: name, payouts, total, checksum.
pub fn in_words(file: &PayoutFile) -> Result<String, StoreError> {
    let currency = file.currency()?;
    let payouts = if file.row_count == 1 { "payout" } else { "payouts" };
    let total = decimal_text(file.total, currency);
    Ok(format!("{}: {} {payouts}, {total} {currency}, sha256 {}", file.name, file.row_count, file.sha256))
}
