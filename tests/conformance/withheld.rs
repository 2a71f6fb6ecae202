//! Choosing an object of a business that never comes in, and all events that would tell of it.

use std::collections::BTreeSet;

use commission_bridge::domain::reconcile::Kind as Compared;
use commission_bridge::sample::Business;
use commission_bridge::sample::random::Random;
use serde_json::Value;

use crate::fake_stripe::{Kind as Listed, Merchant};

/// Objects of which nothing ever comes: Stripe told of them, and keeps the events no more.
#[derive(Debug, Clone, Default)]
pub struct Withheld {
    ids: BTreeSet<String>,
    /// The charge whose figure would tell of its refund.
    figure_of: Option<String>,
}

impl Withheld {
    /// Whether this event would tell of them.
    pub fn is_told_by(&self, body: &Value) -> bool {
        let object = &body["data"]["object"];
        let id = object["id"].as_str().unwrap_or_default();
        let is_figure = self.figure_of.as_deref() == Some(id) && object["amount_refunded"].as_i64() > Some(0);
        self.ids.contains(id) || is_figure
    }
}

/// An object on whose account something is owed, or no more owed, and all that tells of it; none where there is none.
pub fn withheld(business: &Business, kind: Compared, random: &mut Random) -> Option<(String, Withheld)> {
    let merchant = &Merchant::of(&business.events);
    let payments = business.books.payments(business.settled_at);
    let credits = |reference: &str| {
        payments.iter().any(|payment| payment.partner.is_some() && payment.refs.iter().any(|known| known == reference))
    };
    let objects = |kind: Listed| merchant.ids(kind).into_iter().map(move |id| merchant.get(kind, &id).unwrap());
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let is_single = |refund: &Value| {
        let of_charge = |other: &&Value| other["charge"] == refund["charge"];
        objects(Listed::Refund).filter(of_charge).count() == 1
            && !objects(Listed::Dispute).any(|dispute| dispute["charge"] == refund["charge"])
    };
    let found: Vec<(String, Withheld)> = match kind {
        Compared::Invoice => objects(Listed::Invoice)
            .filter(|invoice| invoice["status"] == "paid" && invoice["amount_paid"].as_i64() > Some(0))
            .map(|invoice| text(invoice, "id"))
            .filter(|id| credits(id))
            .map(|id| (id.clone(), Withheld { ids: [id].into(), figure_of: None }))
            .collect(),
        Compared::Refund => objects(Listed::Refund)
            .filter(|refund| refund["status"] == "succeeded" && credits(&text(refund, "charge")) && is_single(refund))
            .map(|refund| {
                let figure_of = Some(text(refund, "charge"));
                (text(refund, "id"), Withheld { ids: [text(refund, "id")].into(), figure_of })
            })
            .collect(),
        Compared::Dispute => objects(Listed::Dispute)
            .filter(|dispute| dispute["status"] == "lost" && credits(&text(dispute, "charge")))
            .map(|dispute| (text(dispute, "id"), Withheld { ids: [text(dispute, "id")].into(), figure_of: None }))
            .collect(),
        Compared::Charge => objects(Listed::Session)
            .filter(|session| session["invoice"].is_null() && credits(&text(session, "id")))
            .filter_map(|session| {
                let intent = merchant.get(Listed::Intent, session["payment_intent"].as_str()?)?;
                let charge = text(intent, "latest_charge");
                let is_taken = |other: &Value| other["charge"] == charge.as_str();
                let is_left = !objects(Listed::Refund).any(is_taken) && !objects(Listed::Dispute).any(is_taken);
                let ids = [text(session, "id"), text(intent, "id"), charge.clone()].into();
                is_left.then_some((charge, Withheld { ids, figure_of: None }))
            })
            .collect(),
    };
    (!found.is_empty()).then(|| found[random.index(found.len())].clone())
}
