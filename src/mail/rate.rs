//! So many mails a second and no more, evenly.

use std::num::NonZeroU32;
use std::time::Instant;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// How many mails a second are sent where nobody says.
pub const DEFAULT: u32 = 10;

/// The runtime's clock, which tests stop.
#[derive(Debug, Clone, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// A limit, or none.
#[derive(Debug)]
pub struct Rate(Option<RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Instant>>>);

impl Rate {
    /// So many mails a second; 0 for any number.
    pub fn per_second(mails: u32) -> Self {
        Self(NonZeroU32::new(mails).map(|mails| {
            let quota = Quota::per_second(mails).allow_burst(NonZeroU32::MIN);
            RateLimiter::direct_with_clock(quota, RuntimeClock)
        }))
    }

    /// Waits until the next mail may be sent.
    pub async fn wait(&self) {
        let Some(limiter) = &self.0 else { return };
        while let Err(not_yet) = limiter.check() {
            tokio::time::sleep(not_yet.wait_time_from(RuntimeClock.now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_a_second_are_ten_a_second() {
        let rate = Rate::per_second(10);
        let start = tokio::time::Instant::now();
        for _ in 0..101 {
            rate.wait().await;
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(10) && took < Duration::from_millis(10_300), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nobody_waits() {
        let (rate, start) = (Rate::per_second(0), tokio::time::Instant::now());
        for _ in 0..10_000 {
            rate.wait().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
