//! `privacy`: what is kept of somebody, and erasing it.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, outln};
use super::table::{self, Align, Rows, many, moment};
use crate::config::Config;
use crate::privacy;
use crate::store::erasures;

/// What is kept of a customer or partner, as JSON for them to read, and erasing it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print everything that is kept of somebody, as JSON
    #[command(after_help = "Example:\n  commission-bridge privacy export --customer ada@buyer.example > ada.json")]
    Export(Export),
    /// Erase who somebody is from all that is kept; amounts, ids and decisions stay, and `verify` stays silent
    ///
    /// Names, addresses, phone numbers, descriptions, card details and metadata that is no evidence go from raw events,
    /// facts, leads, mails, the log and the audit log. E-mails become keyed hashes, so that every answer stays the same.
    /// What stays, and why, is in SECURITY.md. A partner must be inactive and owed nothing.
    #[command(after_help = "Example:\n  commission-bridge privacy erase --customer cus_Nf3fDq9xyz --yes")]
    Erase(Erase),
    /// List who was erased, by whom and when
    #[command(after_help = "Example:\n  commission-bridge privacy list --json")]
    List(List),
}

/// Of whom.
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// A customer, by anything that finds them: cus_…, a payment's reference, an e-mail, your own key
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// A partner, by their key
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub struct Erase {
    #[command(flatten)]
    whom: Whom,
    /// Really erase: it cannot be undone
    #[arg(long, required = true)]
    yes: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Export(arguments) => export(config, &arguments).await,
        Command::Erase(arguments) => erase(config, &arguments).await,
        Command::List(arguments) => list(config, &arguments).await,
    }
}

async fn export(config: &Config, arguments: &Export) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let (book, now) = ((context.workspace, context.mode), context.clock.now());
    let Whom { customer, partner } = &arguments.whom;
    let data = match (customer, partner) {
        (Some(name), _) => privacy::export_customer(&context.db, book, name, now, usize::MAX).await?,
        (None, key) => privacy::export_partner(&context.db, book, key.as_deref().unwrap_or_default(), now).await?,
    };
    context.say_book(&arguments.which);
    table::print_json(&data)
}

async fn erase(config: &Config, arguments: &Erase) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    // What is on its way is recorded first, so that it is erased with the rest.
    context.catch_up().await?;
    let ledger = context.ledger();
    let mut session = context.session().await?;
    let Whom { customer, partner } = &arguments.whom;
    let outcome = match (customer, partner) {
        (Some(name), _) => privacy::erase_customer(&mut session, &ledger, name).await?,
        (None, key) => privacy::erase_partner(&mut session, key.as_deref().unwrap_or_default()).await?,
    };
    session.commit().await?;
    context.catch_up().await?;
    context.say_book(&arguments.which);
    if arguments.json {
        return table::print_json(&outcome.json());
    }
    if outcome.found_any() {
        outln!(
            "Erased ({}): {}, {} and {}.",
            outcome.erasure_id,
            many(outcome.events, "event"),
            many(outcome.leads, "lead"),
            many(outcome.rows, "other row")
        );
    } else {
        outln!("Nothing was left to erase ({}).", outcome.erasure_id);
    }
    note!("Kept: {}", outcome.kept);
    note!("Backups and archives made before still hold it: see \"Personal data\" in SECURITY.md.");
    Ok(())
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let mut tx = context.db.read().await?;
    let all = erasures::page(&mut tx, (context.workspace, context.mode), None, i64::MAX).await?;
    tx.rollback().await?;
    if arguments.json {
        let list: Vec<serde_json::Value> = all
            .iter()
            .map(|erasure| {
                serde_json::json!({
                    "erasure_id": erasure.erasure_id, "of": erasure.object, "subject": erasure.subject,
                    "author": erasure.author, "erased_at": erasure.erased_at(),
                })
            })
            .collect();
        return table::print_json(&serde_json::json!({ "erasures": list }));
    }
    context.say_book(&arguments.which);
    if all.is_empty() {
        outln!("Nobody was erased.");
        return Ok(());
    }
    let columns = [
        ("erasure", Align::Left),
        ("of", Align::Left),
        ("subject", Align::Left),
        ("by", Align::Left),
        ("at", Align::Left),
    ];
    let mut rows = Rows::new(&columns);
    for erasure in &all {
        let at = moment(erasure.erased_at());
        rows.row([
            erasure.erasure_id.clone(),
            erasure.object.clone(),
            erasure.subject.clone(),
            erasure.author.clone(),
            at,
        ]);
    }
    rows.print();
    Ok(())
}
