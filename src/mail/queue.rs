//! What becomes a mail: of the notes of what happened, as the settings say; of a command, what it names. Each mail is
//! queued once, under a key of its own, and goes where its partner's mail goes at that moment.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::message::{MessageError, Sender, is_address};
use crate::domain::Time;
use crate::domain::terms::{MailSettings, SendStatements, Terms};
use crate::ids::Ids;
use crate::store::batches::Batch;
use crate::store::mails::{self, Kind, Mail, NewMail, Note, Status};
use crate::store::payouts::{self, Payout};
use crate::store::{Mode, StoreError, Tx, WorkspaceId};

/// What was noted longer ago is no news any more: nobody was there to send it.
const NEWS: TimeDelta = TimeDelta::days(3);

/// Why nothing was queued.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The settings say no sender, or one that is none.
    #[error(transparent)]
    NotSetUp(#[from] MessageError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One workspace's outbox, for whoever puts something in.
#[derive(Debug)]
pub struct Post<'a> {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Its terms: addresses and settings.
    pub terms: &'a Terms,
    /// For the mails' ids.
    pub ids: &'a Ids,
    /// When.
    pub now: Time,
    settings: MailSettings,
    sender: Sender,
}

/// What was queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queued {
    /// The new mails' ids.
    pub queued: Vec<String>,
    /// Mails that had been queued before.
    pub before: Vec<Mail>,
    /// Partners without an address that mail can be sent to.
    pub without_address: Vec<String>,
}

/// Mails that nobody queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drafts {
    /// As they would be sent.
    pub mails: Vec<Mail>,
    /// Partners without an address that mail can be sent to.
    pub without_address: Vec<String>,
}

/// Whether what was sent before is sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is not.
    No,
    /// It is.
    Yes,
}

impl<'a> Post<'a> {
    /// Opens a workspace's outbox.
    ///
    /// # Errors
    /// [`QueueError::NotSetUp`] where nobody may send.
    pub fn open(workspace: WorkspaceId, terms: &'a Terms, ids: &'a Ids, now: Time) -> Result<Self, QueueError> {
        let settings = terms.current_settings().mail;
        let sender = Sender::of(&settings)?;
        Ok(Self { workspace, terms, ids, now, settings, sender })
    }

    /// Where a partner's mail goes. What is tried out in the test book goes to the owner: no partner is to hear of it.
    fn address(&self, mode: Mode, partner: &str) -> Option<String> {
        let address = match mode {
            Mode::Test => self.settings.owner.clone(),
            Mode::Live => self.terms.partners.get(partner).and_then(|partner| partner.profile.email.clone()),
        };
        address.filter(|address| is_address(address))
    }

    fn mail(&self, kind: Kind, object_id: &str, recipient: String) -> NewMail {
        let mail_id = self.ids.next("mail");
        NewMail {
            message_id: self.sender.message_id(&mail_id),
            mail_id,
            natural_key: format!("{}/{object_id}", kind.as_str()),
            kind,
            object_id: object_id.to_owned(),
            batch_id: None,
            partner_key: None,
            recipient,
        }
    }

    /// Checks that a book's mail has somewhere to go.
    ///
    /// # Errors
    /// [`QueueError::NotSetUp`] where it is the test book's, and there is no owner.
    pub fn reaches(&self, mode: Mode) -> Result<(), QueueError> {
        if mode == Mode::Test && self.settings.owner.is_none() {
            return Err(MessageError::NoOwner.into());
        }
        Ok(())
    }

    /// Who sends.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// A batch's statements, or those of one partner, as mails that nobody queued.
    ///
    /// # Errors
    /// The database's.
    pub async fn drafts(&self, tx: &mut Tx, batch: &Batch, partner: Option<&str>) -> Result<Drafts, StoreError> {
        let mut drafts = Drafts::default();
        for (statement, of) in mails::statements(tx, self.workspace, &batch.batch_id).await? {
            if partner.is_some_and(|partner| partner != of) {
                continue;
            }
            let Some(recipient) = self.address(batch.mode(), &of) else {
                drafts.without_address.push(of);
                continue;
            };
            let mail_id = format!("draft_{statement}");
            drafts.mails.push(Mail {
                message_id: self.sender.message_id(&mail_id),
                mail_id,
                mode: batch.mode(),
                kind: Kind::Statement,
                object_id: statement,
                batch_id: Some(batch.batch_id.clone()),
                partner_key: Some(of),
                recipient,
                status: Status::Queued,
                tries: 0,
                next_try_at: None,
                error: None,
                created_at: self.now,
                sent_at: None,
            });
        }
        drafts.without_address.dedup();
        Ok(drafts)
    }

    /// Queues a batch's statements, or those of one partner.
    ///
    /// # Errors
    /// The database's.
    pub async fn statements(
        &self,
        tx: &mut Tx,
        (mode, batch_id): (Mode, &str),
        partner: Option<&str>,
        again: Again,
    ) -> Result<Queued, StoreError> {
        let times: HashMap<String, i64> = match again {
            Again::No => HashMap::new(),
            Again::Yes => mails::times(tx, self.workspace, batch_id, Kind::Statement).await?.into_iter().collect(),
        };
        let (mut queued, mut new) = (Queued::default(), Vec::new());
        for (statement, of) in mails::statements(tx, self.workspace, batch_id).await? {
            if partner.is_some_and(|partner| partner != of) {
                continue;
            }
            let Some(recipient) = self.address(mode, &of) else {
                queued.without_address.push(of);
                continue;
            };
            let mut mail = self.mail(Kind::Statement, &statement, recipient);
            if let Some(times) = times.get(&statement) {
                mail.natural_key = format!("{}/{}", mail.natural_key, times + 1);
            }
            mail.batch_id = Some(batch_id.to_owned());
            mail.partner_key = Some(of);
            new.push(mail);
        }
        queued.without_address.dedup();
        self.put(tx, mode, &new, &mut queued).await?;
        Ok(queued)
    }

    /// Queues what a payout's partner is told of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts(&self, tx: &mut Tx, mode: Mode, about: &[(Kind, Payout)]) -> Result<Queued, StoreError> {
        let (mut queued, mut new) = (Queued::default(), Vec::new());
        for (kind, payout) in about {
            match self.address(mode, &payout.partner_key) {
                None => queued.without_address.push(payout.partner_key.clone()),
                Some(recipient) => new.push(NewMail {
                    batch_id: Some(payout.batch_id.clone()),
                    partner_key: Some(payout.partner_key.clone()),
                    ..self.mail(*kind, &payout.payout_id, recipient)
                }),
            }
        }
        self.put(tx, mode, &new, &mut queued).await?;
        Ok(queued)
    }

    /// Queues a month's summary for the owner, if there is one.
    ///
    /// # Errors
    /// The database's.
    pub async fn month_end(&self, tx: &mut Tx, mode: Mode, batch_id: &str) -> Result<Queued, StoreError> {
        let mut queued = Queued::default();
        if let Some(owner) = self.settings.owner.clone().filter(|owner| is_address(owner)) {
            let mail = NewMail { batch_id: Some(batch_id.to_owned()), ..self.mail(Kind::MonthEnd, batch_id, owner) };
            self.put(tx, mode, &[mail], &mut queued).await?;
        }
        Ok(queued)
    }

    async fn put(&self, tx: &mut Tx, mode: Mode, new: &[NewMail], queued: &mut Queued) -> Result<(), StoreError> {
        queued.queued = mails::queue(tx, self.workspace, mode, new, self.now).await?;
        if queued.queued.len() < new.len() {
            let known = mails::of_keys(tx, self.workspace, new.iter().map(|mail| mail.natural_key.as_str())).await?;
            let is_new: std::collections::HashSet<&str> = queued.queued.iter().map(String::as_str).collect();
            queued.before = known.into_iter().filter(|mail| !is_new.contains(mail.mail_id.as_str())).collect();
        }
        Ok(())
    }

    /// Makes mails of what was noted in a book, as far as the settings want it.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_up(&self, tx: &mut Tx, mode: Mode, notes: &[Note]) -> Result<(), StoreError> {
        let mut about = Vec::new();
        for note in notes.iter().filter(|note| note.at + NEWS > self.now) {
            match note.kind {
                Kind::Statement => about.extend(self.approved(tx, mode, &note.object_id).await?),
                Kind::MonthEnd => drop(self.month_end(tx, mode, &note.object_id).await?),
                Kind::PayoutSent | Kind::ActionNeeded if self.settings.payout_notices => {
                    let found = payouts::by_id(tx, self.workspace, &note.object_id).await?;
                    about.extend(found.map(|payout| (note.kind, payout)));
                }
                Kind::PayoutSent | Kind::ActionNeeded => {}
            }
        }
        self.payouts(tx, mode, &about).await.map(drop)
    }

    /// Queues the statements of a batch that was approved; tells of which payouts their partners are to hear at once.
    async fn approved(&self, tx: &mut Tx, mode: Mode, batch_id: &str) -> Result<Vec<(Kind, Payout)>, StoreError> {
        if self.settings.statements == SendStatements::OnApproval {
            self.statements(tx, (mode, batch_id), None, Again::No).await?;
        }
        if !self.settings.payout_notices {
            return Ok(Vec::new());
        }
        let all = payouts::of_batch(tx, self.workspace, batch_id).await?;
        let waiting = all.into_iter().filter(waits_for_its_partner);
        Ok(waiting.map(|payout| (Kind::ActionNeeded, payout)).collect())
    }
}

/// Whether a payout is blocked by what its partner can put right.
fn waits_for_its_partner(payout: &Payout) -> bool {
    const THEIRS: [&str; 4] = ["no_method", "account_not_ready", "tax_form_missing", "currency_not_payable"];
    payout.status == "blocked" && payout.reason.as_deref().is_some_and(|reason| THEIRS.contains(&reason))
}
