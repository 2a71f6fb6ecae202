//! Archives on disk: written under another name, made durable, and only then called what they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
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

/// Opens a file that is renamed once it is whole, empty, to be written by nobody else until it is closed: of two who
/// archive the same month, in this process or in another, the second waits. Whoever is killed lets go of it.
fn alone(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match file.lock() {
            Ok(()) => {}
            // Some network drives have no locks.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        // Whoever was waited for has renamed or removed it since: then what is open is not what has this name.
        let open = file.metadata()?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (open.dev(), open.ino()) => {
                file.set_len(0)?;
                return Ok(file);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
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
        let begun = alone(&path).and_then(|file| Writer::new(BufWriter::new(file)));
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
            make_durable(&target)?;
            return Ok(there);
        }
        fs::rename(&path, &target).map_err(at(&target))?;
        make_durable(&target)?;
        Ok(written)
    }
}

/// Writes a manifest; one that says the same is left as it is.
pub(super) fn put_manifest(directory: &Path, name: &str, manifest: &Manifest) -> Result<String, Error> {
    let (target, text) = (directory.join(name), manifest.text());
    if fs::read(&target).ok().as_deref() != Some(text.as_bytes()) {
        let part = directory.join(format!(".{name}.part"));
        let write = || {
            let mut file = alone(&part)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &target)
        };
        write().map_err(at(&target))?;
    }
    make_durable(&target)?;
    Ok(sha256(text.as_bytes()))
}

/// Makes a file and its name survive a loss of power. What was found to be there needs this, too: whoever put it there may
/// have been killed before, or have copied it.
pub(super) fn make_durable(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn events(from: i64) -> Vec<Event> {
        let event = |number| Event {
            id: format!("evt_{number}"),
            shape: 1,
            kind: "invoice.paid".to_owned(),
            created_at: number,
            received_at: number,
            source: "webhook".to_owned(),
            body: sha256(&number.to_be_bytes()).into_bytes(),
        };
        (from..from + 2_000).map(event).collect()
    }

    const FILE: &str = "default-live-2026-10.jsonl.zst";

    #[test]
    fn two_who_write_the_same_file_do_so_one_after_the_other() {
        let kept = tempfile::tempdir().unwrap();
        let directory = kept.path();
        let mut first = Partial::begin(directory, FILE).unwrap();
        first.push(&events(0)).unwrap();
        std::thread::scope(|scope| {
            let (say, heard) = mpsc::channel();
            let second = scope.spawn(move || {
                say.send(()).unwrap();
                let mut second = Partial::begin(directory, FILE)?;
                [0, 2_000].into_iter().try_for_each(|from| second.push(&events(from)))?;
                second.finish(directory, FILE)
            });
            heard.recv().unwrap();
            let part = File::open(directory.join(format!(".{FILE}.part"))).unwrap();
            assert!(matches!(part.try_lock(), Err(fs::TryLockError::WouldBlock)));
            first.push(&events(2_000)).unwrap();
            let written = first.finish(directory, FILE).unwrap();
            // It began anew, and found what was there to be what it would have written.
            assert_eq!(second.join().unwrap().unwrap(), written);
            assert_eq!(check(&directory.join(FILE)).unwrap(), written);
            assert_eq!(written.content.events, 4_000);
        });
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1);
    }

    #[test]
    fn whoever_was_killed_leaves_a_part_that_is_begun_anew() {
        let kept = tempfile::tempdir().unwrap();
        Partial::begin(kept.path(), FILE).unwrap().push(&events(0)).unwrap();
        let mut next = Partial::begin(kept.path(), FILE).unwrap();
        next.push(&events(10)[..1]).unwrap();
        let written = next.finish(kept.path(), FILE).unwrap();
        assert_eq!((written.content.events, check(&kept.path().join(FILE)).unwrap()), (1, written));
    }
}
