//! Webhook bodies without end, at next to no cost: one year of simulated businesses, told again and again under other ids.

use std::collections::HashMap;

use crate::sample::dress::Dresser;
use crate::sample::{Options, Shape, stream};

/// So many bodies are different but for their ids.
const BODIES: usize = 20_000;
/// What begins an id that is another's in every round.
const PREFIXES: [&[u8]; 16] = [
    b"\"evt_",
    b"\"in_",
    b"\"cus_",
    b"\"sub_",
    b"\"pi_",
    b"\"ch_",
    b"\"re_",
    b"\"dp_",
    b"\"du_",
    b"\"cn_",
    b"\"il_",
    b"\"si_",
    b"\"inpay_",
    b"\"cs_live_",
    b"\"txn_",
    b"\"user-",
];
/// Characters of an id, in base 62, that say when it was first seen: Stripe's ids begin with the time, so that those of one
/// time lie side by side.
const DIGITS: usize = 5;

/// Where an id is in a body, and how many other ids were seen before it.
type Place = (usize, usize);

/// Bodies as Stripe sends them, and where their ids are.
#[derive(Clone)]
pub(super) struct Stock {
    bodies: std::sync::Arc<[(Vec<u8>, Vec<Place>)]>,
    /// How many ids there are.
    ids: usize,
}

impl Stock {
    pub(super) fn new() -> Self {
        let dresser = Dresser::default();
        let options = Options { customers: 200, ..Options::new(1) };
        let mut seen = HashMap::new();
        let bodies = stream::bodies(&options, Shape::Hybrid).take(BODIES).map(|body| {
            let body = dresser.dress(&body);
            let places = places(&body, &mut seen);
            (body, places)
        });
        Self { bodies: bodies.collect(), ids: seen.len() }
    }

    /// Bytes of a body, on average.
    pub(super) fn mean_size(&self) -> usize {
        self.bodies.iter().map(|(body, _)| body.len()).sum::<usize>() / self.bodies.len().max(1)
    }

    /// The body with this number.
    pub(super) fn body(&self, number: usize) -> Vec<u8> {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (body, places) = &self.bodies[number % self.bodies.len()];
        let before = number / self.bodies.len() * self.ids;
        let mut body = body.clone();
        for (place, seen) in places {
            let mut time = before + seen;
            for digit in body[*place..place + DIGITS].iter_mut().rev() {
                *digit = LETTERS[time % 62];
                time /= 62;
            }
        }
        body
    }
}

fn places(body: &[u8], seen: &mut HashMap<Vec<u8>, usize>) -> Vec<Place> {
    let mut places = Vec::new();
    for (at, _) in body.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let rest = &body[at..];
        let Some(prefix) = PREFIXES.iter().find(|prefix| rest.starts_with(prefix)) else { continue };
        let id = rest[prefix.len()..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if id > DIGITS && rest.get(prefix.len() + id) == Some(&b'"') {
            let next = seen.len();
            let number = *seen.entry(rest[..prefix.len() + id].to_vec()).or_insert(next);
            places.push((at + prefix.len(), number));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::{envelope, read};

    #[test]
    fn each_round_is_another_business() {
        let stock = Stock::new();
        let ids = |number| envelope(&stock.body(number)).unwrap().id;
        assert_ne!(ids(1), ids(2));
        assert_ne!(ids(1), ids(1 + BODIES));
        assert_eq!(ids(1)[9..], ids(1 + BODIES)[9..]);
        assert!(read(&stock.body(7 + 3 * BODIES)).is_ok());
    }
}
