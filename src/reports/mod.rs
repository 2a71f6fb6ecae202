//! A month in figures, by partner, link or product: who came, who paid, who left, what recurs, what it earned.
//!
//! Months are those of the workspace's clock. Figures are of what partners brought:
//! - clicks of the month;
//! - paying customers: those with a payment in the month that was not taken back altogether; new ones never had one
//!   before. Whose they are is told by who won the payment, whether or not a rule still pays for it;
//! - churned customers: something recurred when the month began, nothing when it ended;
//! - MRR when the month began and when it ended (now, while it runs);
//! - revenue: what credited payments of the month brought, less what was taken back of them to this day;
//! - refunds: what was taken back in the month, whenever it was paid;
//! - commission: what was accrued less what was reversed, by the dates of the facts. It is the ledger's, to the cent.

mod shape;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::fx::{Rate, Rates, convert};
use crate::domain::money::Overflow;
use crate::domain::terms::Terms;
use crate::store::reports::{self, By, Scope};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, fx_rates, links};

pub use shape::ReportShape;

/// How many payments are read at a time.
const PAGE: i64 = 1000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The database's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A month to come.
    #[error("{0} has not begun")]
    NotBegun(Month),
    /// Sums beyond 64 bits.
    #[error("a sum is too large to be real money")]
    Overflow(#[from] Overflow),
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which book.
    pub mode: Mode,
    /// By what.
    pub by: By,
    /// Of which month.
    pub month: Month,
}

/// A month in figures.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which month.
    pub month: Month,
    /// By whose clock.
    pub zone: Tz,
    /// The month's first moment.
    pub from: Time,
    /// The first moment after it, or now while it runs.
    pub until: Time,
    /// In order of what they are about; what nobody knows comes first.
    pub rows: Vec<Row>,
    /// All rows together, in order of currency.
    pub totals: Vec<Sums>,
    /// The same in the workspace's base currency, where it has one and every rate is known.
    pub total: Option<Sums>,
    /// What the base currency went by.
    pub base: Option<Base>,
}

/// By which rates sums were brought to the base currency.
#[derive(Debug, Clone)]
pub struct Base {
    /// The base currency.
    pub currency: Currency,
    /// The day that was asked for: the month's last, or today while it runs.
    pub day: NaiveDate,
    /// The rates, each of the last day for which it was published.
    pub rates: BTreeMap<Currency, Rate>,
    /// Currencies of which no rate is known.
    pub missing: BTreeSet<Currency>,
}

/// One partner, link or product.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// The partner's key, the link's address or the product; none where it is not known.
    pub subject: Option<String>,
    /// A link's partner.
    pub partner: Option<String>,
    /// Clicks; products have none.
    pub clicks: i64,
    /// Customers who paid for the first time.
    pub new_customers: i64,
    /// Customers who paid.
    pub paying_customers: i64,
    /// Customers of whom nothing recurs any more.
    pub churned_customers: i64,
    /// Money, in order of currency.
    pub sums: Vec<Sums>,
    /// The same in the base currency, where every rate is known.
    pub base: Option<Sums>,
}

/// Money of one currency, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Of what.
    pub currency: Currency,
    /// Recurring by the month when the month began.
    pub mrr_start: i64,
    /// And when it ended.
    pub mrr_end: i64,
    /// Received by credited payments, less what was taken back of them.
    pub revenue: i64,
    /// Taken back in the month; negative where more came back.
    pub refunds: i64,
    /// Accrued less reversed.
    pub commission: i64,
}

impl Sums {
    fn nothing(currency: Currency) -> Self {
        Self { currency, mrr_start: 0, mrr_end: 0, revenue: 0, refunds: 0, commission: 0 }
    }

    fn figures(&mut self) -> [&mut i64; 5] {
        [&mut self.mrr_start, &mut self.mrr_end, &mut self.revenue, &mut self.refunds, &mut self.commission]
    }

    fn add(&mut self, mut other: Self) -> Result<(), Overflow> {
        for (sum, more) in self.figures().into_iter().zip(other.figures()) {
            *sum = sum.checked_add(*more).ok_or(Overflow)?;
        }
        Ok(())
    }

    fn converted(mut self, to: Currency, rate: &Rate) -> Result<Self, Overflow> {
        let from = self.currency;
        for figure in self.figures() {
            *figure = convert(*figure, from, to, rate)?;
        }
        Ok(Self { currency: to, ..self })
    }
}

/// Which figure a sum is added to.
type Figure = fn(&mut Sums) -> &mut i64;

/// Rows on their way into a report.
#[derive(Default)]
struct Making {
    rows: BTreeMap<Option<String>, (Row, BTreeMap<Currency, Sums>)>,
}

impl Making {
    fn row(&mut self, subject: Option<String>) -> &mut Row {
        &mut self.rows.entry(subject).or_default().0
    }

    fn add(&mut self, sums: Vec<reports::Sum>, figure: Figure) -> Result<(), ReportError> {
        for (subject, currency, amount) in sums {
            self.add_one(subject, &currency, amount, figure)?;
        }
        Ok(())
    }

    fn add_one(&mut self, subject: Option<String>, code: &str, amount: i64, figure: Figure) -> Result<(), ReportError> {
        let currency = code.parse::<Currency>().map_err(|error| StoreError::Unreadable {
            what: "the currency",
            key: code.to_owned(),
            why: error.to_string(),
        })?;
        if amount == 0 {
            return Ok(());
        }
        let sums = &mut self.rows.entry(subject).or_default().1;
        let sum = figure(sums.entry(currency).or_insert_with(|| Sums::nothing(currency)));
        *sum = sum.checked_add(amount).ok_or(Overflow)?;
        Ok(())
    }
}

/// Makes the report.
///
/// # Errors
/// [`ReportError`].
pub async fn make(tx: &mut Tx, asked: &Asked, terms: &Terms, now: Time) -> Result<Report, ReportError> {
    let settings = terms.current_settings();
    let zone = settings.time_zone;
    let from = asked.month.start(zone);
    if from > now {
        return Err(ReportError::NotBegun(asked.month));
    }
    let until = asked.month.end(zone).min(now);
    let Asked { workspace, mode, by, .. } = *asked;
    let scope = Scope { workspace, mode, from, until };
    let mut making = Making::default();
    money(tx, &scope, by, &mut making).await?;
    for (subject, paying, new) in reports::paying(tx, &scope, by).await? {
        let row = making.row(subject);
        (row.paying_customers, row.new_customers) = (paying, new);
    }
    for (subject, churned) in reports::churned(tx, &scope, by).await? {
        making.row(subject).churned_customers = churned;
    }
    let partners = terms.partners.keys().map(String::as_str);
    for (subject, clicks) in reports::clicks(tx, &scope, by, partners).await? {
        making.row(Some(subject)).clicks = clicks;
    }
    if by == By::Link {
        // What came by no link is no link's.
        making.rows.remove(&None);
    }
    let mut report =
        Report { month: asked.month, zone, from, until, rows: Vec::new(), totals: Vec::new(), total: None, base: None };
    if let Some(currency) = settings.base_currency {
        // The last day is the one on which the month ends, not the one after.
        let day = (until - chrono::TimeDelta::microseconds(1)).max(from).with_timezone(&zone).date_naive();
        let rates = fx_rates::latest(tx, workspace, day).await?;
        report.base = Some(base(&making, currency, day, &rates));
    }
    finish(&mut report, making)?;
    if by == By::Link {
        name_links(tx, workspace, &mut report.rows).await?;
    }
    Ok(report)
}

async fn money(tx: &mut Tx, scope: &Scope, by: By, making: &mut Making) -> Result<(), ReportError> {
    making.add(reports::recurring(tx, scope, by, scope.from).await?, |sums| &mut sums.mrr_start)?;
    making.add(reports::recurring(tx, scope, by, scope.until).await?, |sums| &mut sums.mrr_end)?;
    making.add(reports::revenue(tx, scope, by).await?, |sums| &mut sums.revenue)?;
    making.add(reports::commissions(tx, scope, by).await?, |sums| &mut sums.commission)?;
    let mut last: Option<reports::TakenBack> = None;
    loop {
        let page = reports::taken_back(tx, scope, by, last.as_ref(), PAGE).await?;
        for taken in &page {
            let amount = taken.within(scope)?;
            making.add_one(taken.subject.clone(), &taken.currency, amount, |sums| &mut sums.refunds)?;
        }
        let more = i64::try_from(page.len()).is_ok_and(|read| read == PAGE);
        last = page.into_iter().last();
        if !more {
            return Ok(());
        }
    }
}

/// The rates from every currency that there is.
fn base(making: &Making, currency: Currency, day: NaiveDate, known: &Rates) -> Base {
    let mut base = Base { currency, day, rates: BTreeMap::new(), missing: BTreeSet::new() };
    for from in making.rows.values().flat_map(|(_, sums)| sums.keys()) {
        match known.rate(*from, currency, day) {
            Some(rate) => {
                base.rates.insert(*from, rate);
            }
            None => {
                base.missing.insert(*from);
            }
        }
    }
    base
}

fn finish(report: &mut Report, making: Making) -> Result<(), ReportError> {
    let mut totals: BTreeMap<Currency, Sums> = BTreeMap::new();
    for (subject, (mut row, sums)) in making.rows {
        for sums in sums.values() {
            totals.entry(sums.currency).or_insert_with(|| Sums::nothing(sums.currency)).add(*sums)?;
        }
        row.subject = subject;
        row.sums = sums.into_values().collect();
        row.base = in_base(&row.sums, report.base.as_ref())?;
        report.rows.push(row);
    }
    report.totals = totals.into_values().collect();
    // Each row is rounded by itself; their sum is what the rows show.
    if let Some(base) = report.base.as_ref().filter(|base| base.missing.is_empty()) {
        let mut total = Sums::nothing(base.currency);
        for sums in report.rows.iter().filter_map(|row| row.base) {
            total.add(sums)?;
        }
        report.total = Some(total);
    }
    Ok(())
}

/// Sums of several currencies in the base currency; none where a rate is missing.
fn in_base(sums: &[Sums], base: Option<&Base>) -> Result<Option<Sums>, Overflow> {
    let Some(base) = base else { return Ok(None) };
    let mut total = Sums::nothing(base.currency);
    for sums in sums {
        let Some(rate) = base.rates.get(&sums.currency) else { return Ok(None) };
        total.add(sums.converted(base.currency, rate)?)?;
    }
    Ok(Some(total))
}

/// Links are known to people by their addresses.
async fn name_links(tx: &mut Tx, workspace: WorkspaceId, rows: &mut [Row]) -> Result<(), ReportError> {
    let ids: Vec<String> = rows.iter().filter_map(|row| row.subject.clone()).collect();
    let named = links::by_ids(tx, workspace, ids.iter().map(String::as_str)).await?;
    for row in rows.iter_mut() {
        if let Some(link) = row.subject.as_ref().and_then(|id| named.get(id)) {
            (row.subject, row.partner) = (Some(link.link.clone()), Some(link.partner.clone()));
        }
    }
    rows.sort_by(|a, b| a.subject.cmp(&b.subject));
    Ok(())
}
