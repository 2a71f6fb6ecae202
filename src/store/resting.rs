//! Customers with very long histories rest between settlements: each goes through the whole history anew, so that one
//! who pays every second would otherwise keep everybody else waiting, and cost more with every payment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;

use super::WorkspaceId;
use crate::domain::Time;

/// Histories of fewer events are settled whenever they are due.
const MANY: usize = 2_000;
/// The rest for each event of a history: some four times what going through it takes.
const REST: TimeDelta = TimeDelta::microseconds(150);
/// Nobody remembers more customers than this; who is forgotten is settled sooner.
const MOST: usize = 10_000;

/// Since when and until when who rests, in this process.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<HashMap<(WorkspaceId, String), (Time, Time)>>);

impl Resting {
    /// A customer with so many events is being settled.
    pub(super) fn note(&self, workspace: WorkspaceId, customer_id: &str, events: usize, now: Time) {
        if events < MANY {
            return;
        }
        let events = i32::try_from(events).unwrap_or(i32::MAX);
        let Some(until) = REST.checked_mul(events).and_then(|rest| now.checked_add_signed(rest)) else { return };
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() >= MOST {
            resting.retain(|_, (_, until)| *until > now);
        }
        if resting.len() < MOST {
            resting.insert((workspace, customer_id.to_owned()), (now, until));
        }
    }

    /// Whether a customer rests. A clock that was set back ends it.
    pub(super) fn has(&self, workspace: WorkspaceId, customer_id: &str, now: Time) -> bool {
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Most of the time nobody does.
        let rests = |(since, until): &(Time, Time)| *since <= now && now < *until;
        !resting.is_empty() && resting.get(&(workspace, customer_id.to_owned())).is_some_and(rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_histories_rest_and_short_ones_do_not() {
        let resting = Resting::default();
        let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        resting.note(WorkspaceId(1), "cust_short", 1_999, now);
        resting.note(WorkspaceId(1), "cust_long", 100_000, now);
        assert!(!resting.has(WorkspaceId(1), "cust_short", now));
        assert!(resting.has(WorkspaceId(1), "cust_long", now + TimeDelta::seconds(14)));
        assert!(!resting.has(WorkspaceId(2), "cust_long", now), "another workspace's");
        assert!(!resting.has(WorkspaceId(1), "cust_long", now + TimeDelta::seconds(15)));
        assert!(!resting.has(WorkspaceId(1), "cust_long", now - TimeDelta::days(1)), "the clock was set back");
    }
}
