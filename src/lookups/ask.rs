//! One question to Stripe, and its answer as events of the inbox.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::domain::Time;
use crate::domain::missing::Missing;
use crate::stripe::fetched::{Kind, wrap};
use crate::stripe_api::{Answer, Api, Page, Refusal};

/// How many pages of a list are read at most: an invoice has few payments, and at most thousands of lines.
const PAGES: usize = 200;

/// What is asked, and what it became so far.
struct Asking<'a> {
    api: &'a Api,
    now: Time,
    livemode: bool,
    calls: &'a mut usize,
    bodies: Vec<Vec<u8>>,
}

/// Something other than an answer: the question ends with it.
type Ended = Answer<Vec<Vec<u8>>>;

/// Asks; the answer is bodies for the inbox, none where Stripe knows nothing of it. `calls` counts the calls.
pub async fn ask(api: &Api, missing: &Missing, now: Time, livemode: bool, calls: &mut usize) -> Answer<Vec<Vec<u8>>> {
    let mut asking = Asking { api, now, livemode, calls, bodies: Vec::new() };
    let asked = match missing {
        Missing::Link(id) => asking.link(id).await,
        Missing::Lines(id) | Missing::Discounts(id) => asking.invoice_or_session(id).await,
        Missing::Fees(id) => asking.fees(id).await,
        Missing::Price(id) => asking.one(Kind::Price, id).await.map(drop),
        Missing::PromotionCode(id) => asking.one(Kind::PromotionCode, id).await.map(drop),
    };
    match asked {
        Ok(()) => Answer::Done(asking.bodies),
        Err(ended) => ended,
    }
}

impl Asking<'_> {
    /// Which invoice or session a payment intent pays; where there is none, that is an answer, too.
    async fn link(&mut self, id: &str) -> Result<(), Ended> {
        let intent = if let Some(intent) = self.get(Kind::PaymentIntent, id).await? {
            intent
        } else {
            // A charge: its intent is asked about, if it has one.
            let Some(charge) = self.get(Kind::Charge, id).await? else { return Ok(()) };
            let mut shown = shown(&charge)?;
            let Some(intent) = reference(&shown["payment_intent"]) else {
                shown["invoice"] = Value::Null;
                return self.keep(Kind::Charge, &raw(&shown)?);
            };
            self.keep(Kind::Charge, &charge)?;
            let Some(intent) = self.get(Kind::PaymentIntent, &intent).await? else { return Ok(()) };
            intent
        };
        let mut shown = shown(&intent)?;
        let id = shown["id"].as_str().unwrap_or(id).to_owned();
        let by_invoice = [("payment[type]", "payment_intent"), ("payment[payment_intent]", id.as_str())];
        let found = self.list(Kind::InvoicePayment.path(), &by_invoice).await?;
        for payment in &found {
            self.keep(Kind::InvoicePayment, payment)?;
        }
        let sessions = if found.is_empty() {
            self.list(Kind::CheckoutSession.path(), &[("payment_intent", id.as_str())]).await?
        } else {
            Vec::new()
        };
        for session in &sessions {
            self.keep(Kind::CheckoutSession, session)?;
        }
        if found.is_empty() && sessions.is_empty() {
            // As before 2025, when an intent said by itself that it pays no invoice.
            shown["invoice"] = Value::Null;
        }
        self.keep(Kind::PaymentIntent, &raw(&shown)?)
    }

    /// An invoice with what paid it, its discounts and all its lines; or a session with what was sold by it.
    async fn invoice_or_session(&mut self, id: &str) -> Result<(), Ended> {
        let Some(invoice) = self.get(Kind::Invoice, id).await? else {
            let Some(session) = self.get(Kind::CheckoutSession, id).await? else { return Ok(()) };
            let mut shown = shown(&session)?;
            if shown["line_items"]["has_more"] == json!(true) {
                let path = format!("{}/{id}/line_items", Kind::CheckoutSession.path());
                shown["line_items"] = self.whole_list(&path).await?;
            }
            return self.keep(Kind::CheckoutSession, &raw(&shown)?);
        };
        let mut shown = shown(&invoice)?;
        if shown["lines"]["has_more"] == json!(true) {
            shown["lines"] = self.whole_list(&format!("{}/{id}/lines", Kind::Invoice.path())).await?;
        }
        self.keep(Kind::Invoice, &raw(&shown)?)
    }

    /// The charges of a payment, as they were booked.
    async fn fees(&mut self, id: &str) -> Result<(), Ended> {
        let mut intents = Vec::new();
        let payments = self.list_if_known(Kind::InvoicePayment.path(), &[("invoice", id)]).await?;
        for payment in &payments {
            self.keep(Kind::InvoicePayment, payment)?;
            let payment = &shown(payment)?["payment"];
            intents.extend(reference(&payment["payment_intent"]));
            if let Some(charge) = reference(&payment["charge"]) {
                self.one(Kind::Charge, &charge).await?;
            }
        }
        if payments.is_empty() {
            if self.one(Kind::Charge, id).await? {
                return Ok(());
            }
            match self.get(Kind::CheckoutSession, id).await? {
                Some(session) => intents.extend(reference(&shown(&session)?["payment_intent"])),
                None => intents.push(id.to_owned()),
            }
        }
        for intent in intents {
            let of_intent = [("payment_intent", intent.as_str()), ("expand[]", "data.balance_transaction")];
            for charge in self.list_if_known(Kind::Charge.path(), &of_intent).await? {
                self.keep(Kind::Charge, &charge)?;
            }
        }
        Ok(())
    }

    /// Fetches and keeps one object; tells whether Stripe knows it.
    async fn one(&mut self, kind: Kind, id: &str) -> Result<bool, Ended> {
        let Some(object) = self.get(kind, id).await? else { return Ok(false) };
        self.keep(kind, &object)?;
        Ok(true)
    }

    /// One object; none where Stripe does not know it.
    async fn get(&mut self, kind: Kind, id: &str) -> Result<Option<Box<RawValue>>, Ended> {
        *self.calls += 1;
        let query: Vec<(&str, &str)> = kind.expanded().iter().map(|path| ("expand[]", *path)).collect();
        known(self.api.object(kind.path(), id, &query).await)
    }

    /// All of a list.
    async fn list(&mut self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<Box<RawValue>>, Ended> {
        let mut all: Vec<Box<RawValue>> = Vec::new();
        for _ in 0..PAGES {
            let after = all.last().map(|last| shown(last)).transpose()?;
            let mut query = filter.to_vec();
            query.push(("limit", "100"));
            query.extend(after.as_ref().and_then(|last| last["id"].as_str()).map(|id| ("starting_after", id)));
            *self.calls += 1;
            let Page { data, has_more } = done(self.api.page(path, &query).await)?;
            let is_empty = data.is_empty();
            all.extend(data);
            if !has_more || is_empty {
                break;
            }
        }
        Ok(all)
    }

    /// All of a list, as it stands in the object that it is of.
    async fn whole_list(&mut self, path: &str) -> Result<Value, Ended> {
        let items = self.list(path, &[]).await?;
        let items = items.iter().map(|item| shown(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "object": "list", "data": items, "has_more": false }))
    }

    /// All of a list by some object; nothing where Stripe does not know the object.
    async fn list_if_known(&mut self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<Box<RawValue>>, Ended> {
        match self.list(path, filter).await {
            Err(Answer::Refused(refusal)) if is_unknown(&refusal) => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn keep(&mut self, kind: Kind, object: &RawValue) -> Result<(), Ended> {
        let fetched = wrap(kind, object, self.now, self.livemode)
            .map_err(|error| Answer::Unknown(format!("an answer that cannot be read: {error}")))?;
        self.bodies.push(fetched.body);
        Ok(())
    }
}

fn is_unknown(refusal: &Refusal) -> bool {
    refusal.code == "resource_missing" || refusal.http_status == 404
}

fn known<T>(answer: Answer<T>) -> Result<Option<T>, Ended> {
    match answer {
        Answer::Refused(refusal) if is_unknown(&refusal) => Ok(None),
        answer => done(answer).map(Some),
    }
}

fn done<T>(answer: Answer<T>) -> Result<T, Ended> {
    match answer {
        Answer::Done(done) => Ok(done),
        Answer::Refused(refusal) => Err(Answer::Refused(refusal)),
        Answer::Busy => Err(Answer::Busy),
        Answer::Unknown(why) => Err(Answer::Unknown(why)),
        Answer::KeyProblem(problem) => Err(Answer::KeyProblem(problem)),
    }
}

fn unreadable(error: &serde_json::Error) -> Ended {
    Answer::Unknown(format!("an answer that cannot be read: {error}"))
}

fn shown(object: &RawValue) -> Result<Value, Ended> {
    match serde_json::from_str(object.get()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Answer::Unknown("an answer that is no object".to_owned())),
        Err(error) => Err(unreadable(&error)),
    }
}

fn raw(object: &Value) -> Result<Box<RawValue>, Ended> {
    to_raw_value(object).map_err(|error| unreadable(&error))
}

/// An id, or that of an object that is shown whole.
fn reference(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned)
}
