//! Reading archives page by page, and finding those that belong to a workspace.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::format::{Event, Reader, sha256};
use super::{Error, PAGE, aside, files};
use crate::store::Mode;
use crate::store::archives::Archive;
use crate::store::events::Located;

/// The next events of an archive; none at its end.
pub(super) fn page(mut reader: Reader<File>, path: &Path) -> Result<(Reader<File>, Vec<Event>), Error> {
    let mut events = Vec::new();
    while events.len() < usize::try_from(PAGE).unwrap_or(1) {
        match reader.next_event().map_err(|error| Error::broken(path, error))? {
            Some(event) => events.push(event),
            None => break,
        }
    }
    Ok((reader, events))
}

/// Where an event lay.
pub(super) fn located(event: &Event, mode: Mode) -> Located {
    Located::new(mode, event.received_at, event.id.clone(), event.shape)
}

/// An archive that was found and is proven to be the one.
pub struct Opened {
    /// The file.
    pub path: PathBuf,
    reader: Reader<File>,
}

/// Opens the file of a month, after reading it from end to end.
///
/// # Errors
/// [`Error::Disk`] where it is not in the directory; [`Error::Broken`] where it is not what was archived.
pub async fn open(directory: &Path, archive: &Archive) -> Result<Opened, Error> {
    let path = directory.join(&archive.file);
    let (file_sha256, content_sha256) = (archive.file_sha256.clone(), archive.content_sha256.clone());
    aside(move || {
        let found = files::check(&path)?;
        // Another release may have compressed the same events otherwise.
        if found.file_sha256 != file_sha256 && found.content.sha256 != content_sha256 {
            let why = format!("it is not what was archived: its SHA-256 is {}, not {file_sha256}", found.file_sha256);
            return Err(Error::broken(&path, why));
        }
        let reader = files::open(&path)?;
        Ok(Opened { path, reader })
    })
    .await
}

impl Opened {
    /// The next events; none at the end.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn page(self) -> Result<(Self, Vec<Event>), Error> {
        aside(move || {
            let Self { path, reader } = self;
            let (reader, events) = page(reader, &path)?;
            Ok((Self { path, reader }, events))
        })
        .await
    }
}

/// The manifests in a directory whose place in the chain is broken: each is there and whole, and the one that it names is
/// there as well and has the hash that it names, or is one that the database knows of: it was written anew since.
///
/// # Errors
/// [`Error`] for what cannot be read.
pub async fn loose(directory: &Path, known: &[Archive]) -> Result<Vec<String>, Error> {
    let directory = directory.to_owned();
    let known: HashSet<String> = known.iter().map(|archive| archive.manifest_sha256.clone()).collect();
    aside(move || {
        let found = files::manifests(&directory)?;
        let mut hashes: HashMap<(String, String, String), String> = HashMap::new();
        for (_, manifest) in &found {
            let key = (manifest.workspace.clone(), manifest.mode.clone(), manifest.month.clone());
            hashes.insert(key, sha256(manifest.text().as_bytes()));
        }
        let mut loose = Vec::new();
        for (path, manifest) in &found {
            let Some(previous) = &manifest.previous else { continue };
            let key = (manifest.workspace.clone(), manifest.mode.clone(), previous.month.clone());
            let why = match hashes.get(&key) {
                Some(hash) if *hash == previous.manifest_sha256 || known.contains(hash) => continue,
                Some(_) => "is another than it names",
                None => "is not there",
            };
            loose.push(format!("{}: the archive of {} before it {why}", path.display(), previous.month));
        }
        Ok(loose)
    })
    .await
}
