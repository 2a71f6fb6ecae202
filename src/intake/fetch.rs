//! Single objects by their ids, with what ties them to their payments.
//!
//! An invoice comes with the charges that paid it; a charge, refund or dispute with what says which invoice its payment
//! intent paid, and with its checkout session. They enter the same inbox as everything else.

use std::collections::{BTreeSet, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::asking::{AskError, Asking, PAGE, name};
use super::backfill::complete;
use super::{Inbox, Incoming, Ready};
use crate::domain::Time;
use crate::store::events::Source;
use crate::store::{Db, Mode, StoreError, Urgency, WorkspaceId};
use crate::stripe::fetched::{Kind, wrap};

/// Which object an id is of, by how it begins.
const PREFIXES: [(&str, Kind); 15] = [
    ("in", Kind::Invoice),
    ("inpay", Kind::InvoicePayment),
    ("cs", Kind::CheckoutSession),
    ("pi", Kind::PaymentIntent),
    ("ch", Kind::Charge),
    ("py", Kind::Charge),
    ("re", Kind::Refund),
    ("pyr", Kind::Refund),
    ("dp", Kind::Dispute),
    ("du", Kind::Dispute),
    ("cn", Kind::CreditNote),
    ("cus", Kind::Customer),
    ("sub", Kind::Subscription),
    ("promo", Kind::PromotionCode),
    ("price", Kind::Price),
];

/// Which object an id is of. Stripe's prefixes are no promise: of one that is not known, nobody knows.
pub fn kind_of(id: &str) -> Option<Kind> {
    let prefix = id.split_once('_')?.0;
    PREFIXES.iter().find(|(known, _)| *known == prefix).map(|(_, kind)| *kind)
}

/// What came of fetching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that are in the inbox now, and whether they were not, or were otherwise.
    pub fetched: Vec<(String, bool)>,
    /// Ids that could not be fetched, and why.
    pub problems: Vec<(String, String)>,
    /// Calls to Stripe.
    pub calls: i64,
}

/// Why fetching was given up. What came before stays.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Stripe.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How objects name those that they belong with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ties {
    payment_intent: Option<Named>,
    charge: Option<Named>,
    payments: Payments,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payments {
    data: Vec<InvoicePayment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InvoicePayment {
    payment: Option<Payment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payment {
    payment_intent: Option<Named>,
    charge: Option<Named>,
}

/// An id, or the object that has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Object { id: String },
}

impl Named {
    fn id(self) -> String {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

/// What is still to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    /// What somebody named.
    Named(String),
    /// The charge, for itself.
    Charge(String),
    /// The charges of a payment intent.
    ChargesOf(String),
    /// Which invoice a payment intent paid, and how much; the checkout session that it came from.
    SaleOf(String),
}

/// Where objects go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The database of the inbox.
    pub db: Db,
    /// The way in.
    pub inbox: Inbox,
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which book.
    pub mode: Mode,
}

/// Fetches objects by their ids, with what ties them to their payments. `now` is when they are asked for. An id that
/// cannot be fetched stops none of the others.
///
/// # Errors
/// [`FetchError`] where it makes no sense to go on.
pub async fn fetch(into: &Destination, asking: &Asking, ids: &[String], now: Time) -> Result<Report, FetchError> {
    let mut errands: VecDeque<Errand> = ids.iter().map(|id| Errand::Named(id.trim().to_owned())).collect();
    let (mut known, mut report) = (BTreeSet::new(), Report::default());
    while let Some(errand) = errands.pop_front() {
        if !known.insert(errand.clone()) {
            continue;
        }
        match run(into, asking, &errand, now, &mut report).await {
            Ok(further) => errands.extend(further),
            Err(FetchError::Ask(AskError::Refused(refusal))) => {
                report.problems.push((errand.id().to_owned(), refusal.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    report.calls = asking.take_calls();
    Ok(report)
}

impl Errand {
    fn id(&self) -> &str {
        match self {
            Self::Named(id) | Self::Charge(id) | Self::ChargesOf(id) | Self::SaleOf(id) => id,
        }
    }
}

/// Runs one errand; returns those that follow from it.
async fn run(
    into: &Destination,
    asking: &Asking,
    errand: &Errand,
    now: Time,
    report: &mut Report,
) -> Result<Vec<Errand>, FetchError> {
    match errand {
        Errand::Named(id) if id.starts_with("evt_") => {
            let event = asking.object("/events", id, &[]).await?;
            keep(into, &[(id.clone(), event.get().as_bytes().to_vec())], report).await?;
            Ok(Vec::new())
        }
        Errand::Named(id) => {
            let Some(kind) = kind_of(id) else {
                let known: Vec<String> = PREFIXES.iter().map(|(prefix, _)| format!("{prefix}_…")).collect();
                let why =
                    format!("nobody can tell what this is the id of: expected one of {}, evt_…", known.join(", "));
                report.problems.push((id.clone(), why));
                return Ok(Vec::new());
            };
            let object = one(into, asking, kind, id, now, report).await?;
            Ok(further(kind, &object))
        }
        Errand::Charge(id) => one(into, asking, Kind::Charge, id, now, report).await.map(|_| Vec::new()),
        Errand::ChargesOf(intent) => {
            let expanded: Vec<String> = Kind::Charge.expanded().iter().map(|field| format!("data.{field}")).collect();
            let mut query = vec![("limit", PAGE), ("payment_intent", intent.as_str())];
            query.extend(expanded.iter().map(|field| ("expand[]", field.as_str())));
            let page = asking.page(Kind::Charge.path(), &query).await?;
            wrap_and_keep(into, Kind::Charge, page.data, now, report).await?;
            Ok(Vec::new())
        }
        Errand::SaleOf(intent) => {
            let query =
                [("limit", PAGE), ("payment[type]", "payment_intent"), ("payment[payment_intent]", intent.as_str())];
            let page = asking.page(Kind::InvoicePayment.path(), &query).await?;
            wrap_and_keep(into, Kind::InvoicePayment, page.data, now, report).await?;
            let page =
                asking.page(Kind::CheckoutSession.path(), &[("limit", PAGE), ("payment_intent", intent)]).await?;
            wrap_and_keep(into, Kind::CheckoutSession, page.data, now, report).await?;
            Ok(Vec::new())
        }
    }
}

/// What an object that was named calls for.
fn further(kind: Kind, object: &RawValue) -> Vec<Errand> {
    let ties: Ties = serde_json::from_str(object.get()).unwrap_or_default();
    let (intent, charge) = (ties.payment_intent.map(Named::id), ties.charge.map(Named::id));
    match kind {
        Kind::Invoice => {
            let payments = ties.payments.data.into_iter().filter_map(|paid| paid.payment);
            let paid = payments.flat_map(|paid| {
                let intent = paid.payment_intent.map(|intent| Errand::ChargesOf(intent.id()));
                intent.into_iter().chain(paid.charge.map(|charge| Errand::Charge(charge.id())))
            });
            let legacy = intent.map(Errand::ChargesOf).or(charge.map(Errand::Charge));
            paid.chain(legacy).collect()
        }
        Kind::Charge | Kind::PaymentIntent => {
            let own = if kind == Kind::PaymentIntent { Some(name(object)) } else { intent };
            own.map(Errand::SaleOf).into_iter().collect()
        }
        // What was taken back, from which money, and which invoice that paid.
        Kind::Refund | Kind::Dispute => {
            let charge = charge.map(Errand::Charge);
            intent.map(Errand::SaleOf).into_iter().chain(charge).collect()
        }
        _ => Vec::new(),
    }
}

async fn one(
    into: &Destination,
    asking: &Asking,
    kind: Kind,
    id: &str,
    now: Time,
    report: &mut Report,
) -> Result<Box<RawValue>, FetchError> {
    let query: Vec<(&str, &str)> = kind.expanded().iter().map(|field| ("expand[]", *field)).collect();
    let object = asking.object(kind.path(), id, &query).await?;
    let object = complete(asking, kind, object).await?;
    wrap_and_keep(into, kind, vec![object.clone()], now, report).await?;
    Ok(object)
}

async fn wrap_and_keep(
    into: &Destination,
    kind: Kind,
    objects: Vec<Box<RawValue>>,
    now: Time,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut wrapped = Vec::with_capacity(objects.len());
    for object in objects {
        match wrap(kind, &object, now, into.mode == Mode::Live) {
            Ok(fetched) => wrapped.push((fetched.object, fetched.body)),
            Err(error) => report.problems.push((name(&object), error.to_string())),
        }
    }
    keep(into, &wrapped, report).await
}

async fn keep(into: &Destination, bodies: &[(String, Vec<u8>)], report: &mut Report) -> Result<(), StoreError> {
    let (mut ids, mut ready): (Vec<&String>, Vec<Ready>) = (Vec::new(), Vec::new());
    for (id, body) in bodies {
        match into.inbox.ready(&Incoming { workspace: into.workspace, source: Source::Lookup, body }) {
            Ok(event) if event.mode() == into.mode && !event.has_nul() => {
                ids.push(id);
                ready.push(event);
            }
            Ok(_) => report.problems.push((id.clone(), format!("it is not of the {} book", into.mode))),
            Err(error) => report.problems.push((id.clone(), error.to_string())),
        }
    }
    let mut tx = into.db.write(Urgency::Background).await?;
    let fresh = into.inbox.store(&mut tx, ready).await?;
    tx.commit().await?;
    into.inbox.again();
    report.fetched.extend(ids.into_iter().cloned().zip(fresh));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn ids_tell_what_they_are_of() {
        for (id, kind) in [("in_1", Kind::Invoice), ("inpay_1", Kind::InvoicePayment), ("pyr_1", Kind::Refund)] {
            assert_eq!(kind_of(id), Some(kind), "{id}");
        }
        assert_eq!((kind_of("tr_1"), kind_of("whatever")), (None, None));
    }

    #[test]
    fn an_invoice_calls_for_its_charges_and_a_refund_for_its_invoice() {
        let of = |kind, object| further(kind, &to_raw_value(&object).unwrap());
        let invoice = json!({"id": "in_1", "payments": {"data": [
            {"payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
            {"payment": {"type": "charge", "charge": {"id": "py_1"}}},
            {"payment": {"type": "payment_record"}},
        ]}});
        let wanted = [Errand::ChargesOf("pi_1".to_owned()), Errand::Charge("py_1".to_owned())];
        assert_eq!(of(Kind::Invoice, invoice), wanted);
        let legacy = json!({"id": "in_1", "payment_intent": "pi_1", "charge": "ch_1"});
        assert_eq!(of(Kind::Invoice, legacy), [Errand::ChargesOf("pi_1".to_owned())]);
        let refund = json!({"id": "re_1", "payment_intent": {"id": "pi_1"}, "charge": "ch_1"});
        let wanted = [Errand::SaleOf("pi_1".to_owned()), Errand::Charge("ch_1".to_owned())];
        assert_eq!(of(Kind::Refund, refund), wanted);
        assert_eq!(of(Kind::PaymentIntent, json!({"id": "pi_1"})), [Errand::SaleOf("pi_1".to_owned())]);
    }
}
