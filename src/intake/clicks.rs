//! Clicks on their way to the disk. As with events, one writer takes whatever waits, puts it into one insert and one
//! commit, and answers everybody.
//!
//! There are two lanes. A click with a fresh id can concern no customer yet: it takes no lock and waits for nobody who
//! records. A click whose id somebody else made may have been seen on a payment already: its customers are woken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::domain::decision::Click;
use crate::ids::Ids;
use crate::store::{Db, StoreError, Urgency, WorkspaceId, clicks, lookups};

/// How many may wait for a writer before those who come have to wait in front of the queue.
const QUEUE: usize = 4096;
/// How many clicks share a commit at most.
const GROUP: usize = 512;

/// The click is not on disk, as far as anybody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotStored {
    /// The database is down, full or busy, or refuses the click.
    #[error("the click could not be stored: {0}")]
    Store(Arc<StoreError>),
    /// The service is going down.
    #[error("the service is going down and takes no more clicks")]
    Closed,
}

/// The way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clicks {
    fresh: mpsc::Sender<Waiting>,
    named: mpsc::Sender<Waiting>,
}

/// A click that waits for its writer.
#[derive(Debug)]
struct Waiting {
    workspace: WorkspaceId,
    id: String,
    click: Click,
    answer: oneshot::Sender<Result<Click, NotStored>>,
}

impl Clicks {
    /// Starts the writers. `wake` is told when customers are due because of a click. The writers end, with everything
    /// answered, when the last clone is gone.
    pub fn start(db: &Db, clock: &Clock, ids: &Ids, wake: &Arc<Notify>) -> (Self, JoinSet<()>) {
        let mut writers = JoinSet::new();
        let mut lane = |is_fresh| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            let writer =
                Writer { db: db.clone(), clock: clock.clone(), ids: ids.clone(), wake: wake.clone(), is_fresh };
            writers.spawn(writer.run(waiting));
            queue
        };
        (Self { fresh: lane(true), named: lane(false) }, writers)
    }

    /// Stores a click whose id was just made; when this returns, it is on disk. Whoever stops waiting before it is being
    /// written has it forgotten.
    pub async fn fresh(&self, workspace: WorkspaceId, id: String, click: Click) -> Result<(), NotStored> {
        submit(&self.fresh, workspace, id, click).await.map(drop)
    }

    /// Stores a click whose id its sender chose, and wakes whoever was waiting for it; when this returns, it is on disk.
    /// What is answered is the click as it is kept: another than asked for, if the id was known before.
    pub async fn named(&self, workspace: WorkspaceId, id: String, click: Click) -> Result<Click, NotStored> {
        submit(&self.named, workspace, id, click).await
    }
}

async fn submit(
    lane: &mpsc::Sender<Waiting>,
    workspace: WorkspaceId,
    id: String,
    click: Click,
) -> Result<Click, NotStored> {
    let (answer, answered) = oneshot::channel();
    lane.send(Waiting { workspace, id, click, answer }).await.map_err(|_| NotStored::Closed)?;
    answered.await.map_err(|_| NotStored::Closed)?
}

/// One lane's writer.
struct Writer {
    db: Db,
    clock: Clock,
    ids: Ids,
    wake: Arc<Notify>,
    is_fresh: bool,
}

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut group = Vec::with_capacity(GROUP);
        while waiting.recv_many(&mut group, GROUP).await > 0 {
            // Nobody would ever hear of the id of such a click.
            group.retain(|waiting| !waiting.answer.is_closed());
            match self.write(&group).await {
                Ok(kept) => answer_all(group.drain(..), &kept),
                // A click that the database refuses must not take the others down with it.
                Err(error) if error.is_refusal() && group.len() > 1 => {
                    for one in group.drain(..) {
                        let one = [one];
                        match self.write(&one).await {
                            Ok(kept) => answer_all(one.into_iter(), &kept),
                            Err(error) => refuse_all(one.into_iter(), error),
                        }
                    }
                }
                Err(error) => refuse_all(group.drain(..), error),
            }
        }
    }

    /// Writes them all; what is kept under the ids that their senders chose.
    async fn write(&self, group: &[Waiting]) -> Result<Kept, StoreError> {
        let mut of_workspace: BTreeMap<WorkspaceId, Vec<(String, Click)>> = BTreeMap::new();
        for waiting in group {
            of_workspace.entry(waiting.workspace).or_default().push((waiting.id.clone(), waiting.click.clone()));
        }
        let mut kept = Kept::new();
        if of_workspace.is_empty() {
            return Ok(kept);
        }
        let mut wakes = false;
        let mut tx = self.db.write(Urgency::Now).await?;
        for (workspace, new) in of_workspace {
            if self.is_fresh {
                clicks::enter_fresh(&mut tx, workspace, &new).await?;
                continue;
            }
            wakes |= clicks::enter(&mut tx, workspace, &new, &self.ids, self.clock.now()).await?.wakes;
            let known = lookups::clicks(&mut tx, workspace, new.iter().map(|(id, _)| id.as_str())).await?;
            kept.extend(known.into_iter().map(|(id, click)| ((workspace, id), click)));
        }
        tx.commit().await?;
        if wakes {
            self.wake.notify_one();
        }
        Ok(kept)
    }
}

type Kept = HashMap<(WorkspaceId, String), Click>;

fn answer_all(group: impl Iterator<Item = Waiting>, kept: &Kept) {
    for Waiting { workspace, id, click, answer } in group {
        // Whoever waited may be gone; the click is on disk all the same.
        let _ = answer.send(Ok(kept.get(&(workspace, id)).cloned().unwrap_or(click)));
    }
}

fn refuse_all(group: impl Iterator<Item = Waiting>, error: StoreError) {
    tracing::error!(%error, "clicks could not be stored");
    let error = Arc::new(error);
    for waiting in group {
        let _ = waiting.answer.send(Err(NotStored::Store(error.clone())));
    }
}
