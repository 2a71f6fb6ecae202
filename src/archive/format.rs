//! What an archive looks like: a file of JSON lines, compressed, and a manifest that says how to tell that it is whole.
//!
//! `default-live-2026-01.jsonl.zst` has a line for each event, in the order in which they came, and
//! `default-live-2026-01.json` counts and hashes. Each manifest names the hash of the one before, so that none can be
//! exchanged or left out unnoticed.
//!
//! The body stands in `body` as text, byte for byte what Stripe sent; where it is no UTF-8, in `body_base64`.

use std::io::{self, BufRead, BufReader, Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::Mode;

/// How archives are compressed: they are written once, and read rarely.
const LEVEL: i32 = 6;

/// No line is longer: a body has at most a mebibyte from outside, and six times as much where all of it is escaped.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Which shape.
    pub shape: i64,
    /// `invoice.paid` and so on.
    pub kind: String,
    /// Stripe's `created`, in unix microseconds.
    pub created_at: i64,
    /// When the bridge got it, in unix microseconds.
    pub received_at: i64,
    /// By which way it came.
    pub source: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Event {
    fn place(&self) -> (i64, &str, i64) {
        (self.received_at, &self.id, self.shape)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    id: std::borrow::Cow<'a, str>,
    /// As text: not every reader of JSON keeps whole numbers of this size.
    shape: String,
    r#type: std::borrow::Cow<'a, str>,
    created_at: i64,
    received_at: i64,
    source: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The disk's answer, or zstd's.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// A line that is no event.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What was expected.
        why: String,
    },
    /// A manifest that is none.
    #[error("this is no manifest of an archive: {0}")]
    Manifest(String),
}

/// What an archive holds, and how to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: u32,
    /// The workspace's key.
    pub workspace: String,
    /// Which book, `live` or `test`.
    pub mode: String,
    /// The month in which the events came, `2026-01`, UTC.
    pub month: String,
    /// The file beside the manifest that has them.
    pub file: String,
    /// What is in it.
    pub content: Content,
    /// How long the file is.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub file_sha256: String,
    /// The archive of this book before it.
    pub previous: Option<Previous>,
}

/// What is in a file, before it was compressed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// How many events.
    pub events: u64,
    /// When the first one came, in unix microseconds.
    pub first_received_at: i64,
    /// When the last one came.
    pub last_received_at: i64,
    /// How long the lines are together.
    pub bytes: u64,
    /// SHA-256 of the lines.
    pub sha256: String,
}

/// The archive before another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its month.
    pub month: String,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
}

impl Manifest {
    /// The text of a manifest, always the same for the same archive.
    pub fn text(&self) -> String {
        // Texts and numbers alone: this cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// [`Broken::Manifest`].
    pub fn read(text: &[u8]) -> Result<Self, Broken> {
        let manifest: Self = serde_json::from_slice(text).map_err(|error| Broken::Manifest(error.to_string()))?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            return Err(Broken::Manifest(format!("format {format} is not known to this release")));
        }
        // It is looked for beside the manifest, and nowhere else.
        if manifest.file.is_empty() || manifest.file.contains(['/', '\\', '\0']) || manifest.file.starts_with('.') {
            return Err(Broken::Manifest(format!("{:?} is no file's name", manifest.file)));
        }
        if manifest.mode.parse::<Mode>().is_err() {
            return Err(Broken::Manifest(format!("{:?} is no mode", manifest.mode)));
        }
        Ok(manifest)
    }
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Counts and hashes what goes by.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.passed(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.passed(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What was written: the file's length and hash, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How long the file is.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub file_sha256: String,
    /// What is in it.
    pub content: Content,
}

/// Writes an archive, event by event.
pub struct Writer<W: Write> {
    lines: Hashing<zstd::Encoder<'static, Hashing<W>>>,
    content: Content,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    ///
    /// # Errors
    /// Those of zstd.
    pub fn new(file: W) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(Hashing::new(file), LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { lines: Hashing::new(encoder), content: Content::default() })
    }

    /// One more event; they come in order.
    ///
    /// # Errors
    /// Those of writing.
    pub fn push(&mut self, event: &Event) -> io::Result<()> {
        let text = std::str::from_utf8(&event.body).ok();
        let line = Line {
            id: event.id.as_str().into(),
            shape: event.shape.to_string(),
            r#type: event.kind.as_str().into(),
            created_at: event.created_at,
            received_at: event.received_at,
            source: event.source.as_str().into(),
            body: text.map(Into::into),
            body_base64: text.is_none().then(|| BASE64_STANDARD.encode(&event.body)),
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        self.lines.write_all(&line)?;
        self.content.saw(event.received_at);
        Ok(())
    }

    /// Ends it; gives back the file, which is not on disk yet.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<(W, Written)> {
        let Hashing { inner, hash, bytes } = self.lines;
        let file = inner.finish()?;
        let content = Content { bytes, sha256: hex::encode(hash.finalize()), ..self.content };
        let written = Written { file_bytes: file.bytes, file_sha256: hex::encode(file.hash.finalize()), content };
        Ok((file.inner, written))
    }
}

impl Content {
    fn saw(&mut self, received_at: i64) {
        if self.events == 0 {
            self.first_received_at = received_at;
        }
        self.last_received_at = received_at;
        self.events += 1;
    }
}

/// Reads an archive, event by event. What it is like is known only at the end: nothing may be done before that cannot
/// be undone.
pub struct Reader<R: Read> {
    lines: BufReader<Hashing<zstd::Decoder<'static, BufReader<Hashing<R>>>>>,
    content: Content,
    last: Option<(i64, String, i64)>,
}

impl<R: Read> Reader<R> {
    /// Begins one.
    ///
    /// # Errors
    /// Those of zstd.
    pub fn new(file: R) -> Result<Self, Broken> {
        let decoder = zstd::Decoder::new(Hashing::new(file))?;
        Ok(Self { lines: BufReader::new(Hashing::new(decoder)), content: Content::default(), last: None })
    }

    /// The next event, or nothing at the end.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        let mut line = Vec::new();
        (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let number = self.content.events + 1;
        let wrong = |why: &str| Broken::Line { line: number, why: why.to_owned() };
        if line.pop() != Some(b'\n') {
            return Err(wrong("it does not end, or is too long"));
        }
        let event = event_of(&line).map_err(|why| wrong(&why))?;
        let last = self.last.as_ref().map(|(received_at, id, shape)| (*received_at, id.as_str(), *shape));
        if last.is_some_and(|last| last >= event.place()) {
            return Err(wrong("it came before the line above it, or is there twice"));
        }
        self.content.saw(event.received_at);
        self.last = Some((event.received_at, event.id.clone(), event.shape));
        Ok(Some(event))
    }

    /// At the end: what was read.
    ///
    /// # Errors
    /// [`Broken`] where something is left.
    pub fn finish(self) -> Result<Written, Broken> {
        let Hashing { mut inner, hash, bytes } = self.lines.into_inner();
        if io::copy(&mut inner, &mut io::sink())? > 0 {
            return Err(Broken::Line { line: self.content.events + 1, why: "it was not read".to_owned() });
        }
        let mut file = inner.finish();
        io::copy(&mut file, &mut io::sink())?;
        let file = file.into_inner();
        let content = Content { bytes, sha256: hex::encode(hash.finalize()), ..self.content };
        Ok(Written { file_bytes: file.bytes, file_sha256: hex::encode(file.hash.finalize()), content })
    }
}

fn event_of(line: &[u8]) -> Result<Event, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let body = match (line.body, line.body_base64) {
        (Some(text), None) => text.into_owned().into_bytes(),
        (None, Some(text)) => BASE64_STANDARD.decode(text).map_err(|error| format!("body_base64: {error}"))?,
        _ => return Err("expected one of `body` and `body_base64`".to_owned()),
    };
    Ok(Event {
        id: line.id.into_owned(),
        shape: line.shape.parse().map_err(|_| format!("shape: {:?} is no whole number", line.shape))?,
        kind: line.r#type.into_owned(),
        created_at: line.created_at,
        received_at: line.received_at,
        source: line.source.into_owned(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64, body: &[u8]) -> Event {
        Event {
            id: format!("evt_{number}"),
            shape: i64::MIN + number,
            kind: "invoice.paid".to_owned(),
            created_at: -number,
            received_at: number,
            source: "webhook".to_owned(),
            body: body.to_vec(),
        }
    }

    fn archive(events: &[Event]) -> (Vec<u8>, Written) {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for event in events {
            writer.push(event).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(file: &[u8]) -> Result<(Vec<Event>, Written), Broken> {
        let mut reader = Reader::new(file)?;
        let mut events = Vec::new();
        while let Some(event) = reader.next_event()? {
            events.push(event);
        }
        Ok((events, reader.finish()?))
    }

    #[test]
    fn bodies_come_back_byte_for_byte() {
        let bodies: [&[u8]; 5] = [
            b"{\r\n \"a\": \"\\u0000 \\ud83d\\ude00\"}",
            "{\"ä\":\u{2028}1}".as_bytes(),
            b"",
            b"\xff\xfe\x00",
            b"\n\n",
        ];
        let events: Vec<Event> = (0..).zip(bodies).map(|(number, body)| event(number, body)).collect();
        let (file, written) = archive(&events);
        let (back, reread) = read(&file).unwrap();
        assert_eq!(back, events);
        assert_eq!(reread, written);
        assert_eq!(
            (written.content.events, written.content.first_received_at, written.content.last_received_at),
            (5, 0, 4)
        );
        assert_eq!(written.file_sha256, sha256(&file));
        assert_eq!(read(&archive(&[]).0).unwrap().0, []);
    }

    #[test]
    fn damage_is_an_error_or_another_hash() {
        let events: Vec<Event> = (0..50).map(|number| event(number, &[b'x'; 100])).collect();
        let (file, written) = archive(&events);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x41;
            let reread = read(&damaged).map(|(_, reread)| reread.file_sha256);
            assert!(reread.is_err() || reread.unwrap() != written.file_sha256, "byte {at}");
        }
        for length in 0..file.len() {
            let reread = read(&file[..length]).map(|(_, reread)| reread.file_sha256);
            assert!(reread.is_err() || reread.unwrap() != written.file_sha256, "{length} bytes");
        }
        // What stands behind it is seen, too.
        let mut longer = file.clone();
        longer.extend_from_slice(&archive(&[event(99, b"{}")]).0);
        assert_ne!(read(&longer).unwrap().1.file_sha256, written.file_sha256);
    }

    #[test]
    fn what_is_no_event_says_where() {
        let says = |lines: &str| {
            let file = zstd::encode_all(lines.as_bytes(), 1).unwrap();
            read(&file).unwrap_err().to_string()
        };
        let good =
            r#"{"id":"evt_1","shape":"1","type":"a","created_at":1,"received_at":1,"source":"poll","body":"{}"}"#;
        assert!(says(&format!("{good}\n{good}\n")).contains("line 2: it came before"));
        assert!(says(good).contains("line 1: it does not end"));
        assert!(says(&good.replace("\"1\"", "\"x\"").replace('}', "}\n")).contains("line 1"));
        assert!(says("{}\n").contains("missing field `id`"));
        assert!(says(&format!("{}\n", good.replace(r#","body":"{}""#, ""))).contains("expected one of `body`"));
        assert!(says("\n").contains("line 1"));
    }

    #[test]
    fn a_manifest_names_a_file_beside_it() {
        let (_, written) = archive(&[event(1, b"{}")]);
        let manifest = Manifest {
            format: FORMAT,
            workspace: "default".to_owned(),
            mode: "live".to_owned(),
            month: "2026-01".to_owned(),
            file: "default-live-2026-01.jsonl.zst".to_owned(),
            content: written.content,
            file_bytes: written.file_bytes,
            file_sha256: written.file_sha256,
            previous: Some(Previous { month: "2025-12".to_owned(), manifest_sha256: sha256(b"") }),
        };
        let text = manifest.text();
        assert_eq!(Manifest::read(text.as_bytes()).unwrap(), manifest);
        for (good, bad) in [
            ("\"format\": 1", "\"format\": 2"),
            ("default-live-2026-01.jsonl", "../default-live-2026-01.jsonl"),
            ("\"live\"", "\"dead\""),
            ("\"events\": 1", "\"events\": -1"),
        ] {
            assert!(text.contains(good));
            assert!(Manifest::read(text.replace(good, bad).as_bytes()).is_err(), "{bad}");
        }
    }
}
