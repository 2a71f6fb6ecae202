//! What a partner brought in a program, month by month: what tiers are chosen by. Each payment contributes to the month
//! in which it was paid; a payment is priced by the contributions of the months before, so that no payment depends on
//! itself and the order in which things become known cannot matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::calendar::Month;
use super::currency::Currency;
use super::decision::{Code, Decision};
use super::terms::{PartnerKey, ProgramKey, Terms, TierSteps, Tiers};

/// What a tier is asked about: a partner in a program, in so many months before a month.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateKey {
    /// Who.
    pub partner: PartnerKey,
    /// In which program.
    pub program: ProgramKey,
    /// The payment's month, on the workspace's clock; it does not count itself.
    pub month: Month,
    /// How many months before it count.
    pub months: u32,
}

impl AggregateKey {
    /// The first month that counts.
    pub fn first(&self) -> Month {
        (0..self.months).fold(self.month, |month, _| month.previous())
    }

    /// The last month that counts.
    pub fn last(&self) -> Month {
        self.month.previous()
    }
}

/// What a partner brought in some months.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aggregate {
    /// Distinct customers who paid something that was not taken back.
    pub customers: i64,
    /// Received less taken back, minor units.
    pub volume: BTreeMap<Currency, i64>,
}

/// Those that are known.
pub type Aggregates = HashMap<AggregateKey, Aggregate>;

/// What one payment adds to its partner's month.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contribution {
    /// Whose.
    pub partner: PartnerKey,
    /// In which program.
    pub program: ProgramKey,
    /// In which it was paid, on the workspace's clock.
    pub month: Month,
    /// Of the volume.
    pub currency: Currency,
    /// Received less taken back, minor units; nothing where the payment is not credited.
    pub volume: i64,
}

/// What a payment contributes, where its program has tiers. A payment that a partner won and that earns nothing
/// contributes nothing, and is still named: another tier may let it earn.
pub fn contribution(decision: &Decision, terms: &Terms) -> Option<Contribution> {
    let (partner, program) = decision.partner.as_ref().zip(decision.program.as_ref())?;
    decision.version?;
    if !terms.tiered.contains_key(program) {
        return None;
    }
    let zone = terms.settings.at(decision.paid_at).map(|settings| settings.time_zone).unwrap_or_default();
    let counts = matches!(decision.code, Code::Credited | Code::Refunded | Code::Disputed | Code::Voided);
    Some(Contribution {
        partner: partner.clone(),
        program: program.clone(),
        month: Month::containing(decision.paid_at, zone),
        currency: decision.currency,
        volume: if counts { decision.paid.saturating_sub(decision.taken_back) } else { 0 },
    })
}

/// What contributions, each of a customer, come to.
pub fn aggregate<'a>(
    key: &AggregateKey,
    contributions: impl IntoIterator<Item = (&'a str, &'a Contribution)>,
) -> Aggregate {
    let (first, last) = (key.first(), key.last());
    let mut aggregate = Aggregate::default();
    let mut by_customer: BTreeMap<(&str, Currency), i64> = BTreeMap::new();
    for (customer, contribution) in contributions {
        let Contribution { partner, program, month, currency, volume } = contribution;
        if (partner, program) == (&key.partner, &key.program) && (first..=last).contains(month) {
            let sum = aggregate.volume.entry(*currency).or_default();
            *sum = sum.saturating_add(*volume);
            let theirs = by_customer.entry((customer, *currency)).or_default();
            *theirs = theirs.saturating_add(*volume);
        }
    }
    let paying: BTreeSet<&str> =
        by_customer.iter().filter(|(_, volume)| **volume > 0).map(|((customer, _), _)| *customer).collect();
    aggregate.customers = i64::try_from(paying.len()).unwrap_or(i64::MAX);
    aggregate
}

/// The percentage that an aggregate reaches, and how it is said; nothing where no step names the payment's currency.
pub fn reached(tiers: &Tiers, aggregate: &Aggregate, currency: Currency) -> Option<(rust_decimal::Decimal, String)> {
    match &tiers.steps {
        TierSteps::Customers(steps) => {
            let has = aggregate.customers;
            let step = steps.iter().rev().find(|step| step.from <= has).or_else(|| steps.first())?;
            Some((step.percent, format!("{has} paying customers, tier from {}", step.from)))
        }
        TierSteps::Volume(steps) => {
            let has = aggregate.volume.get(&currency).copied().unwrap_or(0);
            let listed = || steps.iter().filter_map(|step| Some((*step.from.get(&currency)?, step.percent)));
            let (from, percent) = listed().rfind(|(from, _)| *from <= has).or_else(|| listed().next())?;
            let money = |amount| super::money::Money::new(amount, currency);
            Some((percent, format!("{} received, tier from {}", money(has), money(from))))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::terms::Tier;

    fn key(month: &str, months: u32) -> AggregateKey {
        let (partner, program) = ("acme".to_owned(), "saas".to_owned());
        AggregateKey { partner, program, month: month.parse().unwrap(), months }
    }

    #[test]
    fn the_months_before_count_and_the_payments_own_does_not() {
        let three = key("2026-02", 3);
        assert_eq!((three.first().to_string(), three.last().to_string()), ("2025-11".to_owned(), "2026-01".to_owned()));
        let one = key("2026-01", 1);
        assert_eq!((one.first().to_string(), one.last().to_string()), ("2025-12".to_owned(), "2025-12".to_owned()));
    }

    #[test]
    fn the_last_step_that_is_reached_counts() {
        let usd: Currency = "usd".parse().unwrap();
        let tier = |from: i64, percent: &str| Tier { from, percent: percent.parse().unwrap() };
        let tiers =
            Tiers { months: 1, steps: TierSteps::Customers(vec![tier(0, "20"), tier(10, "25"), tier(50, "30")]) };
        for (customers, percent) in [(0, "20"), (9, "20"), (10, "25"), (49, "25"), (50, "30"), (1000, "30")] {
            let aggregate = Aggregate { customers, ..Aggregate::default() };
            assert_eq!(reached(&tiers, &aggregate, usd).unwrap().0.to_string(), percent, "{customers}");
        }
        let volume = |from: i64, percent: &str| Tier { from: [(usd, from)].into(), percent: percent.parse().unwrap() };
        let tiers = Tiers { months: 1, steps: TierSteps::Volume(vec![volume(0, "20"), volume(100_000, "25")]) };
        for (amount, percent) in [(0, "20"), (99_999, "20"), (100_000, "25")] {
            let aggregate = Aggregate { volume: [(usd, amount)].into(), ..Aggregate::default() };
            assert_eq!(reached(&tiers, &aggregate, usd).unwrap().0.to_string(), percent, "{amount}");
        }
        assert_eq!(reached(&tiers, &Aggregate::default(), "eur".parse().unwrap()), None);
    }

    proptest! {
        /// In whatever order and pieces contributions come, and a customer counts once.
        #[test]
        fn aggregates_know_no_order(
            paid in prop::collection::vec((0..5_usize, 0..4_u32, 0..1000_i64), 0..20), from in 0..20_usize,
        ) {
            let months = ["2025-11", "2025-12", "2026-01", "2026-02"];
            let names = ["a", "b", "c", "d", "e"];
            let all: Vec<(&str, Contribution)> = paid.iter().map(|(customer, month, volume)| {
                let (partner, program) = ("acme".to_owned(), "saas".to_owned());
                let month = months[*month as usize].parse().unwrap();
                (names[*customer], Contribution { partner, program, month, currency: "usd".parse().unwrap(), volume: *volume })
            }).collect();
            let key = key("2026-02", 2);
            let whole = aggregate(&key, all.iter().map(|(customer, contribution)| (*customer, contribution)));
            let mut turned = all.clone();
            if !turned.is_empty() {
                let by = from % turned.len();
                turned.rotate_left(by);
            }
            let again = aggregate(&key, turned.iter().map(|(customer, contribution)| (*customer, contribution)));
            prop_assert_eq!(&whole, &again);
            let expected: BTreeSet<usize> = paid.iter()
                .filter(|(_, month, volume)| (1..=2).contains(month) && *volume > 0).map(|(customer, ..)| *customer).collect();
            prop_assert_eq!(whole.customers, i64::try_from(expected.len()).unwrap());
        }
    }
}
