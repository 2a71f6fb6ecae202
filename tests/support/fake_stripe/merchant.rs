//! A merchant's account as Stripe's API shows it: the events of a simulated business, and the objects as they stand
//! after them.

use std::collections::{BTreeMap, HashMap, HashSet};

use commission_bridge::domain::Time;
use commission_bridge::sample::{Event, Shape, render, render_all};
use commission_bridge::stripe::event::is_understood;
use serde_json::{Value, json};

use super::expand::Wanted;
use super::kinds::{ALL, Kind};
use super::large::Large;
use super::shelf::Shelf;

/// One mode of one account.
#[derive(Debug)]
pub struct Merchant {
    /// `acct_…`
    pub account: String,
    pub livemode: bool,
    /// Events of which a delivery has failed.
    pub undelivered: HashSet<String>,
    shelves: BTreeMap<Kind, Shelf>,
    /// By id, as they are when they are expanded.
    pub(super) discounts: HashMap<String, Value>,
    pub(super) deleted: HashSet<String>,
    /// Objects that are written when they are asked for.
    pub(super) large: Option<Large>,
}

impl Default for Merchant {
    fn default() -> Self {
        Self::empty(super::OWN_ACCOUNT, true)
    }
}

impl Merchant {
    /// An account in which nothing has happened.
    pub fn empty(account: &str, livemode: bool) -> Self {
        Self {
            account: account.to_owned(),
            livemode,
            undelivered: HashSet::new(),
            shelves: ALL.iter().map(|about| (about.kind, Shelf::new(about.kind))).collect(),
            discounts: HashMap::new(),
            deleted: HashSet::new(),
            large: None,
        }
    }

    /// The live account of a business in which all this has happened, in order.
    pub fn of(events: &[Event]) -> Self {
        let mut merchant = Self::default();
        for event in events {
            merchant.happen(event);
        }
        merchant
    }

    /// The live account in which these events were sent, in order. What no event shows (which promotion code a discount
    /// came from) it does not know.
    pub fn of_bodies(events: &[Value]) -> Self {
        let mut merchant = Self::default();
        for event in events {
            merchant.tell(event);
        }
        merchant
    }

    /// A live account with about so many objects: customers, subscriptions, invoices, payment intents, charges, refunds,
    /// disputes. None is kept: each is written when it is asked for. There are no events.
    pub fn large(objects: usize, start: Time) -> Self {
        Self { large: Some(Large::new(objects, start)), ..Self::default() }
    }

    /// Something happens.
    pub fn happen(&mut self, event: &Event) {
        // What the bodies of today do not show, those of before did.
        let before = render(event, Shape::Hybrid);
        self.learn(&before["data"]["object"]);
        for body in render_all(event, Shape::New) {
            self.tell(&body);
        }
    }

    /// An event is sent.
    pub fn tell(&mut self, event: &Value) {
        self.put(Kind::Event, event.clone());
        let (type_, object) = (event["type"].as_str().unwrap_or_default(), &event["data"]["object"]);
        let kind = object["object"].as_str().and_then(Kind::of_object);
        if let (true, Some(kind)) = (is_understood(type_), kind) {
            self.absorb(kind, type_, object, event["created"].as_i64().unwrap_or_default());
        }
    }

    /// Puts an object where the API has it, in the place of the one with its id.
    pub fn put(&mut self, kind: Kind, object: Value) {
        self.shelves.get_mut(&kind).unwrap().put(object);
    }

    /// Deletes an object; tells whether there was one. Of a customer Stripe still says that there was one.
    pub fn delete(&mut self, kind: Kind, id: &str) -> bool {
        let removed = self.shelves.get_mut(&kind).unwrap().remove(id).is_some();
        if removed && kind == Kind::Customer {
            self.deleted.insert(id.to_owned());
        }
        removed
    }

    /// An object as it stands.
    pub fn get(&self, kind: Kind, id: &str) -> Option<&Value> {
        self.shelf(kind).get(id)
    }

    /// Changes an object, as the merchant would in the dashboard.
    pub fn change(&mut self, kind: Kind, id: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(kind, id).unwrap_or_else(|| panic!("no {kind:?} {id}")).clone();
        change(&mut object);
        self.put(kind, object);
    }

    /// The ids of all objects of a kind, the oldest first.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.shelf(kind).ids()
    }

    /// All that a list of the API (`/invoices`) shows with this expanded, without asking over HTTP.
    pub fn listed(&self, path: &str, expanded: &[&str]) -> Vec<Value> {
        let kind = ALL.iter().find(|about| about.path == path.trim_start_matches('/')).unwrap().kind;
        let paths: Vec<String> = expanded.iter().map(|path| (*path).to_owned()).collect();
        let wanted = Wanted::read(kind, &paths, false).unwrap_or_else(|refused| panic!("{}", refused.body));
        let objects = self.ids(kind).into_iter().filter_map(|id| self.get(kind, &id));
        objects.map(|object| self.show(kind, object, &wanted)).collect()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.large.as_ref().map_or_else(|| self.shelf(kind).len(), |large| large.count(kind))
    }

    /// The events as they are delivered to an endpoint, in order.
    pub fn deliveries(&self) -> Vec<Value> {
        let shelf = self.shelf(Kind::Event);
        shelf.ids().iter().filter_map(|id| shelf.get(id).cloned()).collect()
    }

    pub(super) fn shelf(&self, kind: Kind) -> &Shelf {
        &self.shelves[&kind]
    }

    /// What an older rendering shows of discounts and prices.
    fn learn(&mut self, object: &Value) {
        if let Some(id) = object["discount"]["id"].as_str() {
            self.discounts.insert(id.to_owned(), object["discount"].clone());
        }
        if object["object"] == "invoice" {
            for line in object["lines"]["data"].as_array().into_iter().flatten() {
                self.price(&line["price"]);
            }
        }
    }

    /// A price, and the product behind it.
    pub(super) fn price(&mut self, price: &Value) {
        let (Some(_), Some(product)) = (price["id"].as_str(), price["product"].as_str()) else { return };
        if self.get(Kind::Product, product).is_none() {
            let product = json!({
                "id": product, "object": "product", "active": true, "created": price["created"],
                "description": null, "livemode": self.livemode, "metadata": {}, "name": product,
            });
            self.put(Kind::Product, product);
        }
        self.put(Kind::Price, price.clone());
    }
}
