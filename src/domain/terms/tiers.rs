//! Tiers: rates that grow with what a partner brought in the calendar months before.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{AmountByCurrency, Earn, Rule};

/// Percentages by what a partner brought in the months before the payment's month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiers {
    /// How many calendar months before the payment's month count, from 1.
    pub months: u32,
    /// The steps.
    #[serde(flatten)]
    pub steps: TierSteps,
}

/// Steps in ascending order; the first begins at nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "steps", rename_all = "snake_case")]
pub enum TierSteps {
    /// By the number of distinct customers who paid something that was not taken back.
    Customers(Vec<Tier<i64>>),
    /// By what was received less what was taken back, minor units, in the payment's currency. Every step names the same
    /// currencies.
    Volume(Vec<Tier<AmountByCurrency>>),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier<T> {
    /// From how much on.
    pub from: T,
    /// Percent of the matching lines' base, 0 to 100. Zero excludes.
    pub percent: Decimal,
}

/// The longest window among the tiers of some rules, in months; 0 where none has tiers.
pub(super) fn months_of(rules: &[Rule]) -> u32 {
    let months = rules.iter().filter_map(|rule| match &rule.earn {
        Earn::Tiers(tiers) => Some(tiers.months),
        Earn::Percent(_) | Earn::Flat(_) => None,
    });
    months.max().unwrap_or(0)
}
