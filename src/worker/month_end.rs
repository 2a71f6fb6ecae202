//! The month's end without anybody: closes that were begun are finished, and months close by themselves where the
//! workspace says so.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::{Worker, rest};
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::terms::{AutoClose, MonthEnd, Settings};
use crate::payouts::batch;
use crate::payouts::closing;
use crate::payouts::error::PayoutError;
use crate::payouts::outcome;
use crate::store::audit::By;
use crate::store::batches::{self, Batch};
use crate::store::{Mode, StoreError, Urgency, WorkspaceId, events, payouts};

/// Who closes and approves without anybody.
pub const AUTHOR: &str = "serve";
/// How often it looks.
const NAP: Duration = Duration::from_secs(10);
/// What came in longer ago and is still unread stands in the way of a close.
const BACKLOG: TimeDelta = TimeDelta::minutes(5);

impl Worker {
    pub(super) async fn keep_closing(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let round = self.close_what_is_due().await;
            rest(std::future::pending(), shutdown, NAP, round, "closing a month").await;
        }
    }

    /// Finishes closes that were begun, and closes and approves what the settings say is due by now.
    ///
    /// # Errors
    /// The database's.
    pub async fn close_what_is_due(&self) -> Result<(), StoreError> {
        for workspace in self.workspaces().await? {
            match self.months_of(workspace).await {
                Ok(()) => {}
                Err(PayoutError::Store(error)) => return Err(error),
                // One workspace's trouble is not another's.
                Err(error) => tracing::error!(workspace = workspace.0, %error, "a month could not be closed"),
            }
        }
        Ok(())
    }

    async fn months_of(&self, workspace: WorkspaceId) -> Result<(), PayoutError> {
        let mut tx = self.ledger.db.read().await?;
        let settings = self.ledger.db.terms(&mut tx, workspace).await?.current_settings();
        let closing = batches::in_status(&mut tx, workspace, "closing").await?;
        tx.rollback().await?;
        for batch in closing {
            self.finish(workspace, &batch.batch_id).await?;
        }
        self.end_what_is_paid(workspace).await?;
        if settings.month_end.close == AutoClose::Off {
            return Ok(());
        }
        self.close_by_itself(workspace, &settings).await?;
        if settings.month_end.close == AutoClose::Approve {
            self.approve_by_itself(workspace, &settings.month_end).await?;
        }
        Ok(())
    }

    /// Two payouts that settle at the same moment may each have seen the other open, and left their batch as `paying`.
    async fn end_what_is_paid(&self, workspace: WorkspaceId) -> Result<(), PayoutError> {
        let mut tx = self.ledger.db.read().await?;
        let paying = batches::in_status(&mut tx, workspace, "paying").await?;
        let mut over = Vec::new();
        for batch in paying {
            if !payouts::any_open(&mut tx, workspace, &batch.batch_id).await? {
                over.push(batch);
            }
        }
        tx.rollback().await?;
        for batch in over {
            let mut tx = self.ledger.db.write(Urgency::Background).await?;
            let by = By { workspace, author: AUTHOR, now: self.ledger.clock.now(), ids: &self.ledger.ids };
            outcome::follow_end(&mut tx, by, &batch).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn finish(&self, workspace: WorkspaceId, batch_id: &str) -> Result<Batch, PayoutError> {
        let ledger = &self.ledger;
        closing::finish(&ledger.db, &ledger.clock, &ledger.ids, workspace, batch_id).await
    }

    /// Closes the last month that is over, from the configured day and hour on. What is tried out in the test book is
    /// closed by hand.
    async fn close_by_itself(&self, workspace: WorkspaceId, settings: &Settings) -> Result<(), PayoutError> {
        let (now, zone) = (self.ledger.clock.now(), settings.time_zone);
        let running = Month::containing(now, zone);
        let due = running.at(settings.month_end.day, settings.month_end.hour, zone);
        let month = if due <= now { running.previous() } else { running.previous().previous() };
        let mut tx = self.ledger.db.read().await?;
        let latest = batches::all(&mut tx, workspace, Mode::Live).await?.into_iter().next();
        let is_done = latest.is_some_and(|latest| latest.month >= month.to_string());
        if is_done || payouts::partners(&mut tx, workspace, Mode::Live, "", 1).await?.is_empty() {
            return Ok(());
        }
        if let Some(waiting) = events::oldest_unread(&mut tx, workspace).await?
            && waiting < now - BACKLOG
        {
            tracing::warn!(%month, "the month is not closed yet: events of more than five minutes ago are unread");
            return Ok(());
        }
        tx.rollback().await?;
        let mut tx = self.ledger.db.write(Urgency::Background).await?;
        let by = By { workspace, author: AUTHOR, now: self.ledger.clock.now(), ids: &self.ledger.ids };
        let (batch, _) = batch::close(&mut tx, by, Mode::Live, month).await?;
        tx.commit().await?;
        let batch = self.finish(workspace, &batch.batch_id).await?;
        tracing::info!(%month, batch = batch.batch_id, "the month is closed");
        Ok(())
    }

    /// Approves the batch that was closed without anybody, where every currency's total is below its limit.
    async fn approve_by_itself(&self, workspace: WorkspaceId, month_end: &MonthEnd) -> Result<(), PayoutError> {
        let mut tx = self.ledger.db.read().await?;
        let latest = batches::all(&mut tx, workspace, Mode::Live).await?.into_iter().next();
        let Some(batch) = latest.filter(|latest| latest.status == "draft" && latest.closed_by == AUTHOR) else {
            return Ok(());
        };
        let totals = payouts::ready_totals(&mut tx, workspace, &batch.batch_id).await?;
        tx.rollback().await?;
        if !totals.iter().all(|(currency, total)| is_below(month_end, currency, *total)) {
            return Ok(());
        }
        let mut tx = self.ledger.db.write(Urgency::Background).await?;
        let by = By { workspace, author: AUTHOR, now: self.ledger.clock.now(), ids: &self.ledger.ids };
        batch::approve(&mut tx, by, Mode::Live, &batch.batch_id).await?;
        tx.commit().await?;
        tracing::info!(
            month = batch.month,
            batch = batch.batch_id,
            "the batch is approved: its totals are below the limit"
        );
        Ok(())
    }
}

fn is_below(month_end: &MonthEnd, currency: &str, total: i64) -> bool {
    let limit = currency.parse::<Currency>().ok().and_then(|currency| month_end.approve_below.get(&currency).copied());
    limit.is_some_and(|limit| total < limit)
}
