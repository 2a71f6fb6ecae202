//! Reading a file of JSON lines into the inbox, with a progress bar.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

use super::Failure;
use super::context::Context;
use crate::intake::{Inbox, Incoming, SubmitError};
use crate::store::events::{self, EventStatus, Source};

/// How many lines share a transaction.
const GROUP: usize = 256;

/// What an import did.
#[derive(Debug, Default)]
pub struct Report {
    /// Events that were new.
    pub new: usize,
    /// Events that were known in that shape.
    pub duplicates: usize,
    /// Lines that are no events: number from 1, and why.
    pub refused: Vec<(usize, String)>,
    /// How many events of the workspace have which status now.
    pub became: Vec<(EventStatus, i64)>,
}

impl Report {
    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        let refused: Vec<serde_json::Value> =
            self.refused.iter().map(|(line, reason)| serde_json::json!({ "line": line, "reason": reason })).collect();
        let became: serde_json::Map<String, serde_json::Value> =
            self.became.iter().map(|(status, count)| (status.as_str().to_owned(), (*count).into())).collect();
        serde_json::json!({ "new": self.new, "duplicates": self.duplicates, "refused": refused, "events": became })
    }
}

/// A progress bar on standard error, where somebody looks.
pub fn progress(total: Option<u64>, unit: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{msg} {wide_bar} {percent}% {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {pos}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(unit);
    bar
}

/// Imports a file, or standard input for `-`, and records and settles what is in it.
pub async fn import(context: &Context, path: &Path) -> Result<Report, Failure> {
    let what = || format!("cannot read {}", path.display());
    let (reader, size): (Box<dyn AsyncBufRead + Unpin + Send>, Option<u64>) = if path == Path::new("-") {
        (Box::new(BufReader::new(tokio::io::stdin())), None)
    } else {
        let file = tokio::fs::File::open(path).await.map_err(Failure::system(what()))?;
        let size = file.metadata().await.ok().map(|metadata| metadata.len());
        (Box::new(BufReader::with_capacity(1 << 20, file)), size)
    };
    let (inbox, writer) = Inbox::start(context.db.clone(), context.clock.clone(), Arc::default());
    let bar = progress(size, "reading");
    let read = read_lines(context, &inbox, reader, &bar).await;
    bar.finish_and_clear();
    drop(inbox);
    let _ = writer.await;
    let mut report = read.map_err(|error| match error {
        Failure::System { source, .. } => Failure::System { what: what(), source },
        other => other,
    })?;
    let bar = progress(None, "settling");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    context.catch_up().await?;
    bar.finish_and_clear();
    let mut tx = context.db.read().await?;
    for status in EventStatus::ALL {
        let counts = events::counts(&mut tx, context.workspace).await?;
        let count: i64 = counts.iter().filter(|(_, of, _)| *of == status).map(|(_, _, count)| count).sum();
        if count > 0 {
            report.became.push((status, count));
        }
    }
    Ok(report)
}

async fn read_lines(
    context: &Context,
    inbox: &Inbox,
    mut reader: Box<dyn AsyncBufRead + Unpin + Send>,
    bar: &ProgressBar,
) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut group: Vec<(usize, Vec<u8>)> = Vec::with_capacity(GROUP);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line).await.map_err(Failure::system("read"))?;
        number += 1;
        bar.inc(length as u64);
        let is_end = length == 0;
        if !line.iter().all(u8::is_ascii_whitespace) {
            // A byte order mark at the start is Windows' way of saying UTF-8.
            let body = line.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(line);
            group.push((number, body));
        }
        if group.len() == GROUP || (is_end && !group.is_empty()) {
            store(context, inbox, &mut group, &mut report).await?;
        }
        if is_end {
            return Ok(report);
        }
    }
}

/// Stores a group in one transaction; if a line in it is no event, line by line, so that the rest goes in.
async fn store(
    context: &Context,
    inbox: &Inbox,
    group: &mut Vec<(usize, Vec<u8>)>,
    report: &mut Report,
) -> Result<(), Failure> {
    let incoming = |body| Incoming { workspace: context.workspace, source: Source::Import, body };
    let bodies: Vec<Incoming<'_>> = group.iter().map(|(_, body)| incoming(body.as_slice())).collect();
    match inbox.import(&bodies).await {
        Ok(imported) => {
            report.new += imported.new;
            report.duplicates += imported.duplicates;
        }
        Err(SubmitError::NotAnEvent(_)) => {
            for (number, body) in group.iter() {
                match inbox.import(&[incoming(body.as_slice())]).await {
                    Ok(imported) => {
                        report.new += imported.new;
                        report.duplicates += imported.duplicates;
                    }
                    Err(SubmitError::NotAnEvent(error)) => report.refused.push((*number, error.to_string())),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(error) => return Err(error.into()),
    }
    group.clear();
    Ok(())
}
