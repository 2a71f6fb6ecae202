//! Facts as Stripe's events might state them, with ids from so small a pool that they meet.

use chrono::TimeDelta;

use super::dice::Dice;
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::facts::{
    BillingReason, ChargeBooked, ChargeFact, CheckoutFact, CheckoutMode, CheckoutStatus, CreditNoteFact, CustomerFact,
    DisputeFact, DisputeMoney, EventFacts, Fact, IntentFact, InvoiceFact, InvoicePaymentFact, InvoiceStatus, Line,
    Link, Metadata, RefundFact, RefundStatus, Stamp, SubscriptionFact,
};

const CUSTOMERS: [&str; 2] = ["cus_1", "cus_2"];
const INVOICES: [&str; 3] = ["in_1", "in_2", "in_3"];
const INTENTS: [&str; 3] = ["pi_1", "pi_2", "pi_3"];
const CHARGES: [&str; 3] = ["ch_1", "ch_2", "ch_3"];
const SESSIONS: [&str; 2] = ["cs_1", "cs_2"];
const SUBSCRIPTIONS: [&str; 2] = ["sub_1", "sub_2"];
const EMAILS: [&str; 2] = ["ann@buyer.example", "pay@acme.example"];
const CODES: [&str; 2] = ["ACME20", "promo_1"];

/// A moment: in a year or so, with seconds that meet; now and then at the end of what Stripe can say.
pub fn moment(dice: &mut Dice<'_>) -> Time {
    let start = Time::from_timestamp(1_735_689_600, 0).unwrap_or_default();
    let steps = i64::from(dice.byte());
    let step = match dice.byte() {
        0..=100 => TimeDelta::days(2),
        101..=180 => TimeDelta::minutes(20),
        181..=220 => TimeDelta::seconds(1),
        221..=250 => TimeDelta::days(31),
        251 => return Time::from_timestamp(0, 0).unwrap_or_default(),
        252 => return Time::from_timestamp(253_402_300_799, 0).unwrap_or_default(),
        _ => TimeDelta::days(365),
    };
    start + TimeDelta::seconds(steps * step.num_seconds())
}

/// The next event; each has an id of its own.
pub fn event(dice: &mut Dice<'_>, number: usize) -> EventFacts {
    let created = moment(dice);
    let facts = (0..=usize::from(dice.once_in(4))).map(|_| fact(dice)).collect();
    let stamp = Stamp { created, event_id: format!("evt_{number}") };
    EventFacts { stamp, fetched_at: dice.once_in(8).then(|| moment(dice)), facts }
}

fn fact(dice: &mut Dice<'_>) -> Fact {
    match dice.below(10) {
        0 | 1 => Fact::Invoice(Box::new(invoice(dice))),
        2 => Fact::Checkout(Box::new(checkout(dice))),
        3 => Fact::Intent(intent(dice)),
        4 => Fact::Charge(charge(dice)),
        5 => Fact::Refund(refund(dice)),
        6 => Fact::Dispute(dispute(dice)),
        7 => Fact::CreditNote(credit_note(dice)),
        8 => Fact::InvoicePayment(InvoicePaymentFact {
            id: "inpay_1".to_owned(),
            invoice: dice.pick(&INVOICES).to_owned(),
            intent: dice.id(&INTENTS),
            charge: dice.id(&CHARGES),
            amount_paid: dice.amount(),
        }),
        _ => person(dice),
    }
}

fn currency(dice: &mut Dice<'_>) -> Currency {
    let code = if dice.once_in(16) { "jpy" } else { "usd" };
    code.parse().expect("these are currencies")
}

fn metadata(dice: &mut Dice<'_>) -> Metadata {
    let entries = [
        ("partner_key", "acme"),
        ("partner_key", "bolt"),
        ("partner_key", "nobody"),
        ("irclickid", "clk_1"),
        ("customer_key", "u-1"),
        ("product_key", "pro"),
        ("program_key", "saas"),
    ];
    (0..dice.below(3)).map(|_| dice.pick(&entries)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn codes(dice: &mut Dice<'_>) -> Vec<String> {
    if dice.once_in(4) { vec![dice.pick(&CODES).to_owned()] } else { Vec::new() }
}

fn link(dice: &mut Dice<'_>) -> Link {
    match dice.below(3) {
        0 => Link::Unsaid,
        1 => Link::None,
        _ => Link::To(dice.pick(&INVOICES).to_owned()),
    }
}

fn maybe_moment(dice: &mut Dice<'_>) -> Option<Time> {
    dice.once_in(2).then(|| moment(dice))
}

fn invoice(dice: &mut Dice<'_>) -> InvoiceFact {
    use BillingReason as Why;
    let total = dice.amount();
    let whys = [
        Why::SubscriptionCreate,
        Why::SubscriptionCycle,
        Why::SubscriptionUpdate,
        Why::Manual,
        Why::QuoteAccept,
        Why::AutomaticPendingInvoiceItem,
        Why::Other,
    ];
    InvoiceFact {
        id: dice.pick(&INVOICES).to_owned(),
        customer: dice.id(&CUSTOMERS),
        email: dice.id(&EMAILS),
        subscription: dice.id(&SUBSCRIPTIONS),
        billing_reason: dice.maybe(&whys),
        currency: currency(dice),
        status: dice.pick(&[InvoiceStatus::Paid, InvoiceStatus::Open, InvoiceStatus::Void]),
        total,
        tax: if dice.once_in(3) { dice.amount() } else { total / 7 },
        amount_due: if dice.once_in(4) { dice.amount() } else { total },
        paid_on_stripe: if dice.once_in(4) { dice.amount() } else { total },
        paid_off_stripe: if dice.once_in(8) { dice.amount() } else { 0 },
        created: maybe_moment(dice),
        paid_at: maybe_moment(dice),
        voided_at: dice.once_in(8).then(|| moment(dice)),
        intents: dice.id(&INTENTS).into_iter().collect(),
        charges: dice.id(&CHARGES).into_iter().collect(),
        metadata: metadata(dice),
        subscription_metadata: metadata(dice),
        empty_snapshot: dice.once_in(4),
        promotion_codes: codes(dice),
        lines: (0..dice.below(4)).map(|number| line(dice, number, total)).collect(),
        hidden_discounts: dice.once_in(6),
        unseen_lines: if dice.once_in(8) { dice.amount() } else { 0 },
        failed: None,
    }
}

fn line(dice: &mut Dice<'_>, number: usize, total: i64) -> Line {
    Line {
        id: format!("il_{number}"),
        amount: if dice.once_in(2) { dice.amount() } else { total },
        price: dice.id(&["price_1", "price_2"]),
        product: dice.id(&["prod_1", "prod_2"]),
        interval: dice.id(&["month", "year"]),
        proration: dice.once_in(4),
        subscription: dice.once_in(2),
        period_start: maybe_moment(dice),
        period_end: maybe_moment(dice),
        metadata: metadata(dice),
    }
}

fn checkout(dice: &mut Dice<'_>) -> CheckoutFact {
    let total = dice.amount();
    CheckoutFact {
        id: dice.pick(&SESSIONS).to_owned(),
        mode: dice.pick(&[CheckoutMode::Payment, CheckoutMode::Subscription, CheckoutMode::Setup]),
        status: dice.pick(&[CheckoutStatus::Paid, CheckoutStatus::Completed, CheckoutStatus::Open]),
        customer: dice.id(&CUSTOMERS),
        email: dice.id(&EMAILS),
        invoice: dice.id(&INVOICES),
        intent: dice.id(&INTENTS),
        subscription: dice.id(&SUBSCRIPTIONS),
        currency: if dice.once_in(8) { None } else { Some(currency(dice)) },
        total,
        subtotal: if dice.once_in(4) { dice.amount() } else { total },
        tax: if dice.once_in(4) { dice.amount() } else { 0 },
        created: maybe_moment(dice),
        client_reference: dice.id(&["acme", "bolt", "clk_1", "u-1"]),
        metadata: metadata(dice),
        promotion_codes: codes(dice),
        lines: (0..dice.below(3)).map(|number| line(dice, number, total)).collect(),
    }
}

fn intent(dice: &mut Dice<'_>) -> IntentFact {
    IntentFact {
        id: dice.pick(&INTENTS).to_owned(),
        customer: dice.id(&CUSTOMERS),
        email: dice.id(&EMAILS),
        invoice: link(dice),
        currency: currency(dice),
        received: dice.amount(),
        charges: dice.id(&CHARGES).into_iter().collect(),
        created: maybe_moment(dice),
        metadata: metadata(dice),
    }
}

fn charge(dice: &mut Dice<'_>) -> ChargeFact {
    let captured = dice.amount();
    ChargeFact {
        id: dice.pick(&CHARGES).to_owned(),
        intent: dice.id(&INTENTS),
        customer: dice.id(&CUSTOMERS),
        email: dice.id(&EMAILS),
        invoice: link(dice),
        currency: currency(dice),
        captured,
        refunded: if dice.once_in(3) { dice.amount() } else { 0 },
        booked: dice.once_in(3).then(|| ChargeBooked { fee: dice.amount(), amount: captured, at: moment(dice) }),
        created: maybe_moment(dice),
        metadata: metadata(dice),
    }
}

fn refund(dice: &mut Dice<'_>) -> RefundFact {
    let statuses = [RefundStatus::Succeeded, RefundStatus::Pending, RefundStatus::Failed, RefundStatus::Canceled];
    RefundFact {
        id: dice.pick(&["re_1", "re_2", "re_3"]).to_owned(),
        charge: dice.id(&CHARGES),
        intent: dice.id(&INTENTS),
        currency: currency(dice),
        amount: dice.amount(),
        status: dice.pick(&statuses),
        created: maybe_moment(dice),
    }
}

fn dispute(dice: &mut Dice<'_>) -> DisputeFact {
    DisputeFact {
        id: dice.pick(&["dp_1", "dp_2"]).to_owned(),
        charge: dice.id(&CHARGES),
        intent: dice.id(&INTENTS),
        currency: currency(dice),
        amount: dice.amount(),
        money: dice.pick(&[DisputeMoney::Taken, DisputeMoney::Returned, DisputeMoney::Unmoved]),
        taken_at: maybe_moment(dice),
        returned_at: maybe_moment(dice),
    }
}

fn credit_note(dice: &mut Dice<'_>) -> CreditNoteFact {
    CreditNoteFact {
        id: dice.pick(&["cn_1", "cn_2"]).to_owned(),
        invoice: dice.pick(&INVOICES).to_owned(),
        customer: dice.id(&CUSTOMERS),
        currency: currency(dice),
        out_of_band: dice.amount(),
        refunds: dice.id(&["re_1", "re_2", "re_3"]).into_iter().collect(),
        voided: dice.once_in(3),
        voided_at: maybe_moment(dice),
        created: maybe_moment(dice),
    }
}

fn person(dice: &mut Dice<'_>) -> Fact {
    if dice.once_in(2) {
        return Fact::Subscription(SubscriptionFact {
            id: dice.pick(&SUBSCRIPTIONS).to_owned(),
            customer: dice.id(&CUSTOMERS),
            created: maybe_moment(dice),
            is_creation: dice.once_in(2),
            metadata: metadata(dice),
            promotion_codes: codes(dice),
            prices: Vec::new(),
            state: None,
        });
    }
    Fact::Customer(CustomerFact {
        id: dice.pick(&CUSTOMERS).to_owned(),
        email: dice.id(&EMAILS),
        created: maybe_moment(dice),
        is_creation: dice.once_in(2),
        metadata: metadata(dice),
        promotion_codes: codes(dice),
    })
}
