//! Mails: statements put into the outbox by hand, mails tried again and called off.

use serde_json::json;

use super::{Refused, Session};
use crate::mail::queue::{Again, Post, QueueError, Queued};
use crate::store::batches::Batch;
use crate::store::mails::{self, Mail, Status};

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => Self::Store(error),
            QueueError::NotSetUp(error) => Self::conflict("mail_not_set_up", error.to_string()),
        }
    }
}

/// Puts a batch's statements, or one partner's, into the outbox.
///
/// # Errors
/// `mail_not_set_up`, `not_approved`, [`Refused::Missing`], or the database's.
pub async fn queue_statements(
    session: &mut Session,
    batch: &Batch,
    partner: Option<&str>,
    again: Again,
) -> Result<Queued, Refused> {
    if batch.approved_at().is_none() {
        let month = &batch.month;
        let detail = format!("the payouts of {month} are not approved yet: what partners read must stand");
        return Err(Refused::conflict("not_approved", detail));
    }
    let terms = session.terms().await?;
    if let Some(partner) = partner.filter(|partner| !terms.partners.contains_key(*partner)) {
        return Err(Refused::Missing(format!("there is no partner {partner:?}")));
    }
    let post = Post::open(session.workspace, &terms, &session.ids, session.now)?;
    post.reaches(batch.mode())?;
    let queued = post.statements(&mut session.tx, (batch.mode(), &batch.batch_id), partner, again).await?;
    if !queued.queued.is_empty() {
        let after = json!({
            "month": batch.month, "partner_key": partner, "again": again == Again::Yes, "mails": queued.queued.len(),
        });
        session.audit(("statements.queued", "batch"), &batch.batch_id, None, Some(after)).await?;
    }
    Ok(queued)
}

/// One mail of the session's book.
///
/// # Errors
/// [`Refused::Missing`], or the database's.
pub async fn find(session: &mut Session, mail_id: &str) -> Result<Mail, Refused> {
    let found = mails::find(&mut session.tx, session.workspace, mail_id).await?;
    found.filter(|mail| mail.mode == session.mode).ok_or_else(|| Refused::Missing("there is no such mail".to_owned()))
}

/// Makes a mail due at once that waits, was refused or called off; what it is afterwards.
///
/// # Errors
/// [`Refused::Missing`], `mail_sent`, `mail_sending`, or the database's.
pub async fn retry(session: &mut Session, mail_id: &str) -> Result<Mail, Refused> {
    let before = find(session, mail_id).await?;
    if !mails::retry(&mut session.tx, session.workspace, mail_id, session.now).await? {
        return Err(too_late(session, mail_id).await);
    }
    changed(session, "mail.retried", &before).await
}

/// Calls a mail off that waits; what it is afterwards.
///
/// # Errors
/// [`Refused::Missing`], `mail_sent`, `mail_sending`, `mail_refused`, or the database's.
pub async fn cancel(session: &mut Session, mail_id: &str) -> Result<Mail, Refused> {
    let before = find(session, mail_id).await?;
    if before.status == Status::Canceled {
        return Ok(before);
    }
    if !mails::cancel(&mut session.tx, session.workspace, mail_id).await? {
        return Err(too_late(session, mail_id).await);
    }
    changed(session, "mail.canceled", &before).await
}

async fn changed(session: &mut Session, action: &'static str, before: &Mail) -> Result<Mail, Refused> {
    let after = find(session, &before.mail_id).await?;
    let state = |mail: &Mail| Some(json!({ "status": mail.status.as_str(), "tries": mail.tries }));
    session.audit((action, "mail"), &after.mail_id, state(before), state(&after)).await?;
    Ok(after)
}

async fn too_late(session: &mut Session, mail_id: &str) -> Refused {
    match find(session, mail_id).await {
        Err(refused) => refused,
        Ok(mail) => match mail.status {
            Status::Sent => {
                Refused::conflict("mail_sent", "the mail was sent: to send a statement once more, send it with `again`")
            }
            Status::Refused => Refused::conflict("mail_refused", "the mail was refused: there is nothing to call off"),
            Status::Queued | Status::Sending | Status::Canceled => {
                Refused::conflict("mail_sending", "the mail is being sent: look again in a moment")
            }
        },
    }
}
