//! The golden cases through the whole pipeline: terms as a program file enters them, events through the inbox, the
//! worker, the ledger; once as it happens, and once with everything late, twice and in no order.

use std::collections::BTreeMap;
use std::time::Instant;

use commission_bridge::domain::Time;
use commission_bridge::domain::decision::Click;
use commission_bridge::domain::entry::Component;
use commission_bridge::domain::terms::Terms;
use commission_bridge::ledger::explain::{Explanation, explain_reference};
use commission_bridge::sample::{Event, Shape, render_all, stream};
use commission_bridge::store::Mode;
use commission_bridge::store::changes::TermsCache;
use commission_bridge::store::events::EventStatus;
use commission_bridge::store::leads::NewLead;
use commission_bridge::store::payments::Payment;
use serde_json::Value;

use crate::cases::{self, Case, Check, Got, Input, Raw};
use crate::harness::World;

crate::on_both_engines!(every_case_as_it_happens, every_case_late_and_in_no_order);

/// One thing after the other, each at its moment; at the same moment what comes first here.
enum Step<'a> {
    Enter(Input),
    Click(String, Click),
    Lead(NewLead),
    Event(&'a Event),
    Raw(&'a Raw),
    Check(&'a Check),
}

/// How a case's events come in.
#[derive(Debug, Clone, Copy)]
enum Delivery {
    /// Each when it happens, worked off at once.
    AsItHappens(Shape),
    /// All at the moment of the check, each twice: in one shape, or as an endpoint sends it and as a poll reads it.
    Late(Shape, Shape),
}

async fn every_case_as_it_happens(world: &World) {
    run_all(world, |case, number| {
        let shapes = case.shapes();
        Delivery::AsItHappens(shapes[number % shapes.len()])
    })
    .await;
}

async fn every_case_late_and_in_no_order(world: &World) {
    run_all(world, |case, number| {
        let shapes = case.shapes();
        let shape = shapes[(number + 1) % shapes.len()];
        // What only some shapes can show differs between them.
        let alone = number.is_multiple_of(2) || shapes.len() < Shape::ALL.len();
        Delivery::Late(shape, if alone { shape } else { shapes[number % shapes.len()] })
    })
    .await;
}

async fn run_all(world: &World, delivery: impl Fn(&Case, usize) -> Delivery) {
    let started = Instant::now();
    let cases = cases::cases();
    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        failures.extend(run(world, case, delivery(case, number), number as u64).await);
    }
    let (count, seconds) = (cases.len(), started.elapsed().as_secs());
    println!("{count} cases in {seconds} s");
    assert!(failures.is_empty(), "\n{}\n\n{} of {count} cases fail", failures.join("\n\n"), failures.len());
}

/// What is wrong with a case at its first check that fails.
async fn run(world: &World, case: &Case, delivery: Delivery, seed: u64) -> Option<String> {
    let steps = steps(case, delivery);
    let world = world.another(&case.name, steps[0].0).await;
    for (at, step) in steps {
        world.clock.advance(at - world.now());
        match step {
            Step::Enter(Input::File(text)) => {
                world.apply(&text).await;
            }
            Step::Enter(Input::Change(change)) => {
                world.enter_once_more(&change).await;
            }
            Step::Click(id, click) => {
                world.ledger.enter_clicks(world.workspace, &[(id, click)]).await.unwrap();
            }
            Step::Lead(lead) => {
                assert!(world.enter_leads(&[lead]).await[0].is_new);
            }
            Step::Event(event) => {
                let Delivery::AsItHappens(shape) = delivery else { unreachable!("late events come with the check") };
                world.receive(&render_all(event, shape)).await;
            }
            Step::Raw(raw) => {
                world.submit_body(raw.body.as_bytes()).await.unwrap();
            }
            Step::Check(check) => {
                if let Delivery::Late(shape, other) = delivery {
                    world.import(&late(case, check.now, [shape, other], seed)).await;
                }
                world.work().await;
                let wrong = wrong(&world, case, check).await;
                if !wrong.is_empty() {
                    return Some(told(&world, case, check, delivery, &wrong).await);
                }
            }
        }
    }
    None
}

fn steps(case: &Case, delivery: Delivery) -> Vec<(Time, Step<'_>)> {
    let end = case.checks.iter().map(|check| check.now).max().unwrap();
    let mut steps = Vec::new();
    steps.extend(case.inputs(end).into_iter().map(|(at, input)| (at, Step::Enter(input))));
    let mut clicks: Vec<(String, Click)> = case.clicks(end).into_iter().collect();
    clicks.sort_by(|(a, _), (b, _)| a.cmp(b));
    steps.extend(clicks.into_iter().map(|(id, click)| (click.entered_at, Step::Click(id, click))));
    steps.extend(
        case.leads(end).into_iter().map(|(by, value, lead)| {
            (lead.entered_at, Step::Lead(NewLead { by, value, to: lead.to, from: lead.from }))
        }),
    );
    if matches!(delivery, Delivery::AsItHappens(_)) {
        steps.extend(case.events(end).into_iter().map(|event| (event.at, Step::Event(event))));
    }
    steps.extend(case.raw(end).map(|raw| (raw.at, Step::Raw(raw))));
    steps.extend(case.checks.iter().map(|check| (check.now, Step::Check(check))));
    steps.sort_by_key(|(at, _)| *at);
    steps
}

fn late(case: &Case, now: Time, shapes: [Shape; 2], seed: u64) -> Vec<Value> {
    let events = case.events(now);
    let mut bodies: Vec<Value> =
        shapes.iter().flat_map(|shape| events.iter().flat_map(|event| render_all(event, *shape))).collect();
    stream::shuffle(&mut bodies, seed);
    bodies
}

/// Everything in which the ledger differs from what was computed by hand.
async fn wrong(world: &World, case: &Case, check: &Check) -> Vec<String> {
    let payments = world.payments().await;
    let mut booked: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut shares: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for entry in world.entries().await.into_iter().map(|booked| booked.entry) {
        let payment = entry.payment_id.unwrap_or_default();
        match entry.component {
            Component::Direct => *booked.entry((payment, entry.partner)).or_default() += entry.amount,
            Component::Bonus => {}
            Component::Level2 => {
                *shares.entry(payment).or_default().entry(entry.partner).or_default() += entry.amount;
            }
        }
    }
    booked.retain(|_, sum| *sum != 0);
    for shares in shares.values_mut() {
        shares.retain(|_, sum| *sum != 0);
    }
    let got = |payment: &Payment| Got {
        reference: payment.reference.clone(),
        code: serde_json::from_value(payment.code.as_str().into()).unwrap(),
        partner: payment.partner_key.clone().unwrap_or_default(),
        amount: payment.amount,
        currency: payment.currency.parse().unwrap(),
        shares: shares.get(&payment.payment_id).cloned().unwrap_or_default(),
    };
    let got: Vec<Got> = payments.iter().filter(|payment| payment.merged_into.is_none()).map(got).collect();
    let mut wrong = check.differences(&got);

    let decided: BTreeMap<(String, String), i64> = payments
        .iter()
        .filter(|payment| payment.amount != 0)
        .map(|payment| ((payment.payment_id.clone(), payment.partner_key.clone().unwrap()), payment.amount))
        .collect();
    if booked != decided {
        wrong.push(format!("decided {decided:?}, booked {booked:?}"));
    }
    let balances = world.balances().await;
    for expected in &check.balances {
        let mut theirs = balances.iter().filter(|balance| balance.partner == expected.partner);
        let got = theirs.find(|balance| balance.currency == expected.currency).map_or(0, |balance| balance.balance);
        if got != expected.amount {
            wrong.push(format!("balance of {}: expected {}, booked {got}", expected.partner, expected.amount));
        }
    }
    for raw in case.raw(check.now) {
        let id: Value = serde_json::from_str(&raw.body).unwrap();
        for line in world.event(id["id"].as_str().unwrap()).await {
            let outcome = match line.status() {
                EventStatus::Failed => "unreadable".to_owned(),
                status => line.reason.clone().unwrap_or_else(|| status.as_str().to_owned()),
            };
            if outcome != raw.outcome {
                wrong.push(format!("{}: expected {}, got {outcome}", line.event_id, raw.outcome));
            }
        }
    }
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    wrong.extend(report.differences);
    if (report.waiting, report.parked, report.pending) != (0, 0, 0) {
        wrong.push(format!("{} waiting, {} parked, {} pending", report.waiting, report.parked, report.pending));
    }
    let mut tx = world.db.read().await.unwrap();
    let terms = TermsCache::default().get(&mut tx, world.workspace).await.unwrap();
    let known = |terms: &Terms| format!("{} {:?} {:?}", terms.seq, terms.partners, terms.programs);
    if known(&terms) != known(&case.terms(check.now)) {
        wrong.push("the terms are not those that were entered".to_owned());
    }
    wrong
}

async fn told(world: &World, case: &Case, check: &Check, delivery: Delivery, wrong: &[String]) -> String {
    let mut trace = Vec::new();
    for payment in world.payments().await {
        let id = &payment.payment_id;
        match explain_reference(&world.ledger, world.workspace, Mode::Live, id).await.unwrap() {
            Explanation::Payment(explained) => {
                trace.push(format!("{} ({id}):", payment.reference));
                trace.extend(explained.decision.trace.iter().map(|line| format!("  {line}")));
                trace.extend(
                    explained.entries.iter().map(|entry| format!("  booked {} {}", entry.amount, entry.partner)),
                );
            }
            other => trace.push(format!("{} ({id}): {other:?}", payment.reference)),
        }
    }
    format!(
        "── {}: {}\n{}\n{}\nat {}, {delivery:?}:\n  {}\ntrace:\n  {}",
        case.name,
        case.title,
        case.rule.trim(),
        case.why.trim(),
        check.now.to_rfc3339(),
        wrong.join("\n  "),
        trace.join("\n  "),
    )
}
