//! **commission-bridge**: Stripe says what happened; the bridge keeps the facts; one pure function says who is
//! owed what; the ledger is appended by the difference.
//!
//! Read the rooms in this order and you know what the product does:
//!
//! 1. [`stripe`]: what Stripe says, in every API version, as facts. Plain functions.
//! 2. [`domain`]: facts to decisions to ledger lines. Plain functions, no clock, no database.
//! 3. [`ledger`]: `record` (events to facts) and `settle` (facts to entries), in batches.
//! 4. [`payouts`]: a month's batch, its transfers and files, and what became of them; [`imports`]: another tool's
//!    exports, moving in.
//! 5. [`statements`]: what partners get to read, frozen and provable; [`mail`]: an outbox, and sending it, each mail once.
//!    [`reports`]: a month in figures, by partner, link or product.
//! 6. [`intake`], [`http`], [`cli`], [`worker`]: how facts come in and how people look at the ledger.
//! 7. [`archive`]: old months of raw events as files, and back.
//! 8. [`connect`]: how a workspace is connected to its Stripe account; [`stripe_api`]: calls out to Stripe; [`store`]: the only room that knows a database.
//!
//! [`sample`] is a simulated merchant: Stripe events from a seed, with books to check the bridge against.

pub mod admin;
pub mod archive;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connect;
pub mod domain;
pub mod fetching;
pub mod fx;
pub mod http;
pub mod ids;
pub mod imports;
pub mod intake;
pub mod ledger;
pub mod lookups;
pub mod mail;
pub mod paying;
pub mod payouts;
pub mod privacy;
pub mod program;
pub mod reconcile;
pub mod reports;
pub mod sample;
pub mod statements;
pub mod store;
pub mod stripe;
pub mod stripe_api;
pub mod worker;

/// What is fuzzed (`fuzz/run.sh`), with the corpora, as ordinary tests.
#[cfg(test)]
#[path = "../fuzz/targets/mod.rs"]
mod fuzz_targets;
