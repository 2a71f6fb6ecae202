//! `sync`: asks Stripe for events that no webhook brought.

use chrono::{NaiveDate, TimeDelta};
use clap::Args;
use serde_json::json;

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::{note, outln};
use super::table::{many, print_json};
use crate::config::Config;
use crate::connect;
use crate::domain::Time;
use crate::intake::Inbox;
use crate::intake::asking::Asking;
use crate::intake::patience::Patience;
use crate::intake::poll::{KEPT, Poller, Report};
use crate::store::Mode;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge sync\n  commission-bridge sync --since 30d")]
pub struct Arguments {
    /// Events made since then: a day, or so long ago (12h, 30d); Stripe keeps them for 30 days [default: from where the
    /// last sync ended]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
    /// Which book: live or test [default: each that there is a key for]
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads a moment: a day (its beginning, UTC), a moment with its zone, or so long before now.
///
/// # Errors
/// In words.
pub fn moment(text: &str, now: Time) -> Result<Time, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    if let Ok(at) = text.parse::<chrono::DateTime<chrono::FixedOffset>>() {
        return Ok(at.to_utc());
    }
    let ago = text.strip_suffix('d').map(|days| (days, 86_400)).or(text.strip_suffix('h').map(|hours| (hours, 3_600)));
    let ago = ago.and_then(|(count, seconds)| count.parse::<u32>().ok()?.checked_mul(seconds));
    let before = ago.and_then(|seconds| now.checked_sub_signed(TimeDelta::seconds(i64::from(seconds))));
    before.ok_or_else(|| format!("{text:?} is no moment: expected a day such as 2026-10-01, or so long ago: 30d, 12h"))
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let keys = config.stripe()?;
    let which = Which { workspace: arguments.workspace.clone(), mode: arguments.mode };
    let mut context = Context::open(config, &which).await?;
    let now = context.clock.now();
    let since = match &arguments.since {
        None => None,
        Some(text) => Some(moment(text, now).map_err(Failure::Said)?),
    };
    if since.is_some_and(|since| since < now - KEPT) {
        let what = "Stripe keeps events for 30 days: fetch what is older with commission-bridge backfill --since DAY";
        return Err(Failure::Said(what.to_owned()));
    }
    let modes = arguments.mode.map_or(vec![Mode::Live, Mode::Test], |mode| vec![mode]);
    let (mut ways, mut why_not) = (Vec::new(), None);
    for mode in modes {
        match connect::way(&context.db, &keys, (context.workspace, mode)).await? {
            Ok(api) => ways.push((mode, api)),
            Err(error) => why_not = why_not.or(Some(error)),
        }
    }
    if ways.is_empty() {
        return Err(Failure::Said(why_not.map_or_else(String::new, |error| error.to_string())));
    }
    let (inbox, writer) = Inbox::start(context.db.clone(), context.clock.clone(), std::sync::Arc::default());
    let poller = Poller { db: context.db.clone(), inbox, clock: context.clock.clone(), ids: context.ids.clone() };
    let mut reports = Vec::new();
    for (mode, api) in ways {
        context.mode = mode;
        let asking = Asking::new(api, Patience::machine());
        match poller.poll(&asking, (context.workspace, mode), since).await {
            Ok(report) => reports.push((mode, report)),
            Err(error) => return Err(Failure::Said(error.to_string())),
        }
    }
    drop(poller);
    let _ = writer.await;
    context.catch_up().await?;
    if arguments.json {
        let syncs: Vec<serde_json::Value> = reports.iter().map(|(mode, report)| as_json(*mode, report)).collect();
        print_json(&json!({ "syncs": syncs }))?;
    }
    for (mode, report) in &reports {
        if !arguments.json {
            print(*mode, report);
        }
        remark(report);
    }
    let failed = reports.iter().any(|(_, report)| report.error.is_some() || report.counts.parked > 0);
    if failed { Err(Failure::Answered) } else { Ok(()) }
}

fn as_json(mode: Mode, report: &Report) -> serde_json::Value {
    let counts = &report.counts;
    let gaps: Vec<_> = report.gaps.iter().map(|gap| json!({ "from": gap.from(), "until": gap.until() })).collect();
    let parked: Vec<_> =
        report.parked.iter().map(|parked| json!({ "id": parked.object, "reason": parked.reason })).collect();
    json!({
        "sync_id": report.sync_id, "mode": mode.as_str(), "calls": counts.calls, "fetched": counts.fetched,
        "new": counts.new, "missed_webhooks": counts.missed, "parked": parked, "gaps": gaps, "error": report.error,
    })
}

fn print(mode: Mode, report: &Report) {
    let counts = &report.counts;
    let missed = match (report.has_webhooks, counts.missed) {
        (false, _) => String::new(),
        (true, 0) => ", no webhook was missed".to_owned(),
        (true, missed) => format!(", {} of them had missed their webhook", many(missed, "event")),
    };
    outln!(
        "{mode} book: {} fetched, {} new{missed} ({})",
        many(counts.fetched, "event"),
        counts.new,
        many(counts.calls, "call")
    );
}

fn remark(report: &Report) {
    for parked in report.parked.iter().take(20) {
        note!("{} cannot be read: {}", parked.object, parked.reason);
    }
    for gap in &report.gaps {
        note!("a gap: {}", gap.sentence());
    }
    if let Some(error) = &report.error {
        note!("not everything was read: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_or_so_long_ago() {
        let now: Time = "2026-10-31T12:00:00Z".parse().unwrap();
        let read = |text: &str| moment(text, now).map(|at| at.to_rfc3339());
        assert_eq!(read("2026-10-01").unwrap(), "2026-10-01T00:00:00+00:00");
        assert_eq!(read("30d").unwrap(), "2026-10-01T12:00:00+00:00");
        assert_eq!(read("12h").unwrap(), "2026-10-31T00:00:00+00:00");
        assert_eq!(read("2026-10-01T02:00:00+02:00").unwrap(), "2026-10-01T00:00:00+00:00");
        for wrong in ["yesterday", "d", "-3d", "99999999999d", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
