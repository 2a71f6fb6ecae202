//! `tiers = { by = "customers", months = 1, steps = [ { from = 0, percent = "20" }, … ] }`.

use rust_decimal::Decimal;

use super::super::fault::Faults;
use super::node::Node;
use super::{rule, value};
use crate::domain::terms::{AmountByCurrency, Tier, TierSteps, Tiers};

/// Three years.
const MOST_MONTHS: u32 = 36;
const STEPS: &str = "a list of steps such as [{ from = 0, percent = \"20\" }, { from = 10, percent = \"25\" }]";

#[derive(Clone, Copy)]
enum By {
    Customers,
    Volume,
}

/// Reads the tiers of a rule.
pub(super) fn read(node: Node<'_>, faults: &mut Faults) -> Option<Tiers> {
    let section = node.section(&["by", "months", "steps"], faults)?;
    let by = section.require("by", "customers or volume", faults);
    let by = by.and_then(|node| node.word(&[("customers", By::Customers), ("volume", By::Volume)], faults));
    let months = section.get("months").map(|node| node.whole(1..=MOST_MONTHS, "a number of months", faults));
    let list = section.require("steps", STEPS, faults)?;
    let nodes = list.list(STEPS, faults);
    if nodes.is_empty() {
        faults.add(&list.spot, format!("has no step: expected {STEPS}"));
    }
    let steps = match by? {
        By::Customers => TierSteps::Customers(customers(nodes, faults)),
        By::Volume => TierSteps::Volume(volumes(nodes, faults)),
    };
    Some(Tiers { months: months.unwrap_or(Some(1))?, steps })
}

fn step<'a>(node: Node<'a>, from: &str, faults: &mut Faults) -> Option<(Node<'a>, Decimal)> {
    let section = node.section(&["from", "percent"], faults)?;
    let from = section.require("from", from, faults);
    let percent = section.require("percent", "a percentage such as \"20\"", faults);
    Some((from?, value::percent(&percent?, faults)?))
}

fn customers(nodes: Vec<Node<'_>>, faults: &mut Faults) -> Vec<Tier<i64>> {
    let mut steps: Vec<Tier<i64>> = Vec::new();
    for node in nodes {
        let Some((node, percent)) = step(node, "a number of customers", faults) else { continue };
        let Some(from) = node.whole(0..=1_000_000_000, "a number of customers", faults).map(i64::from) else {
            continue;
        };
        match steps.last() {
            None if from != 0 => faults.add(&node.spot, "is where the first step begins: expected 0"),
            Some(before) if before.from >= from => {
                faults.add(&node.spot, format!("does not come after the step before it, from {}", before.from));
            }
            _ => {}
        }
        steps.push(Tier { from, percent });
    }
    steps
}

fn volumes(nodes: Vec<Node<'_>>, faults: &mut Faults) -> Vec<Tier<AmountByCurrency>> {
    let mut steps: Vec<Tier<AmountByCurrency>> = Vec::new();
    for node in nodes {
        let Some((node, percent)) = step(node, "amounts such as { usd = \"1000.00\" }", faults) else { continue };
        let from = rule::amounts(&node, faults);
        match steps.last() {
            None if from.values().any(|amount| *amount != 0) => {
                faults.add(&node.spot, "is where the first step begins: expected \"0\" in each currency");
            }
            Some(before) if !before.from.keys().eq(from.keys()) => {
                faults.add(&node.spot, "names other currencies than the step before it");
            }
            Some(before) if before.from.iter().any(|(currency, amount)| from.get(currency) <= Some(amount)) => {
                faults.add(&node.spot, "does not come after the step before it in each currency");
            }
            _ => {}
        }
        steps.push(Tier { from, percent });
    }
    steps
}
