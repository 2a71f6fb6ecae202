//! By which texts a customer is found again, and whom a change concerns.

use super::evidence::{Wakes, clues, customer_keys, is_click_id, is_known_key, normal_email, wakes};
use super::facts::{
    BillingReason, ChargeFact, CheckoutFact, CheckoutMode, CheckoutStatus, CustomerFact, EventFacts, Fact, IntentFact,
    Link, Metadata, RefundFact, RefundStatus, Stamp, SubscriptionFact,
};
use super::story::{Story, at};
use super::terms::{
    Change, CodeOwner, Entered, EvidenceKind, MetadataField, PayoutMethod, Profile, Settings, Status, Terms, Verdict,
    Whose,
};

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn event(facts: Vec<Fact>) -> EventFacts {
    EventFacts { stamp: Stamp { created: at("2026-01-05"), event_id: "evt_1".to_owned() }, fetched_at: None, facts }
}

fn customer(pairs: &[(&str, &str)], email: Option<&str>, codes: &[&str]) -> Fact {
    Fact::Customer(CustomerFact {
        id: "cus_1".to_owned(),
        email: email.map(str::to_owned),
        created: None,
        is_creation: false,
        metadata: metadata(pairs),
        promotion_codes: codes.iter().map(|code| (*code).to_owned()).collect(),
    })
}

fn session(reference: &str, pairs: &[(&str, &str)]) -> Fact {
    Fact::Checkout(Box::new(CheckoutFact {
        id: "cs_1".to_owned(),
        mode: CheckoutMode::Payment,
        status: CheckoutStatus::Paid,
        customer: None,
        email: Some("Ann@Buyer.example".to_owned()),
        invoice: None,
        intent: None,
        subscription: None,
        currency: None,
        total: 0,
        subtotal: 0,
        tax: 0,
        created: None,
        client_reference: Some(reference.to_owned()),
        metadata: metadata(pairs),
        promotion_codes: vec!["ACME20".to_owned()],
        lines: vec![],
    }))
}

fn intent(email: &str) -> Fact {
    Fact::Intent(IntentFact {
        id: "pi_1".to_owned(),
        customer: None,
        email: Some(email.to_owned()),
        invoice: Link::Unsaid,
        currency: "usd".parse().unwrap(),
        received: 1,
        charges: vec![],
        created: None,
        metadata: metadata(&[("click_id", "clk_9")]),
    })
}

fn charge(email: &str) -> Fact {
    Fact::Charge(ChargeFact {
        id: "ch_1".to_owned(),
        intent: None,
        customer: None,
        email: Some(email.to_owned()),
        invoice: Link::Unsaid,
        currency: "usd".parse().unwrap(),
        captured: 1,
        refunded: 0,
        booked: None,
        created: None,
        metadata: metadata(&[("customer_key", "u-2")]),
    })
}

fn subscription() -> Fact {
    Fact::Subscription(SubscriptionFact {
        id: "sub_1".to_owned(),
        customer: None,
        created: None,
        is_creation: false,
        metadata: metadata(&[("partner_key", "bolt")]),
        promotion_codes: vec!["promo_1".to_owned()],
        prices: vec![],
        state: None,
    })
}

fn invoice() -> Fact {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, BillingReason::SubscriptionCreate).via("acme").code(" Promo_2").done();
    let mut fact = story.events.remove(0).facts.remove(0);
    if let Fact::Invoice(invoice) = &mut fact {
        invoice.email = Some("IN@Buyer.example ".to_owned());
    }
    fact
}

#[test]
fn a_customer_is_found_by_whatever_its_events_carry() {
    let terms = Terms::default();
    let all = [
        (
            customer(&[("partner_key", "acme"), ("product_key", "pro")], Some(" Ann@Buyer.example"), &[" Acme20 "]),
            vec!["email:ann@buyer.example", "partner_key:acme", "promotion_code:acme20"],
        ),
        (
            session(" acme ", &[("customer_key", "u-1")]),
            vec![
                "click:acme",
                "customer_key:u-1",
                "email:ann@buyer.example",
                "partner_key:acme",
                "promotion_code:acme20",
            ],
        ),
        (invoice(), vec!["email:in@buyer.example", "partner_key:acme", "promotion_code:promo_2"]),
        (intent("pi@buyer.example"), vec!["click:clk_9", "email:pi@buyer.example"]),
        (charge("ch@buyer.example"), vec!["customer_key:u-2", "email:ch@buyer.example"]),
        (subscription(), vec!["partner_key:bolt", "promotion_code:promo_1"]),
        (
            Fact::Refund(RefundFact {
                id: "re_1".to_owned(),
                charge: Some("ch_1".to_owned()),
                intent: None,
                currency: "usd".parse().unwrap(),
                amount: 1,
                status: RefundStatus::Succeeded,
                created: None,
            }),
            vec![],
        ),
    ];
    for (fact, found) in all {
        assert_eq!(clues(&event(vec![fact]), &terms), found);
    }
}

#[test]
fn customers_are_joined_by_keys_that_say_something() {
    let terms = Terms::default();
    let facts = vec![
        charge("ch@buyer.example"),
        customer(&[("customer_key", "u-1"), ("partner_key", "acme")], None, &[]),
        session("acme", &[("Customer_Key", "u-2")]),
    ];
    assert_eq!(customer_keys(&event(facts), &terms), ["u-1", "u-2"]);
    assert_eq!(customer_keys(&event(vec![customer(&[("customer_key", "undefined")], None, &[])]), &terms), [""; 0]);
}

#[test]
fn what_metadata_can_carry_is_a_click_id() {
    for good in ["c", "clk_0198c0de", "Ü-1", &"x".repeat(200)] {
        assert!(is_click_id(good), "{good}");
    }
    for bad in ["", " ", "a b", "a\tb", "a\u{0}", "a\nb", "ann@buyer.example", &"x".repeat(201)] {
        assert!(!is_click_id(bad), "{bad:?}");
    }
    assert_eq!(normal_email(" Ann@Buyer.Example "), "ann@buyer.example");
}

fn known() -> Terms {
    let profile = Profile { email: Some("pay@acme.example".to_owned()), ..Profile::default() };
    let change = Change::Partner { partner: "acme".to_owned(), profile };
    Terms::from_log([Entered { seq: 1, at: at("2026-01-01"), author: "cli".to_owned(), change }])
}

fn settings(alter: impl FnOnce(&mut Settings)) -> Change {
    let mut settings = Settings::default();
    alter(&mut settings);
    Change::Settings { from: None, settings }
}

/// What an alias once made evidence is not erased: payments of that time were decided by it.
#[test]
fn a_key_is_known_that_any_settings_ever_named() {
    let mut terms = known();
    let alias = settings(|settings| {
        settings.metadata_aliases.insert("Affiliate".to_owned(), MetadataField::PartnerKey);
    });
    for (seq, change) in (2..).zip([alias, settings(|_| {})]) {
        terms.enter(Entered { seq, at: at("2026-01-02"), author: "cli".to_owned(), change });
    }
    assert!(is_known_key("affiliate", &terms) && is_known_key("Partner_Key", &terms));
    assert!(!is_known_key("affiliate", &known()));
    assert!(!is_known_key("note", &terms));
}

#[test]
fn settings_concern_everyone_where_they_decide() {
    let (terms, zone) = (known(), chrono_tz::Europe::Berlin);
    assert_eq!(wakes(&settings(|_| {}), &terms), Wakes::Nobody);
    assert_eq!(wakes(&settings(|settings| settings.account = Some("acct_1".to_owned())), &terms), Wakes::Nobody);
    let alias = settings(|settings| {
        settings.metadata_aliases.insert("ref".to_owned(), MetadataField::PartnerKey);
    });
    assert_eq!(wakes(&alias, &terms), Wakes::EveryoneAnew);
    let direct = settings(|settings| settings.count_direct_payments = !settings.count_direct_payments);
    let out_of_band = settings(|settings| settings.count_out_of_band = !settings.count_out_of_band);
    let order = settings(|settings| settings.evidence_order = vec![EvidenceKind::Email]);
    for change in [direct, out_of_band, order] {
        assert_eq!(wakes(&change, &terms), Wakes::Everyone);
    }
    // The clock says in which month a payment counts for tiers, and nothing else.
    let clock = settings(|settings| settings.time_zone = zone);
    assert_eq!(wakes(&clock, &terms), Wakes::Nobody);
    let tiered = Terms { tiered: [("saas".to_owned(), 1)].into(), ..known() };
    assert_eq!(wakes(&clock, &tiered), Wakes::Everyone);
    assert_eq!(wakes(&settings(|_| {}), &tiered), Wakes::Nobody);
}

#[test]
fn what_is_entered_concerns_whoever_it_may_resolve() {
    let terms = known();
    let clue = |clue: &str| Wakes::Clues(vec![clue.to_owned()]);
    let partner = |key: &str, email: &str| Change::Partner {
        partner: key.to_owned(),
        profile: Profile { email: Some(email.to_owned()), ..Profile::default() },
    };
    assert_eq!(wakes(&partner("bolt", "x@bolt.example"), &terms), clue("partner_key:bolt"));
    assert_eq!(wakes(&partner("acme", "pay@acme.example"), &terms), Wakes::Nobody);
    assert_eq!(wakes(&partner("acme", "new@acme.example"), &terms), Wakes::Everyone, "who refers whom is told by it");
    let enrollment = |key: &str| Change::Enrollment {
        partner: key.to_owned(),
        program: "saas".to_owned(),
        status: Status::Active,
        from: None,
    };
    assert_eq!(wakes(&enrollment("acme"), &terms), Wakes::Everyone);
    assert_eq!(wakes(&enrollment("bolt"), &terms), clue("partner_key:bolt"));
    let code = Change::Code { code: " ACME20 ".to_owned(), owner: None, from: None };
    assert_eq!(wakes(&code, &terms), clue("promotion_code:acme20"));
    let by_hand = Change::Attribution { reference: "in_1".to_owned(), partner: None, program: None, from: None };
    let review = Change::Review { reference: "in_1".to_owned(), verdict: Verdict::Rejected, note: String::new() };
    for change in [by_hand, review] {
        assert_eq!(wakes(&change, &terms), Wakes::Reference("in_1".to_owned()));
    }
    let name = Change::ProgramName { program: "saas".to_owned(), name: "SaaS".to_owned() };
    assert_eq!(wakes(&name, &terms), Wakes::Nobody);
    let status = Change::PartnerStatus { partner: "acme".to_owned(), status: Status::Inactive, from: None };
    assert_eq!(wakes(&status, &terms), Wakes::Everyone);
}

/// What the audit log shows of a thing before and after a change.
#[test]
fn a_thing_stands_as_it_was_entered_last_and_shows_no_account() {
    let mut terms = known();
    let mut seq = 1;
    let mut enter = |terms: &mut Terms, change: &Change| {
        seq += 1;
        terms.enter(Entered { seq, at: at("2026-01-02"), author: "cli".to_owned(), change: change.clone() });
    };
    let payout = PayoutMethod {
        method: super::terms::Method::Stripe,
        account: Some("acct_1NcQAbCd6789".to_owned()),
        currency: None,
    };
    let profile = Profile { name: "Acme".to_owned(), payout: Some(payout), ..Profile::default() };
    let partner = Change::Partner { partner: "acme".to_owned(), profile };
    enter(&mut terms, &partner);
    let state = terms.state_of(&partner).unwrap();
    assert_eq!(state["profile"]["payout"]["account"], "acct_…6789");
    assert_eq!((&state["profile"]["name"], &state["status"]), (&"Acme".into(), &"active".into()));
    let subject = partner.subject();
    assert_eq!((subject.action, subject.object, subject.id.as_str()), ("partner.entered", "partner", "acme"));

    let owner = CodeOwner { partner: "acme".to_owned(), program: None };
    let code = Change::Code { code: "ACME20".to_owned(), owner: Some(owner), from: None };
    assert_eq!(terms.state_of(&code), None);
    enter(&mut terms, &code);
    assert_eq!(terms.state_of(&code).unwrap()["partner"], "acme");
    assert_eq!(code.subject().object, "code");

    let review = Change::Review { reference: "in_1".to_owned(), verdict: Verdict::Rejected, note: "fraud".to_owned() };
    enter(&mut terms, &review);
    assert_eq!(terms.state_of(&review).unwrap()["reason"], "fraud");
    let of_nobody = Change::Override {
        program: "saas".to_owned(),
        whose: Whose::Partner("nobody".to_owned()),
        rules: vec![],
        from: None,
    };
    assert_eq!(terms.state_of(&of_nobody), None);
}
