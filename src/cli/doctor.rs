//! `doctor`: what could be wrong, checked; each finding with what to do.

use chrono::TimeDelta;
use clap::Args;

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::table::{self, Align, Rows, many};
use crate::config::Config;
use crate::domain::terms::MailSettings;
use crate::mail::message::{MessageError, Sender};
use crate::mail::smtp::Server;
use crate::store::events::{self, EventStatus};
use crate::store::mails::{self, Status};
use crate::store::{Db, Engine, Mode, customers, resettle};

/// Mail that has waited for so long is stuck.
const STUCK: TimeDelta = TimeDelta::hours(1);

/// Check configuration, database and work in hand, and say what to do. Exit code 1 where something is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge doctor --json")]
pub struct Arguments {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Fine,
    Note,
    Wrong,
}

struct Check {
    what: &'static str,
    finding: Finding,
    detail: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, what: &'static str, finding: Finding, detail: impl Into<String>) {
        self.0.push(Check { what, finding, detail: detail.into() });
    }
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let mut checks = Checks::default();
    configuration(config, &mut checks);
    mail_server(config, &mut checks).await;
    match Db::open(&config.database_url).await {
        Ok(db) => {
            let which = Which { workspace: arguments.workspace.clone(), mode: None };
            let context = Context::with(db, crate::clock::Clock::machine(), &which).await?;
            database(&context, &mut checks).await?;
            work(&context, &mut checks).await?;
            outbox(&context, &mut checks).await?;
        }
        Err(error) => checks.add("database", Finding::Wrong, error.to_string()),
    }
    let is_wrong = checks.0.iter().any(|check| check.finding == Finding::Wrong);
    print(&checks, arguments.json)?;
    if is_wrong { Err(Failure::Answered) } else { Ok(()) }
}

fn configuration(config: &Config, checks: &mut Checks) {
    let file = config
        .file
        .as_ref()
        .map_or("no file; flags, environment and defaults".to_owned(), |file| format!("read from {}", file.display()));
    checks.add("configuration", Finding::Fine, file);
    match &config.stripe_webhook_secret {
        None => checks.add(
            "webhook secret",
            Finding::Wrong,
            "not set: webhooks are answered with 503. Set STRIPE_WEBHOOK_SECRET to the endpoint's whsec_…",
        ),
        Some(secret) if !secret.reveal().split(',').all(|part| part.trim().starts_with("whsec_")) => checks.add(
            "webhook secret",
            Finding::Note,
            "does not begin with whsec_: it must be the endpoint's signing secret, not an API key",
        ),
        Some(secret) => {
            checks.add("webhook secret", Finding::Fine, format!("{} set", secret.reveal().split(',').count()));
        }
    }
    if config.public_url.starts_with("http://") && !config.public_url.contains("127.0.0.1") {
        checks.add("public URL", Finding::Note, "is not https: Stripe sends live events to https addresses only");
    }
}

/// Whether the mail server can be reached and lets us in. Nothing is sent.
async fn mail_server(config: &Config, checks: &mut Checks) {
    let server = match Server::configured(config) {
        Ok(Some(server)) => server,
        Ok(None) => {
            let detail = "SMTP_URL is not set: no statement or notice is sent. Set it to smtps://user:password@host";
            return checks.add("mail server", Finding::Note, detail);
        }
        Err(error) => return checks.add("mail server", Finding::Wrong, error.to_string()),
    };
    match server.connect().await {
        Ok(connection) => {
            let is_encrypted = connection.is_encrypted();
            connection.quit().await;
            let how = if is_encrypted { "encrypted" } else { "not encrypted" };
            checks.add("mail server", Finding::Fine, format!("{} lets us in, {how}", server.name()));
        }
        Err(trouble) => checks.add("mail server", Finding::Wrong, trouble.words().to_owned()),
    }
}

/// Who sends mail, and what of it is stuck.
async fn outbox(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let settings = context.terms().await?.current_settings().mail;
    match Sender::of(&settings) {
        Ok(_) => {}
        Err(MessageError::NoSender) if settings == MailSettings::default() => {}
        Err(error) => checks.add("mail", Finding::Wrong, error.to_string()),
    }
    let mut tx = context.db.read().await?;
    let counts = mails::counts(&mut tx, context.workspace).await?;
    tx.rollback().await?;
    let now = context.clock.now();
    for (status, count, oldest) in counts {
        let many = many(count, "mail");
        match status {
            Status::Queued | Status::Sending if now - oldest > STUCK => checks.add(
                "mail",
                Finding::Wrong,
                format!(
                    "{many} waiting, the oldest for {} hours: `commission-bridge mails list --status {}` says why",
                    (now - oldest).num_hours(),
                    status.as_str()
                ),
            ),
            Status::Queued | Status::Sending => {
                checks.add("mail", Finding::Fine, format!("{many} {}", status.as_str()));
            }
            Status::Refused => checks.add(
                "mail",
                Finding::Note,
                format!("{many} refused: `commission-bridge mails list --status refused` says why"),
            ),
            Status::Sent | Status::Canceled => {}
        }
    }
    Ok(())
}

async fn database(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let engine = match context.db.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    checks.add("database", Finding::Fine, format!("{engine}, schema up to date"));
    for finding in context.db.durability().await? {
        checks.add("durability", if finding.is_safe { Finding::Fine } else { Finding::Wrong }, finding.sentence);
    }
    Ok(())
}

async fn work(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let counts = events::counts(&mut tx, context.workspace).await?;
    let count = |status: EventStatus| -> i64 {
        counts.iter().filter(|(_, of, _)| *of == status).map(|(_, _, count)| count).sum()
    };
    let (recorded, pending, failed) =
        (count(EventStatus::Recorded), count(EventStatus::Pending), count(EventStatus::Failed));
    if recorded + pending + failed + count(EventStatus::Ignored) == 0 {
        let detail = "none yet: add the webhook endpoint in Stripe, or `commission-bridge events import FILE`";
        checks.add("events", Finding::Note, detail);
    } else {
        checks.add("events", Finding::Fine, format!("{recorded} recorded, {pending} waiting to be read"));
    }
    if failed > 0 {
        let detail = format!(
            "{failed} could not be read: `commission-bridge events list --status failed` says why; after an upgrade \
             `commission-bridge events replay --failed`"
        );
        checks.add("unread events", Finding::Wrong, detail);
    }
    let terms = context.terms().await?;
    if terms.programs.is_empty() {
        checks.add("programs", Finding::Note, "none: nobody earns until `commission-bridge apply program.toml`");
    } else {
        let detail = format!("{}, {}", many(terms.programs.len(), "program"), many(terms.partners.len(), "partner"));
        checks.add("programs", Finding::Fine, detail);
    }
    for customer in customers::parked(&mut tx, context.workspace).await? {
        let reason = customer.error.clone().unwrap_or_default();
        let detail = format!("{} cannot be decided: {reason}", customer.customer_id);
        checks.add("customer set aside", Finding::Wrong, detail);
    }
    let jobs = resettle::open(&mut tx, context.workspace, 100).await?;
    if !jobs.is_empty() {
        let done: i64 = jobs.iter().map(|job| job.done).sum();
        let detail = format!("{} being worked off, {} so far", many(jobs.len(), "change"), many(done, "customer"));
        checks.add("changes in hand", Finding::Note, detail);
    }
    tx.rollback().await?;
    for mode in Mode::ALL {
        loose_ends(context, mode, checks).await?;
    }
    Ok(())
}

/// What waits for an event that has not come: refunds and disputes without a payment, payments without a link, invoices
/// of which only the first page of lines is known.
async fn loose_ends(context: &Context, mode: Mode, checks: &mut Checks) -> Result<(), Failure> {
    let loose = context.ledger().loose_ends(context.workspace, mode).await?;
    if !loose.unmatched.is_empty() {
        let some: Vec<&str> = loose.unmatched.iter().take(5).map(String::as_str).collect();
        let detail = format!(
            "{mode}: {} refunds, disputes or credit notes match no payment yet ({}{}): the event that links them \
             (invoice_payment.paid, charge.succeeded) has not come",
            loose.unmatched.len(),
            some.join(", "),
            if loose.unmatched.len() > some.len() { ", …" } else { "" },
        );
        checks.add("loose ends", Finding::Note, detail);
    }
    if loose.awaiting_link > 0 {
        let detail = format!(
            "{mode}: {} direct payments wait until it is known whether an invoice or a checkout claims them",
            loose.awaiting_link
        );
        checks.add("loose ends", Finding::Note, detail);
    }
    Ok(())
}

fn print(checks: &Checks, json: bool) -> Result<(), Failure> {
    let word = |finding: Finding| match finding {
        Finding::Fine => "ok",
        Finding::Note => "note",
        Finding::Wrong => "wrong",
    };
    if json {
        let list: Vec<serde_json::Value> = checks
            .0
            .iter()
            .map(|check| {
                serde_json::json!({ "check": check.what, "finding": word(check.finding), "detail": check.detail })
            })
            .collect();
        return table::print_json(&serde_json::json!({ "checks": list }));
    }
    let mut table = Rows::new(&[("", Align::Left), ("check", Align::Left), ("finding", Align::Left)]);
    for check in &checks.0 {
        table.row([word(check.finding).to_owned(), check.what.to_owned(), check.detail.clone()]);
    }
    table.print();
    Ok(())
}
