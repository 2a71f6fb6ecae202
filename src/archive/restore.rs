//! Putting archived events back into the database.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::format::{Event, Manifest};
use super::{Error, Shelf, aside, files, reading};
use crate::admin::Session;
use crate::intake::payload;
use crate::store::archives::{self, State};
use crate::store::events::shelf::{self, Row};
use crate::store::{Mode, StoreError, Urgency, WorkspaceId, events, workspaces};

/// What became of an archive that was to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Whether all of it was in the database before.
    pub was_there: bool,
}

impl Shelf {
    /// Puts the archives at a path back into the database: of a directory all, else the one that is named. Whoever does it
    /// again finds it done.
    ///
    /// # Errors
    /// [`Error`]; whatever was put back by then stays, and doing it again goes on.
    pub async fn restore(&self, path: &Path) -> Result<Vec<Restored>, Error> {
        let at = path.to_owned();
        let manifests = aside(move || files::manifests(&at)).await?;
        if manifests.is_empty() {
            return Err(Error::Refused(format!("there is no manifest of an archive in {}", path.display())));
        }
        let mut restored = Vec::new();
        for (path, manifest) in manifests {
            restored.push(self.restore_one(path.with_file_name(&manifest.file), manifest).await?);
        }
        Ok(restored)
    }

    async fn restore_one(&self, path: PathBuf, manifest: Manifest) -> Result<Restored, Error> {
        let book = self.begin_restoring(&path, &manifest).await?;
        let Some(book) = book else { return Ok(Restored { path, manifest, was_there: true }) };
        let from = path.clone();
        let mut reader = aside(move || files::open(&from)).await?;
        loop {
            let from = path.clone();
            let (next, page) = aside(move || reading::page(reader, &from)).await?;
            reader = next;
            if page.is_empty() {
                break;
            }
            self.put_back(book, &path, &manifest.month, page).await?;
        }
        let mut tx = self.db.write(Urgency::Background).await?;
        let held = archives::hold(&mut tx, book, &manifest.month).await?;
        let month = manifest.month.parse().map_err(|error| Error::broken(&path, error))?;
        let there = shelf::count(&mut tx, book, month).await?;
        if held.is_none_or(|held| held.state() != State::Restoring || held.events != there) {
            return Err(Error::Store(StoreError::Conflict));
        }
        archives::set_state(&mut tx, book, &manifest.month, State::Back).await?;
        tx.commit().await?;
        Ok(Restored { path, manifest, was_there: false })
    }

    /// Proves the file and says that it is being put back; nothing where it is back already.
    async fn begin_restoring(&self, path: &Path, manifest: &Manifest) -> Result<Option<(WorkspaceId, Mode)>, Error> {
        let mode: Mode = manifest.mode.parse().map_err(|error| Error::broken(path, error))?;
        let mut tx = self.db.read().await?;
        let workspace = workspaces::find(&mut tx, &manifest.workspace).await?;
        tx.rollback().await?;
        let unknown = || {
            Error::Refused(format!(
                "{}: this database knows of no archive of {} of the {mode} book of workspace {}",
                path.display(),
                manifest.month,
                manifest.workspace
            ))
        };
        let book = (workspace.ok_or_else(unknown)?, mode);
        let from = path.to_owned();
        let found = aside(move || files::check(&from)).await?;
        if found.file_sha256 != manifest.file_sha256 || found.content != manifest.content {
            return Err(Error::broken(path, "it is not what its manifest says: its hash differs"));
        }
        let mut session = Session::begin(&self.db, &self.clock, &self.ids, book, self.author.clone()).await?;
        let held = archives::hold(&mut session.tx, book, &manifest.month).await?.ok_or_else(unknown)?;
        let is_same = match held.content_sha256.as_str() {
            // Some of it is back already, and erased.
            "" => held.file_sha256 == found.file_sha256,
            sha256 => sha256 == found.content.sha256,
        };
        if held.state() != State::Back && !is_same {
            return Err(Error::broken(path, "it is another archive than the one that was made of this database"));
        }
        match held.state() {
            State::Back => return Ok(None),
            State::Restoring => {}
            State::Removing | State::Removed => {
                archives::set_state(&mut session.tx, book, &manifest.month, State::Restoring).await?;
                let said = json!({ "mode": mode.as_str(), "events": held.events, "file": held.file });
                session.audit(("events.restored", "archive"), &manifest.month, None, Some(said)).await?;
            }
        }
        session.commit().await?;
        Ok(Some(book))
    }

    async fn put_back(
        &self,
        book: (WorkspaceId, Mode),
        path: &Path,
        month: &str,
        page: Vec<Event>,
    ) -> Result<(), Error> {
        let rows = aside(move || Ok(page.into_iter().map(row).collect::<Vec<Row>>())).await?;
        let mut tx = self.db.write(Urgency::Background).await?;
        let held = archives::hold(&mut tx, book, month).await?;
        if held.is_none_or(|held| held.state() != State::Restoring) {
            return Err(Error::Store(StoreError::Conflict));
        }
        let known = events::locate(&mut tx, book.0, rows.iter().map(|row| row.event_id.as_str())).await?;
        let known: std::collections::HashSet<_> = known.into_iter().collect();
        if let Some(stranger) = rows.iter().find(|row| !known.contains(&row.located(book.1))) {
            return Err(Error::broken(path, format!("this database never had event {}", stranger.event_id)));
        }
        shelf::put_back(&mut tx, book, &rows).await?;
        let keys = rows.iter().map(|row| (row.event_id.as_str(), row.shape));
        self.ledger().erase_again(&mut tx, book, keys).await.map_err(|error| Error::broken(path, error))?;
        tx.commit().await?;
        Ok(())
    }
}

fn row(event: Event) -> Row {
    let (payload, payload_codec) = payload::pack(&event.body);
    Row {
        event_id: event.id,
        shape: event.shape,
        kind: event.kind,
        created_at: event.created_at,
        received_at: event.received_at,
        source: event.source,
        payload_codec,
        payload,
    }
}
