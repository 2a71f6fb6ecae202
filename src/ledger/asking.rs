//! Deciding customers together with what their tiers ask for: what is asked for is looked up, and the customer decided
//! again. Where no program has tiers nothing is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::settle::{Case, Decided, decide_one, load_lookups, states_of};
use super::think;
use crate::domain::Time;
use crate::domain::decision::{Decisions, Lookups};
use crate::domain::terms::Terms;
use crate::domain::tiers::{AggregateKey, Aggregates};
use crate::store::customers::Customer;
use crate::store::subscription_states::States;
use crate::store::{Mode, StoreError, Tx, WorkspaceId, tiers};

/// As of when customers are decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum AsOf {
    /// One moment for all.
    Moment(Time),
    /// Each as of when it was settled.
    WhenSettled,
}

impl AsOf {
    fn of(self, customer: &Customer) -> Time {
        match self {
            Self::Moment(at) => at,
            Self::WhenSettled => customer.settled_at().unwrap_or_default(),
        }
    }
}

/// Decides some customers of either book.
pub(super) async fn decide_cases(
    tx: &mut Tx,
    workspace: WorkspaceId,
    cases: Vec<Case>,
    terms: &Arc<Terms>,
    as_of: AsOf,
) -> Result<Vec<Decided>, StoreError> {
    let lookups = Arc::new(load_lookups(tx, workspace, &cases, terms).await?);
    let mut lookups_of: BTreeMap<Mode, Arc<Lookups>> = Mode::ALL.map(|mode| (mode, lookups.clone())).into();
    let mut decided = Vec::with_capacity(cases.len());
    let (mut open, mut asked) = (cases, false);
    while !open.is_empty() {
        let (terms, with) = (terms.clone(), lookups_of.clone());
        let answered = think(move || answer_all(open, &terms, &with, as_of)).await?;
        open = Vec::new();
        let mut needs: BTreeMap<Mode, BTreeSet<AggregateKey>> = BTreeMap::new();
        for (case, answer, states) in answered {
            match answer {
                Ok(decisions) if !decisions.needs.is_empty() => {
                    needs.entry(case.customer.mode()).or_default().extend(decisions.needs);
                    open.push(case);
                }
                answer => decided.push(Decided { customer: case.customer, answer, states, asked }),
            }
        }
        for (mode, needs) in needs {
            let mut more = Lookups::clone(&lookups_of[&mode]);
            look_up(tx, workspace, mode, &needs, &mut more.aggregates).await?;
            lookups_of.insert(mode, Arc::new(more));
        }
        asked = true;
    }
    Ok(decided)
}

fn answer_all(
    cases: Vec<Case>,
    terms: &Terms,
    lookups_of: &BTreeMap<Mode, Arc<Lookups>>,
    as_of: AsOf,
) -> Vec<(Case, Result<Decisions, String>, States)> {
    let answer = |case: Case| {
        let answer = match &case.events {
            Ok(events) => decide_one(events, terms, &lookups_of[&case.customer.mode()], as_of.of(&case.customer)),
            Err(error) => Err(error.clone()),
        };
        let states = match (&case.events, &answer, as_of) {
            (Ok(events), Ok(decisions), AsOf::Moment(_)) => states_of(&case.customer, events, decisions, terms),
            _ => States::default(),
        };
        (case, answer, states)
    };
    cases.into_iter().map(answer).collect()
}

/// Adds what is needed to what is known.
pub(super) async fn look_up(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    needs: &BTreeSet<AggregateKey>,
    known: &mut Aggregates,
) -> Result<(), StoreError> {
    let closes = tiers::closes(tx, workspace, mode).await?;
    for key in needs {
        if !known.contains_key(key) {
            let aggregate = tiers::aggregate(tx, workspace, mode, key, &closes).await?;
            known.insert(key.clone(), aggregate);
        }
    }
    Ok(())
}
