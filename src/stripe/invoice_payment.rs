//! Invoice payments: since API 2025-03-31 the only word on which payment intent or charge paid an invoice.

use serde::Deserialize;

use super::field::{Id, Int, Maybe, Reference};
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, InvoicePaymentFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvoicePayment {
    id: Id,
    invoice: Reference,
    amount_paid: Int,
    payment: Maybe<Payment>,
}

/// The `payment` of an invoice payment. A payment record (money that Stripe never saw) is neither of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payment {
    /// `pi_…`
    pub payment_intent: Reference,
    /// `ch_…`
    pub charge: Reference,
}

/// Reads the invoice payment of an `invoice_payment.*` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let paid: InvoicePayment = parse(json)?;
    let payment = paid.payment.or_empty();
    Ok(vec![Fact::InvoicePayment(InvoicePaymentFact {
        id: paid.id.required()?,
        invoice: paid.invoice.id().ok_or_else(|| ReadError::missing("invoice", "an id"))?,
        intent: payment.payment_intent.id(),
        charge: payment.charge.id(),
        amount_paid: paid.amount_paid.or_zero(),
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{altered, error, fixture, only};

    #[test]
    fn it_ties_an_intent_to_an_invoice() {
        let payment = only!(InvoicePayment, fixture("invoice_payment.paid.new"));
        assert_eq!((payment.id.as_str(), payment.invoice.as_str()), ("inpay_0001", "in_0001"));
        assert_eq!((payment.intent.as_deref(), payment.charge.as_deref()), (Some("pi_0001"), None));
        assert_eq!(payment.amount_paid, 3106);
    }

    #[test]
    fn a_charge_an_expanded_object_or_neither() {
        let read = |changes| only!(InvoicePayment, altered("invoice_payment.paid.new", &changes));
        let payment = read(json!({"payment": {"type": "charge", "charge": "py_1"}, "invoice": {"id": "in_9"}}));
        assert_eq!((payment.invoice.as_str(), payment.charge.as_deref()), ("in_9", Some("py_1")));
        let record = json!({"type": "payment_record", "payment_record": "pr_1"});
        let payment = read(json!({"payment": record, "amount_paid": null}));
        assert_eq!((payment.intent, payment.charge, payment.amount_paid), (None, None, 0));
    }

    #[test]
    fn without_an_invoice_it_means_nothing() {
        let text = error("invoice_payment.paid", &json!({"id": "inpay_1", "invoice": null}));
        assert_eq!(text, "data.object.invoice: expected an id, found nothing");
    }
}
