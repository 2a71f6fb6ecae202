//! `report` and `timeline`: a month in figures, and what became of a customer.

use crate::blackbox::{Home, events, lines};
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(a_month_is_reported, a_customer_has_a_timeline);

/// The subscription behind the shop's first three invoices.
const SUBSCRIPTION: &str = r#"
[[event]]
id = "evt_s1"
type = "customer.subscription.created"
at = "2025-01-05T09:30:00Z"
subscription = { id = "sub_1", customer = "cus_1", items = [{ price = "price_pro", product = "prod_pro", amount = 10000 }] }

[[event]]
id = "evt_s2"
type = "customer.subscription.updated"
at = "2025-02-20T10:00:00Z"
[event.subscription]
id = "sub_1"
customer = "cus_1"
created = "2025-01-05T09:30:00Z"
items = [{ price = "price_max", product = "prod_pro", amount = 240000, interval = "year" }]

[[event]]
id = "evt_s3"
type = "customer.subscription.deleted"
at = "2025-04-01T10:00:00Z"
[event.subscription]
id = "sub_1"
customer = "cus_1"
created = "2025-01-05T09:30:00Z"
items = [{ price = "price_max", product = "prod_pro", amount = 240000, interval = "year" }]
"#;

fn shop_with_a_subscription(home: &mut Home) {
    shop_with_sales(home);
    home.write("subscription.jsonl", lines(&events(SUBSCRIPTION)));
    home.ok("events import subscription.jsonl");
}

fn a_month_is_reported(home: &mut Home) {
    shop_with_a_subscription(home);
    home.run("report partners --month 2025-02 --mode live");
    home.run("report products --month 2025-02 --mode live");
    home.run("report links --month 2025-02 --mode live");
    home.run("report partners --month 2025-02 --mode live --csv");
    home.run("report products --month 2025-02 --mode live --json");
    home.run("report partners --month 2025-04 --mode live");
    home.remark("a month to come, and no month");
    home.run("report partners --month 2999-01");
    home.run("report partners --month February");
    home.run("report partners --month 2025-02 --csv --json");
    shows!("reports", home.transcript());
}

fn a_customer_has_a_timeline(home: &mut Home) {
    shop_with_a_subscription(home);
    home.run("timeline in_3 --mode live");
    home.run("timeline pi_2 --mode live --json");
    home.run("timeline in_99 --mode live");
    shows!("timeline", home.transcript());
}
