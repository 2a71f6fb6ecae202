//! Archives on disk: written under another name, made durable, and only then called what they are.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::Error;
use super::format::{Event, Manifest, Reader, Writer, Written, sha256};

/// How the files of a month are called.
pub(super) fn names(workspace: &str, mode: &str, month: &str) -> (String, String) {
    (format!("{workspace}-{mode}-{month}.jsonl.zst"), format!("{workspace}-{mode}-{month}.json"))
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { path: path.clone(), source }
}

/// A file that is being written.
pub(super) struct Partial {
    writer: Writer<BufWriter<File>>,
    path: PathBuf,
}

impl Partial {
    /// Begins one in a directory. What an earlier run left there under this name is begun anew.
    pub(super) fn begin(directory: &Path, file: &str) -> Result<Self, Error> {
        let path = directory.join(format!(".{file}.part"));
        let begun = File::create(&path).and_then(|file| Writer::new(BufWriter::new(file)));
        Ok(Self { writer: begun.map_err(at(&path))?, path })
    }

    pub(super) fn push(&mut self, events: &[Event]) -> Result<(), Error> {
        events.iter().try_for_each(|event| self.writer.push(event)).map_err(at(&self.path))
    }

    /// Makes it durable, under its name. A file of that name with the same events is left as it is; one with others is
    /// somebody else's.
    pub(super) fn finish(self, directory: &Path, file: &str) -> Result<Written, Error> {
        let Self { writer, path } = self;
        let (inner, written) = writer.finish().map_err(at(&path))?;
        let inner = inner.into_inner().map_err(|error| at(&path)(error.into_error()))?;
        inner.sync_all().map_err(at(&path))?;
        let target = directory.join(file);
        if target.try_exists().map_err(at(&target))? {
            let there = check(&target)?;
            if there.content != written.content {
                return Err(Error::Refused(format!(
                    "{} is there already and holds other events: name another directory, or move it away",
                    target.display()
                )));
            }
            fs::remove_file(&path).map_err(at(&path))?;
            return Ok(there);
        }
        fs::rename(&path, &target).map_err(at(&target))?;
        sync_directory(directory)?;
        Ok(written)
    }
}

/// Writes a manifest; one that says the same is left as it is.
pub(super) fn put_manifest(directory: &Path, name: &str, manifest: &Manifest) -> Result<String, Error> {
    let (target, text) = (directory.join(name), manifest.text());
    if fs::read(&target).ok().as_deref() != Some(text.as_bytes()) {
        let part = directory.join(format!(".{name}.part"));
        let write = || {
            fs::write(&part, &text)?;
            File::open(&part)?.sync_all()?;
            fs::rename(&part, &target)
        };
        write().map_err(at(&target))?;
        sync_directory(directory)?;
    }
    Ok(sha256(text.as_bytes()))
}

fn sync_directory(directory: &Path) -> Result<(), Error> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(at(directory))
}

/// Opens an archive.
pub(super) fn open(path: &Path) -> Result<Reader<File>, Error> {
    let file = File::open(path).map_err(at(path))?;
    Reader::new(file).map_err(|error| Error::broken(path, error))
}

/// Reads an archive from end to end.
pub(super) fn check(path: &Path) -> Result<Written, Error> {
    let mut reader = open(path)?;
    let broken = |error| Error::broken(path, error);
    while reader.next_event().map_err(broken)?.is_some() {}
    reader.finish().map_err(broken)
}

/// The manifests at a path: of a directory all, of an archive or a manifest its own, in order of their names.
pub(super) fn manifests(path: &Path) -> Result<Vec<(PathBuf, Manifest)>, Error> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(at(path))? {
            let path = entry.map_err(at(path))?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !is_hidden && path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
        found.sort();
    } else {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.strip_suffix(".jsonl.zst").map_or(name.clone(), |stem| format!("{stem}.json"));
        found.push(path.with_file_name(name));
    }
    let read = |path: PathBuf| {
        let text = fs::read(&path).map_err(at(&path))?;
        let manifest = Manifest::read(&text).map_err(|error| Error::broken(&path, error))?;
        Ok((path, manifest))
    };
    found.into_iter().map(read).collect()
}
