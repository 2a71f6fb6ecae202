//! From what was found for a payment to its decision: what is owed, step by step.

use super::{Answer, Credited, Deciding, Outcome, Review};
use crate::domain::Time;
use crate::domain::decision::{Code, Decision, Step};
use crate::domain::history::Payment;
use crate::domain::money::{Exact, Money, Overflow};
use crate::domain::taken::{Taken, taken};

impl Deciding<'_> {
    /// The outcome as an answer with its ledger lines.
    pub(super) fn decision(&self, payment: &Payment, outcome: Outcome) -> Result<Decision, Overflow> {
        let Outcome { kind, paid, answer, trace } = outcome;
        let mut decision = Decision {
            reference: payment.reference.clone(),
            references: payment.references.clone(),
            customer: payment.customer.clone(),
            kind,
            paid_at: payment.paid_at,
            currency: payment.currency,
            paid,
            taken_back: 0,
            code: Code::Credited,
            partner: None,
            program: None,
            version: None,
            amount: 0,
            steps: Vec::new(),
            trace,
        };
        match answer {
            Answer::Refused(refusal) => {
                decision.code = if self.is_voided(payment) { Code::Voided } else { refusal.code };
                decision.partner = refusal.partner;
                decision.program = refusal.program;
                decision.taken_back = taken(payment, paid, 0, self.now).now();
            }
            Answer::Unpriced(unpriced) => {
                decision.code = if self.is_voided(payment) { Code::Voided } else { unpriced.code };
                decision.partner = Some(unpriced.credit.partner);
                decision.program = Some(unpriced.credit.program);
                decision.version = Some(unpriced.version);
                decision.taken_back = unpriced.taken.now();
            }
            Answer::Credited(credited) => self.credited(payment, *credited, &mut decision)?,
        }
        if self.trace.is_on() {
            let code = decision.code;
            decision.trace.push(format!("{code}: {}", code.sentence()));
        }
        Ok(decision)
    }

    fn credited(&self, payment: &Payment, credited: Credited, decision: &mut Decision) -> Result<(), Overflow> {
        let paid = decision.paid;
        let money = |amount| Money::new(amount, payment.currency);
        let available_at = payment
            .paid_at
            .checked_add_signed(chrono::TimeDelta::days(i64::from(credited.hold_days)))
            .unwrap_or(payment.paid_at);
        decision.taken_back = credited.taken.now();
        decision.partner = Some(credited.credit.partner);
        decision.program = Some(credited.credit.program);
        decision.version = Some(credited.version);
        let say = |decision: &mut Decision, line: &dyn Fn() -> String| {
            if self.trace.is_on() {
                decision.trace.push(line());
            }
        };
        if let Review::Rejected(note) = &credited.review {
            decision.code = Code::RejectedByReview;
            say(decision, &|| format!("rejected by review: {note}"));
            return Ok(());
        }
        let full = credited.price.commission.round_half_even()?;
        let code = if self.is_voided(payment) { Code::Voided } else { code_of(paid, &credited.taken) };
        if matches!(credited.review, Review::Awaited) {
            // What is gone altogether needs no reviewer.
            decision.code = if code == Code::Credited { Code::AwaitingReview } else { code };
            say(decision, &|| format!("the buyer looks like the partner; {} once a reviewer restores it", money(full)));
            return Ok(());
        }
        let mut owed = 0;
        let mut step = |decision: &mut Decision, level: i64, at: Time, event_id: &str, reason: &'static str| {
            if level != owed {
                decision.steps.push(Step {
                    occurred_at: at,
                    available_at: available_at.max(at),
                    amount: level.checked_sub(owed).ok_or(Overflow)?,
                    event_id: Some(event_id.to_owned()),
                    reason,
                });
                owed = level;
            }
            Ok::<(), Overflow>(())
        };
        step(decision, full, payment.paid_at, &payment.event_id, "payment")?;
        say(decision, &|| format!("commission: {}, rounded half to even", money(full)));
        for level in &credited.taken.levels {
            let kept = Exact::ratio(paid - level.taken, paid)?;
            let left = credited.price.commission.times(kept)?.round_half_even()?;
            step(decision, left, level.at, &level.event_id, level.reason)?;
            say(decision, &|| {
                let (reason, taken) = (level.reason, money(level.taken));
                format!("{} ({reason}): {taken} of {} taken back, {} owed", level.at, money(paid), money(left))
            });
        }
        decision.amount = decision.steps.iter().map(|step| step.amount).sum();
        decision.code = code;
        say(decision, &|| format!("on hold until {available_at} ({} days after payment)", credited.hold_days));
        if let Some(due) = credited.taken.next_change_at {
            say(decision, &|| format!("a refund takes effect at {due}"));
        }
        Ok(())
    }
}

/// Credited, unless all of it was taken back.
fn code_of(paid: i64, taken: &Taken) -> Code {
    match taken.levels.last() {
        Some(level) if level.taken >= paid && level.disputed > 0 => Code::Disputed,
        Some(level) if level.taken >= paid => Code::Refunded,
        _ => Code::Credited,
    }
}
