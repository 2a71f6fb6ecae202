//! What terms remember of the log beside what was entered last.

use super::story::{Story, at, percent};
use super::terms::{Change, Duration, ProgramTerms, Rule, Terms, Whose};

fn lifetime(rate: &str) -> Rule {
    percent(rate, Duration::Lifetime)
}

fn saas(rule: Rule) -> ProgramTerms {
    ProgramTerms { rules: vec![rule], ..ProgramTerms::default() }
}

fn terms(story: &Story) -> Terms {
    Terms::from_log(story.log.clone())
}

fn own_rules(story: &mut Story, when: &str, whose: Whose) {
    let (program, rules) = ("saas".to_owned(), vec![lifetime("30")]);
    story.enter(when, Change::Override { program, whose, rules, from: None });
}

/// Prices are looked up for payments of any time, and those of a version that is over are decided by it.
#[test]
fn a_rule_that_ever_told_products_apart_is_remembered() {
    let mut story = Story::default();
    story.program("2026-01-01", 1, saas(lifetime("20")));
    assert!(!terms(&story).tells_products);
    story.program("2026-02-01", 2, saas(Rule { product: vec!["prod_1".to_owned()], ..lifetime("20") }));
    assert!(terms(&story).tells_products);
    story.program("2026-03-01", 3, saas(lifetime("20")));
    assert!(terms(&story).tells_products);
}

#[test]
fn a_program_without_tiers_is_not_among_those_that_look_back() {
    let mut story = Story::default();
    story.program("2026-01-01", 1, saas(lifetime("20")));
    assert!(terms(&story).tiered.is_empty());
}

#[test]
fn own_rules_reach_back_where_they_come_with_the_partner_or_the_programs_first_version() {
    let acme = || Whose::Partner("acme".to_owned());
    for (program, partner, entered, reaches_back) in [
        ("2025-01-01", "2026-02-01", "2026-02-01", true),
        ("2026-02-01", "2025-01-01", "2026-02-01", true),
        ("2026-02-01", "2026-02-01", "2026-02-01", true),
        ("2025-01-01", "2025-01-01", "2026-02-01", false),
    ] {
        let mut story = Story::default();
        story.program(program, 1, saas(lifetime("20"))).partner(partner, "acme");
        own_rules(&mut story, entered, acme());
        let terms = terms(&story);
        let before = terms.overrides_at("acme", "saas", at("2026-01-31"));
        assert_eq!(!before.is_empty(), reaches_back, "program {program}, partner {partner}");
        assert_eq!(terms.overrides_at("acme", "saas", at(entered)), [(acme(), [lifetime("30")].as_slice())]);
    }
}

#[test]
fn a_group_that_nobody_named_is_called_by_its_key() {
    let mut story = Story::default();
    story.program("2026-01-01", 1, saas(lifetime("20")));
    own_rules(&mut story, "2026-01-01", Whose::Group("gold".to_owned()));
    assert_eq!(terms(&story).groups["gold"].name, "gold");
    story.enter("2026-01-02", Change::Group { group: "gold".to_owned(), name: "Gold partners".to_owned() });
    own_rules(&mut story, "2026-01-03", Whose::Group("gold".to_owned()));
    assert_eq!(terms(&story).groups["gold"].name, "Gold partners");
}
