//! Old months of raw events, as files: [`Shelf::archive`] puts a month of a book into a file, proves the file, and only
//! then removes the events from the database; [`Shelf::restore`] puts them back. What makes an event known stays, so that
//! it is a duplicate for ever, and the ledger's proof reads the files instead.
//!
//! Each step is a row's state (`archives`), so that whoever is killed is followed by whoever runs the same command again.

pub mod format;

mod files;
mod reading;
mod restore;

pub use reading::{Opened, loose, open};
pub use restore::Restored;

use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use serde_json::json;

use crate::admin::Session;
use crate::clock::Clock;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::ids::Ids;
use crate::intake::payload;
use crate::ledger::Ledger;
use crate::store::archives::{self, Archive, NewArchive, State};
use crate::store::events::shelf::{self, Row};
use crate::store::{Db, Mode, RemovedMonth, StoreError, Urgency, WorkspaceId, workspaces};
use format::{Event, FORMAT, Manifest, Previous, Written};

/// A month is put into a file this long after its end at the earliest: by then Stripe sends nothing of it again, keeps
/// none of its events any more, and whatever could not be read had time to be seen.
pub const YOUNGEST: TimeDelta = TimeDelta::days(31);

/// Events that are read, written and removed at once.
const PAGE: i64 = 500;

/// Why a month was not put into a file, or taken back; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that is not what it should be.
    #[error("{}: {why}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What is asked for does not go together with what is there.
    #[error("{0}")]
    Refused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    fn broken(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Broken { path: path.to_owned(), why: error.to_string() }
    }
}

/// A month of a book that could be put into a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Its key.
    pub key: String,
    /// Which book.
    pub mode: Mode,
    /// The month (UTC).
    pub month: Month,
    /// How many of its events are in the database.
    pub events: i64,
    /// Why it stays where it is.
    pub obstacle: Option<String>,
    state: Option<State>,
}

/// What became of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub archive: Archive,
}

/// Puts months into a directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Where the events are.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// Who does it, for the audit log.
    pub author: String,
}

impl Shelf {
    fn ledger(&self) -> Ledger {
        Ledger { db: self.db.clone(), clock: self.clock.clone(), ids: self.ids.clone() }
    }
}

/// Works off the threads that answer webhooks.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Refused(error.to_string()))?
}

/// The first month that may not be put into a file yet.
pub fn first_young(now: Time) -> Month {
    shelf::month_at(now - YOUNGEST)
}

impl Shelf {
    /// The months before one that have events in the database, and what is in the way of each.
    ///
    /// # Errors
    /// [`Error::Refused`] where months are meant that are too young.
    pub async fn plan(&self, whose: &[(WorkspaceId, String)], before: Month) -> Result<Vec<Planned>, Error> {
        let young = first_young(self.clock.now());
        if before > young {
            return Err(Error::Refused(format!(
                "a month can be archived {} days after its end: --before {young} at the latest",
                YOUNGEST.num_days()
            )));
        }
        let mut planned = Vec::new();
        for (workspace, key) in whose {
            for mode in Mode::ALL {
                self.plan_book(&mut planned, (*workspace, mode), key, before).await?;
            }
        }
        planned.sort_by(|a, b| (a.month, &a.key, a.mode).cmp(&(b.month, &b.key, b.mode)));
        Ok(planned)
    }

    async fn plan_book(
        &self,
        planned: &mut Vec<Planned>,
        book: (WorkspaceId, Mode),
        key: &str,
        before: Month,
    ) -> Result<(), Error> {
        let (workspace, mode) = book;
        let mut tx = self.db.read().await?;
        let archives = archives::all(&mut tx, workspace).await?;
        let mut months = shelf::months(&mut tx, book, before).await?;
        // Those whose events are gone, but where somebody was killed before saying so.
        let begun = archives.iter().filter(|archive| archive.mode() == mode && archive.state() == State::Removing);
        months.extend(begun.filter_map(|archive| archive.month.parse::<Month>().ok()));
        months.sort_unstable();
        months.dedup();
        for month in months {
            let text = month.to_string();
            let known = archives.iter().find(|archive| archive.mode() == mode && archive.month == text);
            let events = shelf::count(&mut tx, book, month).await?;
            let (pending, failed) = shelf::open(&mut tx, book, month).await?;
            let state = known.map(Archive::state);
            let obstacle = match state {
                Some(State::Restoring) => Some("it is being put back: finish that first (events restore)".to_owned()),
                Some(State::Removed) => Some(
                    "it is in an archive, and more events of this month came later: report this as a fault".to_owned(),
                ),
                _ if pending > 0 => Some(format!("{pending} of its events were not read yet")),
                _ if failed > 0 => Some(format!(
                    "{failed} of its events could not be read: see events list --status failed --mode {mode}"
                )),
                _ => None,
            };
            planned.push(Planned { workspace, key: key.to_owned(), mode, month, events, obstacle, state });
        }
        tx.rollback().await?;
        Ok(())
    }

    /// Puts a month into a file, reads the file again and compares it with the database; from then on its events are
    /// going to be removed: see [`Shelf::remove`].
    ///
    /// # Errors
    /// [`Error`]; nothing was removed.
    pub async fn archive(&self, planned: &Planned, directory: &Path) -> Result<Archived, Error> {
        if let Some(obstacle) = &planned.obstacle {
            return Err(Error::Refused(obstacle.clone()));
        }
        let book = (planned.workspace, planned.mode);
        let month = planned.month.to_string();
        let mut tx = self.db.read().await?;
        let before: Vec<Archive> = archives::all(&mut tx, planned.workspace).await?;
        tx.rollback().await?;
        let before: Vec<Archive> = before.into_iter().filter(|archive| archive.mode() == planned.mode).collect();
        if let Some(begun) = before.iter().find(|archive| archive.month == month && archive.state() == State::Removing)
        {
            return Self::proven(begun.clone(), directory).await;
        }
        let (file, manifest_name) = files::names(&planned.key, planned.mode.as_str(), &month);
        let (written, about_nobody) = self.write(planned, directory, &file).await?;
        self.compare(planned, directory, &file, &written).await?;
        let previous = before.iter().rev().find(|archive| archive.month < month);
        let manifest = Manifest {
            format: FORMAT,
            workspace: planned.key.clone(),
            mode: planned.mode.to_string(),
            month: month.clone(),
            file: file.clone(),
            content: written.content.clone(),
            file_bytes: written.file_bytes,
            file_sha256: written.file_sha256.clone(),
            previous: previous.map(|archive| Previous {
                month: archive.month.clone(),
                manifest_sha256: archive.manifest_sha256.clone(),
            }),
        };
        let to = directory.to_owned();
        let manifest_sha256 = aside(move || files::put_manifest(&to, &manifest_name, &manifest)).await?;
        let content = &written.content;
        let new = NewArchive {
            mode: planned.mode,
            month: &month,
            file: &file,
            events: i64::try_from(content.events).unwrap_or(i64::MAX),
            about_nobody,
            received: (
                crate::clock::from_micros(content.first_received_at),
                crate::clock::from_micros(content.last_received_at),
            ),
            file_bytes: i64::try_from(written.file_bytes).unwrap_or(i64::MAX),
            file_sha256: &written.file_sha256,
            content_sha256: &content.sha256,
            manifest_sha256: &manifest_sha256,
        };
        self.begin_removing(book, planned.month, &new).await?;
        let mut tx = self.db.read().await?;
        let archive = archives::all(&mut tx, planned.workspace).await?;
        tx.rollback().await?;
        let archive = archive.into_iter().find(|archive| archive.mode() == planned.mode && archive.month == month);
        let archive = archive.ok_or(StoreError::Conflict)?;
        Ok(Archived { path: directory.join(file), archive })
    }

    /// Somebody was killed while removing: the file must be there still, and be the one.
    async fn proven(begun: Archive, directory: &Path) -> Result<Archived, Error> {
        let path = directory.join(&begun.file);
        let file = path.clone();
        let found = aside(move || {
            files::make_durable(&file)?;
            files::check(&file)
        })
        .await?;
        if found.file_sha256 != begun.file_sha256 || found.content.sha256 != begun.content_sha256 {
            return Err(Error::broken(&path, "it is not the archive that was begun: its hash differs"));
        }
        Ok(Archived { path, archive: begun })
    }

    /// Writes the file; tells what it is like, and how many of its events belong to no customer.
    async fn write(&self, planned: &Planned, directory: &Path, file: &str) -> Result<(Written, i64), Error> {
        let book = (planned.workspace, planned.mode);
        let (to, name) = (directory.to_owned(), file.to_owned());
        let mut partial = aside(move || files::Partial::begin(&to, &name)).await?;
        let (mut after, mut about_nobody) = (None, 0_i64);
        loop {
            let mut tx = self.db.read().await?;
            let page = shelf::page(&mut tx, book, planned.month, after.as_ref(), PAGE).await?;
            about_nobody += shelf::recorded_about_nobody(&mut tx, planned.workspace, &page).await?;
            tx.rollback().await?;
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            partial = aside(move || {
                partial.push(&page.iter().map(event).collect::<Result<Vec<_>, _>>()?)?;
                Ok(partial)
            })
            .await?;
        }
        let (to, name) = (directory.to_owned(), file.to_owned());
        Ok((aside(move || partial.finish(&to, &name)).await?, about_nobody))
    }

    /// Reads the file from disk and compares each event with the database.
    async fn compare(&self, planned: &Planned, directory: &Path, file: &str, written: &Written) -> Result<(), Error> {
        let path = directory.join(file);
        let differs = || Error::broken(&path, "what was written is not what the database has; nothing was removed");
        let from = path.clone();
        let mut reader = aside(move || files::open(&from)).await?;
        loop {
            let from = path.clone();
            let (next, events) = aside(move || reading::page(reader, &from)).await?;
            reader = next;
            if events.is_empty() {
                break;
            }
            let places: Vec<_> = events.iter().map(|event| reading::located(event, planned.mode)).collect();
            let mut tx = self.db.read().await?;
            let mut rows = shelf::rows_at(&mut tx, planned.workspace, &places).await?;
            tx.rollback().await?;
            rows.sort_unstable_by(|a, b| {
                (a.received_at, &a.event_id, a.shape).cmp(&(b.received_at, &b.event_id, b.shape))
            });
            let is_same = aside(move || Ok(rows.iter().map(event).collect::<Result<Vec<_>, _>>()? == events)).await?;
            if !is_same {
                return Err(differs());
            }
        }
        let from = path.clone();
        let reread = aside(move || reader.finish().map_err(|error| Error::broken(&from, error))).await?;
        let mut tx = self.db.read().await?;
        let there = shelf::count(&mut tx, (planned.workspace, planned.mode), planned.month).await?;
        tx.rollback().await?;
        if reread != *written || u64::try_from(there).ok() != Some(written.content.events) {
            return Err(differs());
        }
        Ok(())
    }

    async fn begin_removing(&self, book: (WorkspaceId, Mode), month: Month, new: &NewArchive<'_>) -> Result<(), Error> {
        let mut session = Session::begin(&self.db, &self.clock, &self.ids, book, self.author.clone()).await?;
        // Whoever has an event read again holds this, too.
        workspaces::lock(&mut session.tx, book.0, workspaces::RECORDER).await?;
        if shelf::open(&mut session.tx, book, month).await? != (0, 0) {
            return Err(Error::Refused(format!(
                "{month} ({}): some of its events are to be read again since; nothing was removed",
                book.1
            )));
        }
        match archives::hold(&mut session.tx, book, new.month).await? {
            None => {}
            // Where something of it was erased, it is another file.
            Some(known)
                if known.state() == State::Back
                    && (known.content_sha256.is_empty() || known.content_sha256 == new.content_sha256) => {}
            Some(known) if known.state() == State::Back => {
                return Err(Error::Refused(format!(
                    "{month} ({}): its events are not those that were archived before (SHA-256 {}); nothing was removed",
                    book.1, known.content_sha256
                )));
            }
            Some(_) => return Err(Error::Store(StoreError::Conflict)),
        }
        archives::put(&mut session.tx, book.0, new, session.now).await?;
        let said = json!({
            "mode": book.1.as_str(), "events": new.events, "file": new.file, "sha256": new.file_sha256,
        });
        session.audit(("events.archived", "archive"), new.month, None, Some(said)).await?;
        session.commit().await?;
        Ok(())
    }

    /// Removes a month's events that are in files: on `PostgreSQL` the whole table at once, where every book's are.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, month: Month, books: &[(WorkspaceId, Mode)]) -> Result<(), Error> {
        let whole = self.db.remove_month(month).await? == RemovedMonth::Whole;
        for book in books {
            while !whole && self.remove_some(*book, month).await? {}
            let mut tx = self.db.write(Urgency::Background).await?;
            let held = archives::hold(&mut tx, *book, &month.to_string()).await?;
            if held.is_some_and(|held| held.state() == State::Removing)
                && shelf::count(&mut tx, *book, month).await? == 0
            {
                archives::set_state(&mut tx, *book, &month.to_string(), State::Removed).await?;
            }
            tx.commit().await?;
        }
        if !whole {
            // The last book leaves an empty table.
            self.db.remove_month(month).await?;
        }
        Ok(())
    }

    async fn remove_some(&self, book: (WorkspaceId, Mode), month: Month) -> Result<bool, Error> {
        let mut tx = self.db.write(Urgency::Background).await?;
        let held = archives::hold(&mut tx, book, &month.to_string()).await?;
        if held.is_none_or(|held| held.state() != State::Removing) {
            return Ok(false);
        }
        let removed = shelf::remove(&mut tx, book, month, PAGE).await?;
        tx.commit().await?;
        Ok(removed > 0)
    }
}

/// An event as it is written down.
fn event(row: &Row) -> Result<Event, Error> {
    let body = payload::unpack(&row.payload, row.payload_codec).map_err(|damaged| {
        Error::Refused(format!("event {}: {damaged}; its month cannot be archived", row.event_id))
    })?;
    Ok(Event {
        id: row.event_id.clone(),
        shape: row.shape,
        kind: row.kind.clone(),
        created_at: row.created_at,
        received_at: row.received_at,
        source: row.source.clone(),
        body,
    })
}
