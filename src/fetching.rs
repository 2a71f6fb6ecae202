//! The loops that ask Stripe: once an hour for events, for what decisions lack, and for history where somebody asked for a
//! backfill.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::connect::{self, Way};
use crate::domain::Time;
use crate::ids::Ids;
use crate::intake::Inbox;
use crate::intake::asking::Asking;
use crate::intake::backfill::{self, BackfillError, Backfiller};
use crate::intake::patience::Patience;
use crate::intake::poll::{PollError, Poller, Report};
use crate::ledger::Ledger;
use crate::lookups::{LookUps, LookupError};
use crate::store::{Db, Mode, StoreError, Urgency, WorkspaceId, backfills, events, syncs};
use crate::stripe_api::{Api, Keys};

/// The first poll after the start: what was missed while the service was down comes soon.
const FIRST: Duration = Duration::from_secs(30);
/// How often it looks whether a poll is due.
const NAP: Duration = Duration::from_mins(1);
/// A book is polled so often.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// How often it looks whether somebody asked for a backfill.
const LOOK: Duration = Duration::from_secs(2);
/// How long look-ups rest after a key was refused, or the database failed.
const REST: Duration = Duration::from_mins(1);
/// When a backfill is tried again that Stripe stopped.
const AGAIN: TimeDelta = TimeDelta::minutes(10);

/// Asks Stripe, for every book that there is a key for.
#[derive(Debug, Clone)]
pub struct Fetching {
    /// Where all is.
    pub db: Db,
    /// The way in.
    pub inbox: Inbox,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// The ways to Stripe.
    pub keys: Keys,
    /// Whether events are polled.
    pub polls: bool,
    /// How it waits for Stripe.
    pub patience: Patience,
}

impl Fetching {
    /// Works until told to stop; what is under way then is gone on with by whoever comes next.
    pub async fn run(self, stop: CancellationToken) {
        if self.keys.is_empty() {
            return;
        }
        let work = async { tokio::join!(self.keep_polling(), self.keep_backfilling(), self.keep_looking_up()) };
        tokio::select! {
            _ = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep_polling(&self) {
        let (mut nap, mut is_first) = (FIRST, true);
        if !self.polls {
            return;
        }
        loop {
            tokio::time::sleep(nap).await;
            if let Err(error) = self.poll_due(is_first).await {
                tracing::error!(%error, "polling failed; trying again soon");
            }
            (nap, is_first) = (NAP, false);
        }
    }

    async fn keep_backfilling(&self) {
        let mut stopped = HashMap::new();
        loop {
            if let Err(error) = self.backfill_waiting(&mut stopped).await {
                tracing::error!(%error, "a backfill failed; trying again soon");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn keep_looking_up(&self) {
        let ledger = Ledger { db: self.db.clone(), clock: self.clock.clone(), ids: self.ids.clone() };
        let look_ups = LookUps::new(ledger, self.inbox.clone());
        loop {
            let nap = match self.look_up(&look_ups).await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "look-ups rest for a minute");
                    REST
                }
            };
            tokio::time::sleep(nap).await;
        }
    }

    /// One round for every book; a key that may not ask stops no other book.
    async fn look_up(&self, look_ups: &LookUps) -> Result<(), LookupError> {
        let mut refused = Ok(());
        for Way { workspace, mode, api, .. } in connect::ways(&self.db, &self.keys).await? {
            match look_ups.round(&api, (workspace, mode)).await {
                Err(error @ LookupError::Key(_)) => refused = Err(error),
                other => drop(other?),
            }
        }
        refused
    }

    /// Polls every book that was not polled for an hour, or all of them; tells what came of it. A book that another
    /// process polls is left to it.
    ///
    /// # Errors
    /// The database's.
    pub async fn poll_due(&self, all: bool) -> Result<Vec<Report>, StoreError> {
        let poller =
            Poller { db: self.db.clone(), inbox: self.inbox.clone(), clock: self.clock.clone(), ids: self.ids.clone() };
        let mut reports = Vec::new();
        for Way { workspace, mode, api, .. } in connect::ways(&self.db, &self.keys).await? {
            if !all && !self.is_due(workspace, mode).await? {
                continue;
            }
            let asking = Asking::new(api, self.patience.clone());
            match poller.poll(&asking, (workspace, mode), None).await {
                Ok(report) => {
                    tell(mode, &report);
                    reports.push(report);
                }
                Err(PollError::Taken) => {}
                Err(PollError::Store(error)) => return Err(error),
            }
        }
        Ok(reports)
    }

    async fn is_due(&self, workspace: WorkspaceId, mode: Mode) -> Result<bool, StoreError> {
        let mut tx = self.db.read().await?;
        let (book, now) = (syncs::book(&mut tx, workspace, mode).await?, self.clock.now());
        Ok(book.is_none_or(|book| book.is_abandoned(now) || book.started_at().is_none_or(|at| at + EVERY <= now)))
    }

    /// Works on backfills that nobody works on, and looks for the questions of those that are done. `stopped` remembers
    /// when those are tried again that Stripe stopped.
    ///
    /// # Errors
    /// The database's.
    pub async fn backfill_waiting(&self, stopped: &mut HashMap<String, Time>) -> Result<(), StoreError> {
        for Way { workspace, mode, api, .. } in connect::ways(&self.db, &self.keys).await? {
            let now = self.clock.now();
            let waiting = backfill::waiting(&self.db, workspace, mode, now).await?;
            if let Some(waiting) =
                waiting.filter(|waiting| stopped.get(&waiting.backfill_id).is_none_or(|at| *at <= now))
            {
                let id = waiting.backfill_id;
                if !self.backfill(workspace, &id, api).await? {
                    stopped.insert(id, self.clock.now() + AGAIN);
                }
            }
            self.look_for_questions(workspace, mode).await?;
        }
        Ok(())
    }

    /// Works on a backfill; tells whether it is done, or somebody else does.
    async fn backfill(&self, workspace: WorkspaceId, id: &str, api: Arc<Api>) -> Result<bool, StoreError> {
        let backfiller = Backfiller {
            db: self.db.clone(),
            inbox: self.inbox.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        let asking = Asking::new(api, self.patience.clone());
        match backfiller.run(&asking, workspace, id, Arc::new(|_| {})).await {
            Ok(outcome) => {
                if let Some(error) = &outcome.backfill.error {
                    tracing::warn!(backfill = id, %error, "a backfill stands still; trying again in ten minutes");
                }
                Ok(outcome.backfill.finished_at().is_some())
            }
            Err(BackfillError::Taken | BackfillError::Missing(_)) => Ok(true),
            Err(BackfillError::Store(error)) => Err(error),
        }
    }

    /// What history cannot tell is known once everything that a backfill brought is recorded.
    async fn look_for_questions(&self, workspace: WorkspaceId, mode: Mode) -> Result<(), StoreError> {
        let mut tx = self.db.read().await?;
        let done = backfills::to_ask(&mut tx, workspace, mode).await?;
        let unread = events::oldest_unread(&mut tx, workspace).await?;
        tx.rollback().await?;
        for backfill in done {
            if backfill.finished_at().is_some_and(|at| unread.is_some_and(|unread| unread <= at)) {
                continue;
            }
            let ledger = Ledger { db: self.db.clone(), clock: self.clock.clone(), ids: self.ids.clone() };
            let count = ledger.ask(workspace, mode, backfill.started_at()).await?;
            let mut tx = self.db.write(Urgency::Background).await?;
            backfills::asked(&mut tx, workspace, &backfill.backfill_id, self.clock.now()).await?;
            tx.commit().await?;
            if count > 0 {
                tracing::warn!(questions = count, "history cannot tell all: commission-bridge backfill questions");
            }
        }
        Ok(())
    }
}

/// Says what matters of a poll.
fn tell(mode: Mode, report: &Report) {
    let counts = &report.counts;
    if let Some(error) = &report.error {
        tracing::warn!(%mode, %error, "a poll did not read all events; the next one goes on");
    }
    if counts.missed > 0 {
        tracing::warn!(%mode, missed = counts.missed, "webhooks were missed; their events are here now");
    }
    for gap in &report.gaps {
        tracing::warn!(%mode, "{}", gap.sentence());
    }
    tracing::info!(%mode, fetched = counts.fetched, new = counts.new, parked = counts.parked, "polled Stripe's events");
}
