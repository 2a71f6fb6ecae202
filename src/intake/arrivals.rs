//! What the inbox tells those who work on what it took in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// So many events within a [`WINDOW`] are a rush.
const MANY: u64 = 16;
const WINDOW: Duration = Duration::from_millis(10);
/// A rush is over when so much time went by without one.
const PAUSE: Duration = Duration::from_millis(3);
/// It goes on while its events are being written, if that does not take too long.
const LONGEST: Duration = Duration::from_millis(50);

/// That something came, and whether much is coming right now.
#[derive(Debug)]
pub struct Arrivals {
    came: Notify,
    since: Instant,
    /// Microseconds after `since`: when the current window began, and when the last rush was (0 for never).
    window: AtomicU64,
    rush: AtomicU64,
    /// Events in the current window.
    count: AtomicU64,
    /// Whether some are being written.
    writing: AtomicBool,
}

impl Default for Arrivals {
    fn default() -> Self {
        let (window, rush, count) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { came: Notify::new(), since: Instant::now(), window, rush, count, writing: AtomicBool::new(false) }
    }
}

impl Arrivals {
    /// Says that events are being written.
    pub(super) fn writing(&self) {
        self.writing.store(true, Ordering::Relaxed);
    }

    /// Says that so many events are on disk. Only the inbox's one writer does.
    pub(super) fn came(&self, events: usize) {
        let now = micros(self.since.elapsed());
        if now.saturating_sub(self.window.load(Ordering::Relaxed)) > micros(WINDOW) {
            self.window.store(now, Ordering::Relaxed);
            self.count.store(0, Ordering::Relaxed);
        }
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        if self.count.fetch_add(events, Ordering::Relaxed).saturating_add(events) >= MANY {
            self.rush.store(now.max(1), Ordering::Relaxed);
        }
        self.writing.store(false, Ordering::Relaxed);
        self.came.notify_one();
    }

    /// How long ago the last rush was; none where it is over.
    fn rushing(&self) -> Option<Duration> {
        let rush = self.rush.load(Ordering::Relaxed);
        let ago = self.since.elapsed().saturating_sub(Duration::from_micros(rush));
        let goes_on = ago < PAUSE || (ago < LONGEST && self.writing.load(Ordering::Relaxed));
        (rush > 0 && goes_on).then_some(ago)
    }

    /// Whether much is coming right now.
    pub fn is_rush(&self) -> bool {
        self.rushing().is_some()
    }

    /// Waits for something to come.
    pub async fn next(&self) {
        self.came.notified().await;
    }

    /// Lets a rush go first, but not for longer than `patience`: whoever brings events waits for an answer, and what
    /// collects meanwhile is worked off in larger, cheaper pieces.
    pub async fn step_aside(&self, patience: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let Some(ago) = self.rushing() else { return };
            tokio::time::sleep(PAUSE.saturating_sub(ago).max(Duration::from_millis(1))).await;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rush_goes_first_but_not_for_ever() {
        let arrivals = Arrivals::default();
        let begun = Instant::now();
        arrivals.step_aside(Duration::from_secs(1)).await;
        arrivals.came(1);
        arrivals.step_aside(Duration::from_secs(1)).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "a single event keeps nobody waiting");
        arrivals.came(16);
        arrivals.step_aside(Duration::from_secs(1)).await;
        assert!(begun.elapsed() >= PAUSE && begun.elapsed() < Duration::from_millis(10));
        let rushing = async {
            loop {
                arrivals.came(16);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = rushing => {}
            () = arrivals.step_aside(Duration::from_millis(50)) => {}
        }
        assert!(begun.elapsed() >= Duration::from_millis(50) && begun.elapsed() < Duration::from_millis(60));
    }
}
