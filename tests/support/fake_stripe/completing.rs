//! What the API shows of a merchant's objects and events do not: the movements of money, refunds of which only a figure
//! was told, objects of which only the id is known.

use commission_bridge::sample::random::derived_id;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::merchant::Merchant;

/// What Stripe takes of a card payment.
const FEE_OF_THOUSAND: i64 = 29;
const FEE_FIXED: i64 = 30;

impl Merchant {
    /// The object that an event shows takes the place of what was known.
    pub(super) fn absorb(&mut self, kind: Kind, event_type: &str, object: &Value, at: i64) {
        let mut object = object.clone();
        let Some(id) = object["id"].as_str().map(str::to_owned) else { return };
        let before = self.get(kind, &id).cloned().unwrap_or_default();
        match kind {
            Kind::Invoice => keep_what_was_paid(&mut object, &before),
            Kind::InvoicePayment => self.paid_by(&object),
            Kind::Session => self.session(&object),
            Kind::Intent => self.intent(&mut object),
            Kind::Charge => self.charge(&mut object, &before, at),
            Kind::Refund => self.refund(&mut object),
            Kind::Dispute => self.dispute(&mut object, &before),
            Kind::Subscription => {
                for item in object["items"]["data"].as_array().cloned().into_iter().flatten() {
                    self.price(&item["price"]);
                }
            }
            Kind::Customer if event_type == "customer.deleted" => {
                self.delete(Kind::Customer, &id);
                self.deleted.insert(id);
                return;
            }
            _ => {}
        }
        if kind != Kind::Customer && kind != Kind::PromotionCode {
            self.customer_of(&object);
        }
        self.put(kind, object);
    }

    /// A customer of whom only the id is known.
    fn customer_of(&mut self, object: &Value) {
        let Some(id) = object["customer"].as_str().filter(|id| !self.deleted.contains(*id)) else { return };
        if self.get(Kind::Customer, id).is_some() {
            return;
        }
        let email =
            [&object["billing_details"]["email"], &object["customer_email"], &object["customer_details"]["email"]];
        let email = email.into_iter().find(|email| email.is_string());
        let customer = json!({
            "id": id, "object": "customer", "balance": 0, "created": object["created"], "currency": null,
            "delinquent": false, "discount": null, "email": email, "livemode": self.livemode, "metadata": {},
        });
        self.put(Kind::Customer, customer);
    }

    /// An invoice's payment names a payment intent of which nothing else may be known.
    fn paid_by(&mut self, payment: &Value) {
        let Some(intent) = payment["payment"]["payment_intent"].as_str() else { return };
        if self.get(Kind::Intent, intent).is_some() {
            return;
        }
        let customer = payment["invoice"].as_str().and_then(|id| self.get(Kind::Invoice, id));
        let customer = customer.map(|invoice| invoice["customer"].clone()).unwrap_or_default();
        let (amount, currency) = (payment["amount_paid"].clone(), payment["currency"].clone());
        let created = payment["status_transitions"]["paid_at"].clone();
        let charge = derived_id("ch", &[intent]);
        self.make_charge(&charge, intent, &amount, &currency, &customer, &created);
        self.make_intent(intent, Some(&charge), &amount, &currency, &customer, &created);
    }

    fn make_intent(
        &mut self,
        id: &str,
        charge: Option<&str>,
        amount: &Value,
        currency: &Value,
        customer: &Value,
        created: &Value,
    ) {
        let paid = charge.and_then(|id| self.get(Kind::Charge, id)).is_some_and(|charge| charge["paid"] == true);
        let intent = json!({
            "id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
            "amount_received": if paid { amount.clone() } else { json!(0) }, "created": created, "currency": currency,
            "customer": customer, "latest_charge": charge, "livemode": self.livemode, "metadata": {},
            "receipt_email": null, "status": if paid { "succeeded" } else { "requires_payment_method" },
        });
        self.put(Kind::Intent, intent);
    }

    fn make_charge(
        &mut self,
        id: &str,
        intent: &str,
        amount: &Value,
        currency: &Value,
        customer: &Value,
        created: &Value,
    ) {
        let mut charge = json!({
            "id": id, "object": "charge", "amount": amount, "amount_captured": amount, "amount_refunded": 0,
            "balance_transaction": null, "billing_details": {"email": null}, "captured": true, "created": created,
            "currency": currency, "customer": customer, "disputed": false, "livemode": self.livemode, "metadata": {},
            "paid": true, "payment_intent": intent, "refunded": false, "status": "succeeded",
        });
        self.book_charge(&mut charge);
        self.put(Kind::Charge, charge);
    }

    fn session(&mut self, session: &Value) {
        let Some(intent) = session["payment_intent"].as_str() else { return };
        if self.get(Kind::Intent, intent).is_some() {
            return;
        }
        let (amount, currency) = (session["amount_total"].clone(), session["currency"].clone());
        let (customer, created) = (session["customer"].clone(), session["created"].clone());
        let charge = (session["payment_status"] == "paid").then(|| derived_id("ch", &[intent]));
        if let Some(charge) = &charge {
            self.make_charge(charge, intent, &amount, &currency, &customer, &created);
        }
        self.make_intent(intent, charge.as_deref(), &amount, &currency, &customer, &created);
    }

    fn intent(&mut self, intent: &mut Value) {
        let (Some(id), Some(charge)) = (intent["id"].as_str(), intent["latest_charge"].as_str()) else { return };
        if intent["status"] == "succeeded" && self.get(Kind::Charge, charge).is_none() {
            let (amount, currency) = (&intent["amount_received"], &intent["currency"]);
            self.make_charge(charge, id, amount, currency, &intent["customer"], &intent["created"]);
        }
    }

    fn charge(&mut self, charge: &mut Value, before: &Value, at: i64) {
        self.book_charge(charge);
        let id = charge["id"].as_str().unwrap_or_default().to_owned();
        if let Some(intent) = charge["payment_intent"].as_str() {
            if self.get(Kind::Intent, intent).is_none() {
                self.put(Kind::Charge, charge.clone());
                let (amount, created) = (&charge["amount"], &charge["created"]);
                self.make_intent(intent, Some(&id), amount, &charge["currency"], &charge["customer"], created);
            }
            self.refunds_learn_of(intent, &id);
        }
        // An account may tell of refunds by the charge's figure alone: there is a refund behind it all the same.
        let figure = |charge: &Value| charge["amount_refunded"].as_i64().unwrap_or_default();
        let known: i64 = self.refunds_of(charge).iter().filter_map(|refund| refund["amount"].as_i64()).sum();
        let untold = figure(charge).saturating_sub(known);
        if figure(charge) > figure(before) && untold > 0 {
            let mut refund = json!({
                "id": derived_id("re", &[&id, &figure(charge).to_string()]), "object": "refund", "amount": untold,
                "balance_transaction": null, "charge": id, "created": at, "currency": charge["currency"],
                "metadata": {}, "payment_intent": charge["payment_intent"], "reason": "requested_by_customer",
                "status": "succeeded",
            });
            self.book_refund(&mut refund);
            self.put(Kind::Refund, refund);
        }
    }

    fn refunds_of(&self, charge: &Value) -> Vec<&Value> {
        let id = charge["id"].as_str().unwrap_or_default();
        self.shelf(Kind::Refund).marked("charge", id)
    }

    /// Refunds that came before their charge learn its id.
    fn refunds_learn_of(&mut self, intent: &str, charge: &str) {
        let refunds = self.shelf(Kind::Refund).marked("payment_intent", intent);
        let strays: Vec<Value> = refunds.into_iter().filter(|refund| refund["charge"].is_null()).cloned().collect();
        for mut refund in strays {
            refund["charge"] = json!(charge);
            self.put(Kind::Refund, refund);
        }
    }

    /// Whichever of the two an event names, the API knows both.
    fn refund(&mut self, refund: &mut Value) {
        if let Some(intent) = refund["payment_intent"].as_str()
            && refund["charge"].is_null()
            && let Some(intent) = self.get(Kind::Intent, intent)
        {
            refund["charge"] = intent["latest_charge"].clone();
        }
        if let Some(charge) = refund["charge"].as_str()
            && refund["payment_intent"].is_null()
            && let Some(charge) = self.get(Kind::Charge, charge)
        {
            refund["payment_intent"] = charge["payment_intent"].clone();
        }
        self.book_refund(refund);
    }

    /// Each movement is dated by the event that showed it first.
    fn dispute(&mut self, dispute: &mut Value, before: &Value) {
        let known = before["balance_transactions"].as_array().cloned().unwrap_or_default();
        let moved = dispute["balance_transactions"].as_array_mut();
        for moved in moved.into_iter().flatten() {
            if let Some(first) = known.iter().find(|one| one["id"] == moved["id"]) {
                moved.clone_from(first);
            }
            self.put(Kind::BalanceTransaction, moved.clone());
        }
    }

    /// What of a charge reaches the merchant's balance.
    fn book_charge(&mut self, charge: &mut Value) {
        let captured = charge["amount_captured"].as_i64().unwrap_or_default();
        if charge["paid"] != true || charge["captured"] == false || captured == 0 {
            return;
        }
        let transaction = transaction(charge, "charge", captured, true);
        charge["balance_transaction"] = transaction["id"].clone();
        self.put(Kind::BalanceTransaction, transaction);
    }

    fn book_refund(&mut self, refund: &mut Value) {
        let amount = refund["amount"].as_i64().unwrap_or_default();
        if refund["status"] == "succeeded" || refund["status"].is_null() {
            let transaction = transaction(refund, "refund", -amount, false);
            refund["balance_transaction"] = transaction["id"].clone();
            self.put(Kind::BalanceTransaction, transaction);
        }
    }
}

/// A movement of the merchant's balance.
fn transaction(source: &Value, type_: &str, amount: i64, bears_fee: bool) -> Value {
    let (id, created) = (source["id"].as_str().unwrap_or_default(), &source["created"]);
    let currency = source["currency"].as_str().unwrap_or_default();
    let (amount, settled_in, rate) = settled(amount, currency);
    let fee = if bears_fee { (amount * FEE_OF_THOUSAND / 1000 + FEE_FIXED).min(amount) } else { 0 };
    json!({
        "id": derived_id("txn", &[id, type_]), "object": "balance_transaction", "amount": amount,
        "available_on": created, "created": created, "currency": settled_in, "description": null,
        "exchange_rate": rate, "fee": fee,
        "fee_details": [{"amount": fee, "application": null, "currency": settled_in,
            "description": "Stripe processing fees", "type": "stripe_fee"}],
        "net": amount - fee, "reporting_category": type_, "source": id, "status": "available", "type": type_,
    })
}

/// The merchant has balances in dollars and euros; everything else becomes euros.
fn settled(amount: i64, currency: &str) -> (i64, &str, Value) {
    // The rate is between whole units, the amounts are minor ones.
    match currency {
        "jpy" => (amount * 62 / 100, "eur", json!(0.0062)),
        "kwd" => (amount * 29 / 100, "eur", json!(2.9)),
        "isk" => (amount * 7 / 1000, "eur", json!(0.007)),
        "usd" | "eur" => (amount, currency, Value::Null),
        _ => (amount * 9 / 10, "eur", json!(0.9)),
    }
}

/// An invoice that is voided after it was paid still says how much that was.
fn keep_what_was_paid(invoice: &mut Value, before: &Value) {
    for field in ["amount_paid", "amount_paid_off_stripe"] {
        let amount = |invoice: &Value| invoice[field].as_i64();
        if let Some(known) = amount(before).filter(|known| amount(invoice).is_none_or(|now| now < *known)) {
            invoice[field] = json!(known);
        }
    }
}
