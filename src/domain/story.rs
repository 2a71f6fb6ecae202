//! Stories for tests: a customer's payments in a few words, and what is decided about them.

use std::collections::HashMap;

use super::Time;
use super::decision::{Decision, Decisions, Lookups, decide, explain};
use super::facts::{
    BillingReason, ChargeFact, CustomerFact, EventFacts, Fact, InvoiceFact, InvoiceStatus, Line, Link, Metadata,
    RefundFact, RefundStatus, Stamp,
};
use super::history::fold;
use super::terms::{Change, Earn, Entered, Profile, ProgramTerms, Rule, Status, Terms};

/// `2026-01-05` or a whole RFC 3339 moment.
pub fn at(text: &str) -> Time {
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().unwrap()
}

/// A percent rule for any kind of payment.
pub fn percent(percent: &str, duration: super::terms::Duration) -> Rule {
    Rule {
        key: None,
        on: None,
        product: vec![],
        price: vec![],
        product_key: vec![],
        interval: vec![],
        group: vec![],
        partner: vec![],
        earn: Earn::Percent(percent.parse().unwrap()),
        duration,
        cap_per_payment: super::terms::AmountByCurrency::new(),
        cap_per_customer: super::terms::AmountByCurrency::new(),
    }
}

/// What happened and what was entered.
#[derive(Default, Clone)]
pub struct Story {
    pub events: Vec<EventFacts>,
    pub log: Vec<Entered>,
    pub lookups: Lookups,
}

/// An invoice about to be told.
pub struct Paid<'a> {
    story: &'a mut Story,
    fact: InvoiceFact,
}

impl Story {
    pub fn enter(&mut self, when: &str, change: Change) -> &mut Self {
        let seq = i64::try_from(self.log.len()).unwrap() + 1;
        self.log.push(Entered { seq, at: at(when), author: "test".to_owned(), change });
        self
    }

    pub fn program(&mut self, when: &str, version: u32, terms: ProgramTerms) -> &mut Self {
        let (program, name) = ("saas".to_owned(), "SaaS".to_owned());
        let from = at(when);
        let change = Change::ProgramVersion {
            program,
            name,
            version,
            effective_from: from,
            in_force_from: from,
            engine: super::terms::ENGINE,
            terms,
        };
        self.enter(when, change)
    }

    pub fn partner(&mut self, when: &str, key: &str) -> &mut Self {
        let profile = Profile { name: key.to_uppercase(), ..Profile::default() };
        self.enter(when, Change::Partner { partner: key.to_owned(), profile });
        let (partner, program) = (key.to_owned(), "saas".to_owned());
        self.enter(when, Change::Enrollment { partner, program, status: Status::Active, from: None })
    }

    fn tell(&mut self, when: Time, facts: Vec<Fact>) {
        let event_id = format!("evt_{:03}", self.events.len());
        self.events.push(EventFacts { stamp: Stamp { created: when, event_id }, fetched_at: None, facts });
    }

    /// A paid one-line subscription invoice of `cus_1`.
    pub fn pays(&mut self, id: &str, when: &str, amount: i64, reason: BillingReason) -> Paid<'_> {
        let paid_at = at(when);
        let line =
            Line { id: format!("il_{id}"), amount, subscription: true, period_start: Some(paid_at), ..Line::default() };
        let fact = InvoiceFact {
            id: id.to_owned(),
            customer: Some("cus_1".to_owned()),
            email: None,
            subscription: Some("sub_1".to_owned()),
            billing_reason: Some(reason),
            currency: "usd".parse().unwrap(),
            status: InvoiceStatus::Paid,
            total: amount,
            tax: 0,
            amount_due: amount,
            paid_on_stripe: amount,
            paid_off_stripe: 0,
            created: Some(paid_at),
            paid_at: Some(paid_at),
            intents: vec![],
            charges: vec![format!("ch_{id}")],
            metadata: Metadata::new(),
            subscription_metadata: Metadata::new(),
            empty_snapshot: false,
            promotion_codes: vec![],
            lines: vec![line],
            voided_at: None,
            hidden_discounts: false,
            unseen_lines: 0,
            failed: None,
        };
        Paid { story: self, fact }
    }

    /// The last state of a paid invoice, voided.
    pub fn voids(&mut self, id: &str, when: &str) -> &mut Self {
        let told = self.events.iter().flat_map(|event| &event.facts).find_map(|fact| match fact {
            Fact::Invoice(fact) if fact.id == id => Some(fact.clone()),
            _ => None,
        });
        let mut fact = told.unwrap();
        fact.status = InvoiceStatus::Void;
        self.tell(at(when), vec![Fact::Invoice(fact)]);
        self
    }

    pub fn refund(&mut self, id: &str, invoice: &str, when: &str, amount: i64, status: RefundStatus) -> &mut Self {
        let fact = RefundFact {
            id: id.to_owned(),
            charge: Some(format!("ch_{invoice}")),
            intent: None,
            currency: "usd".parse().unwrap(),
            amount,
            status,
            created: Some(at(when)),
        };
        self.tell(at(when), vec![Fact::Refund(fact)]);
        self
    }

    /// The same refund, said to have failed later.
    pub fn refund_fails(&mut self, id: &str, invoice: &str, made: &str, when: &str, amount: i64) -> &mut Self {
        self.refund(id, invoice, made, amount, RefundStatus::Failed);
        self.events.last_mut().unwrap().stamp.created = at(when);
        self
    }

    pub fn refunded_so_far(&mut self, invoice: &str, when: &str, captured: i64, refunded: i64) -> &mut Self {
        let fact = ChargeFact {
            id: format!("ch_{invoice}"),
            intent: None,
            customer: None,
            email: None,
            invoice: Link::Unsaid,
            currency: "usd".parse().unwrap(),
            captured,
            refunded,
            booked: None,
            created: None,
            metadata: Metadata::new(),
        };
        self.tell(at(when), vec![Fact::Charge(fact)]);
        self
    }

    pub fn customer_says(&mut self, customer: &str, when: &str, key: &str, value: &str) -> &mut Self {
        let fact = CustomerFact {
            id: customer.to_owned(),
            email: None,
            created: None,
            is_creation: false,
            metadata: [(key.to_owned(), value.to_owned())].into(),
            promotion_codes: vec![],
        };
        self.tell(at(when), vec![Fact::Customer(fact)]);
        self
    }

    pub fn decide(&self, now: &str) -> Decisions {
        let terms = Terms::from_log(self.log.clone());
        let decisions = decide(&fold(&self.events), &terms, &self.lookups, at(now)).unwrap();
        let mut reversed = self.events.clone();
        reversed.reverse();
        reversed.extend(self.events.clone());
        let again = decide(&fold(&reversed), &terms, &self.lookups, at(now)).unwrap();
        assert_eq!(decisions, again, "the order and repetition of events must not matter");
        let explained = explain(&fold(&self.events), &terms, &self.lookups, at(now)).unwrap();
        let untraced = |decisions: &Decisions| -> Vec<Decision> {
            decisions.payments.iter().map(|payment| Decision { trace: vec![], ..payment.clone() }).collect()
        };
        assert_eq!(untraced(&decisions), untraced(&explained), "explaining must not change the answer");
        decisions
    }

    /// `(reference, code, partner, amount)` of every payment.
    pub fn answers(&self, now: &str) -> Vec<(String, &'static str, String, i64)> {
        self.decide(now)
            .payments
            .iter()
            .map(|payment| {
                let partner = payment.partner.clone().unwrap_or_default();
                (payment.reference.clone(), payment.code.as_str(), partner, payment.amount)
            })
            .collect()
    }

    /// The same answers by reference.
    pub fn answer(&self, now: &str, reference: &str) -> (&'static str, String, i64) {
        let answers: HashMap<_, _> =
            self.answers(now).into_iter().map(|(id, code, partner, amount)| (id, (code, partner, amount))).collect();
        answers[reference].clone()
    }
}

impl Paid<'_> {
    pub fn by(mut self, customer: &str, subscription: &str) -> Self {
        self.fact.customer = Some(customer.to_owned());
        self.fact.subscription = Some(subscription.to_owned());
        self
    }

    pub fn via(self, partner: &str) -> Self {
        self.with("partner_key", partner)
    }

    /// Whatever it costs, the customer's balance pays it.
    pub fn by_balance(mut self) -> Self {
        self.fact.amount_due = 0;
        self.fact.paid_on_stripe = 0;
        self
    }

    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.fact.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn code(mut self, code: &str) -> Self {
        self.fact.promotion_codes.push(code.to_owned());
        self
    }

    pub fn done(self) {
        let when = self.fact.paid_at.unwrap();
        self.story.tell(when, vec![Fact::Invoice(Box::new(self.fact))]);
    }
}
