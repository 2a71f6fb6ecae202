//! What the pure parts cost, of one event of the size that Stripe sends:
//!
//! ```text
//! cargo bench --bench pure
//! ```

#![allow(clippy::unwrap_used)] // a benchmark may fail

use std::collections::HashMap;
use std::hint::black_box;

use commission_bridge::domain::decision::{Lookups, decide};
use commission_bridge::domain::facts::EventFacts;
use commission_bridge::domain::history::fold;
use commission_bridge::domain::terms::{Entered, Terms};
use commission_bridge::intake::payload;
use commission_bridge::program::{self, RepriceClosed};
use commission_bridge::sample::dress::Dresser;
use commission_bridge::sample::program::{partners, program_toml};
use commission_bridge::sample::{Options, Shape, stream};
use commission_bridge::stripe::{self, Reading, Secrets, sign};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SECRET: &str = "whsec_bench";
const EVENTS: usize = 2_000;

fn bodies() -> Vec<Vec<u8>> {
    let dresser = Dresser::default();
    stream::bodies(&Options::new(1), Shape::Hybrid).take(EVENTS).map(|body| dresser.dress(&body)).collect()
}

/// One after the other, for ever: no two in a row are alike.
fn in_turn<'a, T>(all: &'a [T]) -> impl FnMut() -> &'a T {
    let mut at = 0;
    move || {
        at = (at + 1) % all.len();
        &all[at]
    }
}

fn events(criterion: &mut Criterion) {
    let bodies = bodies();
    let mean = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let secrets = Secrets::new(&[SECRET]);
    let signed: Vec<(String, &[u8])> =
        bodies.iter().map(|body| (sign(SECRET, now.timestamp(), body), body.as_slice())).collect();
    let packed: Vec<(Vec<u8>, i64)> = bodies.iter().map(|body| payload::pack(body)).collect();
    let facts: Vec<EventFacts> = bodies.iter().filter_map(|body| facts_of(body)).collect();
    let written: Vec<String> = facts.iter().map(|facts| serde_json::to_string(facts).unwrap()).collect();

    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Bytes(mean as u64));
    let mut next = in_turn(&signed);
    group.bench_function("verify", |bench| {
        bench.iter(|| {
            let (header, body) = next();
            secrets.verify(header, body, now).unwrap();
        });
    });
    let mut next = in_turn(&bodies);
    group.bench_function("envelope", |bench| bench.iter(|| stripe::envelope(black_box(next())).unwrap()));
    let mut next = in_turn(&bodies);
    group.bench_function("pack", |bench| bench.iter(|| payload::pack(black_box(next()))));
    let mut next = in_turn(&packed);
    group.bench_function("unpack", |bench| {
        bench.iter(|| {
            let (packed, codec) = next();
            payload::unpack(packed, *codec).unwrap()
        });
    });
    let mut next = in_turn(&bodies);
    group.bench_function("read", |bench| bench.iter(|| stripe::read(black_box(next())).unwrap()));
    let mut next = in_turn(&facts);
    group.bench_function("facts to JSON", |bench| bench.iter(|| serde_json::to_string(next()).unwrap()));
    let mut next = in_turn(&written);
    group.bench_function("facts from JSON", |bench| {
        bench.iter(|| serde_json::from_str::<EventFacts>(next()).unwrap());
    });
    group.finish();
    let stored: usize = packed.iter().map(|(packed, _)| packed.len()).sum();
    println!("bodies of {mean} bytes, packed to {}", stored / packed.len());
}

fn facts_of(body: &[u8]) -> Option<EventFacts> {
    match stripe::read(body).unwrap() {
        Reading::Facts(facts) => Some(facts),
        Reading::Ignored(_) => None,
    }
}

fn deciding(criterion: &mut Criterion) {
    let options = Options::new(1);
    let now = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let file = program::parse(&program_toml(&partners(options.partners)), "program.toml").unwrap();
    let mut terms = Terms::default();
    let planned = program::plan(&file, &terms, now, None, RepriceClosed::No).unwrap().changes;
    for (seq, (_, change)) in (1..).zip(planned) {
        terms.enter(Entered { seq, at: now, author: "bench".to_owned(), change });
    }
    let mut by_customer: HashMap<String, Vec<EventFacts>> = HashMap::new();
    for facts in bodies().iter().filter_map(|body| facts_of(body)) {
        if let Some(customer) = facts.references().into_iter().find(|text| text.starts_with("cus_")) {
            by_customer.entry(customer.to_owned()).or_default().push(facts);
        }
    }
    let mut customers: Vec<Vec<EventFacts>> = by_customer.into_values().collect();
    customers.sort_by_key(Vec::len);
    let events: usize = customers.iter().map(Vec::len).sum();

    let mut group = criterion.benchmark_group("customer");
    group.throughput(Throughput::Elements((events / customers.len()) as u64));
    let mut next = in_turn(&customers);
    group.bench_function("fold", |bench| bench.iter(|| fold(black_box(next()))));
    let histories: Vec<_> = customers.iter().map(|events| fold(events)).collect();
    let mut next = in_turn(&histories);
    group.bench_function("decide", |bench| {
        bench.iter_batched(
            Lookups::default,
            |lookups| decide(black_box(next()), &terms, &lookups, now).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
    println!("{} customers, {} events each", customers.len(), events / customers.len());
}

criterion_group!(benches, events, deciding);
criterion_main!(benches);
