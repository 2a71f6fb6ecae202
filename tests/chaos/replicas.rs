//! Several processes on one `PostgreSQL`: they share the work, survive the loss of any, and do once what is to be done
//! once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use commission_bridge::clock::Clock;
use commission_bridge::domain::calendar::Month;

use crate::blackbox::{Engine, Home};
use crate::load::{Merchant, Stripe, is_whole, seed, there, wait_for_work};
use crate::server::{SECRET, Server, until};

const SOON: Duration = Duration::from_mins(1);

/// A replica that tells what it does.
pub fn replica(home: &Home, words: &[&str]) -> Server {
    Server::start_with(home, |command| {
        command.args(words).env("STRIPE_WEBHOOK_SECRET", SECRET).env("LOG", "info,commission_bridge::worker=debug")
    })
}

/// How many events a replica recorded and how many customers it settled.
pub fn work(server: &Server) -> (u64, u64) {
    let said = server.said();
    let sum = |word: &str| {
        let numbers = said.lines().filter(|line| line.contains("commission_bridge::worker"));
        let numbers = numbers.filter_map(|line| line.split_once(word)?.1.trim().parse::<u64>().ok());
        numbers.sum()
    };
    (sum("recorded events="), sum("settled customers="))
}

#[test]
fn three_share_the_work_and_one_is_killed() {
    let home = Home::new(Engine::Postgres);
    let merchant = Arc::new(Merchant::new(seed() ^ 7, 60));
    let program = format!("{}\n[workspace.month_end]\nclose = \"draft\"\n", merchant.business.program_toml);
    home.write("program.toml", program);
    home.ok("apply program.toml");
    let mut replicas: Vec<Server> = (0..3).map(|_| replica(&home, &[])).collect();
    let stripe = Stripe::start(&merchant, seed());
    let send_to = |replicas: &[Server]| {
        stripe.send_to(&replicas.iter().map(|one| one.address.as_str()).collect::<Vec<_>>());
    };
    send_to(&replicas);
    let third = merchant.events() / 3;
    assert!(stripe.wait_for(third, SOON));
    let mut killed = replicas.remove(1);
    killed.signal("KILL");
    assert_eq!(killed.wait(Duration::from_secs(10)), None);
    let before = work(&killed);
    assert!(stripe.wait_for(third, SOON), "the others go on");
    replicas.push(replica(&home, &[]));
    send_to(&replicas);
    stripe.wait_for_all(&replicas[0]);
    wait_for_work(&home, &replicas[0]);
    let done: Vec<(u64, u64)> = replicas.iter().map(work).collect();
    assert!(done.iter().all(|(recorded, settled)| recorded + settled > 0), "somebody had nothing to do: {done:?}");
    // Everybody looks every ten seconds whether a month is to be closed.
    let batches = "SELECT CAST(COUNT(*) AS BIGINT) FROM batches WHERE status <> 'closing'";
    assert!(until(SOON, || home.count(batches) == 1), "{}", replicas[0].said());
    let twice = "SELECT CAST(COUNT(*) AS BIGINT) FROM batches";
    for replica in replicas {
        replica.stop();
    }
    assert_eq!(home.count(twice), 1, "a month is closed once");
    println!(
        "three replicas, one killed and replaced: recorded and settled by {before:?} before it was killed, by the others \
         {done:?}; {}",
        is_whole(&home, stripe)
    );
    let last = Month::containing(Clock::machine().now(), chrono_tz::Europe::Berlin).previous();
    assert_eq!(home.json("payouts list --mode live")["batches"][0]["month"], last.to_string());
}

#[test]
fn one_takes_in_and_another_works() {
    let home = Home::new(Engine::Postgres);
    let merchant = Arc::new(Merchant::new(seed() ^ 8, 15));
    merchant.set_up(&home);
    let (http, worker) = (replica(&home, &["--only", "http"]), replica(&home, &["--only", "worker"]));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!((http.get(path).status, worker.get(path).status), (200, 200), "{path}");
    }
    assert_eq!(worker.deliver(b"{}").status, 404, "who works takes no webhooks");
    assert_eq!((http.get("/docs").status / 100, worker.get("/openapi.json").status), (3, 404));
    let stripe = Stripe::start(&merchant, seed());
    stripe.send_to(&[&http.address]);
    stripe.wait_for_all(&http);
    wait_for_work(&home, &worker);
    assert_eq!(work(&http), (0, 0));
    assert!(work(&worker).0 > 0);
    // An event that comes alone, after a while of nothing.
    let body = |number: usize| {
        serde_json::json!({
            "id": format!("evt_alone_{number}"), "object": "event", "type": "customer.created", "created": 1_760_000_000,
            "livemode": true, "api_version": "2026-03-25.dahlia",
            "data": {"object": {"id": format!("cus_alone_{number}"), "object": "customer"}},
        })
    };
    let mut longest = Duration::ZERO;
    for number in 0..3 {
        assert_eq!(http.deliver(body(number).to_string().as_bytes()).status, 200);
        let begun = Instant::now();
        assert!(until(SOON, || home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM unread") == 0));
        longest = longest.max(begun.elapsed());
    }
    println!("recorded by another process after {longest:?} at most");
    assert!(longest < Duration::from_secs(5), "a second, and what a busy machine adds: {longest:?}");
    worker.stop();
    http.stop();
    let all = stripe.acknowledged();
    drop(stripe);
    assert_eq!(there(&home, &all), merchant.events());
    assert!(home.ok("verify").contains("right to the last minor unit"));
}
