//! What the network makes of a sequence of events: another order, the same again, pieces. And endless bodies for
//! benchmarks.

use std::collections::VecDeque;

use super::merchant::{Options, business};
use super::random::Random;
use super::shape::{Shape, render_all};

/// Puts `items` in an order that depends on `seed` alone.
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = Random::new(seed);
    for place in (1..items.len()).rev() {
        items.swap(place, random.index(place + 1));
    }
}

/// Everything, and everything once more behind it.
pub fn twice<T: Clone>(items: &[T]) -> Vec<T> {
    [items, items].concat()
}

/// Everything in its order, and about `percent` of it again, each at once or up to ten places later.
pub fn with_some_again<T: Clone>(items: &[T], percent: u64, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    let mut out = Vec::with_capacity(items.len());
    let mut again: VecDeque<(usize, T)> = VecDeque::new();
    for (place, item) in items.iter().enumerate() {
        out.push(item.clone());
        if random.chance(percent) {
            again.push_back((place + random.index(11), item.clone()));
        }
        while again.front().is_some_and(|(due, _)| *due <= place) {
            out.extend(again.pop_front().map(|(_, item)| item));
        }
    }
    out.extend(again.into_iter().map(|(_, item)| item));
    out
}

/// Cuts `items` into pieces of 1 to `most`.
pub fn batches<T: Clone>(items: &[T], most: usize, seed: u64) -> Vec<Vec<T>> {
    let mut random = Random::new(seed);
    let mut rest = items;
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (batch, behind) = rest.split_at((random.index(most.max(1)) + 1).min(rest.len()));
        batches.push(batch.to_vec());
        rest = behind;
    }
    batches
}

/// Webhook bodies without end: business after business from `options.seed` on, each with ids of its own, all with
/// the same program file. Only one business is held in memory; `take` as many bodies as wanted.
pub fn bodies(options: &Options, shape: Shape) -> impl Iterator<Item = Vec<u8>> + use<> {
    let options = Options { codes_on_sessions: options.codes_on_sessions && shape.has_new(), ..options.clone() };
    (options.seed..)
        .flat_map(move |seed| business(&Options { seed, ..options.clone() }).events)
        .flat_map(move |event| render_all(&event, shape))
        .map(|body| serde_json::to_vec(&body).expect("a JSON value can be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_keeps_everything_and_follows_the_seed() {
        let order = |seed| {
            let mut items: Vec<u32> = (0..100).collect();
            shuffle(&mut items, seed);
            items
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn repeating_repeats_and_loses_nothing() {
        let items: Vec<u32> = (0..200).collect();
        let mut again = with_some_again(&items, 30, 5);
        assert!((230..290).contains(&again.len()), "{}", again.len());
        again.sort_unstable();
        again.dedup();
        assert_eq!(again, items);
        assert_eq!(twice(&items).len(), 400);
    }

    #[test]
    fn batches_join_to_the_whole() {
        let items: Vec<u32> = (0..200).collect();
        let batches = batches(&items, 7, 5);
        assert!(batches.iter().all(|batch| (1..=7).contains(&batch.len())));
        assert_eq!(batches.concat(), items);
    }

    #[test]
    fn bodies_go_on_with_new_ids() {
        let options = Options { customers: 5, months: 3, ..Options::new(11) };
        let mut ids = std::collections::HashSet::new();
        for body in bodies(&options, Shape::New).take(1000) {
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(ids.insert(body["id"].as_str().unwrap().to_owned()));
        }
    }
}
