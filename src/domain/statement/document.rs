//! A statement as a file that proves itself.
//!
//! The file is JSON, and text of which every line is hashed but the last:
//!
//! ```text
//! {"format":"commission-bridge/statement/1",
//! "statement":"st_0198…",
//! …                                     a field to a line, always the same fields in the same order
//! "lines":[
//! {"entry":"ent_0198…","date":"2026-10-03T09:12:44Z",…},
//! {"entry":"ent_0199…",…}               an entry to a line, in order of their ids
//! ],
//! "refused":[
//! ],
//! "sha256":"7d0a…"}                     SHA-256, in hex, of every byte before this line
//! ```
//!
//! Amounts are whole minor units (`exponent` says how many decimals the currency has), times RFC 3339 in UTC, lines end
//! with a line feed, nothing is indented, and what is not known is left out of a line. So anybody can check it:
//!
//! ```text
//! sed '$d' statement.json | sha256sum        is what `jq -r .sha256 statement.json` prints
//! jq '[.lines[].amount] | add' statement.json        is closing − opening
//! jq -r .previous_sha256 statement.json      is the sha256 of the partner's statement before
//! ```

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Line, Refused, Statement};

/// The format that this release writes.
pub const FORMAT: &str = "commission-bridge/statement/1";

/// How the lines begin; no text in JSON holds a line feed, so that it stands nowhere else.
const LINES: &[u8] = b"\n\"lines\":[\n";

/// How the last line begins.
const SEAL: &[u8] = b"\n\"sha256\":\"";

/// A statement that never changes any more, with the bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// What it says.
    pub statement: Statement,
    /// SHA-256 of `document`, in hex.
    pub sha256: String,
    /// Every byte of the file but the last line.
    pub document: Vec<u8>,
}

/// Why a file is no statement, or not the one that was frozen; each says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not end as a statement does.
    #[error("it is no statement, or not all of it: the last line should be \"sha256\":\"…\"}}")]
    NotSealed,
    /// An editor or a mail program turned the line ends.
    #[error(
        "its line ends were changed to CR LF on the way: save the attachment itself, or turn them back with `tr -d '\\r'`"
    )]
    LineEnds,
    /// Something was changed.
    #[error("it was changed after it was frozen: it says SHA-256 {said}, its content has {found}")]
    Changed {
        /// What the last line says.
        said: String,
        /// What the bytes come to.
        found: String,
    },
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A later release wrote it.
    #[error("its format is {0:?}; this release reads {FORMAT:?}")]
    Format(String),
    /// The hash is right, but no release writes it like that.
    #[error("it is not written as a statement is: its hash is right, but somebody else made it")]
    NotCanonical,
}

impl Frozen {
    /// Freezes a statement.
    ///
    /// # Errors
    /// [`Broken::Unreadable`] where it cannot be written as JSON, which no statement is known to be.
    pub fn new(statement: Statement) -> Result<Self, Broken> {
        let document = write(&statement).map_err(|error| Broken::Unreadable(error.to_string()))?;
        let sha256 = hash(&document);
        Ok(Self { statement, sha256, document })
    }

    /// Reads what was hashed, as a database keeps it. Whether it is written as a statement is, [`Frozen::of_file`] says.
    ///
    /// # Errors
    /// [`Broken`] where it cannot be read.
    pub fn of_document(document: Vec<u8>) -> Result<Self, Broken> {
        let statement = read(&document)?;
        let sha256 = hash(&document);
        Ok(Self { statement, sha256, document })
    }

    /// Reads a file, and proves that it is as it was frozen: to the byte, in the form that statements have.
    ///
    /// # Errors
    /// [`Broken`], with what is wrong.
    pub fn of_file(file: &[u8]) -> Result<Self, Broken> {
        let seal = find_last(file, SEAL).ok_or(Broken::NotSealed)?;
        let (document, last) = file.split_at(seal + 1);
        let said = last.strip_prefix(&SEAL[1..]).and_then(|rest| rest.strip_suffix(b"\"}\n")).unwrap_or_default();
        let said = std::str::from_utf8(said).unwrap_or_default();
        if said.len() != 64 || !said.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let is_turned = file.ends_with(b"\r\n");
            return Err(if is_turned { Broken::LineEnds } else { Broken::NotSealed });
        }
        let found = hash(document);
        if found != said {
            return Err(Broken::Changed { said: said.to_owned(), found });
        }
        let frozen = Self::of_document(document.to_vec())?;
        let again = write(&frozen.statement).map_err(|error| Broken::Unreadable(error.to_string()))?;
        if again == document { Ok(frozen) } else { Err(Broken::NotCanonical) }
    }

    /// The file: what is sent to the partner.
    pub fn file(&self) -> Vec<u8> {
        let mut file = self.document.clone();
        file.extend_from_slice(&SEAL[1..]);
        file.extend_from_slice(self.sha256.as_bytes());
        file.extend_from_slice(b"\"}\n");
        file
    }
}

/// A document's figures and breakdown, without its lines, from as much of its beginning as holds them; nothing where
/// the lines have not begun yet.
///
/// # Errors
/// [`Broken`] where it cannot be read.
pub fn head(document: &[u8]) -> Result<Option<Statement>, Broken> {
    let Some(end) = find(document, LINES) else { return Ok(None) };
    let mut json = document[..end].to_vec();
    json.extend_from_slice(b"\"lines\":[],\"refused\":[]}");
    parse(&json).map(Some)
}

fn read(document: &[u8]) -> Result<Statement, Broken> {
    let fields = document.strip_suffix(b",\n").ok_or(Broken::NotSealed)?;
    let mut json = Vec::with_capacity(fields.len() + 1);
    json.extend_from_slice(fields);
    json.push(b'}');
    parse(&json)
}

fn parse(json: &[u8]) -> Result<Statement, Broken> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: String,
    }
    let read: Result<Statement, serde_json::Error> = serde_json::from_slice(json);
    match read {
        Ok(statement) if statement.format == FORMAT => Ok(statement),
        Ok(statement) => Err(Broken::Format(statement.format)),
        Err(error) => match serde_json::from_slice(json) {
            Ok(Version { format }) if format != FORMAT => Err(Broken::Format(format)),
            _ => Err(Broken::Unreadable(error.to_string())),
        },
    }
}

fn write(statement: &Statement) -> Result<Vec<u8>, serde_json::Error> {
    // Taken apart, so that the compiler misses a field that is not written.
    let Statement {
        format,
        statement,
        workspace,
        mode,
        month,
        time_zone,
        period_start,
        period_end,
        cut_off,
        partner,
        partner_name,
        currency,
        exponent,
        previous_sha256,
        opening,
        earned,
        reversed,
        adjusted,
        paid,
        closing,
        to_be_paid,
        rolled_over,
        held,
        pending,
        payouts,
        on_hold,
        lines,
        refused,
    } = statement;
    let mut out = Out(Vec::with_capacity(1024 + 400 * lines.len()));
    out.0.push(b'{');
    out.field("format", format)?;
    out.field("statement", statement)?;
    out.field("workspace", workspace)?;
    out.field("mode", mode)?;
    out.field("month", &month.to_string())?;
    out.field("time_zone", time_zone)?;
    out.field("period_start", period_start)?;
    out.field("period_end", period_end)?;
    out.field("cut_off", cut_off)?;
    out.field("partner", partner)?;
    out.field("partner_name", partner_name)?;
    out.field("currency", currency)?;
    out.field("exponent", exponent)?;
    out.field("previous_sha256", previous_sha256)?;
    for (name, figure) in [
        ("opening", opening),
        ("earned", earned),
        ("reversed", reversed),
        ("adjusted", adjusted),
        ("paid", paid),
        ("closing", closing),
        ("to_be_paid", to_be_paid),
        ("rolled_over", rolled_over),
        ("held", held),
        ("pending", pending),
    ] {
        out.field(name, figure)?;
    }
    out.field("payouts", payouts)?;
    out.field("on_hold", on_hold)?;
    out.list::<Line>("lines", lines)?;
    out.list::<Refused>("refused", refused)?;
    Ok(out.0)
}

struct Out(Vec<u8>);

impl Out {
    fn field(&mut self, name: &str, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.name(name);
        serde_json::to_writer(&mut self.0, value)?;
        self.0.extend_from_slice(b",\n");
        Ok(())
    }

    fn list<T: Serialize>(&mut self, name: &str, items: &[T]) -> Result<(), serde_json::Error> {
        self.name(name);
        self.0.push(b'[');
        for (number, item) in items.iter().enumerate() {
            self.0.extend_from_slice(if number == 0 { b"\n" } else { b",\n" });
            serde_json::to_writer(&mut self.0, item)?;
        }
        self.0.extend_from_slice(b"\n],\n");
        Ok(())
    }

    fn name(&mut self, name: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

fn hash(document: &[u8]) -> String {
    hex::encode(Sha256::digest(document))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn find_last(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}
