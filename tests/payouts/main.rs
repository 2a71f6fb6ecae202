//! Paying from outside: the real program against a fake of Stripe, asked, stopped and killed, on both engines.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

#[path = "../blackbox/mod.rs"]
mod blackbox;
#[path = "../support/fake_stripe/mod.rs"]
mod fake_stripe;

mod kills;
mod month;
mod onboarding;
mod paying;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "another program uses the rest")]
mod server;
