//! The golden cases against the pure engine: in every shape, order and repetition the same answers.

#![allow(clippy::unwrap_used, reason = "what cannot be read or decided fails its test")]

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use commission_bridge::domain::Time;
use commission_bridge::domain::decision::{Code, Decision, Decisions, Lookups, Step, decide, explain};
use commission_bridge::domain::evidence::customer_keys;
use commission_bridge::domain::facts::{EventFacts, Fact};
use commission_bridge::domain::history::fold;
use commission_bridge::domain::terms::Terms;
use commission_bridge::domain::tiers::{Aggregates, Contribution, aggregate, contribution};
use commission_bridge::sample::random::Random;
use commission_bridge::sample::{Shape, render_all};
use commission_bridge::stripe::event::{Reading, envelope, read};
use golden::{Case, Check, Got, Raw};

#[path = "support/golden.rs"]
mod golden;

#[test]
fn every_case_ends_as_computed_by_hand() {
    let failures: Vec<String> = golden::cases().iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "\n{}\n\n{} cases failed", failures.join("\n\n"), failures.len());
}

#[test]
fn every_reason_is_shown_by_a_case() {
    let cases = golden::cases();
    let expected = cases.iter().flat_map(|case| &case.checks).flat_map(|check| &check.payments);
    let shown: BTreeSet<Code> = expected.filter_map(|payment| payment.code).collect();
    // Nobody can be asked here, so that nothing waits for an answer.
    let all = Code::ALL.into_iter().filter(|code| *code != Code::AwaitingLookup);
    let missing: Vec<&str> = all.filter(|code| !shown.contains(code)).map(Code::as_str).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

/// What is told of each case besides the cents, in the words that a partner gets to read.
#[test]
fn every_case_is_explained_as_it_was() {
    let mut text = String::new();
    for case in golden::cases() {
        let Some(check) = case.checks.last() else { continue };
        let terms = case.terms(check.now);
        let Some(shape) = case.shapes().first().copied() else { continue };
        let events = facts(&case, shape, check.now);
        let lookups = lookups(&case, check.now, &events);
        let groups = customers(&events, &terms);
        let lookups = with_aggregates(&groups, &terms, &lookups, check.now);
        writeln!(text, "── {}: {}", case.name, case.title).unwrap();
        for group in groups {
            text.push_str(&told(&explain(&fold(&group), &terms, &lookups, check.now).unwrap()));
        }
    }
    insta::with_settings!({ snapshot_path => "golden", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("explained", text);
    });
}

fn told(decisions: &Decisions) -> String {
    let mut text = String::new();
    for decision in &decisions.payments {
        let Decision { reference, kind, code, amount, base, currency, .. } = decision;
        writeln!(text, "{reference}: {kind:?}, {code}, {amount} {currency} of {base}").unwrap();
        let credit = [&decision.partner, &decision.program].map(|key| key.as_deref().unwrap_or("nobody"));
        let Decision { version, rate, product, via, takings, .. } = decision;
        writeln!(text, "  {} in {}, {version:?}, {rate:?}, {product:?}, {via:?}", credit[0], credit[1]).unwrap();
        for (at, taken) in takings {
            writeln!(text, "  taken back {taken} at {at}").unwrap();
        }
        for step in &decision.steps {
            writeln!(text, "  {}", step_of(step)).unwrap();
        }
        for share in &decision.shares {
            writeln!(text, "  {} in {}, {}: {}", share.partner, share.program, share.component, share.amount).unwrap();
            for step in &share.steps {
                writeln!(text, "    {}", step_of(step)).unwrap();
            }
        }
        for line in &decision.trace {
            writeln!(text, "  {line}").unwrap();
        }
    }
    for what in &decisions.missing {
        writeln!(text, "missing: {what}").unwrap();
    }
    if !decisions.unmatched.is_empty() {
        writeln!(text, "unmatched: {}", decisions.unmatched.join(", ")).unwrap();
    }
    if let Some(at) = decisions.settle_due_at {
        writeln!(text, "changes at {at}").unwrap();
    }
    text
}

fn step_of(step: &Step) -> String {
    format!(
        "{} at {}, available {}, {} ({:?})",
        step.amount, step.occurred_at, step.available_at, step.reason, step.event_id
    )
}

/// The first check and way of delivery in which a case fails, and how many others do.
fn failure(case: &Case) -> Option<String> {
    let mut failures = Vec::new();
    let mut ways = 0;
    for check in &case.checks {
        let terms = case.terms(check.now);
        for raw in case.raw(check.now) {
            assert_eq!(outcome(raw, &terms), raw.outcome, "{}: {}", case.name, raw.body);
        }
        for (way, events) in deliveries(case, check.now) {
            ways += 1;
            let lookups = lookups(case, check.now, &events);
            let groups = customers(&events, &terms);
            let differences = differences(check, &groups, &terms, &lookups);
            if !differences.is_empty() {
                let trace = trace(&groups, &terms, &lookups, check.now);
                failures.push((format!("at {}, {way}", check.now.to_rfc3339()), differences, trace));
            }
        }
    }
    let (when, differences, trace) = failures.first()?;
    Some(format!(
        "── {}: {}\n{}\n{}\n{when}:\n  {}\ntrace:\n  {}\n({} of {ways} deliveries fail)",
        case.name,
        case.title,
        case.rule.trim(),
        case.why.trim(),
        differences.join("\n  "),
        trace.join("\n  "),
        failures.len(),
    ))
}

/// Why nothing comes of a body.
fn outcome(raw: &Raw, terms: &Terms) -> String {
    let account = envelope(raw.body.as_bytes()).unwrap().account;
    if account.is_some() && account != terms.current_settings().account {
        return "account_mismatch".to_owned();
    }
    match read(raw.body.as_bytes()) {
        Ok(Reading::Ignored(reason)) => reason.as_str().to_owned(),
        Ok(Reading::Facts(facts)) => format!("{facts:?}"),
        Err(_) => "unreadable".to_owned(),
    }
}

/// Every way in which a case's events may come in.
fn deliveries(case: &Case, now: Time) -> Vec<(String, Vec<EventFacts>)> {
    let shapes = case.shapes();
    let mut deliveries = Vec::new();
    let mut every_shape = Vec::new();
    for shape in &shapes {
        let events = facts(case, *shape, now);
        every_shape.extend(events.clone());
        for (order, events) in orders(events) {
            deliveries.push((format!("{shape:?}, {order}"), events));
        }
    }
    // The same event id in several shapes: sent by an endpoint, then read again by a poll.
    if shapes.len() == Shape::ALL.len() {
        for (order, events) in orders(every_shape) {
            deliveries.push((format!("in every shape, {order}"), events));
        }
    }
    deliveries
}

fn orders(events: Vec<EventFacts>) -> Vec<(String, Vec<EventFacts>)> {
    let reversed = events.iter().rev().cloned().collect();
    let twice = events.iter().chain(&events).cloned().collect();
    let mut orders = vec![("reversed".to_owned(), reversed), ("twice".to_owned(), twice)];
    for seed in 1..=3 {
        let mut random = Random::new(seed);
        let mut shuffled = events.clone();
        for last in (1..shuffled.len()).rev() {
            shuffled.swap(last, random.index(last + 1));
        }
        orders.push((format!("shuffled ({seed})"), shuffled));
    }
    orders.insert(0, ("in order".to_owned(), events));
    orders
}

fn facts(case: &Case, shape: Shape, now: Time) -> Vec<EventFacts> {
    let mut facts = Vec::new();
    for event in case.events(now) {
        for body in render_all(event, shape) {
            match read(&serde_json::to_vec(&body).unwrap()) {
                Ok(Reading::Facts(said)) => facts.push(said),
                other => panic!("{}: {} in {shape:?} reads as {other:?}", case.name, event.id),
            }
        }
    }
    facts
}

fn lookups(case: &Case, now: Time, events: &[EventFacts]) -> Lookups {
    let mut lookups = Lookups { clicks: case.clicks(now), ..Lookups::default() };
    for (by, value, lead) in case.leads(now) {
        lookups.leads.entry((by, by.normal(&value))).or_default().push(lead);
    }
    for fact in events.iter().flat_map(|event| &event.facts) {
        if let Fact::PromotionCode(code) = fact {
            lookups.promotion_codes.insert(code.id.clone(), code.code.clone());
        }
    }
    lookups
}

/// What shares a reference or a customer key is one customer's.
fn customers(events: &[EventFacts], terms: &Terms) -> Vec<Vec<EventFacts>> {
    let mut group_of: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let mut names: Vec<String> = event.references().iter().map(|reference| (*reference).to_owned()).collect();
        names.extend(customer_keys(event, terms).iter().map(|key| format!("customer key {key}")));
        if names.is_empty() {
            continue;
        }
        let mine = groups.len();
        groups.push(vec![index]);
        for name in names {
            let other = group_of.insert(name, mine).unwrap_or(mine);
            if other != mine {
                let moved = std::mem::take(&mut groups[other]);
                groups[mine].extend(moved);
                group_of.values_mut().filter(|group| **group == other).for_each(|group| *group = mine);
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    for group in &mut groups {
        group.sort_unstable();
    }
    groups.iter().map(|group| group.iter().map(|index| events[*index].clone()).collect()).collect()
}

/// Looks up what tiers ask for among the decisions themselves, and decides again until nothing moves any more: a month
/// depends on those before it alone.
fn with_aggregates(groups: &[Vec<EventFacts>], terms: &Terms, lookups: &Lookups, now: Time) -> Lookups {
    let mut lookups = lookups.clone();
    loop {
        let decided: Vec<Decisions> =
            groups.iter().map(|group| decide(&fold(group), terms, &lookups, now).unwrap()).collect();
        let names: Vec<String> = (0..groups.len()).map(|group| group.to_string()).collect();
        let brought: Vec<(&str, Contribution)> = names
            .iter()
            .zip(&decided)
            .flat_map(|(name, decisions)| decisions.payments.iter().map(move |payment| (name.as_str(), payment)))
            .filter_map(|(name, payment)| Some((name, contribution(payment, terms)?)))
            .collect();
        let asked = decided.iter().flat_map(|decisions| &decisions.needs).chain(lookups.aggregates.keys());
        let known: Aggregates = asked
            .map(|key| (key.clone(), aggregate(key, brought.iter().map(|(name, brought)| (*name, brought)))))
            .collect();
        if known == lookups.aggregates {
            return lookups;
        }
        lookups.aggregates = known;
    }
}

fn differences(check: &Check, groups: &[Vec<EventFacts>], terms: &Terms, lookups: &Lookups) -> Vec<String> {
    let mut got = Vec::new();
    let mut wrong = Vec::new();
    let lookups = &with_aggregates(groups, terms, lookups, check.now);
    for group in groups {
        let Decisions { payments, .. } = decide(&fold(group), terms, lookups, check.now).unwrap();
        for decision in &payments {
            let sum: i64 = decision.steps.iter().map(|step| step.amount).sum();
            if sum != decision.amount {
                wrong.push(format!("{}: the steps add up to {sum}, not {}", decision.reference, decision.amount));
            }
            for share in &decision.shares {
                let sum: i64 = share.steps.iter().map(|step| step.amount).sum();
                if sum != share.amount {
                    wrong
                        .push(format!("{}: a share's steps add up to {sum}, not {}", decision.reference, share.amount));
                }
            }
        }
        got.extend(payments.iter().map(Got::from));
    }
    wrong.extend(check.differences(&got));
    wrong
}

fn trace(groups: &[Vec<EventFacts>], terms: &Terms, lookups: &Lookups, now: Time) -> Vec<String> {
    let mut lines = Vec::new();
    let lookups = &with_aggregates(groups, terms, lookups, now);
    for group in groups {
        for decision in explain(&fold(group), terms, lookups, now).unwrap().payments {
            lines.push(format!("{}:", decision.reference));
            lines.extend(decision.trace.iter().map(|line| format!("  {line}")));
        }
    }
    lines
}
