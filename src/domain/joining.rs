//! Which buyers are one customer, and since when: those that share a customer key, from the moment both are known to
//! carry it.

use std::collections::BTreeMap;

use super::Time;
use super::evidence::value_of;
use super::facts::Metadata;
use super::history::{History, Said, What};
use super::terms::{MetadataField, Terms};

/// Two buyers become one customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Join {
    /// From then on.
    pub at: Time,
    /// One buyer.
    pub a: String,
    /// The other.
    pub b: String,
}

/// Every join within a history, in order of time.
pub fn joins(history: &History, terms: &Terms) -> Vec<Join> {
    if history.buyers.len() < 2 {
        return Vec::new();
    }
    let settings = terms.current_settings();
    let key_in = |said: &Said| match &said.what {
        What::Metadata(key, value) => {
            let metadata: Metadata = [(key.clone(), value.clone())].into();
            value_of(&metadata, MetadataField::CustomerKey, &settings)
        }
        _ => None,
    };
    // For each key: who carries it, since when.
    let mut carriers: BTreeMap<String, BTreeMap<&str, Time>> = BTreeMap::new();
    let mut carry = |buyer: &'_ str, said: &Said, at: Time| {
        let Some(key) = key_in(said) else { return };
        let Some((buyer, _)) = history.buyers.get_key_value(buyer) else { return };
        let since = carriers.entry(key).or_default().entry(buyer.as_str()).or_insert(at);
        *since = (*since).min(at);
    };
    for (id, buyer) in &history.buyers {
        for said in buyer.said.iter().chain(&buyer.identity) {
            carry(id, said, said.at);
        }
    }
    for payment in &history.payments {
        for said in &payment.said {
            // What a payment's own objects say holds for the payment itself.
            carry(&payment.buyer, said, said.at.min(payment.paid_at));
        }
    }
    let mut joins = Vec::new();
    for buyers in carriers.into_values() {
        let mut by_time: Vec<(Time, &str)> = buyers.into_iter().map(|(buyer, at)| (at, buyer)).collect();
        by_time.sort_unstable();
        for pair in by_time.windows(2) {
            joins.push(Join { at: pair[1].0, a: pair[0].1.to_owned(), b: pair[1].1.to_owned() });
        }
    }
    joins.sort_unstable();
    joins
}

#[cfg(test)]
mod tests {
    use super::super::history::fold;
    use super::super::story::{Story, at};
    use super::*;

    #[test]
    fn each_of_several_buyers_joins_the_one_who_carried_the_key_before() {
        let mut story = Story::default();
        for (customer, when) in [("cus_3", "2026-01-01"), ("cus_1", "2026-01-02"), ("cus_2", "2026-01-03")] {
            story.customer_says(customer, when, "customer_key", "k1");
        }
        story.customer_says("cus_4", "2026-01-04", "customer_key", "k2");
        let join = |when, a: &str, b: &str| Join { at: at(when), a: a.to_owned(), b: b.to_owned() };
        let expected = [join("2026-01-02", "cus_3", "cus_1"), join("2026-01-03", "cus_1", "cus_2")];
        assert_eq!(joins(&fold(&story.events), &Terms::default()), expected);
        assert_eq!(joins(&fold(&story.events[..2]), &Terms::default()), expected[..1]);
        assert_eq!(joins(&fold(&story.events[..1]), &Terms::default()), []);
    }
}
