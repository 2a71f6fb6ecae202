//! When a mail is tried again, and how long a server is left alone. The same each time: nothing is drawn by lot.

use chrono::TimeDelta;

/// After the first failures; then every twelve hours.
const FIRST: [TimeDelta; 5] =
    [TimeDelta::minutes(1), TimeDelta::minutes(5), TimeDelta::minutes(30), TimeDelta::hours(2), TimeDelta::hours(6)];
const THEN: TimeDelta = TimeDelta::hours(12);
/// For so long, about, a mail is tried.
const PATIENCE: TimeDelta = TimeDelta::days(3);

/// How long to wait after a mail failed for the `tries`th time, 1 for the first; `None` when it is to be given up.
pub fn next(tries: i64) -> Option<TimeDelta> {
    let tries = usize::try_from(tries).ok()?.max(1);
    if let Some(wait) = FIRST.get(tries - 1) {
        return Some(*wait);
    }
    let waited: TimeDelta = FIRST.iter().sum();
    let more = i32::try_from(tries - FIRST.len()).ok()?;
    THEN.checked_mul(more)?.checked_add(&waited).filter(|waited| *waited <= PATIENCE).map(|_| THEN)
}

/// How long to leave a server alone that failed for the `failures`th time in a row.
pub fn pause(failures: u32) -> TimeDelta {
    match failures {
        0 | 1 => TimeDelta::seconds(30),
        2 => TimeDelta::minutes(1),
        3 => TimeDelta::minutes(2),
        4 => TimeDelta::minutes(5),
        _ => TimeDelta::minutes(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_for_three_days_and_given_up() {
        let waits: Vec<i64> = (1..).map_while(next).map(|wait| wait.num_minutes()).collect();
        assert_eq!(waits, [1, 5, 30, 120, 360, 720, 720, 720, 720, 720]);
        let whole = TimeDelta::minutes(waits.iter().sum());
        assert!(whole <= PATIENCE && whole + THEN > PATIENCE, "{whole}");
        assert_eq!((next(i64::MAX), next(-1)), (None, None));
        assert_eq!(next(0), next(1));
    }

    #[test]
    fn a_server_is_left_alone_longer_each_time() {
        let pauses: Vec<i64> = (1..8).map(|failures| pause(failures).num_seconds()).collect();
        assert_eq!(pauses, [30, 60, 120, 300, 600, 600, 600]);
    }
}
