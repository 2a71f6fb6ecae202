//! What a payment leaves behind for those after it, and what it uses up of the rules that priced it.

use super::{Answer, Credited, Outcome};
use crate::domain::history::Payment;
use crate::domain::money::{Exact, Overflow};
use crate::domain::standing::{Order, Standing, Stream};
use crate::domain::terms::Kind;

/// What a payment leaves behind for later ones. One that was fully taken back at any time leaves its place to the next.
pub(super) fn leave_behind(
    payment: &Payment,
    index: usize,
    outcome: &Outcome,
    is_fixed: bool,
    standing: &mut Standing,
) -> Result<(), Overflow> {
    let stream = Stream::of(outcome.kind);
    if outcome.paid <= 0 {
        standing.free.push(index);
        return Ok(());
    }
    if stream == Stream::Subscription {
        standing.subscriptions.insert(payment.subscription.clone().unwrap_or_default());
    }
    let order: Order = (payment.paid_at, payment.reference.clone());
    // Who wins a customer keeps it, whether or not a rule priced the first payment.
    if let Some((credit, taken)) = outcome.answer.won() {
        standing.winner.hold(order.clone(), taken.full_since(outcome.paid), credit.clone());
    }
    let Answer::Credited(credited) = &outcome.answer else { return Ok(()) };
    let full_since = credited.taken.full_since(outcome.paid);
    let pin = standing.pins.entry(credited.credit.program.clone()).or_default();
    pin.hold(order.clone(), full_since, credited.version);
    if full_since.is_none() {
        standing.starts.entry(stream).or_insert_with(|| (order, credited.price.period_start));
    }
    if is_fixed { Ok(()) } else { take_places(payment, outcome.kind, outcome.paid, credited, standing) }
}

/// What a credited payment uses up of its rules. A payment that was fully taken back leaves its place to the next; a cap
/// is used up by what was given before refunds, and not reopened by them.
pub(super) fn take_places(
    payment: &Payment,
    kind: Kind,
    paid: i64,
    credited: &Credited,
    standing: &mut Standing,
) -> Result<(), Overflow> {
    let program = &credited.credit.program;
    for (rule, given) in &credited.price.by_rule {
        if given.is_positive() {
            let key = (program.clone(), rule.clone(), payment.currency);
            let used = standing.used.entry(key).or_insert_with(Exact::zero);
            *used = used.plus(*given)?;
        }
        if !credited.taken.was_full(paid) {
            *standing.counts.entry((program.clone(), Stream::of(kind), rule.clone())).or_default() += 1;
        }
    }
    Ok(())
}
