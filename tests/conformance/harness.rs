//! A workspace of its own for each test, on either engine, with a clock that is moved by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::TimeDelta;
use commission_bridge::admin::Session;
use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use commission_bridge::domain::terms::{
    Change, Duration, ENGINE, Earn, Method, PayoutMethod, Profile, ProgramTerms, Rule, Settings, Status,
};
use commission_bridge::ids::Ids;
use commission_bridge::intake::{Accepted, Arrivals, Inbox, Incoming, SubmitError};
use commission_bridge::ledger::Ledger;
use commission_bridge::program::{self, RepriceClosed};
use commission_bridge::store::balances::{self, Balance};
use commission_bridge::store::changes::{self, Entering, Keyed};
use commission_bridge::store::entries::{self, Booked};
use commission_bridge::store::events::{self, EventLine, Source};
use commission_bridge::store::leads::{self, EnteredLead, NewLead};
use commission_bridge::store::payments::{self, Payment};
use commission_bridge::store::{Db, Engine, Mode, Urgency, WorkspaceId, workspaces};
use commission_bridge::worker::{Worked, Worker};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _};

/// Before statements that no release sends.
const OWN: &str = "/* of a test */";

/// When every test begins.
pub const START: &str = "2026-10-01T00:00:00Z";

/// One database with one workspace, and everything that works on it.
pub struct World {
    pub url: String,
    pub db: Db,
    pub clock: Clock,
    pub ledger: Ledger,
    pub inbox: Inbox,
    pub worker: Worker,
    pub workspace: WorkspaceId,
    place: Place,
}

enum Place {
    Directory(#[allow(dead_code)] tempfile::TempDir),
    Database {
        server: String,
        name: String,
    },
    /// Another world's.
    Shared,
}

impl World {
    pub async fn on_sqlite() -> Self {
        let (url, place) = empty_file();
        Self::open(url, place).await
    }

    pub async fn on_postgres() -> Self {
        let (url, place) = empty_database().await;
        Self::open(url, place).await
    }

    /// On a database that some migrations were applied to, and that holds something.
    pub async fn upgraded(engine: Engine, schema: i64, rows: &str) -> Self {
        let (mut migrations, (url, place)) = match engine {
            Engine::Sqlite => (sqlx::migrate!("migrations/sqlite"), empty_file()),
            Engine::Postgres => (sqlx::migrate!("migrations/postgres"), empty_database().await),
        };
        migrations.migrations.to_mut().retain(|migration| migration.version <= schema);
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(rows.to_owned()));
        match engine {
            Engine::Sqlite => {
                let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
                let mut before = sqlx::SqliteConnection::connect_with(&options.create_if_missing(true)).await.unwrap();
                migrations.run(&mut before).await.unwrap();
                before.execute(rows).await.unwrap();
                before.close().await.unwrap();
            }
            Engine::Postgres => {
                let mut before = sqlx::PgConnection::connect(&url).await.unwrap();
                migrations.run(&mut before).await.unwrap();
                before.execute(rows).await.unwrap();
                before.close().await.unwrap();
            }
        }
        Self::open(url, place).await
    }

    /// On a database that somebody else looks after.
    #[allow(dead_code)] // not in every suite
    pub async fn at(url: &str, start: Time, ids: Ids) -> Self {
        let db = Db::open(url).await.unwrap();
        Self::with(url.to_owned(), db, Place::Shared, "default", start, ids).await
    }

    async fn open(url: String, place: Place) -> Self {
        let db = match place {
            // Every statement is looked at.
            Place::Database { .. } => {
                crate::plans::listen();
                Db::open_telling(&url, tracing::log::LevelFilter::Info).await.unwrap()
            }
            _ => Db::open(&url).await.unwrap(),
        };
        Self::of(url, db, place, "default", START.parse().unwrap()).await
    }

    async fn of(url: String, db: Db, place: Place, key: &str, start: Time) -> Self {
        Self::with(url, db, place, key, start, Ids::counting()).await
    }

    async fn with(url: String, db: Db, place: Place, key: &str, start: Time, ids: Ids) -> Self {
        let clock = Clock::by_hand(start);
        let ledger = Ledger { db: db.clone(), clock: clock.clone(), ids };
        let arrivals = Arc::new(Arrivals::default());
        let (inbox, _) = Inbox::start(db.clone(), clock.clone(), arrivals.clone());
        let worker = Worker::new(ledger.clone(), arrivals);
        let mut tx = db.write(Urgency::Now).await.unwrap();
        let workspace = workspaces::ensure(&mut tx, key, clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        Self { url, db, clock, ledger, inbox, worker, workspace, place }
    }

    /// A further workspace in the same database, with a clock and a worker of its own. Those before are struck off the
    /// list, so that the worker has nobody else to look after.
    pub async fn another(&self, key: &str, start: Time) -> Self {
        let world = Self::of(self.url.clone(), self.db.clone(), Place::Shared, key, start).await;
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        commission_bridge::on!(tx, conn => {
            sqlx::query("DELETE FROM workspaces WHERE workspace_id < $1")
                .bind(world.workspace.0)
                .execute(conn)
                .await
                .map(|_| ())
                .unwrap();
        });
        tx.commit().await.unwrap();
        world
    }

    /// Removes the database. A test that failed leaves it behind for a look.
    pub async fn close(self) {
        self.db.close().await;
        if let Place::Database { server, name } = self.place {
            let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
            admin.execute(sqlx::AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
            crate::distributed::nothing_is_wrong();
        }
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub async fn submit(&self, event: &Value) -> Result<Accepted, SubmitError> {
        self.submit_body(&serde_json::to_vec(event).unwrap()).await
    }

    pub async fn submit_body(&self, body: &[u8]) -> Result<Accepted, SubmitError> {
        self.inbox.submit(Incoming { workspace: self.workspace, source: Source::Webhook, body }).await
    }

    /// Brings many events at once, as a file of them does.
    pub async fn import(&self, events: &[Value]) {
        let bodies: Vec<Vec<u8>> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
        let incoming = |body| Incoming { workspace: self.workspace, source: Source::Import, body };
        let incoming: Vec<Incoming<'_>> = bodies.iter().map(|body| incoming(body.as_slice())).collect();
        self.inbox.import(&incoming).await.unwrap();
    }

    /// Brings events and does all that is due then.
    pub async fn receive(&self, events: &[Value]) -> Worked {
        for event in events {
            self.submit(event).await.unwrap();
        }
        self.work().await
    }

    pub async fn work(&self) -> Worked {
        self.worker.run_until_idle().await.unwrap()
    }

    /// A transaction of changes, as a command or request has it.
    pub async fn session(&self) -> Session {
        let (book, author) = ((self.workspace, Mode::Live), "test".to_owned());
        Session::begin(&self.db, &self.clock, &self.ledger.ids, book, author).await.unwrap()
    }

    pub async fn enter(&self, changes: &[Change]) -> usize {
        let keyed: Vec<Keyed> =
            changes.iter().map(|change| (serde_json::to_string(change).unwrap(), change.clone())).collect();
        self.enter_keyed(&keyed).await
    }

    /// Enters a change whatever was entered before.
    pub async fn enter_once_more(&self, change: &Change) {
        let mut tx = self.db.read().await.unwrap();
        let seq = self.db.terms(&mut tx, self.workspace).await.unwrap().seq;
        tx.rollback().await.unwrap();
        assert_eq!(self.enter_keyed(&[(format!("test/{seq}"), change.clone())]).await, 1);
    }

    async fn enter_keyed(&self, keyed: &[Keyed]) -> usize {
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        let mut terms = changes::terms_for_change(&mut tx, self.workspace).await.unwrap();
        let entering = Entering { workspace: self.workspace, author: "test", now: self.now(), ids: &self.ledger.ids };
        let appended = changes::append(&mut tx, &entering, &mut terms, keyed).await.unwrap();
        tx.commit().await.unwrap();
        appended
    }

    pub async fn enter_leads(&self, new: &[NewLead]) -> Vec<EnteredLead> {
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        let entering = Entering { workspace: self.workspace, author: "test", now: self.now(), ids: &self.ledger.ids };
        let entered = leads::enter(&mut tx, &entering, new).await.unwrap();
        tx.commit().await.unwrap();
        entered
    }

    /// Applies a program file, as the command does; tells how many changes it made.
    pub async fn apply(&self, text: &str) -> usize {
        let file = program::parse(text, "program.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        let mut terms = changes::terms_for_change(&mut tx, self.workspace).await.unwrap();
        let plan = program::plan(&file, &terms, self.now(), None, RepriceClosed::No);
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        let entering = Entering { workspace: self.workspace, author: "test", now: self.now(), ids: &self.ledger.ids };
        let appended = changes::append(&mut tx, &entering, &mut terms, &plan.changes).await.unwrap();
        tx.commit().await.unwrap();
        appended
    }

    pub async fn balances(&self) -> Vec<Balance> {
        let mut tx = self.db.read().await.unwrap();
        balances::all(&mut tx, self.workspace, Mode::Live, self.now()).await.unwrap()
    }

    /// The only balance there is: 0 where there is none.
    pub async fn balance(&self) -> i64 {
        let balances = self.balances().await;
        assert!(balances.len() < 2, "{balances:?}");
        balances.first().map_or(0, |balance| balance.balance)
    }

    pub async fn entries(&self) -> Vec<Booked> {
        let (mut all, mut tx) = (Vec::new(), self.db.read().await.unwrap());
        loop {
            let after = all.last().map(|booked: &Booked| booked.entry.entry_id.clone());
            let page = entries::page(&mut tx, self.workspace, Mode::Live, after.as_deref(), 1000).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    pub async fn payments(&self) -> Vec<Payment> {
        let mut tx = self.db.read().await.unwrap();
        commission_bridge::on!(tx, conn => {
            sqlx::query_as("SELECT * FROM payments WHERE workspace_id = $1 ORDER BY payment_id")
                .bind(self.workspace.0)
                .fetch_all(conn)
                .await
                .unwrap()
        })
    }

    pub async fn payment(&self, reference: &str) -> Payment {
        let mut tx = self.db.read().await.unwrap();
        let payment = payments::find(&mut tx, self.workspace, Mode::Live, reference).await.unwrap();
        payment.unwrap_or_else(|| panic!("no payment {reference}"))
    }

    /// Every reference and the id of its payment.
    pub async fn payment_references(&self) -> Vec<(String, String)> {
        let mut tx = self.db.read().await.unwrap();
        commission_bridge::on!(tx, conn => {
            sqlx::query_as("SELECT ref, payment_id FROM payment_refs WHERE workspace_id = $1")
                .bind(self.workspace.0)
                .fetch_all(conn)
                .await
                .unwrap()
        })
    }

    pub async fn event(&self, id: &str) -> Vec<EventLine> {
        let mut tx = self.db.read().await.unwrap();
        events::of_id(&mut tx, self.workspace, id).await.unwrap()
    }

    /// A single number out of the database.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("{OWN} {sql}"));
        let mut tx = self.db.read().await.unwrap();
        commission_bridge::on!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await.unwrap())
    }

    /// Changes the database behind the bridge's back.
    pub async fn tamper(&self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::AssertSqlSafe(format!("{OWN} {sql}"));
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        let changed = commission_bridge::on!(tx, conn => {
            sqlx::query(sql).execute(conn).await.map(|done| done.rows_affected())
        });
        if changed.is_ok() {
            tx.commit().await.unwrap();
        }
        changed
    }
}

fn empty_file() -> (String, Place) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("ledger.db").display());
    (url, Place::Directory(directory))
}

async fn empty_database() -> (String, Place) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server to test on; `bash tests/run.sh` starts one and sets it");
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    admin.close().await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    (format!("{base}/{name}"), Place::Database { server: server.clone(), name })
}

/// A program that gives 20 % of everything, with no questions asked.
pub fn program() -> Change {
    let from = START.parse().unwrap();
    Change::ProgramVersion {
        program: "saas".to_owned(),
        name: "SaaS partners".to_owned(),
        version: 1,
        effective_from: from,
        in_force_from: from,
        engine: ENGINE,
        terms: ProgramTerms {
            rules: vec![Rule {
                key: None,
                on: None,
                product: Vec::new(),
                price: Vec::new(),
                product_key: Vec::new(),
                interval: Vec::new(),
                group: Vec::new(),
                partner: Vec::new(),
                earn: Earn::Percent("20".parse().unwrap()),
                duration: Duration::Lifetime,
                cap_per_payment: std::collections::BTreeMap::new(),
                cap_per_customer: std::collections::BTreeMap::new(),
            }],
            ..ProgramTerms::default()
        },
    }
}

/// How a partner is paid: by a file.
pub fn paid_by_file(key: &str) -> Change {
    let payout = Some(PayoutMethod { method: Method::Csv, account: None, currency: None });
    Change::Partner { partner: key.to_owned(), profile: Profile { payout, ..Profile::default() } }
}

/// A partner in that program.
pub fn partner(key: &str) -> [Change; 2] {
    [
        Change::Partner { partner: key.to_owned(), profile: Profile::default() },
        Change::Enrollment { partner: key.to_owned(), program: "saas".to_owned(), status: Status::Active, from: None },
    ]
}

/// The program and partner `acme`.
pub fn terms() -> Vec<Change> {
    std::iter::once(program()).chain(partner("acme")).collect()
}

pub fn settings(change: impl FnOnce(&mut Settings)) -> Change {
    let mut settings = Settings::default();
    change(&mut settings);
    Change::Settings { from: None, settings }
}

fn event(id: &str, kind: &str, created: Time, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "created": created.timestamp(), "livemode": true,
        "api_version": "2026-10-28.endive", "data": {"object": object},
    })
}

/// An hour of the first of October.
pub fn hour(hour: i64) -> Time {
    START.parse::<Time>().unwrap() + TimeDelta::hours(hour)
}

/// `invoice.paid`: one subscription line, 100.00 usd.
pub fn invoice_paid(number: u32, customer: &str, metadata: &Value) -> Value {
    let at = hour(0);
    event(
        &format!("evt_in_{number}"),
        "invoice.paid",
        at,
        &json!({
            "id": format!("in_{number}"), "object": "invoice", "customer": customer, "currency": "usd",
            "status": "paid", "total": 10_000, "subtotal": 10_000, "amount_due": 10_000, "amount_paid": 10_000,
            "amount_remaining": 0, "billing_reason": "subscription_cycle", "created": at.timestamp(),
            "status_transitions": {"paid_at": at.timestamp()}, "metadata": metadata,
            "parent": {"type": "subscription_details", "subscription_details": {
                "subscription": format!("sub_{customer}"), "metadata": {}}},
            "lines": {"object": "list", "has_more": false, "data": [{
                "id": format!("il_{number}"), "object": "line_item", "amount": 10_000, "currency": "usd",
                "period": {"start": at.timestamp(), "end": at.timestamp() + 2_592_000},
                "parent": {"type": "subscription_item_details", "subscription_item_details": {
                    "proration": false, "subscription": format!("sub_{customer}")}},
                "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
                "metadata": {},
            }]},
        }),
    )
}

/// `invoice_payment.paid`: ties the invoice to its payment intent.
pub fn invoice_payment(number: u32) -> Value {
    event(
        &format!("evt_inpay_{number}"),
        "invoice_payment.paid",
        hour(0),
        &json!({
            "id": format!("inpay_{number}"), "object": "invoice_payment", "invoice": format!("in_{number}"),
            "amount_paid": 10_000, "currency": "usd", "status": "paid",
            "payment": {"type": "payment_intent", "payment_intent": format!("pi_{number}")},
        }),
    )
}

/// `charge.succeeded`.
pub fn charge(number: u32, customer: &str) -> Value {
    event(
        &format!("evt_ch_{number}"),
        "charge.succeeded",
        hour(0),
        &json!({
            "id": format!("ch_{number}"), "object": "charge", "amount": 10_000, "amount_captured": 10_000,
            "amount_refunded": 0, "captured": true, "paid": true, "status": "succeeded", "currency": "usd",
            "customer": customer, "payment_intent": format!("pi_{number}"), "created": hour(0).timestamp(),
            "metadata": {},
        }),
    )
}

/// `refund.created` of part of a charge, an hour after it.
pub fn refund(number: u32, amount: i64) -> Value {
    event(
        &format!("evt_re_{number}"),
        "refund.created",
        hour(1),
        &json!({
            "id": format!("re_{number}"), "object": "refund", "charge": format!("ch_{number}"),
            "payment_intent": format!("pi_{number}"), "amount": amount, "currency": "usd", "status": "succeeded",
            "created": hour(1).timestamp(),
        }),
    )
}

/// `customer.updated` with metadata.
pub fn customer(number: u32, customer: &str, metadata: &Value) -> Value {
    event(
        &format!("evt_cus_{number}"),
        "customer.updated",
        hour(0),
        &json!({"id": customer, "object": "customer", "created": hour(0).timestamp(), "metadata": metadata}),
    )
}

/// `promotion_code.created`.
pub fn promotion_code(id: &str, code: &str) -> Value {
    event(
        &format!("evt_{id}"),
        "promotion_code.created",
        hour(0),
        &json!({"id": id, "object": "promotion_code", "code": code}),
    )
}
