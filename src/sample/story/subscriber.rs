//! Subscribers: checkouts, trials, renewals, upgrades, cancellations.

use chrono::{Duration, Months};

use super::Teller;
use super::billing::{Bill, Entry, Paid, Pay, first_invoice_metadata};
use super::buyer::{Buyer, Clue, Tax};
use super::contract::{Contract, discount, period_number, prorations};
use crate::domain::Time;
use crate::sample::books::SaleKind;
use crate::sample::event::{Kind, Object};
use crate::sample::merchant::InvoiceEvents;
use crate::sample::program::Program;
use crate::sample::shape::checkout::Session;

/// How a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Paying,
    Trial,
    /// The first month at a discount of 100 %.
    FreeMonth,
}

/// What becomes of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    UpgradeNow,
    UpgradeWithNextCycle,
    Downgrade,
}

/// What a subscriber may be known by; twice what is frequent.
pub(super) const CLUES: [Clue; 19] = [
    Clue::Session,
    Clue::Session,
    Clue::Session,
    Clue::ClientReference,
    Clue::Code,
    Clue::Code,
    Clue::Subscription,
    Clue::Subscription,
    Clue::Customer,
    Clue::Customer,
    Clue::Invoice,
    Clue::LateCustomer,
    Clue::LateSubscription,
    Clue::SessionAgainstCode,
    Clue::SessionAgainstSubscription,
    Clue::UnknownPartner,
    Clue::OwnPurchase,
    Clue::OwnCode,
    Clue::None,
];

/// Clues that are there from the first payment on.
const EARLY: [Clue; 6] =
    [Clue::Session, Clue::Code, Clue::Subscription, Clue::Customer, Clue::ClientReference, Clue::UnknownClick];

/// One customer, one subscription.
pub(super) fn single(teller: &mut Teller<'_>, clues: &[Clue]) {
    let mut buyer = teller.buyer(clues, false);
    let at = teller.joining(65);
    teller.customer_created(&buyer, at);
    teller.subscribe(&mut buyer, at, true, true);
    if teller.random.chance(5) {
        let later = teller.end() + Duration::days(1);
        teller.customer_event(&buyer, Kind::CustomerDeleted, at, later);
    }
    teller.histories.push(buyer.sales);
}

/// One customer, and a further subscription some months later.
pub(super) fn twice(teller: &mut Teller<'_>) {
    let mut buyer = teller.buyer(&EARLY, false);
    let at = teller.joining(40);
    teller.customer_created(&buyer, at);
    teller.subscribe(&mut buyer, at, true, false);
    let later = at + teller.days(70, 160);
    if !has_paid(&buyer, later) {
        teller.histories.push(buyer.sales);
        return;
    }
    // The first subscription's winner keeps the customer: the second one brings no clue.
    buyer.marks = super::buyer::Marks { customer: buyer.marks.customer.clone(), ..Default::default() };
    buyer.clue = Clue::None;
    teller.subscribe(&mut buyer, later, false, false);
    teller.histories.push(buyer.sales);
}

/// A subscriber who also buys single things.
pub(super) fn with_extras(teller: &mut Teller<'_>) {
    let mut buyer = teller.buyer(&EARLY, false);
    let at = teller.joining(50);
    teller.customer_created(&buyer, at);
    teller.subscribe(&mut buyer, at, true, false);
    let mut when = at + teller.days(61, 80);
    for _ in 0..if has_paid(&buyer, when) { teller.random.between(1, 3) } else { 0 } {
        teller.extra(&mut buyer, when);
        when += teller.days(5, 50);
    }
    teller.histories.push(buyer.sales);
}

/// Two Stripe customers that are one: the second carries the first one's customer key, and nothing else.
pub(super) fn joined(teller: &mut Teller<'_>) {
    let mut buyer = teller.buyer(&EARLY, false);
    let key = format!("user-{}", teller.random.letters(8));
    buyer.marks.customer.insert("customer_key".to_owned(), key);
    let at = teller.joining(40);
    teller.customer_created(&buyer, at);
    teller.subscribe(&mut buyer, at, true, false);
    let later = at + teller.days(70, 160);
    if !has_paid(&buyer, later) {
        teller.histories.push(buyer.sales);
        return;
    }
    let joined = buyer.marks.customer.get("customer_key").cloned().unwrap_or_default();
    buyer.marks = super::buyer::Marks { customer: super::one("customer_key", &joined), ..Default::default() };
    buyer.clue = Clue::None;
    buyer.customer = Some(format!("cus_{}{}", teller.tag, teller.random.letters(8)));
    buyer.balance = 0;
    teller.customer_created(&buyer, later);
    teller.subscribe(&mut buyer, later, false, false);
    teller.histories.push(buyer.sales);
}

/// The subscription has brought money: whatever comes now is not the first.
fn has_paid(buyer: &Buyer, by: Time) -> bool {
    buyer.sales.iter().any(|sale| sale.paid > 0 && sale.paid_at < by)
}

impl Teller<'_> {
    /// A whole subscription from its checkout to its end. Where it `may_end` by everything being taken back, nothing
    /// else may follow.
    fn subscribe(&mut self, buyer: &mut Buyer, at: Time, first: bool, may_end: bool) {
        let mut contract = self.contract(buyer, at, first);
        let turn = self.turn(buyer, &contract);
        let begin = self.begin(buyer, &contract);
        let mut period = at + Duration::seconds(4);
        if begin == Begin::Trial {
            contract.trial_end = Some(period + Duration::days(14));
        }
        self.subscription_event(buyer, &contract, Kind::SubscriptionCreated, at + Duration::seconds(2));
        let mut number = 0;
        if begin != Begin::Paying {
            self.free_start(buyer, &contract, begin, period);
            number = u32::from(begin == Begin::FreeMonth);
            period = contract.trial_end.unwrap_or(period);
        }
        let anchor = period;
        let yearly = contract.plan.interval == Some("year");
        let turns_at = if yearly { 0 } else { u32::try_from(self.random.between(2, 5)).expect("a small number") };
        let late_at = u32::try_from(self.random.between(1, 4)).expect("a small number");
        loop {
            let Some((start, next)) = period_number(&contract, anchor, number) else { return };
            if start >= self.end() {
                return;
            }
            if number == late_at {
                self.late_clue(buyer, &mut contract, at, start - Duration::days(2));
            }
            let renewal = number > 0 || begin != Begin::Paying;
            let upgrading = turn == Turn::UpgradeWithNextCycle && number == turns_at;
            let Some(mut paid) = self.cycle(buyer, &mut contract, (start, next), renewal, begin, upgrading) else {
                self.gives_up(buyer, &contract, start);
                return;
            };
            let turning = number == turns_at && matches!(turn, Turn::UpgradeNow | Turn::Downgrade);
            if turning {
                let when = start + if yearly { self.days(60, 200) } else { self.days(8, 20) };
                self.change(buyer, &mut contract, when, (start, next), turn == Turn::UpgradeNow);
            } else if self.random.chance(12) {
                let built_upon = buyer.is_built_upon(paid.sale);
                let all = self.mishap(buyer, &mut paid, may_end || !built_upon);
                if all && built_upon {
                    self.subscription_event(buyer, &contract, Kind::SubscriptionDeleted, paid.at + Duration::days(16));
                    return;
                }
            }
            if self.random.chance(3) {
                self.subscription_event(buyer, &contract, Kind::SubscriptionDeleted, next - Duration::days(1));
                return;
            }
            number += 1;
        }
    }

    fn turn(&mut self, buyer: &mut Buyer, contract: &Contract) -> Turn {
        if contract.addon.is_some() || !contract.first {
            return Turn::None;
        }
        let monthly = contract.plan.interval == Some("month");
        match (contract.plan.key, self.random.below(10)) {
            ("starter", 0 | 1) if monthly => {
                // Its invoice has lines of different rates: nothing may blur what was paid for which.
                buyer.tax = Tax::None;
                buyer.mixed = true;
                Turn::UpgradeWithNextCycle
            }
            ("starter", 2 | 3) => Turn::UpgradeNow,
            ("pro", 0 | 1) if monthly && buyer.program() != Some(Program::Counted) => {
                // A negative total would need a negative tax, and its credit is used up by the next invoices.
                buyer.tax = Tax::None;
                Turn::Downgrade
            }
            _ => Turn::None,
        }
    }

    fn begin(&mut self, buyer: &Buyer, contract: &Contract) -> Begin {
        // A code or a conflict of clues stands on the first invoice: it had better be one with money in it.
        let plain = matches!(buyer.clue, Clue::Session | Clue::Subscription | Clue::Customer | Clue::ClientReference);
        if !contract.first || !plain {
            return Begin::Paying;
        }
        match self.random.below(10) {
            0 | 1 => Begin::Trial,
            2 if contract.plan.interval == Some("month") => Begin::FreeMonth,
            _ => Begin::Paying,
        }
    }

    /// The first invoice, of nothing.
    fn free_start(&mut self, buyer: &mut Buyer, contract: &Contract, begin: Begin, at: Time) {
        let end = contract.trial_end.unwrap_or_else(|| at.checked_add_months(Months::new(1)).unwrap_or(at));
        let amount = if begin == Begin::Trial { 0 } else { contract.plan.amount };
        let entry = Entry { plan: contract.plan, amount, start: at, end, proration: false };
        let mut entries = vec![entry];
        if let (Some(plan), Begin::FreeMonth) = (contract.addon, begin) {
            entries.push(Entry { plan, amount: plan.amount, start: at, end, proration: false });
        }
        let mut bill = contract.bill("subscription_create", SaleKind::First, entries, at);
        bill.discount = bill.entries.iter().map(|entry| entry.amount).sum();
        self.checked_out(buyer, contract, bill, at);
    }

    /// One period's invoice; nothing if it is never paid.
    fn cycle(
        &mut self,
        buyer: &mut Buyer,
        contract: &mut Contract,
        (start, end): (Time, Time),
        renewal: bool,
        begin: Begin,
        upgrading: bool,
    ) -> Option<Paid> {
        let old = contract.plan;
        let mut entries = Vec::new();
        if upgrading {
            let since = start - self.days(5, 20);
            contract.plan = self.plan(buyer, "pro", "month");
            contract.metadata.insert("product_key".to_owned(), "pro".to_owned());
            self.subscription_event(buyer, contract, Kind::SubscriptionUpdated, since);
            entries.extend(prorations(buyer, old, contract.plan, since, (start - Duration::days(30), start)));
        }
        for plan in std::iter::once(contract.plan).chain(contract.addon) {
            entries.insert(0, Entry { plan, amount: plan.amount, start, end, proration: false });
        }
        let earlier = |sale: &crate::sample::books::Sale| sale.kind != SaleKind::OneOff && sale.paid > 0;
        let kind = match (contract.first && !buyer.sales.iter().any(earlier), renewal, begin) {
            (true, false, _) | (true, true, Begin::Trial | Begin::FreeMonth) => SaleKind::First,
            _ => SaleKind::Recurring,
        };
        let reason = if renewal { "subscription_cycle" } else { "subscription_create" };
        // Stripe leaves a renewal's draft open for an hour.
        let due_at = if renewal { start + Duration::hours(1) } else { start };
        let mut bill = contract.bill(reason, kind, entries, due_at);
        if contract.discount.invoices > 0 && !upgrading {
            contract.discount.invoices -= 1;
            bill.discount = discount(buyer, contract.discount.off, &bill.entries);
            // The code stays on the first invoice alone: whose discount it is later on changes nothing.
            bill.code = buyer.marks.code.clone().filter(|_| !renewal);
        }
        bill.metadata = first_invoice_metadata(buyer);
        if renewal && self.random.chance(2) && self.options.invoices != InvoiceEvents::Succeeded {
            self.uncollected(buyer, &bill);
            return None;
        }
        if renewal {
            bill.pay = match self.random.below(30) {
                0 | 1 => Pay::Retried(self.days(1, 5)),
                2 if self.options.invoices != InvoiceEvents::Succeeded => Pay::OutOfBand(self.days(1, 9)),
                _ => Pay::Card,
            };
            return Some(self.bill(buyer, &bill));
        }
        Some(self.checked_out(buyer, contract, bill, start))
    }

    /// The first invoice, with the checkout session that led to it if there was one.
    fn checked_out(&mut self, buyer: &mut Buyer, contract: &Contract, bill: Bill, at: Time) -> Paid {
        let marks = &buyer.marks;
        let needed = !marks.session.is_empty() || marks.client_reference.is_some() || marks.code.is_some();
        if !(needed || contract.first && self.random.chance(40)) {
            return self.bill(buyer, &bill);
        }
        // The session may well come after the invoice. Where two clues compete, each order would have its own moments.
        let alone = marks.code.is_none() && buyer.clue != Clue::SessionAgainstSubscription;
        let session_at =
            if alone && self.random.chance(50) { at + self.seconds(5, 90) } else { at - Duration::seconds(1) };
        if !marks.session.is_empty() || marks.client_reference.is_some() {
            buyer.known_from = Some(session_at);
        }
        let mut session = Session {
            id: self.id("cs_live"),
            mode: "subscription".to_owned(),
            customer: buyer.customer.clone(),
            customer_email: Some(buyer.email.clone()),
            currency: buyer.currency,
            created: Some(at - Duration::minutes(3)),
            promotion_code: marks.code.clone(),
            metadata: marks.session.clone(),
            client_reference_id: marks.client_reference.clone(),
            subscription: Some(contract.id.clone()),
            discount: bill.discount,
            ..Session::default()
        };
        let paid = self.bill(buyer, &Bill { refs: vec![session.id.clone()], ..bill });
        session.amount_total = Some(paid.total);
        session.tax = paid.tax;
        session.tax_inclusive = buyer.tax == Tax::Within;
        session.invoice.clone_from(&paid.invoice);
        session.payment_status = (paid.total == 0).then(|| "no_payment_required".to_owned());
        self.happen(Kind::SessionCompleted, session_at, Object::Session(Box::new(session)));
        paid
    }

    /// An upgrade or downgrade that is billed at once.
    fn change(&mut self, buyer: &mut Buyer, contract: &mut Contract, at: Time, period: (Time, Time), up: bool) {
        let old = contract.plan;
        let interval = old.interval.expect("a subscription recurs");
        let new = self.plan(buyer, if up { "pro" } else { "starter" }, interval);
        contract.plan = new;
        contract.metadata.insert("product_key".to_owned(), new.key.to_owned());
        self.subscription_event(buyer, contract, Kind::SubscriptionUpdated, at);
        let entries = prorations(buyer, old, new, at, period);
        let bill = contract.bill("subscription_update", SaleKind::Change, entries, at + Duration::seconds(2));
        self.bill(buyer, &bill);
    }

    /// Evidence that comes after some payments.
    fn late_clue(&mut self, buyer: &mut Buyer, contract: &mut Contract, since: Time, at: Time) {
        match buyer.clue {
            Clue::LateCustomer => {
                buyer.marks.customer = buyer.marks.late.clone();
                self.customer_event(buyer, Kind::CustomerUpdated, since, at);
            }
            Clue::LateSubscription => {
                contract.metadata.extend(buyer.marks.late.clone());
                self.subscription_event(buyer, contract, Kind::SubscriptionUpdated, at);
            }
            _ => return,
        }
        buyer.known_from = Some(at);
    }

    /// A renewal that is never paid.
    fn uncollected(&mut self, buyer: &mut Buyer, bill: &Bill) {
        let kind = if self.random.chance(50) { Kind::InvoiceVoided } else { Kind::InvoiceMarkedUncollectible };
        self.unpaid(buyer, bill, kind);
    }

    fn gives_up(&mut self, buyer: &Buyer, contract: &Contract, at: Time) {
        self.subscription_event(buyer, contract, Kind::SubscriptionDeleted, at + Duration::days(22));
    }
}
