//! Asking Stripe for what no event says: which invoice a refunded payment intent paid, all lines of a long invoice, fees,
//! prices, promotion codes. Decisions name what they lack (`domain::missing`), settling queues it, this room asks, each
//! thing once, within a budget, and never while somebody waits. What Stripe answers comes into the inbox as any event.

mod ask;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::domain::Time;
use crate::domain::missing::Missing;
use crate::intake::asking::{AskError, Asking};
use crate::intake::{Inbox, Incoming, SubmitError};
use crate::ledger::Ledger;
use crate::store::asked::{self, Due};
use crate::store::events::Source;
use crate::store::{Mode, StoreError, Urgency, WorkspaceId};
use crate::stripe_api::Api;

pub use ask::{Unanswered, ask};

/// How many are asked before anything else may be done.
const ROUND: i64 = 20;
/// Nobody else asks the same for so long.
const LEASE: TimeDelta = TimeDelta::minutes(10);
/// Calls a day and book: Stripe grants ten thousand reads a month at the least, and 500 for each transaction.
pub const BUDGET: i64 = 2000;
/// So often an answer that says nothing is asked for, a day apart in the end, before it is given up.
const ATTEMPTS: i64 = 5;

/// Why a round ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What Stripe said could not be stored.
    #[error(transparent)]
    Inbox(#[from] SubmitError),
    /// The key may not ask; says what to do.
    #[error("{0}")]
    Key(String),
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Questions that were answered.
    pub answered: usize,
    /// Questions that nobody had any more.
    pub moot: usize,
    /// Questions that are asked again later.
    pub postponed: usize,
    /// Calls to Stripe.
    pub calls: usize,
}

/// Asks what a book lacks.
#[derive(Debug, Clone)]
pub struct LookUps {
    ledger: Ledger,
    inbox: Inbox,
}

impl LookUps {
    /// What Stripe says goes into `inbox`.
    pub fn new(ledger: Ledger, inbox: Inbox) -> Self {
        Self { ledger, inbox }
    }

    /// Asks for some of what is due; nothing where nothing is, or where today's calls are used up.
    ///
    /// # Errors
    /// [`LookupError`]; what was under way is asked again after a while.
    pub async fn round(&self, api: &Arc<Api>, (workspace, mode): (WorkspaceId, Mode)) -> Result<Round, LookupError> {
        let mut round = Round::default();
        let now = self.ledger.clock.now();
        let mut tx = self.ledger.db.read().await?;
        let due = asked::next_due(&mut tx, workspace, mode).await?;
        let spent = asked::calls(&mut tx, workspace, mode, day(now)).await?;
        tx.rollback().await?;
        if due.is_none_or(|due| due > now) || spent >= BUDGET {
            return Ok(round);
        }
        let mut tx = self.ledger.db.write(Urgency::Background).await?;
        let claimed = asked::claim(&mut tx, workspace, mode, (now, now + LEASE), ROUND).await?;
        tx.commit().await?;
        for due in claimed {
            self.answer(api, (workspace, mode), due, &mut round).await?;
        }
        Ok(round)
    }

    async fn answer(
        &self,
        api: &Arc<Api>,
        (workspace, mode): (WorkspaceId, Mode),
        due: Due,
        round: &mut Round,
    ) -> Result<(), LookupError> {
        if !self.still_lacks((workspace, mode), &due.missing).await? {
            let mut tx = self.ledger.db.write(Urgency::Background).await?;
            asked::forget(&mut tx, workspace, mode, &due.missing).await?;
            tx.commit().await?;
            round.moot += 1;
            return Ok(());
        }
        let now = self.ledger.clock.now();
        let asking = Asking::once(api.clone());
        let answer = ask(&asking, &due.missing, now, mode == Mode::Live).await;
        let calls = asking.take_calls();
        round.calls += usize::try_from(calls).unwrap_or_default();
        let (again, why, key_problem) = match answer {
            // Should it not help, it is asked once more.
            Ok(asked) if self.take(workspace, &asked).await? => (later(&due, now), None, None),
            Ok(_) => (later(&due, now), Some(format!("Stripe does not say {}", due.missing)), None),
            Err(Unanswered::Ask(AskError::Refused(refusal))) => (later(&due, now), Some(refusal.to_string()), None),
            Err(Unanswered::Ask(AskError::Key(problem))) => {
                (Some(soon(now)), Some(problem.to_string()), Some(problem.to_string()))
            }
            // The server's trouble is no answer: nothing is given up for it.
            Err(error) => (Some(soon(now)), Some(error.to_string()), None),
        };
        if why.is_none() {
            round.answered += 1;
        } else {
            round.postponed += 1;
        }
        let mut tx = self.ledger.db.write(Urgency::Background).await?;
        asked::count_calls(&mut tx, workspace, mode, day(now), calls).await?;
        asked::postpone(&mut tx, workspace, mode, &due.missing, again, why.as_deref()).await?;
        tx.commit().await?;
        key_problem.map_or(Ok(()), |problem| Err(LookupError::Key(problem)))
    }

    /// Whether anybody's decision still lacks it.
    async fn still_lacks(&self, (workspace, mode): (WorkspaceId, Mode), missing: &Missing) -> Result<bool, StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let waiting = asked::waiting(&mut tx, workspace, mode, missing).await?;
        tx.rollback().await?;
        let lacking: BTreeSet<Missing> = self.ledger.lacking(workspace, &waiting).await?;
        Ok(lacking.contains(missing))
    }

    /// Stores what Stripe said; tells whether any of it is new. Its customers are due once it is recorded.
    async fn take(&self, workspace: WorkspaceId, bodies: &[Vec<u8>]) -> Result<bool, SubmitError> {
        let incoming: Vec<Incoming<'_>> =
            bodies.iter().map(|body| Incoming { workspace, source: Source::Lookup, body }).collect();
        Ok(!incoming.is_empty() && self.inbox.import(&incoming).await?.new > 0)
    }
}

fn soon(now: Time) -> Time {
    now + TimeDelta::minutes(5)
}

/// When an answer is looked at again, or asked for again; never once it was in vain too often.
fn later(due: &Due, now: Time) -> Option<Time> {
    let wait = match due.attempts {
        0 => TimeDelta::minutes(10),
        1 => TimeDelta::hours(1),
        2 => TimeDelta::hours(6),
        _ => TimeDelta::days(1),
    };
    (due.attempts + 1 < ATTEMPTS).then(|| now + wait)
}

/// UTC days since 1970.
fn day(at: Time) -> i64 {
    at.timestamp().div_euclid(86_400)
}
