//! Personal data: what is kept of somebody, for them to read, and erasing it without moving a cent.
//!
//! A customer is named by anything that finds them: a Stripe id, a payment's reference, an e-mail or the merchant's own
//! key. A partner is named by their key. What stays after erasing, and why, is in SECURITY.md.

mod export;
mod keeper;
mod partner;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::admin::{Refused, Session};
use crate::domain::email::plain;
use crate::domain::lead::LeadBy;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::terms::{Change, Erasable, Terms};
use crate::ledger::Ledger;
use crate::ledger::erase::EraseError;
use crate::store::changes::Keyed;
use crate::store::{Mode, Tx, WorkspaceId, changes, customers, erasures, leads, payments, personal, refs};

pub use export::{customer as export_customer, partner as export_partner};
pub use keeper::Keeper;
pub use partner::erase as erase_partner;

/// One e-mail finds no more customers than this: each guest's payment is one.
const MOST_CUSTOMERS: usize = 1000;

/// What was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `era_…`
    pub erasure_id: String,
    /// `customer` or `partner`.
    pub object: Erasable,
    /// An id, a key or a pseudonym.
    pub subject: String,
    /// Customers concerned (`cust_…`); none for a partner.
    pub customers: Vec<String>,
    /// Raw events that were written again.
    pub events: usize,
    /// Leads whose address became a pseudonym.
    pub leads: usize,
    /// Other rows that were written again: of the log, the audit log, mails, kept answers.
    pub rows: usize,
    /// What stays, and why.
    pub kept: &'static str,
}

impl Outcome {
    /// As the API and the command line show it.
    pub fn json(&self) -> Value {
        serde_json::json!({
            "object": "erasure",
            "erasure_id": self.erasure_id,
            "of": self.object.as_str(),
            "subject": self.subject,
            "customers": self.customers,
            "events": self.events,
            "leads": self.leads,
            "rows": self.rows,
            "kept": self.kept,
        })
    }

    /// Whether anything was there to erase.
    pub fn found_any(&self) -> bool {
        self.events + self.leads + self.rows > 0
    }
}

/// What stays of a customer.
const KEPT_OF_CUSTOMERS: &str = "amounts, dates, Stripe's ids, evidence that names a partner, and decisions: the ledger's \
    proof and tax law need them. Addresses are kept as keyed hashes, so that the answers stay the same.";

/// Whom a name finds.
#[derive(Debug, Default)]
struct Found {
    customers: BTreeSet<String>,
    /// The name, where it is an address or key that leads may be known by.
    addresses: BTreeSet<(LeadBy, String)>,
}

/// Finds customers by what they are called.
async fn find(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    name: &str,
    pseudonyms: Option<&Pseudonyms>,
) -> Result<Found, Refused> {
    let name = name.trim();
    if name.is_empty() || name.len() > 500 || name.contains('\0') {
        return Err(Refused::invalid("customer", "expected a Stripe id, an e-mail or a customer key"));
    }
    let mut found = Found::default();
    let mut keys = vec![name.to_owned(), format!("key:{name}")];
    keys.extend(pseudonyms.map(|known| format!("key:{}", known.of_key(name))));
    for (_, owner) in refs::owners(tx, workspace, keys.iter().map(|key| (mode, key.as_str()))).await? {
        found.customers.insert(owner);
    }
    if let Some(customer) = customers::by_id(tx, workspace, name).await?.filter(|customer| customer.mode() == mode) {
        found.customers.insert(customer.customer_id);
    }
    if let Some(payment) = payments::find(tx, workspace, mode, name).await? {
        found.customers.insert(payment.customer_id);
    }
    found.addresses.insert((LeadBy::CustomerKey, name.to_owned()));
    if name.contains('@') {
        found.addresses.insert((LeadBy::Email, plain(name)));
        let mut clues = vec![LeadBy::Email.clue(&plain(name))];
        clues.extend(pseudonyms.map(|known| LeadBy::Email.clue(&known.of(name))));
        let clues: Vec<(Mode, &str)> = clues.iter().map(|clue| (mode, clue.as_str())).collect();
        let few = refs::few_found_by(tx, workspace, clues, MOST_CUSTOMERS).await?;
        found.customers.extend(few.ok_or_else(|| {
            Refused::conflict(
                "too_many_customers",
                format!("more than {MOST_CUSTOMERS} customers have this e-mail: name them one by one, by Stripe's ids"),
            )
        })?);
    } else {
        // A customer's key alone is an identifier that joins customers: what is known by it stays.
        found.addresses.clear();
    }
    Ok(found)
}

impl From<EraseError> for Refused {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Store(error) => Self::Store(error),
            other => Self::conflict("not_erased", other.to_string()),
        }
    }
}

/// The terms that this session will leave, with the key for pseudonyms, which is made where there is none. The log of
/// changes is held from now on.
async fn terms_with_pseudonyms(session: &mut Session) -> Result<(Arc<Terms>, Pseudonyms), Refused> {
    changes::hold(&mut session.tx, session.workspace).await?;
    let pseudonyms = erasures::pseudonyms_or_new(&mut session.tx, session.workspace, session.now).await?;
    let mut terms = Terms::clone(&*session.terms().await?);
    terms.pseudonyms = Some(pseudonyms.clone());
    terms.has_erasures = true;
    Ok((Arc::new(terms), pseudonyms))
}

/// Erases whoever is called so from all that is kept of customers. The caller commits.
///
/// # Errors
/// [`Refused`]: nobody is called so, or a decision would change.
pub async fn erase_customer(session: &mut Session, ledger: &Ledger, name: &str) -> Result<Outcome, Refused> {
    let book = (session.workspace, session.mode);
    let (terms, pseudonyms) = terms_with_pseudonyms(session).await?;
    let found = find(&mut session.tx, book, name, Some(&pseudonyms)).await?;
    let subject = match name.trim() {
        address if address.contains('@') => pseudonyms.of(address),
        other => other.to_owned(),
    };
    let erased =
        ledger.erase_customers(&mut session.tx, book, &found.customers, found.addresses.clone(), &terms).await?;
    let mut rows = 0;
    for (_, address) in &found.addresses {
        rows += erase_answers(&mut session.tx, book.0, address, &pseudonyms).await?;
    }
    if found.customers.is_empty() && erased.leads + erased.events + rows == 0 {
        let known = leads_of(&mut session.tx, book.0, &subject).await?;
        if !known {
            return Err(Refused::Missing("nothing is kept of a customer who is called so".to_owned()));
        }
    }
    let whom = found.customers.iter().map(String::as_str).collect::<Vec<_>>();
    let erasure_id = note(session, Erasable::Customer, &subject, erased.events + erased.leads + rows > 0).await?;
    erasures::mark(&mut session.tx, book.0, &erasure_id, whom).await?;
    Ok(Outcome {
        erasure_id,
        object: Erasable::Customer,
        subject,
        customers: found.customers.into_iter().collect(),
        events: erased.events,
        leads: erased.leads,
        rows,
        kept: KEPT_OF_CUSTOMERS,
    })
}

async fn leads_of(tx: &mut Tx, workspace: WorkspaceId, pseudonym: &str) -> Result<bool, Refused> {
    let asked = BTreeSet::from([(LeadBy::Email, pseudonym.to_owned())]);
    Ok(!leads::of(tx, workspace, &asked).await?.is_empty())
}

/// Writes down that somebody was erased: in the table, in the log (so that whoever keeps terms in memory looks again) and
/// in the audit log. Where nothing was left to erase, only the table says when.
async fn note(session: &mut Session, object: Erasable, subject: &str, is_new: bool) -> Result<String, Refused> {
    let new = session.ids.next("era");
    let (book, by) = ((session.workspace, session.mode), session.author.clone());
    let id = erasures::put(&mut session.tx, book, (object, subject), (&new, &by), session.now).await?;
    if is_new || id == new {
        let mut desk = session.desk().await?;
        let key: String = format!("erasure/{id}/{}", desk.terms.seq.saturating_add(1));
        let change = Change::Erasure { object, subject: subject.to_owned() };
        let keyed: [Keyed; 1] = [(key, change)];
        desk.append(&keyed).await?;
    }
    Ok(id)
}

/// Puts pseudonyms into answers that were kept for requests that are repeated.
async fn erase_answers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    address: &str,
    pseudonyms: &Pseudonyms,
) -> Result<usize, Refused> {
    let mut written = 0;
    for (mode, key, body) in personal::answers_with(tx, workspace, address).await? {
        let Ok(mut answer) = serde_json::from_str::<Value>(&body) else { continue };
        replace(&mut answer, &|text| (plain(text) == plain(address)).then(|| pseudonyms.of(text)));
        personal::put_answer(tx, workspace, (mode, &key), &answer.to_string()).await?;
        written += 1;
    }
    Ok(written)
}

/// Replaces texts wherever they stand.
fn replace(value: &mut Value, with: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(new) = with(text) {
                *text = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, with)),
        _ => {}
    }
}
