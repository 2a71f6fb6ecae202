//! Subscriptions as contracts: what is subscribed to, at which price, with which discount.

use chrono::{Duration, Months};

use super::billing::{Bill, Entry, Pay, Plan};
use super::buyer::{Buyer, Tax};
use super::{Teller, whole};
use crate::domain::Time;
use crate::sample::books::SaleKind;
use crate::sample::event::{Kind, Object};
use crate::sample::shape::Metadata;
use crate::sample::shape::customer::{Item, Subscription};

/// A subscription as it is.
#[derive(Debug, Clone)]
pub(super) struct Contract {
    pub id: String,
    pub since: Time,
    pub plan: Plan,
    /// A second line of every invoice.
    pub addon: Option<Plan>,
    pub metadata: Metadata,
    /// What each of the first invoices is reduced by.
    pub discount: Discount,
    pub trial_end: Option<Time>,
    /// It is the customer's first.
    pub first: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Discount {
    pub off: Off,
    pub invoices: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Off {
    Nothing,
    Percent(i64),
    Amount(i64),
}

impl Teller<'_> {
    pub(super) fn contract(&mut self, buyer: &mut Buyer, at: Time, first: bool) -> Contract {
        let interval = if self.random.chance(20) { "year" } else { "month" };
        let key = *self.random.pick(&["starter", "pro"]);
        let plan = self.plan(buyer, key, interval);
        let addon = (first && self.random.chance(12)).then(|| {
            let other = if plan.key == "pro" { "starter" } else { "pro" };
            self.plan(buyer, other, interval)
        });
        if addon.is_some() {
            buyer.mixed = true;
            buyer.tax = Tax::None;
        }
        let off = match self.random.below(6) {
            0 => Off::Percent(self.random.between(5, 30)),
            1 => Off::Amount(whole(buyer.currency, plan.amount * self.random.between(5, 25) / 100)),
            _ if buyer.marks.code.is_some() => Off::Percent(20),
            _ => Off::Nothing,
        };
        let mut metadata = buyer.marks.subscription.clone();
        metadata.insert("product_key".to_owned(), plan.key.to_owned());
        let invoices = u32::try_from(self.random.between(1, 6)).expect("a small number");
        let discount = Discount { off, invoices };
        Contract {
            id: self.id("sub"),
            since: at + Duration::seconds(2),
            plan,
            addon,
            metadata,
            discount,
            trial_end: None,
            first,
        }
    }

    /// A plan at this customer's price: merchants raise prices and keep old customers at theirs.
    pub(super) fn plan(&mut self, buyer: &Buyer, key: &'static str, interval: &'static str) -> Plan {
        let (starter, pro) = match buyer.currency.as_str() {
            "jpy" => (2900, 7900),
            "kwd" => (6500, 15_500),
            "isk" => (250_000, 690_000),
            _ => (1900, 4900),
        };
        let base = if key == "pro" { pro } else { starter };
        let raised = base + base * self.random.between(0, 40) / 100 + self.random.between(0, 99);
        let amount = whole(buyer.currency, if interval == "year" { raised * 10 } else { raised });
        Plan { key, interval: Some(interval), amount }
    }

    pub(super) fn subscription_event(&mut self, buyer: &Buyer, contract: &Contract, kind: Kind, at: Time) {
        let item = |plan: Plan| Item {
            price: plan.price(buyer.currency),
            product: Some(plan.product()),
            amount: plan.amount,
            interval: plan.interval.unwrap_or("month").to_owned(),
            price_metadata: super::one("product_key", plan.key),
            metadata: Metadata::new(),
        };
        let subscription = Subscription {
            id: contract.id.clone(),
            customer: buyer.customer.clone(),
            created: Some(contract.since),
            currency: buyer.currency,
            items: std::iter::once(contract.plan).chain(contract.addon).map(item).collect(),
            metadata: contract.metadata.clone(),
            promotion_code: buyer.marks.code.clone(),
            trial_end: contract.trial_end,
            ..Subscription::default()
        };
        self.happen(kind, at, Object::Subscription(subscription));
    }
}

impl Contract {
    pub(super) fn bill(&self, reason: &'static str, kind: SaleKind, entries: Vec<Entry>, due_at: Time) -> Bill {
        Bill {
            subscription: Some(self.id.clone()),
            subscription_metadata: self.metadata.clone(),
            metadata: Metadata::new(),
            reason,
            kind,
            entries,
            discount: 0,
            code: None,
            refs: Vec::new(),
            due_at,
            pay: Pay::Card,
        }
    }
}

/// The start and the end of the `number`th period, counted from the anchor as Stripe does.
pub(super) fn period_number(contract: &Contract, anchor: Time, number: u32) -> Option<(Time, Time)> {
    let months = if contract.plan.interval == Some("year") { 12 } else { 1 };
    let start = anchor.checked_add_months(Months::new(months * number))?;
    Some((start, anchor.checked_add_months(Months::new(months * (number + 1)))?))
}

/// The unused rest of the old plan, and the new one for as long.
pub(super) fn prorations(buyer: &Buyer, old: Plan, new: Plan, at: Time, (start, end): (Time, Time)) -> Vec<Entry> {
    let (left, all) = ((end - at).num_days().max(1), (end - start).num_days().max(1));
    let rest = |amount: i64| whole(buyer.currency, amount * left / all);
    vec![
        Entry { plan: old, amount: -rest(old.amount), start: at, end, proration: true },
        Entry { plan: new, amount: rest(new.amount), start: at, end, proration: true },
    ]
}

/// A discount on the lines, never one that two lines have an equal claim to the last unit of.
pub(super) fn discount(buyer: &Buyer, off: Off, entries: &[Entry]) -> i64 {
    let subtotal: i64 = entries.iter().map(|entry| entry.amount).sum();
    let mut discount = match off {
        Off::Nothing => 0,
        Off::Percent(percent) => whole(buyer.currency, subtotal * percent / 100),
        Off::Amount(amount) => amount,
    };
    let tied = |discount: i64| {
        entries.iter().any(|entry| {
            2 * (i128::from(discount) * i128::from(entry.amount) % i128::from(subtotal)) == i128::from(subtotal)
        })
    };
    while tied(discount) {
        discount -= super::step(buyer.currency);
    }
    discount
}
