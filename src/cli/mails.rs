//! `mails`: the outbox, and what became of each mail.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align, Rows, moment};
use crate::admin::mails as desk;
use crate::config::Config;
use crate::payouts::batch;
use crate::store::mails::{self, Mail, Status, Wanted};

/// Rows that are read at once.
const PAGE: i64 = 1000;

/// Look into the outbox.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List mails, the newest first
    #[command(after_help = "Example:\n  commission-bridge mails list --status refused --batch 2026-10")]
    List(List),
    /// Make a mail due at once that waits, was refused, or was called off
    #[command(after_help = "Example:\n  commission-bridge mails retry mail_0198c0de…")]
    Retry(Named),
    /// Call a mail off that waits
    #[command(after_help = "Example:\n  commission-bridge mails cancel mail_0198c0de…")]
    Cancel(Named),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those that are queued, sending, sent, refused or canceled
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Only those of this batch, by its id or month
    #[arg(long, value_name = "BATCH")]
    batch: Option<String>,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The mail
    mail: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(config, &arguments).await,
        Command::Retry(arguments) => {
            let context = Context::open(config, &arguments.which).await?;
            let mut session = context.session().await?;
            let mail = desk::retry(&mut session, &arguments.mail).await?;
            session.commit().await?;
            show(&mail, arguments.json)
        }
        Command::Cancel(arguments) => {
            let context = Context::open(config, &arguments.which).await?;
            let mut session = context.session().await?;
            let mail = desk::cancel(&mut session, &arguments.mail).await?;
            session.commit().await?;
            show(&mail, arguments.json)
        }
    }
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut tx = context.db.read().await?;
    let batch_id = match &arguments.batch {
        None => None,
        Some(name) => Some(batch::find(&mut tx, context.workspace, context.mode, name).await?.batch_id),
    };
    let mut found: Vec<Mail> = Vec::new();
    while found.len() < arguments.limit {
        let before = found.last().map(|mail| mail.mail_id.clone());
        let wanted = Wanted { status: arguments.status, batch_id: batch_id.as_deref(), before: before.as_deref() };
        let page = mails::page(&mut tx, context.workspace, context.mode, &wanted, PAGE).await?;
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    tx.rollback().await?;
    found.truncate(arguments.limit);
    if arguments.json {
        let list: Vec<Value> = found.iter().map(shown).collect();
        return table::print_json(&json!({ "mode": context.mode.as_str(), "mails": list }));
    }
    print(&found);
    Ok(())
}

/// Prints mails as a table.
pub fn print(mails: &[Mail]) {
    let mut table = Rows::new(&[
        ("mail", Align::Left),
        ("kind", Align::Left),
        ("partner", Align::Left),
        ("to", Align::Left),
        ("status", Align::Left),
        ("tries", Align::Right),
        ("next try", Align::Left),
        ("why", Align::Left),
    ]);
    for mail in mails {
        table.row([
            mail.mail_id.clone(),
            mail.kind.as_str().to_owned(),
            mail.partner_key.clone().unwrap_or_default(),
            mail.recipient.clone(),
            mail.status.as_str().to_owned(),
            mail.tries.to_string(),
            mail.next_try_at.map(moment).unwrap_or_default(),
            mail.error.clone().unwrap_or_default(),
        ]);
    }
    table.print();
}

fn show(mail: &Mail, json: bool) -> Result<(), Failure> {
    if json {
        return table::print_json(&shown(mail));
    }
    outln!("{} is {}", mail.mail_id, mail.status.as_str());
    Ok(())
}

/// A mail as JSON.
pub fn shown(mail: &Mail) -> Value {
    json!({
        "mail_id": mail.mail_id,
        "mode": mail.mode.as_str(),
        "kind": mail.kind.as_str(),
        "object_id": mail.object_id,
        "batch_id": mail.batch_id,
        "partner_key": mail.partner_key,
        "recipient": mail.recipient,
        "message_id": mail.message_id,
        "status": mail.status.as_str(),
        "tries": mail.tries,
        "next_try_at": mail.next_try_at,
        "error": mail.error,
        "created_at": mail.created_at,
        "sent_at": mail.sent_at,
    })
}
