//! Whose is it? What shares an id or a customer key belongs to one customer.

use std::collections::HashMap;

use crate::ids::Ids;
use crate::store::Mode;
use crate::store::refs::Ref;

/// Something that belongs to whoever any of its references belongs to.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub mode: Mode,
    pub refs: Vec<&'a str>,
}

/// A customer that items belong to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Linked {
    pub customer_id: String,
    pub mode: Mode,
    /// Not in the database yet.
    pub is_new: bool,
    /// Customers that turn out to be this one.
    pub joined: Vec<String>,
}

/// The answer for many items at once.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    pub customers: Vec<Linked>,
    /// Position in `customers` of each item's; none for an item without references.
    pub of_item: Vec<Option<usize>>,
    /// References that the database does not yet tie to their customer.
    pub ties: Vec<(Mode, &'a str, usize)>,
}

/// Links items to customers, given whose the known references are. New customers get ids; of several known ones the
/// oldest (the smallest id) stands for all.
pub(super) fn link<'a>(items: &[Item<'a>], owners: &'a [(Ref, String)], ids: &Ids) -> Links<'a> {
    let mut groups = Groups::default();
    let owner_of: HashMap<(Mode, &str), &str> =
        owners.iter().map(|((mode, text), owner)| ((*mode, text.as_str()), owner.as_str())).collect();
    let mut nodes: HashMap<(Mode, &'a str), usize> = HashMap::new();
    let mut owner_nodes: HashMap<&str, usize> = HashMap::new();
    let mut order = Vec::new();
    let mut first_node = Vec::with_capacity(items.len());
    for item in items {
        let mut first = None;
        for reference in &item.refs {
            let node = *nodes.entry((item.mode, reference)).or_insert_with(|| {
                order.push((item.mode, *reference));
                let node = groups.add();
                if let Some(owner) = owner_of.get(&(item.mode, *reference)) {
                    let owner = *owner_nodes.entry(owner).or_insert_with(|| groups.add());
                    groups.unite(node, owner);
                }
                node
            });
            groups.unite(*first.get_or_insert(node), node);
        }
        first_node.push(first);
    }
    let mut owners_of_group: HashMap<usize, Vec<&str>> = HashMap::new();
    for (owner, node) in owner_nodes {
        owners_of_group.entry(groups.root(node)).or_default().push(owner);
    }
    let mut links = Links::default();
    let mut customer_of_group: HashMap<usize, usize> = HashMap::new();
    for (item, first) in items.iter().zip(&first_node) {
        let customer = first.map(|node| {
            let root = groups.root(node);
            *customer_of_group.entry(root).or_insert_with(|| {
                links.customers.push(stand_for(owners_of_group.remove(&root), item.mode, ids));
                links.customers.len() - 1
            })
        });
        links.of_item.push(customer);
    }
    for key in order {
        let customer = customer_of_group[&groups.root(nodes[&key])];
        if owner_of.get(&key).copied() != Some(links.customers[customer].customer_id.as_str()) {
            links.ties.push((key.0, key.1, customer));
        }
    }
    links
}

fn stand_for(owners: Option<Vec<&str>>, mode: Mode, ids: &Ids) -> Linked {
    let mut owners = owners.unwrap_or_default();
    owners.sort_unstable();
    match owners.split_first() {
        None => Linked { customer_id: ids.next("cust"), mode, is_new: true, joined: Vec::new() },
        Some((oldest, others)) => Linked {
            customer_id: (*oldest).to_owned(),
            mode,
            is_new: false,
            joined: others.iter().map(|&other| other.to_owned()).collect(),
        },
    }
}

/// Disjoint sets of nodes.
#[derive(Default)]
struct Groups(Vec<usize>);

impl Groups {
    fn add(&mut self) -> usize {
        self.0.push(self.0.len());
        self.0.len() - 1
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.0[node] != node {
            self.0[node] = self.0[self.0[node]];
            node = self.0[node];
        }
        node
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item<'a>(refs: &[&'a str]) -> Item<'a> {
        Item { mode: Mode::Live, refs: refs.to_vec() }
    }

    fn owned(reference: &str, owner: &str) -> (Ref, String) {
        ((Mode::Live, reference.to_owned()), owner.to_owned())
    }

    #[test]
    fn what_shares_a_reference_belongs_together() {
        let items = [item(&["in_1", "cus_1"]), item(&["ch_1", "pi_1"]), item(&["pi_1", "in_1"]), item(&["cus_2"])];
        let links = link(&items, &[], &Ids::counting());
        assert_eq!(links.of_item, [Some(0), Some(0), Some(0), Some(1)]);
        assert!(links.customers.iter().all(|customer| customer.is_new));
        assert_eq!(links.ties.len(), 5);
    }

    #[test]
    fn known_customers_keep_their_ids_and_only_news_is_tied() {
        let owners = [owned("cus_1", "cust_a")];
        let links = link(&[item(&["in_1", "cus_1"])], &owners, &Ids::counting());
        assert_eq!(links.customers[0].customer_id, "cust_a");
        assert!(!links.customers[0].is_new);
        assert_eq!(links.ties, [(Mode::Live, "in_1", 0)]);
    }

    #[test]
    fn the_oldest_of_several_stands_for_all() {
        let owners = [owned("cus_1", "cust_b"), owned("key:x", "cust_a"), owned("cus_3", "cust_c")];
        let links = link(&[item(&["cus_1", "key:x"]), item(&["cus_3"])], &owners, &Ids::counting());
        assert_eq!(links.customers[0].customer_id, "cust_a");
        assert_eq!(links.customers[0].joined, ["cust_b"]);
        assert_eq!(links.customers[1].customer_id, "cust_c");
        assert_eq!(links.ties, [(Mode::Live, "cus_1", 0)]);
    }

    #[test]
    fn the_books_are_apart_and_no_references_mean_no_customer() {
        let test = Item { mode: Mode::Test, refs: vec!["cus_1"] };
        let links = link(&[item(&["cus_1"]), test, item(&[])], &[], &Ids::counting());
        assert_eq!(links.of_item, [Some(0), Some(1), None]);
    }
}
