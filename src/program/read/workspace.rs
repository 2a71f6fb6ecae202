//! `[workspace]`.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::super::fault::{Faults, nearest};
use super::super::file::WorkspaceSection;
use super::node::Node;
use super::value;
use crate::domain::terms::{EvidenceKind, MetadataField, Settings};

const WORKSPACE: [&str; 8] = [
    "time_zone",
    "minimum_payout",
    "count_direct_payments",
    "count_out_of_band",
    "metadata_aliases",
    "evidence_order",
    "account",
    "base_currency",
];
const FIELDS: [(&str, MetadataField); 5] = [
    ("partner_key", MetadataField::PartnerKey),
    ("click_id", MetadataField::ClickId),
    ("customer_key", MetadataField::CustomerKey),
    ("product_key", MetadataField::ProductKey),
    ("program_key", MetadataField::ProgramKey),
];
const EVIDENCE: [(&str, EvidenceKind); 6] = [
    ("manual", EvidenceKind::Manual),
    ("partner_key", EvidenceKind::PartnerKey),
    ("click_id", EvidenceKind::ClickId),
    ("promotion_code", EvidenceKind::PromotionCode),
    ("customer_key", EvidenceKind::CustomerKey),
    ("email", EvidenceKind::Email),
];

/// Reads the section.
pub(super) fn read(node: Node<'_>, faults: &mut Faults) -> Option<WorkspaceSection> {
    let section = node.section(&WORKSPACE, faults)?;
    let usual = Settings::default();
    let flag = |key: &str, faults: &mut Faults| section.get(key).and_then(|node| node.flag(faults));
    let settings = Settings {
        time_zone: section.get("time_zone").and_then(|node| time_zone(&node, faults)).unwrap_or(usual.time_zone),
        minimum_payout: section.get("minimum_payout").map(|node| value::amounts(&node, faults)).unwrap_or_default(),
        count_direct_payments: flag("count_direct_payments", faults).unwrap_or(usual.count_direct_payments),
        count_out_of_band: flag("count_out_of_band", faults).unwrap_or(usual.count_out_of_band),
        metadata_aliases: section.get("metadata_aliases").map(|node| aliases(&node, faults)).unwrap_or_default(),
        evidence_order: section
            .get("evidence_order")
            .map_or(usual.evidence_order, |node| evidence_order(&node, faults)),
        account: section.get("account").and_then(|node| account(&node, faults)),
        base_currency: section.get("base_currency").and_then(|node| value::currency_name(&node, faults)),
    };
    Some(WorkspaceSection { settings })
}

fn time_zone(node: &Node<'_>, faults: &mut Faults) -> Option<Tz> {
    let text = node.text("a time zone such as \"Europe/Berlin\"", faults)?;
    if let Ok(zone) = text.parse() {
        return Some(zone);
    }
    let names: Vec<&str> = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect();
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let meant = nearest(&text, &lower.iter().map(String::as_str).collect::<Vec<_>>());
    let meant = meant.and_then(|meant| names.iter().find(|name| name.eq_ignore_ascii_case(meant)));
    let hint = meant.map(|name| format!(" (did you mean \"{name}\"?)")).unwrap_or_default();
    faults.add(
        &node.spot,
        format!("{text:?} is no time zone{hint}: expected a name such as \"Europe/Berlin\" or \"UTC\""),
    );
    None
}

fn aliases(node: &Node<'_>, faults: &mut Faults) -> BTreeMap<String, MetadataField> {
    let mut aliases = BTreeMap::new();
    for (name, item) in node.pairs("metadata keys and what they mean, such as { ref = \"partner_key\" }", faults) {
        let Some(field) = item.word(&FIELDS, faults) else { continue };
        let alias = name.trim().to_lowercase();
        if alias.is_empty() {
            faults.add(&item.spot, "has no key");
        } else if aliases.insert(alias, field).is_some() {
            faults.add(&item.spot, "is listed twice (case does not matter)");
        }
    }
    aliases
}

/// The kinds that the file lists, then those it leaves out in their usual order: none is ever lost.
fn evidence_order(node: &Node<'_>, faults: &mut Faults) -> Vec<EvidenceKind> {
    let mut order = Vec::new();
    for item in node.list("a list of kinds of evidence, strongest first", faults) {
        match item.word(&EVIDENCE, faults) {
            Some(kind) if order.contains(&kind) => faults.add(&item.spot, "is listed twice"),
            Some(kind) => order.push(kind),
            None => {}
        }
    }
    let rest: Vec<_> = EvidenceKind::DEFAULT_ORDER.into_iter().filter(|kind| !order.contains(kind)).collect();
    order.extend(rest);
    order
}

fn account(node: &Node<'_>, faults: &mut Faults) -> Option<String> {
    let text = node.text("a Stripe account's id", faults)?;
    if !text.starts_with("acct_") {
        faults.add(&node.spot, format!("{text:?} is no Stripe account: expected an id that starts with acct_"));
    }
    Some(text)
}
