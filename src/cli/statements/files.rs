//! `statements preview` and `statements export`: a month's statements as files.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Failure;
use super::super::context::{Context, Which};
use super::super::out::{note, outln};
use super::super::table::many;
use super::{all, merchant};
use crate::config::Config;
use crate::domain::calendar::Month;
use crate::domain::statement::Frozen;
use crate::domain::terms::Terms;
use crate::statements::draft::draft;
use crate::statements::page::{Linked, contents, page};
use crate::statements::{Reader, mail};
use crate::store::{batches, payouts, statements};

#[derive(Debug, Args)]
pub struct Preview {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    /// Only this partner's
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
    /// Where to write the files [default: statements-YYYY-MM]
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Open the list of them in the browser
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The month; all closed months when left out
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<Month>,
    /// Only this partner's
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
    /// Where to write the files
    #[arg(long, short, value_name = "FOLDER", default_value = "statements")]
    output: PathBuf,
    #[command(flatten)]
    which: Which,
}

pub async fn preview(config: &Config, arguments: &Preview) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let terms = context.terms().await?;
    let month = arguments.month;
    let folder = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("statements-{month}")));
    std::fs::create_dir_all(&folder).map_err(Failure::system(format!("cannot make {}", folder.display())))?;
    let mut tx = context.db.read().await?;
    let batch = batches::of_month(&mut tx, context.workspace, context.mode, &month.to_string()).await?;
    tx.rollback().await?;
    let mut links = Vec::new();
    if batch.is_some() {
        for row in all(&context, Some(month), arguments.partner.as_deref()).await? {
            links.push(write_all(&context, &terms, &folder, &load(&context, &row.statement_id).await?)?);
        }
    } else {
        note!("{month} is not closed: these are drafts as of now, without payouts");
        context.catch_up().await?;
        drafts(&context, &terms, arguments, &folder, &mut links).await?;
    }
    if links.is_empty() {
        outln!("No statements of {month}: nobody had an entry or a balance.");
        return Ok(());
    }
    let list = contents(&format!("Statements of {month}"), &links)?;
    let index = folder.join("index.html");
    write(&index, list.as_bytes())?;
    outln!("{} written to {}", many(links.len(), "statement"), index.display());
    if arguments.open {
        open::that(&index).map_err(Failure::system(format!("cannot open {}", index.display())))?;
    }
    Ok(())
}

/// How many partners' drafts are made at a time.
const PAGE: i64 = 200;

async fn drafts(
    context: &Context,
    terms: &Terms,
    arguments: &Preview,
    folder: &Path,
    links: &mut Vec<Linked>,
) -> Result<(), Failure> {
    let book = (context.workspace, context.mode);
    let mut after = String::new();
    loop {
        let mut tx = context.db.read().await?;
        let partners = match &arguments.partner {
            Some(partner) => vec![partner.clone()],
            None => payouts::partners(&mut tx, context.workspace, context.mode, &after, PAGE).await?,
        };
        let Some(last) = partners.last() else { return Ok(()) };
        after.clone_from(last);
        let made = draft(&mut tx, book, arguments.month, terms, (context.clock.now(), &context.ids), &partners).await?;
        tx.rollback().await?;
        for frozen in made {
            links.push(write_all(context, terms, folder, &frozen)?);
        }
        if arguments.partner.is_some() {
            return Ok(());
        }
    }
}

pub async fn export(config: &Config, arguments: &Export) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let folder = &arguments.output;
    std::fs::create_dir_all(folder).map_err(Failure::system(format!("cannot make {}", folder.display())))?;
    let rows = all(&context, arguments.month, arguments.partner.as_deref()).await?;
    for row in &rows {
        let frozen = load(&context, &row.statement_id).await?;
        let stem = frozen.statement.file_stem();
        write(&folder.join(format!("{stem}.json")), &frozen.file())?;
        write(&folder.join(format!("{stem}.csv")), &crate::statements::table::csv(&frozen.statement))?;
    }
    outln!("{} written to {}", many(rows.len(), "statement"), folder.display());
    Ok(())
}

async fn load(context: &Context, statement_id: &str) -> Result<Frozen, Failure> {
    let mut tx = context.db.read().await?;
    let found = statements::frozen(&mut tx, context.workspace, context.mode, statement_id).await?;
    found.ok_or_else(|| Failure::Said(format!("statement {statement_id} is gone")))
}

/// The mail, its text and attachments, and the page.
fn write_all(context: &Context, terms: &Terms, folder: &Path, frozen: &Frozen) -> Result<Linked, Failure> {
    let statement = &frozen.statement;
    let (merchant, reader) = (merchant(context, terms), Reader::of(terms, &statement.partner));
    let content = mail::statement(&merchant, &reader, frozen)?;
    let stem = statement.file_stem();
    write(&folder.join(format!("{stem}.html")), page(&merchant, &reader, frozen)?.as_bytes())?;
    write(&folder.join(format!("{stem}.mail.html")), content.html.as_bytes())?;
    write(&folder.join(format!("{stem}.txt")), content.text.as_bytes())?;
    for attachment in &content.attachments {
        write(&folder.join(&attachment.name), &attachment.bytes)?;
    }
    Ok(Linked::new(&reader, frozen))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(Failure::system(format!("cannot write {}", path.display())))
}
