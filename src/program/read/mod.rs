//! Reads the sections of a program file. Each reader notes what is wrong and goes on with a stand-in, so that one run
//! shows every fault; nothing that was read is used while there is one.

pub(super) mod group;
pub(super) mod month_end;
mod node;
pub(super) mod overriding;
pub(super) mod partner;
pub(super) mod rule;
mod tiers;
mod value;
pub(super) mod workspace;

use toml::de::DeValue;

use self::node::{Node, Section};
use super::fault::Faults;
use super::file::{GroupSection, PartnerSection, ProgramSection, WorkspaceSection};
use super::valid::STATUS;
use crate::domain::terms::{
    Base, CreditBy, CustomersShown, Duration, EmailMatch, PriceBy, ProgramTerms, SecondLevel, SecondLevelOf,
    SelfReferral, Touch, TrialConversion,
};

const ROOT: [&str; 4] = ["workspace", "program", "group", "partner"];
pub(crate) const PROGRAM: [&str; 18] = [
    "key",
    "name",
    "status",
    "hold_days",
    "reversal_delay",
    "attribution",
    "attribution_window_days",
    "base",
    "credit",
    "price_by",
    "trial_conversion",
    "self_referral",
    "self_referral_match",
    "second_level",
    "statement_customers",
    "statement_refused",
    "effective_from",
    "rule",
];
/// Ten years: longer holds and windows are slips of the pen.
const MOST_DAYS: u32 = 3650;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) workspace: Option<WorkspaceSection>,
    pub(super) programs: Vec<ProgramSection>,
    pub(super) groups: Vec<GroupSection>,
    pub(super) partners: Vec<PartnerSection>,
}

/// Reads a whole document.
pub(super) fn document(root: &DeValue<'_>, faults: &mut Faults) -> Sections {
    let Some(root) = Section::root(root, &ROOT, faults) else { return Sections::default() };
    let tables = |key: &str, faults: &mut Faults| root.get(key).map(|node| node.tables(faults)).unwrap_or_default();
    let workspace = root.get("workspace").and_then(|node| workspace::read(node, faults));
    let programs = tables("program", faults).into_iter().filter_map(|node| program(node, faults)).collect();
    let groups = tables("group", faults).into_iter().filter_map(|node| group::read(node, faults)).collect();
    let partners = tables("partner", faults).into_iter().filter_map(|node| partner::read(node, faults)).collect();
    Sections { workspace, programs, groups, partners }
}

fn program(node: Node<'_>, faults: &mut Faults) -> Option<ProgramSection> {
    let section = node.section(&PROGRAM, faults)?;
    let key = section
        .require("key", "the program's key, such as \"saas\"", faults)
        .and_then(|node| value::key(&node, "a program's key", faults));
    let name = section.get("name").and_then(|node| node.text("a name", faults));
    let status = section.get("status").and_then(|node| node.word(&STATUS, faults));
    let effective_from = section.get("effective_from").and_then(|node| value::moment(&node, faults));
    let terms = terms(&section, faults);
    let key = key?;
    Some(ProgramSection {
        name: name.unwrap_or_else(|| key.clone()),
        key,
        status,
        effective_from,
        terms,
        spot: section.spot,
    })
}

fn terms(section: &Section<'_>, faults: &mut Faults) -> ProgramTerms {
    let usual = ProgramTerms::default();
    let days = |key: &str, faults: &mut Faults| {
        section.get(key).and_then(|node| node.whole(0..=MOST_DAYS, "a number of days", faults))
    };
    ProgramTerms {
        hold_days: days("hold_days", faults).unwrap_or(usual.hold_days),
        reversal_delay: section
            .get("reversal_delay")
            .and_then(|node| value::delay(&node, faults))
            .unwrap_or(usual.reversal_delay),
        attribution: word(section, "attribution", &[("first", Touch::First), ("last", Touch::Last)], faults)
            .unwrap_or(usual.attribution),
        attribution_window_days: days("attribution_window_days", faults).unwrap_or(usual.attribution_window_days),
        base: word(section, "base", BASES, faults).unwrap_or(usual.base),
        credit: word(section, "credit", &[("customer", CreditBy::Customer), ("payment", CreditBy::Payment)], faults)
            .unwrap_or(usual.credit),
        price_by: word(section, "price_by", &[("customer", PriceBy::Customer), ("payment", PriceBy::Payment)], faults)
            .unwrap_or(usual.price_by),
        trial_conversion: word(section, "trial_conversion", &TRIAL, faults).unwrap_or(usual.trial_conversion),
        self_referral: word(section, "self_referral", &SELF_REFERRAL, faults).unwrap_or(usual.self_referral),
        self_referral_match: word(section, "self_referral_match", &EMAIL_MATCH, faults)
            .unwrap_or(usual.self_referral_match),
        second_level: section.get("second_level").and_then(|node| second_level(node, faults)),
        statement_customers: word(section, "statement_customers", &CUSTOMERS_SHOWN, faults)
            .unwrap_or(usual.statement_customers),
        statement_refused: section
            .get("statement_refused")
            .and_then(|node| node.flag(faults))
            .unwrap_or(usual.statement_refused),
        rules: rule::read_all(section, faults),
    }
}

/// `{ percent = "10", of = "commission", duration = "12 months" }`
fn second_level(node: Node<'_>, faults: &mut Faults) -> Option<SecondLevel> {
    let section = node.section(&["percent", "of", "duration"], faults)?;
    let percent = section.require("percent", "a percentage such as \"10\"", faults);
    let percent = percent.and_then(|node| value::percent(&node, faults));
    let of = section.get("of").map(|node| node.word(&SECOND_LEVEL_OF, faults));
    let months = section.get("duration").and_then(|node| months(&node, faults));
    Some(SecondLevel { percent: percent?, of: of.unwrap_or(Some(SecondLevelOf::Commission))?, months })
}

/// `12 months`, or `lifetime`, which has no end.
fn months(node: &Node<'_>, faults: &mut Faults) -> Option<u32> {
    match value::duration(node, faults)? {
        Duration::Months(months) => return Some(months),
        Duration::Lifetime => {}
        Duration::OneTime | Duration::Payments(_) => {
            faults.add(&node.spot, "counts payments: expected \"12 months\" or \"lifetime\"");
        }
    }
    None
}

/// The bases of a percentage.
const BASES: &[(&str, Base)] = &[("net", Base::Net), ("gross", Base::Gross), ("net_of_fees", Base::NetOfFees)];

const SECOND_LEVEL_OF: [(&str, SecondLevelOf); 2] =
    [("commission", SecondLevelOf::Commission), ("base", SecondLevelOf::Base)];
const SELF_REFERRAL: [(&str, SelfReferral); 3] =
    [("refuse", SelfReferral::Refuse), ("review", SelfReferral::Review), ("allow", SelfReferral::Allow)];
const EMAIL_MATCH: [(&str, EmailMatch); 3] =
    [("email", EmailMatch::Email), ("normalized", EmailMatch::Normalized), ("domain", EmailMatch::Domain)];
const CUSTOMERS_SHOWN: [(&str, CustomersShown); 3] =
    [("pseudonym", CustomersShown::Pseudonym), ("id", CustomersShown::Id), ("hidden", CustomersShown::Hidden)];
const TRIAL: [(&str, TrialConversion); 2] =
    [("first", TrialConversion::First), ("recurring", TrialConversion::Recurring)];

fn word<T: Copy>(section: &Section<'_>, key: &str, words: &[(&str, T)], faults: &mut Faults) -> Option<T> {
    section.get(key).and_then(|node| node.word(words, faults))
}
