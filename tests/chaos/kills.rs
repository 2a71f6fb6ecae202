//! `serve` is killed at random moments under load.
//!
//! `CHAOS_KILLS` is how often (8), `CHAOS_SEED` where chance begins.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commission_bridge::sample::random::Random;

use crate::blackbox::Home;
use crate::load::{Merchant, Stripe, is_whole, number, seed, wait_for_work};
use crate::on_both_engines;
use crate::server::{SECRET, Server};

on_both_engines!(killed_again_and_again_it_loses_and_doubles_nothing);

fn killed_again_and_again_it_loses_and_doubles_nothing(home: &mut Home) {
    let (kills, seed) = (number("CHAOS_KILLS", 8), seed());
    println!("CHAOS_KILLS={kills} CHAOS_SEED={seed}");
    let begun = Instant::now();
    let merchant = Arc::new(Merchant::new(seed, 12 + usize::try_from(kills).unwrap() * 5));
    merchant.set_up(home);
    let mut random = Random::new(seed ^ 0x006b_696c_6c73);
    // So that the last kill still finds something under way.
    let stride = (merchant.events() * 2 / usize::try_from(kills.max(1)).unwrap()).max(2);
    let stripe = Stripe::start(&merchant, seed);
    let mut in_the_middle = 0;
    for _ in 0..kills {
        if random.chance(10) {
            killed_while_starting(home, &mut random);
            continue;
        }
        let mut server = Server::start(home);
        stripe.send_to(&[&server.address]);
        in_the_middle += u64::from(stripe.wait_for(random.index(stride), Duration::from_mins(1)));
        let until = Instant::now() + Duration::from_micros(random.bits() % 5000);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        server.signal("KILL");
        stripe.send_to(&[]);
        assert_eq!(server.wait(Duration::from_secs(10)), None);
    }
    let server = Server::start(home);
    stripe.send_to(&[&server.address]);
    stripe.wait_for_all(&server);
    wait_for_work(home, &server);
    server.stop();
    let outcome = is_whole(home, stripe);
    println!("{:?}: {kills} kills, {outcome} ({:.0} s)", home.engine, begun.elapsed().as_secs_f64());
    assert!(in_the_middle * 3 >= kills, "most were killed under load: {in_the_middle} of {kills}");
}

/// Killed before it can have said where it listens, or a moment after.
fn killed_while_starting(home: &Home, random: &mut Random) {
    let mut command = home.command();
    command.arg("serve").env("LISTEN", "127.0.0.1:0").env("STRIPE_WEBHOOK_SECRET", SECRET);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_micros(random.bits() % 300_000);
    while Instant::now() < until {
        std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
    }
    let _ = child.kill();
    let _ = child.wait();
}
