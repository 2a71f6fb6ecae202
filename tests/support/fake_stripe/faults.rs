//! What goes wrong, and when: told in advance, or drawn from a seed.

use std::collections::{HashMap, VecDeque};

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The connection is lost before anything is done.
    DropBefore,
    /// The connection is lost after the work.
    DropAfter,
    /// A gateway's 502, as a page: nothing was begun, nothing is kept.
    Gateway,
    /// A 500 in place of the work; it is kept for the key.
    ErrorBefore,
    /// A 500 after the work; it is kept for the key.
    ErrorAfter,
    /// 429: nothing is done or kept.
    Busy,
    /// The work is done; no answer comes until the caller has hung up.
    Silent,
    /// An answer that is no JSON, after the work.
    Garbage,
    /// It waits until the test lets it go on; meanwhile its key is in use.
    Held,
}

const RANDOM: [Fault; 6] =
    [Fault::DropBefore, Fault::DropAfter, Fault::Gateway, Fault::ErrorAfter, Fault::Busy, Fault::Garbage];

/// A plan of faults.
#[derive(Debug, Default)]
pub struct Faults {
    /// For the next ones, in order of arrival.
    script: VecDeque<Fault>,
    /// Of a thousand so many go wrong, whatever the order in which they come.
    seeded: Option<(u64, u64)>,
    seen: HashMap<String, u64>,
}

impl Faults {
    /// These, then none.
    pub fn script(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { script: faults.into_iter().collect(), ..Self::default() }
    }

    /// This one, so many times, then none.
    pub fn times(fault: Fault, times: usize) -> Self {
        Self::script(std::iter::repeat_n(fault, times))
    }

    /// So many of a thousand, drawn by the key and how often it came.
    pub fn seeded(seed: u64, of_thousand: u64) -> Self {
        Self { seeded: Some((seed, of_thousand)), ..Self::default() }
    }

    pub(super) fn next(&mut self, key: &str) -> Fault {
        if let Some(fault) = self.script.pop_front() {
            return fault;
        }
        let Some((seed, of_thousand)) = self.seeded else { return Fault::None };
        let seen = self.seen.entry(key.to_owned()).or_default();
        *seen += 1;
        let mut drawn = seed ^ seen.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in key.bytes() {
            drawn = mixed(drawn ^ u64::from(byte));
        }
        if drawn % 1000 >= of_thousand {
            return Fault::None;
        }
        RANDOM[usize::try_from(mixed(drawn) % RANDOM.len() as u64).unwrap()]
    }
}

/// The last step of the generator `SplitMix64`.
pub fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
