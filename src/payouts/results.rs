//! What banks and services said became of payouts, applied: every row of a file, or none of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveTime;

use super::batch::PayoutError;
use super::outcome::{self, Changed};
use super::readback::{Fate, ResultFormat, Row, Said, Whom};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::money::{decimal_text, parse_decimal};
use crate::imports::ImportError;
use crate::imports::fault::Faults;
use crate::store::audit::By;
use crate::store::batches::{self, Batch};
use crate::store::payouts::{self, Payout};
use crate::store::{StoreError, Tx};

/// What a row of a file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Did {
    /// Which row.
    pub row: usize,
    /// Of which payout; none for what is not ours.
    pub payout_id: Option<String>,
    /// Whose payout.
    pub partner_key: Option<String>,
    /// What the row says: `sent`, `settled`, `failed`, `returned` or `waits`.
    pub says: &'static str,
    /// What the payout was before.
    pub before: Option<String>,
    /// What it is now.
    pub after: Option<String>,
    /// Whether anything is different.
    pub changed: bool,
    /// Why, or why not.
    pub note: Option<String>,
}

/// Why a file was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file, by its rows.
    #[error(transparent)]
    File(#[from] ImportError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies a file's rows to a batch. The same file twice changes nothing.
///
/// # Errors
/// All that contradicts what is known, by row: then nothing may be committed.
pub async fn apply(
    tx: &mut Tx,
    by: By<'_>,
    batch: &Batch,
    (format, file_name): (ResultFormat, &str),
    rows: &[Row],
) -> Result<Vec<Did>, ResultsError> {
    let known = payouts::of_batch(tx, by.workspace, &batch.batch_id).await?;
    let known = known.into_iter().map(|payout| (payout.payout_id.clone(), payout)).collect();
    let named = rows.iter().filter_map(|row| match &row.whom {
        Whom::Payout(id) => Some(id.as_str()),
        _ => None,
    });
    let named = named.collect();
    let mut applying =
        Applying { by, format, known, named, came_back: BTreeSet::new(), faults: Faults::default(), did: Vec::new() };
    for row in rows {
        match &row.whom {
            Whom::Payout(payout_id) => applying.payout(tx, row, payout_id).await?,
            Whom::File(file_id) => applying.file(tx, row, file_id).await?,
            Whom::Other(name) => applying.leave(row, None, not_ours(name, &row.fate)),
        }
    }
    applying.faults.into_result(file_name)?;
    Ok(applying.did)
}

fn not_ours(name: &str, fate: &Fate) -> String {
    match (name, fate) {
        (_, Fate::Waits(why)) => why.clone(),
        ("", _) => "names no payout".to_owned(),
        (name, _) => format!("{name:?} names no payout"),
    }
}

struct Applying<'a> {
    by: By<'a>,
    format: ResultFormat,
    /// The batch's payouts, as they are.
    known: BTreeMap<String, Payout>,
    /// Those of which rows speak by themselves.
    named: BTreeSet<&'a str>,
    /// Those of which a row said that they came back.
    came_back: BTreeSet<String>,
    faults: Faults,
    did: Vec<Did>,
}

impl Applying<'_> {
    fn fault(&mut self, row: &Row, message: impl Into<String>) {
        self.faults.add(Some(row.number), None, message);
    }

    fn leave(&mut self, row: &Row, payout: Option<&Payout>, note: String) {
        self.did.push(Did {
            row: row.number,
            payout_id: payout.map(|payout| payout.payout_id.clone()),
            partner_key: payout.map(|payout| payout.partner_key.clone()),
            says: row.fate.as_str(),
            before: payout.map(|payout| payout.status.clone()),
            after: payout.map(|payout| payout.status.clone()),
            changed: false,
            note: Some(note),
        });
    }

    async fn payout(&mut self, tx: &mut Tx, row: &Row, payout_id: &str) -> Result<(), StoreError> {
        let Some(payout) = self.known.get(payout_id).cloned() else {
            return self.stranger(tx, row, payout_id).await;
        };
        if let Fate::Waits(why) = &row.fate {
            self.leave(row, Some(&payout), why.clone());
            return Ok(());
        }
        let back = match amount_of(row, &payout) {
            Ok(back) => back,
            Err(message) => {
                self.fault(row, message);
                return Ok(());
            }
        };
        if matches!(row.fate, Fate::Returned(_)) && !self.came_back.insert(payout_id.to_owned()) {
            self.fault(
                row,
                format!("{payout_id} comes back a second time: is that the sum, or once more? Enter it by hand"),
            );
            return Ok(());
        }
        self.change(tx, row, &payout, back).await
    }

    /// A payout of another batch, or of nobody.
    async fn stranger(&mut self, tx: &mut Tx, row: &Row, payout_id: &str) -> Result<(), StoreError> {
        let found = payouts::by_id(tx, self.by.workspace, payout_id).await?;
        let month = match &found {
            Some(payout) => batches::by_id(tx, self.by.workspace, &payout.batch_id).await?.map(|batch| batch.month),
            None => None,
        };
        match (month, self.format) {
            (Some(month), _) => {
                self.leave(row, found.as_ref(), format!("is of the batch of {month}: read it there, too"));
            }
            // A file of one's own is about this batch and nothing else.
            (None, ResultFormat::Csv) => self.fault(row, format!("there is no payout {payout_id:?}")),
            (None, _) => self.leave(row, None, format!("there is no payout {payout_id:?}")),
        }
        Ok(())
    }

    async fn change(&mut self, tx: &mut Tx, row: &Row, payout: &Payout, back: i64) -> Result<(), StoreError> {
        let (id, by) = (payout.payout_id.as_str(), self.by);
        let at = moment(row, by.now);
        // A bank's reference of a booking is no second name for a payment that has one.
        let named_before = self.format == ResultFormat::Camt054 && payout.external_id.is_some();
        let external_id = row.external_id.as_deref().filter(|_| !named_before);
        let changed = match &row.fate {
            Fate::Sent => outcome::sent(tx, by, id, external_id, at).await,
            Fate::Settled => outcome::settled(tx, by, id, external_id, at).await,
            Fate::Failed(why) => outcome::failed(tx, by, id, why).await,
            Fate::Returned(why) => outcome::returned(tx, by, id, back, why).await,
            Fate::Waits(_) => return Ok(()),
        };
        match changed {
            Ok(changed) => self.changed(row, changed),
            Err(PayoutError::Store(error)) => return Err(error),
            Err(error) => self.fault(row, error.to_string()),
        }
        Ok(())
    }

    fn changed(&mut self, row: &Row, changed: Changed) {
        let is_news = changed.is_news();
        let Changed { before, after } = changed;
        let note = if is_news { row.fate.why().map(str::to_owned) } else { Some("was known".to_owned()) };
        self.did.push(Did {
            row: row.number,
            payout_id: Some(after.payout_id.clone()),
            partner_key: Some(after.partner_key.clone()),
            says: row.fate.as_str(),
            before: Some(before.status),
            after: Some(after.status.clone()),
            changed: is_news,
            note,
        });
        self.known.insert(after.payout_id.clone(), after);
    }

    /// What is said of a whole payment file goes for every payout in it that no row names and that did not fail before.
    async fn file(&mut self, tx: &mut Tx, row: &Row, file_id: &str) -> Result<(), StoreError> {
        let gone = |payout: &&Payout| matches!(payout.status.as_str(), "failed" | "canceled");
        let inside: Vec<Payout> =
            self.known.values().filter(|payout| payout.file_id.as_deref() == Some(file_id)).cloned().collect();
        let meant: Vec<Payout> = inside
            .iter()
            .filter(|payout| !self.named.contains(payout.payout_id.as_str()))
            .filter(|payout| matches!(row.fate, Fate::Failed(_)) || !gone(payout))
            .cloned()
            .collect();
        if inside.is_empty() {
            self.leave(row, None, format!("this batch has no payment file {file_id}"));
            return Ok(());
        }
        if let Fate::Waits(why) = &row.fate {
            self.leave(row, None, why.clone());
            return Ok(());
        }
        if let Some(message) = row.said.and_then(|said| differs_in_sum(said, &meant)) {
            self.fault(row, message);
            return Ok(());
        }
        for payout in meant {
            self.change(tx, row, &payout, payout.paid_amount).await?;
        }
        Ok(())
    }
}

/// At noon of the day that a file names, and not later than now; now where it names none.
fn moment(row: &Row, now: Time) -> Time {
    let noon = NaiveTime::from_hms_opt(12, 0, 0).unwrap_or_default();
    row.day.map_or(now, |day| day.and_time(noon).and_utc().min(now))
}

/// What came back, in minor units, where the row's amount goes with the payout.
fn amount_of(row: &Row, payout: &Payout) -> Result<i64, String> {
    let Some(said) = row.said else { return Ok(payout.paid_amount) };
    let currency = payout.paid_currency().map_err(|error| error.to_string())?;
    let paid = format!("{} {currency}", decimal_text(payout.paid_amount, currency));
    let amount = in_minor(said, currency);
    let of_other = said.currency.is_some_and(|said| said != currency);
    let comes_back = matches!(row.fate, Fate::Returned(_));
    let fits = |amount: i64| {
        if comes_back { (1..=payout.paid_amount).contains(&amount) } else { amount == payout.paid_amount }
    };
    match amount {
        Some(amount) if !of_other && fits(amount) => Ok(amount),
        _ => Err(format!(
            "says {} {}, but payout {} of {} is of {paid}",
            said.amount,
            said.currency.map_or_else(String::new, |currency| currency.to_string()),
            payout.payout_id,
            payout.partner_key,
        )),
    }
}

fn in_minor(said: Said, currency: Currency) -> Option<i64> {
    parse_decimal(&said.amount.normalize().to_string(), currency).ok()
}

fn differs_in_sum(said: Said, payouts: &[Payout]) -> Option<String> {
    let currency = payouts.first()?.paid_currency().ok()?;
    let sum = payouts.iter().try_fold(0_i64, |sum, payout| sum.checked_add(payout.paid_amount))?;
    let fits = said.currency.is_none_or(|said| said == currency) && in_minor(said, currency) == Some(sum);
    (!fits).then(|| {
        format!(
            "says {} for the whole file, but its payouts that did not fail are of {} {currency}: read the bank's \
             status report (pain002) first",
            said.amount,
            decimal_text(sum, currency)
        )
    })
}
