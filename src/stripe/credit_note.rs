//! Credit notes: money refunds count by their own ids; only what was given back outside of Stripe takes back by itself.

use serde::Deserialize;

use super::field::{Code, Id, Int, List, Maybe, Reference, Seconds, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{CreditNoteFact, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct CreditNote {
    id: Id,
    invoice: Reference,
    customer: Reference,
    customer_account: Reference,
    currency: Code,
    out_of_band_amount: Int,
    /// Before API 2025-03-31.
    refund: Reference,
    refunds: List<Maybe<NotedRefund>>,
    status: Text,
    voided_at: Seconds,
    created: Seconds,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NotedRefund {
    refund: Reference,
}

/// Reads the credit note of a `credit_note.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let note: CreditNote = parse(json)?;
    let mut refunds = Vec::new();
    let listed = note.refunds.data.into_iter().filter_map(|refund| refund.0).map(|refund| refund.refund);
    for refund in listed.chain([note.refund]) {
        refunds.extend(refund.id().filter(|id| !refunds.contains(id)));
    }
    let voided = note.status.word().map_or(event_type == "credit_note.voided", |status| status == "void");
    Ok(vec![Fact::CreditNote(CreditNoteFact {
        id: note.id.required()?,
        invoice: note.invoice.id().ok_or_else(|| ReadError::missing("invoice", "an id"))?,
        customer: note.customer.id().or(note.customer_account.id()),
        currency: note.currency.required()?,
        out_of_band: note.out_of_band_amount.or_zero(),
        refunds,
        voided,
        voided_at: note.voided_at.0.filter(|_| voided),
        created: note.created.0,
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, fixture, only};
    use super::*;

    fn expected() -> CreditNoteFact {
        CreditNoteFact {
            id: "cn_0001".to_owned(),
            invoice: "in_0001".to_owned(),
            customer: Some("cus_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            out_of_band: 500,
            refunds: vec!["re_0001".to_owned()],
            voided: false,
            voided_at: None,
            created: Some(at(T + 700_000)),
        }
    }

    #[test]
    fn three_shapes() {
        let old = CreditNoteFact { out_of_band: 0, ..expected() };
        assert_eq!(only!(CreditNote, fixture("credit_note.created.old")), old);
        assert_eq!(only!(CreditNote, fixture("credit_note.created.hybrid")), expected(), "one refund, told twice");
        assert_eq!(only!(CreditNote, fixture("credit_note.created.new")), expected());
    }

    #[test]
    fn a_voided_note() {
        let voided =
            CreditNoteFact { refunds: Vec::new(), voided: true, voided_at: Some(at(T + 800_000)), ..expected() };
        assert_eq!(only!(CreditNote, fixture("credit_note.voided.new")), voided);
        assert_eq!(only!(CreditNote, altered("credit_note.voided.new", &json!({"status": null}))), voided);
    }

    #[test]
    fn without_an_invoice_it_means_nothing() {
        let text = error("credit_note.created", &json!({"id": "cn_1", "currency": "usd"}));
        assert_eq!(text, "data.object.invoice: expected an id, found nothing");
    }
}
