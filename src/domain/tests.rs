//! Rules of deciding that take more than one thing to show.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::booking::{Booked, NewEntry, difference};
use super::decision::{Decision, Share, Step};
use super::entry::Component;
use super::facts::{BillingReason as Reason, CustomerFact, EventFacts, Fact, Line, Metadata, RefundStatus, Stamp};
use super::history::fold;
use super::story::{Story, at, percent};
use super::terms::{Change, CodeOwner, Duration, Kind, PriceBy, Profile, ProgramTerms, Status, Touch};

fn saas(rules: Vec<super::terms::Rule>) -> ProgramTerms {
    ProgramTerms { rules, ..ProgramTerms::default() }
}

fn acme() -> Story {
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![percent("20", Duration::Lifetime)])).partner("2020-01-01", "acme");
    story
}

#[test]
fn renewals_inherit_the_first_payments_winner() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    assert_eq!(story.answer("2026-03-01", "in_2"), ("credited", "acme".to_owned(), 200));
}

#[test]
fn thirty_percent_first_then_twenty_for_twelve_months_pays_one_and_eleven() {
    let mut first = percent("30", Duration::OneTime);
    first.on = Some(Kind::First);
    let mut recurring = percent("20", Duration::Months(12));
    recurring.on = Some(Kind::Recurring);
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![first, recurring])).partner("2020-01-01", "acme");
    story.pays("in_00", "2026-01-31", 1000, Reason::SubscriptionCreate).via("acme").done();
    for month in 1..=13_u32 {
        let (year, month_of_year) = (2026 + month / 12, month % 12 + 1);
        let when = format!("{year}-{month_of_year:02}-28");
        story.pays(&format!("in_{month:02}"), &when, 1000, Reason::SubscriptionCycle).done();
    }
    let answers = story.answers("2028-01-01");
    assert_eq!(answers[0].3, 300);
    assert_eq!(answers.iter().filter(|answer| answer.3 == 200).count(), 12);
    // 2027-01-28 is still before 2026-01-31 plus 12 months; the thirteenth renewal is not.
    assert_eq!(story.answer("2028-01-01", "in_13").0, "months_exhausted");
}

#[test]
fn a_refund_takes_back_an_hour_later_and_partial_ones_end_at_zero() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 999, Reason::SubscriptionCreate).via("acme").done();
    story.refund("re_1", "in_1", "2026-01-06", 333, RefundStatus::Succeeded);
    story.refund("re_2", "in_1", "2026-01-07", 333, RefundStatus::Succeeded);
    story.refund("re_3", "in_1", "2026-01-08", 333, RefundStatus::Succeeded);
    assert_eq!(story.answer("2026-01-06T00:59:59Z", "in_1").2, 200);
    assert_eq!(story.answer("2026-01-06T01:00:00Z", "in_1").2, 133);
    assert_eq!(story.answer("2026-01-09", "in_1"), ("refunded", "acme".to_owned(), 0));
    let decisions = story.decide("2026-01-09");
    assert_eq!(decisions.payments[0].steps.iter().map(|step| step.amount).sum::<i64>(), 0);
    assert_eq!(story.decide("2026-01-05").settle_due_at, Some(at("2026-01-06T01:00:00Z")));
}

#[test]
fn a_figure_and_refunds_by_id_count_once() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.refund("re_1", "in_1", "2026-01-06", 400, RefundStatus::Succeeded);
    story.refunded_so_far("in_1", "2026-01-06", 1000, 400);
    assert_eq!(story.answer("2026-02-01", "in_1").2, 120);
    // It fails: the figure stays where it was, and the commission comes back.
    story.refund_fails("re_1", "in_1", "2026-01-06", "2026-01-20", 400);
    assert_eq!(story.answer("2026-02-01", "in_1").2, 200);
    assert_eq!(story.decide("2026-02-01").payments[0].steps.len(), 3);
}

#[test]
fn a_full_refund_gives_the_place_on_and_its_failure_does_not_take_it_back() {
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![percent("20", Duration::OneTime)])).partner("2020-01-01", "acme");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).via("acme").done();
    assert_eq!(story.answer("2026-03-01", "in_2").0, "one_time_already_earned");
    story.refund("re_1", "in_1", "2026-02-20", 1000, RefundStatus::Succeeded);
    assert_eq!(story.answer("2026-03-01", "in_2"), ("credited", "acme".to_owned(), 200));
    story.refund_fails("re_1", "in_1", "2026-02-20", "2026-03-10", 1000);
    assert_eq!(story.answer("2026-04-01", "in_1"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.answer("2026-04-01", "in_2"), ("credited", "acme".to_owned(), 200));
}

#[test]
fn what_is_entered_later_reaches_back_and_takes_nothing() {
    let mut story = acme();
    let owner = |partner: &str| Some(CodeOwner { partner: partner.to_owned(), program: None });
    story.enter("2020-01-01", Change::Code { code: "ACME20".to_owned(), owner: owner("acme"), from: None });
    // Nobody knows "late" yet: the code decides.
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").code("acme20").done();
    story.pays("in_2", "2026-01-05", 1000, Reason::SubscriptionCreate).by("cus_1", "sub_2").via("late").done();
    story.partner("2026-02-01", "late");
    assert_eq!(story.answer("2026-03-01", "in_1"), ("credited", "acme".to_owned(), 200));
    // A customer without a winner: the payment credited nobody, so the partner entered later has it.
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").done();
    assert_eq!(story.answer("2026-01-20", "in_1").0, "partner_unknown");
    story.partner("2026-02-01", "late");
    assert_eq!(story.answer("2026-03-01", "in_1"), ("credited", "late".to_owned(), 200));
}

#[test]
fn a_payment_credited_in_time_keeps_its_place_against_an_earlier_one_credited_late() {
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![percent("20", Duration::OneTime)])).partner("2020-01-01", "acme");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).via("acme").done();
    assert_eq!(story.answer("2026-02-10", "in_2"), ("credited", "acme".to_owned(), 200));
    story.partner("2026-03-01", "late");
    assert_eq!(story.answer("2026-04-01", "in_2"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.answer("2026-04-01", "in_1").0, "one_time_already_earned");
}

#[test]
fn a_customer_key_joins_from_the_moment_both_carry_it() {
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![percent("20", Duration::Lifetime)]));
    story.partner("2020-01-01", "acme").partner("2020-01-01", "zeta");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-01-06", 1000, Reason::SubscriptionCreate).by("cus_2", "sub_2").via("zeta").done();
    story.customer_says("cus_1", "2026-01-10", "customer_key", "k1");
    story.customer_says("cus_2", "2026-02-10", "customer_key", "k1");
    story.pays("in_3", "2026-02-09", 1000, Reason::SubscriptionCycle).by("cus_2", "sub_2").done();
    story.pays("in_4", "2026-03-09", 1000, Reason::SubscriptionCycle).by("cus_2", "sub_2").done();
    assert_eq!(story.answer("2026-04-01", "in_3").1, "zeta");
    assert_eq!(story.answer("2026-04-01", "in_4").1, "acme");
}

#[test]
fn the_customers_version_prices_unless_the_program_says_payment() {
    for (price_by, amount) in [(PriceBy::Customer, 200), (PriceBy::Payment, 500)] {
        let terms = |rate| ProgramTerms { price_by, ..saas(vec![percent(rate, Duration::Lifetime)]) };
        let mut story = Story::default();
        story.program("2020-01-01", 1, terms("20")).partner("2020-01-01", "acme");
        story.program("2026-02-01", 2, terms("50"));
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
        story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
        assert_eq!(story.answer("2026-03-01", "in_2").2, amount, "{price_by:?}");
    }
}

#[test]
fn a_partner_who_left_earns_no_renewals_and_keeps_what_was_earned() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-03-05", 1000, Reason::SubscriptionCycle).done();
    let left = Change::PartnerStatus { partner: "acme".to_owned(), status: Status::Inactive, from: None };
    story.enter("2026-02-01", left);
    assert_eq!(story.answer("2026-04-01", "in_1").0, "credited");
    assert_eq!(story.answer("2026-04-01", "in_2").0, "partner_inactive");
}

#[test]
fn further_steps_are_booked_with_their_own_dates_and_a_changed_past_as_one_correction() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.refund("re_1", "in_1", "2026-01-06", 500, RefundStatus::Succeeded);
    let decision = story.decide("2026-02-10").payments.remove(0);
    let now = at("2026-02-10");
    let all = difference(&[], &decision, now);
    assert_eq!(all.iter().map(|entry| entry.amount).collect::<Vec<_>>(), [200, -100]);
    assert_eq!(all[1].available_at, at("2026-02-04"), "a reversal waits for the accrual that it takes back");
    let booked = |amounts: &[i64]| -> Vec<Booked> {
        (0..)
            .zip(amounts)
            .map(|(revision, &amount)| Booked {
                partner: "acme".to_owned(),
                program: "saas".to_owned(),
                component: Component::Direct,
                revision,
                amount,
                currency: decision.currency,
                available_at: at("2026-02-04"),
            })
            .collect()
    };
    let rest = difference(&booked(&[200]), &decision, now);
    assert_eq!((rest.len(), rest[0].revision, rest[0].amount), (1, 1, -100));
    assert!(difference(&booked(&[200, -100]), &decision, now).is_empty());
    let correction = difference(&booked(&[150]), &decision, now);
    assert_eq!((correction.len(), correction[0].amount, correction[0].available_at), (1, -50, now));
}

#[test]
fn who_won_an_unpriced_payment_keeps_the_customer_until_it_is_taken_back() {
    let mut first = percent("0", Duration::Lifetime);
    first.on = Some(Kind::First);
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![first, percent("20", Duration::Lifetime)]));
    story.partner("2020-01-01", "acme").partner("2020-01-01", "zeta");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    story.pays("in_3", "2026-03-05", 1000, Reason::SubscriptionCycle).via("zeta").done();
    assert_eq!(story.answer("2026-04-01", "in_1"), ("product_excluded", "acme".to_owned(), 0));
    assert_eq!(story.answer("2026-04-01", "in_2"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.answer("2026-04-01", "in_3"), ("credited", "acme".to_owned(), 200));
    story.refund("re_1", "in_1", "2026-01-10", 1000, RefundStatus::Succeeded);
    assert_eq!(story.decide("2026-01-10").settle_due_at, Some(at("2026-01-10T01:00:00Z")));
    assert_eq!(story.answer("2026-05-01", "in_2").0, "no_evidence");
    assert_eq!(story.answer("2026-05-01", "in_3").1, "zeta");
}

#[test]
fn a_refund_in_december_never_reopens_who_earned_october() {
    let mut story = Story::default();
    let rate = |rate| saas(vec![percent(rate, Duration::Lifetime)]);
    story.program("2020-01-01", 1, rate("20")).partner("2020-01-01", "acme").partner("2020-01-01", "zeta");
    story.program("2025-10-01", 2, rate("50"));
    story.pays("in_1", "2025-09-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2025-10-05", 1000, Reason::SubscriptionCycle).done();
    story.pays("in_3", "2025-11-05", 1000, Reason::SubscriptionCycle).via("zeta").done();
    story.refund("re_1", "in_1", "2025-12-10", 1000, RefundStatus::Succeeded);
    story.pays("in_4", "2026-01-05", 1000, Reason::SubscriptionCycle).done();
    assert_eq!(story.answer("2026-02-01", "in_1").0, "refunded");
    for renewal in ["in_2", "in_3", "in_4"] {
        assert_eq!(story.answer("2026-02-01", renewal), ("credited", "acme".to_owned(), 200), "{renewal}");
    }
}

#[test]
fn by_hand_a_credited_payment_goes_to_a_partner_entered_later() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.partner("2026-02-01", "late");
    let (reference, partner) = ("in_1".to_owned(), Some("late".to_owned()));
    story.enter("2026-02-02", Change::Attribution { reference, partner, program: None, from: None });
    assert_eq!(story.answer("2026-03-01", "in_1"), ("credited", "late".to_owned(), 200));
}

#[test]
fn with_credit_by_payment_only_what_the_payment_itself_says_goes_before_the_winner() {
    let terms =
        ProgramTerms { credit: super::terms::CreditBy::Payment, ..saas(vec![percent("20", Duration::Lifetime)]) };
    let mut story = Story::default();
    story.program("2020-01-01", 1, terms).partner("2020-01-01", "acme").partner("2020-01-01", "zeta");
    story.customer_says("cus_1", "2026-01-01", "partner_key", "zeta");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::Manual).done();
    story.pays("in_3", "2026-02-06", 1000, Reason::Manual).via("zeta").done();
    assert_eq!(story.answer("2026-03-01", "in_2").1, "acme");
    assert_eq!(story.answer("2026-03-01", "in_3").1, "zeta");
}

#[test]
fn a_payment_credited_late_does_not_exceed_the_cap_of_its_customer() {
    let mut rule = percent("20", Duration::Lifetime);
    rule.cap_per_customer.insert("usd".parse().unwrap(), 250);
    let mut story = Story::default();
    story.program("2020-01-01", 1, saas(vec![rule])).partner("2020-01-01", "acme");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("late").done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).via("acme").done();
    story.partner("2026-03-01", "late");
    assert_eq!(story.answer("2026-04-01", "in_2"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.answer("2026-04-01", "in_1"), ("credited", "late".to_owned(), 50));
}

#[test]
fn clues_of_programs_that_differ_about_touch_have_one_order() {
    let mut story = Story::default();
    for (program, attribution) in [("one", Touch::First), ("two", Touch::Last)] {
        let terms = ProgramTerms { attribution, ..saas(vec![percent("20", Duration::Lifetime)]) };
        story.enter("2020-01-01", first_version(program, terms));
    }
    for (partner, program) in [("a", "one"), ("b", "one"), ("c", "two")] {
        let profile = Profile { name: partner.to_owned(), ..Profile::default() };
        story.enter("2020-01-01", Change::Partner { partner: partner.to_owned(), profile });
        let (partner, program) = (partner.to_owned(), program.to_owned());
        story.enter("2020-01-01", Change::Enrollment { partner, program, status: Status::Active, from: None });
    }
    story.customer_says("cus_1", "2026-01-01", "partner_key", "a");
    story.customer_says("cus_1", "2026-01-02", "partner_key", "c");
    story.customer_says("cus_1", "2026-01-03", "partner_key", "b");
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    assert_eq!(story.answer("2026-02-01", "in_1").1, "b", "the last touch, unless all programs go by the first");
}

#[test]
fn the_first_invoice_of_a_subscription_is_first_though_a_renewal_was_paid_before() {
    let mut story = acme();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).via("acme").done();
    story.pays("in_1", "2026-03-05", 1000, Reason::SubscriptionCreate).done();
    story.pays("in_3", "2026-03-06", 1000, Reason::SubscriptionCreate).by("cus_1", "sub_2").done();
    let kinds: Vec<Kind> = story.decide("2026-04-01").payments.iter().map(|payment| payment.kind).collect();
    assert_eq!(kinds, [Kind::Recurring, Kind::First, Kind::Recurring]);
}

#[test]
fn only_a_subscription_that_began_with_nothing_to_pay_is_converted() {
    let kind_after = |total: i64| {
        let mut story = acme();
        // Paid by the customer's balance, or nothing to pay at all.
        story.pays("in_1", "2026-01-05", total, Reason::SubscriptionCreate).via("acme").by_balance().done();
        story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
        story.decide("2026-03-01").payments[1].kind
    };
    assert_eq!(kind_after(0), Kind::First);
    assert_eq!(kind_after(1000), Kind::Recurring);
}

#[test]
fn a_voided_invoice_earns_until_it_is_voided() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    story.voids("in_1", "2026-01-09");
    assert_eq!(story.answer("2026-01-08", "in_1"), ("credited", "acme".to_owned(), 200));
    assert_eq!(story.decide("2026-01-08").settle_due_at, Some(at("2026-01-09")));
    assert_eq!(story.answer("2026-01-09", "in_1"), ("voided", "acme".to_owned(), 0));
}

fn first_version(program: &str, terms: ProgramTerms) -> Change {
    let from = at("2020-01-01");
    Change::ProgramVersion {
        program: program.to_owned(),
        name: program.to_owned(),
        version: 1,
        effective_from: from,
        in_force_from: from,
        engine: super::terms::ENGINE,
        terms,
    }
}

/// A decision that credits `amount` to a partner and a tenth of it to somebody else.
fn two_levels(like: &Decision, partner: usize, recruiter: usize, amounts: &[i64]) -> Decision {
    let name = |number: usize| format!("p{number}");
    let steps = |divisor: i64| -> Vec<Step> {
        let mut owed = 0;
        let levels = amounts.iter().map(|amount| amount / divisor).collect::<Vec<_>>();
        let step = |level: i64| {
            let amount = level - owed;
            owed = level;
            let at = like.paid_at;
            (amount != 0).then_some(Step {
                occurred_at: at,
                available_at: at,
                amount,
                event_id: None,
                reason: "payment",
            })
        };
        levels.into_iter().filter_map(step).collect()
    };
    let (direct, second) = (steps(1), steps(10));
    let share = Share {
        partner: name(recruiter),
        program: "saas".to_owned(),
        component: Component::Level2,
        amount: second.iter().map(|step| step.amount).sum(),
        steps: second,
    };
    Decision {
        partner: Some(name(partner)),
        program: Some("saas".to_owned()),
        amount: direct.iter().map(|step| step.amount).sum(),
        steps: direct,
        shares: if recruiter == partner { vec![] } else { vec![share] },
        ..like.clone()
    }
}

proptest! {
    /// Whatever was decided before, the entries of each series add up to what is decided now, and settling again appends
    /// nothing.
    #[test]
    fn both_levels_end_as_decided(
        past in prop::collection::vec((0..3_usize, 0..3_usize, prop::collection::vec(0..500_i64, 1..4)), 1..6),
    ) {
        let mut story = acme();
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
        let like = story.decide("2026-02-01").payments.remove(0);
        let now = at("2026-03-01");
        let mut booked: Vec<Booked> = Vec::new();
        for (partner, recruiter, amounts) in &past {
            let decision = two_levels(&like, *partner, *recruiter, amounts);
            for entry in difference(&booked, &decision, now) {
                let NewEntry { partner, program, component, revision, amount, currency, available_at, .. } = entry;
                let gone_before = booked.iter().filter(|entry| {
                    (&entry.partner, &entry.program, entry.component) == (&partner, &program, component)
                });
                prop_assert_eq!(i64::try_from(gone_before.count()).unwrap(), revision, "revisions have no gaps");
                booked.push(Booked { partner, program, component, revision, amount, currency, available_at });
            }
            let mut sums: BTreeMap<(&str, Component), i64> = BTreeMap::new();
            for entry in &booked {
                *sums.entry((&entry.partner, entry.component)).or_default() += entry.amount;
            }
            sums.retain(|_, sum| *sum != 0);
            let mut decided: BTreeMap<(&str, Component), i64> = BTreeMap::new();
            decided.insert((decision.partner.as_deref().unwrap(), Component::Direct), decision.amount);
            for share in &decision.shares {
                decided.insert((&share.partner, share.component), share.amount);
            }
            decided.retain(|_, sum| *sum != 0);
            prop_assert_eq!(sums, decided);
            prop_assert!(difference(&booked, &decision, now).is_empty());
        }
    }
}

#[test]
fn an_event_that_comes_twice_is_in_the_history_once() {
    let customer = CustomerFact {
        id: "cus_1".to_owned(),
        email: Some("ann@buyer.example".to_owned()),
        created: None,
        is_creation: false,
        metadata: Metadata::new(),
        promotion_codes: Vec::new(),
    };
    let stamp = Stamp { created: at("2026-01-05"), event_id: "evt_1".to_owned() };
    let event = EventFacts { stamp, fetched_at: None, facts: vec![Fact::Customer(customer)] };
    assert_eq!(fold(&[event.clone(), event.clone()]), fold(&[event]));
}

/// Before API 2019-12-03 every line of a subscription's invoice was called as the subscription is.
#[test]
fn lines_that_share_an_id_keep_what_is_theirs() {
    let mut story = acme();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let Fact::Invoice(invoice) = &mut story.events[0].facts[0] else { panic!("no invoice") };
    let line = |price: Option<&str>| Line {
        id: "sub_1".to_owned(),
        amount: 500,
        price: price.map(str::to_owned),
        ..Line::default()
    };
    invoice.lines = vec![line(Some("price_pro")), line(None)];
    let twice = [story.events[0].clone(), story.events[0].clone()];
    let history = fold(&twice);
    assert_eq!(history, fold(&story.events));
    assert_eq!(history.payments[0].lines[1].price, None);
}
