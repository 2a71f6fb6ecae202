//! `[[partner]]`.

use super::super::fault::Faults;
use super::super::file::{CodeSection, Named, PartnerSection};
use super::super::valid::{self, METHODS, STATUS};
use super::node::{Node, Section};
use super::{overriding, value};
use crate::domain::terms::{PayoutMethod, Profile};

pub(crate) const PARTNER: [&str; 19] = [
    "key",
    "name",
    "email",
    "legal_name",
    "country",
    "tax_id",
    "vat_id",
    "status",
    "group",
    "recruited_by",
    "on_hold",
    "programs",
    "codes",
    "minimum_payout",
    "payout",
    "note",
    "locale",
    "tax_form",
    "override",
];

/// Reads the section.
pub(super) fn read(node: Node<'_>, faults: &mut Faults) -> Option<PartnerSection> {
    let section = node.section(&PARTNER, faults)?;
    let key = section
        .require("key", "the partner's key, such as \"acme\"", faults)
        .and_then(|node| node.valid("a partner's key", valid::partner_key, faults));
    let partner = PartnerSection {
        profile: profile(&section, key.as_deref(), faults),
        payout: section.get("payout").and_then(|node| payout(node, faults)),
        on_hold: section.get("on_hold").and_then(|node| node.flag(faults)),
        status: section.get("status").and_then(|node| node.word(&STATUS, faults)),
        group: section.get("group").and_then(|node| node.text("a group's name", faults)),
        recruited_by: section.get("recruited_by").and_then(|node| {
            let name = value::key(&node, "a partner's key", faults)?;
            Some(Named { name, spot: node.spot })
        }),
        programs: section.get("programs").map(|node| programs(&node, faults)).unwrap_or_default(),
        codes: section.get("codes").map(|node| codes(&node, faults)).unwrap_or_default(),
        overrides: overriding::read_all(&section, faults),
        key: key?,
        spot: section.spot,
    };
    Some(partner)
}

fn profile(section: &Section<'_>, key: Option<&str>, faults: &mut Faults) -> Profile {
    let text = |key: &str, what: &str, faults: &mut Faults| section.get(key).and_then(|node| node.text(what, faults));
    Profile {
        name: text("name", "a name", faults).or_else(|| key.map(str::to_owned)).unwrap_or_default(),
        email: section.get("email").and_then(|node| node.valid("an e-mail address", valid::email, faults)),
        legal_name: text("legal_name", "a name", faults),
        country: section.get("country").and_then(|node| node.valid("a country", valid::country, faults)),
        tax_id: text("tax_id", "a tax number", faults),
        vat_id: text("vat_id", "a VAT number", faults),
        payout: None,
        minimum_payout: section.get("minimum_payout").map(|node| value::amounts(&node, faults)).unwrap_or_default(),
        on_hold: false,
        note: section.get("note").and_then(|node| node.prose("a note", faults)),
        locale: section.get("locale").and_then(|node| node.valid("a language tag", valid::locale, faults)),
        tax_form: text("tax_form", "a tax form", faults),
    }
}

fn payout(node: Node<'_>, faults: &mut Faults) -> Option<PayoutMethod> {
    let section = node.section(&["method", "account", "currency"], faults)?;
    let method = section
        .require("method", "stripe, csv, paypal, wise or sepa", faults)
        .and_then(|node| node.word(&METHODS, faults));
    let currency = section.get("currency").and_then(|node| node.valid("a currency", valid::currency, faults));
    let method = method?;
    let account = if let Some(node) = section.get("account") {
        node.valid("an account", |text| valid::payout_account(method, Some(text)), faults).flatten()
    } else {
        if valid::payout_account(method, None).is_err() {
            faults.add(&section.spot, format!("lacks the key `account`, which {} needs", method.as_str()));
        }
        None
    };
    Some(PayoutMethod { method, account, currency })
}

fn programs(node: &Node<'_>, faults: &mut Faults) -> Vec<Named> {
    let mut programs: Vec<Named> = Vec::new();
    for item in node.one_or_more() {
        let Some(name) = item.text("a program's key", faults) else { continue };
        if programs.iter().any(|program| program.name == name) {
            faults.add(&item.spot, format!("{name:?} is listed twice"));
        } else {
            programs.push(Named { name, spot: item.spot });
        }
    }
    programs
}

fn codes(node: &Node<'_>, faults: &mut Faults) -> Vec<CodeSection> {
    node.one_or_more().into_iter().filter_map(|item| code(item, faults)).collect()
}

/// `"ACME20"`, or `{ code = "ACME20", program = "saas" }`.
fn code(node: Node<'_>, faults: &mut Faults) -> Option<CodeSection> {
    if !node.value.is_table() {
        return Some(CodeSection {
            code: value::key(&node, "a promotion code", faults)?,
            program: None,
            spot: node.spot,
        });
    }
    let section = node.section(&["code", "program"], faults)?;
    let text = section.require("code", "a promotion code", faults)?;
    let program = section.get("program").and_then(|node| {
        let name = node.text("a program's key", faults)?;
        Some(Named { name, spot: node.spot })
    });
    Some(CodeSection { code: value::key(&text, "a promotion code", faults)?, program, spot: text.spot })
}
