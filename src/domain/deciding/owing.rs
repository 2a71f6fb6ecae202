//! From what was found for a payment to its decision: what is owed, step by step.

use super::{Answer, Credited, Deciding, Outcome, Review};
use crate::domain::Time;
use crate::domain::decision::{Code, Decision, Share, Step};
use crate::domain::entry::Component;
use crate::domain::history::Payment;
use crate::domain::money::{Exact, Money, Overflow};
use crate::domain::pricing;
use crate::domain::taken::{Taken, taken};
use crate::domain::terms::Settings;

impl Deciding<'_> {
    fn product(&self, payment: &Payment) -> Option<String> {
        let (history, usual) = (self.context.history, Settings::default);
        match self.context.terms.settings.at(payment.paid_at) {
            Some(settings) => pricing::products(history, payment, settings),
            None => pricing::products(history, payment, &usual()),
        }
    }

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
            base: 0,
            rate: None,
            product: self.product(payment),
            via: None,
            takings: Vec::new(),
            steps: Vec::new(),
            shares: Vec::new(),
            trace,
        };
        if let Some((credit, taken)) = answer.won() {
            decision.via = Some(credit.via.clone());
            decision.takings = taken.levels.iter().map(|level| (level.at, level.taken)).collect();
        }
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
        decision.shares.extend(credited.second.as_ref().map(|second| Share {
            partner: second.recruiter.clone(),
            program: credited.credit.program.clone(),
            component: Component::Level2,
            amount: 0,
            steps: Vec::new(),
        }));
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
        decision.base = credited.price.base.round_half_even()?;
        decision.rate = Some(credited.price.rates.join(" + "));
        let full = credited.price.commission.round_half_even()?;
        let code = if self.is_voided(payment) { Code::Voided } else { code_of(paid, &credited.taken) };
        if matches!(credited.review, Review::Awaited) {
            // What is gone altogether needs no reviewer.
            decision.code = if code == Code::Credited { Code::AwaitingReview } else { code };
            say(decision, &|| format!("the buyer looks like the partner; {} once a reviewer restores it", money(full)));
            return Ok(());
        }
        let owing = Owing { payment, paid, taken: &credited.taken, available_at };
        decision.steps = owing.steps(credited.price.commission)?;
        if let (Some(share), Some(second)) = (decision.shares.first_mut(), &credited.second) {
            share.steps = owing.steps(second.commission)?;
            share.amount = sum(&share.steps);
        }
        say(decision, &|| format!("commission: {}, rounded half to even", money(full)));
        for level in &credited.taken.levels {
            let left = owing.left(credited.price.commission, level.taken)?;
            say(decision, &|| {
                let (reason, taken) = (level.reason, money(level.taken));
                format!("{} ({reason}): {taken} of {} taken back, {} owed", level.at, money(paid), money(left))
            });
        }
        if let Some((partner, amount)) = decision.shares.first().map(|share| (share.partner.clone(), share.amount)) {
            say(decision, &|| format!("second level: {} owed to {partner}", money(amount)));
        }
        decision.amount = sum(&decision.steps);
        decision.code = code;
        say(decision, &|| format!("on hold until {available_at} ({} days after payment)", credited.hold_days));
        if let Some(due) = credited.taken.next_change_at {
            say(decision, &|| format!("a refund takes effect at {due}"));
        }
        Ok(())
    }
}

/// What turns an exact commission into ledger lines.
struct Owing<'a> {
    payment: &'a Payment,
    paid: i64,
    taken: &'a Taken,
    available_at: Time,
}

impl Owing<'_> {
    /// What is left of a commission when so much was taken back: rounded once, from the exact amount.
    fn left(&self, commission: Exact, taken: i64) -> Result<i64, Overflow> {
        commission.times(Exact::ratio(self.paid - taken, self.paid)?)?.round_half_even()
    }

    fn steps(&self, commission: Exact) -> Result<Vec<Step>, Overflow> {
        let mut steps = Vec::new();
        let mut owed = 0;
        let mut step = |level: i64, at: Time, event_id: &str, reason: &'static str| {
            if level != owed {
                steps.push(Step {
                    occurred_at: at,
                    available_at: self.available_at.max(at),
                    amount: level.checked_sub(owed).ok_or(Overflow)?,
                    event_id: Some(event_id.to_owned()),
                    reason,
                });
                owed = level;
            }
            Ok::<(), Overflow>(())
        };
        step(commission.round_half_even()?, self.payment.paid_at, &self.payment.event_id, "payment")?;
        for level in &self.taken.levels {
            step(self.left(commission, level.taken)?, level.at, &level.event_id, level.reason)?;
        }
        Ok(steps)
    }
}

fn sum(steps: &[Step]) -> i64 {
    steps.iter().map(|step| step.amount).sum()
}

/// Credited, unless all of it was taken back.
fn code_of(paid: i64, taken: &Taken) -> Code {
    match taken.levels.last() {
        Some(level) if level.taken >= paid && level.disputed > 0 => Code::Disputed,
        Some(level) if level.taken >= paid => Code::Refunded,
        _ => Code::Credited,
    }
}
