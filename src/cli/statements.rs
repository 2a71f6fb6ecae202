//! `statements`: what partners get, and the proof that it is unchanged.

mod check;
mod files;

use clap::{Args, Subcommand};

use super::context::{Context, Which};
use super::out::{out, outln};
use super::table::{self, Align, Rows};
use super::{Failure, send};
use crate::config::Config;
use crate::domain::calendar::Month;
use crate::domain::money::decimal_text;
use crate::statements::{FreezeError, Merchant, Reader, RenderError, mail};
use crate::store::batches;
use crate::store::statements::{self, StatementRow, Wanted};

/// What partners get.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List statements, of a month or of a partner
    #[command(after_help = "Example:\n  commission-bridge statements list --month 2026-10")]
    List(List),
    /// Show a statement as its partner reads it, or (--json) the document that proves it
    #[command(after_help = "Example:\n  commission-bridge statements show st_0198c0de…")]
    Show(Show),
    /// Write a month's statements as mails and pages, to look at; a month that is not closed as a draft
    #[command(
        after_help = "Examples:\n  commission-bridge statements preview --month 2026-10 --partner acme --open\n  \
                      commission-bridge statements preview --month 2026-10 --output statements"
    )]
    Preview(files::Preview),
    /// Write a month's documents and tables as files, for the books
    #[command(after_help = "Example:\n  commission-bridge statements export --month 2026-10 --output statements")]
    Export(files::Export),
    /// Send a month's statements by e-mail, each once
    #[command(after_help = "Examples:\n  commission-bridge statements send --month 2026-10 --dry-run mails\n  \
                      commission-bridge statements send --month 2026-10")]
    Send(send::Arguments),
    /// Prove, from the files alone, that statements add up, were not changed, and leave no month out
    #[command(after_help = "Example:\n  commission-bridge statements check statement-2026-09-acme-usd.json \
                            statement-2026-10-acme-usd.json")]
    Check(check::Check),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those of this month
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<Month>,
    /// Only this partner's
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The statement's id
    statement: String,
    #[command(flatten)]
    which: Which,
    /// Print the document that proves it
    #[arg(long)]
    json: bool,
}

impl From<FreezeError> for Failure {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Store(error) => Self::Store(error),
            other @ FreezeError::Overflow { .. } => Self::Said(other.to_string()),
        }
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self::Said(error.to_string())
    }
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(config, &arguments).await,
        Command::Show(arguments) => show(config, &arguments).await,
        Command::Preview(arguments) => files::preview(config, &arguments).await,
        Command::Export(arguments) => files::export(config, &arguments).await,
        Command::Send(arguments) => send::run(config, &arguments).await,
        Command::Check(arguments) => check::run(&arguments),
    }
}

/// How many are read at a time.
const PAGE: i64 = 500;

/// All statements of a month or of a partner, or of both; none where the month is not closed.
async fn all(context: &Context, month: Option<Month>, partner: Option<&str>) -> Result<Vec<StatementRow>, Failure> {
    let mut tx = context.db.read().await?;
    let batch = match month {
        None => None,
        Some(month) => match batches::of_month(&mut tx, context.workspace, context.mode, &month.to_string()).await? {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let batch_id = batch.as_ref().map(|batch| batch.batch_id.as_str());
    let mut all: Vec<StatementRow> = Vec::new();
    loop {
        let wanted = Wanted { batch_id, partner, behind: all.last() };
        let page = statements::page(&mut tx, context.workspace, context.mode, &wanted, PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or_default();
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let all = all(&context, arguments.month, arguments.partner.as_deref()).await?;
    if arguments.json {
        let list: Vec<serde_json::Value> = all.iter().map(StatementRow::json).collect();
        return table::print_json(&serde_json::json!({ "mode": context.mode.as_str(), "statements": list }));
    }
    if all.is_empty() {
        outln!("No statements: closing a month makes them (commission-bridge payouts close --month YYYY-MM)");
        return Ok(());
    }
    let mut table = Rows::new(&[
        ("month", Align::Left),
        ("partner", Align::Left),
        ("currency", Align::Left),
        ("opening", Align::Right),
        ("earned", Align::Right),
        ("reversed", Align::Right),
        ("adjusted", Align::Right),
        ("paid", Align::Right),
        ("closing", Align::Right),
        ("lines", Align::Right),
        ("statement", Align::Left),
    ]);
    for row in &all {
        let (figures, currency) = (row.figures(), row.currency()?);
        let money = |amount| decimal_text(amount, currency);
        table.row([
            row.month.clone(),
            row.partner_key.clone(),
            currency.to_string(),
            money(figures.opening),
            money(figures.earned),
            money(figures.reversed),
            money(figures.adjusted),
            money(figures.paid),
            money(figures.closing),
            row.line_count.to_string(),
            row.statement_id.clone(),
        ]);
    }
    table.print();
    Ok(())
}

async fn show(config: &Config, arguments: &Show) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut tx = context.db.read().await?;
    let found = statements::frozen(&mut tx, context.workspace, context.mode, &arguments.statement).await?;
    tx.rollback().await?;
    let frozen = found.ok_or_else(|| {
        Failure::Said(format!(
            "there is no statement {:?}: `commission-bridge statements list` shows them",
            arguments.statement
        ))
    })?;
    if arguments.json {
        out!("{}", String::from_utf8_lossy(&frozen.file()));
        return Ok(());
    }
    let terms = context.terms().await?;
    let merchant = merchant(&context, &terms);
    out!("{}", mail::statement(&merchant, &Reader::of(&terms, &frozen.statement.partner), &frozen)?.text);
    Ok(())
}

fn merchant(context: &Context, terms: &crate::domain::terms::Terms) -> Merchant {
    let is_test = context.mode == crate::store::Mode::Test;
    Merchant::of(&terms.current_settings().mail, &context.key, is_test)
}
