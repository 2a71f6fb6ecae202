//! Reports as JSON: amounts in minor units.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Base, Report, Row, Sums};
use crate::store::Mode;
use crate::store::reports::By;

/// A month in figures, by partner, link or product: of what partners brought. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReportShape {
    /// Always `report`.
    #[schema(example = "report")]
    object: &'static str,
    /// `partners`, `links` or `products`.
    #[schema(example = "partners")]
    by: &'static str,
    /// Which book.
    #[schema(example = "live")]
    mode: &'static str,
    /// The month.
    #[schema(example = "2026-10")]
    month: String,
    /// By whose clock it begins and ends.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// Its first moment.
    from: DateTime<Utc>,
    /// The first moment after it; now, while it runs.
    until: DateTime<Utc>,
    /// A row for each of which there is anything to say.
    rows: Vec<RowShape>,
    /// All rows together, by currency.
    totals: Vec<SumsShape>,
    /// All rows together in the base currency; null without one, or where a rate is missing.
    total_in_base: Option<SumsShape>,
    /// By which rates amounts were brought to the base currency; null without one.
    base: Option<BaseShape>,
}

/// One partner, link or product.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct RowShape {
    /// The partner's key, the link's address or the product; null where it is not known.
    #[schema(example = "acme")]
    subject: Option<String>,
    /// A link's partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    partner_key: Option<String>,
    /// Clicks of the month; products have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    clicks: Option<i64>,
    /// Customers who paid for the first time.
    new_customers: i64,
    /// Customers who paid in the month, without those who got all of it back.
    paying_customers: i64,
    /// Customers of whom something recurred when the month began, and nothing when it ended.
    churned_customers: i64,
    /// Money, by currency.
    sums: Vec<SumsShape>,
    /// The same in the base currency; null without one, or where a rate is missing.
    base: Option<SumsShape>,
}

/// Money of one currency, in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct SumsShape {
    /// Of what.
    #[schema(example = "usd")]
    currency: String,
    /// Recurring by the month when the month began.
    mrr_start: i64,
    /// Recurring by the month when it ended.
    mrr_end: i64,
    /// Received by credited payments of the month, less what was taken back of them since.
    revenue: i64,
    /// Taken back in the month, of payments of any month; negative where more came back.
    refunds: i64,
    /// Commission accrued less reversed, by the dates of the facts.
    commission: i64,
}

/// By which rates amounts were brought to the base currency.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct BaseShape {
    /// The base currency.
    #[schema(example = "eur")]
    currency: String,
    /// The month's last day, or today while it runs.
    day: NaiveDate,
    /// The rates.
    rates: Vec<RateShape>,
    /// Currencies of which no rate is known for that day or the seven before.
    missing: Vec<String>,
}

/// A rate.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct RateShape {
    /// From this currency.
    #[schema(example = "usd")]
    currency: String,
    /// Units of the base currency for one unit of it.
    #[schema(example = "0.8641548566")]
    rate: String,
    /// The day for which it was published.
    day: NaiveDate,
    /// Who published it.
    #[schema(example = "ecb")]
    source: String,
}

impl ReportShape {
    /// The report as JSON.
    pub fn new(report: &Report, by: By, mode: Mode) -> Self {
        Self {
            object: "report",
            by: by.as_str(),
            mode: mode.as_str(),
            month: report.month.to_string(),
            time_zone: report.zone.name().to_owned(),
            from: report.from,
            until: report.until,
            rows: report.rows.iter().map(|row| RowShape::new(row, by)).collect(),
            totals: report.totals.iter().map(SumsShape::from).collect(),
            total_in_base: report.total.as_ref().map(SumsShape::from),
            base: report.base.as_ref().map(BaseShape::from),
        }
    }
}

impl RowShape {
    fn new(row: &Row, by: By) -> Self {
        Self {
            subject: row.subject.clone(),
            partner_key: row.partner.clone(),
            clicks: (by != By::Product).then_some(row.clicks),
            new_customers: row.new_customers,
            paying_customers: row.paying_customers,
            churned_customers: row.churned_customers,
            sums: row.sums.iter().map(SumsShape::from).collect(),
            base: row.base.as_ref().map(SumsShape::from),
        }
    }
}

impl From<&Sums> for SumsShape {
    fn from(sums: &Sums) -> Self {
        let Sums { currency, mrr_start, mrr_end, revenue, refunds, commission } = *sums;
        Self { currency: currency.to_string(), mrr_start, mrr_end, revenue, refunds, commission }
    }
}

impl From<&Base> for BaseShape {
    fn from(base: &Base) -> Self {
        let rates = base.rates.iter().map(|(currency, rate)| RateShape {
            currency: currency.to_string(),
            rate: rate.rate.to_string(),
            day: rate.day,
            source: rate.source.clone(),
        });
        Self {
            currency: base.currency.to_string(),
            day: base.day,
            rates: rates.collect(),
            missing: base.missing.iter().map(ToString::to_string).collect(),
        }
    }
}
