//! Invoices: the money of subscriptions, and of whatever else is billed.
//!
//! Source: Stripe's Invoice object; the new paths came with API 2025-03-31.

use serde::Deserialize;

use super::discount::{Discount, any_hidden, promotion_codes};
use super::field::{Code, Flag, Id, Int, List, Maybe, MaybeMeta, Meta, Reference, Seconds, Text};
use super::invoice_line::{RawLine, ReadLine};
use super::invoice_payment::Payment;
use super::price::inherit;
use super::problem::{ReadError, parse};
use crate::domain::facts::{BillingReason, Fact, InvoiceFact, InvoiceStatus, Metadata};
use crate::domain::subscribed::FailedAttempt;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Invoice {
    id: Id,
    customer: Reference,
    customer_account: Reference,
    customer_email: Text,
    parent: Maybe<Parent>,
    subscription: Reference,
    subscription_details: Maybe<SubscriptionDetails>,
    billing_reason: Text,
    currency: Code,
    status: Text,
    paid: Flag,
    paid_out_of_band: Flag,
    total: Int,
    total_excluding_tax: Int,
    subtotal: Int,
    amount_due: Int,
    amount_paid: Int,
    amount_paid_off_stripe: Int,
    tax: Int,
    total_taxes: List<Maybe<Amount>>,
    total_tax_amounts: List<Maybe<Amount>>,
    created: Seconds,
    status_transitions: Maybe<Transitions>,
    payment_intent: Reference,
    charge: Reference,
    payments: List<Maybe<ListedPayment>>,
    metadata: Meta,
    discount: Discount,
    discounts: List<Discount>,
    total_discount_amounts: List<Maybe<DiscountAmount>>,
    lines: List<Maybe<RawLine>>,
    attempt_count: Int,
    next_payment_attempt: Seconds,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parent {
    subscription_details: Maybe<SubscriptionDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SubscriptionDetails {
    subscription: Reference,
    metadata: MaybeMeta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Amount {
    amount: Int,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Transitions {
    paid_at: Seconds,
    voided_at: Seconds,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedPayment {
    payment: Maybe<Payment>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DiscountAmount {
    discount: Discount,
}

/// Reads the invoice of an `invoice.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let mut invoice: Invoice = parse(json)?;
    let status = invoice.status(event_type);
    let amounts = invoice.amounts(status)?;
    let (intents, charges) = invoice.paid_by();
    let (promotion_codes, hidden_discounts, mut facts) = invoice.promotion_codes();

    let lines = std::mem::take(&mut invoice.lines);
    let lines_go_on = lines.has_more;
    let lines: Vec<ReadLine> = lines.data.into_iter().filter_map(|line| line.0).map(RawLine::read).collect();
    let unseen_lines = if lines_go_on { unseen(invoice.subtotal, &lines)? } else { 0 };

    let parent = invoice.parent.or_empty().subscription_details.or_empty();
    let legacy = invoice.subscription_details.or_empty();
    let has_snapshot = parent.metadata.0.is_some() || legacy.metadata.0.is_some();
    let subscription_metadata = [parent.metadata.0, legacy.metadata.0]
        .into_iter()
        .flatten()
        .map(|meta| meta.0)
        .find(|metadata| !metadata.is_empty())
        .unwrap_or_else(|| mirrored_metadata(&lines));
    let subscription = (parent.subscription.id())
        .or(invoice.subscription.id())
        .or(legacy.subscription.id())
        .or_else(|| lines.iter().find_map(|line| line.subscription.clone()));

    let transitions = invoice.status_transitions.or_empty();
    let fact = InvoiceFact {
        id: invoice.id.required()?,
        customer: invoice.customer.id().or(invoice.customer_account.id()),
        email: invoice.customer_email.0,
        subscription,
        billing_reason: invoice.billing_reason.word().map(billing_reason),
        currency: invoice.currency.required()?,
        status,
        total: amounts.total,
        tax: amounts.tax,
        amount_due: amounts.due,
        paid_on_stripe: amounts.paid_on_stripe,
        paid_off_stripe: amounts.paid_off_stripe,
        created: invoice.created.0,
        paid_at: transitions.paid_at.0,
        voided_at: transitions.voided_at.0.filter(|_| event_type == "fetched.invoice"),
        intents,
        charges,
        metadata: invoice.metadata.0,
        empty_snapshot: has_snapshot && subscription_metadata.is_empty(),
        subscription_metadata,
        promotion_codes,
        lines: lines.into_iter().map(|line| line.line).collect(),
        hidden_discounts,
        unseen_lines,
        failed: (event_type == "invoice.payment_failed")
            .then_some(FailedAttempt { attempt: invoice.attempt_count.0, next_at: invoice.next_payment_attempt.0 }),
    };
    facts.insert(0, Fact::Invoice(Box::new(fact)));
    Ok(facts)
}

struct Amounts {
    total: i64,
    tax: i64,
    due: i64,
    paid_on_stripe: i64,
    paid_off_stripe: i64,
}

impl Invoice {
    /// `status`; invoices from before it existed have `paid`, or say it by their event's type.
    fn status(&self, event_type: &str) -> InvoiceStatus {
        match (self.status.word(), self.paid.0) {
            (Some("void"), _) => InvoiceStatus::Void,
            (Some("paid"), _) | (_, Some(true)) => InvoiceStatus::Paid,
            (None, None) => match event_type {
                "invoice.paid" | "invoice.payment_succeeded" => InvoiceStatus::Paid,
                "invoice.voided" => InvoiceStatus::Void,
                _ => InvoiceStatus::Open,
            },
            _ => InvoiceStatus::Open,
        }
    }

    fn amounts(&self, status: InvoiceStatus) -> Result<Amounts, ReadError> {
        // Amounts that are not said are those they can be told from: a total is due, what was due was paid.
        let total = self.total.0.or(self.amount_due.0).or(self.amount_paid.0).unwrap_or(0);
        let due = self.amount_due.0.unwrap_or(total);
        let paid = self.amount_paid.0.unwrap_or(if status == InvoiceStatus::Paid { due } else { 0 });
        let (paid_on_stripe, paid_off_stripe) = match (self.amount_paid_off_stripe.0, self.paid_out_of_band.0) {
            // Before 2025-03-31 `amount_paid` is without what was paid off Stripe, since then it is with it.
            (Some(off), _) if paid >= off && paid.saturating_add(off) > due => (paid.saturating_sub(off), off),
            (Some(off), _) => (paid, off),
            (None, Some(true)) => (paid, due.saturating_sub(paid).max(0)),
            (None, _) => (paid, 0),
        };
        Ok(Amounts { total, tax: self.tax(total)?, due, paid_on_stripe, paid_off_stripe })
    }

    fn tax(&self, total: i64) -> Result<i64, ReadError> {
        for (list, path) in [(&self.total_taxes, "total_taxes"), (&self.total_tax_amounts, "total_tax_amounts")] {
            // An empty list says no more than a missing one: the other fields may know of a tax, or of none either.
            if !list.data.is_empty() {
                let taxes = list.data.iter().filter_map(|tax| tax.0.as_ref());
                return sum(taxes.map(|tax| tax.amount.or_zero())).ok_or_else(|| ReadError::overflow(path));
            }
        }
        match (self.tax.0, self.total_excluding_tax.0) {
            (Some(tax), _) => Ok(tax),
            (None, Some(net)) => total.checked_sub(net).ok_or_else(|| ReadError::overflow("total_excluding_tax")),
            (None, None) => Ok(0),
        }
    }

    /// Payment intents and charges, each once.
    fn paid_by(&mut self) -> (Vec<String>, Vec<String>) {
        let mut intents: Vec<_> = std::mem::take(&mut self.payment_intent).id().into_iter().collect();
        let mut charges: Vec<_> = std::mem::take(&mut self.charge).id().into_iter().collect();
        for listed in std::mem::take(&mut self.payments).data {
            let payment = listed.0.unwrap_or_default().payment.or_empty();
            intents.extend(payment.payment_intent.id().filter(|id| !intents.contains(id)));
            charges.extend(payment.charge.id().filter(|id| !charges.contains(id)));
        }
        (intents, charges)
    }

    /// The promotion codes, and whether discounts are shown of which they cannot be told.
    fn promotion_codes(&mut self) -> (Vec<String>, bool, Vec<Fact>) {
        let amounts = std::mem::take(&mut self.total_discount_amounts).data;
        let amounts: Vec<_> = amounts.into_iter().filter_map(|amount| amount.0).map(|amount| amount.discount).collect();
        let discounts = std::mem::take(&mut self.discounts).data;
        let is_hidden = any_hidden(if discounts.is_empty() { &amounts } else { &discounts });
        let one = std::mem::take(&mut self.discount);
        let (codes, facts) = promotion_codes([one].into_iter().chain(discounts).chain(amounts));
        let is_hidden = is_hidden && codes.is_empty();
        (codes, is_hidden, facts)
    }
}

fn billing_reason(word: &str) -> BillingReason {
    match word {
        "subscription_create" => BillingReason::SubscriptionCreate,
        "subscription_cycle" => BillingReason::SubscriptionCycle,
        "subscription_update" => BillingReason::SubscriptionUpdate,
        "subscription_threshold" => BillingReason::SubscriptionThreshold,
        "subscription" => BillingReason::Subscription,
        "quote_accept" => BillingReason::QuoteAccept,
        "manual" => BillingReason::Manual,
        "automatic_pending_invoice_item_invoice" => BillingReason::AutomaticPendingInvoiceItem,
        _ => BillingReason::Other,
    }
}

/// What lines beyond the first page add up to.
fn unseen(subtotal: Int, lines: &[ReadLine]) -> Result<i64, ReadError> {
    let Some(subtotal) = subtotal.0 else { return Ok(0) };
    let shown = sum(lines.iter().map(|line| line.line.amount));
    shown.and_then(|shown| subtotal.checked_sub(shown)).ok_or_else(|| ReadError::overflow("lines"))
}

/// Subscription lines mirror their subscription's metadata.
fn mirrored_metadata(lines: &[ReadLine]) -> Metadata {
    let mut mirrored = Metadata::new();
    for line in lines.iter().filter(|line| line.line.subscription) {
        inherit(&mut mirrored, line.own_metadata.clone());
    }
    mirrored
}

fn sum(amounts: impl Iterator<Item = i64>) -> Option<i64> {
    i64::try_from(amounts.map(i128::from).sum::<i128>()).ok()
}

#[cfg(test)]
#[path = "invoice_tests.rs"]
mod tests;
