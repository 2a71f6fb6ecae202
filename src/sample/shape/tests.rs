//! What the three shapes say, and what they leave out.

use serde_json::Value;

use super::*;

fn event(toml: &str) -> Event {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

/// The shortest description of every type.
fn smallest(kind: &Kind) -> Event {
    let object = match kind.table() {
        "invoice_payment" => "invoice_payment = { invoice = 'in_1', payment_intent = 'pi_1', amount_paid = 1 }",
        "charge" => "charge = { id = 'ch_1', amount = 1 }",
        "payment_intent" => "payment_intent = { id = 'pi_1', amount = 1 }",
        "refund" => "refund = { id = 're_1', amount = 1 }",
        "dispute" => "dispute = { id = 'dp_1', amount = 1, charge = 'ch_1' }",
        "credit_note" => "credit_note = { id = 'cn_1', invoice = 'in_1', amount = 1 }",
        "promotion_code" => "promotion_code = { id = 'promo_1', code = 'SAVE' }",
        table => &format!("{table} = {{ id = 'x_1' }}"),
    };
    event(&format!("type = '{}'\nat = '2026-01-05T10:00:00Z'\n{object}", kind.as_str()))
}

fn object(event: &Event, shape: Shape) -> Value {
    render(event, shape)["data"]["object"].clone()
}

const INVOICE: &str = r"
    type = 'invoice.paid'
    at = '2026-01-05T10:00:00Z'
    [invoice]
    id = 'in_1'
    customer = 'cus_1'
    subscription = 'sub_1'
    lines = [
        { amount = 10000, price = 'price_pro', product = 'prod_pro', interval = 'month' },
        { amount = -2500, price = 'price_old', product = 'prod_old', proration = true },
    ]
    discount = 1000
    promotion_code = 'promo_1'
    tax = 1235
    starting_balance = -735
    subscription_metadata = { partner_key = 'acme' }
    payment_intent = 'pi_1'
    charge = 'ch_1'
";

#[test]
fn every_type_renders_in_every_shape() {
    for kind in Kind::ALL {
        let event = smallest(kind);
        for shape in Shape::ALL {
            let body = render(&event, shape);
            assert_eq!(body["type"], kind.as_str());
            assert_eq!(body["created"], 1_767_607_200);
            assert!(body["data"]["object"]["object"].is_string(), "{kind:?}");
        }
    }
}

#[test]
fn sums_follow_from_lines_discount_tax_and_balance() {
    let invoice = object(&event(INVOICE), Shape::Hybrid);
    for (field, amount) in [
        ("subtotal", 7500),
        ("total_excluding_tax", 6500),
        ("total", 7735),
        ("amount_due", 7000),
        ("amount_paid", 7000),
        ("amount_remaining", 0),
        ("ending_balance", 0),
    ] {
        assert_eq!(invoice[field], amount, "{field}");
    }
}

#[test]
fn each_shape_has_its_own_fields_and_no_others() {
    let invoice = event(INVOICE);
    let [legacy, hybrid, new] = Shape::ALL.map(|shape| object(&invoice, shape));
    for field in ["subscription", "charge", "payment_intent", "paid", "tax", "total_tax_amounts", "discount"] {
        assert!(legacy.get(field).is_some() && hybrid.get(field).is_some() && new.get(field).is_none(), "{field}");
    }
    for field in ["parent", "total_taxes", "total_pretax_credit_amounts"] {
        assert!(legacy.get(field).is_none() && hybrid.get(field).is_some() && new.get(field).is_some(), "{field}");
    }
    for field in ["price", "plan", "proration", "type", "tax_amounts"] {
        let has = |invoice: &Value| invoice["lines"]["data"][0].get(field).is_some();
        assert!(has(&legacy) && has(&hybrid) && !has(&new), "{field}");
    }
    for field in ["pricing", "parent", "taxes"] {
        let has = |invoice: &Value| invoice["lines"]["data"][0].get(field).is_some();
        assert!(!has(&legacy) && has(&hybrid) && has(&new), "{field}");
    }
    assert_eq!(new["parent"]["subscription_details"]["metadata"]["partner_key"], "acme");
    assert_eq!(legacy["subscription_details"]["metadata"]["partner_key"], "acme");
    assert_eq!(new["lines"]["data"][1]["parent"]["invoice_item_details"]["proration"], true);
}

#[test]
fn only_the_new_shape_needs_an_event_more_for_the_link() {
    let invoice = event(INVOICE);
    assert_eq!(render_all(&invoice, Shape::Legacy).len(), 1);
    assert_eq!(render_all(&invoice, Shape::Hybrid).len(), 1);
    let [paid, link] = render_all(&invoice, Shape::New).try_into().unwrap();
    assert_eq!(link["data"]["object"]["payment"]["payment_intent"], "pi_1");
    assert_eq!(link["data"]["object"]["amount_paid"], 7000);
    assert_eq!(link["created"], paid["created"]);
    assert_ne!(link["id"], paid["id"]);
}

#[test]
fn new_charges_and_intents_do_not_know_their_invoice() {
    for toml in [
        "type = 'charge.succeeded'\nat = '2026-01-05T10:00:00Z'\ncharge = { id = 'ch_1', amount = 1, invoice = 'in_1' }",
        "type = 'payment_intent.succeeded'\nat = '2026-01-05T10:00:00Z'\npayment_intent = { id = 'pi_1', amount = 1, invoice = 'in_1' }",
    ] {
        assert_eq!(object(&event(toml), Shape::Legacy)["invoice"], "in_1");
        assert_eq!(object(&event(toml), Shape::New).get("invoice"), None);
    }
}

#[test]
fn out_of_band_money_counts_as_paid_since_basil_only() {
    let toml = "
        type = 'invoice.paid'
        at = '2026-01-05T10:00:00Z'
        invoice = { id = 'in_1', lines = [{ amount = 2000 }], out_of_band = true }";
    assert_eq!(object(&event(toml), Shape::Legacy)["amount_paid"], 0);
    assert_eq!(object(&event(toml), Shape::Hybrid)["paid_out_of_band"], true);
    assert_eq!(object(&event(toml), Shape::New)["amount_paid"], 2000);
}

#[test]
fn the_same_description_is_the_same_event() {
    assert_eq!(event(INVOICE).id, event(INVOICE).id);
    assert_ne!(event(INVOICE).id, event(&INVOICE.replace("7500", "7501").replace("tax = 1235", "tax = 1236")).id);
}

#[test]
fn mistakes_in_a_description_are_refused() {
    let at = "at = '2026-01-05T10:00:00Z'";
    for (toml, complaint) in [
        (format!("type = 'invoice.paid'\n{at}"), "needs a table `invoice`"),
        (format!("type = 'invoice.paid'\n{at}\ncustomer = {{ id = 'cus_1' }}"), "by the table `invoice` alone"),
        (format!("type = 'invoice.paid'\n{at}\ninvoice = {{ id = 'in_1', totl = 1 }}"), "unknown field `totl`"),
        (format!("type = 'invoice.paid'\n{at}\ninvoices = 1"), "unknown field `invoices`"),
    ] {
        let error = toml::from_str::<Event>(&toml).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn spreading_adds_up_to_the_whole() {
    assert_eq!(spread(100, &[1, 1, 1]), [34, 33, 33]);
    assert_eq!(spread(10, &[700, -500, 300]), [7, 0, 3]);
    assert_eq!(spread(5, &[0, 0]), [0, 0]);
}

#[test]
fn an_invoice_event_is_as_large_as_a_real_one() {
    for shape in Shape::ALL {
        let size = serde_json::to_string_pretty(&render(&event(INVOICE), shape)).unwrap().len();
        assert!((3000..16_000).contains(&size), "{shape:?}: {size}");
    }
}
