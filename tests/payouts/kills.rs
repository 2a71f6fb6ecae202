//! Killed at random moments, again and again, alone and beside another: everybody is paid once.
//!
//! `KILLS` is how often (20), `KILL_SEED` where chance begins.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use commission_bridge::clock::Clock;

use crate::blackbox::Home;
use crate::fake_stripe::{FakeStripe, Faults, mixed};
use crate::month::{command, is_paid_once, last_month, owed};
use crate::on_both_engines;

on_both_engines!(a_thousand_partners_are_paid_once_however_often_it_is_killed, a_thousand_partners_without_trouble);

const PARTNERS: usize = 1000;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn asked(fake: &FakeStripe) -> u64 {
    fake.books().requests.len() as u64
}

/// A process that pays; with a lease of eight seconds, so that the next need not wait long.
fn start(home: &Home, fake: &FakeStripe, words: &str) -> Child {
    let mut command = command(home, fake, words);
    command.env("STRIPE_TIMEOUT", "2").env("STRIPE_RATE_LIMIT", "100").env("LISTEN", "127.0.0.1:0");
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn a_thousand_partners_are_paid_once_however_often_it_is_killed(home: &mut Home) {
    let (kills, seed) = (number("KILLS", 20), number("KILL_SEED", 20_261_121));
    // Shown where the test fails.
    println!("KILLS={kills} KILL_SEED={seed}");
    owed(home, PARTNERS);
    let fake = FakeStripe::start(Clock::machine());
    fake.plan(Faults::seeded(seed, 150));
    let pay = format!("payouts pay {} --mode live", last_month());
    let mut chance = seed;
    let mut draw = |below: u64| {
        chance = mixed(chance);
        chance % below
    };
    // So that all of them together pay most of the thousand.
    let stride = (1500 / kills.max(1)).max(2);
    let mut in_the_middle = 0;
    for round in 0..kills {
        // Two at once: both serve, or one serves and one is the command; every third time the command alone.
        let mut running = vec![start(home, &fake, if round > 0 && draw(2) == 0 { "serve" } else { &pay })];
        if draw(3) > 0 {
            running.push(start(home, &fake, "serve"));
        }
        // After so many calls, of whichever of them; now and then before the first.
        for mut child in running {
            let (calls, deadline) = (asked(&fake) + draw(stride), Instant::now() + Duration::from_secs(20));
            while asked(&fake) < calls && Instant::now() < deadline && child.try_wait().unwrap().is_none() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            let until = Instant::now() + Duration::from_micros(draw(5000));
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            kill(child);
        }
        let made = fake.books().transfers.len();
        in_the_middle += u64::from(made > 0 && made < PARTNERS);
    }
    println!("killed {in_the_middle} times in the middle, {} made so far", fake.books().transfers.len());
    // Whoever comes last finishes it, as soon as the leases of the killed have ended.
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let last =
            command(home, &fake, &pay).env("STRIPE_TIMEOUT", "2").env("STRIPE_RATE_LIMIT", "0").output().unwrap();
        if last.status.success() {
            break;
        }
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&last.stdout));
    }
    is_paid_once(home, &fake, PARTNERS);
    assert!(in_the_middle * 4 >= kills * 3, "most were killed while paying: {in_the_middle} of {kills}");
}

fn a_thousand_partners_without_trouble(home: &mut Home) {
    owed(home, PARTNERS);
    let fake = FakeStripe::start(Clock::machine());
    let begun = Instant::now();
    let pay = format!("payouts pay {} --mode live", last_month());
    let ran = command(home, &fake, &pay).env("STRIPE_RATE_LIMIT", "0").output().unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    println!("{:?}: {PARTNERS} partners paid in {:.1} s", home.engine, begun.elapsed().as_secs_f64());
    is_paid_once(home, &fake, PARTNERS);
    // One call for each.
    assert_eq!(fake.books().requests.len(), PARTNERS);
}
