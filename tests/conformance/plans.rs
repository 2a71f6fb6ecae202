//! No request that only looks reads a whole table: each is sent through the real routes with every parameter, the
//! statements that it leads to are written down, and the engine is asked how it would find their rows.
//!
//! The requests are made from the API's own reference, so that a new one is looked at, too: where it needs a value that
//! nobody has named here, the test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::http::Request;
use commission_bridge::admin::{Session, fx, keys};
use commission_bridge::config::Secret;
use commission_bridge::domain::reconcile::Report;
use commission_bridge::fx::{ECB, ecb};
use commission_bridge::http::{App, Settings, document};
use commission_bridge::intake::clicks::Clicks;
use commission_bridge::store::api_keys::Role;
use commission_bridge::store::{Db, Engine, Inner, Mode, Urgency, backfills, reconciliations, syncs};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::Service as _;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::harness::{World, charge, invoice_paid, invoice_payment, refund, settings, terms};

crate::on_both_engines!(no_request_reads_a_whole_table);

/// Values of the parameters in addresses, and of those behind the `?`; `limit` and `starting_after` are known.
fn sample(path: &str, name: &str) -> &'static str {
    match (path, name) {
        ("/v1/codes/{code}", "code") => "ACME20",
        ("/v1/groups/{key}", _) => "gold",
        ("/v1/partners/{key}", _) | (_, "partner") => "acme",
        ("/v1/partners" | "/v1/enrollments" | "/v1/links", "status") => "active",
        ("/v1/batches/{batch}/payouts", "status") => "ready",
        ("/v1/mails", "status") => "queued",
        ("/v1/leads", "by") => "customer_key",
        (_, "key" | "program") => "saas",
        (_, "batch" | "month") => "2026-10",
        (_, "version") => "1",
        (_, "workspace") => "default",
        (_, "link") => "spring",
        (_, "format") => "generic",
        (_, "group") => "gold",
        (_, "email") => "pay@acme.example",
        (_, "reference" | "payment") => "in_1",
        (_, "customer") => "cus_1",
        (_, "event_id") => "evt_in_1",
        (_, "code") => "credited",
        (_, "kind") => "payout",
        (_, "type") => "invoice.paid",
        (_, "status") => "ignored",
        (_, "reason") => "unknown_type",
        (_, "since" | "until") => "2026-10-01T00:00:00Z",
        (_, "mode") => "live",
        (_, "day") => "2026-10-30",
        (_, "subject") => "api_key",
        (_, "subject_id" | "author") => "test",
        _ => panic!("{path} takes `{name}`: name a value of it here, so that its queries are looked at"),
    }
}

/// The field by which objects of a list are named.
fn id_of(object: &Value) -> String {
    let kind = object["object"].as_str().unwrap_or("entry");
    let named = format!("{}_id", kind.trim_end_matches("_line"));
    let id = [
        "id",
        named.as_str(),
        kind,
        "audit_id",
        "key_id",
        "secret_id",
        "entry_id",
        "key",
        "version",
        "month",
        "currency",
    ];
    let id = id.into_iter().map(|field| &object[field]).find(|value| value.is_string() || value.is_number());
    let id = id.unwrap_or_else(|| panic!("which field names {object}?"));
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Statements that databases opened with [`Db::open_telling`] tell of; one test at a time listens.
struct Told;

/// Listens to what databases tell.
pub fn listen() {
    told();
}

fn told() -> &'static Mutex<BTreeSet<String>> {
    static TOLD: OnceLock<Mutex<BTreeSet<String>>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Told);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else listens in this process");
        Mutex::default()
    })
}

impl<S: tracing::Subscriber> Layer<S> for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        let text = if statement.whole.trim().is_empty() { statement.summary } else { statement.whole };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // What worlds send by themselves is told by another level, which no connection of a test's own has.
        match *event.metadata().level() {
            tracing::Level::TRACE => {
                told().lock().unwrap().insert(text);
            }
            tracing::Level::INFO => crate::distributed::hear(&text),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// The service on a database of its own connections, and a key to it.
struct Api {
    router: axum::Router,
    key: String,
}

impl Api {
    async fn on(world: &World, db: &Db) -> Self {
        let book = (world.workspace, Mode::Live);
        let mut session =
            Session::begin(&world.db, &world.clock, &world.ledger.ids, book, "test".to_owned()).await.unwrap();
        let (_, key) = keys::create(&mut session, "boss", Role::Admin, Mode::Live).await.unwrap();
        session.commit().await.unwrap();
        let settings =
            Settings { secrets: Secret::new(""), public_url: "http://test".to_owned(), ..Settings::default() };
        let (clock, ids) = (world.clock.clone(), world.ledger.ids.clone());
        let (clicks, mut writers) = Clicks::start(db, &clock, &ids, &Arc::default());
        writers.detach_all();
        let app = App::new(db.clone(), (world.inbox.clone(), clicks), settings, clock, ids, Arc::default());
        Self { router: app.router(), key }
    }

    /// Enters something, so that there is something to look at.
    async fn post(&mut self, path: &str, body: &Value) {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        let response = self.router.call(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
    }

    /// What there is at an address; some lists are of one partner each.
    async fn look(&mut self, path: &str) -> Value {
        let (mut status, mut body) = self.get(path).await;
        if status == 422 && body["detail"].as_str().is_some_and(|said| said.starts_with("missing field")) {
            let name = body["field"].as_str().unwrap().to_owned();
            (status, body) = self.get(&format!("{path}?{name}={}", sample(path, &name))).await;
        }
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn get(&mut self, path: &str) -> (u16, Value) {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.key));
        let response = self.router.call(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// Each address that can be looked at, as `(method, path, parameters in the path, parameters behind the ?)`.
fn addresses() -> Vec<(String, Vec<String>, Vec<String>)> {
    let reference = serde_json::to_value(document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in reference["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") || item["get"].is_null() {
            continue;
        }
        let (mut inside, mut behind) = (Vec::new(), Vec::new());
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap().to_owned();
            match parameter["in"].as_str() {
                Some("path") => inside.push(name),
                Some("query") => behind.push(name),
                _ => {}
            }
        }
        found.push((path.clone(), inside, behind));
    }
    found
}

/// Sends a request with nothing, with each parameter, with any two, and with all of them.
async fn ask_everything(api: &mut Api, path: &str, inside: &[String], behind: &[String]) {
    let mut address = path.to_owned();
    for name in inside {
        let place = format!("{{{name}}}");
        if name == "payout" {
            let listed = api.look("/v1/batches/2026-10/payouts").await;
            address = address.replace(&place, listed["data"][0]["payout_id"].as_str().unwrap());
            continue;
        }
        let value = match (name.ends_with("_id") && name != "event_id", address.split_once(&format!("/{place}"))) {
            _ if name == "payout" => id_of(&api.look("/v1/batches/2026-10/payouts").await["data"][0]),
            _ if name == "file" => id_of(&api.look("/v1/batches/2026-10/files").await["data"][0]),
            // One that its list has.
            (true, Some((list, _))) => {
                let listed = api.look(list).await;
                id_of(&listed["data"][0])
            }
            _ => sample(path, name).to_owned(),
        };
        address = address.replace(&place, &value);
    }
    let first = api.look(&address).await;
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    for name in behind {
        let value = match name.as_str() {
            "limit" => "2".to_owned(),
            "starting_after" if first["data"][0].is_null() => panic!("{address}: there is nothing to look at"),
            "starting_after" => id_of(&first["data"][0]),
            name => sample(path, name).to_owned(),
        };
        values.insert(name, value);
    }
    let pairs: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut queries = vec![pairs.join("&")];
    for (at, one) in pairs.iter().enumerate() {
        queries.push(one.clone());
        queries.extend(pairs[at + 1..].iter().map(|other| format!("{one}&{other}")));
    }
    let mut answered = BTreeSet::new();
    for query in queries {
        let (status, answer) = api.get(&format!("{address}?{query}")).await;
        // Some parameters go only with others.
        assert!(status == 200 || status == 422, "{address}?{query}: {status} {answer}");
        if status == 200 {
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            answered.extend(pairs.map(|pair| pair.split('=').next().unwrap_or_default().to_owned()));
        }
    }
    assert_eq!(answered, behind.iter().cloned().collect(), "{path}: each parameter was answered with");
}

/// How the engine would find the rows of a statement, a line each.
async fn plan(world: &World, statement: &str) -> Vec<String> {
    let mut tx = world.db.read().await.unwrap();
    match &mut tx.inner {
        Inner::Sqlite(tx) => {
            // Whoever only explains does not notice that the schema is another.
            sqlx::query("SELECT 1 FROM workspaces").execute(&mut **tx).await.unwrap();
            let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let rows: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(text).persistent(false).fetch_all(&mut **tx).await.unwrap();
            rows.into_iter().map(|(_, _, _, line)| line).collect()
        }
        Inner::Postgres(tx) => {
            let mut statement = statement.to_owned();
            let parameters = (1..100).take_while(|number| statement.contains(&format!("${number}"))).count();
            for number in 1..=parameters {
                // So that its type can be told from what it is compared with.
                statement = statement.replace(&format!("(SELECT ${number})"), &format!("${number}"));
            }
            let nulls = vec!["NULL"; parameters].join(", ");
            let execute = if parameters == 0 { "asked".to_owned() } else { format!("asked({nulls})") };
            // What is off is done only where there is no other way.
            let setup =
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off;
                         SET LOCAL plan_cache_mode = force_generic_plan";
            sqlx::raw_sql(setup).execute(&mut **tx).await.unwrap();
            let prepare = sqlx::AssertSqlSafe(format!("PREPARE asked AS {statement}"));
            sqlx::raw_sql(prepare).execute(&mut **tx).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE {execute}"));
            let rows = sqlx::raw_sql(explain).fetch_all(&mut **tx).await.unwrap();
            let lines = rows.iter().map(|row| sqlx::Row::get::<String, _>(row, 0)).collect();
            sqlx::raw_sql("DEALLOCATE asked").execute(&mut **tx).await.unwrap();
            lines
        }
    }
}

/// Tables of which a workspace has a handful of rows.
const FEW: [&str; 4] = ["api_keys", "webhook_secrets", "stripe_endpoints", "pseudonym_keys"];

/// What is wrong with a line of a plan.
fn is_scan(engine: Engine, line: &str) -> bool {
    match engine {
        // The rows of a statement itself, and what it put together before, are no tables.
        Engine::Sqlite => {
            let scanned = line.strip_prefix("SCAN ").map(|rest| rest.split(' ').next().unwrap_or_default());
            let is_table = |name: &str| name != "v" && !name.starts_with('(') && name.parse::<u32>().is_err();
            let is_constant = line.contains("CONSTANT ROW") || line.contains("VALUES CLAUSE");
            scanned.is_some_and(|name| is_table(name) && !is_constant)
                || line.contains("AUTOMATIC")
                || line == "USE TEMP B-TREE FOR ORDER BY"
                // A workspace is a whole table; only keys, secrets and endpoints are few enough to be read so.
                || line.ends_with("(workspace_id=?)") && !FEW.iter().any(|table| line.contains(table))
        }
        Engine::Postgres => {
            let node = line.trim_start_matches("->").trim_start();
            node.starts_with("Seq Scan") || node.starts_with("Sort  (")
        }
    }
}

async fn no_request_reads_a_whole_table(world: &World) {
    // The other engine's statements are its own: one after the other.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    told().lock().unwrap().clear();
    world.enter(&terms()).await;
    let acme = json!({"partner_key": "acme", "customer_key": "k-1"});
    let mut unknown = invoice_paid(2, "cus_1", &acme);
    unknown["type"] = json!("radar.early_fraud_warning.created");
    world.receive(&[charge(1, "cus_1"), invoice_payment(1), invoice_paid(1, "cus_1", &acme), refund(1, 5_000)]).await;
    world.submit(&unknown).await.unwrap();
    // Its month is over and it can be paid out.
    world.clock.advance(chrono::TimeDelta::days(62));
    world.work().await;

    let mut session = world.session().await;
    let rates = ecb::read(b"Date,USD\n2026-10-30,1.1572\n").unwrap();
    fx::import(&mut session, &rates, ECB).await.unwrap();
    session.commit().await.unwrap();

    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    for number in 0..2 {
        syncs::begin(&mut tx, world.workspace, Mode::Live, &format!("sync_{number}"), world.now()).await.unwrap();
        let new = backfills::New {
            backfill_id: &format!("bf_{number}"),
            mode: Mode::Live,
            since: world.now() - chrono::TimeDelta::days(1),
            until: world.now(),
            kinds: &["invoice", "charge"],
            author: "test",
            now: world.now(),
        };
        backfills::insert(&mut tx, world.workspace, &new).await.unwrap();
        backfills::end(&mut tx, world.workspace, new.backfill_id, backfills::End::Done, world.now()).await.unwrap();
    }
    for month in ["2026-09", "2026-10"] {
        let (book, report) = ((world.workspace, Mode::Live), Report::default());
        reconciliations::put(&mut tx, book, month, &report, world.now()).await.unwrap();
    }
    tx.commit().await.unwrap();

    let mut api = Api::on(world, &world.db).await;
    for (path, body) in [
        ("/v1/workspaces/default/webhook-secrets", json!({"secret": "whsec_1"})),
        ("/v1/groups", json!({"key": "gold"})),
        (
            "/v1/partners/acme",
            json!({"group": "gold", "payout": {"method": "paypal", "account": "pay@acme.example"}, "email": "pay@acme.example"}),
        ),
        ("/v1/codes", json!({"code": "acme20", "partner_key": "acme"})),
        ("/v1/links", json!({"link": "spring", "partner_key": "acme", "target": "https://shop.example/"})),
        ("/v1/clicks", json!({"partner_key": "acme"})),
        ("/v1/leads", json!({"partner_key": "acme", "customer_key": "k-9"})),
        ("/v1/adjustments", json!({"partner_key": "acme", "amount": 1, "currency": "usd", "note": "a cent"})),
        ("/v1/privacy/erasures", json!({"customer": "cus_1"})),
        ("/v1/batches", json!({"month": "2026-10"})),
    ] {
        api.post(path, &body).await;
    }
    world.enter_once_more(&settings(|settings| settings.mail.from = Some("pay@shop.example".to_owned()))).await;
    for path in ["/v1/batches/2026-10/approve", "/v1/batches/2026-10/statements/send"] {
        api.post(path, &json!({})).await;
    }
    api.post("/v1/batches/2026-10/files", &json!({"format": "paypal"})).await;
    let db = Db::open_telling(&world.url, tracing::log::LevelFilter::Trace).await.unwrap();
    let mut api = Api::on(world, &db).await;
    for (path, inside, behind) in addresses() {
        ask_everything(&mut api, &path, &inside, &behind).await;
    }
    db.close().await;
    let statements = told().lock().unwrap().clone();
    let is_ours = |text: &&String| {
        ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"].iter().any(|word| text.starts_with(word))
            && !text.contains("_sqlx_migrations")
            && !text.contains("current_database()")
    };
    let statements: Vec<&String> = statements.iter().filter(is_ours).collect();
    assert!(statements.len() > 30, "only {} statements were told", statements.len());
    let found = scans(world, &statements).await;
    assert!(found.is_empty(), "{} statements read whole tables:\n{}", found.len(), found.join("\n"));

    // That would have been found.
    let mut before = 0;
    for index in ["payments_of_book", "entries_of_book", "unrecorded_by_time"] {
        world.tamper(&format!("DROP INDEX {index}")).await.unwrap();
        let found = scans(world, &statements).await.len();
        assert!(found > before, "nobody misses {index}");
        before = found;
    }
}

/// The statements that read a whole table, or sort one, with how they would do it.
async fn scans(world: &World, statements: &[&String]) -> Vec<String> {
    let mut found = Vec::new();
    for statement in statements {
        let plan = plan(world, statement).await;
        if plan.iter().any(|line| is_scan(world.db.engine(), line.trim())) {
            found.push(format!("{statement}\n    {}", plan.join("\n    ")));
        }
    }
    found
}
