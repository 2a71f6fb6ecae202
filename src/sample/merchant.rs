//! A whole business from a seed: its program file, its events, its books.

use chrono::{Duration, TimeZone, Utc};

use super::books::Books;
use super::event::{Event, Kind, Object};
use super::program::{self, Partner};
use super::random::Random;
use super::shape::customer::PromotionCode;
use super::story::{self, Teller};
use crate::domain::Time;

/// How a merchant's account tells of refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundEvents {
    /// `refund.*` with ids, and `charge.refunded` beside them.
    ById,
    /// `charge.refunded` alone, which says how much was refunded so far; as accounts of before 2024-10.
    Cumulative,
}

/// Which invoice events a merchant's endpoint is subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceEvents {
    /// `invoice.paid`
    Paid,
    /// `invoice.paid` and `invoice.payment_succeeded`
    Both,
    /// `invoice.payment_succeeded`, which never tells of money from outside Stripe.
    Succeeded,
}

/// What kind of merchant to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The same seed and options give the same business.
    pub seed: u64,
    /// How many customers.
    pub customers: usize,
    /// How long the business runs; more than 12 to see the end of a 12 months' rule.
    pub months: u32,
    /// When it starts.
    pub start: Time,
    /// How many partners; at least five.
    pub partners: usize,
    /// How refunds are told.
    pub refunds: RefundEvents,
    /// How paid invoices are told.
    pub invoices: InvoiceEvents,
    /// Checkout sessions name their promotion codes, as they do since 2025-01-27: guests may then be known by a code.
    /// Wrong for [`Shape::Legacy`](super::Shape::Legacy), whose sessions cannot.
    pub codes_on_sessions: bool,
    /// Live or test.
    pub livemode: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            customers: 50,
            months: 15,
            start: Utc.timestamp_opt(1_735_689_600, 0).single().expect("2025-01-01"),
            partners: 8,
            refunds: RefundEvents::ById,
            invoices: InvoiceEvents::Paid,
            codes_on_sessions: false,
            livemode: true,
        }
    }
}

impl Options {
    /// The default merchant of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A merchant whose habits (how refunds and invoices are told) depend on the seed as well.
    pub fn varied(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x6861_6269_7473);
        let refunds = *random.pick(&[RefundEvents::ById, RefundEvents::Cumulative]);
        let invoices = *random.pick(&[InvoiceEvents::Paid, InvoiceEvents::Both, InvoiceEvents::Succeeded]);
        Self { refunds, invoices, ..Self::new(seed) }
    }
}

/// A simulated business.
#[derive(Debug, Clone, PartialEq)]
pub struct Business {
    /// The program file to apply before anything else. It depends on the number of partners alone.
    pub program_toml: String,
    /// Every event, in the order it happened.
    pub events: Vec<Event>,
    /// What must come out.
    pub books: Books,
    /// A moment when everything has happened and taken effect.
    pub settled_at: Time,
}

/// The business of `options`.
pub fn business(options: &Options) -> Business {
    let partners = program::partners(options.partners);
    let tag = Random::new(options.seed ^ 0x0074_6167).letters(6);
    let mut events: Vec<Event> = Vec::new();
    for (code, id) in codes(&partners, &tag) {
        let at = options.start - Duration::days(1);
        let code = PromotionCode { id, code, created: None, coupon: None, active: true, metadata: story::nothing() };
        events.push(Event::new(Kind::PromotionCodeCreated, at, Object::PromotionCode(code)));
    }
    // One code changes a little, as codes do.
    if let Some(Event { object: Object::PromotionCode(code), at, .. }) = events.first().cloned() {
        let later = PromotionCode { created: Some(at), metadata: story::one("season", "spring"), ..code };
        events.push(Event::new(Kind::PromotionCodeUpdated, at + Duration::days(9), Object::PromotionCode(later)));
    }
    let mut books = Books::default();
    for place in 0..options.customers {
        let random = Random::new(Random::new(options.seed).bits() ^ (place as u64).wrapping_mul(0xD134_2543_DE82_EF95));
        let mut teller = Teller::new(options, &partners, &tag, random);
        story::tell(&mut teller, place);
        events.append(&mut teller.events);
        for sales in teller.histories {
            books.enter(sales);
        }
    }
    events.sort_by_key(|event| event.at);
    let mut ids = Random::new(options.seed ^ 0x0065_7674);
    for event in &mut events {
        event.id = format!("evt_1{tag}{}", ids.letters(17));
        event.livemode = options.livemode;
    }
    let last = events.last().map_or(options.start, |event| event.at + Duration::days(1));
    let settled_at = books.settled_at().map_or(last, |settled| settled.max(last));
    Business { program_toml: program::program_toml(&partners), events, books, settled_at }
}

/// Every promotion code of the merchant with its id: the partners', and one that belongs to nobody.
fn codes(partners: &[Partner], tag: &str) -> Vec<(String, String)> {
    let texts = partners.iter().map(|partner| partner.code.clone()).chain([story::OWN_CODE.to_owned()]);
    texts.map(|text| (text.clone(), story::code_id(tag, &text))).collect()
}
