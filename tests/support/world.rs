//! A simulated business as the bridge gets to know it: terms from its program file, facts from rendered events.

use commission_bridge::domain::Time;
use commission_bridge::domain::decision::{Decision, Lookups, decide};
use commission_bridge::domain::facts::{EventFacts, Fact};
use commission_bridge::domain::history::fold;
use commission_bridge::domain::terms::{Entered, Terms};
use commission_bridge::program::{RepriceClosed, parse, plan};
use commission_bridge::sample::{Business, Event, Options, Shape, business, render_all};
use commission_bridge::stripe::event::{Reading, read};

use super::customers::customers;

/// A business and its terms.
pub struct World {
    pub business: Business,
    /// What was entered, before everything.
    pub log: Vec<Entered>,
    pub terms: Terms,
}

impl World {
    pub fn new(options: &Options) -> Self {
        let business = business(options);
        let log = log_of(&business.program_toml, options.start - chrono::Duration::days(30));
        let terms = Terms::from_log(log.clone());
        Self { business, log, terms }
    }

    /// Every event's facts in one shape, in the order in which it happened.
    pub fn facts(&self, shape: Shape) -> Vec<EventFacts> {
        self.business.events.iter().flat_map(|event| facts_of(event, shape)).collect()
    }

    /// What is decided about everybody, given the facts that arrived.
    pub fn decide(&self, arrived: &[EventFacts], now: Time) -> Vec<Decision> {
        decide_all(arrived, &self.terms, now)
    }
}

/// What is decided about everybody whose facts these are.
pub fn decide_all(facts: &[EventFacts], terms: &Terms, now: Time) -> Vec<Decision> {
    let lookups = lookups_of(facts);
    let mut decisions = Vec::new();
    for events in customers(facts, terms) {
        decisions.extend(decide(&fold(&events), terms, &lookups, now).expect("real money").payments);
    }
    decisions
}

/// What is entered when a program file is applied at `at`.
pub fn log_of(program_toml: &str, at: Time) -> Vec<Entered> {
    let file = parse(program_toml, "program.toml").expect("the merchant's program file is sound");
    let plan = plan(&file, &Terms::default(), at, None, RepriceClosed::No).expect("it can be applied");
    let entered = |(seq, (_, change))| Entered { seq, at, author: "oracle".to_owned(), change };
    (1..).zip(plan.changes).map(entered).collect()
}

/// One event's facts, those of the events that belong to it included; none for what the bridge ignores.
pub fn facts_of(event: &Event, shape: Shape) -> Vec<EventFacts> {
    let read_one = |body: serde_json::Value| {
        let text = body.to_string();
        match read(text.as_bytes()) {
            Ok(Reading::Facts(facts)) => Some(facts),
            Ok(Reading::Ignored(_)) => None,
            Err(error) => panic!("{shape:?} {} cannot be read: {error}: {text}", event.kind.as_str()),
        }
    };
    render_all(event, shape).into_iter().filter_map(read_one).collect()
}

fn lookups_of(arrived: &[EventFacts]) -> Lookups {
    let mut lookups = Lookups::default();
    for fact in arrived.iter().flat_map(|event| &event.facts) {
        if let Fact::PromotionCode(code) = fact {
            lookups.promotion_codes.insert(code.id.clone(), code.code.clone());
        }
    }
    lookups
}
