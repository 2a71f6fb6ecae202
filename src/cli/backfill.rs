//! `backfill`: history from Stripe, and what it cannot tell.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Failure;
use super::context::{Context, Reached, reach};
use super::out::{note, outln};
use super::sync::moment;
use super::table::{Align, Rows, many, print_json};
use crate::admin::backfills::{self as desk, Asked, Since};
use crate::config::Config;
use crate::connect;
use crate::intake::Inbox;
use crate::intake::asking::Asking;
use crate::intake::backfill::{Backfiller, Outcome, Told, parse_kind, thousandths};
use crate::intake::patience::Patience;
use crate::store::Urgency;
use crate::store::backfills::{self, Backfill, KindRow};
use crate::store::parked_objects::{self, Parked};
use crate::store::questions::{self, Question};
use crate::stripe_api::Api;

/// So many questions are asked one by one on a terminal; more are answered by command.
const FEW: usize = 20;
/// How many lines a list has at most.
const MOST: i64 = 10_000;
/// Without a terminal, a line whenever a kind has so many objects more.
const LINE: i64 = 10_000;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  commission-bridge backfill --since 2024-01-01\n  commission-bridge backfill questions\n  \
                  commission-bridge backfill answer sub_1Nabc --since 2025-06-01"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    begin: Begin,
}

#[derive(Debug, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
struct Begin {
    /// Objects made since this day [default: go on with the backfill that is not done]
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// Objects made before this day [default: until now]
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Only these, with commas between them: customers, subscriptions, invoices, charges, checkout_sessions, refunds,
    /// disputes, credit_notes, promotion_codes, prices
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Begin anew although one is not done
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    book: Reached,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what history cannot tell: since when metadata holds that was entered later than its object
    #[command(after_help = "Example:\n  commission-bridge backfill questions")]
    Questions(Look),
    /// Say since when what an object shows now has held
    #[command(after_help = "Example:\n  commission-bridge backfill answer sub_1Nabc --since 2025-06-01")]
    Answer(Answer),
    /// Show how far the last backfill has come, and which objects could not be read
    #[command(after_help = "Example:\n  commission-bridge backfill status")]
    Status(Look),
}

#[derive(Debug, Args)]
struct Look {
    #[command(flatten)]
    book: Reached,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Answer {
    /// The customer or subscription
    #[arg(value_name = "ID")]
    object: String,
    /// created (since it was made), seen (since it was first seen so), or a day
    #[arg(long, value_name = "WHEN")]
    since: String,
    #[command(flatten)]
    book: Reached,
}

pub async fn run(config: &Config, arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        None => begin(config, &arguments.begin).await,
        Some(Command::Questions(look)) => list_questions(config, &look).await,
        Some(Command::Answer(answer)) => answer_one(config, &answer).await,
        Some(Command::Status(look)) => status(config, &look).await,
    }
}

async fn begin(config: &Config, arguments: &Begin) -> Result<(), Failure> {
    let keys = config.stripe()?;
    let context = reach(config, &keys, &arguments.book).await?;
    let way = connect::way(&context.db, &keys, (context.workspace, context.mode)).await?;
    let api = way.map_err(|error| Failure::Said(error.to_string()))?;
    let asked = asked(arguments, &context)?;
    let mut session = context.session().await?;
    let begun = desk::begin(&mut session, &asked).await?;
    session.commit().await?;
    if begun.goes_on {
        let since = begun.backfill.since().format("%Y-%m-%d");
        note!("going on with the backfill since {since} (--restart to begin anew)");
    }
    let outcome = work(&context, api, &begun.backfill).await?;
    let bar = super::import::progress(None, "settling");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    context.catch_up().await?;
    bar.finish_and_clear();
    let is_done = outcome.backfill.finished_at().is_some();
    let (parked, open) = afterwards(&context, &outcome, is_done).await?;
    if arguments.json {
        print_json(&as_json(&outcome, &parked, &open))?;
    } else {
        print(&outcome, &parked, &open);
        if open.len() <= FEW && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            ask_one_by_one(&context, &open).await?;
        }
    }
    if is_done && parked.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}

fn asked(arguments: &Begin, context: &Context) -> Result<Asked, Failure> {
    let now = context.clock.now();
    let at = |text: &Option<String>| text.as_deref().map(|text| moment(text, now)).transpose().map_err(Failure::Said);
    let kinds = arguments.kinds.iter().map(|kind| parse_kind(kind)).collect::<Result<Vec<_>, _>>();
    Ok(Asked {
        since: at(&arguments.since)?,
        until: at(&arguments.until)?,
        kinds: kinds.map_err(Failure::Said)?,
        restart: arguments.restart,
    })
}

/// Reads what is not read yet; another process that works on it is waited for by nobody.
async fn work(context: &Context, api: Arc<Api>, backfill: &Backfill) -> Result<Outcome, Failure> {
    let (inbox, writer) = Inbox::start(context.db.clone(), context.clock.clone(), Arc::default());
    let backfiller =
        Backfiller { db: context.db.clone(), inbox, clock: context.clock.clone(), ids: context.ids.clone() };
    let mut tx = context.db.read().await?;
    let rows = backfills::kinds(&mut tx, context.workspace, &backfill.backfill_id).await?;
    tx.rollback().await?;
    let progress = Arc::new(Progress::new(backfill.clone(), rows));
    let (telling, asking) = (progress.clone(), Asking::new(api, Patience::machine()));
    let told: Told = Arc::new(move |row| telling.tell(row));
    let ran = backfiller.run(&asking, context.workspace, &backfill.backfill_id, told).await;
    progress.bar.finish_and_clear();
    drop(backfiller);
    let _ = writer.await;
    ran.map_err(|error| Failure::Said(error.to_string()))
}

/// How far all kinds have come: a bar on a terminal, plain lines elsewhere.
struct Progress {
    backfill: Backfill,
    rows: Mutex<BTreeMap<String, KindRow>>,
    bar: ProgressBar,
    shows: bool,
}

impl Progress {
    fn new(backfill: Backfill, rows: Vec<KindRow>) -> Self {
        let shows = std::io::stderr().is_terminal();
        let dated = rows.iter().filter(|row| thousandths(&backfill, row).is_some()).count() as u64;
        let bar = if shows { ProgressBar::new(dated.max(1) * 1000) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% about {eta} to go") {
            bar.set_style(style);
        }
        let rows = rows.into_iter().map(|row| (row.kind.clone(), row)).collect();
        Self { backfill, rows: Mutex::new(rows), bar, shows }
    }

    fn tell(&self, row: &KindRow) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let before = rows.insert(row.kind.clone(), row.clone()).map_or(0, |before| before.objects);
        if self.shows {
            let objects: i64 = rows.values().map(|row| row.objects).sum();
            self.bar.set_position(rows.values().filter_map(|row| thousandths(&self.backfill, row)).sum());
            self.bar.set_message(many(objects, "object"));
        } else if row.is_done() || before / LINE != row.objects / LINE {
            let at = row.cursor_created_at().map(|at| format!(", back to {}", at.format("%Y-%m-%d")));
            let state = if row.is_done() { ", done".to_owned() } else { at.unwrap_or_default() };
            note!("{}: {}{state}", row.kind, many(row.objects, "object"));
        }
    }
}

/// What could not be read, and what history cannot tell.
async fn afterwards(
    context: &Context,
    outcome: &Outcome,
    is_done: bool,
) -> Result<(Vec<Parked>, Vec<Question>), Failure> {
    let (workspace, mode) = (context.workspace, context.mode);
    if is_done {
        context.ledger().ask(workspace, mode, outcome.backfill.started_at()).await?;
        let mut tx = context.db.write(Urgency::Now).await?;
        backfills::asked(&mut tx, workspace, &outcome.backfill.backfill_id, context.clock.now()).await?;
        tx.commit().await?;
    }
    let mut tx = context.db.read().await?;
    let parked = parked_objects::list(&mut tx, workspace, mode, MOST).await?;
    let open = questions::open(&mut tx, workspace, mode, None, MOST).await?;
    Ok((parked, open))
}

fn as_json(outcome: &Outcome, parked: &[Parked], open: &[Question]) -> serde_json::Value {
    let backfill = &outcome.backfill;
    let kind = |row: &KindRow| {
        json!({ "kind": row.kind, "objects": row.objects, "new": row.new, "parked": row.parked, "done": row.is_done(),
                "error": row.error })
    };
    json!({
        "backfill_id": backfill.backfill_id, "mode": backfill.mode().as_str(), "since": backfill.since(),
        "until": backfill.until(), "status": backfill.status(), "calls": backfill.calls, "error": backfill.error,
        "kinds": outcome.kinds.iter().map(kind).collect::<Vec<_>>(), "parked": parked_json(parked),
        "questions": open.iter().map(question_json).collect::<Vec<_>>(),
    })
}

fn parked_json(parked: &[Parked]) -> Vec<serde_json::Value> {
    let one = |one: &Parked| json!({ "kind": one.kind, "id": one.object, "reason": one.reason });
    parked.iter().map(one).collect()
}

fn question_json(question: &Question) -> serde_json::Value {
    json!({ "object": question.object, "what": question.what, "counted_from": question.counted_from() })
}

fn print(outcome: &Outcome, parked: &[Parked], open: &[Question]) {
    let mut table = Rows::new(&[
        ("kind", Align::Left),
        ("objects", Align::Right),
        ("new", Align::Right),
        ("unreadable", Align::Right),
        ("", Align::Left),
    ]);
    for row in &outcome.kinds {
        let state = row.error.clone().unwrap_or_else(|| if row.is_done() { "done" } else { "not done" }.to_owned());
        table.row([row.kind.clone(), row.objects.to_string(), row.new.to_string(), row.parked.to_string(), state]);
    }
    table.print();
    let backfill = &outcome.backfill;
    outln!("{} to Stripe, {} book", many(backfill.calls, "call"), backfill.mode());
    if let Some(error) = &backfill.error {
        note!("not everything was read: {error}");
        note!("go on with: commission-bridge backfill");
    }
    print_parked(parked);
    if !open.is_empty() {
        note!(
            "history cannot tell since when {} held: commission-bridge backfill questions",
            many(open.len(), "entry of metadata").replace("entry of metadatas", "entries of metadata")
        );
    }
}

fn print_parked(parked: &[Parked]) {
    for one in parked.iter().take(FEW) {
        note!("{} {} cannot be read: {}", one.kind, one.object, one.reason);
    }
    if parked.len() > FEW {
        note!("… and {} more: commission-bridge backfill status --json", parked.len() - FEW);
    }
}

async fn list_questions(config: &Config, look: &Look) -> Result<(), Failure> {
    let context = reach(config, &config.stripe()?, &look.book).await?;
    let mut tx = context.db.read().await?;
    let open = questions::open(&mut tx, context.workspace, context.mode, None, MOST).await?;
    if look.json {
        let list: Vec<_> = open.iter().map(question_json).collect();
        return print_json(&json!({ "mode": context.mode.as_str(), "questions": list }));
    }
    if open.is_empty() {
        outln!("History tells all there is.");
        return Ok(());
    }
    let mut table = Rows::new(&[("object", Align::Left), ("says", Align::Left), ("counts from", Align::Left)]);
    for question in &open {
        let from = question.counted_from().format("%Y-%m-%d %H:%M").to_string();
        table.row([question.object.clone(), question.what.clone(), from]);
    }
    table.print();
    note!(
        "These were entered later than their objects were made, and nobody knows when. Payments before are not credited by \
         them.\nSay since when: commission-bridge backfill answer {} --since created|seen|DAY",
        open[0].object
    );
    Ok(())
}

fn since(text: &str, now: crate::domain::Time) -> Result<Since, Failure> {
    Ok(match text.trim() {
        "created" => Since::Created,
        "seen" => Since::Seen,
        text => Since::At(moment(text, now).map_err(|_| {
            Failure::Said(format!("{text:?} is no answer: expected created, seen, or a day such as 2025-06-01"))
        })?),
    })
}

async fn answer_one(config: &Config, arguments: &Answer) -> Result<(), Failure> {
    let context = reach(config, &config.stripe()?, &arguments.book).await?;
    let since = since(&arguments.since, context.clock.now())?;
    answer(&context, &arguments.object, since).await?;
    context.catch_up().await
}

async fn answer(context: &Context, object: &str, since: Since) -> Result<(), Failure> {
    let mut session = context.session().await?;
    let at = desk::answer(&mut session, object, since).await?;
    session.commit().await?;
    outln!("{object}: what it shows has held since {}", at.format("%Y-%m-%d %H:%M UTC"));
    Ok(())
}

/// Asks on a terminal; an empty answer leaves a question open.
async fn ask_one_by_one(context: &Context, open: &[Question]) -> Result<(), Failure> {
    let mut asked = std::collections::BTreeSet::new();
    for question in open {
        if !asked.insert(&question.object) {
            continue;
        }
        let counted = question.counted_from().format("%Y-%m-%d");
        let mut error = std::io::stderr();
        let text = format!(
            "{}: {} — since when? [created | seen ({counted}) | a day | Enter to leave it] ",
            question.object, question.what
        );
        let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).map_err(Failure::system("cannot read the answer"))? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        match since(&line, context.clock.now()) {
            Ok(since) => answer(context, &question.object, since).await?,
            Err(failure) => note!("{failure}; left open"),
        }
    }
    context.catch_up().await
}

async fn status(config: &Config, look: &Look) -> Result<(), Failure> {
    let context = reach(config, &config.stripe()?, &look.book).await?;
    let mut tx = context.db.read().await?;
    let (workspace, mode) = (context.workspace, context.mode);
    let last = backfills::page(&mut tx, workspace, mode, None, 1).await?.into_iter().next();
    let Some(backfill) = last else {
        outln!("There was no backfill yet.");
        return Ok(());
    };
    let kinds = backfills::kinds(&mut tx, workspace, &backfill.backfill_id).await?;
    let parked = parked_objects::list(&mut tx, workspace, mode, MOST).await?;
    let open = questions::open(&mut tx, workspace, mode, None, MOST).await?;
    let outcome = Outcome { backfill, kinds };
    if look.json {
        return print_json(&as_json(&outcome, &parked, &open));
    }
    let backfill = &outcome.backfill;
    outln!("{}, since {}, {}", backfill.backfill_id, backfill.since().format("%Y-%m-%d"), backfill.status());
    print(&outcome, &parked, &open);
    Ok(())
}
