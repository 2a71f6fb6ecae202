//! The completeness proof: a month held against Stripe's own charges, invoices, refunds and disputes, page by page.
//!
//! Every object that Stripe lists is looked up here by its id and those that it names; what is known here and was not
//! listed is asked for by its id. What comes of it ([`Report`]) adds up to Stripe's total, to the cent, or names the
//! objects that differ.

mod nightly;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde_json::value::RawValue;

pub use nightly::Nightly;

use crate::clock::Clock;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::facts::EventFacts;
use crate::domain::reconcile::{Became, Difference, Found, Kind, Ours, Report, Theirs, Why};
use crate::intake::asking::{AskError, Asking, PAGE, last_place, name};
use crate::store::payments::Payment;
use crate::store::reconciliations::{self as stored, PaymentOf};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId, facts, refs};
use crate::stripe::fetched;

/// An invoice may have been made so long before it was paid.
const INVOICES_FROM: TimeDelta = TimeDelta::days(90);
/// A refund is mostly made so long after the payment at most.
const REFUNDED_WITHIN: TimeDelta = TimeDelta::days(180);
/// So many objects that were not listed are asked for one by one.
const MOST_ASKED: u64 = 200;
/// Payments looked at in one transaction.
const PAYMENTS: i64 = 500;

/// Why a month could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Stripe.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares a book.
#[derive(Debug, Clone)]
pub struct Reconciler {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The book.
    pub book: (WorkspaceId, Mode),
    /// The way to Stripe.
    pub asking: Asking,
}

/// One comparison under way.
struct Run<'a> {
    by: &'a Reconciler,
    from: Time,
    until: Time,
    report: Report,
    /// Hashes of the ids that were listed: eight bytes for each, so that a million of them fit anywhere.
    listed: HashSet<u64>,
    hashes: RandomState,
    asked: u64,
}

impl Reconciler {
    /// Compares a month, in the workspace's time zone, and keeps what it came to.
    ///
    /// # Errors
    /// [`ReconcileError`].
    pub async fn run(&self, month: Month) -> Result<Report, ReconcileError> {
        let zone = self.zone().await?;
        let mut run = Run {
            by: self,
            from: month.start(zone),
            until: month.end(zone),
            report: Report::default(),
            listed: HashSet::new(),
            hashes: RandomState::new(),
            asked: 0,
        };
        for kind in Kind::ALL {
            run.list(kind).await?;
        }
        run.not_listed().await?;
        let mut tx = self.db.write(Urgency::Background).await?;
        stored::put(&mut tx, self.book, &month.to_string(), &run.report, self.clock.now()).await?;
        tx.commit().await?;
        Ok(run.report)
    }

    /// The workspace's time zone.
    ///
    /// # Errors
    /// The database's.
    pub async fn zone(&self) -> Result<Tz, StoreError> {
        let mut tx = self.db.read().await?;
        let zone = self.db.terms(&mut tx, self.book.0).await?.current_settings().time_zone;
        tx.rollback().await?;
        Ok(zone)
    }
}

/// What Stripe calls it.
fn of_stripe(kind: Kind) -> fetched::Kind {
    match kind {
        Kind::Charge => fetched::Kind::Charge,
        Kind::Invoice => fetched::Kind::Invoice,
        Kind::Refund => fetched::Kind::Refund,
        Kind::Dispute => fetched::Kind::Dispute,
    }
}

impl Run<'_> {
    fn hash(&self, id: &str) -> u64 {
        self.hashes.hash_one(id)
    }

    /// Goes through Stripe's list of a kind.
    async fn list(&mut self, kind: Kind) -> Result<(), ReconcileError> {
        let from = if kind == Kind::Invoice { self.from - INVOICES_FROM } else { self.from };
        let (from, until) = (from.timestamp().to_string(), self.until.timestamp().to_string());
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![("limit", PAGE), ("created[gte]", from.as_str()), ("created[lt]", until.as_str())];
            if kind == Kind::Invoice {
                query.push(("status", "paid"));
            }
            query.extend(after.as_deref().map(|id| ("starting_after", id)));
            let page = self.by.asking.page(of_stripe(kind).path(), &query).await?;
            let last = last_place(&page.data).map(|(id, _)| id);
            let theirs = self.read(kind, page.data);
            self.compare(&theirs).await?;
            match last.filter(|last| page.has_more && after.as_ref() != Some(last)) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// What a page's objects say; those of other months and those that took nothing are left out.
    fn read(&mut self, kind: Kind, objects: Vec<Box<RawValue>>) -> Vec<Theirs> {
        let (now, livemode) = (self.by.clock.now(), self.by.book.1 == Mode::Live);
        let mut found = Vec::with_capacity(objects.len());
        for object in objects {
            let wrapped = fetched::wrap(of_stripe(kind), &object, now, livemode);
            let Some(theirs) = wrapped.ok().and_then(|wrapped| Theirs::of(kind, &wrapped.facts)) else {
                let (id, why) = (name(&object), Why::Unreadable);
                self.report.name(Difference { kind, id, why, currency: None, ours: None, stripe: None });
                continue;
            };
            let hash = self.hash(&theirs.id);
            self.listed.insert(hash);
            let is_meant = match kind {
                Kind::Charge => theirs.amount > 0,
                Kind::Invoice => theirs.paid_at.is_some_and(|at| at >= self.from && at < self.until),
                Kind::Refund | Kind::Dispute => true,
            };
            if is_meant {
                found.push(theirs);
            }
        }
        found
    }

    /// Looks a page of objects up here.
    async fn compare(&mut self, page: &[Theirs]) -> Result<(), ReconcileError> {
        if page.is_empty() {
            return Ok(());
        }
        let mut tx = self.by.db.read().await?;
        let here = Here::of(&mut tx, self.by.book, page).await?;
        tx.rollback().await?;
        let mut ours = Ours::of(&here.facts);
        for theirs in page {
            let mut found = ours.find(theirs);
            let payment = here.payment(theirs);
            // What was decided counts the money, too: an invoice is worth to it what was received, or the part of it that
            // came through Stripe where the rest does not count.
            if let (Kind::Invoice, Found::Same, Some(payment)) = (theirs.kind, found, payment)
                && !here.is_unsettled
                && payment.paid != theirs.amount
                && payment.paid != theirs.amount - theirs.off_stripe
            {
                found = Found::Other(payment.paid);
            }
            let became = payment.map(|payment| match payment.code.as_str() {
                "credited" => Became::Credited,
                code => Became::Refused(code.to_owned()),
            });
            // A charge that is nobody's invoice or session is a payment only where the settings say so.
            let no_sale = || Became::Refused("direct_payment".to_owned());
            let became = became.or_else(|| (found != Found::Missing && !here.is_unsettled).then(no_sale));
            self.report.count(theirs, found, became.or(Some(Became::Unsettled)));
        }
        Ok(())
    }

    /// What is known here within the month and was not listed is asked for.
    async fn not_listed(&mut self) -> Result<(), ReconcileError> {
        let (mut last, db): (Option<Payment>, _) = (None, self.by.db.clone());
        loop {
            let mut tx = db.read().await?;
            let span = (self.from, self.until);
            let page = stored::paid_within(&mut tx, self.by.book, span, last.as_ref(), (false, PAYMENTS)).await?;
            tx.rollback().await?;
            for payment in &page {
                let Some((kind, id)) = main_object(payment)? else { continue };
                if payment.paid > 0 && !self.listed.contains(&self.hash(&id)) {
                    self.ask(kind, &id, payment.currency.parse().ok(), payment.paid).await?;
                }
            }
            match page.into_iter().last() {
                Some(payment) => last = Some(payment),
                None => return self.refunds_not_listed().await,
            }
        }
    }

    /// The same for refunds: of payments that were paid up to [`REFUNDED_WITHIN`] before the month.
    async fn refunds_not_listed(&mut self) -> Result<(), ReconcileError> {
        let (mut last, db, workspace): (Option<Payment>, _, _) = (None, self.by.db.clone(), self.by.book.0);
        let (span, mut seen) = ((self.from - REFUNDED_WITHIN, self.until), HashSet::new());
        loop {
            let mut tx = db.read().await?;
            let page = stored::paid_within(&mut tx, self.by.book, span, last.as_ref(), (true, PAYMENTS)).await?;
            let customers: HashSet<&str> = page.iter().map(|payment| payment.customer_id.as_str()).collect();
            let stored_facts = facts::of_customers(&mut tx, workspace, customers).await?;
            tx.rollback().await?;
            let known: Vec<EventFacts> = stored_facts.iter().map(facts::StoredFacts::read).collect::<Result<_, _>>()?;
            let ours = Ours::of(&known);
            for (id, amount) in ours.refunds_within(self.from, self.until) {
                let hash = self.hash(id);
                if seen.insert(hash) && !self.listed.contains(&hash) {
                    self.ask(Kind::Refund, id, None, amount).await?;
                }
            }
            match page.into_iter().last() {
                Some(payment) => last = Some(payment),
                None => return Ok(()),
            }
        }
    }

    /// Asks for one object; names it where Stripe has none.
    async fn ask(
        &mut self,
        kind: Kind,
        id: &str,
        currency: Option<crate::domain::currency::Currency>,
        ours: i64,
    ) -> Result<(), ReconcileError> {
        if self.asked >= MOST_ASKED {
            self.report.unasked += 1;
            return Ok(());
        }
        self.asked += 1;
        match self.by.asking.object(of_stripe(kind).path(), id, &[]).await {
            // It is there, of another month by Stripe's reckoning.
            Ok(_) => Ok(()),
            Err(error) if error.is_missing() => {
                let (id, why) = (id.to_owned(), Why::UnknownToStripe);
                self.report.name(Difference { kind, id, why, currency, ours: Some(ours), stripe: None });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The object that a payment is, or was paid by, where its id tells what it is of: its invoice, else a charge.
fn main_object(payment: &Payment) -> Result<Option<(Kind, String)>, StoreError> {
    if payment.reference.starts_with("in_") {
        return Ok(Some((Kind::Invoice, payment.reference.clone())));
    }
    let is_charge = |id: &&String| id.starts_with("ch_") || id.starts_with("py_");
    Ok(payment.references()?.iter().find(is_charge).map(|id| (Kind::Charge, id.clone())))
}

/// What is known here of a page of objects.
struct Here {
    facts: Vec<EventFacts>,
    payments: std::collections::HashMap<String, PaymentOf>,
    /// Whether anybody concerned is to be settled yet.
    is_unsettled: bool,
}

impl Here {
    async fn of(tx: &mut Tx, (workspace, mode): (WorkspaceId, Mode), page: &[Theirs]) -> Result<Self, StoreError> {
        let named = || page.iter().flat_map(|theirs| theirs.references.iter().map(String::as_str));
        let owners = refs::owners(tx, workspace, named().map(|name| (mode, name))).await?;
        let customers: HashSet<&str> = owners.iter().map(|(_, owner)| owner.as_str()).collect();
        let stored_facts = facts::of_customers(tx, workspace, customers.iter().copied()).await?;
        let facts = stored_facts.iter().map(facts::StoredFacts::read).collect::<Result<_, _>>()?;
        let asked: HashSet<&str> = named().collect();
        let payments = stored::payments_of(tx, (workspace, mode), asked).await?;
        let is_unsettled = !stored::unsettled(tx, workspace, customers).await?.is_empty();
        Ok(Self { facts, payments, is_unsettled })
    }

    /// The payment that an object belongs to.
    fn payment(&self, theirs: &Theirs) -> Option<&PaymentOf> {
        theirs.references.iter().find_map(|name| self.payments.get(name))
    }
}
