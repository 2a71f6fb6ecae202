//! Whose clue counts: boundaries of time, which reason is told, and which program is meant.

use std::collections::BTreeSet;

use super::attribution::{Context, candidates};
use super::decision::{Click, Decision};
use super::facts::{BillingReason as Reason, Fact};
use super::history::fold;
use super::lead::{Lead, LeadBy, LeadTo};
use super::missing::Missing;
use super::story::{Story, at, percent};
use super::terms::{Change, CodeOwner, Duration, ENGINE, Profile, ProgramTerms, Status, Terms};
use super::trace::Trace;

fn saas() -> ProgramTerms {
    ProgramTerms { rules: vec![percent("20", Duration::Lifetime)], ..ProgramTerms::default() }
}

fn acme() -> Story {
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas()).partner("2020-01-01", "acme");
    story
}

/// What becomes of one payment, paid on 2026-01-05.
fn decision(story: &mut Story) -> Decision {
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    story.decide("2026-02-01").payments.remove(0)
}

fn lead(partner: &str, from: Option<&str>) -> Lead {
    let to = LeadTo::Partner { partner: partner.to_owned(), program: None };
    Lead { to, from: from.map(at), entered_at: at("2025-01-01") }
}

fn deactivate(story: &mut Story, partner: &str) {
    let (partner, status) = (partner.to_owned(), Status::Inactive);
    story.enter("2025-01-01", Change::PartnerStatus { partner, status, from: None });
}

#[test]
fn the_strongest_skipped_clue_says_why_nobody_is_credited() {
    let mut story = acme();
    let invoice = story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate);
    invoice.with("click_id", "clk_lost").via("ghost").done();
    assert_eq!(story.answer("2026-02-01", "in_1").0, "partner_unknown");
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).with("click_id", "clk_lost").done();
    assert_eq!(story.answer("2026-02-01", "in_1").0, "click_unknown");
}

#[test]
fn of_leads_by_one_key_the_first_entered_says_why_nobody_is_credited() {
    let mut story = acme();
    deactivate(&mut story, "acme");
    for (leads, code) in [(["ghost", "acme"], "partner_unknown"), (["acme", "ghost"], "partner_inactive")] {
        let mut story = story.clone();
        let leads = leads.map(|partner| lead(partner, None)).to_vec();
        story.lookups.leads.insert((LeadBy::CustomerKey, "k1".to_owned()), leads);
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).with("customer_key", "k1").done();
        assert_eq!(story.answer("2026-02-01", "in_1").0, code);
    }
}

#[test]
fn a_lead_counts_from_its_very_moment() {
    for (from, code) in [("2026-01-05", "credited"), ("2026-01-05T00:00:01Z", "no_evidence")] {
        let mut story = acme();
        story.lookups.leads.insert((LeadBy::CustomerKey, "k1".to_owned()), vec![lead("acme", Some(from))]);
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).with("customer_key", "k1").done();
        assert_eq!(story.answer("2026-02-01", "in_1").0, code, "{from}");
    }
}

#[test]
fn a_click_counts_from_its_moment_to_the_last_second_of_the_window() {
    for (clicked, code) in [
        ("2026-01-05T00:00:01Z", "outside_window"),
        ("2026-01-05", "credited"),
        ("2025-11-06", "credited"),
        ("2025-11-05T23:59:59Z", "outside_window"),
    ] {
        let mut story = acme();
        let (partner, entered_at) = ("acme".to_owned(), at("2025-01-01"));
        let click = Click { partner, program: None, link: None, clicked_at: at(clicked), entered_at };
        story.lookups.clicks.insert("clk_1".to_owned(), click);
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).with("click_id", "clk_1").done();
        assert_eq!(
            story.answer("2026-02-01", "in_1"),
            (code, "acme".to_owned(), if code == "credited" { 200 } else { 0 })
        );
    }
}

#[test]
fn only_the_ids_of_promotion_codes_are_asked_about() {
    let mut story = acme();
    let owner = Some(CodeOwner { partner: "acme".to_owned(), program: None });
    story.enter("2020-01-01", Change::Code { code: "ACME20".to_owned(), owner, from: None });
    for (code, missing) in [("SUMMER", None), ("promo_9", Some(Missing::PromotionCode("promo_9".to_owned())))] {
        let mut story = story.clone();
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).code(code).done();
        let decisions = story.decide("2026-02-01");
        assert_eq!(decisions.payments[0].code.as_str(), "no_evidence");
        assert_eq!(decisions.missing, missing.into_iter().collect::<BTreeSet<_>>(), "{code}");
    }
}

#[test]
fn an_archived_program_is_named_with_whom_it_would_have_credited() {
    let mut story = acme();
    let (program, status) = ("saas".to_owned(), Status::Inactive);
    story.enter("2026-01-01", Change::ProgramStatus { program, status, from: None });
    story.customer_says("cus_1", "2026-01-01", "partner_key", "acme");
    let Decision { code, partner, program, .. } = decision(&mut story);
    assert_eq!(code.as_str(), "program_inactive");
    assert_eq!((partner.as_deref(), program.as_deref()), (Some("acme"), Some("saas")));
}

#[test]
fn the_program_that_was_named_first_is_meant_unless_something_nearer_names_one() {
    let mut story = acme();
    let from = at("2020-01-01");
    let (partner, program) = ("acme".to_owned(), "shop".to_owned());
    let shop = Change::ProgramVersion {
        program: program.clone(),
        name: "Shop".to_owned(),
        version: 1,
        effective_from: from,
        in_force_from: from,
        engine: ENGINE,
        terms: saas(),
    };
    story.enter("2020-01-01", shop);
    story.enter("2020-01-01", Change::Enrollment { partner, program, status: Status::Active, from: None });
    story.customer_says("cus_1", "2026-01-01", "partner_key", "acme");
    story.customer_says("cus_1", "2026-01-02", "program_key", "shop");
    story.customer_says("cus_1", "2026-01-03", "program_key", "saas");
    let mut nearer = story.clone();
    assert_eq!(decision(&mut story).program.as_deref(), Some("shop"));
    nearer.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).with("program_key", "saas").done();
    assert_eq!(nearer.decide("2026-02-01").payments[0].program.as_deref(), Some("saas"));
}

#[test]
fn a_buyer_is_compared_by_the_address_they_had_when_they_paid() {
    let mut story = acme();
    let email = |email: &str| Some(email.to_owned());
    let profile = Profile { name: "Acme".to_owned(), email: email("pay@acme.example"), ..Profile::default() };
    story.enter("2020-01-01", Change::Partner { partner: "acme".to_owned(), profile });
    for (when, address) in [("2026-01-01", "pay@acme.example"), ("2026-01-10", "ann@buyer.example")] {
        story.customer_says("cus_1", when, "note", "moved");
        let Some(Fact::Customer(customer)) = story.events.last_mut().and_then(|event| event.facts.last_mut()) else {
            panic!("no customer")
        };
        customer.email = email(address);
    }
    for (paid, code) in [
        // Before any was known, the first is taken for it.
        ("2025-12-05", "self_referral"),
        ("2026-01-05", "self_referral"),
        ("2026-01-10", "credited"),
        ("2026-01-20", "credited"),
    ] {
        let mut story = story.clone();
        story.pays("in_1", paid, 1000, Reason::SubscriptionCreate).via("acme").done();
        assert_eq!(story.answer("2026-02-01", "in_1").0, code, "{paid}");
    }
}

#[test]
fn by_hand_a_payment_itself_says_whose_it_is_and_its_customer_does_not() {
    for (reference, own) in [("in_1", true), ("cus_1", false)] {
        let mut story = acme();
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
        let (reference, partner) = (reference.to_owned(), Some("acme".to_owned()));
        story.enter("2026-01-01", Change::Attribution { reference, partner, program: None, from: None });
        let (history, terms) = (fold(&story.events), Terms::from_log(story.log.clone()));
        let context = Context { history: &history, terms: &terms, lookups: &story.lookups };
        let found = candidates(context, &history.payments[0], &["cus_1"], &[], &mut Trace::off());
        let found: Vec<_> = found.list.iter().map(|candidate| (candidate.is_by_hand(), candidate.own)).collect();
        assert_eq!(found, [(true, own)]);
    }
}
