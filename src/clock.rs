//! The injected clock: the only place that asks the machine for the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Time;

/// Tells the time. Cloned into everything that needs a "now".
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Machine,
    Hand(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn machine() -> Self {
        Self(Source::Machine)
    }

    /// A clock that stands still until it is moved. Its clones move with it.
    pub fn by_hand(start: Time) -> Self {
        Self(Source::Hand(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The present moment in whole microseconds, which is what databases keep.
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Machine => from_micros(machine_micros()),
            Source::Hand(micros) => from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a clock by hand; the machine's clock cannot be moved.
    ///
    /// # Panics
    /// On the machine's clock, or past the end of time.
    pub fn advance(&self, by: TimeDelta) {
        let Source::Hand(micros) = &self.0 else { panic!("only a clock by hand can be moved") };
        let by = by.num_microseconds().expect("a clock moves by less than 290,000 years");
        micros.fetch_add(by, Ordering::SeqCst);
    }
}

#[allow(clippy::disallowed_methods)] // the one place
fn machine_micros() -> i64 {
    Utc::now().timestamp_micros()
}

/// A moment from unix microseconds, as databases keep it; what lies beyond the calendar becomes its edge.
pub fn from_micros(micros: i64) -> Time {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 { Time::MIN_UTC } else { Time::MAX_UTC })
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Machine => "Clock(machine)",
            Source::Hand(_) => "Clock(by hand)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_stands_still_until_moved_and_its_clones_move_along() {
        let start: Time = "2026-01-31T00:00:00Z".parse().unwrap();
        let clock = Clock::by_hand(start);
        let other = clock.clone();
        assert_eq!(other.now(), start);
        clock.advance(TimeDelta::hours(1));
        assert_eq!(other.now(), start + TimeDelta::hours(1));
    }

    #[test]
    fn the_machines_clock_has_whole_microseconds() {
        assert_eq!(Clock::machine().now().timestamp_subsec_nanos() % 1000, 0);
    }
}
