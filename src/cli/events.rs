//! `events`: what came in, and what became of it. Archives are in `archive.rs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::archive;
use super::context::{Context, Which};
use super::import::{self, Report};
use super::out::{note, outln};
use super::table::{self, Align, Rows, many, moment};
use crate::admin;
use crate::config::Config;
use crate::store::events::{self, EventLine, EventStatus, Received, Wanted};
use crate::store::{Mode, Tx};

/// Import, list, show, replay and archive Stripe events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import events from a file of JSON lines (- for standard input)
    #[command(after_help = "Example:\n  commission-bridge events import events.jsonl")]
    Import(Import),
    /// List events
    #[command(after_help = "Example:\n  commission-bridge events list --status failed")]
    List(List),
    /// Show one event: what became of it, and its body
    #[command(after_help = "Example:\n  commission-bridge events show evt_1Nabc")]
    Show(Show),
    /// Read events again
    #[command(after_help = "Example:\n  commission-bridge events replay --failed")]
    Replay(ReplayArguments),
    /// Put old months of raw events into files, and remove them from the database
    #[command(
        after_help = "Each month of each book becomes a file of JSON lines, compressed with zstd, and a manifest with \
        hashes. Nothing is removed before the file was read again and compared. A month stays while one of its events is \
        not read yet or could not be read. The ledger stays as it is: `verify --archive DIR` proves it from the files. \
        Whoever is interrupted runs the same command again; the service may run meanwhile.\n\n\
        Example:\n  commission-bridge events archive --before 2026-01 --to /var/backups/commission-bridge"
    )]
    Archive(archive::Archive),
    /// Put archived raw events back into the database
    #[command(
        after_help = "Example:\n  commission-bridge events restore /var/backups/commission-bridge/default-live-2025-12.jsonl.zst"
    )]
    Restore(archive::Restore),
}

#[derive(Debug, Args)]
pub struct Import {
    /// One event a line, as Stripe wrote it; - for standard input
    file: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StatusFlag {
    Pending,
    Recorded,
    Ignored,
    Failed,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Only events of this status
    #[arg(long)]
    status: Option<StatusFlag>,
    /// How many at most, those received last first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
    /// Only those listed behind this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The event's id
    id: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["id", "failed"])]
pub struct ReplayArguments {
    /// The event's id
    id: Option<String>,
    /// All events that could not be read
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    which: Which,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Import(arguments) => import(config, &arguments).await,
        Command::List(arguments) => list(config, &arguments).await,
        Command::Show(arguments) => show(config, &arguments).await,
        Command::Replay(arguments) => replay(config, &arguments).await,
        Command::Archive(arguments) => archive::archive(config, &arguments).await,
        Command::Restore(arguments) => archive::restore(config, &arguments).await,
    }
}

async fn import(config: &Config, arguments: &Import) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let report = import::import(&context, &arguments.file).await?;
    if arguments.json {
        table::print_json(&report.json())?;
    } else {
        print_report(&report);
    }
    for (line, reason) in report.refused.iter().take(20) {
        note!("line {line}: {reason}");
    }
    if report.refused.len() > 20 {
        note!("… and {} more lines", report.refused.len() - 20);
    }
    if report.refused.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

fn print_report(report: &Report) {
    outln!(
        "{}, {} already known, {} refused",
        many(report.new, "new event"),
        report.duplicates,
        many(report.refused.len(), "line")
    );
    let became: Vec<String> =
        report.became.iter().map(|(status, count)| format!("{count} {}", status.as_str())).collect();
    if !became.is_empty() {
        outln!("In all, the workspace has {}.", became.join(", "));
    }
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let status = arguments.status.map(|status| match status {
        StatusFlag::Pending => EventStatus::Pending,
        StatusFlag::Recorded => EventStatus::Recorded,
        StatusFlag::Ignored => EventStatus::Ignored,
        StatusFlag::Failed => EventStatus::Failed,
    });
    let mut tx = context.db.read().await?;
    let behind = match &arguments.after {
        None => None,
        Some(id) => Some(place(&mut tx, &context, id).await?),
    };
    let wanted = Wanted { status, behind: behind.as_ref(), ..Wanted::default() };
    let lines = events::list(&mut tx, context.workspace, context.mode, &wanted, arguments.limit).await?;
    if arguments.json {
        let list: Vec<serde_json::Value> = lines.iter().map(as_json).collect();
        return table::print_json(&serde_json::json!({ "mode": context.mode.as_str(), "events": list }));
    }
    if lines.is_empty() {
        outln!("No events.");
    } else {
        print_lines(&lines);
    }
    if let Some(last) = lines.last().filter(|_| lines.len() == usize::try_from(arguments.limit).unwrap_or(0)) {
        note!("there may be more: --after {}", last.id());
    }
    context.say_book(&arguments.which);
    Ok(())
}

async fn place(tx: &mut Tx, context: &Context, id: &str) -> Result<Received, Failure> {
    let found = events::place(tx, context.workspace, context.mode, id).await?;
    found.ok_or_else(|| Failure::Said(format!("there is no event {id:?} in the {} book", context.mode)))
}

fn print_lines(lines: &[EventLine]) {
    let mut table = Rows::new(&[
        ("event", Align::Left),
        ("status", Align::Left),
        ("type", Align::Left),
        ("created", Align::Left),
        ("source", Align::Left),
        ("why", Align::Left),
    ]);
    for line in lines {
        table.row([
            line.event_id.clone(),
            line.status().as_str().to_owned(),
            line.kind.clone(),
            moment(line.created()),
            line.source.clone(),
            line.error.clone().or_else(|| line.reason.clone()).unwrap_or_default(),
        ]);
    }
    table.print();
}

fn as_json(line: &EventLine) -> serde_json::Value {
    serde_json::json!({
        "id": line.event_id,
        // As text: not every reader of JSON keeps whole numbers of this size.
        "shape": line.shape.to_string(),
        "mode": line.mode().as_str(),
        "type": line.kind,
        "created": line.created(),
        "received_at": line.received(),
        "source": line.source,
        "status": line.status().as_str(),
        "reason": line.reason,
        "error": line.error,
    })
}

async fn show(config: &Config, arguments: &Show) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let mut tx = context.db.read().await?;
    let lines = events::of_id(&mut tx, context.workspace, &arguments.id).await?;
    let archived = admin::events::archived(&mut tx, context.workspace, &arguments.id, &Mode::ALL).await?;
    // While its month is on its way, it is in both.
    let is_here = |id: &str, shape: i64| lines.iter().any(|line| line.event_id == id && line.shape == shape);
    let archived: Vec<_> = archived.into_iter().filter(|(place, _)| !is_here(&place.event_id, place.shape)).collect();
    if lines.is_empty() && archived.is_empty() {
        return Err(Failure::Said(format!("there is no event {:?} in workspace {}", arguments.id, context.key)));
    }
    let bodies = admin::events::payloads(&mut tx, context.workspace, &lines).await?;
    let shapes = lines.iter().zip(bodies);
    if arguments.json {
        let list: Vec<serde_json::Value> = shapes
            .map(|(line, body)| {
                let mut value = as_json(line);
                value["body"] = body.unwrap_or_default();
                value
            })
            .chain(archived.iter().map(|(place, archive)| archive::archived_json(place, archive)))
            .collect();
        return table::print_json(&serde_json::json!(list));
    }
    if !lines.is_empty() {
        print_lines(&lines);
    }
    for (place, archive) in &archived {
        let received = moment(place.received());
        outln!("Received {received}; {}.", admin::events::where_archived(&place.event_id, archive));
    }
    for (_, body) in shapes {
        if let Some(body) = body {
            outln!();
            table::print_json(&body)?;
        }
    }
    Ok(())
}

async fn replay(config: &Config, arguments: &ReplayArguments) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let mut count = 0;
    if let Some(id) = &arguments.id {
        let mut session = context.session().await?;
        count = admin::events::replay(&mut session, id, &Mode::ALL).await?.len();
        session.commit().await?;
    }
    for mode in Mode::ALL.into_iter().filter(|_| arguments.failed) {
        // The service may be reading them again, and failing, meanwhile: each is replayed once.
        let mut behind = None;
        loop {
            let mut session = context.session().await?;
            let replayed = admin::events::replay_failed(&mut session, mode, behind.as_ref()).await?;
            session.commit().await?;
            let Some(last) = replayed.last() else { break };
            behind = Some(last.place());
            count += replayed.len();
        }
    }
    context.catch_up().await?;
    outln!("{} read again", many(count, "event"));
    let mut tx = context.db.read().await?;
    for (mode, status, count) in events::counts(&mut tx, context.workspace).await? {
        if status == EventStatus::Failed {
            outln!(
                "{} of the {mode} book still cannot be read: commission-bridge events list --status failed --mode {mode}",
                many(count, "event")
            );
        }
    }
    Ok(())
}
