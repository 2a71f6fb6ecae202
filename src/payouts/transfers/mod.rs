//! Stripe transfers: pays a batch for which somebody asked, each payout once, whatever happens on the way.
//!
//! ```text
//! ask ─► claim (a lease, and the attempt with its key: committed) ─► call ─► what its answer allows to conclude
//!                                          ▲                                   done ─► settled
//!                                          └── same key, later ── unknown ◄─┤  look-up finds it ─► settled
//!                                              new key ◄── none found ◄─ refused   the partner's fault ─► failed
//! ```
//!
//! - Before the call there is a row with the key under which Stripe does it once. What is not known is looked up by the
//!   payout's id before anything is sent again.
//! - Anybody may report that a transfer exists. That none exists may be concluded only by who holds the lease, by a
//!   look-up, after a definite refusal or when the key has expired.
//! - A key counts for [`KEY_LASTS`]. It is made of the payout and the attempt: a restored backup uses the same.

mod attempt;
mod heard;
mod missing;
mod refusal;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use heard::{apply_accounts, apply_transfers};

use super::error::PayoutError;
use crate::clock::Clock;
use crate::domain::Time;
use crate::ids::Ids;
use crate::store::audit::{self, Act, By};
use crate::store::batches::{self, Batch};
use crate::store::transfers::{self, Claimed, Cursor, Lease};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId};
use crate::stripe_api::{Api, KeyProblem, NoKey};

/// How long Stripe is trusted to know a key: an hour less than it promises.
pub const KEY_LASTS: TimeDelta = TimeDelta::hours(23);
/// Who pays, in the audit log.
const AUTHOR: &str = "stripe";

/// Asks for a batch to be paid by Stripe, or to go on after it stood still; the workers do it.
///
/// # Errors
/// [`PayoutError::NoBatch`], [`PayoutError::NotApproved`], or the database's.
pub async fn ask(tx: &mut Tx, by: By<'_>, mode: Mode, name: &str) -> Result<Batch, PayoutError> {
    let batch = super::batch::find(tx, by.workspace, mode, name).await?;
    if batch.status == "paid" {
        return Ok(batch);
    }
    // Payouts before their batch, as everybody takes them.
    transfers::wait_no_longer(tx, by.workspace, &batch.batch_id, by.now).await?;
    if !batches::ask_to_pay(tx, by.workspace, &batch.batch_id, by.now).await? {
        return Err(PayoutError::NotApproved(batch.month));
    }
    let after =
        batches::by_id(tx, by.workspace, &batch.batch_id).await?.ok_or(PayoutError::NoBatch(batch.month.clone()))?;
    let state = |batch: &Batch| Some(json!({ "status": batch.status, "paused": batch.paused() }));
    let (before, now) = (state(&batch), state(&after));
    let act = Act { action: "batch.pay_asked", object: "batch", object_id: batch.batch_id.clone(), before, after: now };
    audit::append(tx, by, &[act]).await?;
    Ok(after)
}

/// How hard one process tries.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Payouts under way at once.
    pub lanes: usize,
    /// How long it waits after the first unclear answer; twice as long after each further one.
    pub patience: Duration,
    /// How long at most.
    pub longest: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { lanes: 8, patience: Duration::from_secs(1), longest: Duration::from_mins(5) }
    }
}

impl Policy {
    /// How long to wait before the next try.
    fn wait(&self, tries: i64) -> Duration {
        let doublings = u32::try_from(tries.clamp(0, 20)).unwrap_or(20);
        self.patience.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest)
    }
}

/// Pays the batches of one workspace and book with one key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Payer {
    db: Db,
    clock: Clock,
    ids: Ids,
    workspace: WorkspaceId,
    mode: Mode,
    api: Arc<Api>,
    policy: Policy,
    /// A name that no other process has.
    name: Arc<str>,
    gate: Arc<Gate>,
}

/// Everybody waits while Stripe has too many requests.
#[derive(Debug, Default)]
struct Gate {
    shut_until: Mutex<Option<Instant>>,
    streak: AtomicU32,
}

impl Gate {
    async fn pass(&self) {
        let until = *self.shut_until.lock().await;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }

    async fn busy(&self, policy: &Policy) {
        let streak = self.streak.fetch_add(1, Ordering::Relaxed);
        let wait = policy.wait(i64::from(streak.min(5)));
        *self.shut_until.lock().await = Instant::now().checked_add(wait);
    }

    fn calm(&self) {
        self.streak.store(0, Ordering::Relaxed);
    }
}

/// What became of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Became {
    /// It arrived.
    Settled,
    /// Stripe refused it for a reason of its own.
    Failed,
    /// It paid nothing, and may be begun anew.
    Ready,
    /// Its outcome is not known yet, or somebody else has it.
    Open,
}

/// What one round did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Payouts looked at.
    pub claimed: usize,
    /// Those that arrived.
    pub settled: usize,
    /// Those that failed.
    pub failed: usize,
    /// When the next open one can be tried; none where none is open.
    pub next: Option<Time>,
    /// Why the batch stands still.
    pub paused: Option<Value>,
}

impl Payer {
    /// A payer with a name of its own.
    pub fn new(db: Db, clock: Clock, ids: Ids, (workspace, mode): (WorkspaceId, Mode), api: Arc<Api>) -> Self {
        let name = ids.next("payer").into();
        Self { db, clock, ids, workspace, mode, api, policy: Policy::default(), name, gate: Arc::default() }
    }

    /// The same, trying otherwise.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Whether it pays by this way.
    pub fn is_by(&self, api: &Arc<Api>) -> bool {
        Arc::ptr_eq(&self.api, api)
    }

    /// Which book it pays.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Tries every payout of a batch that can be tried now, once.
    ///
    /// # Errors
    /// The database's; what is under way is resumed when its lease ends.
    pub async fn round(&self, batch_id: &str, stop: &CancellationToken) -> Result<Round, PayoutError> {
        let mut round = Round::default();
        let still = Arc::new(AtomicBool::new(false));
        let (mut under_way, mut buffer) = (JoinSet::new(), VecDeque::new());
        let mut cursor = Some(Cursor::default());
        let mut failure = None;
        loop {
            while under_way.len() < self.policy.lanes && failure.is_none() {
                if buffer.is_empty() && !still.load(Ordering::Relaxed) && !stop.is_cancelled() {
                    let Some(after) = cursor.take() else { break };
                    match self.claim(batch_id, &after).await {
                        Ok((claimed, next)) => (buffer, cursor) = (claimed.into(), next),
                        Err(error) if error.is_collision() => {
                            cursor = Some(after);
                            continue;
                        }
                        Err(error) => failure = Some(error.into()),
                    }
                }
                let Some(claimed) = buffer.pop_front() else { break };
                round.claimed += 1;
                let (payer, still, stop) = (self.clone(), still.clone(), stop.clone());
                under_way.spawn(async move {
                    let became =
                        payer.carry_out(&claimed, &|| still.load(Ordering::Relaxed) || stop.is_cancelled()).await;
                    if matches!(became, Ok(Became::Ready)) {
                        still.store(payer.is_paused(&claimed.batch_id).await.unwrap_or(true), Ordering::Relaxed);
                    }
                    became
                });
            }
            let Some(done) = under_way.join_next().await else { break };
            match done.unwrap_or(Ok(Became::Open)) {
                Ok(Became::Settled) => round.settled += 1,
                Ok(Became::Failed) => round.failed += 1,
                Ok(Became::Ready | Became::Open) => {}
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        round.paused = self.say_what_is_missing(batch_id).await?;
        let mut tx = self.db.read().await?;
        round.next = transfers::next_due(&mut tx, self.workspace, batch_id).await?;
        let batch = batches::by_id(&mut tx, self.workspace, batch_id).await?;
        tx.rollback().await?;
        if let Some(batch) = batch.filter(|batch| round.next.is_none() && batch.status == "paying") {
            // Two that end at once may each have seen the other open.
            let mut tx = self.db.write(Urgency::Now).await?;
            super::outcome::follow_end(&mut tx, self.by(), &batch).await?;
            tx.commit().await?;
        }
        Ok(round)
    }

    async fn is_paused(&self, batch_id: &str) -> Result<bool, StoreError> {
        let mut tx = self.db.read().await?;
        Ok(transfers::paused(&mut tx, self.workspace, batch_id).await?.is_some())
    }

    async fn claim(&self, batch_id: &str, after: &Cursor) -> Result<(Vec<Claimed>, Option<Cursor>), StoreError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        let now = self.clock.now();
        let lease = Lease { by: &self.name, now, until: now + self.lease() };
        let limit = i64::try_from(self.policy.lanes).unwrap_or(8);
        let claimed = transfers::claim(&mut tx, self.workspace, batch_id, after, &lease, limit).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Long enough for a look-up, the call, and a look-up, and to spare.
    fn lease(&self) -> TimeDelta {
        let timeout = TimeDelta::from_std(self.api.timeout()).unwrap_or(TimeDelta::minutes(1));
        timeout * 4
    }

    fn by(&self) -> By<'_> {
        By { workspace: self.workspace, author: AUTHOR, now: self.clock.now(), ids: &self.ids }
    }

    /// Lets a batch stand still, with the reason in the audit log.
    async fn pause(&self, tx: &mut Tx, batch_id: &str, why: &Value) -> Result<(), StoreError> {
        pause(tx, self.by(), batch_id, why).await
    }
}

/// Lets a batch stand still until somebody asks again.
async fn pause(tx: &mut Tx, by: By<'_>, batch_id: &str, why: &Value) -> Result<(), StoreError> {
    if transfers::pause(tx, by.workspace, batch_id, why).await? {
        tracing::info!(batch = batch_id, why = %why, "paying stands still until somebody asks again");
        let object_id = batch_id.to_owned();
        let (action, object, after) = ("batch.paused", "batch", Some(why.clone()));
        audit::append(tx, by, &[Act { action, object, object_id, before: None, after }]).await?;
    }
    Ok(())
}

/// Why a batch stands still that the key cannot pay.
fn by_key(problem: &KeyProblem) -> Value {
    json!({ "code": problem.code, "message": problem.message })
}

/// Lets a batch stand still that there is no key for.
///
/// # Errors
/// The database's.
pub async fn pause_for_key(tx: &mut Tx, by: By<'_>, batch_id: &str, problem: &NoKey) -> Result<(), StoreError> {
    pause(tx, by, batch_id, &json!({ "code": problem.code(), "message": problem.to_string() })).await
}
