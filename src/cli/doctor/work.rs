//! Work in hand: events, customers, look-ups, mail, and what of them is stuck.

use chrono::TimeDelta;

use super::super::Failure;
use super::super::context::Context;
use super::super::table::many;
use super::{Checks, Finding};
use crate::domain::terms::MailSettings;
use crate::mail::message::{MessageError, Sender};
use crate::store::events::{self, EventStatus};
use crate::store::mails::{self, Status};
use crate::store::{Mode, asked, customers, parked_objects, resettle, sync_gaps};

/// What has waited for so long is stuck.
const STUCK: TimeDelta = TimeDelta::hours(1);

/// What was taken in and what became of it.
pub(super) async fn work(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
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
    if let Some(oldest) = events::oldest_unread(&mut tx, context.workspace).await?
        && context.clock.now() - oldest > STUCK
    {
        let hours = (context.clock.now() - oldest).num_hours();
        let detail = format!("the oldest has waited for {hours} hours: is `commission-bridge serve` running?");
        checks.add("unread events", Finding::Wrong, detail);
    }
    tx.rollback().await?;
    for mode in Mode::ALL {
        loose_ends(context, mode, checks).await?;
        from_stripe(context, mode, checks).await?;
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

/// What is still to be asked of Stripe, what it showed that cannot be read, and stretches of time that nobody asked about.
async fn from_stripe(context: &Context, mode: Mode, checks: &mut Checks) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let counts = asked::counts(&mut tx, context.workspace, mode).await?;
    let parked = parked_objects::list(&mut tx, context.workspace, mode, 1).await?;
    let gaps = sync_gaps::open(&mut tx, context.workspace, mode).await?;
    tx.rollback().await?;
    for (what, waiting, given_up) in counts {
        if waiting > 0 {
            let detail =
                format!("{mode}: {} wait ({what}): `serve` asks Stripe with a key that may", many(waiting, "question"));
            checks.add("look-ups", Finding::Note, detail);
        }
        if given_up > 0 {
            let detail = format!(
                "{mode}: {} ({what}) had no answer, mostly for want of a permission: `commission-bridge stripe status` names it",
                many(given_up, "question")
            );
            checks.add("look-ups", Finding::Note, detail);
        }
    }
    for one in parked {
        let detail = format!("{mode}: {} {} and perhaps others cannot be read: {}", one.kind, one.object, one.reason);
        checks.add("fetched objects", Finding::Wrong, detail);
    }
    for gap in gaps {
        checks.add("missed events", Finding::Wrong, format!("{mode}: {}", gap.sentence()));
    }
    Ok(())
}

/// Who sends mail, and what of it is stuck.
pub(super) async fn outbox(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
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
