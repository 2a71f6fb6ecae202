//! Freezing a month's statements at its close, for some partners at a time, in the transaction that made their payouts.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::TimeDelta;

use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::decision::Code;
use crate::domain::entry::{Component, EntryKind};
use crate::domain::mask::mask;
use crate::domain::money::Overflow;
use crate::domain::netting::Period;
use crate::domain::statement::{Converted, Frozen, Line, Making, PayoutPart, Previous, Refused, Statement, pseudonym};
use crate::domain::terms::{CustomersShown, ProgramTerms, Terms};
use crate::ids::Ids;
use crate::store::payouts::Payout;
use crate::store::statements::{self, NewStatement, RefusedPayment, StatedEntry};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, from_micros};

/// How long a transaction of a replica may have been open when a month was closed: an entry booked so long before a
/// cut-off may be seen only after it, and is in the next statement then.
const LATE: TimeDelta = TimeDelta::hours(1);

/// What freezing needs to know of the month and the batch.
#[derive(Debug, Clone, Copy)]
pub struct FreezeContext<'a> {
    /// Whose.
    pub workspace: WorkspaceId,
    /// What they are called.
    pub workspace_key: &'a str,
    /// Which book.
    pub mode: Mode,
    /// The batch that is closed.
    pub batch_id: &'a str,
    /// Its month.
    pub month: Month,
    /// From when to when that goes.
    pub period: Period,
    /// Entries booked from then on wait for the next statement.
    pub cut_off: Time,
    /// The terms under which the month is closed.
    pub terms: &'a Terms,
    /// For the statements' ids.
    pub ids: &'a Ids,
    /// Now.
    pub now: Time,
}

/// Why a statement could not be frozen.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// Sums too large for minor units.
    #[error("the statement of {partner} in {currency}: {source}")]
    Overflow {
        /// Whose.
        partner: String,
        /// In what.
        currency: Currency,
        /// What happened.
        source: Overflow,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Freezes the statements of some partners: one for each currency in which they have entries that no earlier statement
/// holds, or a balance. To be called once for each partner of a batch, after its payouts and what they carry over are
/// written. Tells how many there are.
///
/// # Errors
/// [`FreezeError`].
pub async fn freeze(tx: &mut Tx, context: &FreezeContext<'_>, partners: &[String]) -> Result<usize, FreezeError> {
    let mut new = Vec::new();
    for statement in make(tx, context, partners).await? {
        let id = statement.statement.clone();
        let frozen = Frozen::new(statement).map_err(|error| StoreError::Unreadable {
            what: "statement",
            key: id,
            why: error.to_string(),
        })?;
        new.push(NewStatement { batch_id: context.batch_id.to_owned(), frozen, created_at: context.now });
    }
    statements::insert(tx, context.workspace, context.mode, &new).await?;
    Ok(new.len())
}

/// The same statements, kept nowhere: what they would be if the month were closed now.
///
/// # Errors
/// [`FreezeError`].
pub async fn make(
    tx: &mut Tx,
    context: &FreezeContext<'_>,
    partners: &[String],
) -> Result<Vec<Statement>, FreezeError> {
    let gathered = Gathered::load(tx, context, partners).await?;
    gathered.statements(context)
}

type Key = (String, Currency);

/// What statements are made of, by partner and currency.
#[derive(Default)]
struct Gathered {
    previous: HashMap<Key, Previous>,
    lines: BTreeMap<Key, Vec<Line>>,
    payouts: HashMap<Key, Vec<PayoutPart>>,
    refused: HashMap<Key, Vec<Refused>>,
}

impl Gathered {
    async fn load(tx: &mut Tx, context: &FreezeContext<'_>, partners: &[String]) -> Result<Self, StoreError> {
        let (workspace, mode, month) = (context.workspace, context.mode, context.month.to_string());
        let mut gathered = Self::default();
        let latest = statements::latest_before(tx, workspace, mode, partners, &month).await?;
        // A partner's entries of all currencies were looked at whenever one of the statements was frozen.
        let mut seen: HashMap<&str, Time> = HashMap::new();
        for statement in &latest {
            let seen = seen.entry(&statement.partner_key).or_insert_with(|| statement.cut_off());
            *seen = statement.cut_off().max(*seen);
            let previous =
                Previous { sha256: statement.hash.clone(), closing: statement.closing, on_hold: statement.on_hold()? };
            gathered.previous.insert((statement.partner_key.clone(), statement.currency()?), previous);
        }
        let since = |partner: &str| seen.get(partner).map_or(Time::UNIX_EPOCH, |seen| *seen - LATE);
        let asked: Vec<(&str, Time)> = partners.iter().map(|partner| (partner.as_str(), since(partner))).collect();
        let entries = statements::entries_since(tx, workspace, mode, &asked, context.cut_off).await?;
        let held = held_before(tx, context, &entries, &seen).await?;
        for entry in entries.into_iter().filter(|entry| !held.contains(&entry.entry_id)) {
            let (key, line) = line(context, entry)?;
            gathered.lines.entry(key).or_default().push(line);
        }
        for payout in statements::payouts_of(tx, workspace, context.batch_id, partners).await? {
            let key = (payout.partner_key.clone(), payout.currency()?);
            gathered.payouts.entry(key).or_default().push(part(&payout)?);
        }
        let sharing = |terms: &ProgramTerms| terms.statement_refused;
        if context.terms.programs.values().filter_map(|program| program.latest()).any(|latest| sharing(&latest.terms)) {
            let period = (context.period.start, context.period.end);
            for payment in statements::refused(tx, workspace, mode, partners, period).await? {
                gathered.refuse(context, payment)?;
            }
        }
        Ok(gathered)
    }

    fn refuse(&mut self, context: &FreezeContext<'_>, payment: RefusedPayment) -> Result<(), StoreError> {
        let Some(program) = payment.program_key else { return Ok(()) };
        if !program_terms(context, &program).is_some_and(|terms| terms.statement_refused) {
            return Ok(());
        }
        let id = payment.payment_id;
        let currency = word(&id, &payment.currency)?;
        // A code of another release is told as it is.
        let code: Option<Code> = serde_json::from_value(payment.code.as_str().into()).ok();
        let sentence = code.map_or_else(|| payment.code.clone(), |code| code.sentence().to_owned());
        self.refused.entry((payment.partner_key, currency)).or_default().push(Refused {
            payment: id,
            date: from_micros(payment.paid_at),
            program,
            product: payment.product,
            paid: payment.paid,
            code: payment.code,
            sentence,
        });
        Ok(())
    }

    fn statements(mut self, context: &FreezeContext<'_>) -> Result<Vec<Statement>, FreezeError> {
        // Whoever has a balance gets a statement in a month without entries too.
        for (key, previous) in &self.previous {
            if previous.closing != 0 {
                self.lines.entry(key.clone()).or_default();
            }
        }
        let mut made = Vec::with_capacity(self.lines.len());
        for (key, lines) in std::mem::take(&mut self.lines) {
            let (partner, currency) = (&key.0, key.1);
            let profile = context.terms.partners.get(partner).map(|partner| &partner.profile);
            let statement = Statement::make(Making {
                statement: context.ids.next("st"),
                workspace: context.workspace_key,
                mode: context.mode.as_str(),
                month: context.month,
                time_zone: context.terms.current_settings().time_zone,
                period: context.period,
                cut_off: context.cut_off,
                partner,
                partner_name: profile.map_or("", |profile| &profile.name),
                currency,
                previous: self.previous.get(&key),
                payouts: self.payouts.remove(&key).unwrap_or_default(),
                lines,
                refused: self.refused.remove(&key).unwrap_or_default(),
            });
            let overflow = |source| FreezeError::Overflow { partner: partner.clone(), currency, source };
            made.push(statement.map_err(overflow)?);
        }
        Ok(made)
    }
}

/// Which of these entries, of the hour before a partner's last cut-off, a statement holds already.
async fn held_before(
    tx: &mut Tx,
    context: &FreezeContext<'_>,
    entries: &[StatedEntry],
    seen: &HashMap<&str, Time>,
) -> Result<HashSet<String>, StoreError> {
    let is_old = |entry: &&StatedEntry| {
        seen.get(entry.partner_key.as_str()).is_some_and(|seen| from_micros(entry.booked_at) < *seen)
    };
    let mut partners: Vec<&str> = entries.iter().filter(is_old).map(|entry| entry.partner_key.as_str()).collect();
    partners.sort_unstable();
    partners.dedup();
    let since: Vec<(&str, Time)> =
        partners.into_iter().filter_map(|partner| Some((partner, *seen.get(partner)? - LATE))).collect();
    let month = context.month.to_string();
    let documents = statements::documents_since(tx, context.workspace, context.mode, &since, &month).await?;
    Ok(documents.into_iter().flat_map(|frozen| frozen.statement.lines).map(|line| line.entry).collect())
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error: T::Err| StoreError::Unreadable {
        what: "entry",
        key: key.to_owned(),
        why: error.to_string(),
    })
}

fn program_terms<'a>(context: &FreezeContext<'a>, program: &str) -> Option<&'a ProgramTerms> {
    context.terms.programs.get(program).and_then(|program| program.latest()).map(|version| &version.terms)
}

fn line(context: &FreezeContext<'_>, entry: StatedEntry) -> Result<(Key, Line), StoreError> {
    let kind: EntryKind = word(&entry.entry_id, &entry.kind)?;
    let component: Component = word(&entry.entry_id, &entry.component)?;
    let currency: Currency = word(&entry.entry_id, &entry.currency)?;
    let shown = entry.program_key.as_deref().and_then(|program| program_terms(context, program));
    let shown = shown.map(|terms| terms.statement_customers).unwrap_or_default();
    let customer = match shown {
        CustomersShown::Hidden => None,
        CustomersShown::Id => entry.stripe_customer,
        CustomersShown::Pseudonym => {
            let id = entry.stripe_customer.or(entry.customer_id);
            id.map(|id| pseudonym(&entry.partner_key, &id))
        }
    };
    // What a payment was priced by is the partner's own affair, and said once.
    let is_priced = kind == EntryKind::Accrual && component == Component::Direct;
    let is_words = matches!(kind, EntryKind::Adjustment | EntryKind::Bonus);
    let (reason, note) = match kind {
        EntryKind::Accrual => (None, None),
        _ if is_words => (None, entry.reason),
        _ => (entry.reason, None),
    };
    let line = Line {
        date: from_micros(entry.occurred_at),
        booked_at: from_micros(entry.booked_at),
        hold_until: from_micros(entry.available_at),
        kind,
        component,
        amount: entry.amount,
        program: entry.program_key,
        payment_kind: entry.payment_id.is_some().then_some(entry.payment_kind).flatten(),
        payment: entry.payment_id,
        product: entry.product,
        customer,
        base: entry.base.filter(|_| is_priced),
        rate: entry.rate.filter(|_| is_priced),
        payout: entry.payout_id,
        reason,
        note,
        entry: entry.entry_id,
    };
    Ok(((entry.partner_key, currency), line))
}

fn part(payout: &Payout) -> Result<PayoutPart, StoreError> {
    let (currency, paid_currency) = (payout.currency()?, payout.paid_currency()?);
    let converted = match (&payout.fx_rate, currency == paid_currency) {
        (Some(rate), false) if payout.pays() => Some(Converted {
            amount: payout.paid_amount,
            currency: paid_currency,
            rate: rate.clone(),
            day: payout.fx_day.clone().unwrap_or_default(),
            source: payout.fx_source.clone().unwrap_or_default(),
        }),
        _ => None,
    };
    Ok(PayoutPart {
        payout: payout.payout_id.clone(),
        status: payout.status.clone(),
        amount: payout.amount,
        kept: payout.closing,
        method: payout.method.clone(),
        destination: payout.destination.as_deref().map(mask),
        reference: payout.reference.clone(),
        minimum: payout.minimum,
        reason: payout.reason.clone(),
        converted,
    })
}
