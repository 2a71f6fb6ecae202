//! `statements send`: a month's statements into the outbox, and out of it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::context::{Context, Which};
use super::import::progress;
use super::mails::{print, shown};
use super::out::{note, outln};
use super::serve::asked_to_stop;
use super::table::{self, many};
use crate::admin::mails as desk;
use crate::config::Config;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::mail::outbox::{Outbox, Round, message_of};
use crate::mail::queue::{Again, Post, Queued};
use crate::mail::worker::take_up_notes;
use crate::payouts::batch;
use crate::store::batches::Batch;
use crate::store::mails::{self, Ended, Kind, Mail, Status};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The month
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    /// Only this partner's
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
    /// Write the mails as .eml files into this folder, and send nothing
    #[arg(long, value_name = "FOLDER")]
    dry_run: Option<PathBuf>,
    /// Send those once more that were sent before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    if let Some(folder) = &arguments.dry_run {
        return dry_run(&context, arguments, folder).await;
    }
    let Some(outbox) = Outbox::configured(config, &context.db, &context.clock, &context.ids)? else {
        return Err(Failure::Said(
            "SMTP_URL is not set: set it to smtps://user:password@host. `--dry-run FOLDER` writes the mails as files"
                .to_owned(),
        ));
    };
    let started = context.clock.now();
    let (batch, queued) = queue(&context, arguments).await?;
    take_up_notes(&context.db, &context.clock, &context.ids, context.workspace).await?;
    let round = send(&context, &outbox).await?;
    let report = Report::of(&context, arguments, &batch, queued, (started, round)).await?;
    report.show(arguments.json)
}

async fn queue(context: &Context, arguments: &Arguments) -> Result<(Batch, Queued), Failure> {
    let again = if arguments.again { Again::Yes } else { Again::No };
    let mut session = context.session().await?;
    let month = arguments.month.to_string();
    let batch = batch::find(&mut session.tx, context.workspace, context.mode, &month).await?;
    let queued = desk::queue_statements(&mut session, &batch, arguments.partner.as_deref(), again).await?;
    session.commit().await?;
    Ok((batch, queued))
}

/// Sends what is due until nothing is, or somebody says stop.
async fn send(context: &Context, outbox: &Outbox) -> Result<Round, Failure> {
    let mut tx = context.db.read().await?;
    let due = mails::due(&mut tx, context.workspace, context.clock.now()).await?;
    tx.rollback().await?;
    let stop = CancellationToken::new();
    let watching = tokio::spawn({
        let (stop, asked) = (stop.clone(), asked_to_stop());
        async move {
            asked.await;
            stop.cancel();
        }
    });
    let bar = progress(u64::try_from(due).ok(), "sending");
    let round = outbox.send(context.workspace, &stop, &mut |_: &Mail, _: &Ended| bar.inc(1)).await;
    bar.finish_and_clear();
    watching.abort();
    Ok(round?)
}

/// What became of a month's statements.
struct Report {
    batch: Batch,
    queued: Queued,
    sent: Vec<Mail>,
    before: Vec<Mail>,
    waiting: Vec<Mail>,
    refused: Vec<Mail>,
    canceled: Vec<Mail>,
    round: Round,
}

impl Report {
    async fn of(
        context: &Context,
        arguments: &Arguments,
        batch: &Batch,
        queued: Queued,
        (started, round): (Time, Round),
    ) -> Result<Self, Failure> {
        let mut tx = context.db.read().await?;
        let all = mails::of_batch(&mut tx, context.workspace, &batch.batch_id, Kind::Statement).await?;
        tx.rollback().await?;
        let wanted = |mail: &Mail| arguments.partner.is_none() || mail.partner_key == arguments.partner;
        let mut report = Self {
            batch: batch.clone(),
            queued,
            sent: Vec::new(),
            before: Vec::new(),
            waiting: Vec::new(),
            refused: Vec::new(),
            canceled: Vec::new(),
            round,
        };
        for mail in all.into_iter().filter(wanted) {
            let list = match mail.status {
                Status::Sent if mail.sent_at >= Some(started) => &mut report.sent,
                Status::Sent => &mut report.before,
                Status::Queued | Status::Sending => &mut report.waiting,
                Status::Refused => &mut report.refused,
                Status::Canceled => &mut report.canceled,
            };
            list.push(mail);
        }
        Ok(report)
    }

    fn show(&self, json: bool) -> Result<(), Failure> {
        if json {
            self.print_json()?;
        } else {
            self.print();
        }
        match &self.round {
            Round::Done => Ok(()),
            Round::Stopped => {
                note!("stopped: what waits is sent by `serve`, or by this command when it is run again");
                Err(Failure::Answered)
            }
            Round::Trouble(why) => {
                note!("error: the mail server takes no mail: {why}");
                note!("What waits is sent by `serve`, or by this command when it is run again");
                Err(Failure::Answered)
            }
        }
    }

    fn print_json(&self) -> Result<(), Failure> {
        let list = |mails: &[Mail]| mails.iter().map(shown).collect::<Vec<Value>>();
        table::print_json(&json!({
            "batch_id": self.batch.batch_id,
            "month": self.batch.month,
            "mode": self.batch.mode().as_str(),
            "sent": self.sent.len(),
            "sent_before": self.before.len(),
            "waiting": list(&self.waiting),
            "refused": list(&self.refused),
            "canceled": self.canceled.len(),
            "without_address": self.queued.without_address,
            "server": match &self.round {
                Round::Trouble(why) => Some(why),
                Round::Done | Round::Stopped => None,
            },
        }))
    }

    fn print(&self) {
        outln!("Statements of {}: {} sent", self.batch.month, self.sent.len());
        for (count, what) in [
            (self.before.len(), "sent before (--again sends them once more)"),
            (self.waiting.len(), "waiting"),
            (self.refused.len(), "refused"),
            (self.canceled.len(), "called off"),
        ] {
            if count > 0 {
                outln!("  {count} {what}");
            }
        }
        let without = &self.queued.without_address;
        if !without.is_empty() {
            outln!("  {} without an address: {}", many(without.len(), "partner"), without.join(", "));
        }
        let open: Vec<Mail> = self.refused.iter().chain(&self.waiting).cloned().collect();
        if !open.is_empty() {
            outln!();
            print(&open);
        }
    }
}

/// Writes the mails as files, as they would be sent; nothing is queued.
async fn dry_run(context: &Context, arguments: &Arguments, folder: &Path) -> Result<(), Failure> {
    let what = || format!("cannot write into {}", folder.display());
    std::fs::create_dir_all(folder).map_err(Failure::system(what()))?;
    let terms = context.terms().await?;
    let mut tx = context.db.read().await?;
    let month = arguments.month.to_string();
    let batch = batch::find(&mut tx, context.workspace, context.mode, &month).await?;
    let post = Post::open(context.workspace, &terms, &context.ids, context.clock.now())
        .map_err(|error| Failure::Refused(error.into()))?;
    post.reaches(batch.mode()).map_err(|error| Failure::Refused(error.into()))?;
    let drafts = post.drafts(&mut tx, &batch, arguments.partner.as_deref()).await?;
    for mail in &drafts.mails {
        let written = message_of(&mut tx, context.workspace, mail, &terms, post.sender()).await;
        let message = written.map_err(|why| Failure::Said(format!("{}: {why}", mail.object_id)))?;
        let name = file_name(mail.partner_key.as_deref().unwrap_or_default(), &mail.object_id);
        std::fs::write(folder.join(name), message.bytes).map_err(Failure::system(what()))?;
    }
    tx.rollback().await?;
    if arguments.json {
        return table::print_json(&json!({
            "batch_id": batch.batch_id,
            "month": batch.month,
            "mode": batch.mode().as_str(),
            "written": drafts.mails.len(),
            "without_address": drafts.without_address,
        }));
    }
    outln!("{} written to {}; nothing was sent", many(drafts.mails.len(), "mail"), folder.display());
    if !drafts.without_address.is_empty() {
        let without = &drafts.without_address;
        outln!("  {} without an address: {}", many(without.len(), "partner"), without.join(", "));
    }
    Ok(())
}

/// A key may hold anything; a file's name may not.
fn file_name(partner: &str, statement: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' };
    let partner: String = partner.chars().map(plain).take(64).collect();
    format!("{partner}.{statement}.eml")
}
