//! The loops: record what came in, settle what is due, wake whom a change concerns, close months.

mod month_end;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeDelta};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use self::turn::Turn;
use crate::intake::Arrivals;
use crate::ledger::settle::{self, Pace};
use crate::ledger::{Ledger, record};
use crate::store::{StoreError, Urgency, WorkspaceId, clock_back, micros, workspaces};

/// How long a worker sleeps when nothing wakes it: what another process enters takes effect that soon.
const NAP: Duration = Duration::from_secs(1);
/// How long after it found something to record; twice as long each time that it finds nothing. Events that another
/// process takes in wake nobody here: telling would make every commit of theirs wait for the one before.
const SHORT_NAP: Duration = Duration::from_millis(20);
/// While events pour in, a customer is settled when it has been due for so long: its further events collect.
const COLLECT: TimeDelta = TimeDelta::milliseconds(1000);
/// So far a clock is set back now and then without doing harm.
const STEP_BACK: TimeDelta = TimeDelta::seconds(1);
/// How long it lets webhooks that pour in go first.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same while they have poured in for so long that whole batches wait: who answers quickly must keep up, too. In
/// proportion to how long the last batch took, in percent, so that either has its part on any machine.
const REST_PERCENT: u32 = 50;
/// It gives way at least so long, however quick the last batch was.
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// How long it waits after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Does the work of every workspace.
#[derive(Debug, Clone)]
pub struct Worker {
    ledger: Ledger,
    arrivals: Arc<Arrivals>,
    recorded: Arc<Notify>,
    settled: Arc<Notify>,
    /// The latest moment that it has seen, in unix microseconds.
    seen: Arc<AtomicI64>,
    /// The date on which the balances of all workspaces were last folded.
    folded: Arc<Mutex<Option<NaiveDate>>>,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Events recorded, ignored or failed.
    pub events: usize,
    /// Customers settled.
    pub settled: usize,
    /// Customers set aside.
    pub parked: usize,
}

impl Worker {
    /// `arrivals` is what the inbox tells.
    pub fn new(ledger: Ledger, arrivals: Arc<Arrivals>) -> Self {
        Self {
            ledger,
            arrivals,
            recorded: Arc::default(),
            settled: Arc::default(),
            // The process before may have seen a later one.
            seen: Arc::new(AtomicI64::new(i64::MAX)),
            folded: Arc::default(),
        }
    }

    /// Notified whenever customers were settled: the ledger may have grown.
    pub fn settled(&self) -> Arc<Notify> {
        self.settled.clone()
    }

    /// Notify it when customers may be due: they are settled at once.
    pub fn waker(&self) -> Arc<Notify> {
        self.recorded.clone()
    }

    /// Works until nothing is due now. For imports, commands and tests.
    pub async fn run_until_idle(&self) -> Result<Worked, StoreError> {
        let mut worked = Worked::default();
        self.look_at_clock().await?;
        loop {
            let mut idle = true;
            for workspace in self.workspaces().await? {
                match self.work_off(workspace, &mut worked).await {
                    Ok(did_something) => idle &= !did_something,
                    Err(error) if error.is_collision() => idle = false,
                    Err(error) => return Err(error),
                }
            }
            if idle {
                return Ok(worked);
            }
        }
    }

    /// Records and settles all there is, side by side, then wakes a page of customers that a change concerns; tells
    /// whether there was anything.
    async fn work_off(&self, workspace: WorkspaceId, worked: &mut Worked) -> Result<bool, StoreError> {
        let round = Round::default();
        let recording = async {
            let recorded = self.record_all(workspace, &round).await;
            round.end();
            recorded
        };
        let (recorded, settled) = tokio::join!(recording, self.settle_beside(workspace, &round));
        let (recorded, settled) = (recorded?, settled?);
        worked.events += recorded;
        worked.settled += settled.settled;
        worked.parked += settled.parked;
        Ok(recorded + settled.due > 0 || self.ledger.resettle(workspace).await?)
    }

    async fn record_all(&self, workspace: WorkspaceId, round: &Round) -> Result<usize, StoreError> {
        let mut sum = 0;
        let mut recorder = self.ledger.recorder(workspace);
        loop {
            let recorded = recorder.next().await?;
            self.ledger.db.grown_by(recorded).await;
            if recorded == 0 {
                return Ok(sum);
            }
            sum += recorded;
            round.progress.notify_one();
        }
    }

    /// Settles until the recording has ended and nothing is due any more.
    async fn settle_beside(&self, workspace: WorkspaceId, round: &Round) -> Result<settle::Done, StoreError> {
        let mut sum = settle::Done::default();
        let mut turn = self.turn();
        loop {
            let is_last = round.has_ended();
            let now = self.ledger.clock.now();
            let by = if is_last { now } else { now - COLLECT };
            let pace = if is_last { Pace::AtOnce } else { Pace::Lasting };
            let began = Instant::now();
            let done = self.ledger.settle_due_by(workspace, (by, pace), turn.customers()).await?;
            turn.took(done.due, began.elapsed());
            sum.due += done.due;
            sum.settled += done.settled;
            sum.parked += done.parked;
            if done.due == 0 && is_last {
                return Ok(sum);
            }
            if done.due == 0 {
                round.progress.notified().await;
            }
        }
    }

    /// Works until told to stop: one loop records, one settles, one closes months.
    pub async fn run(&self, shutdown: CancellationToken) {
        // Closing a month is rare and deep: it does not make everybody's state larger.
        let closing = Box::pin(self.keep_closing(&shutdown));
        tokio::join!(self.keep_recording(&shutdown), self.keep_settling(&shutdown), closing);
    }

    async fn keep_recording(&self, shutdown: &CancellationToken) {
        let mut nap = NAP;
        while !shutdown.is_cancelled() {
            let round = self.record_round(shutdown).await;
            self.ledger.db.pour(false);
            nap = if matches!(round, Ok(1..)) { SHORT_NAP } else { NAP.min(nap * 2) };
            rest(self.arrivals.next(), shutdown, nap, round.map(drop), "recording").await;
        }
    }

    fn turn(&self) -> Turn {
        Turn::new(settle::batch(self.ledger.db.engine()))
    }

    async fn keep_settling(&self, shutdown: &CancellationToken) {
        let mut turn = self.turn();
        while !shutdown.is_cancelled() {
            let round = self.settle_round(&mut turn, shutdown).await;
            rest(self.recorded.notified(), shutdown, NAP, round, "settling").await;
        }
    }

    /// Records all that is pending; tells how many events that were.
    async fn record_round(&self, shutdown: &CancellationToken) -> Result<usize, StoreError> {
        let full = usize::try_from(record::batch(self.ledger.db.engine())).unwrap_or(usize::MAX);
        let mut sum = 0;
        for workspace in self.workspaces().await? {
            let mut recorded = full;
            let mut recorder = self.ledger.recorder(workspace);
            let mut took = Duration::ZERO;
            while !shutdown.is_cancelled() && recorded > 0 {
                self.step_aside(took).await;
                let began = Instant::now();
                recorded = recorder.next().await?;
                took = began.elapsed();
                self.seen.fetch_max(micros(self.ledger.clock.now()), Ordering::Relaxed);
                self.ledger.db.grown_by(recorded).await;
                // More are pending than a batch holds.
                self.ledger.db.pour(recorded >= full);
                self.recorded.notify_one();
                tracing::debug!(events = recorded, "recorded");
                sum += recorded;
            }
        }
        Ok(sum)
    }

    /// Settles all that is due. A page of customers that a change woke comes behind fresh work, and no later than after
    /// a few batches of it.
    async fn settle_round(&self, turn: &mut Turn, shutdown: &CancellationToken) -> Result<(), StoreError> {
        const BATCHES_BEFORE_A_PAGE: usize = 8;
        self.look_at_clock().await?;
        for workspace in self.workspaces().await? {
            let mut idle = false;
            while !idle && !shutdown.is_cancelled() {
                let mut batches = 0;
                let mut took = Duration::ZERO;
                while batches < BATCHES_BEFORE_A_PAGE {
                    self.step_aside(took).await;
                    let began = Instant::now();
                    let due = self.settle_batch(workspace, turn.customers()).await?;
                    took = began.elapsed();
                    turn.took(due, took);
                    if due == 0 {
                        break;
                    }
                    batches += 1;
                }
                idle = !self.ledger.resettle(workspace).await? && batches == 0;
            }
        }
        self.fold_balances(shutdown).await
    }

    /// Where the machine's clock went back: what was put off until the time before must not wait until that comes again.
    async fn look_at_clock(&self) -> Result<(), StoreError> {
        let now = self.ledger.clock.now();
        let before = self.seen.swap(micros(now), Ordering::Relaxed);
        if micros(now + STEP_BACK) >= before {
            return Ok(());
        }
        let cannot = |error: StoreError| {
            // It is looked at again.
            self.seen.store(before, Ordering::Relaxed);
            error
        };
        for workspace in self.workspaces().await.map_err(cannot)? {
            let brought = async {
                let mut tx = self.ledger.db.write(Urgency::Background).await?;
                let brought = clock_back::come_back(&mut tx, workspace, now).await?;
                tx.commit().await?;
                Ok(brought)
            };
            let brought = brought.await.map_err(cannot)?;
            if brought > 0 {
                tracing::warn!(
                    workspace = workspace.0,
                    brought,
                    "the clock went back: what waited for a later time was brought back"
                );
            }
        }
        Ok(())
    }

    /// Once a day, a piece at a time: what became available in the days before is added up.
    async fn fold_balances(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let today = self.ledger.clock.now().date_naive();
        if *self.folded.lock().await == Some(today) {
            return Ok(());
        }
        for workspace in self.workspaces().await? {
            while !shutdown.is_cancelled() && self.ledger.fold_balances(workspace).await? {}
        }
        *self.folded.lock().await = Some(today);
        Ok(())
    }

    async fn settle_batch(&self, workspace: WorkspaceId, limit: usize) -> Result<usize, StoreError> {
        let now = self.ledger.clock.now();
        let by = if self.ledger.db.pours() || self.arrivals.is_rush() { now - COLLECT } else { now };
        let done = self.ledger.settle_due_by(workspace, (by, Pace::Lasting), limit).await?;
        if done.settled > 0 {
            self.settled.notify_one();
            tracing::debug!(customers = done.settled, "settled");
        }
        Ok(done.due)
    }

    /// Lets webhooks go first, after a batch that took so long.
    async fn step_aside(&self, took: Duration) {
        let rest = (took * REST_PERCENT / 100).clamp(SHORTEST_REST, PATIENCE);
        let patience = if self.ledger.db.pours() { rest } else { PATIENCE };
        self.arrivals.step_aside(patience).await;
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let all = workspaces::all(&mut tx).await?;
        tx.rollback().await?;
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }
}

/// One go at all there is: whether the recording has ended, and that it went on.
#[derive(Default)]
struct Round {
    ended: AtomicBool,
    progress: Notify,
}

impl Round {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.progress.notify_one();
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Waits for something to do. An error is logged once here, and tried again.
async fn rest(
    wake: impl Future<Output = ()>,
    shutdown: &CancellationToken,
    nap: Duration,
    round: Result<(), StoreError>,
    doing: &str,
) {
    let nap = match round {
        Ok(()) => nap,
        // Somebody else was quicker; what is left is tried at once.
        Err(error) if error.is_collision() => Duration::ZERO,
        Err(error) => {
            tracing::error!(%error, "{doing} failed; trying again soon");
            AFTER_FAILURE
        }
    };
    tokio::select! {
        () = wake => {}
        () = tokio::time::sleep(nap) => {}
        () = shutdown.cancelled() => {}
    }
}
