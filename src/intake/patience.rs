//! How long to wait before Stripe is asked again, and the waiting itself: by the machine's clock, or by one that a test
//! moves.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Clock;

/// Seconds to wait after the first failures in a row, about ten minutes in sum; then it is given up until the next run.
const WAITS: [u64; 14] = [1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 60, 60, 60, 120];

/// How long to wait after the `failures`th failure in a row, 1 for the first; `None` when it is to be given up.
pub fn pause(failures: usize) -> Option<Duration> {
    WAITS.get(failures.max(1) - 1).map(|seconds| Duration::from_secs(*seconds))
}

/// Waits. Cheap to clone.
#[derive(Clone)]
pub struct Patience(Kind);

#[derive(Clone)]
enum Kind {
    Machine,
    Hand(Clock, Arc<Mutex<Vec<Duration>>>),
}

impl Patience {
    /// Really waits.
    pub fn machine() -> Self {
        Self(Kind::Machine)
    }

    /// Moves a clock by hand instead, and remembers by how much.
    pub fn by_hand(clock: Clock) -> Self {
        Self(Kind::Hand(clock, Arc::default()))
    }

    /// Waits for so long.
    pub async fn wait(&self, long: Duration) {
        match &self.0 {
            Kind::Machine => tokio::time::sleep(long).await,
            Kind::Hand(clock, waited) => {
                waited.lock().unwrap_or_else(PoisonError::into_inner).push(long);
                clock.advance(TimeDelta::from_std(long).unwrap_or_default());
            }
        }
    }

    /// How long was waited each time; nothing by the machine's clock.
    pub fn waited(&self) -> Vec<Duration> {
        match &self.0 {
            Kind::Machine => Vec::new(),
            Kind::Hand(_, waited) => waited.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Machine => "Patience(machine)",
            Kind::Hand(..) => "Patience(by hand)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_each_time_and_gives_up_after_ten_minutes() {
        let waits: Vec<Duration> = (1..).map_while(pause).collect();
        assert!(waits.is_sorted());
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_mins(10));
        assert_eq!(pause(0), pause(1));
        assert_eq!(pause(usize::MAX), None);
    }
}
