//! Stripe as the service meets it: signed webhooks of a simulated merchant on several lanes, each sent again until it is
//! acknowledged; and afterwards the question whether everything is there, once, and right.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{TimeZone as _, Utc};
use commission_bridge::clock::Clock;
use commission_bridge::sample::random::Random;
use commission_bridge::sample::{Business, Options, Shape, business, render_all};

use crate::blackbox::Home;
use crate::server::{Answer, Server, deliver, until};

/// How many webhooks are under way at once.
const LANES: usize = 6;

/// A number from the environment.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Where chance begins: `CHAOS_SEED`.
pub fn seed() -> u64 {
    number("CHAOS_SEED", 20_261_121)
}

/// A merchant and what Stripe has to tell of it.
pub struct Merchant {
    pub business: Business,
    /// Ids and bodies, in the order in which it happened.
    bodies: Vec<(String, Vec<u8>)>,
}

impl Merchant {
    /// One whose year is over, with so many customers.
    pub fn new(seed: u64, customers: usize) -> Self {
        let start = Utc.with_ymd_and_hms(2025, 1, 1, 0, 0, 0).unwrap();
        let business = business(&Options { customers, months: 9, start, ..Options::new(seed) });
        assert!(business.settled_at < Clock::machine().now(), "all of it is over");
        // An account writes its events in one API version.
        let shape = Shape::ALL[usize::try_from(seed % 3).unwrap()];
        let mut bodies = Vec::new();
        for event in &business.events {
            for body in render_all(event, shape) {
                bodies.push((body["id"].as_str().unwrap().to_owned(), body.to_string().into_bytes()));
            }
        }
        Self { business, bodies }
    }

    pub fn events(&self) -> usize {
        self.bodies.len()
    }

    /// Enters its program file.
    pub fn set_up(&self, home: &Home) {
        home.write("program.toml", &self.business.program_toml);
        home.ok("apply program.toml");
    }
}

#[derive(Default)]
struct Post {
    /// What is to be sent, again or for the first time.
    to_send: Mutex<VecDeque<usize>>,
    /// What was acknowledged at least once.
    acknowledged: Mutex<Vec<bool>>,
    /// Acknowledgements, repeated ones included.
    count: AtomicUsize,
    /// How many different ones.
    different: AtomicUsize,
    refused: AtomicUsize,
    /// The longest that anybody waited for an answer, in milliseconds.
    longest: AtomicU64,
    /// Where they go; nowhere while nobody serves.
    addresses: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// Lanes that send.
pub struct Stripe {
    merchant: Arc<Merchant>,
    post: Arc<Post>,
    lanes: Vec<JoinHandle<()>>,
}

impl Stripe {
    /// Begins to send all that the merchant has, about every twentieth twice.
    pub fn start(merchant: &Arc<Merchant>, seed: u64) -> Self {
        let post = Post {
            to_send: Mutex::new((0..merchant.events()).collect()),
            acknowledged: Mutex::new(vec![false; merchant.events()]),
            ..Post::default()
        };
        let post = Arc::new(post);
        let lane = |lane: usize| {
            let (merchant, post) = (merchant.clone(), post.clone());
            std::thread::spawn(move || post.send_all(&merchant, Random::new(seed ^ (lane as u64 + 1))))
        };
        Self { merchant: merchant.clone(), lanes: (0..LANES).map(lane).collect(), post }
    }

    /// From now on they go there, to each of them in turn.
    pub fn send_to(&self, addresses: &[&str]) {
        *self.post.addresses.lock().unwrap() = addresses.iter().map(|address| (*address).to_owned()).collect();
    }

    /// How many acknowledgements there were, repeated ones included.
    pub fn count(&self) -> usize {
        self.post.count.load(Ordering::SeqCst)
    }

    /// The ids of all that was acknowledged until now.
    pub fn acknowledged(&self) -> Vec<String> {
        let acknowledged = self.post.acknowledged.lock().unwrap();
        let bodies = self.merchant.bodies.iter().zip(&*acknowledged);
        bodies.filter(|(_, is)| **is).map(|((id, _), _)| id.clone()).collect()
    }

    /// How many answers said to come again.
    pub fn refused(&self) -> usize {
        self.post.refused.load(Ordering::SeqCst)
    }

    /// The longest that anybody waited for an answer.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.post.longest.load(Ordering::SeqCst))
    }

    pub fn is_done(&self) -> bool {
        self.post.different.load(Ordering::SeqCst) == self.merchant.events()
    }

    /// Waits for further acknowledgements; false where there was nothing left to send, or it took too long.
    pub fn wait_for(&self, further: usize, patience: Duration) -> bool {
        let wanted = self.count() + further;
        until(patience, || self.count() >= wanted || self.is_done()) && !self.is_done()
    }

    /// Waits until everything is acknowledged.
    pub fn wait_for_all(&self, server: &Server) {
        assert!(until(Duration::from_mins(3), || self.is_done()), "not all is acknowledged: {}", server.said());
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.post.stop.store(true, Ordering::SeqCst);
        for lane in self.lanes.drain(..) {
            let _ = lane.join();
        }
    }
}

impl Post {
    fn send_all(&self, merchant: &Merchant, mut random: Random) {
        while !self.stop.load(Ordering::SeqCst) {
            let address = {
                let addresses = self.addresses.lock().unwrap();
                (!addresses.is_empty()).then(|| addresses[random.index(addresses.len())].clone())
            };
            let next = address.and_then(|address| Some((address, self.to_send.lock().unwrap().pop_front()?)));
            let Some((address, place)) = next else {
                std::thread::park_timeout(Duration::from_millis(1));
                continue;
            };
            let begun = Instant::now();
            let answer = deliver(&address, &merchant.bodies[place].1);
            let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
            self.longest.fetch_max(took, Ordering::SeqCst);
            match answer {
                Ok(answer) if answer.status == 200 => {
                    self.acknowledge(place);
                    if random.chance(5) {
                        self.to_send.lock().unwrap().push_back(place);
                    }
                }
                other => {
                    self.come_again(other);
                    self.to_send.lock().unwrap().push_back(place);
                    std::thread::park_timeout(Duration::from_millis(2));
                }
            }
        }
    }

    fn acknowledge(&self, place: usize) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        if !std::mem::replace(&mut acknowledged[place], true) {
            self.different.fetch_add(1, Ordering::SeqCst);
        }
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Who is not heard is gone; who answers says 503, and when to come again.
    fn come_again(&self, answer: std::io::Result<Answer>) {
        let Ok(answer) = answer else { return };
        self.refused.fetch_add(1, Ordering::SeqCst);
        if answer.status != 503 || !answer.headers.contains("retry-after: ") {
            self.faults.lock().unwrap().push(format!("{answer:?}"));
        }
    }
}

/// What is left when all is over.
#[derive(Debug)]
pub struct Outcome {
    pub acknowledged: usize,
    pub events: i64,
    /// By how much ledger and merchant's books differ, in minor units, added up without their signs.
    pub difference: i64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} webhooks acknowledged, {} events in the database, none twice, ledger difference {} cents, verify silent",
            self.acknowledged, self.events, self.difference
        )
    }
}

/// How many of these events are in a database.
pub fn there(home: &Home, events: &[String]) -> usize {
    let count = |group: &[String]| {
        let ids = group.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
        home.count(&format!("SELECT CAST(COUNT(*) AS BIGINT) FROM events WHERE event_id IN ({ids})"))
    };
    events.chunks(500).map(|group| usize::try_from(count(group)).unwrap()).sum()
}

/// Everything that was acknowledged is there, nothing twice, and the ledger is the merchant's.
pub fn is_whole(home: &Home, stripe: Stripe) -> Outcome {
    let (merchant, post, acknowledged) = (stripe.merchant.clone(), stripe.post.clone(), stripe.acknowledged());
    drop(stripe);
    let faults = post.faults.lock().unwrap();
    assert!(faults.is_empty(), "answers that are neither 200 nor 503 with Retry-After: {faults:?}");
    assert_eq!(there(home, &acknowledged), acknowledged.len(), "each is there, once");
    let events = home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM events");
    assert_eq!(events, home.count("SELECT CAST(COUNT(DISTINCT event_id) AS BIGINT) FROM events"));
    let mut owed = merchant.business.books.owed(Clock::machine().now());
    for balance in home.json("balances --mode live")["balances"].as_array().unwrap() {
        let text = |name: &str| balance[name].as_str().unwrap();
        let key = (text("partner_key").to_owned(), text("currency").parse().unwrap());
        *owed.entry(key).or_default() -= balance["balance"].as_i64().unwrap();
    }
    let difference = owed.values().map(|left| left.abs()).sum();
    assert_eq!(difference, 0, "the merchant's books, less the ledger: {owed:?}");
    let verified = home.json("verify");
    assert_eq!((&verified["different"], &verified["waiting"], &verified["parked"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(verified["events"]["pending"], 0);
    Outcome { acknowledged: post.count.load(Ordering::SeqCst), events, difference }
}

/// Waits until nothing is left to do.
pub fn wait_for_work(home: &Home, server: &Server) {
    let left = "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM unread)
                     + (SELECT CAST(COUNT(*) AS BIGINT) FROM customers WHERE dirty_version <> settled_version)";
    assert!(until(Duration::from_mins(3), || home.count(left) == 0), "work is left: {}", server.said());
}
