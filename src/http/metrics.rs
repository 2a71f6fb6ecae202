//! `/metrics`: what happened since the start, what waits, and how the process is, for Prometheus.
//!
//! What happens is counted where it happens, by atomics alone. What waits is asked of the database when somebody looks,
//! at most once in [`KEPT_FOR`], by bounded questions.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::{
    Counter, Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tokio::sync::Mutex;
use tracing::Instrument as _;

use super::App;
use crate::store::backlog::{self, Backlog};
use crate::store::{
    Connections, Mode, StoreError, Tx, WorkspaceId, commits, reconciliations, syncs, workspaces, writing,
};

/// For so long what the database said is shown again.
const KEPT_FOR: Duration = Duration::from_secs(5);
/// Seconds: from a good disk's commit to what nobody waits for.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Counts since the start.
#[derive(Clone)]
pub struct Counters {
    registry: Registry,
    pub(super) stored: IntCounter,
    pub(super) duplicate: IntCounter,
    pub(super) ignored: IntCounter,
    pub(super) bad_signature: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) unavailable: IntCounter,
    pub(super) overloaded: IntCounter,
    pub(super) clicks_stored: IntCounter,
    pub(super) clicks_lost: IntCounter,
    /// How long webhooks took, whatever became of them.
    pub(super) webhook_seconds: Histogram,
    requests: HistogramVec,
    /// What the database said, and when.
    asked: Arc<Mutex<Option<(Instant, String)>>>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

fn name(name: &str) -> String {
    format!("commission_bridge_{name}")
}

fn buckets(of: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name(of), help).buckets(BUCKETS.to_vec())
}

impl Default for Counters {
    fn default() -> Self {
        let registry = Registry::new();
        let by_result = |of: &str, help: &str| {
            let family = IntCounterVec::new(Opts::new(name(of), help), &["result"]).expect("a sound name");
            registry.register(Box::new(family.clone())).expect("a name of its own");
            family
        };
        let webhooks = by_result("webhooks_total", "Webhooks since the start, by what became of them.");
        let clicks =
            by_result("clicks_total", "Clicks since the start; those that could not be stored in time are lost.");
        let webhook_seconds =
            Histogram::with_opts(buckets("webhook_seconds", "How long webhooks took until they were answered."));
        let webhook_seconds = webhook_seconds.expect("a sound name");
        let requests = buckets("http_request_seconds", "How long other requests took, by route and status.");
        let requests = HistogramVec::new(requests, &["method", "route", "status"]).expect("a sound name");
        registry.register(Box::new(webhook_seconds.clone())).expect("a name of its own");
        registry.register(Box::new(requests.clone())).expect("a name of its own");
        registry.register(Box::new(commits().clone())).expect("a name of its own");
        registry.register(Box::new(writing().clone())).expect("a name of its own");
        registry.register(Box::new(BUILD.clone())).expect("a name of its own");
        Self {
            stored: webhooks.with_label_values(&["stored"]),
            duplicate: webhooks.with_label_values(&["duplicate"]),
            ignored: webhooks.with_label_values(&["ignored"]),
            bad_signature: webhooks.with_label_values(&["bad_signature"]),
            refused: webhooks.with_label_values(&["refused"]),
            unavailable: webhooks.with_label_values(&["unavailable"]),
            overloaded: webhooks.with_label_values(&["overloaded"]),
            clicks_stored: clicks.with_label_values(&["stored"]),
            clicks_lost: clicks.with_label_values(&["lost"]),
            webhook_seconds,
            requests,
            registry,
            asked: Arc::default(),
        }
    }
}

/// Always 1: which release this is.
static BUILD: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let info = Opts::new(name("build_info"), "Always 1; the label says which release runs.");
    let info = IntGaugeVec::new(info, &["version"]).expect("a sound name");
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    info
});

impl Counters {
    pub(super) fn count(counter: &IntCounter) {
        counter.inc();
    }
}

/// Measures requests but webhooks, which are measured where they are answered; whatever is logged meanwhile says which
/// request it is about.
pub(super) async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let id = super::request_id(request.headers()).to_owned();
    let span =
        tracing::info_span!("request", id, method = method.as_str(), route = route.as_ref().map(MatchedPath::as_str));
    let response = next.run(request).instrument(span).await;
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    // Whoever asks may invent a method, but no further metric.
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::OPTIONS];
    let method = if known.contains(&method) { method.as_str() } else { "other" };
    let status = response.status();
    let labels = [method, route, status.as_str()];
    app.counters.requests.with_label_values(&labels).observe(began.elapsed().as_secs_f64());
    response
}

/// Everything, in Prometheus' text format.
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let mut text = written(&app.counters.registry);
    text.push_str(&written(&process(&app)));
    text.push_str(&from_database(&app).await);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn written(registry: &Registry) -> String {
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&registry.gather(), &mut text) {
        tracing::warn!(%error, "some metrics could not be written");
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Gauges that are made anew each time somebody looks.
struct Gauges(Registry);

impl Gauges {
    fn family(&self, of: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        let family = IntGaugeVec::new(Opts::new(of, help), labels).expect("a sound name");
        self.0.register(Box::new(family.clone())).expect("a name of its own");
        family
    }
}

/// How the process and its connections are; nothing of it where the system does not tell.
fn process(app: &App) -> Registry {
    let gauges = Gauges(Registry::new());
    connections(app, &gauges);
    of_system(&gauges);
    gauges.0
}

fn connections(app: &App, gauges: &Gauges) {
    of_pools(gauges, &app.db.connections());
}

fn of_pools(gauges: &Gauges, all: &[Connections]) -> IntGaugeVec {
    let help = "Connections to the database, by pool and state.";
    let pools = gauges.family(&name("database_connections"), help, &["pool", "state"]);
    for pool in all {
        for (state, count) in [("used", pool.used), ("idle", pool.idle), ("most", pool.most)] {
            pools.with_label_values(&[pool.name, state]).set(i64::from(count));
        }
    }
    pools
}

fn of_system(gauges: &Gauges) {
    if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
        && let Some(usage) = usage(&stat)
    {
        let cpu = Counter::new("process_cpu_seconds_total", "Seconds of CPU since the start.").expect("a sound name");
        cpu.inc_by(usage.seconds);
        gauges.0.register(Box::new(cpu)).expect("a name of its own");
        let memory = gauges.family("process_resident_memory_bytes", "Memory that is in use.", &[]);
        memory.with_label_values::<&str>(&[]).set(usage.resident_pages.saturating_mul(4096));
        gauges.family("process_threads", "Threads.", &[]).with_label_values::<&str>(&[]).set(usage.threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let open = i64::try_from(files.count()).unwrap_or(i64::MAX);
        gauges.family("process_open_fds", "Open files and sockets.", &[]).with_label_values::<&str>(&[]).set(open);
    }
}

struct Usage {
    seconds: f64,
    threads: i64,
    resident_pages: i64,
}

/// What Linux says in `/proc/self/stat`: the fields behind the name, which may hold anything, are numbers.
fn usage(stat: &str) -> Option<Usage> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    // Linux counts in hundredths, whatever its own clock does.
    #[allow(clippy::cast_precision_loss)] // after a million years
    let seconds = number(11)?.saturating_add(number(12)?) as f64 / 100.0;
    Some(Usage { seconds, threads: i64::try_from(number(17)?).ok()?, resident_pages: i64::try_from(number(21)?).ok()? })
}

async fn from_database(app: &App) -> String {
    let mut kept = app.counters.asked.lock().await;
    if let Some((at, text)) = kept.as_ref()
        && at.elapsed() < KEPT_FOR
    {
        return text.clone();
    }
    match ask(app).await {
        Ok(registry) => {
            let text = written(&registry);
            *kept = Some((Instant::now(), text.clone()));
            text
        }
        Err(error) => {
            tracing::warn!(%error, "what the database knows is not among the metrics");
            let gauges = Gauges(Registry::new());
            up(&gauges, false);
            written(&gauges.0)
        }
    }
}

fn up(gauges: &Gauges, is_up: bool) {
    let family = gauges.family(&name("database_up"), "Whether the database answers.", &[]);
    family.with_label_values::<&str>(&[]).set(i64::from(is_up));
}

/// The families of what the database knows.
struct Families {
    unread: IntGaugeVec,
    unread_age: IntGaugeVec,
    due: IntGaugeVec,
    due_age: IntGaugeVec,
    parked: IntGaugeVec,
    lookups: IntGaugeVec,
    unrecorded: IntGaugeVec,
    mails: IntGaugeVec,
    mail_age: IntGaugeVec,
    payouts: IntGaugeVec,
    unreconciled: IntGaugeVec,
    unreconciled_amount: IntGaugeVec,
    reconciled_age: IntGaugeVec,
}

impl Families {
    fn new(gauges: &Gauges) -> Self {
        let of = |of: &str, help: &str, labels: &[&str]| gauges.family(&name(of), help, labels);
        let each = &["workspace"];
        let book = &["workspace", "mode"];
        let state = &["workspace", "mode", "state"];
        Self {
            unread: of("unread_events", "Events that nobody has read yet, up to 10000.", each),
            unread_age: of("unread_age_seconds", "How long the oldest of them has waited.", each),
            due: of("due_customers", "Customers that are due to be decided, up to 10000.", each),
            due_age: of("due_age_seconds", "Since when the first of them is due.", each),
            parked: of("parked_customers", "Customers that are set aside with an error.", each),
            lookups: of("due_lookups", "Questions to Stripe that are due, up to 10000.", each),
            unrecorded: of("unrecorded_events", "Events without facts: ignored or failed, up to 10000.", state),
            mails: of("mails", "Mails that wait or were refused, up to 10000.", state),
            mail_age: of("mail_age_seconds", "How long the oldest mail of a state has waited.", state),
            payouts: of("payouts", "Payouts of the newest batch, by state.", state),
            unreconciled: of("unreconciled_objects", "Objects of the newest month that differ from Stripe's.", book),
            unreconciled_amount: of(
                "unreconciled_minor_units",
                "By how much their amounts differ, minor units.",
                &["workspace", "mode", "currency"],
            ),
            reconciled_age: of("reconciled_age_seconds", "How long ago that was compared.", book),
        }
    }
}

async fn ask(app: &App) -> Result<Registry, StoreError> {
    let gauges = Gauges(Registry::new());
    let mut tx = app.db.read().await?;
    let families = Families::new(&gauges);
    for (workspace, key) in workspaces::all(&mut tx).await? {
        waiting(app, &mut tx, (workspace, &key), &families).await?;
        for mode in Mode::ALL {
            book(app, &mut tx, (workspace, &key, mode), &families).await?;
        }
    }
    polled(&mut tx, &gauges).await?;
    tx.rollback().await?;
    up(&gauges, true);
    Ok(gauges.0)
}

async fn waiting(
    app: &App,
    tx: &mut Tx,
    (workspace, key): (WorkspaceId, &str),
    families: &Families,
) -> Result<(), StoreError> {
    let now = app.clock.now();
    let Backlog { unread, oldest_unread, due, due_since, parked, lookups } = backlog::of(tx, workspace, now).await?;
    let age = |since: Option<crate::domain::Time>| since.map_or(0, |since| (now - since).num_seconds().max(0));
    for (family, value) in [
        (&families.unread, unread),
        (&families.unread_age, age(oldest_unread)),
        (&families.due, due),
        (&families.due_age, age(due_since)),
        (&families.parked, parked),
        (&families.lookups, lookups),
    ] {
        family.with_label_values(&[key]).set(value);
    }
    Ok(())
}

async fn book(
    app: &App,
    tx: &mut Tx,
    (workspace, key, mode): (WorkspaceId, &str, Mode),
    families: &Families,
) -> Result<(), StoreError> {
    let (now, book, of) = (app.clock.now(), (workspace, mode), mode.as_str());
    for (state, count, _) in backlog::unrecorded(tx, book).await? {
        families.unrecorded.with_label_values(&[key, of, &state]).set(count);
    }
    for (state, count, oldest) in backlog::mails(tx, book).await? {
        let age = oldest.map_or(0, |oldest| (now - oldest).num_seconds().max(0));
        families.mails.with_label_values(&[key, of, &state]).set(count);
        families.mail_age.with_label_values(&[key, of, &state]).set(age);
    }
    for (state, count) in backlog::payouts(tx, book).await? {
        families.payouts.with_label_values(&[key, of, &state]).set(count);
    }
    let Some(newest) = reconciliations::newest(tx, book).await? else { return Ok(()) };
    families.unreconciled.with_label_values(&[key, of]).set(newest.differing);
    families.reconciled_age.with_label_values(&[key, of]).set((now - newest.checked_at()).num_seconds());
    for (currency, gap) in newest.report()?.gaps() {
        families.unreconciled_amount.with_label_values(&[key, of, &currency.to_string()]).set(gap);
    }
    Ok(())
}

/// What polls came to, of all workspaces.
async fn polled(tx: &mut Tx, gauges: &Gauges) -> Result<(), StoreError> {
    let books = syncs::books(tx).await?;
    let told = Mode::ALL.map(|mode| {
        let of = books.iter().filter(|book| book.mode() == mode);
        let missed: i64 = of.clone().map(|book| book.missed).sum();
        let oldest = of.map(syncs::Book::succeeded_at).min().flatten();
        (mode.as_str(), u64::try_from(missed).unwrap_or(0), oldest.map(|at| at.timestamp()))
    });
    polls(gauges, &told);
    Ok(())
}

/// `(mode, events that no webhook brought, when the last poll ended)`.
fn polls(gauges: &Gauges, told: &[(&str, u64, Option<i64>)]) {
    let help = "Events that a poll brought although a webhook should have.";
    let missed = IntCounterVec::new(Opts::new(name("missed_webhooks_total"), help), &["mode"]).expect("a sound name");
    let at = gauges.family(
        &name("polled_timestamp_seconds"),
        "When events were last polled to the end, of the book for which that is longest ago.",
        &["mode"],
    );
    for (mode, count, oldest) in told {
        missed.with_label_values(&[mode]).inc_by(*count);
        if let Some(oldest) = oldest {
            at.with_label_values(&[mode]).set(*oldest);
        }
    }
    gauges.0.register(Box::new(missed)).expect("a name of its own");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every name that `/metrics` may show.
    fn names() -> BTreeSet<String> {
        let counters = Counters::default();
        counters.requests.with_label_values(&["GET", "/", "200"]).observe(0.1);
        let gauges = Gauges(Registry::new());
        let families = Families::new(&gauges);
        let Families { unread, unread_age, due, due_age, parked, lookups, unrecorded, mails, mail_age, .. } = &families;
        let Families { payouts, unreconciled, unreconciled_amount, reconciled_age, .. } = &families;
        for family in [unread, unread_age, due, due_age, parked, lookups] {
            family.with_label_values(&["default"]).set(1);
        }
        for family in [unreconciled, reconciled_age] {
            family.with_label_values(&["default", "live"]).set(1);
        }
        for family in [unrecorded, mails, mail_age, payouts, unreconciled_amount] {
            family.with_label_values(&["default", "live", "usd"]).set(1);
        }
        polls(&gauges, &[("live", 1, Some(1))]);
        up(&gauges, true);
        of_system(&gauges);
        of_pools(&gauges, &[]).with_label_values(&["all", "used"]).set(1);
        let all = [counters.registry.gather(), gauges.0.gather()].concat();
        all.iter().map(|family| family.name().to_owned()).collect()
    }

    #[test]
    fn dashboard_and_alerts_name_metrics_that_there_are() {
        let names = names();
        assert!(names.len() > 24, "{names:?}");
        for (file, text) in [
            ("dashboard.json", include_str!("../../deploy/grafana/dashboard.json")),
            ("alerts.yml", include_str!("../../deploy/prometheus/alerts.yml")),
        ] {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let metrics = words.filter(|word| word.starts_with("commission_bridge_") || word.starts_with("process_"));
            let mut seen = 0;
            for metric in metrics {
                let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| metric.strip_suffix(end));
                assert!(
                    names.contains(metric) || family.is_some_and(|family| names.contains(family)),
                    "{file}: {metric}"
                );
                seen += 1;
            }
            assert!(seen > 10, "{file}: {seen}");
        }
        serde_json::from_str::<serde_json::Value>(include_str!("../../deploy/grafana/dashboard.json")).unwrap();
    }

    #[test]
    fn what_linux_says_of_the_process_is_read() {
        let stat = "1 (a ) b) S 1 1 1 0 -1 4194560 1 2 3 4 700 50 0 0 20 0 9 0 100 1000000 2560 18446744073709551615 1";
        let usage = usage(stat).unwrap();
        assert_eq!((usage.threads, usage.resident_pages), (9, 2560));
        assert!((usage.seconds - 7.5).abs() < 1e-9);
        assert!(super::usage("").is_none());
    }
}
