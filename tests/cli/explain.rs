//! `explain`: why a payment was credited, or was not.

use crate::blackbox::Home;
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(every_answer_has_its_reasons, the_test_book_is_another);

fn every_answer_has_its_reasons(home: &mut Home) {
    shop_with_sales(home);
    for (what, reference) in [
        ("credited", "in_1"),
        ("the same by its payment intent", "pi_1"),
        ("partly refunded", "in_2"),
        ("refunded", "in_3"),
        ("a partner nobody knows", "in_4"),
        ("a click nobody knows", "in_5"),
        ("never paid", "in_6"),
        ("a checkout in yen", "cs_7"),
        ("no evidence", "in_8"),
        ("a reference nobody knows", "in_99"),
        ("no reference at all", "acme"),
    ] {
        home.remark(what);
        home.run(&format!("explain {reference} --mode live"));
    }
    home.run("explain in_2 --json");
    home.run("explain in_4 --json");
    home.run("explain in_99 --json");
    shows!("explain", home.transcript());
}

fn the_test_book_is_another(home: &mut Home) {
    shop_with_sales(home);
    home.ok("events import test-mode.jsonl");
    home.run("explain in_t1");
    home.run("explain in_t1 --mode test");
    home.run("explain in_1 --mode test");
    home.run("balances --mode test");
    home.run("balances --mode live");
    home.run("ledger export --mode test");
    shows!("explain_test_book", home.transcript());
}
