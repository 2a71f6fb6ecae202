//! How [`super::decision`] decides: payment by payment in order of `(paid_at, reference)`, each seeing the standing that
//! earlier ones left behind.
//!
//! What was entered later reaches back to payments that credit nobody and never takes a credited one. So the payments
//! are gone through several times: first with what was known when each was paid, then once more for each later moment at
//! which something was entered that resolves a clue; what an earlier pass gave to somebody stays theirs.

mod owing;
mod places;

use std::collections::BTreeMap;

use self::places::{leave_behind, take_places};
use super::Time;
use super::attribution::{Candidate, Candidates, Context, Credit, Refusal, candidates, is_self_referral, may_earn};
use super::decision::{Code, DecideError, Decisions, Lookups};
use super::facts::BillingReason;
use super::history::{History, Payment, Source};
use super::joining::{Join, joins};
use super::missing::{Missing, Needs};
use super::money::Overflow;
use super::pricing::{Price, Question, price};
use super::second_level::{SecondLevel, second_level};
use super::standing::Standing;
use super::taken::{Taken, taken};
use super::terms::{
    CreditBy, Kind, PriceBy, Program, ProgramTerms, Reviewed, SelfReferral, Settings, Terms, TrialConversion, Verdict,
    Version,
};
use super::trace::Trace;

/// One run over one customer.
pub struct Deciding<'a> {
    context: Context<'a>,
    now: Time,
    trace: Trace,
    joins: Vec<Join>,
    /// The candidates of payments that needed them.
    candidates: Vec<Option<Candidates>>,
    /// What an earlier pass gave to somebody.
    fixed: Vec<Option<Outcome>>,
    /// What was asked for and not known.
    needs: Needs,
}

/// What a pass found for one payment.
#[derive(Debug, Clone)]
struct Outcome {
    kind: Kind,
    paid: i64,
    answer: Answer,
    trace: Vec<String>,
}

#[derive(Debug, Clone)]
enum Answer {
    Credited(Box<Credited>),
    /// Somebody is named, but no rule prices it.
    Unpriced(Box<Unpriced>),
    Refused(Refusal),
}

impl Answer {
    /// Who has won the payment, and what was taken back of it.
    fn won(&self) -> Option<(&Credit, &Taken)> {
        match self {
            Self::Credited(credited) => Some((&credited.credit, &credited.taken)),
            Self::Unpriced(unpriced) => Some((&unpriced.credit, &unpriced.taken)),
            Self::Refused(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
struct Credited {
    credit: Credit,
    version: u32,
    price: Price,
    taken: Taken,
    hold_days: u32,
    review: Review,
    second: Option<SecondLevel>,
}

/// Whether a credited payment earns.
#[derive(Debug, Clone)]
enum Review {
    /// It does.
    Passed,
    /// Once a reviewer has said so.
    Awaited,
    /// A reviewer said no, and why.
    Rejected(String),
}

#[derive(Debug, Clone)]
struct Unpriced {
    code: Code,
    credit: Credit,
    version: u32,
    taken: Taken,
}

/// Buyers that are one customer so far, and their standing.
#[derive(Default)]
struct Standings<'a> {
    root: BTreeMap<&'a str, &'a str>,
    members: BTreeMap<&'a str, Vec<&'a str>>,
    standing: BTreeMap<&'a str, Standing>,
}

impl<'a> Standings<'a> {
    fn root(&mut self, buyer: &'a str) -> &'a str {
        if let Some(root) = self.root.get(buyer) {
            return root;
        }
        self.root.insert(buyer, buyer);
        self.members.insert(buyer, vec![buyer]);
        self.standing.insert(buyer, Standing::default());
        buyer
    }

    fn join(&mut self, a: &'a str, b: &'a str) -> Result<(), Overflow> {
        let (into, from) = (self.root(a), self.root(b));
        if into == from {
            return Ok(());
        }
        let moved = self.members.remove(from).unwrap_or_default();
        for buyer in &moved {
            self.root.insert(buyer, into);
        }
        self.members.entry(into).or_default().extend(moved);
        let standing = self.standing.remove(from).unwrap_or_default();
        self.standing.entry(into).or_default().merge(standing)
    }
}

impl<'a> Deciding<'a> {
    /// Prepares a run.
    pub fn new(history: &'a History, terms: &'a Terms, lookups: &'a Lookups, now: Time, trace: Trace) -> Self {
        let payments = history.payments.len();
        Self {
            context: Context { history, terms, lookups },
            now,
            trace,
            joins: joins(history, terms),
            candidates: vec![None; payments],
            fixed: vec![None; payments],
            needs: Needs::default(),
        }
    }

    /// Runs it.
    pub fn run(mut self) -> Result<Decisions, DecideError> {
        let mut known_until = None;
        let outcomes = loop {
            let outcomes = self.pass(known_until)?;
            let Some(next) = self.next_entry(known_until) else { break outcomes };
            for (index, outcome) in outcomes.into_iter().enumerate() {
                let before = self.context.history.payments[index].paid_at < next;
                if let (true, Some(outcome)) = (before, outcome)
                    && outcome.answer.won().is_some()
                {
                    self.fixed[index] = Some(outcome);
                }
            }
            known_until = Some(next);
        };
        let mut decisions = Decisions { unmatched: self.context.history.unmatched.clone(), ..Decisions::default() };
        let mut needs = std::mem::take(&mut self.needs);
        needs.missing.extend(self.context.history.unlinked.iter().cloned().map(Missing::Link));
        (decisions.needs, decisions.missing) = (needs.aggregates, needs.missing);
        for (payment, outcome) in self.context.history.payments.iter().zip(outcomes) {
            let Some(outcome) = outcome else { continue };
            if let Some(due) = outcome.answer.won().and_then(|(_, taken)| taken.next_change_at) {
                decisions.settle_due_at = Some(decisions.settle_due_at.map_or(due, |known: Time| known.min(due)));
            }
            decisions.payments.push(self.decision(payment, outcome).map_err(|source| overflow(payment, source))?);
        }
        Ok(decisions)
    }

    /// The next moment after `known_until` at which something was entered that resolves a clue of a payment paid before.
    fn next_entry(&self, known_until: Option<Time>) -> Option<Time> {
        let mut next: Option<Time> = None;
        for (payment, candidates) in self.context.history.payments.iter().zip(&self.candidates) {
            for candidate in candidates.iter().flat_map(|candidates| &candidates.list) {
                let late = candidate.known_at > payment.paid_at
                    && candidate.known_at <= self.now
                    && known_until.is_none_or(|until| candidate.known_at > until);
                if late && next.is_none_or(|known| candidate.known_at < known) {
                    next = Some(candidate.known_at);
                }
            }
        }
        next
    }

    fn pass(&mut self, known_until: Option<Time>) -> Result<Vec<Option<Outcome>>, DecideError> {
        let history = self.context.history;
        let joins = std::mem::take(&mut self.joins);
        let mut standings = Standings::default();
        self.keep_places(&mut standings)?;
        let mut due = joins.iter().peekable();
        let mut outcomes = Vec::with_capacity(history.payments.len());
        for (index, payment) in history.payments.iter().enumerate() {
            let result = (|| {
                while let Some(join) = due.next_if(|join| join.at <= payment.paid_at) {
                    standings.join(self.buyer(&join.a), self.buyer(&join.b))?;
                }
                self.outcome(index, payment, &mut standings, known_until)
            })();
            outcomes.push(result.map_err(|source| overflow(payment, source))?);
        }
        self.joins = joins;
        Ok(outcomes)
    }

    /// A buyer's name as the history holds it.
    fn buyer(&self, name: &str) -> &'a str {
        let known = self.context.history.buyers.get_key_value(name);
        known.map_or("", |(name, _)| name.as_str())
    }

    /// Payments that an earlier pass credited have their rules' places and their parts of caps already: an earlier
    /// payment that is credited only now does not take them.
    fn keep_places(&self, standings: &mut Standings<'a>) -> Result<(), DecideError> {
        for (payment, fixed) in self.context.history.payments.iter().zip(&self.fixed) {
            let Some(Outcome { kind, paid, answer: Answer::Credited(credited), .. }) = fixed else { continue };
            let root = standings.root(&payment.buyer);
            let standing = standings.standing.entry(root).or_default();
            take_places(payment, *kind, *paid, credited, standing).map_err(|source| overflow(payment, source))?;
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        index: usize,
        payment: &'a Payment,
        standings: &mut Standings<'a>,
        known_until: Option<Time>,
    ) -> Result<Option<Outcome>, Overflow> {
        let root = standings.root(&payment.buyer);
        let settings = self.context.terms.settings.at(payment.paid_at);
        let default = Settings::default();
        let settings = settings.unwrap_or(&default);
        if matches!(payment.source, Source::Direct { .. }) && !settings.count_direct_payments {
            return Ok(None);
        }
        let fixed = self.fixed[index].clone();
        let is_fixed = fixed.is_some();
        let outcome = if let Some(outcome) = fixed {
            outcome
        } else {
            let members = standings.members.get(root).cloned().unwrap_or_default();
            let standing = standings.standing.entry(root).or_default();
            self.answer(index, payment, settings, &members, standing, known_until)?
        };
        let standing = standings.standing.entry(root).or_default();
        leave_behind(payment, index, &outcome, is_fixed, standing)?;
        Ok(Some(outcome))
    }

    fn answer(
        &mut self,
        index: usize,
        payment: &'a Payment,
        settings: &Settings,
        members: &[&'a str],
        standing: &Standing,
        known_until: Option<Time>,
    ) -> Result<Outcome, Overflow> {
        let mut trace = self.trace.fresh();
        let paid = received(payment, settings);
        let mut kind = kind(payment, standing);
        let refused = |kind, refusal, trace: Trace| Outcome {
            kind,
            paid,
            answer: Answer::Refused(refusal),
            trace: trace.into_lines(),
        };
        let nobody = |code| Refusal { code, partner: None, program: None };
        if paid <= 0 {
            return Ok(refused(kind, nobody(Code::ZeroAmount), trace));
        }
        if payment.source == (Source::Direct { known_alone: false }) {
            self.needs.missing.insert(Missing::Link(payment.reference.clone()));
            return Ok(refused(kind, nobody(Code::AwaitingLink), trace));
        }
        let credit = match self.credit(index, payment, kind, members, standing, known_until, &mut trace) {
            Ok(credit) => credit,
            Err(refusal) => return Ok(refused(kind, refusal, trace)),
        };
        let program = self.context.terms.programs.get(&credit.program);
        let Some((program, Pricing { version, at })) =
            program.and_then(|program| Some((program, pricing(program, payment, &credit, standing)?)))
        else {
            return Ok(refused(kind, nobody(Code::ProgramInactive), trace));
        };
        if self.is_trial_conversion(payment, standing) && version.terms.trial_conversion == TrialConversion::First {
            kind = Kind::First;
        }
        trace.say(|| format!("priced by program {} version {}", program.name, version.number));
        trace.say(|| format!("kind of payment: {}", kind_words(kind)));
        let overrides = self.context.terms.overrides_at(&credit.partner, &credit.program, at);
        let partner = self.context.terms.partners.get(&credit.partner);
        let group = partner.and_then(|partner| partner.group.at(payment.paid_at)).and_then(Option::as_deref);
        let question = Question {
            history: self.context.history,
            payment,
            paid,
            kind,
            settings,
            partner: &credit.partner,
            group,
            program: &credit.program,
            terms: &version.terms,
            overrides: &overrides,
            standing,
            aggregates: &self.context.lookups.aggregates,
            prices: &self.context.lookups.prices,
        };
        let taken = taken(payment, paid, version.terms.reversal_delay, self.now);
        let answer = match price(&question, &mut self.needs, &mut trace)? {
            Ok(price) => Answer::Credited(Box::new(Credited {
                review: self.review(payment, &credit.partner, &version.terms),
                second: second_level(self.context, payment, &credit, &version.terms, &price, &mut trace)?,
                hold_days: version.terms.hold_days,
                version: version.number,
                credit,
                price,
                taken,
            })),
            Err(code) => Answer::Unpriced(Box::new(Unpriced { code, credit, version: version.number, taken })),
        };
        Ok(Outcome { kind, paid, answer, trace: trace.into_lines() })
    }

    /// Who is credited: by hand, else the customer's winner, else the best evidence that was known in time.
    #[allow(clippy::too_many_arguments)] // one step of `answer`, which has them all at hand
    fn credit(
        &mut self,
        index: usize,
        payment: &'a Payment,
        kind: Kind,
        members: &[&'a str],
        standing: &Standing,
        known_until: Option<Time>,
        trace: &mut Trace,
    ) -> Result<Credit, Refusal> {
        let context = self.context;
        let winner = standing.winner.at(payment.paid_at).map(|(order, _, credit)| (order, credit.clone()));
        let own_first = winner.as_ref().is_some_and(|(_, credit)| {
            let program = context.terms.programs.get(&credit.program);
            let pricing = program.and_then(|program| pricing(program, payment, credit, standing));
            kind == Kind::OneOff && pricing.is_some_and(|pricing| pricing.version.terms.credit == CreditBy::Payment)
        });
        let needs_evidence = winner.is_none() || own_first || !context.terms.by_hand.is_empty();
        if needs_evidence && (self.candidates[index].is_none() || trace.is_on()) {
            let free: Vec<&Payment> = standing.free.iter().map(|&free| &context.history.payments[free]).collect();
            let found = candidates(context, payment, members, &free, trace);
            self.needs.missing.extend(found.missing.iter().cloned());
            self.candidates[index] = Some(found);
        }
        let known = known_until.map_or(payment.paid_at, |until| until.max(payment.paid_at));
        let found = self.candidates[index].as_ref().filter(|_| needs_evidence);
        let best = |may_win: &dyn Fn(&Candidate) -> bool| {
            let list = found.map(|found| found.list.as_slice()).unwrap_or_default();
            list.iter().find(|candidate| candidate.known_at <= known && may_win(candidate))
        };
        let by_evidence = match (&winner, own_first) {
            (None, _) => best(&|_| true),
            (Some(_), true) => best(&|candidate| candidate.own),
            (Some(_), false) => None,
        };
        if let Some(candidate) = best(&Candidate::is_by_hand).or(by_evidence) {
            trace.say(|| format!("credited to {}: {}", candidate.credit.partner, candidate.describe()));
            return Ok(candidate.credit.clone());
        }
        if let Some(((_, first), credit)) = winner {
            trace.say(|| format!("credited to {}: who won this customer with payment {first}", credit.partner));
            let program = context.terms.programs.get(&credit.program);
            let pricing = program.and_then(|program| pricing(program, payment, &credit, standing));
            let terms = pricing.map(|pricing| &pricing.version.terms);
            return may_earn(context, payment, &credit, terms).map(|()| credit);
        }
        if payment.has_hidden_discounts && !context.terms.codes.is_empty() {
            self.needs.missing.insert(Missing::Discounts(payment.reference.clone()));
        }
        Err(found.map_or_else(
            || Refusal { code: Code::NoEvidence, partner: None, program: None },
            |found| found.refusal.clone(),
        ))
    }

    /// The first money of a subscription that began with nothing to pay.
    fn is_trial_conversion(&self, payment: &Payment, standing: &Standing) -> bool {
        let began_free = |free: &usize| {
            let free = &self.context.history.payments[*free];
            free.subscription == payment.subscription
                && free.billing_reason == Some(BillingReason::SubscriptionCreate)
                && free.total <= 0
        };
        payment.billing_reason == Some(BillingReason::SubscriptionCycle)
            && payment.subscription.is_some()
            && standing.subscriptions.is_empty()
            && standing.free.iter().any(began_free)
    }

    fn is_voided(&self, payment: &Payment) -> bool {
        payment.voided.as_ref().is_some_and(|voided| voided.at <= self.now)
    }

    /// What reviewers said of a payment last, whichever of its references they named.
    fn reviewed(&self, payment: &Payment) -> Option<&'a Reviewed> {
        let reviews = &self.context.terms.reviews;
        let said = payment.references.iter().filter_map(|reference| reviews.get(reference));
        said.max_by_key(|reviewed| reviewed.seq)
    }

    /// Whether a credited payment earns.
    fn review(&self, payment: &Payment, partner: &str, terms: &ProgramTerms) -> Review {
        let looks_alike =
            || terms.self_referral == SelfReferral::Review && is_self_referral(self.context, payment, partner, terms);
        match self.reviewed(payment) {
            Some(Reviewed { verdict: Verdict::Rejected, note, .. }) => Review::Rejected(note.clone()),
            None if looks_alike() => Review::Awaited,
            _ => Review::Passed,
        }
    }
}

fn overflow(payment: &Payment, source: Overflow) -> DecideError {
    DecideError::Overflow { reference: payment.reference.clone(), source }
}

/// What was received: through Stripe, and outside of it where that counts.
fn received(payment: &Payment, settings: &Settings) -> i64 {
    let off_stripe = if settings.count_out_of_band { payment.off_stripe } else { 0 };
    // A negative amount would be an event gone wrong: nobody receives less than nothing.
    payment.on_stripe.saturating_add(off_stripe).max(0)
}

/// The kind of a payment, from Stripe's billing reason and what the customer paid before.
fn kind(payment: &Payment, standing: &Standing) -> Kind {
    let in_subscription = payment.subscription.is_some();
    // A further subscription looks like a renewal; the first invoice of the same one, paid late, does not.
    let own = payment.subscription.as_deref().unwrap_or_default();
    let is_further = standing.subscriptions.iter().any(|other| other != own);
    let first = if is_further { Kind::Recurring } else { Kind::First };
    if payment.source != Source::Invoice {
        return Kind::OneOff;
    }
    match payment.billing_reason {
        Some(BillingReason::SubscriptionCreate) => first,
        Some(BillingReason::QuoteAccept) if in_subscription => first,
        Some(BillingReason::SubscriptionCycle | BillingReason::SubscriptionThreshold | BillingReason::Subscription) => {
            Kind::Recurring
        }
        Some(BillingReason::SubscriptionUpdate) => Kind::Change,
        Some(BillingReason::AutomaticPendingInvoiceItem | BillingReason::Other) | None if in_subscription => {
            Kind::Change
        }
        _ => Kind::OneOff,
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::First => "first",
        Kind::Recurring => "recurring",
        Kind::Change => "change of plan",
        Kind::OneOff => "one-off",
    }
}

/// The version that prices.
struct Pricing<'p> {
    version: &'p Version,
    /// As of when the overrides count.
    at: Time,
}

/// The version that prices, and its overrides: the customer's, or those in force when it was paid.
fn pricing<'p>(program: &'p Program, payment: &Payment, credit: &Credit, standing: &Standing) -> Option<Pricing<'p>> {
    let pinned = standing.pins.get(&credit.program).and_then(|held| held.at(payment.paid_at));
    let pinned = pinned.and_then(|((at, _), _, number)| Some((*at, program.version(*number)?)));
    match pinned {
        Some((at, version)) if version.terms.price_by == PriceBy::Customer => Some(Pricing { version, at }),
        _ => program.version_at(payment.paid_at).map(|version| Pricing { version, at: payment.paid_at }),
    }
}
