//! What files change.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{SAAS, Workspace, at, read, shown};
use crate::domain::terms::Change;
use crate::program::{RepriceClosed, plan};

fn versions(plan: &crate::program::Plan) -> Vec<(u32, String, String)> {
    let found = plan.changes.iter().filter_map(|(_, change)| match change {
        Change::ProgramVersion { version, effective_from, in_force_from, .. } => {
            Some((*version, effective_from.to_rfc3339(), in_force_from.to_rfc3339()))
        }
        _ => None,
    });
    found.collect()
}

#[test]
fn a_first_file_enters_everything_and_a_second_time_nothing() {
    let mut workspace = Workspace::default();
    assert_snapshot!(shown(&workspace.apply(SAAS)));
    assert_eq!(workspace.plan(SAAS), crate::program::Plan::default());
}

#[test]
fn every_change_is_told() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let changed = SAAS
        .replace("Europe/Berlin", "UTC")
        .replace("hold_days = 30", "hold_days = 45\nstatus = \"inactive\"")
        .replace("percent = \"20\"", "percent = \"25\"\n  cap_per_customer = { usd = \"500.00\" }")
        .replace("pay@acme.example", "money@acme.example")
        .replace(
            "codes = [\"ACME20\"]",
            "codes = [\"ACME30\", { code = \"ACME10\", program = \"saas\" }]\ngroup = \"gold\"",
        )
        .replace("acct_1NcQAbCd6789", "acct_9XyZAbCd6789");
    assert_snapshot!(shown(&workspace.apply(&changed)));
    assert!(workspace.plan(&changed).is_empty());
}

#[test]
fn groups_notes_and_the_base_currency_are_told() {
    let file = "[workspace]\nbase_currency = \"eur\"\n[[group]]\nkey = \"gold\"\nname = \"Gold partners\"\n\
        [[partner]]\nkey = \"zed\"\ngroup = \"gold\"\nnote = '''\nMet at the fair.\nCalls on Mondays.\n'''";
    let mut workspace = Workspace::default();
    let plan = workspace.apply(file);
    assert_eq!(
        plan.lines,
        [
            "~ workspace: base_currency: none → eur",
            "+ group gold (Gold partners)",
            "+ partner zed (zed)",
            "~ partner zed: group: none → gold"
        ]
    );
    assert!(workspace.plan(file).is_empty());
    assert_eq!(workspace.terms.partners["zed"].profile.note.as_deref(), Some("Met at the fair.\nCalls on Mondays."));
    let renamed = workspace.apply("[[group]]\nkey = \"gold\"\n[[partner]]\nkey = \"zed\"\ngroup = \"gold\"");
    assert_eq!(renamed.lines, ["~ group gold: name: Gold partners → gold"]);
    assert!(workspace.terms.partners["zed"].profile.note.is_some(), "a note that the file leaves out stays");
}

#[test]
fn overrides_are_told_rule_by_rule_and_end_when_left_out() {
    let rule = |head: &str, percent: &str| format!("[[{head}.override.rule]]\npercent = \"{percent}\"\n");
    let head = |head: &str| format!("[[{head}.override]]\nprogram = \"saas\"\n");
    let group = "[[group]]\nkey = \"gold\"\n";
    let partner = "[[partner]]\nkey = \"zed\"\nprograms = [\"saas\"]\n";
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let whole =
        [group, &head("group"), &rule("group", "25"), partner, &head("partner"), &rule("partner", "40")].concat();
    let first = workspace.apply(&whole);
    assert_eq!(
        first.lines,
        [
            "+ group gold (gold)",
            "+ group gold: override in program saas",
            "    + rule 1: any: 25 % for a lifetime",
            "+ partner zed (zed)",
            "+ partner zed in program saas",
            "+ partner zed: override in program saas",
            "    + rule 1: any: 40 % for a lifetime",
        ]
    );
    assert!(workspace.plan(&whole).is_empty());
    let other = [group, partner, &head("partner"), &rule("partner", "45")].concat();
    assert_eq!(
        workspace.apply(&other).lines,
        [
            "- group gold: override in program saas",
            "~ partner zed: override in program saas",
            "    - rule 1: any: 40 % for a lifetime",
            "    + rule 1: any: 45 % for a lifetime",
        ]
    );
    assert!(workspace.plan(&other).is_empty());
}

#[test]
fn what_the_file_does_not_name_stays() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    workspace.apply(
        "[[partner]]\nkey = \"zed\"\nprograms = [\"saas\"]\ncodes = [\"ZED\"]\non_hold = true\nstatus = \"inactive\"",
    );
    let again = workspace.plan("[[partner]]\nkey = \"zed\"\nprograms = [\"saas\"]\ncodes = [\"ZED\"]");
    assert!(again.is_empty(), "{:?}", again.lines);
}

#[test]
fn what_a_named_partner_no_longer_lists_ends() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let plan = workspace.apply("[[partner]]\nkey = \"acme\"\nname = \"Acme Media\"\nemail = \"pay@acme.example\"");
    assert_snapshot!(shown(&plan));
    // And begins again when it is listed again.
    assert_snapshot!("and_begins_again", shown(&workspace.apply(SAAS)));
}

#[test]
fn a_code_moves_from_one_partner_to_another() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let plan = workspace.apply("[[partner]]\nkey = \"zed\"\ncodes = [\"acme20\"]");
    assert_eq!(plan.lines, ["+ partner zed (zed)", "~ code acme20: acme → zed"]);
}

#[test]
fn a_new_name_alone_is_no_version() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let renamed = SAAS.replace("SaaS partners", "Partners");
    let plan = workspace.apply(&renamed);
    assert_eq!(plan.lines, ["~ program saas: name: SaaS partners → Partners"]);
    assert!(workspace.plan(&renamed).is_empty());
}

#[test]
fn closed_months_keep_their_terms_unless_repricing_is_asked_for() {
    let dated = |date: &str| SAAS.replace("base =", &format!("effective_from = {date}\nbase ="));
    let mut workspace = Workspace { closed_until: Some(at("2026-09-30T22:00:00Z")), ..Workspace::default() };
    let first = workspace.apply(&dated("2026-01-01"));
    assert_eq!(
        versions(&first),
        [(1, "2025-12-31T23:00:00+00:00".to_owned(), "2025-12-31T23:00:00+00:00".to_owned())],
        "the first version has no earlier terms to keep"
    );
    let second = workspace.apply(&dated("2026-09-01").replace("\"30\"", "\"35\""));
    assert_snapshot!(shown(&second));
    let file = dated("2026-09-01").replace("\"30\"", "\"35\"");
    assert!(workspace.plan(&file).is_empty());
    workspace.reprice_closed = RepriceClosed::Yes;
    let third = workspace.apply(&file);
    assert_eq!(versions(&third), [(3, "2026-08-31T22:00:00+00:00".to_owned(), "2026-08-31T22:00:00+00:00".to_owned())]);
    assert!(workspace.plan(&file).is_empty());
}

#[test]
fn an_earlier_version_that_begins_later_is_overtaken() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    workspace.apply(&SAAS.replace("\"30\"", "\"35\""));
    let plan = workspace.apply(&SAAS.replace("base =", "effective_from = 2026-09-01\nbase ="));
    assert_eq!(plan.lines.last().unwrap(), "    in the place of versions 1, 2, too, which begin later");
}

#[test]
fn a_program_that_does_not_exist_is_shown_where_it_is_named() {
    let mut workspace = Workspace::default();
    workspace.apply(SAAS);
    let file = read("[[partner]]\nkey = \"zed\"\nprograms = [\"saas\", \"sas\"]");
    let error = plan(&file, &workspace.terms, workspace.now(), None, RepriceClosed::No).unwrap_err();
    assert_snapshot!(error);
}

#[test]
fn the_account_is_kept_where_the_file_has_none() {
    let mut workspace = Workspace::default();
    workspace.apply("[workspace]\naccount = \"acct_1\"\ncount_direct_payments = true");
    let plan = workspace.apply("[workspace]\n");
    assert_eq!(plan.lines, ["~ workspace: count_direct_payments: yes → no"]);
    assert_eq!(workspace.terms.current_settings().account.as_deref(), Some("acct_1"));
}

/// A file with some of everything.
fn a_file() -> impl Strategy<Value = String> {
    let partner = |key: &'static str| {
        let codes = prop::sample::subsequence(vec!["\"A\"", "\"b\"", "{ code = \"C\", program = \"saas\" }"], 0..=3);
        let extras = prop::sample::subsequence(
            vec!["group = \"gold\"", "status = \"inactive\"", "on_hold = true", "payout = { method = \"csv\" }"],
            0..=4,
        );
        (codes, extras, any::<bool>()).prop_map(move |(codes, extras, shop)| {
            let programs = if shop { "[\"saas\", \"shop\"]" } else { "[\"saas\"]" };
            let head = format!("[[partner]]\nkey = \"{key}\"\nprograms = {programs}\n");
            format!("{head}codes = [{}]\n{}\n", codes.join(", "), extras.join("\n"))
        })
    };
    let program = |key: &'static str| {
        (0..3_u32, 0..3_u32, prop::option::of(1..28_u32)).prop_map(move |(percent, hold, day)| {
            let from = day.map(|day| format!("effective_from = 2026-09-{day:02}\n")).unwrap_or_default();
            let head = format!("[[program]]\nkey = \"{key}\"\nhold_days = {hold}\n{from}");
            format!("{head}[[program.rule]]\npercent = {percent}\n")
        })
    };
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Tokyo"]);
    let partners = prop_oneof![partner("acme"), partner("zed"), partner("kim")];
    (zone, program("saas"), program("shop"), partners)
        .prop_map(|(zone, saas, shop, partner)| format!("[workspace]\ntime_zone = \"{zone}\"\n{saas}{shop}{partner}"))
}

proptest! {
    #[test]
    fn whatever_came_before_a_file_applied_changes_nothing_the_second_time(
        files in prop::collection::vec((a_file(), any::<bool>()), 1..6),
    ) {
        let mut workspace =
            Workspace { closed_until: Some(at("2026-09-15T00:00:00Z")), ..Workspace::default() };
        for (file, reprice) in files {
            workspace.reprice_closed = if reprice { RepriceClosed::Yes } else { RepriceClosed::No };
            let plan = workspace.apply(&file);
            let mut keys: Vec<&String> = plan.changes.iter().map(|(key, _)| key).collect();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), plan.changes.len());
            prop_assert_eq!(plan.lines.is_empty(), plan.changes.is_empty());
            let again = workspace.plan(&file);
            prop_assert!(again.is_empty(), "{}", again.lines.join("\n"));
        }
    }
}
