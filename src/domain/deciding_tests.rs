//! What is known when, which payments are conversions, and who keeps whom.

use super::facts::{BillingReason as Reason, RefundStatus};
use super::story::{Story, at, percent};
use super::terms::{Change, CodeOwner, CreditBy, Duration, Kind, ProgramTerms};

fn saas(change: impl FnOnce(&mut ProgramTerms)) -> Story {
    let mut terms = ProgramTerms { rules: vec![percent("20", Duration::Lifetime)], ..ProgramTerms::default() };
    change(&mut terms);
    let mut story = Story::default();
    story.program("2020-01-01", 1, terms).partner("2020-01-01", "acme").partner("2020-01-01", "zeta");
    story
}

#[test]
fn what_is_entered_after_the_moment_asked_about_is_not_known() {
    let mut story = saas(|_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").done();
    story.partner("2026-02-01", "late");
    assert_eq!(story.answer("2026-01-31T23:59:59Z", "in_1"), ("no_evidence", String::new(), 0));
    assert_eq!(story.answer("2026-02-01", "in_1"), ("credited", "late".to_owned(), 200));
}

#[test]
fn each_later_entry_reaches_back_in_its_turn() {
    let mut story = saas(|_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("last").done();
    story.pays("in_2", "2026-01-06", 1000, Reason::SubscriptionCycle).via("late").done();
    story.partner("2026-02-01", "late");
    story.partner("2026-03-01", "last");
    assert_eq!(story.answer("2026-04-01", "in_1"), ("credited", "last".to_owned(), 200));
    assert_eq!(story.answer("2026-04-01", "in_2"), ("credited", "late".to_owned(), 200), "it was credited before");
}

#[test]
fn a_payment_made_the_moment_somebody_is_entered_goes_by_that() {
    for (paid_at, partner) in [("2026-02-05T00:00:00Z", "late"), ("2026-02-04T23:59:59Z", "acme")] {
        let mut story = saas(|_| {});
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").done();
        story.pays("in_2", paid_at, 1000, Reason::SubscriptionCycle).via("acme").done();
        story.partner("2026-02-05", "late");
        assert_eq!(story.answer("2026-03-01", "in_1").1, "late");
        assert_eq!(story.answer("2026-03-01", "in_2").1, partner, "paid at {paid_at}");
    }
}

#[test]
fn a_refund_of_no_known_payment_is_named() {
    let mut story = saas(|_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.refund("re_1", "in_1", "2026-01-06", 500, RefundStatus::Succeeded);
    story.refund("re_2", "in_9", "2026-01-06", 500, RefundStatus::Succeeded);
    assert_eq!(story.decide("2026-02-01").unmatched, ["re_2"]);
}

#[test]
fn only_a_one_off_payment_may_leave_the_winner_and_only_where_the_program_says_so() {
    for (credit, reason, partner) in [
        (CreditBy::Payment, Reason::Manual, "zeta"),
        (CreditBy::Payment, Reason::SubscriptionCycle, "acme"),
        (CreditBy::Customer, Reason::Manual, "acme"),
        (CreditBy::Customer, Reason::SubscriptionCycle, "acme"),
    ] {
        let mut story = saas(|terms| terms.credit = credit);
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
        story.pays("in_2", "2026-02-05", 1000, reason).via("zeta").done();
        assert_eq!(story.answer("2026-03-01", "in_2").1, partner, "{credit:?} {reason:?}");
    }
}

#[test]
fn nothing_is_asked_about_whom_a_payment_names_where_its_customer_is_won() {
    let mut story = saas(|_| {});
    let owner = Some(CodeOwner { partner: "zeta".to_owned(), program: None });
    story.enter("2020-01-01", Change::Code { code: "ZETA20".to_owned(), owner, from: None });
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).code("promo_1").done();
    assert_eq!(story.answer("2026-03-01", "in_2"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.decide("2026-03-01").missing, [].into());
}

#[test]
fn a_conversion_is_the_first_renewal_of_the_subscription_that_began_free() {
    for (subscription, reason, kind) in [
        ("sub_1", Reason::SubscriptionCycle, Kind::First),
        ("sub_1", Reason::SubscriptionUpdate, Kind::Change),
        ("sub_2", Reason::SubscriptionCycle, Kind::Recurring),
    ] {
        let mut story = saas(|_| {});
        story.pays("in_1", "2026-01-05", 0, Reason::SubscriptionCreate).via("acme").done();
        story.pays("in_2", "2026-02-05", 1000, reason).by("cus_1", subscription).done();
        let decision = story.decide("2026-03-01").payments.remove(1);
        assert_eq!((decision.kind, decision.paid_at), (kind, at("2026-02-05")), "{reason:?} of {subscription}");
    }
}
