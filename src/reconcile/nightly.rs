//! The loop that compares every book with Stripe once a night: the running month, and for a few days the one before.

use std::time::Duration;

use chrono::{Datelike, NaiveTime, TimeZone};
use chrono_tz::Tz;
use tokio_util::sync::CancellationToken;

use super::{ReconcileError, Reconciler};
use crate::clock::Clock;
use crate::connect;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::intake::asking::Asking;
use crate::intake::patience::Patience;
use crate::store::{Db, StoreError, reconciliations};
use crate::stripe_api::Keys;

/// How long it sleeps between looks.
const NAP: Duration = Duration::from_mins(10);
/// The hour of the night, in the workspace's time zone.
const HOUR: u32 = 3;
/// On so many first days of a month the one before is compared, too.
const DAYS_AFTER: u32 = 5;

/// Compares every night.
#[derive(Debug, Clone)]
pub struct Nightly {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The ways to Stripe.
    pub keys: Keys,
    /// How it waits for Stripe.
    pub patience: Patience,
}

impl Nightly {
    /// Works until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        if self.keys.is_empty() {
            return;
        }
        let work = async {
            loop {
                tokio::time::sleep(NAP).await;
                if let Err(error) = self.round().await {
                    tracing::error!(%error, "books could not be compared with Stripe; trying again soon");
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// Compares whatever was not compared since the last night began.
    ///
    /// # Errors
    /// The database's.
    pub async fn round(&self) -> Result<(), StoreError> {
        for way in connect::ways(&self.db, &self.keys).await? {
            let book = (way.workspace, way.mode);
            let asking = Asking::new(way.api, self.patience.clone());
            let reconciler = Reconciler { db: self.db.clone(), clock: self.clock.clone(), book, asking };
            let zone = reconciler.zone().await?;
            let now = self.clock.now();
            for month in months(now, zone) {
                let mut tx = self.db.read().await?;
                let last = reconciliations::of_month(&mut tx, book, &month.to_string()).await?;
                tx.rollback().await?;
                if last.is_some_and(|last| last.checked_at() >= night(now, zone)) {
                    continue;
                }
                match reconciler.run(month).await {
                    Ok(report) if report.is_clean() => {}
                    Ok(report) => tracing::warn!(
                        workspace = way.key, mode = %way.mode, %month, objects = report.differing,
                        "Stripe has what is not known here: `commission-bridge reconcile` names it"
                    ),
                    Err(ReconcileError::Store(error)) => return Err(error),
                    Err(error) => tracing::warn!(
                        workspace = way.key, mode = %way.mode, %month, %error, "a month could not be compared with Stripe"
                    ),
                }
            }
        }
        Ok(())
    }
}

/// The months that are compared now.
fn months(now: Time, zone: Tz) -> Vec<Month> {
    let running = Month::containing(now, zone);
    let mut months = vec![running];
    if now.with_timezone(&zone).day() <= DAYS_AFTER {
        months.push(running.previous());
    }
    months
}

/// When the last night began.
fn night(now: Time, zone: Tz) -> Time {
    let local = now.with_timezone(&zone).date_naive();
    let hour = NaiveTime::from_hms_opt(HOUR, 0, 0).unwrap_or_default();
    let began = |day: chrono::NaiveDate| zone.from_local_datetime(&day.and_time(hour)).earliest().map(|at| at.to_utc());
    let today = began(local).filter(|at| *at <= now);
    today.or_else(|| local.pred_opt().and_then(began)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_night_once_and_the_month_before_for_five_days() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(night(at("2026-11-03T09:00:00Z"), berlin), at("2026-11-03T02:00:00Z"));
        assert_eq!(night(at("2026-11-03T01:59:00Z"), berlin), at("2026-11-02T02:00:00Z"));
        let named = |text| months(at(text), berlin).iter().map(Month::to_string).collect::<Vec<_>>();
        assert_eq!(named("2026-11-05T10:00:00Z"), ["2026-11", "2026-10"]);
        assert_eq!(named("2026-11-06T10:00:00Z"), ["2026-11"]);
        assert_eq!(named("2026-10-31T23:30:00Z"), ["2026-11", "2026-10"]);
    }
}
