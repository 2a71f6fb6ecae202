//! Values over time.

use crate::domain::Time;

/// A value over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated<T> {
    /// In order of `start`; never empty once entered.
    values: Vec<DatedValue<T>>,
}

#[derive(Debug, Clone, PartialEq)]
struct DatedValue<T> {
    /// `None`: since the beginning.
    start: Option<Time>,
    seq: i64,
    value: T,
    entered_at: Time,
}

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T> Dated<T> {
    /// Enters a value. The first reaches back to the beginning unless it has a `from`; a later one counts from `from`,
    /// or from when it was entered.
    pub fn enter(&mut self, seq: i64, entered_at: Time, from: Option<Time>, value: T) {
        let start = if self.values.is_empty() { from } else { Some(from.unwrap_or(entered_at)) };
        self.values.push(DatedValue { start, seq, value, entered_at });
        self.values.sort_by_key(|dated| (dated.start, dated.seq));
    }

    /// The value at a moment; none before the first began.
    pub fn at(&self, at: Time) -> Option<&T> {
        self.values.iter().rev().find(|dated| dated.start.is_none_or(|start| start <= at)).map(|dated| &dated.value)
    }

    /// Every value there ever was.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter().map(|dated| &dated.value)
    }

    /// The newest value.
    pub fn latest(&self) -> Option<&T> {
        self.values.iter().max_by_key(|dated| dated.seq).map(|dated| &dated.value)
    }

    /// When the value in force at `at` was entered: before that nobody could know it.
    pub fn entered_at(&self, at: Time) -> Option<Time> {
        self.values.iter().rev().find(|dated| dated.start.is_none_or(|start| start <= at)).map(|dated| dated.entered_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> Time {
        format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn the_first_value_reaches_back_and_later_ones_do_not() {
        let mut dated = Dated::default();
        dated.enter(1, at(10), None, "a");
        dated.enter(2, at(20), None, "b");
        assert_eq!(dated.at(at(1)), Some(&"a"));
        assert_eq!(dated.at(at(19)), Some(&"a"));
        assert_eq!(dated.at(at(20)), Some(&"b"));
        assert_eq!(dated.latest(), Some(&"b"));
    }

    #[test]
    fn a_from_bounds_the_first_value_and_backdates_a_later_one() {
        let mut dated = Dated::default();
        dated.enter(1, at(10), Some(at(5)), "a");
        dated.enter(2, at(20), Some(at(7)), "b");
        assert_eq!(dated.at(at(4)), None);
        assert_eq!(dated.at(at(6)), Some(&"a"));
        assert_eq!(dated.at(at(8)), Some(&"b"));
    }

    #[test]
    fn a_value_was_known_since_it_was_entered_whenever_it_counts_from() {
        let mut dated = Dated::default();
        assert_eq!(dated.entered_at(at(1)), None);
        dated.enter(1, at(10), None, "a");
        dated.enter(2, at(20), Some(at(7)), "b");
        assert_eq!(dated.entered_at(at(6)), Some(at(10)));
        assert_eq!(dated.entered_at(at(7)), Some(at(20)));
        assert_eq!(dated.entered_at(at(31)), Some(at(20)));
    }
}
