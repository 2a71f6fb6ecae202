//! Buyers of single things: shops' customers, guests, invoiced businesses, and those who never pay.

use chrono::Duration;

use super::billing::{Bill, Entry, Paid, Pay, Plan, enter, first_invoice_metadata, invoice, tax, undivided};
use super::buyer::{Buyer, Clue};
use super::taken::Fate;
use super::{Teller, whole};
use crate::domain::Time;
use crate::sample::books::SaleKind;
use crate::sample::event::{Kind, Object};
use crate::sample::merchant::InvoiceEvents;
use crate::sample::program::Program;
use crate::sample::shape::Metadata;
use crate::sample::shape::checkout::Session;

/// When the money of a checkout arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Money {
    AtOnce,
    /// Bank debits take days.
    After(Duration),
    NeverAfter(Duration),
}

/// One payment-mode checkout.
#[derive(Debug, Clone, Copy)]
struct Purchase {
    at: Time,
    product_key: &'static str,
    invoice: bool,
    money: Money,
    /// The session bears the buyer's clues.
    marked: bool,
}

const SHOP_CLUES: [Clue; 6] =
    [Clue::Session, Clue::Session, Clue::ClientReference, Clue::Customer, Clue::UnknownClick, Clue::None];

/// A customer who buys single things now and then.
pub(super) fn regular(teller: &mut Teller<'_>) {
    let coded = teller.random.chance(30);
    let mut buyer = teller.buyer(if coded { &[Clue::Code] } else { &SHOP_CLUES }, false);
    let mut at = teller.joining(70);
    teller.customer_created(&buyer, at);
    at += Duration::seconds(5);
    let count = teller.random.between(1, 4);
    for number in 1..=count {
        let first = number == 1;
        let product_key = *teller.random.pick(&["course", "course", "gift"]);
        // A code shows on an invoice in every version, on a session only since 2025.
        let invoice = (coded && first) || teller.random.chance(30);
        // The product of an invoice's line is the line's: a session says it only where there is no invoice.
        let product_key = if invoice { "course" } else { product_key };
        let money = if invoice { Money::AtOnce } else { teller.money() };
        let purchase = Purchase { at, product_key, invoice, money, marked: first };
        if let Some(mut paid) = teller.purchase(&mut buyer, purchase)
            && teller.random.chance(25)
        {
            let free = number == count || !buyer.is_built_upon(paid.sale);
            teller.mishap(&mut buyer, &mut paid, free);
        } else if buyer.sales.is_empty() {
            // The money of the marked session never came: what follows would have no clue.
            break;
        }
        at += teller.days(20, 70);
    }
    teller.histories.push(buyer.sales);
}

/// A guest buys once.
pub(super) fn guest(teller: &mut Teller<'_>) {
    let mut clues = vec![Clue::Session, Clue::Session, Clue::ClientReference, Clue::UnknownPartner, Clue::None];
    if teller.options.codes_on_sessions {
        clues.extend([Clue::Code, Clue::Code]);
    }
    let mut buyer = teller.buyer(&clues, true);
    let (at, money) = (teller.joining(95), teller.money());
    let purchase = Purchase { at, product_key: "course", invoice: false, money, marked: true };
    if let Some(mut paid) = teller.purchase(&mut buyer, purchase)
        && teller.random.chance(30)
    {
        teller.mishap(&mut buyer, &mut paid, true);
    }
    teller.histories.push(buyer.sales);
}

/// A business that gets invoices by hand and pays them by bank.
pub(super) fn invoiced(teller: &mut Teller<'_>) {
    let mut buyer = teller.buyer(&[Clue::Customer, Clue::Invoice], false);
    let mut at = teller.joining(60);
    teller.customer_created(&buyer, at);
    at += Duration::minutes(9);
    let by_bank = teller.options.invoices != InvoiceEvents::Succeeded;
    for _ in 0..teller.random.between(1, 3) {
        let mut bill = teller.manual_bill(&buyer, at);
        if by_bank && teller.random.chance(70) {
            bill.pay = Pay::OutOfBand(teller.days(1, 15));
        }
        if teller.random.chance(25) {
            teller.unpaid(&buyer, &bill, Kind::InvoiceVoided);
            bill.due_at += Duration::hours(3);
        }
        let paid = teller.bill(&mut buyer, &bill);
        at = paid.at + teller.days(20, 60);
    }
    // The last one is entered as paid by mistake, and voided.
    if by_bank && teller.random.chance(50) {
        let mut bill = teller.manual_bill(&buyer, at);
        bill.pay = Pay::OutOfBand(teller.days(1, 3));
        let paid = teller.bill(&mut buyer, &bill);
        teller.void(&mut buyer, &paid);
    }
    teller.histories.push(buyer.sales);
}

/// Somebody who clicks, tries and never pays.
pub(super) fn never_pays(teller: &mut Teller<'_>) {
    let mut buyer = teller.buyer(&[Clue::Session], false);
    let at = teller.joining(90);
    teller.customer_created(&buyer, at);
    let expired = Session {
        id: teller.id("cs_live"),
        customer: buyer.customer.clone(),
        currency: buyer.currency,
        amount_subtotal: Some(whole(buyer.currency, 5000)),
        metadata: buyer.marks.session.clone(),
        ..Session::default()
    };
    teller.happen(Kind::SessionExpired, at + Duration::days(1), Object::Session(Box::new(expired)));
    let money = Money::NeverAfter(teller.days(2, 6));
    let at = at + Duration::days(3);
    teller.purchase(&mut buyer, Purchase { at, product_key: "course", invoice: false, money, marked: true });
    let bill = teller.manual_bill(&buyer, at + Duration::days(9));
    teller.unpaid(&buyer, &bill, Kind::InvoiceMarkedUncollectible);
}

/// A payment that belongs to no invoice and no session: it earns nothing unless the merchant says so.
pub(super) fn direct(teller: &mut Teller<'_>) {
    let buyer = teller.buyer(&[Clue::Session], false);
    let at = teller.joining(95);
    let amount = whole(buyer.currency, 7777);
    let metadata = buyer.marks.session.clone();
    let mut charge = teller.card(&buyer, None, amount, at, &metadata);
    if teller.random.chance(30) {
        let later = at + teller.days(1, 9);
        teller.refund(&buyer, &mut charge, amount, later, Fate::Succeeds);
    }
}

/// Buys, gives it back, and buys again: what a program pays once is paid for the second purchase.
pub(super) fn returns_first(teller: &mut Teller<'_>) {
    let mut buyer = loop {
        let buyer = teller.buyer(&[Clue::Session], false);
        if buyer.program() == Some(Program::Counted) {
            break buyer;
        }
    };
    let mut at = teller.joining(60);
    teller.customer_created(&buyer, at);
    for number in 0..3 {
        let purchase = Purchase { at, product_key: "course", invoice: false, money: Money::AtOnce, marked: true };
        if let Some(paid) = teller.purchase(&mut buyer, purchase)
            && number == 0
            && let Some(mut charge) = paid.charge
        {
            let later = at + teller.days(1, 5);
            let taken = teller.refund(&buyer, &mut charge, paid.amount, later, Fate::Succeeds);
            buyer.sales[paid.sale].taken.push(taken);
        }
        at += teller.days(10, 30);
    }
    teller.histories.push(buyer.sales);
}

impl Teller<'_> {
    fn money(&mut self) -> Money {
        match self.random.below(10) {
            0 | 1 => Money::After(self.days(2, 6)),
            2 => Money::NeverAfter(self.days(2, 6)),
            _ => Money::AtOnce,
        }
    }

    /// A single thing for a subscriber.
    pub(super) fn extra(&mut self, buyer: &mut Buyer, at: Time) {
        let invoice = self.random.chance(40);
        let purchase = Purchase { at, product_key: "course", invoice, money: Money::AtOnce, marked: false };
        if let Some(mut paid) = self.purchase(buyer, purchase)
            && self.random.chance(25)
        {
            self.mishap(buyer, &mut paid, false);
        }
    }

    fn thing(&mut self, buyer: &Buyer, key: &'static str) -> Plan {
        let amount = match buyer.currency.as_str() {
            "jpy" => self.random.between(1000, 20_000),
            "kwd" => self.random.between(4000, 60_000),
            "isk" => self.random.between(200_000, 3_000_000),
            _ => self.random.between(900, 19_900),
        };
        Plan { key, interval: None, amount: whole(buyer.currency, amount) }
    }

    /// A payment-mode checkout; nothing if its money never comes.
    fn purchase(&mut self, buyer: &mut Buyer, purchase: Purchase) -> Option<Paid> {
        let thing = self.thing(buyer, purchase.product_key);
        let marks = if purchase.marked { buyer.marks.clone() } else { super::buyer::Marks::default() };
        let discount = if marks.code.is_some() { whole(buyer.currency, thing.amount / 5) } else { 0 };
        let (tax, within) = tax(buyer.tax, buyer.currency, thing.amount - discount);
        let mut metadata = marks.session.clone();
        if !purchase.invoice {
            metadata.insert("product_key".to_owned(), thing.key.to_owned());
        }
        let mut session = Session {
            id: self.id("cs_live"),
            customer: buyer.customer.clone(),
            customer_email: Some(buyer.email.clone()),
            currency: buyer.currency,
            created: Some(purchase.at - Duration::minutes(4)),
            amount_subtotal: Some(thing.amount),
            discount,
            tax,
            tax_inclusive: within,
            promotion_code: marks.code.clone(),
            metadata,
            client_reference_id: marks.client_reference.clone(),
            ..Session::default()
        };
        if purchase.invoice {
            return Some(self.purchase_with_invoice(buyer, session, thing, purchase.at));
        }
        let total = session.amount_total();
        let paid_at = match purchase.money {
            Money::AtOnce => purchase.at,
            Money::After(wait) | Money::NeverAfter(wait) => {
                session.payment_intent = Some(self.id("pi"));
                let unpaid = Session { payment_status: Some("unpaid".to_owned()), ..session.clone() };
                self.happen(Kind::SessionCompleted, purchase.at, Object::Session(Box::new(unpaid)));
                purchase.at + wait
            }
        };
        if let Money::NeverAfter(_) = purchase.money {
            self.happen(Kind::SessionAsyncPaymentFailed, paid_at, Object::Session(Box::new(session)));
            return None;
        }
        let charge = self.money_for(buyer, &mut session, total, paid_at);
        let kind =
            if purchase.money == Money::AtOnce { Kind::SessionCompleted } else { Kind::SessionAsyncPaymentSucceeded };
        let refs = vec![session.id.clone(), charge.intent.clone(), charge.id.clone()];
        self.happen(kind, paid_at, Object::Session(Box::new(session)));
        let parts = vec![undivided(thing.key, total, total, tax)];
        let sale = enter(buyer, refs, SaleKind::OneOff, parts, total, paid_at, (paid_at, paid_at));
        Some(Paid { sale, invoice: None, charge: Some(charge), amount: total, total, tax, at: paid_at })
    }

    /// The card payment of a session, by the payment intent it named before if it did.
    fn money_for(&mut self, buyer: &Buyer, session: &mut Session, total: i64, at: Time) -> super::billing::ChargeMade {
        let from = self.events.len();
        let mut charge = self.card(buyer, None, total, at, &Metadata::new());
        if let Some(intent) = &session.payment_intent {
            charge.intent.clone_from(intent);
            for event in &mut self.events[from..] {
                match &mut event.object {
                    Object::Charge(charge) => charge.payment_intent = Some(intent.clone()),
                    Object::PaymentIntent(it) => it.id.clone_from(intent),
                    _ => {}
                }
            }
        } else if self.random.chance(10) {
            // Authorized first, captured after.
            if let Object::Charge(authorized) = &mut self.events[from].object {
                let captured = authorized.clone();
                authorized.captured = false;
                self.happen(Kind::ChargeCaptured, at, Object::Charge(captured));
            }
        }
        session.payment_intent = Some(charge.intent.clone());
        charge
    }

    /// A checkout that also makes an invoice: the same money, told twice.
    fn purchase_with_invoice(&mut self, buyer: &mut Buyer, session: Session, thing: Plan, at: Time) -> Paid {
        let entry = Entry { plan: thing, amount: thing.amount, start: at, end: at, proration: false };
        let mut bill = one_off(vec![entry], at);
        bill.discount = session.discount;
        bill.code.clone_from(&session.promotion_code);
        bill.refs.push(session.id.clone());
        if !session.metadata.is_empty() || session.client_reference_id.is_some() {
            buyer.known_from = Some(at + Duration::seconds(1));
        }
        let paid = self.bill(buyer, &bill);
        let mut session = Session { invoice: paid.invoice.clone(), ..session };
        session.payment_intent = paid.charge.as_ref().map(|charge| charge.intent.clone());
        self.happen(Kind::SessionCompleted, at + Duration::seconds(1), Object::Session(Box::new(session)));
        paid
    }

    fn manual_bill(&mut self, buyer: &Buyer, at: Time) -> Bill {
        let thing = self.thing(buyer, "course");
        let entry = Entry { plan: thing, amount: thing.amount, start: at, end: at, proration: false };
        let mut bill = one_off(vec![entry], at);
        bill.metadata = first_invoice_metadata(buyer);
        bill
    }

    /// An invoice that is never paid, and what becomes of it (`kind`).
    pub(super) fn unpaid(&mut self, buyer: &Buyer, bill: &Bill, kind: Kind) {
        let invoice = invoice(buyer, bill, self.id("in"));
        let failed = Object::Invoice(Box::new(invoice.clone()));
        self.happen(Kind::InvoicePaymentFailed, bill.due_at, failed);
        let at = bill.due_at + Duration::hours(2);
        self.happen(kind, at, Object::Invoice(Box::new(invoice)));
    }

    /// Voids an invoice that was paid.
    fn void(&mut self, buyer: &mut Buyer, paid: &Paid) {
        let told = self.events.iter().rev().find_map(|event| match &event.object {
            Object::Invoice(invoice) if Some(&invoice.id) == paid.invoice.as_ref() => Some(invoice.clone()),
            _ => None,
        });
        let Some(mut invoice) = told else { return };
        let at = paid.at + self.days(1, 9);
        invoice.status = Some("void".to_owned());
        self.happen(Kind::InvoiceVoided, at, Object::Invoice(invoice));
        buyer.sales[paid.sale].voided_at = Some(at);
    }
}

fn one_off(entries: Vec<Entry>, due_at: Time) -> Bill {
    Bill {
        subscription: None,
        subscription_metadata: Metadata::new(),
        metadata: Metadata::new(),
        reason: "manual",
        kind: SaleKind::OneOff,
        entries,
        discount: 0,
        code: None,
        refs: Vec::new(),
        due_at,
        pay: Pay::Card,
    }
}
