//! Stories: what happens to one customer, told as events, with the sales it makes.

mod billing;
mod buyer;
mod contract;
mod shopper;
mod subscriber;
mod taken;

use chrono::Duration;
use serde_json::json;

use super::books::Sale;
use super::event::{Event, Kind, Object};
use super::merchant::Options;
use super::program::Partner;
use super::random::{Random, derived_id};
use super::shape::Metadata;
use crate::domain::Time;
use crate::domain::currency::Currency;

/// A promotion code that belongs to the merchant and to no partner.
pub(super) const OWN_CODE: &str = "SUMMER";

/// The promotion code id behind a text.
pub(super) fn code_id(tag: &str, text: &str) -> String {
    derived_id("promo", &[tag, text])
}

/// No metadata.
pub(super) fn nothing() -> Metadata {
    Metadata::new()
}

/// One piece of metadata.
pub(super) fn one(key: &str, value: &str) -> Metadata {
    Metadata::from([(key.to_owned(), value.to_owned())])
}

/// Tells the stories of one business, customer by customer.
pub(super) struct Teller<'a> {
    pub options: &'a Options,
    pub partners: &'a [Partner],
    pub random: Random,
    /// What happened, not yet in order.
    pub events: Vec<Event>,
    /// The sales, one history per customer.
    pub histories: Vec<Vec<Sale>>,
    tag: &'a str,
}

impl<'a> Teller<'a> {
    pub(super) fn new(options: &'a Options, partners: &'a [Partner], tag: &'a str, random: Random) -> Self {
        Self { options, partners, random, events: Vec::new(), histories: Vec::new(), tag }
    }

    /// A fresh id: the business's tag and letters by chance.
    fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}_1{}{}", self.tag, self.random.letters(17))
    }

    fn happen(&mut self, kind: Kind, at: Time, object: Object) {
        self.events.push(Event::new(kind, at, object));
    }

    /// Some time between `low` and `high` seconds.
    fn seconds(&mut self, low: i64, high: i64) -> Duration {
        Duration::seconds(self.random.between(low, high))
    }

    /// Some time between `low` and `high` days, to the second.
    fn days(&mut self, low: i64, high: i64) -> Duration {
        self.seconds(low * 86_400, high * 86_400)
    }

    /// When the business ends: nothing new begins from here on.
    fn end(&self) -> Time {
        self.options.start + Duration::days(i64::from(self.options.months) * 365 / 12)
    }

    /// A moment in the first `percent` of the business.
    fn joining(&mut self, percent: i64) -> Time {
        let span = (self.end() - self.options.start).num_seconds();
        self.options.start + self.seconds(0, span * percent / 100)
    }

    /// Something that the bridge has no use for.
    fn noise(&mut self, at: Time) {
        let (name, object) = *self.random.pick(&[
            ("payout.paid", "payout"),
            ("invoice.finalized", "invoice"),
            ("payment_method.attached", "payment_method"),
            ("balance.available", "balance"),
        ]);
        let id = self.id(&object[..2]);
        let object = json!({ "id": id, "object": object, "amount": 1234, "currency": "usd", "metadata": {} });
        self.happen(Kind::Other(name.to_owned()), at, Object::Other(object));
    }
}

/// What amounts of `currency` are multiples of: Stripe takes whole krónur, and dinars to the second decimal.
fn step(currency: Currency) -> i64 {
    match currency.as_str() {
        "isk" => 100,
        "kwd" => 10,
        _ => 1,
    }
}

/// `amount` as one that Stripe would take.
fn whole(currency: Currency, amount: i64) -> i64 {
    amount - amount % step(currency)
}

/// Tells the story of the customer at `place`. The first ones are one of each kind and one with each clue, so that
/// small businesses have them all; the others are drawn.
pub(super) fn tell(teller: &mut Teller<'_>, place: usize) {
    const WEIGHTS: [u64; 10] = [46, 8, 8, 10, 10, 5, 5, 4, 2, 2];
    let mut drawn = teller.random.below(WEIGHTS.iter().sum());
    let mut kind = 0;
    while drawn >= WEIGHTS[kind] {
        drawn -= WEIGHTS[kind];
        kind += 1;
    }
    let clues = &subscriber::CLUES;
    match if place < WEIGHTS.len() { place } else { kind } {
        _ if (WEIGHTS.len()..WEIGHTS.len() + clues.len()).contains(&place) => {
            subscriber::single(teller, &clues[place - WEIGHTS.len()..=place - WEIGHTS.len()]);
        }
        0 => subscriber::single(teller, clues),
        1 => subscriber::twice(teller),
        2 => subscriber::with_extras(teller),
        3 => shopper::regular(teller),
        4 => shopper::guest(teller),
        5 => subscriber::joined(teller),
        6 => shopper::invoiced(teller),
        7 => shopper::never_pays(teller),
        8 => shopper::direct(teller),
        _ => shopper::returns_first(teller),
    }
    if teller.random.chance(20) {
        let at = teller.joining(100);
        teller.noise(at);
    }
}
