//! How objects become payments: what belongs together, and what an event does not show.

use super::facts::{
    BillingReason as Reason, ChargeFact, CheckoutFact, CheckoutMode, CheckoutStatus, CreditNoteFact, DisputeFact,
    DisputeMoney, EventFacts, Fact, IntentFact, InvoiceFact, InvoiceStatus, Line, Link, Metadata, Stamp,
};
use super::history::{History, Payment, Place, Said, Source, What, fold};
use super::story::{Story, at};

/// A session of 900 after discounts, 1000 before.
fn session(id: &str, mode: CheckoutMode, status: CheckoutStatus) -> CheckoutFact {
    CheckoutFact {
        id: id.to_owned(),
        mode,
        status,
        customer: Some("cus_1".to_owned()),
        email: None,
        invoice: None,
        intent: None,
        subscription: None,
        currency: Some("usd".parse().unwrap()),
        total: 900,
        subtotal: 1000,
        tax: 0,
        created: Some(at("2026-01-04")),
        client_reference: None,
        metadata: Metadata::new(),
        promotion_codes: vec![],
        lines: vec![],
    }
}

fn tell(story: &mut Story, when: &str, fact: Fact) {
    let stamp = Stamp { created: at(when), event_id: format!("evt_{:03}", story.events.len()) };
    story.events.push(EventFacts { stamp, fetched_at: None, facts: vec![fact] });
}

/// The invoice that was told last.
fn last(story: &mut Story) -> &mut InvoiceFact {
    match story.events.last_mut().and_then(|event| event.facts.last_mut()) {
        Some(Fact::Invoice(invoice)) => invoice,
        _ => panic!("no invoice"),
    }
}

fn payment<'a>(history: &'a History, reference: &str) -> &'a Payment {
    history.payments.iter().find(|payment| payment.reference == reference).unwrap()
}

fn lines(payment: &Payment) -> Vec<(&str, i64)> {
    payment.lines.iter().map(|line| (line.id.as_str(), line.amount)).collect()
}

#[test]
fn two_invoices_that_name_one_charge_stay_two_payments() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    last(&mut story).charges.push("ch_in_1".to_owned());
    let history = fold(&story.events);
    assert_eq!(payment(&history, "in_1").references, ["ch_in_1", "in_1"]);
    assert_eq!(payment(&history, "in_2").references, ["ch_in_2", "in_2"]);
}

#[test]
fn a_session_that_started_a_subscription_belongs_to_its_first_paid_invoice() {
    let mut story = Story::default();
    story.pays("in_other", "2026-01-01", 1000, Reason::SubscriptionCreate).by("cus_1", "sub_2").done();
    story.pays("in_a_unpaid", "2026-01-04", 1000, Reason::SubscriptionCreate).done();
    let unpaid = last(&mut story);
    (unpaid.status, unpaid.paid_at) = (InvoiceStatus::Open, None);
    story.pays("in_b_second", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    story.pays("in_c_first", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let session = CheckoutFact {
        subscription: Some("sub_1".to_owned()),
        ..session("cs_1", CheckoutMode::Subscription, CheckoutStatus::Paid)
    };
    tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
    let history = fold(&story.events);
    let of_session = history.payments.iter().filter(|payment| payment.references.contains(&"cs_1".to_owned()));
    assert_eq!(of_session.map(|payment| payment.reference.as_str()).collect::<Vec<_>>(), ["in_c_first"]);
}

/// Whoever pays later by another way has not come by what an abandoned session names.
#[test]
fn only_a_completed_session_in_subscription_mode_starts_a_subscription() {
    use CheckoutMode::{Payment, Subscription};
    use CheckoutStatus::{Completed, Open, Paid};
    for (mode, status, starts) in [
        (Subscription, Open, false),
        (Subscription, Completed, true),
        (Subscription, Paid, true),
        (Payment, Completed, false),
        (Payment, Open, false),
    ] {
        let session = CheckoutFact {
            subscription: Some("sub_1".to_owned()),
            metadata: [("partner_key".to_owned(), "acme".to_owned())].into(),
            ..session("cs_1", mode, status)
        };
        let mut story = Story::default();
        tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
        let subscriptions = fold(&story.events).subscriptions;
        let said = Said {
            place: Place::Session,
            object: "cs_1".to_owned(),
            what: What::Metadata("partner_key".to_owned(), "acme".to_owned()),
            at: at("2026-01-04"),
        };
        let started_by = subscriptions.get("sub_1").map(|subscription| subscription.started_by.clone());
        assert_eq!(started_by, starts.then(|| vec![said]), "{mode:?} {status:?}");
    }
}

#[test]
fn lines_that_no_event_shows_stand_as_one_with_what_they_add_up_to() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let invoice = last(&mut story);
    invoice.lines = vec![Line { id: "il_1".to_owned(), amount: 400, ..Line::default() }];
    invoice.unseen_lines = 600;
    story.pays("in_2", "2026-02-05", 700, Reason::SubscriptionCycle).done();
    last(&mut story).lines.clear();
    story.pays("in_3", "2026-03-05", 800, Reason::SubscriptionCycle).done();
    let history = fold(&story.events);
    assert_eq!(lines(payment(&history, "in_1")), [("il_1", 400), ("unseen", 600)]);
    assert!(payment(&history, "in_1").has_unseen_lines);
    assert_eq!(lines(payment(&history, "in_2")), [("unseen", 700)]);
    assert_eq!(lines(payment(&history, "in_3")), [("il_in_3", 800)]);
    assert!(!payment(&history, "in_3").has_unseen_lines);
}

#[test]
fn a_checkout_without_lines_sells_one_thing_for_its_price_before_discounts() {
    let mut story = Story::default();
    let session = session("cs_1", CheckoutMode::Payment, CheckoutStatus::Paid);
    tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
    let history = fold(&story.events);
    assert_eq!(lines(payment(&history, "cs_1")), [("cs_1", 1000)]);
    assert_eq!((history.payments[0].total, history.payments[0].has_unseen_lines), (900, true));
}

#[test]
fn discounts_are_hidden_until_some_event_shows_them() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    last(&mut story).hidden_discounts = true;
    assert!(fold(&story.events).payments[0].has_hidden_discounts);
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    assert!(!fold(&story.events).payments[0].has_hidden_discounts);
    assert!(!fold(&story.events[1..]).payments[0].has_hidden_discounts);
}

fn charge(captured: i64, refunded: i64, invoice: Link) -> Fact {
    Fact::Charge(ChargeFact {
        id: "ch_1".to_owned(),
        intent: Some("pi_1".to_owned()),
        customer: None,
        email: None,
        invoice,
        currency: "usd".parse().unwrap(),
        captured,
        refunded,
        booked: None,
        created: None,
        metadata: Metadata::new(),
    })
}

fn intent(received: i64) -> Fact {
    Fact::Intent(IntentFact {
        id: "pi_1".to_owned(),
        customer: None,
        email: None,
        invoice: Link::Unsaid,
        currency: "usd".parse().unwrap(),
        received,
        charges: vec![],
        created: None,
        metadata: Metadata::new(),
    })
}

fn told(facts: Vec<Fact>) -> Story {
    let mut story = Story::default();
    for (fact, day) in facts.into_iter().zip(1..) {
        tell(&mut story, &format!("2026-03-{day:02}"), fact);
    }
    story
}

#[test]
fn only_what_is_taken_back_of_makes_anybody_ask_whose_it_is() {
    let unlinked = |facts| fold(&told(facts).events).unlinked;
    let dispute = Fact::Dispute(DisputeFact {
        id: "dp_1".to_owned(),
        charge: Some("ch_1".to_owned()),
        intent: None,
        currency: "usd".parse().unwrap(),
        amount: 1000,
        money: DisputeMoney::Taken,
        taken_at: None,
        returned_at: None,
    });
    assert_eq!(unlinked(vec![charge(1000, 0, Link::Unsaid)]), [""; 0]);
    assert_eq!(unlinked(vec![charge(1000, 400, Link::Unsaid)]), ["pi_1"]);
    assert_eq!(unlinked(vec![charge(1000, 0, Link::Unsaid), dispute]), ["pi_1"]);
}

#[test]
fn what_received_nothing_is_no_payment() {
    assert_eq!(fold(&told(vec![intent(0), charge(0, 0, Link::None)]).events).payments, []);
    let history = fold(&told(vec![intent(0), intent(700)]).events);
    assert_eq!((history.payments[0].on_stripe, history.payments[0].paid_at), (700, at("2026-03-02")));
    let history = fold(&told(vec![charge(0, 0, Link::None), charge(500, 0, Link::None)]).events);
    assert_eq!((history.payments[0].on_stripe, history.payments[0].paid_at), (500, at("2026-03-02")));
}

#[test]
fn what_says_nothing_of_an_invoice_takes_no_link_away() {
    let history = fold(&told(vec![charge(500, 0, Link::None), charge(500, 0, Link::Unsaid)]).events);
    assert_eq!(history.payments[0].source, Source::Direct { known_alone: true });
    let mut story = told(vec![charge(500, 0, Link::To("in_1".to_owned())), charge(500, 0, Link::None)]);
    story.pays("in_1", "2026-03-05", 500, Reason::SubscriptionCreate).done();
    let history = fold(&story.events);
    assert_eq!(payment(&history, "in_1").references, ["ch_1", "ch_in_1", "in_1", "pi_1"]);
}

#[test]
fn a_voided_note_is_void_since_the_earliest_moment_that_was_said() {
    let note = |voided, voided_at: Option<&str>| {
        Fact::CreditNote(CreditNoteFact {
            id: "cn_1".to_owned(),
            invoice: "in_1".to_owned(),
            customer: None,
            currency: "usd".parse().unwrap(),
            out_of_band: 300,
            refunds: vec![],
            voided,
            voided_at: voided_at.map(at),
            created: None,
        })
    };
    let since = |notes| {
        let mut story = told(notes);
        story.pays("in_1", "2026-02-05", 500, Reason::SubscriptionCreate).done();
        let notes = payment(&fold(&story.events), "in_1").notes.clone();
        notes[0].voided.as_ref().map(|moment| moment.at)
    };
    assert_eq!(
        since(vec![note(false, None), note(true, None), note(true, Some("2026-03-01"))]),
        Some(at("2026-03-01"))
    );
    assert_eq!(since(vec![note(true, Some("2026-02-20")), note(true, Some("2026-03-01"))]), Some(at("2026-02-20")));
}

#[test]
fn all_lines_are_more_than_a_first_page_and_the_later_of_a_kind_counts() {
    let line = |id: &str, amount| Line { id: id.to_owned(), amount, ..Line::default() };
    let seen = |told: &[(Vec<Line>, i64)]| {
        let mut story = Story::default();
        for (said, day) in told.iter().zip(1..) {
            story.pays("in_1", &format!("2026-03-{day:02}"), 1000, Reason::SubscriptionCreate).done();
            let invoice = last(&mut story);
            (invoice.lines, invoice.unseen_lines) = said.clone();
        }
        let history = fold(&story.events);
        let of = payment(&history, "in_1");
        (lines(of).iter().map(|(id, amount)| format!("{id} {amount}")).collect::<Vec<_>>(), of.has_unseen_lines)
    };
    let all = (vec![line("il_1", 400), line("il_2", 600)], 0);
    let page = (vec![line("il_1", 400)], 600);
    assert_eq!(seen(&[all.clone(), page.clone()]), (vec!["il_1 400".to_owned(), "il_2 600".to_owned()], false));
    assert_eq!(seen(&[page.clone(), all.clone()]), (vec!["il_1 400".to_owned(), "il_2 600".to_owned()], false));
    let other_page = (vec![line("il_1", 300)], 700);
    assert_eq!(seen(&[page, other_page]), (vec!["il_1 300".to_owned(), "unseen 700".to_owned()], true));
    let later = (vec![line("il_1", 450), line("il_2", 550)], 0);
    assert_eq!(seen(&[all.clone(), later]), (vec!["il_1 450".to_owned(), "il_2 550".to_owned()], false));
    assert_eq!(seen(&[all, (vec![], 0)]), (vec!["il_1 400".to_owned(), "il_2 600".to_owned()], false));
}

#[test]
fn a_session_that_shows_no_lines_takes_none_away() {
    let of = |lines| CheckoutFact { lines, ..session("cs_1", CheckoutMode::Payment, CheckoutStatus::Paid) };
    let shown = of(vec![Line { id: "li_1".to_owned(), amount: 1000, ..Line::default() }]);
    let story = told(vec![Fact::Checkout(Box::new(shown)), Fact::Checkout(Box::new(of(vec![])))]);
    assert_eq!(lines(payment(&fold(&story.events), "cs_1")), [("li_1", 1000)]);
}

#[test]
fn a_session_that_was_fetched_as_paid_is_a_payment_since_then() {
    let session = session("cs_1", CheckoutMode::Payment, CheckoutStatus::Paid);
    let mut story = told(vec![Fact::Checkout(Box::new(session))]);
    story.events[0].fetched_at = Some(at("2026-04-01"));
    assert_eq!(payment(&fold(&story.events), "cs_1").paid_at, at("2026-03-01"));
}

#[test]
fn who_a_session_says_its_customer_is_counts_once_it_is_completed() {
    let identity = |status| {
        let metadata = [("customer_key".to_owned(), "42".to_owned())].into();
        let session = CheckoutFact { metadata, ..session("cs_1", CheckoutMode::Subscription, status) };
        let history = fold(&told(vec![Fact::Checkout(Box::new(session))]).events);
        history.buyers.get("cus_1").map_or(0, |buyer| buyer.identity.len())
    };
    assert_eq!([CheckoutStatus::Open, CheckoutStatus::Completed, CheckoutStatus::Paid].map(identity), [0, 1, 1]);
}

#[test]
fn a_line_keeps_what_another_event_said_of_it() {
    let line = |price: Option<&str>, product: Option<&str>| Line {
        id: "sub_1".to_owned(),
        amount: 500,
        price: price.map(str::to_owned),
        product: product.map(str::to_owned),
        subscription: product.is_some(),
        ..Line::default()
    };
    let mut story = Story::default();
    // Lines of old were all called as their subscription is: they are told apart by their order.
    story.pays("in_1", "2026-03-01", 1000, Reason::SubscriptionCreate).done();
    last(&mut story).lines = vec![line(Some("price_1"), Some("prod_1")), line(Some("price_2"), Some("prod_2"))];
    story.pays("in_1", "2026-03-02", 1000, Reason::SubscriptionCreate).done();
    last(&mut story).lines = vec![line(Some("price_1"), None), line(None, None)];
    let history = fold(&story.events);
    let seen = &payment(&history, "in_1").lines;
    let said: Vec<_> =
        seen.iter().map(|line| (line.price.as_deref(), line.product.as_deref(), line.subscription)).collect();
    assert_eq!(said, [(Some("price_1"), Some("prod_1"), true), (Some("price_2"), Some("prod_2"), true)]);
}

#[test]
fn what_one_event_says_of_a_line_another_need_not_repeat() {
    let line = |subscription, proration| Line {
        id: "il_1".to_owned(),
        amount: 1000,
        subscription,
        proration,
        ..Line::default()
    };
    let mut story = Story::default();
    for (day, line) in [("2026-03-01", line(true, true)), ("2026-03-02", line(false, false))] {
        story.pays("in_1", day, 1000, Reason::SubscriptionCreate).done();
        last(&mut story).lines = vec![line];
    }
    let history = fold(&story.events);
    let line = &payment(&history, "in_1").lines[0];
    assert_eq!((line.subscription, line.proration), (true, true));
}

#[test]
fn an_invoice_is_void_since_the_earliest_moment_that_was_said() {
    let since = |said: [Option<&str>; 2]| {
        let mut story = Story::default();
        story.pays("in_1", "2026-02-01", 1000, Reason::SubscriptionCreate).done();
        for (day, voided_at) in ["2026-03-02", "2026-03-03"].into_iter().zip(said) {
            story.pays("in_1", day, 1000, Reason::SubscriptionCreate).done();
            let invoice = last(&mut story);
            (invoice.status, invoice.voided_at) = (InvoiceStatus::Void, voided_at.map(at));
        }
        payment(&fold(&story.events), "in_1").voided.as_ref().map(|moment| moment.at)
    };
    assert_eq!(since([None, Some("2026-03-01")]), Some(at("2026-03-01")));
    assert_eq!(since([Some("2026-03-01"), None]), Some(at("2026-03-01")));
}
