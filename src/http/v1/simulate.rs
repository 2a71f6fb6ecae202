//! `POST /v1/programs/{key}/simulate`: what draft terms would have earned, and nothing is written.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::{App, Problem};
use super::programs::{in_terms, only_terms};
use super::shapes::ProgramTerms;
use crate::admin::Refused;
use crate::admin::programs::draft;
use crate::domain::Time;
use crate::domain::terms::{ENGINE, Terms, Version};
use crate::ledger::simulate::{Compared, Comparison, compare};
use crate::program::json;

/// How many months are looked at where nobody says.
const DEFAULT_MONTHS: u32 = 12;
/// How many are at most.
const MOST_MONTHS: u32 = 120;

/// Draft terms to try out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    /// Payments of the last so many months; 12 where left out.
    #[schema(minimum = 1, maximum = 120)]
    months: Option<u32>,
    /// What changes; what is left out is as in the latest version. `rules` are given whole.
    #[schema(value_type = ProgramTerms)]
    terms: Map<String, Value>,
}

/// What would have been earned instead.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Simulation {
    /// Always `simulation`.
    #[schema(example = "simulation")]
    object: &'static str,
    program: String,
    /// Payments paid since then are counted.
    since: DateTime<Utc>,
    /// By partner and currency, in that order; those who earn nothing either way are left out.
    partners: Vec<Simulated>,
}

/// One partner's commissions in one currency, in minor units.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Simulated {
    partner_key: String,
    #[schema(example = "usd")]
    currency: String,
    /// What is owed under the terms as they are.
    current: i64,
    /// What would be owed had the draft been in force from the beginning.
    simulated: i64,
    difference: i64,
}

impl From<Compared> for Simulated {
    fn from(compared: Compared) -> Self {
        Self {
            difference: compared.difference(),
            partner_key: compared.partner,
            currency: compared.currency.to_string(),
            current: compared.before,
            simulated: compared.after,
        }
    }
}

/// The terms with the draft in force from the beginning.
fn with_draft(terms: &Terms, key: &str, changes: &Map<String, Value>, now: Time) -> Result<Terms, Refused> {
    let known = terms.programs.get(key);
    let latest = known.and_then(|program| program.latest());
    let latest = latest.ok_or_else(|| Refused::Missing(format!("there is no program {key:?}")))?;
    let file = json::section("program", &draft(terms, key, latest, changes)).map_err(Refused::Faults)?;
    let mut after = terms.clone();
    if let (Some(program), Some(section)) = (after.programs.get_mut(key), file.programs.into_iter().next()) {
        program.versions = vec![Version {
            number: 1,
            effective_from: Time::MIN_UTC,
            in_force_from: Time::MIN_UTC,
            published_at: now,
            engine: ENGINE,
            terms: section.terms,
        }];
    }
    Ok(after)
}

/// Try draft terms out on real history
///
/// Decides the whole history of the key's book twice, under the terms as they are and as if the draft had been in force
/// from the beginning, and tells what each partner would have earned instead. Nothing is written. One simulation runs at
/// a time.
#[utoipa::path(
    post, path = "/v1/programs/{key}/simulate", tag = "programs", operation_id = "simulate_program",
    request_body = Draft,
    params(("key" = String, Path, description = "The program's key", example = "saas")),
    responses((status = 200, description = "What would have been earned instead", body = Simulation))
)]
pub(super) async fn simulate(
    State(app): State<App>,
    caller: Caller,
    At(key): At<String>,
    post: Post<Draft>,
) -> Result<Response, Problem> {
    only_terms(&post.body.terms)?;
    let months = post.body.months.unwrap_or(DEFAULT_MONTHS);
    if !(1..=MOST_MONTHS).contains(&months) {
        return Err(Problem::invalid("months", format!("expected a number from 1 to {MOST_MONTHS}")));
    }
    let now = app.clock.now();
    let since = now.checked_sub_months(Months::new(months)).unwrap_or(Time::MIN_UTC);
    let before = app.terms(&caller).await?;
    let after = Arc::new(with_draft(&before, &key, &post.body.terms, now).map_err(in_terms)?);
    let busy = || Problem::unavailable("busy", "another simulation is running; try again when it is done");
    let _turn = app.simulating.try_acquire().map_err(|_| busy())?;
    let (workspace, mode) = (caller.workspace(), caller.mode());
    let comparison = Comparison { workspace, mode, before, after, since: Some(since) };
    let compared = compare(&app.ledger(), &comparison).await?;
    let partners = compared.into_iter().map(Simulated::from).collect();
    object(StatusCode::OK, &Simulation { object: "simulation", program: key, since, partners })
}
