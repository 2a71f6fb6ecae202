//! The connection to Stripe, book by book: key, permissions, endpoint, deliveries, events, clock, and whether the books
//! were compared.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;

use super::super::Failure;
use super::super::context::Context;
use super::super::stripe::words;
use super::super::table::many;
use super::{Checks, Finding};
use crate::config::Config;
use crate::connect::endpoint::Standing;
use crate::connect::permissions::{Has, Permission};
use crate::connect::{self, ConnectError};
use crate::domain::Time;
use crate::store::{Mode, events, reconciliations};
use crate::stripe::is_understood;
use crate::stripe_api::{Api, server_time};

/// Signatures are refused that are older than 300 seconds.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// Stripe may take so long to deliver.
const UNDER_WAY: TimeDelta = TimeDelta::minutes(10);
/// A comparison with Stripe is made every night.
const COMPARED_WITHIN: TimeDelta = TimeDelta::days(2);

/// What a list of events shows.
#[derive(Deserialize)]
struct Told {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
}

impl Told {
    fn at(&self) -> Time {
        Time::from_timestamp(self.created, 0).unwrap_or_default()
    }
}

/// Checks every book of the workspace that there is a key for.
pub(super) async fn check(config: &Config, context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let keys = config.stripe()?;
    if keys.is_empty() {
        let detail = "STRIPE_API_KEY is not set: missed webhooks are not fetched, nothing is compared with Stripe, no partner is \
                      paid by it. A restricted key that may read is enough to begin with";
        checks.add("Stripe key", Finding::Note, detail);
        return Ok(());
    }
    clock(config, context, checks).await;
    for mode in Mode::ALL {
        match connect::way(&context.db, &keys, (context.workspace, mode)).await? {
            Ok(api) => book(context, mode, &api, checks).await?,
            Err(problem) if mode == Mode::Live => checks.add("Stripe key", Finding::Note, problem.to_string()),
            Err(_) => {}
        }
    }
    let mut tx = context.db.read().await?;
    let known: Vec<String> = crate::store::workspaces::all(&mut tx).await?.into_iter().map(|(_, key)| key).collect();
    for stranger in keys.workspaces().filter(|key| !known.iter().any(|known| known == key)) {
        let detail = format!("STRIPE_API_KEY has a key for {stranger:?}, and there is no such workspace");
        checks.add("Stripe key", Finding::Note, detail);
    }
    Ok(())
}

/// How far this machine's clock is from Stripe's.
async fn clock(config: &Config, context: &Context, checks: &mut Checks) {
    let Some(theirs) = server_time(config.stripe_api_base.as_deref()).await else { return };
    let skew = context.clock.now() - theirs;
    let seconds = skew.num_seconds();
    if skew.abs() > SKEW {
        let detail = format!(
            "this machine's clock is {} s {} Stripe's: set it right, or webhooks are refused for their age",
            seconds.abs(),
            if seconds > 0 { "ahead of" } else { "behind" },
        );
        checks.add("clock", Finding::Wrong, detail);
    } else {
        checks.add("clock", Finding::Fine, format!("within {} s of Stripe's", seconds.abs().max(1)));
    }
}

async fn book(context: &Context, mode: Mode, api: &Api, checks: &mut Checks) -> Result<(), Failure> {
    let seen = match connect::look(api).await {
        Ok(seen) => seen,
        Err(ConnectError::Store(error)) => return Err(error.into()),
        Err(error) => {
            checks.add("Stripe key", Finding::Wrong, format!("{mode}: {error}"));
            return Ok(());
        }
    };
    let whose = seen.account.as_deref().unwrap_or("an account that it may not name");
    checks.add("Stripe key", Finding::Fine, format!("{mode}: of {whose}"));
    permissions(mode, &seen.permissions, checks);
    if let Some(at_stripe) = &seen.endpoints {
        let book = (context.workspace, context.key.as_str(), mode);
        let standing = connect::standing(&context.db, book, at_stripe, context.clock.now()).await?;
        for (row, how) in &standing {
            let finding = if *how == Standing::Complete { Finding::Fine } else { Finding::Wrong };
            checks.add("endpoint", finding, format!("{mode}: {} {}", row.url, words(how)));
        }
        if standing.is_empty() {
            let detail = format!("{mode}: the bridge made none: `commission-bridge stripe connect --mode {mode}`");
            checks.add("endpoint", Finding::Note, detail);
        }
        deliveries(mode, api, checks).await;
    }
    recent_events(context, mode, api, checks).await?;
    compared(context, mode, checks).await
}

fn permissions(mode: Mode, permissions: &[Permission], checks: &mut Checks) {
    let lacking = |needed: bool| {
        let lacking = permissions.iter().filter(move |one| one.needed == needed && matches!(one.has, Has::No(_)));
        lacking.map(|one| format!("{} (for {})", one.switch_on, one.purpose)).collect::<Vec<_>>().join("; ")
    };
    let (needed, others) = (lacking(true), lacking(false));
    if needed.is_empty() {
        checks.add("permissions", Finding::Fine, format!("{mode}: all that is read may be read"));
    } else {
        let detail = format!("{mode}: switch on in Stripe (Developers, API keys): {needed}");
        checks.add("permissions", Finding::Wrong, detail);
    }
    if !others.is_empty() {
        checks.add(
            "permissions",
            Finding::Note,
            format!("{mode}: not there, and needed only for what they do: {others}"),
        );
    }
}

async fn page(api: &Api, query: &[(&str, &str)]) -> Option<Vec<Told>> {
    let page = api.page("/events", query).await.done().ok()?;
    Some(page.data.iter().filter_map(|event| serde_json::from_str(event.get()).ok()).collect())
}

/// Events that no endpoint took.
async fn deliveries(mode: Mode, api: &Api, checks: &mut Checks) {
    let Some(failed) = page(api, &[("delivery_success", "false"), ("limit", "100")]).await else { return };
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    for event in failed.iter().filter(|event| is_understood(&event.kind)) {
        *by_kind.entry(&event.kind).or_default() += 1;
    }
    let Some(newest) = failed.iter().filter(|event| is_understood(&event.kind)).map(Told::at).max() else {
        checks.add("deliveries", Finding::Fine, format!("{mode}: none failed of late"));
        return;
    };
    let kinds: Vec<String> = by_kind.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let detail = format!(
        "{mode}: {} of the last 30 days failed at one endpoint or another, the newest on {} ({}): `commission-bridge sync` \
         fetches them",
        many(by_kind.values().sum::<usize>(), "delivery"),
        newest.format("%Y-%m-%d %H:%M UTC"),
        kinds.join(", "),
    );
    checks.add("deliveries", Finding::Note, detail);
}

/// Whether what happened at Stripe has come in.
async fn recent_events(context: &Context, mode: Mode, api: &Api, checks: &mut Checks) -> Result<(), Failure> {
    let Some(mut told) = page(api, &[("limit", "100")]).await else { return Ok(()) };
    let now = context.clock.now();
    told.retain(|event| is_understood(&event.kind) && now - event.at() > UNDER_WAY);
    let Some(newest) = told.iter().map(Told::at).max() else { return Ok(()) };
    let mut tx = context.db.read().await?;
    let mut missing = Vec::new();
    for event in &told {
        if events::of_id(&mut tx, context.workspace, &event.id).await?.is_empty() {
            missing.push(event);
        }
    }
    tx.rollback().await?;
    let Some(oldest) = missing.iter().map(|event| event.at()).min() else {
        let detail = format!(
            "{mode}: Stripe's last {} have come in, the newest of {}",
            told.len(),
            newest.format("%Y-%m-%d %H:%M UTC")
        );
        checks.add("recent events", Finding::Fine, detail);
        return Ok(());
    };
    let detail = format!(
        "{mode}: {} of Stripe's last {} have not come in, the oldest of {}: `commission-bridge sync`",
        missing.len(),
        told.len(),
        oldest.format("%Y-%m-%d %H:%M UTC"),
    );
    checks.add("recent events", Finding::Wrong, detail);
    Ok(())
}

/// Whether the newest month was held against Stripe's own objects.
async fn compared(context: &Context, mode: Mode, checks: &mut Checks) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let newest = reconciliations::newest(&mut tx, (context.workspace, mode)).await?;
    tx.rollback().await?;
    let Some(newest) = newest else {
        let detail = format!(
            "{mode}: never held against Stripe: `commission-bridge reconcile --month YYYY-MM`; `serve` does it every night"
        );
        checks.add("reconciliation", Finding::Note, detail);
        return Ok(());
    };
    let (month, age) = (&newest.month, context.clock.now() - newest.checked_at());
    if newest.differing > 0 {
        let detail = format!(
            "{mode}: in {month} {} differ: `commission-bridge reconcile --month {month}`",
            many(newest.differing, "object")
        );
        checks.add("reconciliation", Finding::Wrong, detail);
    } else if age > COMPARED_WITHIN {
        let detail =
            format!("{mode}: {month} was compared {} days ago: is `serve` running with a key?", age.num_days());
        checks.add("reconciliation", Finding::Note, detail);
    } else {
        checks.add("reconciliation", Finding::Fine, format!("{mode}: nothing differs in {month}"));
    }
    Ok(())
}
