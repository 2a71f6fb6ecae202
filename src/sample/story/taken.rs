//! What is taken back: refunds of every fate, disputes, credit notes.

use chrono::Duration;

use super::billing::{ChargeMade, Paid, charge_now};
use super::buyer::Buyer;
use super::{Teller, whole};
use crate::domain::Time;
use crate::sample::books::Taken;
use crate::sample::event::{Kind, Object};
use crate::sample::merchant::RefundEvents;
use crate::sample::program::Program;
use crate::sample::shape::taken_back::{CreditNote, Dispute, Refund};

/// How long the programs wait before a refund counts (`reversal_delay`).
const DELAY: Duration = Duration::hours(1);

/// How a refund goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Succeeds,
    /// Pending for so long.
    SucceedsAfter(Duration),
    /// Pending, and then nothing.
    FailsPending(Duration),
    /// Pending, and then called off.
    Canceled(Duration),
    /// Succeeded, and yet the money comes back.
    FailsAfterSuccess(Duration),
}

/// What happens to a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    Refund(Fate),
    RefundInSteps,
    RefundByCreditNote,
    CreditToBalance,
    CreditOutOfBand,
    CreditOutOfBandVoided,
    DisputeLost,
    DisputeWon,
    Inquiry,
}

impl Teller<'_> {
    /// Lets something happen to a paid sale; returns whether everything was taken back, if only for a while, which
    /// happens only where `may_take_all`.
    pub(super) fn mishap(&mut self, buyer: &mut Buyer, paid: &mut Paid, may_take_all: bool) -> bool {
        if paid.amount < 100 {
            return false;
        }
        let all = may_take_all && self.random.chance(50);
        let part = whole(buyer.currency, self.random.between(paid.amount / 10, paid.amount * 6 / 10)).max(1);
        let amount = if all { paid.amount } else { whole(buyer.currency, part) };
        if amount == 0 {
            return false;
        }
        let at = paid.at + self.days(1, 15);
        let Some(mishap) = self.choice(buyer, paid) else { return false };
        let sale = paid.sale;
        let taken = match (mishap, paid.charge.as_mut()) {
            (Mishap::Refund(fate), Some(charge)) => vec![self.refund(buyer, charge, amount, at, fate)],
            (Mishap::RefundInSteps, Some(charge)) => self.refund_in_steps(buyer, charge, amount, at),
            (Mishap::RefundByCreditNote, Some(charge)) => {
                let id = self.id("re");
                let mut note = self.note(buyer, paid.invoice.as_deref(), amount);
                note.refund = Some(id.clone());
                self.happen(Kind::CreditNoteCreated, at, Object::CreditNote(note));
                vec![self.refund_known_as(buyer, charge, amount, at, Fate::Succeeds, id)]
            }
            (Mishap::CreditToBalance, _) => {
                // Small, so that it is used up by the next invoice.
                let credit = whole(buyer.currency, amount / 4);
                if credit > 0 {
                    let note = self.note(buyer, paid.invoice.as_deref(), credit);
                    self.happen(Kind::CreditNoteCreated, at, Object::CreditNote(note));
                    buyer.balance += credit;
                }
                return false;
            }
            (Mishap::CreditOutOfBand, _) => vec![self.credit_out_of_band(buyer, paid, amount, at, None)],
            (Mishap::CreditOutOfBandVoided, _) => {
                let voided = at + self.days(1, 6);
                vec![self.credit_out_of_band(buyer, paid, amount, at, Some(voided))]
            }
            (Mishap::DisputeLost, Some(charge)) => vec![self.dispute(buyer, charge, amount, at, "lost")],
            (Mishap::DisputeWon, Some(charge)) => vec![self.dispute(buyer, charge, amount, at, "won")],
            (Mishap::Inquiry, Some(charge)) => {
                self.inquiry(buyer, charge, amount, at);
                return false;
            }
            _ => return false,
        };
        buyer.sales[sale].taken = taken;
        all
    }

    fn choice(&mut self, buyer: &Buyer, paid: &Paid) -> Option<Mishap> {
        let by_id = self.options.refunds == RefundEvents::ById;
        let mut choices = Vec::new();
        if paid.charge.is_some() {
            choices.extend([Mishap::Refund(Fate::Succeeds), Mishap::Refund(Fate::Succeeds), Mishap::RefundInSteps]);
            choices.extend([Mishap::DisputeLost, Mishap::DisputeWon, Mishap::Inquiry]);
            if by_id {
                choices.extend([
                    Mishap::Refund(Fate::SucceedsAfter(self.days(1, 5))),
                    Mishap::Refund(Fate::FailsPending(self.days(1, 5))),
                    Mishap::Refund(Fate::Canceled(self.days(1, 3))),
                    Mishap::Refund(Fate::FailsAfterSuccess(self.days(2, 29))),
                    Mishap::Refund(Fate::FailsAfterSuccess(self.seconds(60, 3000))),
                ]);
            }
        }
        if paid.invoice.is_some() {
            if paid.charge.is_some() {
                choices.push(Mishap::RefundByCreditNote);
            }
            choices.extend([Mishap::CreditOutOfBand, Mishap::CreditOutOfBandVoided]);
            // What the balance pays blurs which line was paid, and what the next renewal still costs.
            if !buyer.mixed && (buyer.balance == 0 || buyer.program() != Some(Program::Counted)) {
                choices.extend([Mishap::CreditToBalance, Mishap::CreditToBalance]);
            }
        }
        if choices.is_empty() { None } else { Some(*self.random.pick(&choices)) }
    }

    fn refund_in_steps(&mut self, buyer: &Buyer, charge: &mut ChargeMade, amount: i64, at: Time) -> Vec<Taken> {
        let first = whole(buyer.currency, amount / 3).max(1);
        let second = whole(buyer.currency, (amount - first) / 2);
        let third = amount - first - second;
        let mut taken = Vec::new();
        let mut at = at;
        for step in [first, second, third] {
            if step > 0 {
                taken.push(self.refund(buyer, charge, step, at, Fate::Succeeds));
                at += self.days(1, 4);
            }
        }
        taken
    }

    /// A refund and all events that tell of it.
    pub(super) fn refund(
        &mut self,
        buyer: &Buyer,
        charge: &mut ChargeMade,
        amount: i64,
        at: Time,
        fate: Fate,
    ) -> Taken {
        let id = self.id("re");
        self.refund_known_as(buyer, charge, amount, at, fate, id)
    }

    fn refund_known_as(
        &mut self,
        buyer: &Buyer,
        charge: &mut ChargeMade,
        amount: i64,
        at: Time,
        fate: Fate,
        id: String,
    ) -> Taken {
        // Some accounts name the charge, some the payment intent, most both.
        let names = self.random.below(10);
        let refund = Refund {
            id,
            amount,
            currency: buyer.currency,
            created: Some(at),
            charge: (names != 0).then(|| charge.id.clone()),
            payment_intent: (names != 1).then(|| charge.intent.clone()),
            status: None,
            reason: Some("requested_by_customer".to_owned()),
        };
        let mut taken = Taken { amount, from: at + DELAY, until: None, code: "refunded" };
        if self.options.refunds == RefundEvents::Cumulative {
            self.charge_refunded(buyer, charge, &refund, at);
            return taken;
        }
        match fate {
            Fate::Succeeds => {
                self.refund_event(Kind::RefundCreated, &refund, "succeeded", at);
                self.charge_refunded(buyer, charge, &refund, at);
                if self.random.chance(40) {
                    let kind = if self.random.chance(50) { Kind::RefundUpdated } else { Kind::ChargeRefundUpdated };
                    self.refund_event(kind, &refund, "succeeded", at + Duration::seconds(2));
                }
            }
            Fate::SucceedsAfter(wait) => {
                self.refund_event(Kind::RefundCreated, &refund, "pending", at);
                self.refund_event(Kind::RefundUpdated, &refund, "succeeded", at + wait);
                self.charge_refunded(buyer, charge, &refund, at + wait);
                taken.from = taken.from.max(at + wait);
            }
            Fate::FailsPending(wait) => {
                self.refund_event(Kind::RefundCreated, &refund, "pending", at);
                self.refund_fails(&refund, at + wait);
                taken.amount = 0;
            }
            Fate::Canceled(wait) => {
                self.refund_event(Kind::RefundCreated, &refund, "requires_action", at);
                self.refund_event(Kind::RefundUpdated, &refund, "canceled", at + wait);
                taken.amount = 0;
            }
            Fate::FailsAfterSuccess(wait) => {
                self.refund_event(Kind::RefundCreated, &refund, "succeeded", at);
                self.charge_refunded(buyer, charge, &refund, at);
                self.refund_fails(&refund, at + wait);
                if self.random.chance(50) {
                    // Whether the charge's figure drops is not known of Stripe: here it does, there it does not.
                    charge.refunded -= amount;
                    let charge = charge_now(buyer, charge);
                    self.happen(Kind::ChargeUpdated, at + wait, Object::Charge(Box::new(charge)));
                }
                taken.until = Some(at + wait);
            }
        }
        taken
    }

    fn refund_event(&mut self, kind: Kind, refund: &Refund, status: &str, at: Time) {
        let refund = Refund { status: Some(status.to_owned()), ..refund.clone() };
        self.happen(kind, at, Object::Refund(refund));
    }

    fn refund_fails(&mut self, refund: &Refund, at: Time) {
        self.refund_event(Kind::RefundFailed, refund, "failed", at);
        self.refund_event(Kind::RefundUpdated, refund, "failed", at);
    }

    fn charge_refunded(&mut self, buyer: &Buyer, charge: &mut ChargeMade, refund: &Refund, at: Time) {
        charge.refunded += refund.amount;
        let mut now = charge_now(buyer, charge);
        // Before 2022-11-15 a charge lists its refunds; the first one is enough to be a list.
        if charge.refunded == refund.amount && self.random.chance(30) {
            now.refunds = Some(vec![Refund { status: Some("succeeded".to_owned()), ..refund.clone() }]);
        }
        self.happen(Kind::ChargeRefunded, at, Object::Charge(Box::new(now)));
    }

    fn note(&mut self, buyer: &Buyer, invoice: Option<&str>, amount: i64) -> CreditNote {
        CreditNote {
            id: self.id("cn"),
            invoice: invoice.unwrap_or_default().to_owned(),
            customer: buyer.customer.clone(),
            amount,
            currency: buyer.currency,
            ..CreditNote::default()
        }
    }

    fn credit_out_of_band(&mut self, buyer: &Buyer, paid: &Paid, amount: i64, at: Time, voided: Option<Time>) -> Taken {
        let mut note = self.note(buyer, paid.invoice.as_deref(), amount);
        note.out_of_band_amount = amount;
        note.created = Some(at);
        self.happen(Kind::CreditNoteCreated, at, Object::CreditNote(note.clone()));
        if let Some(voided) = voided {
            self.happen(Kind::CreditNoteVoided, voided, Object::CreditNote(note));
        }
        Taken { amount, from: at + DELAY, until: voided, code: "refunded" }
    }

    fn dispute(&mut self, buyer: &Buyer, charge: &ChargeMade, amount: i64, at: Time, outcome: &str) -> Taken {
        let dispute = self.disputed(buyer, charge, amount, at);
        self.happen(Kind::DisputeCreated, at, Object::Dispute(dispute.clone()));
        self.happen(Kind::DisputeFundsWithdrawn, at, Object::Dispute(dispute.clone()));
        let review = Dispute { status: Some("under_review".to_owned()), withdrawn: Some(true), ..dispute.clone() };
        self.happen(Kind::DisputeUpdated, at + Duration::days(2), Object::Dispute(review));
        let end = at + self.days(20, 60);
        let closed = Dispute { status: Some(outcome.to_owned()), withdrawn: Some(true), ..dispute };
        let won = outcome == "won";
        if won {
            self.happen(Kind::DisputeFundsReinstated, end, Object::Dispute(closed.clone()));
        }
        let closed = Dispute { reinstated: Some(won), ..closed };
        self.happen(Kind::DisputeClosed, end, Object::Dispute(closed));
        Taken { amount, from: at, until: won.then_some(end), code: "disputed" }
    }

    /// An inquiry moves no money.
    fn inquiry(&mut self, buyer: &Buyer, charge: &ChargeMade, amount: i64, at: Time) {
        let dispute = self.disputed(buyer, charge, amount, at);
        let asked = Dispute { status: Some("warning_needs_response".to_owned()), ..dispute };
        self.happen(Kind::DisputeCreated, at, Object::Dispute(asked.clone()));
        let closed = Dispute { status: Some("warning_closed".to_owned()), ..asked };
        let end = at + self.days(10, 40);
        self.happen(Kind::DisputeClosed, end, Object::Dispute(closed));
    }

    fn disputed(&mut self, buyer: &Buyer, charge: &ChargeMade, amount: i64, at: Time) -> Dispute {
        Dispute {
            id: self.id("dp"),
            amount,
            currency: buyer.currency,
            created: Some(at),
            charge: charge.id.clone(),
            // Old disputes know their charge alone.
            payment_intent: self.random.chance(70).then(|| charge.intent.clone()),
            ..Dispute::default()
        }
    }
}
