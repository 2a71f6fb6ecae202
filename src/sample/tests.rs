//! The simulated merchant under the magnifying glass: is what it tells consistent, and are its books right?

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{Duration, TimeZone, Utc};

use super::books::{Earner, Fraction, Part, Sale, SaleKind, Taken};
use super::program::Program;
use super::shape::invoice::Invoice;
use super::*;
use crate::domain::Time;

fn day(day: i64) -> Time {
    Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).unwrap() + Duration::days(day)
}

fn month(number: u32) -> Time {
    day(0).checked_add_months(chrono::Months::new(number)).unwrap()
}

fn many() -> Vec<Business> {
    let mut all = Vec::new();
    for seed in 0..4 {
        for refunds in [RefundEvents::ById, RefundEvents::Cumulative] {
            let options = Options { refunds, customers: 200, codes_on_sessions: true, ..Options::varied(seed) };
            all.push(business(&options));
        }
    }
    all
}

/// A sale of `cents` without tax, paid on its period's first day.
fn sale(program: Program, kind: SaleKind, cents: i64, at: Time) -> Sale {
    let money = Fraction::whole(cents);
    Sale {
        refs: vec![format!("in_{at}")],
        paid_at: at,
        seen_at: at,
        known_at: at,
        currency: "usd".parse().unwrap(),
        paid: cents,
        kind,
        period_start: at,
        parts: vec![Part { product_key: "pro", net: money, gross: money }],
        earner: Ok(Earner { partner: "acme".into(), program }),
        taken: Vec::new(),
        voided_at: None,
    }
}

fn amounts(sales: Vec<Sale>, now: Time) -> Vec<i64> {
    let mut books = Books::default();
    books.enter(sales);
    books.payments(now).iter().map(|payment| payment.amount).collect()
}

#[test]
fn on_paper_thirty_percent_first_then_twenty_for_the_rest_of_twelve_months() {
    let mut sales = vec![sale(Program::Saas, SaleKind::First, 4900, month(0))];
    sales.extend((1..15).map(|number| sale(Program::Saas, SaleKind::Recurring, 4900, month(number))));
    // 30 % of 49.00 is 14.70, 20 % is 9.80; the 13th payment starts a year after the first.
    let expected = [vec![1470], vec![980; 11], vec![0; 3]].concat();
    assert_eq!(amounts(sales, day(900)), expected);
}

#[test]
fn on_paper_what_is_left_after_the_months_falls_to_the_tail_rule() {
    let mut sales = vec![sale(Program::Tail, SaleKind::First, 1001, month(0))];
    sales.extend((1..8).map(|number| sale(Program::Tail, SaleKind::Recurring, 1001, month(number))));
    // 500.5 is as near to 500 as to 501: the even one. 200.2 and 50.05 round down.
    assert_eq!(amounts(sales, day(900)), [500, 200, 200, 200, 200, 200, 50, 50]);
}

#[test]
fn on_paper_three_renewals_count_and_a_change_does_not() {
    let mut sales = vec![
        sale(Program::Counted, SaleKind::First, 2000, month(0)),
        sale(Program::Counted, SaleKind::Change, 700, day(10)),
    ];
    sales.extend((1..6).map(|number| sale(Program::Counted, SaleKind::Recurring, 2000, month(number))));
    assert_eq!(amounts(sales, day(900)), [2500, 0, 500, 500, 500, 0, 0]);
}

#[test]
fn on_paper_caps_hold_per_payment_and_per_customer() {
    // 40 % of 80.00 is 32.00, capped at 30.00; of 50.00 it is 20.00; then 10.00 of the 100.00 are left.
    let mut sales = vec![sale(Program::Capped, SaleKind::First, 8000, month(0))];
    for (number, cents) in [(1, 5000), (2, 8000), (3, 2500), (4, 9000), (5, 9000)] {
        sales.push(sale(Program::Capped, SaleKind::Recurring, cents, month(number)));
    }
    assert_eq!(amounts(sales, day(900)), [3000, 2000, 3000, 1000, 1000, 0]);
}

#[test]
fn on_paper_refunds_take_their_share_of_the_first_amount_and_may_come_back() {
    let mut refunded = sale(Program::Saas, SaleKind::First, 10_000, day(0));
    let taken = |amount, from, until| Taken { amount, from, until, code: "refunded" };
    refunded.taken = vec![taken(2500, day(2), None), taken(2500, day(4), Some(day(20)))];
    // 30.00 × 75 / 100 = 22.50, × 50 / 100 = 15.00, and the second refund fails on day 20.
    for (now, amount) in [(1, 3000), (2, 2250), (4, 1500), (20, 2250)] {
        assert_eq!(amounts(vec![refunded.clone()], day(now)), [amount], "on day {now}");
    }
}

#[test]
fn on_paper_a_once_only_reward_goes_to_the_purchase_after_a_refunded_one() {
    let mut first = sale(Program::Counted, SaleKind::OneOff, 5000, day(0));
    first.taken = vec![Taken { amount: 5000, from: day(1), until: None, code: "refunded" }];
    let sales = vec![
        first,
        sale(Program::Counted, SaleKind::OneOff, 6000, day(9)),
        sale(Program::Counted, SaleKind::OneOff, 7000, day(20)),
    ];
    assert_eq!(amounts(sales, day(90)), [0, 777, 0]);
}

#[test]
fn on_paper_lines_of_different_rates_add_up_before_rounding() {
    let mut renewal = sale(Program::Saas, SaleKind::Recurring, 0, month(1));
    let part = |product_key, net| Part { product_key, net: Fraction::whole(net), gross: Fraction::whole(net) };
    renewal.parts = vec![part("pro", 4903), part("starter", -1204), part("pro", 2401)];
    renewal.paid = 6100;
    // 980.6 − 120.4 + 480.2 = 1340.4
    assert_eq!(amounts(vec![sale(Program::Saas, SaleKind::First, 4900, month(0)), renewal], day(90)), [1470, 1340]);
}

#[test]
fn the_same_seed_gives_the_same_business() {
    let options = Options::varied(42);
    assert_eq!(business(&options), business(&options));
    assert_ne!(business(&options).events, business(&Options::varied(43)).events);
}

#[test]
fn ids_are_unique_and_nothing_is_out_of_order() {
    for business in many() {
        let ids: HashSet<&str> = business.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids.len(), business.events.len());
        assert!(business.events.is_sorted_by_key(|event| event.at));
        assert!(business.events.last().is_some_and(|last| last.at < business.settled_at));
        let refs: Vec<&String> = business.books.sales().iter().flat_map(|(sale, _)| &sale.refs).collect();
        assert_eq!(refs.iter().collect::<HashSet<_>>().len(), refs.len(), "a reference means one sale");
    }
}

#[test]
fn every_event_is_json_in_every_shape_with_whole_seconds() {
    let business = business(&Options { customers: 60, ..Options::new(5) });
    for event in &business.events {
        assert_eq!(event.at.timestamp_subsec_nanos(), 0);
        for shape in Shape::ALL {
            for body in render_all(event, shape) {
                let text = serde_json::to_string(&body).unwrap();
                assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), body);
            }
        }
    }
}

#[test]
fn the_money_in_the_events_is_the_money_in_the_books() {
    for business in many() {
        let mut invoices: HashMap<&str, &Invoice> = HashMap::new();
        let mut refunded: HashMap<&str, (i64, i64)> = HashMap::new();
        for event in &business.events {
            match (&event.kind, &event.object) {
                (Kind::InvoicePaid | Kind::InvoicePaymentSucceeded, Object::Invoice(invoice)) => {
                    invoices.insert(&invoice.id, invoice);
                    assert!(invoice.amount_due() <= invoice.total().max(0));
                }
                (Kind::ChargeRefunded, Object::Charge(charge)) => {
                    refunded.insert(&charge.id, (charge.amount_refunded, charge.amount));
                }
                _ => {}
            }
        }
        assert!(refunded.values().all(|(refunded, amount)| 0 < *refunded && refunded <= amount));
        for (sale, _) in business.books.sales() {
            if let Some(invoice) = sale.refs.iter().find_map(|reference| invoices.get(reference.as_str())) {
                assert_eq!(sale.paid, invoice.amount_due());
                assert_eq!(Some(sale.paid_at), invoice.paid_at);
            }
            assert!(sale.taken.iter().map(|taken| taken.amount).sum::<i64>() <= sale.paid);
        }
        let told: HashSet<&str> =
            business.books.sales().iter().flat_map(|(sale, _)| &sale.refs).map(String::as_str).collect();
        assert!(invoices.keys().all(|id| told.contains(id)), "every paid invoice is in the books");
    }
}

#[test]
fn the_books_add_up() {
    for business in many() {
        let now = business.settled_at;
        let payments = business.books.payments(now);
        let mut owed = BTreeMap::new();
        for payment in &payments {
            assert!(payment.amount >= 0);
            assert!(payment.partner.is_some() || payment.amount == 0);
            if let Some(partner) = &payment.partner {
                *owed.entry((partner.clone(), payment.currency)).or_insert(0) += payment.amount;
            }
        }
        assert_eq!(owed, business.books.owed(now));
        assert_eq!(business.books.received(now).values().sum::<i64>(), payments.iter().map(|it| it.paid).sum::<i64>());
        assert_eq!(business.books.owed(now), business.books.owed(now + Duration::days(400)), "settled is settled");
    }
}

#[test]
fn the_program_file_is_toml_and_knows_every_partner_of_the_books() {
    let business = business(&Options { customers: 200, partners: 14, ..Options::new(3) });
    let file: toml::Table = business.program_toml.parse().unwrap();
    assert_eq!(file["program"].as_array().unwrap().len(), Program::ALL.len());
    let partners: HashSet<&str> =
        file["partner"].as_array().unwrap().iter().map(|partner| partner["key"].as_str().unwrap()).collect();
    assert_eq!(partners.len(), 14);
    assert!(business.books.owed(business.settled_at).keys().all(|(key, _)| partners.contains(key.as_str())));
}

#[test]
fn two_hundred_customers_show_everything() {
    for business in many() {
        let kinds: HashSet<&Kind> = business.events.iter().map(|event| &event.kind).collect();
        let cumulative = !kinds.contains(&Kind::RefundCreated);
        let only_succeeded = !kinds.contains(&Kind::InvoicePaid);
        for kind in Kind::ALL {
            let missing = match kind {
                // The first is made of the invoice by the new shape; of the second some merchants hear nothing.
                Kind::InvoicePaymentPaid | Kind::InvoicePaymentSucceeded => true,
                Kind::InvoicePaid => only_succeeded,
                Kind::RefundCreated | Kind::RefundUpdated | Kind::RefundFailed | Kind::ChargeRefundUpdated => {
                    cumulative
                }
                _ => false,
            };
            assert!(missing || kinds.contains(kind), "{kind:?}");
        }
        assert!(kinds.iter().any(|kind| matches!(kind, Kind::Other(_))));
    }
}

#[test]
fn two_hundred_customers_meet_every_decision() {
    let mut all: HashSet<&str> = HashSet::new();
    for business in many() {
        let payments = business.books.payments(business.settled_at);
        let codes: HashSet<&str> = payments.iter().filter_map(|payment| payment.code).collect();
        for code in [
            "credited",
            "refunded",
            "no_evidence",
            "partner_unknown",
            "click_unknown",
            "self_referral",
            "months_exhausted",
            "payments_exhausted",
            "one_time_already_earned",
            "currency_not_priced",
            "zero_amount",
        ] {
            assert!(codes.contains(code), "{code} is not in {codes:?}");
        }
        all.extend(codes);
        let currencies: HashSet<String> = payments.iter().map(|payment| payment.currency.to_string()).collect();
        assert_eq!(currencies.len(), 6, "{currencies:?}");
    }
    for rare in ["disputed", "voided", "no_rule_matches", "product_excluded"] {
        assert!(all.contains(rare), "{rare} is not in {all:?}");
    }
}

type SoInvoice<'a> = (&'a str, &'a dyn Fn(&Invoice) -> bool);

/// Whether an invoice event of the business is so.
fn an_invoice(business: &Business, so: impl Fn(&Invoice) -> bool) -> bool {
    business.events.iter().any(|event| matches!(&event.object, Object::Invoice(invoice) if so(invoice)))
}

#[test]
fn two_hundred_customers_live_through_everything() {
    for business in many() {
        let reason = |invoice: &Invoice| invoice.billing_reason.clone().unwrap_or_default();
        let invoices: [SoInvoice<'_>; 14] = [
            ("trial", &|it| reason(it) == "subscription_create" && it.subtotal() == 0),
            ("free month", &|it| reason(it) == "subscription_create" && it.subtotal() > 0 && it.total() == 0),
            ("upgrade", &|it| reason(it) == "subscription_update" && it.total() > 0),
            ("downgrade", &|it| reason(it) == "subscription_update" && it.total() < 0),
            ("prorations in a renewal", &|it| reason(it) == "subscription_cycle" && it.lines.len() == 3),
            ("several products", &|it| it.lines.len() == 2 && it.lines.iter().all(|line| line.amount > 0)),
            ("yearly", &|it| it.lines.iter().any(|line| line.interval.as_deref() == Some("year"))),
            ("tax on top", &|it| it.tax > 0 && !it.tax_inclusive),
            ("tax within", &|it| it.tax > 0 && it.tax_inclusive),
            ("discount", &|it| it.discount > 0 && it.total() > 0 && it.promotion_code.is_none()),
            ("promotion code", &|it| it.discount > 0 && it.promotion_code.is_some()),
            ("paid partly from the balance", &|it| it.starting_balance < 0 && it.amount_due() > 0),
            ("by hand", &|it| reason(it) == "manual"),
            ("partner in the invoice", &|it| it.metadata.keys().any(|key| key.eq_ignore_ascii_case("partner_key"))),
        ];
        for (name, so) in invoices {
            assert!(an_invoice(&business, so), "{name}");
        }
        let sales = || business.books.sales().iter().map(|(sale, _)| sale);
        let first_by_cycle = |sale: &Sale| {
            let cycle = |it: &Invoice| sale.refs.contains(&it.id) && reason(it) == "subscription_cycle";
            sale.kind == SaleKind::First && sale.paid > 0 && an_invoice(&business, cycle)
        };
        assert!(sales().any(first_by_cycle), "first money after a trial");
        assert!(sales().any(|sale| sale.taken.len() == 3), "refunds in steps");
        assert!(sales().any(|sale| sale.taken.iter().any(|it| it.code == "disputed" && it.until.is_some())), "won");
        assert!(sales().any(|sale| sale.taken.iter().any(|it| it.code == "disputed" && it.until.is_none())), "lost");
        assert!(sales().any(|sale| sale.known_at > sale.seen_at), "a session after its invoice");
        for program in Program::ALL {
            let under = |sale: &Sale| sale.earner.as_ref().is_ok_and(|earner| earner.program == program);
            assert!(sales().any(under), "{program:?}");
        }
    }
}

#[test]
fn nothing_that_later_sales_build_upon_is_taken_back_in_full() {
    let options = Options::new(7);
    let partners = program::partners(options.partners);
    for place in 0..2000 {
        let mut teller = story::Teller::new(&options, &partners, "audit0", random::Random::new(place));
        story::tell(&mut teller, usize::try_from(place).unwrap());
        for mut sales in teller.histories {
            sales.sort_by_key(|sale| sale.paid_at);
            let counts = |sale: &Sale| sale.earner.is_ok() && sale.paid > 0;
            let first = sales.iter().position(counts);
            let first_of_stream = sales.iter().position(|sale| counts(sale) && sale.kind != SaleKind::OneOff);
            for (number, sale) in sales.iter().enumerate() {
                let counted = sale.earner.as_ref().is_ok_and(|earner| earner.program == Program::Counted);
                let built_upon = counted || first == Some(number) || first_of_stream == Some(number);
                let taken: i64 = sale.taken.iter().map(|taken| taken.amount).sum();
                let before_the_next = sales
                    .get(number + 1)
                    .is_none_or(|next| next.kind == SaleKind::OneOff && sale.taken_back(next.paid_at) == sale.paid);
                assert!(!built_upon || sale.paid == 0 || taken < sale.paid || before_the_next, "{sale:?}");
            }
        }
    }
}
