//! Pricing: which rule each line of a payment falls under, and what the payment earns before anything is taken back.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use super::Time;
use super::base;
use super::calendar::{Month, add_months};
use super::decision::Code;
use super::evidence::value_of;
use super::facts::{Line, Metadata, PriceInfo};
use super::history::{History, Payment, Source, What};
use super::missing::{Missing, Needs};
use super::money::{Exact, Money, Overflow};
use super::standing::{RuleKey, Standing, Stream};
use super::terms::{
    Base, Duration, Earn, Kind, MetadataField, PartnerKey, ProgramKey, ProgramTerms, Rule, Settings, Tiers, Whose,
};
use super::tiers::{Aggregate, AggregateKey, Aggregates, reached};
use super::trace::Trace;

/// What is priced, for whom.
pub struct Question<'a> {
    /// The customer's history.
    pub history: &'a History,
    /// The payment.
    pub payment: &'a Payment,
    /// What was received for it.
    pub paid: i64,
    /// What it is to a rule.
    pub kind: Kind,
    /// Settings when it was paid.
    pub settings: &'a Settings,
    /// Who would earn.
    pub partner: &'a PartnerKey,
    /// The partner's group when it was paid.
    pub group: Option<&'a str>,
    /// The program.
    pub program: &'a ProgramKey,
    /// The terms that price it.
    pub terms: &'a ProgramTerms,
    /// The overrides tried before the terms' own rules, in order.
    pub overrides: &'a [(Whose, &'a [Rule])],
    /// What earlier payments leave behind.
    pub standing: &'a Standing,
    /// What partners brought in the months before.
    pub aggregates: &'a Aggregates,
    /// Prices that Stripe was asked for, by id.
    pub prices: &'a HashMap<String, PriceInfo>,
}

/// What a payment earns before anything is taken back.
#[derive(Debug, Clone)]
pub struct Price {
    /// The exact commission, never negative.
    pub commission: Exact,
    /// The exact base of the lines for which a rule gives, never negative, minor units.
    pub base: Exact,
    /// The period start that its stream starts with, if it is the first.
    pub period_start: Time,
    /// What each rule that priced it gave.
    pub by_rule: Vec<(RuleKey, Exact)>,
    /// What they give, in words, each once: `20 %`, `25.00 usd`.
    pub rates: Vec<String>,
}

/// What was sold: each line's product, by the merchant's key, else Stripe's id, each once.
pub fn products(history: &History, payment: &Payment, settings: &Settings) -> Option<String> {
    let mut products: Vec<String> = Vec::new();
    for line in &payment.lines {
        let known = line.price.as_ref().and_then(|price| history.prices.get(price));
        let key = |metadata| value_of(metadata, MetadataField::ProductKey, settings);
        // Only old lines show their price's metadata.
        let named = key(&line.metadata).or_else(|| key(&known?.metadata));
        let product = named.or_else(|| line.product.clone()).or_else(|| known?.product.clone());
        products.extend(product.filter(|product| !products.contains(product)));
    }
    (!products.is_empty()).then(|| products.join(", "))
}

/// A rule in its place among those that are tried.
#[derive(Clone, Copy)]
struct Tried<'a> {
    rule: &'a Rule,
    /// Whose override it is in; the program's own when `None`.
    whose: Option<&'a Whose>,
    /// In its list, from 0.
    index: usize,
}

impl Tried<'_> {
    fn key(&self) -> RuleKey {
        let key = self.rule.key.clone().unwrap_or_else(|| (self.index + 1).to_string());
        RuleKey { whose: self.whose.cloned(), key }
    }
}

/// All rules in the order in which they are tried.
fn tried<'a>(question: &Question<'a>) -> Vec<Tried<'a>> {
    let of = |whose, rules: &'a [Rule]| rules.iter().enumerate().map(move |(index, rule)| Tried { rule, whose, index });
    let overrides = question.overrides.iter().flat_map(|(whose, rules)| of(Some(whose), rules));
    overrides.chain(of(None, &question.terms.rules)).collect()
}

/// What became of one line.
enum Match {
    Rule(usize),
    None(Code),
}

/// Prices a payment, or says why no rule does. `needs` collects what is asked for and not known.
pub fn price(question: &Question<'_>, needs: &mut Needs, trace: &mut Trace) -> Result<Result<Price, Code>, Overflow> {
    let Question { payment, paid, terms, .. } = question;
    let fees = if terms.base == Base::NetOfFees { base::fees(payment)? } else { Some(Exact::zero()) };
    let rules = tried(question);
    if let Some(code) = awaits(question, &rules, fees.is_some(), needs, trace) {
        return Ok(Err(code));
    }
    let fees = fees.unwrap_or_else(Exact::zero);
    let whole = base::whole(terms.base, *paid, payment.total, payment.tax, fees)?;
    let bases = base::by_line(&payment.lines, whole)?;
    let period_start = period_start(payment);
    trace.say(|| say_base(question, whole, fees));
    for (whose, rules) in question.overrides {
        let count = rules.len();
        trace.say(|| format!("before the program's rules: {count} of {whose}'s own"));
    }
    let mut lines_of_rule: BTreeMap<usize, Vec<Exact>> = BTreeMap::new();
    let mut reasons = Vec::new();
    for (line, base) in payment.lines.iter().zip(&bases) {
        match find_rule(question, &rules, line, period_start) {
            Match::Rule(index) => lines_of_rule.entry(index).or_default().push(*base),
            Match::None(code) => reasons.push(code),
        }
    }
    let (mut by_rule, mut rates) = (Vec::new(), Vec::new());
    let mut base = Exact::zero();
    for (index, bases) in lines_of_rule {
        match earn(question, rules[index], &bases, needs, trace)? {
            Ok((given, rate)) => {
                by_rule.push((rules[index].key(), given));
                if !rates.contains(&rate) {
                    rates.push(rate);
                }
                for of_line in &bases {
                    base = base.plus(*of_line)?;
                }
            }
            Err(code) => reasons.push(code),
        }
    }
    if by_rule.is_empty() {
        return Ok(Err(reasons.into_iter().min_by_key(|code| precedence(*code)).unwrap_or(Code::NoRuleMatches)));
    }
    let mut commission = Exact::zero();
    for (_, given) in &by_rule {
        commission = commission.plus(*given)?;
    }
    let commission = if commission.is_positive() { commission } else { Exact::zero() };
    let base = if base.is_positive() { base } else { Exact::zero() };
    Ok(Ok(Price { commission, base, period_start, by_rule, rates }))
}

/// Which reason speaks for a payment none of whose lines earns.
fn precedence(code: Code) -> u8 {
    match code {
        Code::OneTimeAlreadyEarned | Code::MonthsExhausted | Code::PaymentsExhausted => 0,
        Code::CurrencyNotPriced => 1,
        Code::ProductExcluded => 2,
        _ => 3,
    }
}

/// Whether Stripe has to be asked before it can be priced, and for what.
fn awaits(
    question: &Question<'_>,
    rules: &[Tried<'_>],
    are_fees_known: bool,
    needs: &mut Needs,
    trace: &mut Trace,
) -> Option<Code> {
    let reference = &question.payment.reference;
    let of_kind = || rules.iter().filter(|tried| tried.rule.on.is_none_or(|kind| kind == question.kind));
    let mut missing = Vec::new();
    let lines = Missing::Lines(reference.clone());
    match question.payment.source {
        _ if !question.payment.has_unseen_lines || !of_kind().any(|tried| tried.rule.tells_lines_apart()) => {}
        // What a checkout says of itself (its `product_key`) mostly is enough: it does not wait.
        Source::Checkout => drop(needs.missing.insert(lines)),
        _ => missing.push(lines),
    }
    if !are_fees_known {
        missing.push(Missing::Fees(reference.clone()));
    }
    for missing in &missing {
        trace.say(|| format!("waits until Stripe has said {missing}"));
    }
    // What a price says may move a line to another rule; it is asked for, and the line does not wait for it.
    let by_key = of_kind().any(|tried| !tried.rule.product_key.is_empty());
    let by_interval = of_kind().any(|tried| !tried.rule.interval.is_empty());
    let by_product = of_kind().any(|tried| !tried.rule.product.is_empty());
    for line in &question.payment.lines {
        let Some(price) = line.price.as_ref().filter(|price| !question.prices.contains_key(*price)) else { continue };
        let is_open = by_key && product_key(question, line).is_none()
            || by_interval && interval(question, line).is_none()
            || by_product && product(question, line).is_none();
        if is_open {
            needs.missing.insert(Missing::Price(price.clone()));
        }
    }
    let code = (!missing.is_empty()).then_some(Code::AwaitingLookup);
    needs.missing.extend(missing);
    code
}

fn say_base(question: &Question<'_>, whole: Exact, fees: Exact) -> String {
    let Question { payment, paid, terms, .. } = question;
    let money = |amount| Money::new(amount, payment.currency);
    match terms.base {
        Base::Gross => format!("base (gross): {} received", money(*paid)),
        Base::NetOfFees => format!(
            "base (net of fees): {} received × ({} total − {} tax) ÷ {} total − {fees} fees = {whole} minor units",
            money(*paid),
            money(payment.total),
            money(payment.tax),
            money(payment.total),
        ),
        Base::Net => format!(
            "base (net): {} received × ({} total − {} tax) ÷ {} total = {whole} minor units",
            money(*paid),
            money(payment.total),
            money(payment.tax),
            money(payment.total),
        ),
    }
}

fn find_rule(question: &Question<'_>, rules: &[Tried<'_>], line: &Line, period_start: Time) -> Match {
    let mut used_up = None;
    for (index, tried) in rules.iter().enumerate() {
        if !matches(question, tried.rule, line) {
            continue;
        }
        match left(question, *tried, period_start) {
            Ok(()) => return Match::Rule(index),
            Err(code) => drop(used_up.get_or_insert(code)),
        }
    }
    Match::None(used_up.unwrap_or(Code::NoRuleMatches))
}

fn matches(question: &Question<'_>, rule: &Rule, line: &Line) -> bool {
    let lists = |list: &[String], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|listed| listed == value))
    };
    rule.on.is_none_or(|kind| kind == question.kind)
        && lists(&rule.partner, Some(question.partner))
        && lists(&rule.group, question.group)
        && lists(&rule.price, line.price.as_deref())
        && (rule.product.is_empty() || lists(&rule.product, product(question, line)))
        && (rule.interval.is_empty() || lists(&rule.interval, interval(question, line)))
        && (rule.product_key.is_empty() || lists(&rule.product_key, product_key(question, line).as_deref()))
}

/// What is known of a line's price: by the customer's own subscriptions, then by having asked for it.
fn prices<'a>(question: &Question<'a>, line: &Line) -> impl Iterator<Item = &'a PriceInfo> {
    let price = line.price.as_deref();
    let (own, asked) = (&question.history.prices, question.prices);
    price.into_iter().flat_map(move |price| own.get(price).into_iter().chain(asked.get(price)))
}

fn product<'a>(question: &Question<'a>, line: &'a Line) -> Option<&'a str> {
    line.product.as_deref().or_else(|| prices(question, line).find_map(|price| price.product.as_deref()))
}

fn interval<'a>(question: &Question<'a>, line: &'a Line) -> Option<&'a str> {
    let said = || prices(question, line).find_map(|price| price.interval.as_deref());
    line.interval.as_deref().or_else(said).or_else(|| interval_of(line))
}

/// The product key nearest to a line: on the line or its price, else on the payment's objects, else on the session that
/// started the subscription.
fn product_key(question: &Question<'_>, line: &Line) -> Option<String> {
    let of = |metadata: &Metadata| value_of(metadata, MetadataField::ProductKey, question.settings);
    of(&line.metadata)
        .or_else(|| prices(question, line).find_map(|price| of(&price.metadata)))
        .or_else(|| question.payment.metadata.iter().find_map(of))
        .or_else(|| {
            let subscription = question.history.subscriptions.get(question.payment.subscription.as_ref()?)?;
            subscription.started_by.iter().find_map(|said| match &said.what {
                What::Metadata(key, value) => of(&[(key.clone(), value.clone())].into()),
                _ => None,
            })
        })
}

/// The interval that a line's service period spans, where no price says it.
fn interval_of(line: &Line) -> Option<&'static str> {
    let (start, end) = (line.period_start?, line.period_end?);
    if !line.subscription || line.proration {
        return None;
    }
    let days = end.signed_duration_since(start).num_days();
    let is_months = |months| add_months(start, months) == Some(end);
    match days {
        1 => Some("day"),
        7 | 14 => Some("week"),
        _ if (1..12).any(is_months) => Some("month"),
        _ if is_months(12) || is_months(24) || is_months(36) => Some("year"),
        28..=31 => Some("month"),
        365 | 366 => Some("year"),
        _ => None,
    }
}

/// The latest period start of the non-proration subscription lines, else of all lines, else when it was paid: a retry
/// paid weeks late neither gains nor loses a month.
fn period_start(payment: &Payment) -> Time {
    let of_subscription = payment.lines.iter().filter(|line| line.subscription && !line.proration);
    let latest = of_subscription.filter_map(|line| line.period_start).max();
    let latest = latest.or_else(|| payment.lines.iter().filter_map(|line| line.period_start).max());
    latest.unwrap_or(payment.paid_at)
}

/// Whether a rule's duration has something left for this payment.
fn left(question: &Question<'_>, tried: Tried<'_>, period_start: Time) -> Result<(), Code> {
    let stream = Stream::of(question.kind);
    let count = || {
        let key = (question.program.clone(), stream, tried.key());
        question.standing.counts.get(&key).copied().unwrap_or(0)
    };
    match tried.rule.duration {
        Duration::Lifetime => Ok(()),
        Duration::OneTime => (count() == 0).then_some(()).ok_or(Code::OneTimeAlreadyEarned),
        Duration::Payments(most) => (count() < most).then_some(()).ok_or(Code::PaymentsExhausted),
        Duration::Months(months) => {
            let start = question.standing.starts.get(&stream).map_or(period_start, |(_, start)| *start);
            let end = add_months(start, months);
            end.is_none_or(|end| period_start < end).then_some(()).ok_or(Code::MonthsExhausted)
        }
    }
}

/// The percentage that the partner has reached.
fn tier(
    question: &Question<'_>,
    tiers: &Tiers,
    name: &RuleKey,
    needs: &mut Needs,
    trace: &mut Trace,
) -> Result<Decimal, Code> {
    let key = AggregateKey {
        partner: question.partner.clone(),
        program: question.program.clone(),
        month: Month::containing(question.payment.paid_at, question.settings.time_zone),
        months: tiers.months,
    };
    let nothing = Aggregate::default();
    let known = question.aggregates.get(&key);
    let reached = reached(tiers, known.unwrap_or(&nothing), question.payment.currency);
    let (first, last) = (key.first(), key.last());
    if known.is_none() {
        needs.aggregates.insert(key);
    }
    if let Some((percent, words)) = reached {
        trace.say(|| format!("rule {name}: from {first} to {last} {words}: {percent} %"));
        return Ok(percent);
    }
    trace.say(|| format!("rule {name}: names no tier in {}", question.payment.currency));
    Err(Code::CurrencyNotPriced)
}

/// What a rule gives for its lines, within its caps, and at which rate.
fn earn(
    question: &Question<'_>,
    tried: Tried<'_>,
    bases: &[Exact],
    needs: &mut Needs,
    trace: &mut Trace,
) -> Result<Result<(Exact, String), Code>, Overflow> {
    let rule = tried.rule;
    let currency = question.payment.currency;
    let mut sum = Exact::zero();
    for base in bases {
        sum = sum.plus(*base)?;
    }
    let name = tried.key();
    let percent = match &rule.earn {
        Earn::Percent(percent) => Some(*percent),
        Earn::Flat(_) => None,
        Earn::Tiers(tiers) => match tier(question, tiers, &name, needs, trace) {
            Ok(percent) => Some(percent),
            Err(code) => return Ok(Err(code)),
        },
    };
    let rate = match (percent, &rule.earn) {
        (Some(percent), _) => format!("{} %", percent.normalize()),
        (None, Earn::Flat(amounts)) => {
            amounts.get(&currency).map(|amount| Money::new(*amount, currency).to_string()).unwrap_or_default()
        }
        (None, _) => String::new(),
    };
    let mut given = match (percent, &rule.earn) {
        (Some(percent), _) if percent.is_zero() => {
            trace.say(|| format!("rule {name}: 0 %: excluded"));
            return Ok(Err(Code::ProductExcluded));
        }
        (Some(percent), _) => {
            let rate = Exact::decimal(percent)?.times(Exact::ratio(1, 100)?)?;
            let given = sum.times(rate)?;
            trace.say(|| format!("rule {name}: {percent} % of {sum} = {given} minor units"));
            given
        }
        (None, Earn::Flat(amounts)) if amounts.contains_key(&currency) => {
            let amount = amounts[&currency];
            trace.say(|| format!("rule {name}: flat {}", Money::new(amount, currency)));
            if bases.iter().any(|base| base.is_positive()) { Exact::from(amount) } else { Exact::zero() }
        }
        (None, _) => {
            trace.say(|| format!("rule {name}: names no amount in {currency}"));
            return Ok(Err(Code::CurrencyNotPriced));
        }
    };
    if let Some(cap) = rule.cap_per_payment.get(&currency)
        && given > Exact::from(*cap)
    {
        given = Exact::from(*cap);
        trace.say(|| format!("rule {name}: capped at {} per payment", Money::new(*cap, currency)));
    }
    if let Some(cap) = rule.cap_per_customer.get(&currency) {
        let key = (question.program.clone(), name.clone(), currency);
        let used = question.standing.used.get(&key).copied().unwrap_or_else(Exact::zero);
        let left = Exact::from(*cap).minus(used)?;
        let left = if left.is_positive() { left } else { Exact::zero() };
        if given > left {
            given = left;
            trace.say(|| {
                format!("rule {name}: {left} minor units are left of {} per customer", Money::new(*cap, currency))
            });
        }
    }
    Ok(Ok((given, rate)))
}

#[cfg(test)]
mod tests;
