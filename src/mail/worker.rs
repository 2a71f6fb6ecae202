//! The loop: what was noted becomes mails, what is due is sent. A server that fails is left alone for a while, longer
//! each time.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::masked;
use super::outbox::{Outbox, Round};
use super::queue::{Post, QueueError};
use super::schedule;
use crate::clock::Clock;
use crate::domain::Time;
use crate::ids::Ids;
use crate::store::mails::{self, Ended};
use crate::store::{Db, Mode, StoreError, Urgency, WorkspaceId, workspaces};

/// How long it sleeps when nothing is due.
const NAP: Duration = Duration::from_secs(1);
/// So many notes are taken up at once.
const NOTES: i64 = 200;

/// Sends the mail of every workspace.
pub struct Mailer {
    db: Db,
    clock: Clock,
    ids: Ids,
    /// None where no mail server is set: then mails are queued and wait.
    outbox: Option<Outbox>,
    pause: Mutex<Pause>,
}

/// How the server has been doing.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    failures: u32,
    until: Option<Time>,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Mails that the server took.
    pub sent: usize,
    /// Mails that are tried again.
    pub later: usize,
    /// Mails that were given up.
    pub refused: usize,
}

impl Mailer {
    /// Ready to work.
    pub fn new(db: Db, clock: Clock, ids: Ids, outbox: Option<Outbox>) -> Self {
        Self { db, clock, ids, outbox, pause: Mutex::default() }
    }

    /// Works until told to stop.
    pub async fn run(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.round(&shutdown).await
                && !error.is_collision()
            {
                tracing::error!(%error, "sending mail failed; trying again soon");
            }
            tokio::select! {
                () = tokio::time::sleep(NAP) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Takes up all notes and sends all that is due, unless the server is being left alone.
    ///
    /// # Errors
    /// The database's.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Worked, StoreError> {
        let mut worked = Worked::default();
        for workspace in self.workspaces().await? {
            take_up_notes(&self.db, &self.clock, &self.ids, workspace).await?;
            let Some(outbox) = &self.outbox else { continue };
            let mut pause = self.pause.lock().await;
            if stop.is_cancelled() || pause.until.is_some_and(|until| self.clock.now() < until) {
                continue;
            }
            let sent_before = worked.sent;
            let mut told = |_: &mails::Mail, ended: &Ended| match ended {
                Ended::Sent => worked.sent += 1,
                Ended::Later(..) => worked.later += 1,
                Ended::Refused(_) => worked.refused += 1,
                Ended::Untried(_) => {}
            };
            let tried = outbox.send(workspace, stop, &mut told).await?;
            if let Round::Trouble(why) = tried {
                // What it took before it failed shows that it works on the whole.
                pause.failures = if worked.sent > sent_before { 1 } else { pause.failures + 1 };
                let wait = schedule::pause(pause.failures);
                pause.until = Some(self.clock.now() + wait);
                let (why, wait) = (masked(&why), wait.num_seconds());
                tracing::error!(why, wait_seconds = wait, "the mail server takes no mail; all of it waits");
            } else if worked.sent > sent_before {
                *pause = Pause::default();
            }
        }
        Ok(worked)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let mut tx = self.db.read().await?;
        let all = workspaces::all(&mut tx).await?;
        tx.rollback().await?;
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }
}

/// Makes mails of what was noted, as the settings say; where nobody may send, nothing comes of it.
///
/// # Errors
/// The database's.
pub async fn take_up_notes(db: &Db, clock: &Clock, ids: &Ids, workspace: WorkspaceId) -> Result<(), StoreError> {
    for mode in Mode::ALL {
        loop {
            let mut tx = db.read().await?;
            if !mails::any_notes(&mut tx, workspace, mode).await? {
                break;
            }
            let terms = db.terms(&mut tx, workspace).await?;
            tx.rollback().await?;
            let mut tx = db.write(Urgency::Background).await?;
            let notes = mails::take_notes(&mut tx, workspace, mode, NOTES).await?;
            match Post::open(workspace, &terms, ids, clock.now()) {
                Ok(post) => post.take_up(&mut tx, mode, &notes).await?,
                Err(QueueError::Store(error)) => return Err(error),
                Err(QueueError::NotSetUp(_)) => {}
            }
            tx.commit().await?;
        }
    }
    Ok(())
}
