//! The command line from outside: the real program, its answers, its files and its exit codes, on both engines.

#[path = "../blackbox/mod.rs"]
mod blackbox;

mod apply;
mod events;
mod explain;
mod money;
mod months;
mod proof;
mod usage;

use blackbox::{Home, events, fixture, lines};

/// A home with the shop's program and none of its sales.
fn shop(mut home: Home) -> Home {
    home.write("program.toml", fixture("shop/program.toml"));
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    home.write("test-mode.jsonl", lines(&events(&fixture("shop/test-mode.toml"))));
    home.ok("apply program.toml");
    home.remark("the shop's program was applied");
    home
}

/// A home with the shop's program and its sales.
fn shop_with_sales(home: Home) -> Home {
    let mut home = shop(home);
    home.ok("events import sales.jsonl");
    home.remark("the shop's sales were imported");
    home
}
