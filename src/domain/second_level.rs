//! The second level: who recruited the partner earns on the same payment.

use super::attribution::{Context, Credit, eligible, is_self_referral};
use super::calendar::add_months;
use super::history::Payment;
use super::money::{Exact, Overflow};
use super::pricing::Price;
use super::terms::{PartnerKey, ProgramTerms, SecondLevelOf, SelfReferral};
use super::trace::Trace;

/// What a recruiter earns.
#[derive(Debug, Clone)]
pub struct SecondLevel {
    /// Who.
    pub recruiter: PartnerKey,
    /// The exact commission before anything is taken back, never negative.
    pub commission: Exact,
}

/// What the recruiter of the partner who is credited earns on top, if there is one who may: active and in the same
/// program when the payment was paid, and not the buyer.
pub fn second_level(
    context: Context<'_>,
    payment: &Payment,
    credit: &Credit,
    terms: &ProgramTerms,
    price: &Price,
    trace: &mut Trace,
) -> Result<Option<SecondLevel>, Overflow> {
    let Some(level) = &terms.second_level else { return Ok(None) };
    let Some(partner) = context.terms.partners.get(&credit.partner) else { return Ok(None) };
    let at = payment.paid_at;
    let Some(recruiter) = partner.recruiter.at(at).and_then(Option::as_ref) else { return Ok(None) };
    let key = &credit.partner;
    if let Some(months) = level.months
        && add_months(partner.entered_at, months).is_some_and(|end| at >= end)
    {
        trace.say(|| format!("second level: nothing for {recruiter}: {key} was entered more than {months} months ago"));
        return Ok(None);
    }
    if let Err(refusal) = eligible(context.terms, recruiter, Some(&credit.program), at) {
        let code = refusal.code;
        trace.say(|| format!("second level: nothing for {recruiter}, who recruited {key}: {}", code.sentence()));
        return Ok(None);
    }
    let is_buyer = terms.self_referral != SelfReferral::Allow && is_self_referral(context, payment, recruiter, terms);
    if is_buyer || recruiter == key {
        trace.say(|| format!("second level: nothing for {recruiter}, who recruited {key}: the buyer is the recruiter"));
        return Ok(None);
    }
    let (of, of_what) = match level.of {
        SecondLevelOf::Commission => (price.commission, "the commission"),
        SecondLevelOf::Base => (price.base, "the base"),
    };
    let percent = level.percent;
    let commission = of.times(Exact::decimal(percent)?)?.times(Exact::ratio(1, 100)?)?;
    trace.say(|| {
        format!(
            "second level: {percent} % of {of_what} {of} = {commission} minor units for {recruiter}, who recruited {key}"
        )
    });
    Ok(Some(SecondLevel { recruiter: recruiter.clone(), commission }))
}
