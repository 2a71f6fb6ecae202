//! The injected source of ids: a prefix that says what it is, then a `UUIDv7`, so that ids sort by time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Makes ids. Cloned into everything that needs new ones.
#[derive(Clone)]
pub struct Ids(Source);

#[derive(Clone)]
enum Source {
    Random,
    Counting(Arc<AtomicU64>),
}

/// The machine gives no randomness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine gives no random numbers: {0}")]
pub struct NoChance(String);

impl NoChance {
    /// With what the machine said.
    pub(crate) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Ids {
    /// Real `UUIDv7`.
    pub fn random() -> Self {
        Self(Source::Random)
    }

    /// 1, 2, 3, …: the same ids in every run of a test. Clones share the count.
    pub fn counting() -> Self {
        Self(Source::Counting(Arc::new(AtomicU64::new(0))))
    }

    /// The next id, such as `pay_0198c0de…`: later ids sort after earlier ones of the same prefix.
    #[allow(clippy::disallowed_methods)] // the one place
    pub fn next(&self, prefix: &str) -> String {
        match &self.0 {
            Source::Random => format!("{prefix}_{}", Uuid::now_v7().simple()),
            Source::Counting(count) => format!("{prefix}_{:032}", count.fetch_add(1, Ordering::SeqCst) + 1),
        }
    }

    /// 192 bits that nobody can guess, in hexadecimal.
    ///
    /// # Errors
    /// Where the machine gives no randomness.
    pub fn secret(&self) -> Result<String, NoChance> {
        match &self.0 {
            Source::Random => {
                let mut bits = [0; 24];
                getrandom::fill(&mut bits).map_err(NoChance::new)?;
                Ok(hex::encode(bits))
            }
            Source::Counting(count) => Ok(format!("{:048}", count.fetch_add(1, Ordering::SeqCst) + 1)),
        }
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Random => "Ids(random)",
            Source::Counting(_) => "Ids(counting)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_say_what_they_are() {
        for ids in [Ids::random(), Ids::counting()] {
            let made: Vec<String> = (0..100).map(|_| ids.next("pay")).collect();
            assert!(made.is_sorted(), "{ids:?}");
            assert!(made.iter().all(|id| id.starts_with("pay_") && id.len() == 36), "{ids:?}");
        }
    }
}
