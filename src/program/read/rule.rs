//! `[[program.rule]]`, and those of overrides.

use std::collections::HashSet;

use super::super::fault::Faults;
use super::node::{Node, Section};
use super::{tiers, value};
use crate::domain::terms::{AmountByCurrency, Duration, Earn, Kind, Rule};

pub(crate) const RULE: [&str; 14] = [
    "key",
    "on",
    "product",
    "price",
    "product_key",
    "interval",
    "group",
    "partner",
    "percent",
    "flat",
    "tiers",
    "duration",
    "cap_per_payment",
    "cap_per_customer",
];
const ON: [(&str, Option<Kind>); 5] = [
    ("first", Some(Kind::First)),
    ("recurring", Some(Kind::Recurring)),
    ("change", Some(Kind::Change)),
    ("one_off", Some(Kind::OneOff)),
    ("any", None),
];
const INTERVALS: [(&str, &str); 4] = [("day", "day"), ("week", "week"), ("month", "month"), ("year", "year")];

/// All rules of a program or override; without any it would credit nothing.
pub(super) fn read_all(section: &Section<'_>, faults: &mut Faults) -> Vec<Rule> {
    let nodes = section.get("rule").map(|node| node.tables(faults)).unwrap_or_default();
    if nodes.is_empty() && section.get("rule").is_none_or(|node| node.value.is_array()) {
        let head = section.head_of("rule");
        faults.add(&section.spot, format!("has no rule: expected at least one [[{head}]]"));
    }
    let mut keys = HashSet::new();
    let mut rules = Vec::new();
    for node in nodes {
        let Some(section) = node.section(&RULE, faults) else { continue };
        if let Some(rule) = read(&section, faults) {
            if rule.key.clone().is_some_and(|key| !keys.insert(key)) {
                let spot = section.get("key").map_or_else(|| section.spot.clone(), |node| node.spot);
                faults.add(&spot, "is the key of an earlier rule of this list");
            }
            rules.push(rule);
        }
    }
    rules
}

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Rule> {
    let texts = |key: &str, what: &str, faults: &mut Faults| {
        section.get(key).map(|node| value::texts(&node, what, faults)).unwrap_or_default()
    };
    let caps = |key: &str, faults: &mut Faults| section.get(key).map(|node| amounts(&node, faults)).unwrap_or_default();
    let key = section.get("key").and_then(|node| value::key(&node, "a rule's key", faults));
    let on = section.get("on").and_then(|node| node.word(&ON, faults)).flatten();
    let earn = earn(section, faults);
    let duration = section.get("duration").map(|node| value::duration(&node, faults));
    let rule = Rule {
        key,
        on,
        product: texts("product", "a product's id", faults),
        price: texts("price", "a price's id", faults),
        product_key: texts("product_key", "a product key", faults),
        interval: section.get("interval").map(|node| intervals(&node, faults)).unwrap_or_default(),
        group: texts("group", "a group of partners", faults),
        partner: texts("partner", "a partner's key", faults),
        earn: earn?,
        // Left out, it pays for ever, as the words "20 % of recurring payments" say.
        duration: duration.unwrap_or(Some(Duration::Lifetime))?,
        cap_per_payment: caps("cap_per_payment", faults),
        cap_per_customer: caps("cap_per_customer", faults),
    };
    Some(rule)
}

fn intervals(node: &Node<'_>, faults: &mut Faults) -> Vec<String> {
    let items = node.one_or_more();
    if items.is_empty() {
        faults.add(&node.spot, "is an empty list, which nothing matches: expected an interval, or leave the key out");
    }
    items.iter().filter_map(|item| item.word(&INTERVALS, faults)).map(str::to_owned).collect()
}

fn earn(section: &Section<'_>, faults: &mut Faults) -> Option<Earn> {
    let given: Vec<Node<'_>> = ["percent", "flat", "tiers"].into_iter().filter_map(|key| section.get(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        let name = first.spot.path.rsplit('.').next().unwrap_or_default();
        faults.add(&second.spot, format!("stands beside `{name}`: a rule gives one or the other"));
        return None;
    }
    match (section.get("percent"), section.get("flat"), section.get("tiers")) {
        (Some(percent), ..) => value::percent(&percent, faults).map(Earn::Percent),
        (None, Some(flat), _) => Some(Earn::Flat(amounts(&flat, faults))),
        (None, None, Some(node)) => tiers::read(node, faults).map(Earn::Tiers),
        (None, None, None) => {
            faults.add(&section.spot, "gives nothing: expected `percent`, `flat` or `tiers`");
            None
        }
    }
}

/// Amounts by currency of which there must be one.
pub(super) fn amounts(node: &Node<'_>, faults: &mut Faults) -> AmountByCurrency {
    if node.value.as_table().is_some_and(toml::map::Map::is_empty) {
        faults.add(&node.spot, "names no currency: expected amounts such as { usd = \"25.00\" }");
    }
    value::amounts(node, faults)
}
