//! Webhook bodies without end, at next to no cost: one year of simulated businesses, told again and again under other ids.

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
/// Characters of an id that say the round, in base 62: ids of one time lie side by side, as Stripe's do.
const DIGITS: usize = 5;

/// Bodies as Stripe sends them, and where their ids are.
#[derive(Clone)]
pub(super) struct Stock(std::sync::Arc<[(Vec<u8>, Vec<usize>)]>);

impl Stock {
    pub(super) fn new() -> Self {
        let dresser = Dresser::default();
        let options = Options { customers: 200, ..Options::new(1) };
        let bodies = stream::bodies(&options, Shape::Hybrid).take(BODIES).map(|body| {
            let body = dresser.dress(&body);
            let places = places(&body);
            (body, places)
        });
        Self(bodies.collect())
    }

    /// Bytes of a body, on average.
    pub(super) fn mean_size(&self) -> usize {
        self.0.iter().map(|(body, _)| body.len()).sum::<usize>() / self.0.len().max(1)
    }

    /// The body with this number.
    pub(super) fn body(&self, number: usize) -> Vec<u8> {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (body, places) = &self.0[number % self.0.len()];
        let mut round = number / self.0.len();
        let mut digits = [b'0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = LETTERS[round % 62];
            round /= 62;
        }
        let mut body = body.clone();
        for place in places {
            body[*place..place + DIGITS].copy_from_slice(&digits);
        }
        body
    }
}

fn places(body: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for (at, _) in body.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let rest = &body[at..];
        let Some(prefix) = PREFIXES.iter().find(|prefix| rest.starts_with(prefix)) else { continue };
        let id = rest[prefix.len()..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if id >= DIGITS && rest.get(prefix.len() + id) == Some(&b'"') {
            places.push(at + prefix.len());
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
