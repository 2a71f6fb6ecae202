//! Reading files, and what is said of bad ones.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{SAAS, Workspace, read};
use crate::domain::Time;
use crate::domain::terms::{
    Duration, Earn, EvidenceKind, Kind, MetadataField, Method, SecondLevelOf, Status, Terms, TierSteps, Tiers,
};
use crate::program::{RepriceClosed, parse, plan};

fn fault(text: &str) -> String {
    parse(text, "terms.toml").unwrap_err().to_string()
}

/// The faults of one rule's lines.
fn rule_fault(lines: &str) -> String {
    fault(&format!("[[program]]\nkey = \"saas\"\n[[program.rule]]\n{lines}\n"))
}

fn messages(text: &str) -> String {
    let error = parse(text, "terms.toml").unwrap_err();
    let lines: Vec<String> = error
        .problems
        .iter()
        .map(|problem| format!("{}:{} {}: {}", problem.line, problem.column, problem.path, problem.message))
        .collect();
    lines.join("\n")
}

#[test]
fn the_documented_file_reads() {
    let file = read(SAAS);
    let settings = &file.workspace.as_ref().unwrap().settings;
    assert_eq!(settings.time_zone, chrono_tz::Europe::Berlin);
    assert_eq!(settings.minimum_payout[&"usd".parse().unwrap()], 5000);
    let program = &file.programs[0];
    assert_eq!((program.key.as_str(), program.name.as_str()), ("saas", "SaaS partners"));
    assert_eq!(program.terms.rules[0].on, Some(Kind::First));
    assert_eq!(program.terms.rules[0].earn, Earn::Percent("30".parse().unwrap()));
    assert_eq!(program.terms.rules[0].duration, Duration::OneTime);
    assert_eq!(program.terms.rules[1].product_key, ["pro"]);
    assert_eq!(program.terms.rules[1].duration, Duration::Months(12));
    let partner = &file.partners[0];
    assert_eq!(partner.payout.as_ref().unwrap().method, Method::Stripe);
    assert_eq!(partner.codes[0].code, "ACME20");
    assert_eq!(partner.programs[0].name, "saas");
}

#[test]
fn every_setting_can_be_written() {
    let file = read(
        r#"
        [workspace]
        count_direct_payments = true
        count_out_of_band = false
        metadata_aliases = { Ref = "partner_key" }
        evidence_order = ["promotion_code", "click_id"]
        account = "acct_1"
        [[program]]
        key = "all"
        status = "inactive"
        hold_days = 0
        reversal_delay = "2d"
        attribution = "first"
        base = "gross"
        credit = "payment"
        price_by = "payment"
        trial_conversion = "recurring"
        effective_from = 2026-10-01
          [[program.rule]]
          key = "intro"
          on = "any"
          product = "prod_1"
          price = ["price_1", "price_2"]
          interval = ["month", "year"]
          group = "gold"
          partner = "acme"
          percent = 12.10
          duration = "1 month"
          cap_per_payment = { usd = "100" }
          cap_per_customer = { jpy = "1000" }
          [[program.rule]]
          flat = { usd = "25.00", KWD = "7.500" }
        [[partner]]
        key = "acme"
        legal_name = "Acme Media Ltd"
        country = "gb"
        tax_id = "1"
        vat_id = "GB1"
        status = "active"
        group = "gold"
        on_hold = true
        programs = "all"
        codes = [{ code = "ACME20", program = "all" }, "promo_1Abc"]
        minimum_payout = { usd = "10.00" }
        payout = { method = "csv" }
        "#,
    );
    let settings = &file.workspace.as_ref().unwrap().settings;
    assert_eq!(settings.metadata_aliases["ref"], MetadataField::PartnerKey);
    assert_eq!(
        settings.evidence_order[..3],
        [EvidenceKind::PromotionCode, EvidenceKind::ClickId, EvidenceKind::Manual]
    );
    assert_eq!(settings.evidence_order.len(), 6);
    let program = &file.programs[0];
    assert_eq!(program.status, Some(Status::Inactive));
    assert_eq!(program.name, "all");
    assert_eq!(program.terms.reversal_delay, 172_800);
    assert_eq!(program.terms.rules[0].on, None);
    assert_eq!(program.terms.rules[0].earn, Earn::Percent("12.1".parse().unwrap()));
    assert_eq!(program.terms.rules[1].duration, Duration::Lifetime);
    let Earn::Flat(flat) = &program.terms.rules[1].earn else { panic!("a flat rule") };
    assert_eq!(flat[&"kwd".parse().unwrap()], 7500);
    let partner = &file.partners[0];
    assert_eq!(partner.profile.country.as_deref(), Some("GB"));
    assert_eq!(partner.on_hold, Some(true));
    assert_eq!(partner.codes[0].program.as_ref().unwrap().name, "all");
}

#[test]
fn syntax_is_shown_where_it_breaks() {
    assert_snapshot!(fault("[[program]]\nkey = saas\nname = \"SaaS"));
}

#[test]
fn an_unknown_key_gets_the_allowed_ones() {
    assert_snapshot!(rule_fault("on = \"first\"\nprecent = \"30\""));
}

#[test]
fn a_wrong_head_is_explained() {
    assert_snapshot!(fault("[program]\nkey = \"saas\"\n[[partners]]\nkey = \"acme\""));
}

#[test]
fn a_wrong_word_gets_the_right_ones() {
    assert_snapshot!(rule_fault("on = \"renewal\"\npercent = 20\nduration = \"2 years\"\ninterval = \"monthly\""));
}

#[test]
fn carets_stand_below_what_they_mean() {
    assert_snapshot!(rule_fault("\tpercent = \"130\" # äöü\n\tgroup = [\"ä\", 5]"));
}

#[test]
fn every_fault_is_found_at_once() {
    assert_snapshot!(messages(
        r#"
[workspace]
time_zone = "Europe/Berln"
minimum_payout = { usd = "-1", uds = "5", jpy = "0.5", eur = 50 }
evidence_order = ["email", "email"]
account = "1234"

[[program]]
key = "saas"
hold_days = 3651
reversal_delay = "1 hour"
effective_from = "October"

[[program]]
key = "saas"
  [[program.rule]]
  key = "a"
  percent = "30"
  flat = { usd = "5.00" }
  [[program.rule]]
  key = "a"
  [[program.rule]]
  key = "b"
  percent = "100.0001"
  duration = "0 months"
  [[program.rule]]
  key = "b"
  percent = "1/3"
  product = []
  [[program.rule]]
  flat = {}
  [[program.rule]]
  percent = 0.1234567

[[partner]]
key = "test"
[[partner]]
key = "ac me"
[[partner]]
name = "nobody"
[[partner]]
key = "acme"
email = "acme"
country = "Germany"
programs = ["saas", "saas"]
codes = ["ACME20", "acme20", { code = "OTHER", program = "shop" }]
payout = { method = "stripe", account = "1234" }
[[partner]]
key = "acme"
codes = ["Acme20"]
payout = { method = "paypal" }
[[partner]]
key = "zed"
codes = ["OTHER"]
email = ""
on_hold = "yes"
"#
    ));
}

#[test]
fn an_empty_file_says_nothing_and_is_no_fault() {
    let file = read("");
    assert!(file.workspace.is_none() && file.programs.is_empty() && file.partners.is_empty());
}

#[test]
fn many_faults_are_counted() {
    let text = "[[partner]]\nkey = 1\n".repeat(30);
    assert!(fault(&text).ends_with("… and 10 more"));
}

/// A line that is likely to go wrong in an interesting way.
fn a_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "workspace",
        "program",
        "partner",
        "rule",
        "key",
        "on",
        "percent",
        "flat",
        "duration",
        "codes",
        "payout",
        "effective_from",
        "hold_days",
    ]);
    let value = "\"[^\"]{0,12}\"|-?[0-9]{1,25}(\\.[0-9]{1,30})?|\\[\"a\", 1\\]|\\{ usd = \"1\" \\}|true";
    prop_oneof![
        Just(SAAS.to_owned()),
        "\\[\\[?(workspace|program|program.rule|partner)\\]\\]?",
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        ".{0,40}",
    ]
}

proptest! {
    #[test]
    fn no_text_is_too_strange(lines in prop::collection::vec(a_line(), 0..12)) {
        if let Err(error) = parse(&lines.join("\n"), "terms.toml") {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_damage_is_too_strange(cut in 0..SAAS.len(), length in 0_usize..40, with in "\\PC{0,6}") {
        let mut text = SAAS.to_owned();
        text.replace_range(cut..(cut + length).min(SAAS.len()), &with);
        let _ = parse(&text, "terms.toml").map_err(|error| error.to_string());
    }
}

#[test]
fn overrides_that_cannot_count_are_faults() {
    for (text, fault) in [
        (
            "[[partner]]\nkey = \"a\"\nprograms = [\"saas\"]\n[[partner.override]]\nprogram = \"saas\"",
            "partner[0].override[0]: has no rule: expected at least one [[partner.override.rule]]",
        ),
        (
            "[[partner]]\nkey = \"a\"\n[[partner.override]]\nprogram = \"saas\"\n[[partner.override.rule]]\npercent = 1",
            "partner[0].override[0].program: the override can never count: partner \"a\" is not in program \"saas\"",
        ),
        (
            "[[group]]\nkey = \"g\"\n[[group.override]]\n[[group.override.rule]]\npercent = 1",
            "group[0].override[0]: lacks the key `program`: expected the key of the program whose rules it comes before",
        ),
    ] {
        let error = parse(text, "terms.toml").unwrap_err();
        let told: Vec<String> =
            error.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        assert_eq!(told, [fault]);
    }
}

#[test]
fn tiers_begin_at_nothing_and_ascend() {
    let file = |tiers: &str| format!("[[program]]\nkey = \"saas\"\n[[program.rule]]\ntiers = {tiers}\n");
    let file_of = read(&file(
        "{ by = \"volume\", months = 3, steps = [{ from = { usd = \"0\" }, percent = 20 }, \
         { from = { usd = \"1000.00\" }, percent = \"25\" }] }",
    ));
    let Earn::Tiers(tiers) = &file_of.programs[0].terms.rules[0].earn else { panic!("tiers") };
    let TierSteps::Volume(steps) = &tiers.steps else { panic!("by volume") };
    assert_eq!((tiers.months, steps.len(), steps[1].from.values().copied().collect::<Vec<_>>()), (3, 2, vec![100_000]));
    let json = serde_json::to_string(tiers).unwrap();
    assert_eq!(serde_json::from_str::<Tiers>(&json).unwrap(), *tiers, "{json}");
    for (tiers, fault) in [
        ("{ by = \"customers\", steps = [{ from = 1, percent = 20 }] }", "is where the first step begins: expected 0"),
        (
            "{ by = \"customers\", steps = [{ from = 0, percent = 20 }, { from = 0, percent = 30 }] }",
            "does not come after the step before it, from 0",
        ),
        ("{ by = \"sales\", steps = [] }", "\"sales\" is unknown: expected customers, volume"),
        (
            "{ by = \"volume\", steps = [{ from = { usd = \"5.00\" }, percent = 20 }] }",
            "is where the first step begins: expected \"0\" in each currency",
        ),
        (
            "{ by = \"volume\", steps = [{ from = { usd = \"0\" }, percent = 20 }, \
             { from = { eur = \"5.00\" }, percent = 30 }] }",
            "names other currencies than the step before it",
        ),
        (
            "{ by = \"volume\", steps = [{ from = { usd = \"0\" }, percent = 20 }, \
             { from = { usd = \"0\" }, percent = 30 }] }",
            "does not come after the step before it in each currency",
        ),
        ("{ by = \"customers\", months = 0, steps = [{ from = 0, percent = 20 }] }", "0 is out of range"),
    ] {
        let problems = parse(&file(tiers), "terms.toml").unwrap_err().problems;
        assert!(problems.iter().any(|problem| problem.message.starts_with(fault)), "{tiers}: {problems:?}");
    }
    assert!(rule_fault("percent = 5\ntiers = 5").contains("stands beside `percent`"));
}

#[test]
fn recruiters_are_partners_and_go_round_in_no_circle() {
    let partner = |key: &str, by: &str| format!("[[partner]]\nkey = \"{key}\"\nrecruited_by = \"{by}\"\n");
    let told = |text: &str, current: &Terms| {
        let planned = plan(&read(text), current, Time::UNIX_EPOCH, None, RepriceClosed::No);
        planned.unwrap_err().problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let nobody = Terms::default();
    assert_eq!(told(&partner("a", "a"), &nobody), ["partner \"a\" cannot have recruited themselves"]);
    assert_eq!(
        told(&partner("acme", "acmes"), &nobody),
        ["there is no partner \"acmes\" (did you mean \"acme\"?): known are acme"]
    );
    let circle = [partner("a", "b"), partner("b", "c"), partner("c", "a")].concat();
    assert_eq!(
        told(&circle, &nobody).first().map(String::as_str),
        Some("goes round in a circle: a was recruited by b was recruited by c was recruited by a")
    );
    // What is known already counts too, and a file that breaks the circle is no fault.
    let mut workspace = Workspace::default();
    workspace.apply(&[partner("a", "b"), "[[partner]]\nkey = \"b\"\n".to_owned()].concat());
    assert_eq!(
        told(&partner("b", "a"), &workspace.terms),
        ["goes round in a circle: b was recruited by a was recruited by b"]
    );
    let turned = workspace.apply(&[partner("b", "a"), "[[partner]]\nkey = \"a\"\n".to_owned()].concat());
    assert_eq!(turned.lines, ["~ partner b: recruited by: nobody → a", "~ partner a: recruited by: b → nobody"]);
}

#[test]
fn a_second_level_is_a_percentage_of_something() {
    let file = |level: &str| {
        format!("[[program]]\nkey = \"saas\"\nsecond_level = {level}\n[[program.rule]]\npercent = \"20\"\n")
    };
    let read_level = |level: &str| read(&file(level)).programs[0].terms.second_level.clone().unwrap();
    let whole = read_level("{ percent = \"10\", of = \"base\", duration = \"12 months\" }");
    assert_eq!((whole.of, whole.months), (SecondLevelOf::Base, Some(12)));
    let least = read_level("{ percent = 10 }");
    assert_eq!((least.of, least.months), (SecondLevelOf::Commission, None));
    for (level, fault) in [
        ("{ of = \"base\" }", "lacks the key `percent`: expected a percentage such as \"10\""),
        ("{ percent = 10, of = \"all\" }", "\"all\" is unknown: expected commission, base"),
        ("{ percent = 10, duration = \"one_time\" }", "counts payments: expected \"12 months\" or \"lifetime\""),
    ] {
        let problems = parse(&file(level), "terms.toml").unwrap_err().problems;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].message, fault);
    }
}
