//! The same business in three API versions, shuffled and doubled, by webhook and by file: one ledger.

use std::collections::BTreeMap;

use commission_bridge::sample::stream::{shuffle, twice};
use commission_bridge::sample::{Options, Shape, business, render_all};

use rust_decimal::Decimal;

use crate::blackbox::{Engine, Home};
use crate::on_both_engines;
use crate::server::{Server, deliver};

on_both_engines!(however_events_come_the_ledger_is_the_same);

/// Every event in one of three shapes, customer after customer or not, all twice.
fn bodies(order: u64) -> (String, Vec<String>) {
    let sample = business(&Options { customers: 30, months: 14, ..Options::new(11) });
    let mut bodies = Vec::new();
    for (index, event) in sample.events.iter().enumerate() {
        let shape = [Shape::Legacy, Shape::Hybrid, Shape::New][index % 3];
        bodies.extend(render_all(event, shape).iter().map(ToString::to_string));
    }
    let mut bodies = twice(&bodies);
    shuffle(&mut bodies, order);
    (sample.program_toml, bodies)
}

/// What every payment earned whom in the end. Of the way there (credited to one partner, then
/// to another of whom a later event told) each order of events has its own.
fn ledger(home: &Home) -> BTreeMap<Vec<String>, Decimal> {
    let text = home.ok("ledger export --mode live");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let mut sums: BTreeMap<Vec<String>, Decimal> = BTreeMap::new();
    for row in reader.records().map(Result::unwrap) {
        let cell = |name: &str| row[headings.iter().position(|heading| heading == name).unwrap()].to_owned();
        let key = ["partner_key", "program", "component", "currency", "payment_ref"].map(cell);
        *sums.entry(key.to_vec()).or_default() += cell("amount").parse::<Decimal>().unwrap();
    }
    sums.retain(|_, sum| !sum.is_zero());
    sums
}

fn by_file(home: &Home) {
    let (program, bodies) = bodies(1);
    home.write("program.toml", program);
    home.write("events.jsonl", bodies.join("\n"));
    home.ok("apply program.toml");
    home.ok("events import events.jsonl");
}

fn by_webhook(home: &Home) {
    let (program, bodies) = bodies(2);
    home.write("program.toml", program);
    home.ok("apply program.toml");
    let server = Server::start(home);
    std::thread::scope(|scope| {
        for lane in 0..8 {
            let (bodies, address) = (&bodies, &server.address);
            scope.spawn(move || {
                for body in bodies.iter().skip(lane).step_by(8) {
                    let answer = deliver(address, body.as_bytes()).unwrap();
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
    });
    server.stop();
}

fn however_events_come_the_ledger_is_the_same(home: &Home) {
    by_webhook(home);
    let other = Home::new(Engine::Sqlite);
    by_file(&other);
    assert_eq!(home.json("balances --mode live"), other.json("balances --mode live"));
    let (one, another) = (ledger(home), ledger(&other));
    assert!(one.len() > 50, "{}", one.len());
    for key in one.keys().chain(another.keys()) {
        assert_eq!(one.get(key), another.get(key), "{key:?}");
    }
    for home in [home, &other] {
        assert!(home.ok("verify").contains("right to the last minor unit"));
    }
}
