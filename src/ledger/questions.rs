//! What history cannot tell of customers whose objects were fetched: metadata and codes that are evidence, and were
//! entered later than their object was made.

use std::collections::BTreeMap;

use super::Ledger;
use super::settle::{Case, load_cases};
use crate::domain::Time;
use crate::domain::evidence::meanings;
use crate::domain::history::{Said, What, fold};
use crate::domain::terms::Settings;
use crate::store::questions::{self, NewQuestion};
use crate::store::{Mode, StoreError, Urgency, WorkspaceId, customers};

/// How many customers are looked at at a time.
const PAGE: i64 = 128;

impl Ledger {
    /// Looks through a book's customers that were settled since a moment, or are due, and writes down what history cannot
    /// tell of them; tells how many questions there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask(&self, workspace: WorkspaceId, mode: Mode, since: Time) -> Result<usize, StoreError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let mut tx = self.db.read().await?;
            let page = customers::page(&mut tx, workspace, after.as_deref(), PAGE).await?;
            let Some(last) = page.last().map(|customer| customer.customer_id.clone()) else { return Ok(count) };
            after = Some(last);
            let touched = page.into_iter().filter(|customer| {
                let is_recent =
                    customer.settled_at().is_none_or(|at| at >= since) || customer.settle_due_at().is_some();
                customer.mode() == mode && is_recent
            });
            let cases = load_cases(&mut tx, workspace, touched.collect()).await?;
            let settings = self.db.terms(&mut tx, workspace).await?.current_settings();
            tx.rollback().await?;
            let fetched: Vec<&Case> = cases.iter().filter(|case| was_fetched(case)).collect();
            let asked = fetched.iter().flat_map(|case| questions_of(case, &settings)).collect::<Vec<_>>();
            count += asked.len();
            if !fetched.is_empty() {
                let mut tx = self.db.write(Urgency::Background).await?;
                let ids = fetched.iter().map(|case| case.customer.customer_id.as_str());
                questions::take_back(&mut tx, workspace, ids).await?;
                questions::ask(&mut tx, workspace, &asked, self.clock.now()).await?;
                tx.commit().await?;
            }
        }
    }
}

fn was_fetched(case: &Case) -> bool {
    case.events.iter().flatten().any(|event| event.fetched_at.is_some())
}

fn questions_of(case: &Case, settings: &Settings) -> Vec<NewQuestion> {
    let events = case.events.as_deref().unwrap_or_default();
    fold(events).edited.iter().filter_map(|said| question(said, case, settings)).collect()
}

/// What to ask about something; nothing about what is no evidence.
fn question(said: &Said, case: &Case, settings: &Settings) -> Option<NewQuestion> {
    let what = match &said.what {
        What::Metadata(key, value) => {
            let entry = BTreeMap::from([(key.clone(), value.clone())]);
            if meanings(&entry, settings).is_empty() {
                return None;
            }
            format!("{key} = {value}")
        }
        What::PromotionCode(code) => format!("promotion code {code}"),
        What::ClientReference(reference) => format!("client_reference_id = {reference}"),
        What::Email(_) => return None,
    };
    Some(NewQuestion {
        mode: case.customer.mode(),
        object: said.object.clone(),
        what,
        customer_id: case.customer.customer_id.clone(),
        counted_from: said.at,
    })
}
