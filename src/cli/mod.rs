//! The command line: one file per command. Data goes to standard output, logs to standard error; exit code 0 is fine,
//! 1 failed, 2 wrong usage.

mod api_key;
mod apply;
mod archive;
mod backfill;
mod backup;
mod balances;
mod bench;
mod clicks;
mod context;
mod demo;
mod doctor;
mod events;
mod explain;
mod export;
mod fetch;
mod fx;
mod healthcheck;
mod import;
mod imports;
mod ledger;
mod lookups;
mod mails;
pub mod openapi;
mod out;
mod partner;
mod pay;
mod payouts;
mod privacy;
mod read_back;
mod reconcile;
mod report;
mod secrets;
mod send;
mod serve;
mod statements;
mod stripe;
mod sync;
mod table;
mod timeline;
mod verify;
mod workspace;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use out::note;

use crate::admin::Refused;
use crate::config::{Config, ConfigError, Flags, LogFormat, ServeFlags};
use crate::connect::ConnectError;
use crate::intake::SubmitError;
use crate::mail::smtp::UrlError;
use crate::store::{OpenError, StoreError};

/// Turns what Stripe reports into what partners are owed, to the cent, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "commission-bridge",
    version,
    max_term_width = 100,
    after_help = "\
First steps:
  commission-bridge demo               a year of sample sales, in a throw-away database
  commission-bridge serve              the real thing: prints what to paste into Stripe
  commission-bridge apply program.toml programs, rules and partners from a file"
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: webhook endpoint and workers in one process
    Serve(serve::Arguments),
    /// Show a year of sample sales on a throw-away database
    Demo(demo::Arguments),
    /// Measure what this machine can do
    Bench(bench::Arguments),
    /// Print the JSON API's reference as an `OpenAPI` document
    Openapi(openapi::Arguments),
    /// Apply a program file: programs, rules, partners and codes
    Apply(apply::Arguments),
    /// Import, list, show, replay and archive Stripe events
    #[command(subcommand)]
    Events(events::Command),
    /// Ask Stripe for events that no webhook brought
    Sync(sync::Arguments),
    /// Fetch history from Stripe, older than its events
    Backfill(backfill::Arguments),
    /// Fetch single objects from Stripe, by their ids
    Fetch(fetch::Arguments),
    /// Import clicks, so that click ids name partners
    #[command(subcommand)]
    Clicks(clicks::Command),
    /// Import partners, customers and codes from a CSV file or another tool's export
    Import(imports::Arguments),
    /// Say why a payment was credited, or was not
    Explain(explain::Arguments),
    /// Show what became of a customer: subscriptions, payments, refunds
    Timeline(timeline::Arguments),
    /// Show what each partner has
    Balances(balances::Arguments),
    /// Report a month by partner, link or product
    #[command(subcommand)]
    Report(report::Command),
    /// Export the ledger
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Close a month, approve and export its payouts
    #[command(subcommand)]
    Payouts(payouts::Command),
    /// Import, fetch and list exchange rates
    #[command(subcommand)]
    Fx(fx::Command),
    /// Look at, prove and send what partners get
    #[command(subcommand)]
    Statements(statements::Command),
    /// List what Stripe is asked for because no event says it, ask again for what was given up
    #[command(subcommand)]
    Lookups(lookups::Command),
    /// List mails, try them again, call them off
    #[command(subcommand)]
    Mails(mails::Command),
    /// Invite a partner to open the account that they are paid on
    #[command(subcommand)]
    Partner(partner::Command),
    /// Rebuild every decision from the raw events and compare it with the ledger
    Verify(verify::Arguments),
    /// Copy the database into a file, beside whoever uses it
    Backup(backup::Arguments),
    /// Check configuration, database and work in hand, and say what to do
    Doctor(doctor::Arguments),
    /// Say whether the service on this machine answers, for containers
    Healthcheck(healthcheck::Arguments),
    /// Hold a month against Stripe's own objects: every cent, or the objects that differ
    Reconcile(reconcile::Arguments),
    /// Connect a workspace to Stripe: permissions of the key, the webhook endpoint, its secret
    #[command(subcommand)]
    Stripe(stripe::Command),
    /// Make, list and revoke keys for the JSON API
    #[command(subcommand)]
    ApiKey(api_key::Command),
    /// Encrypt the secrets in the database, make keys for that
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Show or erase what is kept of a customer or partner
    #[command(subcommand)]
    Privacy(privacy::Command),
    /// Make and list workspaces: one merchant each
    #[command(subcommand)]
    Workspace(workspace::Command),
}

/// Why a command failed, in words.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Opening the database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was entered.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The inbox.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A file, a socket.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The connection to Stripe.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The mail server's address.
    #[error(transparent)]
    MailServer(#[from] UrlError),
    /// The command cannot do what it was asked for here.
    #[error("{0}")]
    Usage(String),
    /// Anything that the command itself found wrong.
    #[error("{0}")]
    Said(String),
    /// The command did its work, and the answer is no; it was printed already.
    #[error("")]
    Answered,
}

impl Failure {
    /// A system error with what was tried.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // clap's own exit codes: 0 for help and version, 2 for wrong usage.
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)).and_then(|()| out::finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Answered) => ExitCode::FAILURE,
        // Whoever reads our output has enough (`… | head`).
        Err(Failure::System { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            note!("error: {failure}");
            if matches!(failure, Failure::Usage(_)) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let serve_flags = match &cli.command {
        Command::Serve(arguments) => arguments.flags.clone(),
        _ => ServeFlags::default(),
    };
    let config = Config::load(&cli.flags, &serve_flags, |name| std::env::var(name).ok())?;
    log(&config, matches!(cli.command, Command::Serve(_)));
    match cli.command {
        Command::Serve(arguments) => serve::run(&config, &arguments).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Bench(arguments) => bench::run(&arguments).await,
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Apply(arguments) => apply::run(&config, &arguments).await,
        Command::Events(command) => events::run(&config, command).await,
        Command::Sync(arguments) => sync::run(&config, &arguments).await,
        Command::Backfill(arguments) => Box::pin(backfill::run(&config, arguments)).await,
        Command::Fetch(arguments) => fetch::run(&config, &arguments).await,
        Command::Clicks(command) => clicks::run(&config, command).await,
        Command::Import(arguments) => imports::run(&config, &arguments).await,
        Command::Explain(arguments) => explain::run(&config, &arguments).await,
        Command::Timeline(arguments) => timeline::run(&config, &arguments).await,
        Command::Balances(arguments) => balances::run(&config, &arguments).await,
        Command::Report(command) => report::run(&config, command).await,
        Command::Ledger(command) => ledger::run(&config, command).await,
        Command::Payouts(command) => payouts::run(&config, command).await,
        Command::Fx(command) => fx::run(&config, command).await,
        Command::Statements(command) => statements::run(&config, command).await,
        Command::Lookups(command) => lookups::run(&config, command).await,
        Command::Mails(command) => mails::run(&config, command).await,
        Command::Partner(command) => partner::run(&config, command).await,
        Command::Verify(arguments) => verify::run(&config, &arguments).await,
        Command::Backup(arguments) => backup::run(&config, &arguments).await,
        Command::Doctor(arguments) => doctor::run(&config, &arguments).await,
        Command::Healthcheck(arguments) => healthcheck::run(&config, &arguments).await,
        Command::Reconcile(arguments) => reconcile::run(&config, &arguments).await,
        Command::Stripe(command) => stripe::run(&config, command).await,
        Command::ApiKey(command) => api_key::run(&config, command).await,
        Command::Privacy(command) => privacy::run(&config, command).await,
        Command::Secrets(command) => secrets::run(&config, command).await,
        Command::Workspace(command) => workspace::run(&config, command).await,
    }
}

fn log(config: &Config, serving: bool) {
    // The client to Stripe warns of every answer that is no success; what follows from it is said where it is known.
    let fallback = if serving { "info,stripe=error" } else { "warn,stripe=error" };
    let filter = config.log.as_deref().unwrap_or(fallback);
    // A filter that cannot be read was refused with the rest of the configuration.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(fallback));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
}
