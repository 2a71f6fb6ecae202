//! One question to Stripe, and its answer as events of the inbox.

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::Time;
use crate::domain::missing::Missing;
use crate::intake::asking::{AskError, Asking, PAGE};
use crate::intake::backfill::complete;
use crate::stripe::fetched::{Kind, wrap};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Stripe, or the key.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What Stripe showed cannot be read; says where and why.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),
}

/// What was shown so far.
struct Answering<'a> {
    asking: &'a Asking,
    now: Time,
    livemode: bool,
    bodies: Vec<Vec<u8>>,
}

/// Asks; the answer is bodies for the inbox, none where Stripe knows nothing of it. `now` is when it is asked for.
///
/// # Errors
/// [`Unanswered`].
pub async fn ask(asking: &Asking, missing: &Missing, now: Time, livemode: bool) -> Result<Vec<Vec<u8>>, Unanswered> {
    let mut answering = Answering { asking, now, livemode, bodies: Vec::new() };
    match missing {
        Missing::Link(id) => answering.link(id).await?,
        Missing::Lines(id) | Missing::Discounts(id) => {
            if !answering.one(Kind::Invoice, id).await? {
                answering.one(Kind::CheckoutSession, id).await?;
            }
        }
        Missing::Fees(id) => answering.fees(id).await?,
        Missing::Price(id) => drop(answering.one(Kind::Price, id).await?),
        Missing::PromotionCode(id) => drop(answering.one(Kind::PromotionCode, id).await?),
    }
    Ok(answering.bodies)
}

impl Answering<'_> {
    /// Which invoice or session a payment intent pays; where there is none, that is an answer, too.
    async fn link(&mut self, id: &str) -> Result<(), Unanswered> {
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
        let mut found = self.list(Kind::InvoicePayment, &by_invoice).await?;
        if !found {
            found = self.list(Kind::CheckoutSession, &[("payment_intent", id.as_str())]).await?;
        }
        if !found {
            // As before 2025, when an intent said by itself that it pays no invoice.
            shown["invoice"] = Value::Null;
        }
        self.keep(Kind::PaymentIntent, &raw(&shown)?)
    }

    /// The charges of a payment, as they were booked.
    async fn fees(&mut self, id: &str) -> Result<(), Unanswered> {
        let mut intents = Vec::new();
        if let Some(invoice) = self.get(Kind::Invoice, id).await? {
            self.keep(Kind::Invoice, &invoice)?;
            let invoice = shown(&invoice)?;
            for payment in invoice["payments"]["data"].as_array().into_iter().flatten() {
                intents.extend(reference(&payment["payment"]["payment_intent"]));
                if let Some(charge) = reference(&payment["payment"]["charge"]) {
                    self.one(Kind::Charge, &charge).await?;
                }
            }
        } else if self.one(Kind::Charge, id).await? {
            return Ok(());
        } else {
            match self.get(Kind::CheckoutSession, id).await? {
                Some(session) => intents.extend(reference(&shown(&session)?["payment_intent"])),
                None => intents.push(id.to_owned()),
            }
        }
        for intent in intents {
            self.list(Kind::Charge, &[("payment_intent", intent.as_str())]).await?;
        }
        Ok(())
    }

    /// Fetches and keeps one object; tells whether Stripe knows it.
    async fn one(&mut self, kind: Kind, id: &str) -> Result<bool, Unanswered> {
        let Some(object) = self.get(kind, id).await? else { return Ok(false) };
        self.keep(kind, &object)?;
        Ok(true)
    }

    /// One object as a whole; none where Stripe does not know it.
    async fn get(&mut self, kind: Kind, id: &str) -> Result<Option<Box<RawValue>>, Unanswered> {
        let query: Vec<(&str, &str)> = kind.expanded().iter().map(|path| ("expand[]", *path)).collect();
        match self.asking.object(kind.path(), id, &query).await {
            Ok(object) => Ok(Some(complete(self.asking, kind, object).await?)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the objects of a kind that belong to another; tells whether there are any. A payment has a few at most.
    async fn list(&mut self, kind: Kind, filter: &[(&str, &str)]) -> Result<bool, Unanswered> {
        let expanded: Vec<String> = kind.expanded().iter().map(|path| format!("data.{path}")).collect();
        let mut query = vec![("limit", PAGE)];
        query.extend(filter);
        query.extend(expanded.iter().map(|path| ("expand[]", path.as_str())));
        let page = match self.asking.page(kind.path(), &query).await {
            Ok(page) => page.data,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for object in &page {
            self.keep(kind, object)?;
        }
        Ok(!page.is_empty())
    }

    fn keep(&mut self, kind: Kind, object: &RawValue) -> Result<(), Unanswered> {
        let fetched = wrap(kind, object, self.now, self.livemode);
        self.bodies.push(fetched.map_err(|error| Unanswered::Unreadable(error.to_string()))?.body);
        Ok(())
    }
}

fn shown(object: &RawValue) -> Result<Value, Unanswered> {
    match serde_json::from_str(object.get()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Unanswered::Unreadable("it is no object".to_owned())),
        Err(error) => Err(Unanswered::Unreadable(error.to_string())),
    }
}

fn raw(object: &Value) -> Result<Box<RawValue>, Unanswered> {
    to_raw_value(object).map_err(|error| Unanswered::Unreadable(error.to_string()))
}

/// An id, or that of an object that is shown whole.
fn reference(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned)
}
