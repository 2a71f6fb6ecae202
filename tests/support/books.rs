//! The comparison of decisions with the simulated merchant's books.

use std::collections::{BTreeMap, HashMap};

use commission_bridge::domain::Time;
use commission_bridge::domain::currency::Currency;
use commission_bridge::domain::decision::Decision;
use commission_bridge::sample::{Books, Payment};

/// What is owed, by partner and currency; nothing is left out where it is zero.
pub type Owed = BTreeMap<(String, Currency), i64>;

/// Every difference between what was decided and what the books say at `now`, a line each; none if they agree.
pub fn differences(decisions: &[Decision], books: &Books, now: Time) -> Vec<String> {
    let mut found = Vec::new();
    let mut by_reference: HashMap<&str, usize> = HashMap::new();
    for (place, decision) in decisions.iter().enumerate() {
        for reference in &decision.references {
            if let Some(other) = by_reference.insert(reference, place) {
                found.push(format!("{reference} is in two payments: {}", decisions[other].reference));
            }
        }
    }
    let payments = books.payments(now);
    let mut matched = vec![false; decisions.len()];
    for payment in &payments {
        let places: Vec<Option<usize>> =
            payment.refs.iter().map(|reference| by_reference.get(reference.as_str()).copied()).collect();
        match places.iter().flatten().next() {
            None => found.push(format!("no decision about {payment:?}")),
            Some(&place) if places.iter().any(|other| *other != Some(place)) => {
                found.push(format!("its references are not one payment: {payment:?} {places:?}"));
            }
            Some(&place) => {
                matched[place] = true;
                found.extend(difference(&decisions[place], payment));
            }
        }
    }
    for (decision, _) in decisions.iter().zip(&matched).filter(|(_, matched)| !**matched) {
        found.push(format!("the books know nothing of {decision:?}"));
    }
    let owed = |owed: Owed| -> Owed { owed.into_iter().filter(|(_, amount)| *amount != 0).collect() };
    let (decided, kept) = (owed(owed_by(decisions)), owed(books.owed(now)));
    if decided != kept {
        found.push(format!("owed: decided {decided:?}, books {kept:?}"));
    }
    let received = received_by_reason(decisions);
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for ((_, _, currency), amount) in &received {
        *sums.entry(*currency).or_default() += amount;
    }
    if sums != books.received(now) {
        found.push(format!("received: decided {sums:?}, books {:?}", books.received(now)));
    }
    found
}

fn difference(decision: &Decision, payment: &Payment) -> Option<String> {
    let mut wrong = Vec::new();
    if payment.code.is_some_and(|code| code != decision.code.as_str()) {
        wrong.push("code");
    }
    if payment.partner.is_some() && payment.partner != decision.partner {
        wrong.push("partner");
    }
    if payment.program.is_some() && payment.program != decision.program.as_deref() {
        wrong.push("program");
    }
    if payment.amount != decision.amount {
        wrong.push("amount");
    }
    if payment.paid != decision.paid {
        wrong.push("paid");
    }
    if payment.currency != decision.currency {
        wrong.push("currency");
    }
    if decision.amount != decision.steps.iter().map(|step| step.amount).sum::<i64>() {
        wrong.push("steps");
    }
    (!wrong.is_empty()).then(|| format!("{}:\n    decided {decision:?}\n    books   {payment:?}", wrong.join(", ")))
}

/// What the decisions owe.
pub fn owed_by(decisions: &[Decision]) -> Owed {
    let mut owed = Owed::new();
    for decision in decisions {
        if let (Some(partner), true) = (&decision.partner, decision.amount != 0) {
            *owed.entry((partner.clone(), decision.currency)).or_default() += decision.amount;
        }
    }
    owed
}

/// Money received by what became of it: credited to whom, or refused why.
pub fn received_by_reason(decisions: &[Decision]) -> BTreeMap<(Option<String>, &'static str, Currency), i64> {
    let mut received = BTreeMap::new();
    for decision in decisions {
        let fate = (decision.partner.clone(), decision.code.as_str(), decision.currency);
        *received.entry(fate).or_default() += decision.paid;
    }
    received
}
