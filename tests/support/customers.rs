//! Whose facts are these? What shares an id or a customer key belongs to one customer.

use std::collections::{BTreeMap, HashMap};

use commission_bridge::domain::evidence::customer_keys;
use commission_bridge::domain::facts::EventFacts;
use commission_bridge::domain::terms::Terms;

/// The facts of each customer, in the order given.
pub fn customers(events: &[EventFacts], terms: &Terms) -> Vec<Vec<EventFacts>> {
    let mut parent: Vec<usize> = (0..events.len()).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (place, event) in events.iter().enumerate() {
        let keys = customer_keys(event, terms).into_iter().map(|key| format!("key:{key}"));
        for reference in event.references().into_iter().map(str::to_owned).chain(keys) {
            let other = *seen.entry(reference).or_insert(place);
            let (a, b) = (root(&mut parent, place), root(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<EventFacts>> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        groups.entry(root(&mut parent, place)).or_default().push(event.clone());
    }
    groups.into_values().collect()
}

fn root(parent: &mut [usize], mut place: usize) -> usize {
    while parent[place] != place {
        parent[place] = parent[parent[place]];
        place = parent[place];
    }
    place
}
