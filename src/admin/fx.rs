//! Exchange rates that were imported or fetched, entered: known ones are never changed.

use chrono::{Days, NaiveDate};
use serde_json::json;

use super::{Refused, Session};
use crate::domain::fx::EuroRate;
use crate::store::fx_rates::{self, Entered};

/// How many differences are told; the rest are counted.
const SHOWN: usize = 5;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How many rates are new.
    pub new: u64,
    /// How many were known.
    pub known: u64,
    /// The first and the last day of the file.
    pub days: (NaiveDate, NaiveDate),
}

/// Enters rates that are not known yet, and tells those that are known otherwise.
///
/// # Errors
/// [`Refused`] where one is of a day to come.
pub async fn enter(session: &mut Session, rates: &[EuroRate], source: &str) -> Result<Entered, Refused> {
    // Somewhere it is tomorrow already.
    let last = session.now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    if let Some(early) = rates.iter().find(|rate| rate.day > last) {
        let detail = format!("{} is a day to come: check the file, and this machine's clock", early.day);
        return Err(Refused::invalid("day", detail));
    }
    let (tx, by) = session.parts();
    let entered = fx_rates::enter(tx, by.workspace, rates, source, by.now).await?;
    if entered.new > 0 {
        let what = json!({
            "source": source,
            "new": entered.new,
            "first_day": rates.iter().map(|rate| rate.day).min(),
            "last_day": rates.iter().map(|rate| rate.day).max(),
        });
        session.audit(("fx_rates.entered", "fx_rates"), source, None, Some(what)).await?;
    }
    Ok(entered)
}

/// Enters the rates of a file: all of them, or none where one is known otherwise.
///
/// # Errors
/// [`Refused`].
pub async fn import(session: &mut Session, rates: &[EuroRate], source: &str) -> Result<Imported, Refused> {
    let source = source.trim();
    if source.is_empty() || source.chars().count() > 50 || source.chars().any(char::is_control) {
        return Err(Refused::invalid("source", "expected who published the rates, in at most 50 characters"));
    }
    let Entered { new, known, differing } = enter(session, rates, source).await?;
    if !differing.is_empty() {
        let told = differing.iter().take(SHOWN).map(|(file, known)| {
            let (currency, day) = (known.currency, known.day);
            format!("{currency} on {day} is {} by {}, and {} in the file", known.per_euro, known.source, file.per_euro)
        });
        let mut detail = told.collect::<Vec<_>>().join("; ");
        if differing.len() > SHOWN {
            detail = format!("{detail}; and {} more", differing.len() - SHOWN);
        }
        let detail = format!("nothing was imported, because payouts may go by what is known: {detail}");
        return Err(Refused::conflict("rate_known_otherwise", detail));
    }
    let days = rates.iter().map(|rate| rate.day);
    let days = days.clone().min().zip(days.max());
    let days = days.ok_or_else(|| Refused::invalid("file", "has no exchange rates"))?;
    Ok(Imported { new, known, days })
}
