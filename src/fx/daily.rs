//! Once a day: the rates that the European Central Bank publishes about 16:00 (its time) on working days.

use std::time::Duration;

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeDelta, Weekday};
use chrono_tz::Europe::Berlin;
use tokio_util::sync::CancellationToken;

use super::ECB;
use super::fetch::{FetchError, Fetcher};
use crate::admin::{Session, fx};
use crate::clock::Clock;
use crate::domain::Time;
use crate::ids::Ids;
use crate::store::{Db, Mode, StoreError, fx_rates, workspaces};

/// The published file of one day, and the one of ninety days that lies beside it.
const OF_A_DAY: &str = "eurofxref-daily.xml";
const OF_NINETY: &str = "eurofxref-hist-90d.xml";
/// With a longer gap than a weekend, one day's rates leave days without.
const GAP: TimeDelta = TimeDelta::days(3);
/// How often it looks whether rates are due.
const NAP: Duration = Duration::from_mins(1);
/// How long it waits after the first failure, and after many.
const FIRST_WAIT: TimeDelta = TimeDelta::minutes(1);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// How long it waits where the last day's rates are not there: on a holiday they never are.
const NOT_YET: TimeDelta = TimeDelta::hours(2);

/// Why a round brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The file.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The rates were refused.
    #[error("the fetched rates were not entered: {0}")]
    Refused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Fetches rates once a day, for every workspace.
pub struct Daily {
    /// Into which database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// Where the rates are.
    pub url: String,
    /// How they are fetched.
    pub fetcher: Fetcher,
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Everything that can be known is.
    UpToDate,
    /// So many rates were entered.
    Entered(u64),
    /// The last day's are not published yet.
    NotYet,
}

/// The last day whose rates are published by now: a working day, from a quarter past four on.
pub fn published(now: Time) -> NaiveDate {
    let local = now.with_timezone(&Berlin);
    let from = NaiveTime::from_hms_opt(16, 15, 0).unwrap_or_default();
    let today = local.date_naive();
    let mut day = if local.time() < from { today.pred_opt().unwrap_or(today) } else { today };
    while matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        day = day.pred_opt().unwrap_or(day);
    }
    day
}

impl Daily {
    /// Fetches what is due, if anything is.
    ///
    /// # Errors
    /// [`RoundError`].
    pub async fn round(&self) -> Result<Round, RoundError> {
        let expected = published(self.clock.now());
        let mut behind = Vec::new();
        let mut tx = self.db.read().await?;
        for (workspace, _) in workspaces::all(&mut tx).await? {
            let last = fx_rates::last_day(&mut tx, workspace).await?;
            if last.is_none_or(|last| last < expected) {
                behind.push((workspace, last));
            }
        }
        tx.rollback().await?;
        if behind.is_empty() {
            return Ok(Round::UpToDate);
        }
        let gap = behind.iter().any(|(_, last)| last.is_none_or(|last| expected - last > GAP));
        let url = if gap { self.url.replace(OF_A_DAY, OF_NINETY) } else { self.url.clone() };
        let rates = self.fetcher.fetch(&url).await?;
        let mut new = 0;
        for (workspace, _) in behind {
            let book = (workspace, Mode::Live);
            let mut session = Session::begin(&self.db, &self.clock, &self.ids, book, "bridge".to_owned()).await?;
            let entered = fx::enter(&mut session, &rates, ECB).await;
            let entered = entered.map_err(|refused| RoundError::Refused(refused.to_string()))?;
            session.commit().await?;
            new += entered.new;
            for (fetched, known) in &entered.differing {
                tracing::warn!(
                    "the rate of {} on {} is {} by {}, and {} by {ECB}: what is known stays",
                    known.currency,
                    known.day,
                    known.per_euro,
                    known.source,
                    fetched.per_euro
                );
            }
        }
        let is_there = rates.iter().any(|rate| rate.day >= expected);
        Ok(if is_there { Round::Entered(new) } else { Round::NotYet })
    }

    /// Works until told to stop. A failure is logged once, and tried again after longer and longer times.
    pub async fn run(&self, shutdown: CancellationToken) {
        let (mut failures, mut next) = (0_u32, self.clock.now());
        while !shutdown.is_cancelled() {
            let now = self.clock.now();
            if now >= next {
                next = match self.round().await {
                    Ok(round) => {
                        if failures > 0 {
                            tracing::info!("exchange rates are fetched again");
                        }
                        failures = 0;
                        if let Round::Entered(new) = round {
                            tracing::info!(new, "exchange rates fetched");
                        }
                        now + if round == Round::NotYet { NOT_YET } else { TimeDelta::zero() }
                    }
                    Err(error) => {
                        if failures == 0 {
                            tracing::warn!(%error, "exchange rates could not be fetched; trying again");
                        }
                        failures = failures.saturating_add(1);
                        now + wait(failures)
                    }
                };
            }
            tokio::select! {
                () = tokio::time::sleep(NAP) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

/// How long after so many failures in a row.
fn wait(failures: u32) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.pow(failures.saturating_sub(1).min(6));
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_there_on_working_days_from_a_quarter_past_four() {
        for (now, day) in [
            // Friday, winter time: 16:15 in Frankfurt is 15:15 in UTC.
            ("2026-11-06T15:14:59Z", "2026-11-05"),
            ("2026-11-06T15:15:00Z", "2026-11-06"),
            ("2026-11-07T20:00:00Z", "2026-11-06"),
            ("2026-11-09T10:00:00Z", "2026-11-06"),
            ("2026-11-09T16:00:00Z", "2026-11-09"),
            // Summer time.
            ("2026-07-01T14:15:00Z", "2026-07-01"),
        ] {
            assert_eq!(published(now.parse().unwrap()), day.parse::<NaiveDate>().unwrap(), "{now}");
        }
    }

    #[test]
    fn waits_grow_to_an_hour() {
        let minutes: Vec<i64> = (1..9).map(|failures| wait(failures).num_minutes()).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait(u32::MAX).num_minutes(), 60);
    }
}
