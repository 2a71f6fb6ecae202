//! The durable inbox: an event is acknowledged once it is on disk, and never twice recorded.
//!
//! Whoever brings an event parses its envelope and compresses it in their own task; one writer takes whatever is
//! waiting, puts it into one insert and one commit, and answers everybody. So a commit is shared by as many as come
//! while the one before is being written.

pub mod asking;
pub mod backfill;
pub mod clicks;
pub mod fetch;
pub mod patience;
pub mod payload;
pub mod poll;

mod arrivals;
mod writer;

pub use arrivals::Arrivals;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::domain::Time;
use crate::store::events::{NewEvent, Source};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId};
use crate::stripe::{EnvelopeError, IgnoredReason, envelope, is_understood};

/// How many may wait for the writer; who comes beyond them is sent away, so that memory does not grow with the rush.
/// It is more than a second's worth for the writer.
const QUEUE: usize = 16 * 1024;

/// Why an event is ignored that names an account which is not the workspace's.
pub const ACCOUNT_MISMATCH: &str = "account_mismatch";

/// An event as somebody brings it.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Whose.
    pub workspace: WorkspaceId,
    /// By which way.
    pub source: Source,
    /// The event as Stripe wrote it.
    pub body: &'a [u8],
}

/// The event is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// `evt_…`
    pub event_id: String,
    /// Whether it was there before, in the same shape.
    pub duplicate: bool,
    /// Why it will not be read (`account_mismatch`, `unknown_type`, `thin_event`).
    pub ignored: Option<String>,
}

/// The event is not on disk.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// The body is no event of Stripe's.
    #[error("this is no Stripe event: {0}")]
    NotAnEvent(Arc<EnvelopeError>),
    /// The database is down, full or busy: whoever brought it should bring it again.
    #[error("the event could not be stored: {0}")]
    Unavailable(Arc<StoreError>),
    /// More events wait for the writer than can be kept: this one should come again in a moment.
    #[error("more events come in than can be stored")]
    Overloaded,
    /// The service is going down.
    #[error("the service is going down and takes no more events")]
    Closed,
}

/// The way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbox {
    queue: mpsc::Sender<Waiting>,
    db: Db,
    clock: Clock,
    arrivals: Arc<Arrivals>,
}

/// An event that waits for the writer.
#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    account: Option<String>,
    answer: oneshot::Sender<Result<Accepted, SubmitError>>,
}

/// An event whose envelope was read and whose body is packed.
#[derive(Debug)]
pub struct Ready {
    event: NewEvent,
    account: Option<String>,
}

impl Ready {
    /// `evt_…`
    pub fn id(&self) -> &str {
        &self.event.id
    }

    /// When Stripe made it.
    pub fn created(&self) -> Time {
        self.event.created
    }

    /// Which book it belongs to.
    pub fn mode(&self) -> Mode {
        self.event.mode
    }

    /// Whether its id or type holds U+0000, which `PostgreSQL` cannot keep.
    pub fn has_nul(&self) -> bool {
        self.event.id.contains('\0') || self.event.kind.contains('\0')
    }
}

/// What became of many events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// New ones.
    pub new: usize,
    /// Those that were there before.
    pub duplicates: usize,
}

impl Inbox {
    /// Starts the writer. `arrivals` is told whenever something new is on disk. The writer ends, with everything
    /// answered, when the last clone of the inbox is gone.
    pub fn start(db: Db, clock: Clock, arrivals: Arc<Arrivals>) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(writer::run(db.clone(), waiting, arrivals.clone()));
        (Self { queue, db, clock, arrivals }, writer)
    }

    /// Stores an event; when this returns, it is on disk.
    pub async fn submit(&self, incoming: Incoming<'_>) -> Result<Accepted, SubmitError> {
        let (event, account) = self.prepare(&incoming)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { event, account, answer };
        self.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
        })?;
        answered.await.map_err(|_| SubmitError::Closed)?
    }

    /// Stores many events of one workspace in one transaction, behind those that somebody waits for.
    pub async fn import(&self, events: &[Incoming<'_>]) -> Result<Imported, SubmitError> {
        let prepared = events.iter().map(|incoming| self.ready(incoming)).collect::<Result<Vec<_>, _>>()?;
        let unavailable = |error| SubmitError::Unavailable(Arc::new(error));
        let mut tx = self.db.write(Urgency::Background).await.map_err(unavailable)?;
        let fresh = self.store(&mut tx, prepared).await.map_err(unavailable)?;
        tx.commit().await.map_err(unavailable)?;
        // Who imports waits for the work as well: there is no rush to let go first.
        self.again();
        let new = fresh.into_iter().filter(|fresh| *fresh).count();
        Ok(Imported { new, duplicates: events.len() - new })
    }

    /// Reads an event's envelope and packs its body, for [`Inbox::store`].
    ///
    /// # Errors
    /// [`SubmitError::NotAnEvent`].
    pub fn ready(&self, incoming: &Incoming<'_>) -> Result<Ready, SubmitError> {
        self.prepare(incoming).map(|(event, account)| Ready { event, account })
    }

    /// Stores events in a transaction of the caller, who commits it together with whatever it says beside them and then
    /// calls [`Inbox::again`]; tells for each whether it was new.
    ///
    /// # Errors
    /// The database's.
    pub async fn store(&self, tx: &mut Tx, events: Vec<Ready>) -> Result<Vec<bool>, StoreError> {
        let (mut rows, accounts): (Vec<_>, Vec<_>) =
            events.into_iter().map(|Ready { event, account }| (event, account)).unzip();
        let accounts: Vec<Option<&str>> = accounts.iter().map(Option::as_deref).collect();
        writer::insert(&self.db, tx, &mut rows, &accounts).await
    }

    /// Says that there is something to read again: whoever records need not wait for the next event.
    pub fn again(&self) {
        self.arrivals.came(0);
    }

    fn prepare(&self, incoming: &Incoming<'_>) -> Result<(NewEvent, Option<String>), SubmitError> {
        let envelope = envelope(incoming.body).map_err(|error| SubmitError::NotAnEvent(Arc::new(error)))?;
        let ignored = if envelope.thin {
            Some(IgnoredReason::ThinEvent)
        } else if is_understood(&envelope.type_) {
            None
        } else {
            Some(IgnoredReason::UnknownType)
        };
        let ignored = ignored.map(|reason| reason.as_str().to_owned());
        let (payload, codec) = payload::pack(incoming.body);
        let event = NewEvent {
            workspace: incoming.workspace,
            id: envelope.id,
            shape: envelope.shape,
            mode: Mode::of(envelope.livemode),
            kind: envelope.type_,
            created: envelope.created,
            received: self.clock.now(),
            source: incoming.source,
            ignored,
            payload,
            codec,
        };
        Ok((event, envelope.account))
    }
}
