//! `[workspace]`.

use std::collections::BTreeMap;

use super::super::fault::Faults;
use super::super::file::WorkspaceSection;
use super::super::valid;
use super::month_end;
use super::node::Node;
use super::value;
use crate::domain::terms::{EvidenceKind, MetadataField, Settings};

pub(crate) const WORKSPACE: [&str; 12] = [
    "time_zone",
    "minimum_payout",
    "count_direct_payments",
    "count_out_of_band",
    "metadata_aliases",
    "evidence_order",
    "account",
    "base_currency",
    "month_end",
    "mail",
    "sepa",
    "wise_source_currency",
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
        time_zone: section
            .get("time_zone")
            .and_then(|node| node.valid("a time zone such as \"Europe/Berlin\"", valid::time_zone, faults))
            .unwrap_or(usual.time_zone),
        minimum_payout: section.get("minimum_payout").map(|node| value::amounts(&node, faults)).unwrap_or_default(),
        count_direct_payments: flag("count_direct_payments", faults).unwrap_or(usual.count_direct_payments),
        count_out_of_band: flag("count_out_of_band", faults).unwrap_or(usual.count_out_of_band),
        metadata_aliases: section.get("metadata_aliases").map(|node| aliases(&node, faults)).unwrap_or_default(),
        evidence_order: section
            .get("evidence_order")
            .map_or(usual.evidence_order, |node| evidence_order(&node, faults)),
        account: section
            .get("account")
            .and_then(|node| node.valid("a Stripe account's id", valid::stripe_account, faults)),
        base_currency: section.get("base_currency").and_then(|node| node.valid("a currency", valid::currency, faults)),
        month_end: section.get("month_end").and_then(|node| month_end::read(node, faults)).unwrap_or_default(),
        mail: section.get("mail").and_then(|node| month_end::mail(node, faults)).unwrap_or_default(),
        sepa: section.get("sepa").and_then(|node| month_end::sepa(node, faults)),
        wise_source_currency: section
            .get("wise_source_currency")
            .and_then(|node| node.valid("a currency", valid::currency, faults)),
    };
    Some(WorkspaceSection { settings })
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
