//! `events archive` and `events restore`: old months of raw events into files, and back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::out::{note, outln};
use super::table::{self, Align, Rows, many};
use crate::archive::{Archived, Error, Planned, Shelf, first_young};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::calendar::Month;
use crate::ids::Ids;
use crate::store::{Db, WorkspaceId, workspaces};

#[derive(Debug, Args)]
pub struct Archive {
    /// Months before this one (UTC) [default: all that ended 31 days ago or earlier]
    #[arg(long, value_name = "MONTH")]
    before: Option<Month>,
    /// The directory to put the files into; it must be there
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    to: Option<PathBuf>,
    /// Only this workspace [default: all]
    #[arg(long, value_name = "KEY")]
    workspace: Option<String>,
    /// Say what would be archived, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// An archive, or a directory of archives
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

async fn shelf(config: &Config) -> Result<Shelf, Failure> {
    let db = Db::open(&config.database_url).await?;
    Ok(Shelf { db, clock: Clock::machine(), ids: Ids::random(), author: "cli".to_owned() })
}

async fn whose(shelf: &Shelf, key: Option<&str>) -> Result<Vec<(WorkspaceId, String)>, Failure> {
    let mut tx = shelf.db.read().await?;
    let mut all = workspaces::all(&mut tx).await?;
    if let Some(key) = key {
        all.retain(|(_, of)| of == key);
        if all.is_empty() {
            return Err(Failure::Said(format!("there is no workspace {key:?}")));
        }
    }
    Ok(all)
}

pub async fn archive(config: &Config, arguments: &Archive) -> Result<(), Failure> {
    let shelf = shelf(config).await?;
    let whose = whose(&shelf, arguments.workspace.as_deref()).await?;
    let before = arguments.before.unwrap_or_else(|| first_young(shelf.clock.now()));
    let planned = shelf.plan(&whose, before).await.map_err(said)?;
    let mut done: Vec<(Planned, Option<Archived>)> = Vec::new();
    if let Some(directory) = arguments.to.as_ref().filter(|_| !arguments.dry_run) {
        if !directory.is_dir() {
            return Err(Failure::Said(format!("{} is no directory: make it first", directory.display())));
        }
        let mut months: BTreeMap<Month, Vec<Planned>> = BTreeMap::new();
        for planned in planned {
            months.entry(planned.month).or_default().push(planned);
        }
        for (month, planned) in months {
            let mut books = Vec::new();
            for planned in planned {
                let archived = match planned.obstacle {
                    None => Some(shelf.archive(&planned, directory).await.map_err(said)?),
                    Some(_) => None,
                };
                books.extend(archived.as_ref().map(|_| (planned.workspace, planned.mode)));
                done.push((planned, archived));
            }
            if !books.is_empty() {
                note!("{month}: the files are proven, the events are being removed");
                shelf.remove(month, &books).await.map_err(said)?;
            }
        }
    } else {
        done.extend(planned.into_iter().map(|planned| (planned, None)));
    }
    print(&done, arguments)?;
    if !arguments.dry_run && done.iter().any(|(planned, _)| planned.obstacle.is_some()) {
        return Err(Failure::Answered);
    }
    Ok(())
}

fn print(done: &[(Planned, Option<Archived>)], arguments: &Archive) -> Result<(), Failure> {
    if arguments.json {
        let list: Vec<Value> = done.iter().map(|(planned, archived)| as_json(planned, archived.as_ref())).collect();
        return table::print_json(&json!({ "dry_run": arguments.dry_run, "months": list }));
    }
    if done.is_empty() {
        outln!("There is no month to archive.");
        return Ok(());
    }
    let mut rows = Rows::new(&[
        ("month", Align::Left),
        ("workspace", Align::Left),
        ("mode", Align::Left),
        ("events", Align::Right),
        ("bytes", Align::Right),
        ("file", Align::Left),
    ]);
    for (planned, archived) in done {
        let bytes = archived.as_ref().map(|archived| archived.archive.file_bytes.to_string()).unwrap_or_default();
        let file = archived.as_ref().map(|archived| archived.path.display().to_string());
        let obstacle = planned.obstacle.as_ref().map(|obstacle| format!("stays: {obstacle}"));
        rows.row([
            planned.month.to_string(),
            planned.key.clone(),
            planned.mode.to_string(),
            archived.as_ref().map_or(planned.events, |archived| archived.archive.events).to_string(),
            bytes,
            obstacle.or(file).unwrap_or_else(|| "would be archived".to_owned()),
        ]);
    }
    rows.print();
    Ok(())
}

fn as_json(planned: &Planned, archived: Option<&Archived>) -> Value {
    json!({
        "workspace": planned.key,
        "mode": planned.mode.as_str(),
        "month": planned.month.to_string(),
        "events": archived.map_or(planned.events, |archived| archived.archive.events),
        "obstacle": planned.obstacle,
        "file": archived.map(|archived| archived.path.display().to_string()),
        "file_bytes": archived.map(|archived| archived.archive.file_bytes),
        "file_sha256": archived.map(|archived| archived.archive.file_sha256.clone()),
        "content_sha256": archived.map(|archived| archived.archive.content_sha256.clone()),
        "manifest_sha256": archived.map(|archived| archived.archive.manifest_sha256.clone()),
    })
}

pub async fn restore(config: &Config, arguments: &Restore) -> Result<(), Failure> {
    let shelf = shelf(config).await?;
    let restored = shelf.restore(&arguments.path).await.map_err(said)?;
    if arguments.json {
        let list: Vec<Value> = restored
            .iter()
            .map(|restored| {
                json!({
                    "workspace": restored.manifest.workspace,
                    "mode": restored.manifest.mode,
                    "month": restored.manifest.month,
                    "events": restored.manifest.content.events,
                    "file": restored.path.display().to_string(),
                    "was_there": restored.was_there,
                })
            })
            .collect();
        return table::print_json(&json!({ "months": list }));
    }
    for restored in &restored {
        let manifest = &restored.manifest;
        let events = many(manifest.content.events, "event");
        let what = if restored.was_there { "were there already" } else { "are back in the database" };
        outln!("{} ({}, {}): {events} {what}", manifest.month, manifest.workspace, manifest.mode);
    }
    Ok(())
}

/// How an event that is in an archive is shown.
pub fn archived_json(place: &crate::store::events::Located, archive: &crate::store::archives::Archive) -> Value {
    json!({
        "id": place.event_id,
        "shape": place.shape.to_string(),
        "mode": place.mode().as_str(),
        "received_at": place.received(),
        "archive": { "month": archive.month, "file": archive.file, "sha256": archive.file_sha256 },
    })
}

fn said(error: Error) -> Failure {
    match error {
        Error::Store(error) => error.into(),
        other => Failure::Said(other.to_string()),
    }
}
