//! Sending what is due: claim a mail, hand it over, write down at once what the server said.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::message::{self, Addressed, Message, Sender};
use super::rate::Rate;
use super::smtp::{LONGEST, Line, Server, Trouble, UrlError};
use super::{masked, render, schedule};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::terms::Terms;
use crate::ids::Ids;
use crate::store::mails::{self, Ended, Mail};
use crate::store::{Db, Mode, StoreError, Urgency, WorkspaceId};

/// For how long a mail is one sender's alone; after that whoever had it is gone.
const LEASE: TimeDelta = TimeDelta::minutes(20);
const _: () = assert!(LONGEST.as_secs() < LEASE.num_seconds().unsigned_abs());
/// How often it is tried to write down what the server said, and how long in between: forgotten, a mail goes out twice.
const WRITES: u32 = 8;
const BETWEEN_WRITES: Duration = Duration::from_millis(500);

/// Whoever sends mail.
pub struct Outbox {
    db: Db,
    clock: Clock,
    server: Server,
    rate: Rate,
    /// By which name mails are claimed.
    name: String,
}

/// How a round of sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Round {
    /// Nothing is due.
    Done,
    /// Somebody said stop.
    Stopped,
    /// Something is wrong with the server: what is due stays so.
    Trouble(String),
}

impl Outbox {
    /// Ready to send.
    pub fn new(db: Db, clock: Clock, ids: &Ids, server: Server, rate: Rate) -> Self {
        Self { db, clock, server, rate, name: ids.next("sender") }
    }

    /// As configured; none where no mail server is.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn configured(config: &Config, db: &Db, clock: &Clock, ids: &Ids) -> Result<Option<Self>, UrlError> {
        let Some(server) = Server::configured(config)? else { return Ok(None) };
        Ok(Some(Self::new(db.clone(), clock.clone(), ids, server, Rate::per_second(config.smtp_rate))))
    }

    /// The mail server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Sends all that is due in a workspace. `told` hears what became of each mail.
    ///
    /// # Errors
    /// The database's.
    pub async fn send(
        &self,
        workspace: WorkspaceId,
        stop: &CancellationToken,
        told: &mut (dyn FnMut(&Mail, &Ended) + Send),
    ) -> Result<Round, StoreError> {
        let mut line = Line::default();
        let round = self.send_by(&mut line, workspace, stop, told).await;
        line.hang_up().await;
        round
    }

    async fn send_by(
        &self,
        line: &mut Line,
        workspace: WorkspaceId,
        stop: &CancellationToken,
        told: &mut (dyn FnMut(&Mail, &Ended) + Send),
    ) -> Result<Round, StoreError> {
        let Some((terms, sender)) = self.set_up(workspace).await? else { return Ok(Round::Done) };
        let mut claimed = self.claim(workspace).await?;
        while let Some(mail) = claimed {
            let stopped = tokio::select! {
                () = self.rate.wait() => stop.is_cancelled(),
                () = stop.cancelled() => true,
            };
            let (ended, round) = if stopped {
                (Ended::Untried(mail.error.clone()), Some(Round::Stopped))
            } else {
                self.try_once(line, workspace, &mail, (&terms, &sender)).await
            };
            tell(&mail, &ended);
            let next = if round.is_some() { Next::Nothing } else { Next::Claim };
            claimed = self.end(workspace, &mail, &ended, next).await?;
            told(&mail, &ended);
            if let Some(round) = round {
                return Ok(round);
            }
        }
        Ok(Round::Done)
    }

    /// The terms and the sender, where there is something due and somebody may send it.
    async fn set_up(&self, workspace: WorkspaceId) -> Result<Option<(Arc<Terms>, Sender)>, StoreError> {
        let mut tx = self.db.read().await?;
        if !mails::any_due(&mut tx, workspace, self.clock.now()).await? {
            return Ok(None);
        }
        let terms = self.db.terms(&mut tx, workspace).await?;
        tx.rollback().await?;
        match Sender::of(&terms.current_settings().mail) {
            Ok(sender) => Ok(Some((terms, sender))),
            Err(error) => {
                tracing::warn!(%error, "mail is due and cannot be sent");
                Ok(None)
            }
        }
    }

    async fn claim(&self, workspace: WorkspaceId) -> Result<Option<Mail>, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.write(Urgency::Now).await?;
        let claimed = mails::claim(&mut tx, workspace, &self.name, now, now + LEASE).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Tries a mail; with what ends the round, where that is to end.
    async fn try_once(
        &self,
        line: &mut Line,
        workspace: WorkspaceId,
        mail: &Mail,
        (terms, sender): (&Terms, &Sender),
    ) -> (Ended, Option<Round>) {
        // Each of its tries ended without an end being written: whoever sends it dies of it.
        if schedule::next(mail.tries - 1).is_none() {
            return (Ended::Refused(last_words(mail)), None);
        }
        let later = |why: String| match schedule::next(mail.tries) {
            Some(wait) => Ended::Later(self.clock.now() + wait, why),
            None => Ended::Refused(format!("given up after {} tries; at last: {why}", mail.tries)),
        };
        let message = match self.written(workspace, mail, terms, sender).await {
            Ok(message) => message,
            Err(why) => return (later(format!("the mail cannot be written: {why}")), None),
        };
        match line.send(&self.server, &message).await {
            Ok(_) => (Ended::Sent, None),
            Err(Trouble::Later(why)) => (later(why), None),
            Err(Trouble::Refused(why)) => (Ended::Refused(why), None),
            // Where it is this mail alone, the others get their turn before it is tried again.
            Err(Trouble::Doubtful(why)) => (later(why.clone()), Some(Round::Trouble(why))),
            Err(Trouble::Server(why)) => (Ended::Untried(Some(why.clone())), Some(Round::Trouble(why))),
        }
    }

    async fn written(
        &self,
        workspace: WorkspaceId,
        mail: &Mail,
        terms: &Terms,
        sender: &Sender,
    ) -> Result<Message, String> {
        let mut tx = self.db.read().await.map_err(|error| error.to_string())?;
        let message = message_of(&mut tx, workspace, mail, terms, sender).await;
        let _ = tx.rollback().await;
        message
    }

    /// Writes down what became of a mail, and claims the next in the same commit.
    async fn end(
        &self,
        workspace: WorkspaceId,
        mail: &Mail,
        ended: &Ended,
        next: Next,
    ) -> Result<Option<Mail>, StoreError> {
        let mut writes = 0;
        loop {
            writes += 1;
            let failed = match self.end_once(workspace, mail, ended, next).await {
                Ok(next) => return Ok(next),
                Err(error) => error,
            };
            if writes == WRITES {
                tracing::error!(mail = mail.mail_id, error = %failed, "what became of a mail could not be written down");
                return Err(failed);
            }
            tokio::time::sleep(BETWEEN_WRITES).await;
        }
    }

    async fn end_once(
        &self,
        workspace: WorkspaceId,
        mail: &Mail,
        ended: &Ended,
        next: Next,
    ) -> Result<Option<Mail>, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.write(Urgency::Now).await?;
        if !mails::end(&mut tx, workspace, &mail.mail_id, &self.name, ended, now).await? {
            tracing::warn!(mail = mail.mail_id, "a mail took so long that somebody else sends it, too");
        }
        let claimed = match next {
            Next::Claim => mails::claim(&mut tx, workspace, &self.name, now, now + LEASE).await?,
            Next::Nothing => None,
        };
        tx.commit().await?;
        Ok(claimed)
    }
}

/// What is done beside writing down what became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Claim,
    Nothing,
}

fn last_words(mail: &Mail) -> String {
    let said = mail.error.as_deref().unwrap_or("the program ended each time it was sent");
    format!("given up after {} tries; at last: {said}", mail.tries - 1)
}

/// Makes the message of a mail.
///
/// # Errors
/// Why it cannot be made, in words.
pub async fn message_of(
    tx: &mut crate::store::Tx,
    workspace: WorkspaceId,
    mail: &Mail,
    terms: &Terms,
    sender: &Sender,
) -> Result<Message, String> {
    let content = render::content(tx, workspace, mail, terms).await.map_err(|error| error.to_string())?;
    let partner = mail.partner_key.as_ref().and_then(|key| terms.partners.get(key));
    let to = Addressed {
        mail_id: &mail.mail_id,
        message_id: &mail.message_id,
        recipient: &mail.recipient,
        name: partner.map(|partner| partner.profile.name.as_str()).filter(|_| mail.mode == Mode::Live),
        is_listed: mail.partner_key.is_some(),
        at: mail.created_at,
    };
    message::build(&content, sender, &to).map_err(|error| error.to_string())
}

/// Into the log, where no address has a place.
fn tell(mail: &Mail, ended: &Ended) {
    let (mail, kind) = (mail.mail_id.as_str(), mail.kind.as_str());
    match ended {
        Ended::Sent => tracing::info!(mail, kind, "mail sent"),
        Ended::Later(_, why) => tracing::warn!(mail, kind, why = masked(why), "mail not taken yet; it is tried again"),
        Ended::Refused(why) => tracing::warn!(mail, kind, why = masked(why), "mail refused for good"),
        Ended::Untried(_) => {}
    }
}
