//! Programs: immutable versions of rules and settings.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::dated::Dated;
use super::month_end::CustomersShown;
use super::{AmountByCurrency, PartnerKey, Tiers};
use crate::domain::Time;

/// Whether a program, partner or enrollment earns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Earns.
    #[default]
    Active,
    /// Does not (any more).
    Inactive,
}

/// All settings of one program version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramTerms {
    /// Days from payment until a commission can be paid out.
    pub hold_days: u32,
    /// Seconds from a refund until it takes back.
    pub reversal_delay: i64,
    /// Which touch wins among evidence of equal strength and nearness.
    pub attribution: Touch,
    /// Days that a click counts.
    pub attribution_window_days: u32,
    /// What a percentage is a percentage of.
    pub base: Base,
    /// Whether the first payment's winner keeps one-off payments too.
    pub credit: CreditBy,
    /// Which version prices a payment.
    pub price_by: PriceBy,
    /// What the first money after a trial counts as.
    pub trial_conversion: TrialConversion,
    /// What becomes of a payment whose buyer looks like the partner.
    #[serde(default)]
    pub self_referral: SelfReferral,
    /// When the buyer looks like the partner.
    #[serde(default)]
    pub self_referral_match: EmailMatch,
    /// What whoever recruited the partner earns on top; nothing when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_level: Option<SecondLevel>,
    /// What statements show of customers.
    pub statement_customers: CustomersShown,
    /// Whether statements also list the payments that earned nothing, with the reason.
    pub statement_refused: bool,
    /// First match wins, line by line.
    pub rules: Vec<Rule>,
}

impl Default for ProgramTerms {
    fn default() -> Self {
        Self {
            hold_days: 30,
            reversal_delay: 3600,
            attribution: Touch::Last,
            attribution_window_days: 60,
            base: Base::Net,
            credit: CreditBy::Customer,
            price_by: PriceBy::Customer,
            trial_conversion: TrialConversion::First,
            self_referral: SelfReferral::Refuse,
            self_referral_match: EmailMatch::Normalized,
            second_level: None,
            statement_customers: CustomersShown::Pseudonym,
            statement_refused: false,
            rules: Vec::new(),
        }
    }
}

/// First or last touch before the first payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// The earliest.
    First,
    /// The latest.
    Last,
}

/// The base of a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Really paid, less its share of tax.
    Net,
    /// Really paid.
    Gross,
    /// As `Net`, less what Stripe took for it (the fees of its balance transactions).
    NetOfFees,
}

/// Who is credited with one-off payments of a customer that somebody already won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditBy {
    /// The customer's winner.
    Customer,
    /// The payment's own evidence first.
    Payment,
}

/// Which version prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceBy {
    /// The one in force at the customer's first credited payment.
    Customer,
    /// The one in force at each payment.
    Payment,
}

/// What the first money after a free trial or a 100 % discount counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialConversion {
    /// A first payment.
    First,
    /// A recurring one.
    Recurring,
}

/// What becomes of a payment whose buyer looks like the partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfReferral {
    /// The partner earns nothing for it.
    #[default]
    Refuse,
    /// It earns once a reviewer has said so.
    Review,
    /// It earns like any other.
    Allow,
}

/// How alike the e-mails of buyer and partner are for a self-referral; each also finds what those before it find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailMatch {
    /// The same, trimmed and in lower case.
    Email,
    /// The same mailbox: without a `+tag`, and at Google without dots and whichever of its hosts.
    #[default]
    Normalized,
    /// The same host, where it is not one that gives addresses to anybody.
    Domain,
}

/// What a recruiter earns on the payments that their recruits are credited with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondLevel {
    /// Percent, 0 to 100.
    pub percent: Decimal,
    /// Of what.
    pub of: SecondLevelOf,
    /// Calendar months from when the recruit was entered, end exclusive; for ever when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub months: Option<u32>,
}

/// What the second level's percentage is a percentage of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelOf {
    /// The recruit's commission, exact, within its caps.
    Commission,
    /// The base of the lines for which the recruit earns.
    Base,
}

/// What a payment is, to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The first of a customer's subscriptions.
    First,
    /// A renewal, or a further subscription.
    Recurring,
    /// A plan change.
    Change,
    /// Outside of a subscription.
    OneOff,
}

/// One rule of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What its count is kept under from version to version; its position when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which kind of payment; any when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Kind>,
    /// Product ids; any when empty. So for the lists below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product: Vec<String>,
    /// Price ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<String>,
    /// `product_key` metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product_key: Vec<String>,
    /// `day`, `week`, `month`, `year`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interval: Vec<String>,
    /// Groups of partners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// Partner keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partner: Vec<PartnerKey>,
    /// What it gives.
    pub earn: Earn,
    /// For how long.
    pub duration: Duration,
    /// The most that it gives for one payment, by currency; no limit in a currency that is not named.
    #[serde(default, skip_serializing_if = "AmountByCurrency::is_empty")]
    pub cap_per_payment: AmountByCurrency,
    /// The most that it gives for one customer, by currency, before refunds.
    #[serde(default, skip_serializing_if = "AmountByCurrency::is_empty")]
    pub cap_per_customer: AmountByCurrency,
}

impl Rule {
    /// Whether it depends on what was sold.
    pub fn tells_lines_apart(&self) -> bool {
        let lists = [&self.product, &self.price, &self.product_key, &self.interval];
        lists.iter().any(|list| !list.is_empty())
    }
}

/// What a rule gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Earn {
    /// Percent of the matching lines' base, 0 to 100. Zero excludes.
    Percent(Decimal),
    /// Minor units by currency, once per payment.
    Flat(AmountByCurrency),
    /// Percent by what the partner brought in the months before.
    Tiers(Tiers),
}

/// For how long a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duration {
    /// One payment of the stream.
    OneTime,
    /// Calendar months from the stream's first credited payment, end exclusive.
    Months(u32),
    /// So many payments of the stream that this rule priced.
    Payments(u32),
    /// For ever.
    Lifetime,
}

/// A program.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Display name.
    pub name: String,
    /// Ascending by version.
    pub versions: Vec<Version>,
    /// Whether it earns; active until said otherwise.
    pub status: Dated<Status>,
}

/// One immutable version of a program.
#[derive(Debug, Clone)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// As its author said.
    pub effective_from: Time,
    /// From which payments on it counts.
    pub in_force_from: Time,
    /// When it was entered.
    pub published_at: Time,
    /// The engine that decides under it.
    pub engine: u32,
    /// Every setting.
    pub terms: ProgramTerms,
}

impl Program {
    /// The version in force at `at`: the last published of those that had begun, or the first for payments older than
    /// all. So a back-dated version also takes over from older ones that begin later.
    pub fn version_at(&self, at: Time) -> Option<&Version> {
        self.versions
            .iter()
            .filter(|version| version.in_force_from <= at)
            .max_by_key(|version| version.number)
            .or_else(|| self.versions.first())
    }

    /// A version by its number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The newest version.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Whether it earns for a payment paid at `at`.
    pub fn is_active(&self, at: Time) -> bool {
        self.status.at(at).copied().unwrap_or_default() == Status::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::terms::ENGINE;

    fn at(day: u32) -> Time {
        format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_payment_older_than_the_first_version_uses_the_first() {
        let version = |number: u32, from: Time| Version {
            number,
            effective_from: from,
            in_force_from: from,
            published_at: from,
            engine: ENGINE,
            terms: ProgramTerms::default(),
        };
        let program = Program { versions: vec![version(1, at(10)), version(2, at(20))], ..Program::default() };
        assert_eq!(program.version_at(at(1)).unwrap().number, 1);
        assert_eq!(program.version_at(at(15)).unwrap().number, 1);
        assert_eq!(program.version_at(at(20)).unwrap().number, 2);
    }
}
