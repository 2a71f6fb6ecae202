//! Exchange rates, as published: a day's rate of a currency is entered once and stays.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;
use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::fx::{DAYS_BACK, EuroRate, Rates};
use crate::on;

/// A rate that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRate {
    /// The day for which it was published.
    pub day: NaiveDate,
    /// Of what.
    pub currency: Currency,
    /// Units for one euro.
    pub per_euro: Decimal,
    /// Who published it.
    pub source: String,
    /// When it was entered.
    pub entered_at: Time,
}

impl KnownRate {
    /// As in the API and on the command line.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "day": self.day,
            "currency": self.currency,
            "per_euro": self.per_euro.to_string(),
            "source": self.source,
            "entered_at": self.entered_at,
        })
    }
}

#[derive(FromRow)]
struct Row {
    day: String,
    currency: String,
    rate: String,
    source: String,
    entered_at: i64,
}

impl TryFrom<Row> for KnownRate {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let damaged = |why: String| StoreError::Unreadable {
            what: "exchange rate",
            key: format!("{} {}", row.currency, row.day),
            why,
        };
        Ok(Self {
            day: row.day.parse().map_err(|error| damaged(format!("{error}")))?,
            currency: row.currency.parse().map_err(|error| damaged(format!("{error}")))?,
            per_euro: row.rate.parse().map_err(|error| damaged(format!("{error}")))?,
            source: row.source,
            entered_at: from_micros(row.entered_at),
        })
    }
}

/// What an exchange on a day may go by: the rates of that day and of the days before it that still count.
pub async fn latest(tx: &mut Tx, workspace: WorkspaceId, on: NaiveDate) -> Result<Rates, StoreError> {
    let first = on.checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(NaiveDate::MIN);
    let mut rates = Rates::default();
    for known in between(tx, workspace, first, on).await? {
        rates.add(known.day, known.currency, known.per_euro, &known.source);
    }
    Ok(rates)
}

/// The same, without what was entered after `by`: who goes on with something begun then finds the same rates.
pub async fn known_by(tx: &mut Tx, workspace: WorkspaceId, on: NaiveDate, by: Time) -> Result<Rates, StoreError> {
    let first = on.checked_sub_days(Days::new(DAYS_BACK)).unwrap_or(NaiveDate::MIN);
    let mut rates = Rates::default();
    for known in between(tx, workspace, first, on).await?.into_iter().filter(|known| known.entered_at <= by) {
        rates.add(known.day, known.currency, known.per_euro, &known.source);
    }
    Ok(rates)
}

async fn between(
    tx: &mut Tx,
    workspace: WorkspaceId,
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<KnownRate>, StoreError> {
    let rows: Vec<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT day, currency, rate, source, entered_at FROM fx_rates
             WHERE workspace_id = $1 AND day >= $2 AND day <= $3
             ORDER BY day, currency",
        )
        .bind(workspace.0)
        .bind(first.to_string())
        .bind(last.to_string())
        .fetch_all(conn)
        .await?
    });
    rows.into_iter().map(KnownRate::try_from).collect()
}

/// The rates of a day, in order of their currencies.
pub async fn of_day(tx: &mut Tx, workspace: WorkspaceId, day: NaiveDate) -> Result<Vec<KnownRate>, StoreError> {
    between(tx, workspace, day, day).await
}

/// The last day for which any rate is known.
pub async fn last_day(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<NaiveDate>, StoreError> {
    let day: Option<String> = on!(tx, conn => {
        sqlx::query_scalar("SELECT day FROM fx_rates WHERE workspace_id = $1 AND day > '' ORDER BY day DESC LIMIT 1")
            .bind(workspace.0)
            .fetch_optional(conn)
            .await?
    });
    let unreadable = |day: &String| StoreError::Unreadable {
        what: "exchange rate",
        key: day.clone(),
        why: "its day is no date".to_owned(),
    };
    day.map(|day| day.parse().map_err(|_| unreadable(&day))).transpose()
}

/// What became of rates that were entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entered {
    /// How many are new.
    pub new: u64,
    /// How many were known, and are the same.
    pub known: u64,
    /// Those that are known otherwise: what was to be entered, and what is known.
    pub differing: Vec<(EuroRate, KnownRate)>,
}

/// Enters the rates that are not known yet. One that is known is never changed: where it differs, that is told, and the
/// caller decides whether to commit the rest.
pub async fn enter(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rates: &[EuroRate],
    source: &str,
    now: Time,
) -> Result<Entered, StoreError> {
    let texts: Vec<[String; 3]> =
        rates.iter().map(|rate| [rate.day.to_string(), rate.currency.to_string(), rate.per_euro.to_string()]).collect();
    let mut rows = Rows::new(&[("day", Text), ("currency", Text), ("rate", Text)]);
    for [day, currency, rate] in &texts {
        rows.push([day.into(), currency.into(), rate.into()]);
    }
    let text = "INSERT INTO fx_rates (workspace_id, currency, day, rate, source, entered_at)
                SELECT $1, currency, day, rate, $2, $3
                FROM v WHERE TRUE
                ON CONFLICT (workspace_id, day, currency) DO NOTHING";
    let new = rows.execute(tx, text, &[workspace.0.into(), source.into(), micros(now).into()]).await?;
    let mut entered = Entered { new, ..Entered::default() };
    if usize::try_from(new).is_ok_and(|new| new == rates.len()) {
        return Ok(entered);
    }
    let text = "SELECT f.day, f.currency, f.rate, f.source, f.entered_at
                FROM v JOIN fx_rates f ON f.workspace_id = $1 AND f.day = v.day AND f.currency = v.currency";
    let found: Vec<Row> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    let found = found.into_iter().map(KnownRate::try_from).collect::<Result<Vec<_>, _>>()?;
    let found: BTreeMap<_, _> = found.into_iter().map(|known| ((known.day, known.currency), known)).collect();
    for rate in rates {
        match found.get(&(rate.day, rate.currency)) {
            Some(known) if known.per_euro != rate.per_euro => entered.differing.push((rate.clone(), known.clone())),
            _ => entered.known += 1,
        }
    }
    entered.known = entered.known.saturating_sub(new);
    Ok(entered)
}
