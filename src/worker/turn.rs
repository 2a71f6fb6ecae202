//! How many customers are settled at a time.

use std::time::Duration;

/// A turn is to take no longer. On `PostgreSQL` the customers of one are locked, and whoever records something of theirs
/// waits; going through the histories of a hundred customers with a thousand payments each takes seconds.
const LONGEST: Duration = Duration::from_millis(200);

/// As many as fit into a short time, if the last ones say how long the next will take.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    customers: usize,
    most: usize,
}

impl Turn {
    /// Of so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self { customers: most, most }
    }

    /// How many are settled next.
    pub(super) fn customers(&self) -> usize {
        self.customers
    }

    /// So many customers took so long.
    pub(super) fn took(&mut self, customers: usize, took: Duration) {
        if customers == 0 {
            return;
        }
        let each = took.as_micros() / customers as u128;
        let fit = LONGEST.as_micros().checked_div(each).and_then(|fit| usize::try_from(fit).ok()).unwrap_or(self.most);
        // A few quick ones say little of the next.
        self.customers = fit.min(self.customers.saturating_mul(2)).clamp(1, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_as_many_as_fit_and_grows_slowly() {
        let ms = Duration::from_millis;
        let mut turn = Turn::new(128);
        for (customers, took, next) in [
            (0, ms(900), 128),
            (128, ms(100), 128),
            (100, ms(2000), 10),
            (10, ms(250), 8),
            (8, ms(1), 16),
            (1, Duration::ZERO, 32),
            (0, ms(1), 32),
            (30, ms(3), 64),
            (64, ms(3), 128),
            (128, ms(3), 128),
            (1, ms(7000), 1),
            (1, ms(7000), 1),
            (1, ms(1), 2),
        ] {
            turn.took(customers, took);
            assert_eq!(turn.customers(), next, "after {customers} in {took:?}");
        }
    }
}
