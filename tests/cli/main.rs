//! The command line from outside: the real program, its answers, its files and its exit codes, on both engines.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

#[path = "../blackbox/mod.rs"]
mod blackbox;
#[path = "../support/fake_stripe/mod.rs"]
mod fake_stripe;
#[path = "../support/smtp.rs"]
mod smtp;

mod apply;
mod archive;
mod events;
mod explain;
mod fetching;
mod files;
mod imports;
mod mails;
mod money;
mod months;
mod proof;
mod reports;
mod statements;
mod usage;

use blackbox::{Home, events, fixture, lines};

/// Applies the shop's program; its sales lie ready.
fn shop(home: &mut Home) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    home.write("test-mode.jsonl", lines(&events(&fixture("shop/test-mode.toml"))));
    home.ok("apply program.toml");
    home.remark("the shop's program was applied");
}

/// Applies the shop's program and imports its sales.
fn shop_with_sales(home: &mut Home) {
    shop(home);
    home.ok("events import sales.jsonl");
    home.remark("the shop's sales were imported");
}
