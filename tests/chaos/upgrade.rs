//! What the first release left behind, opened by today's code: nothing is lost, nothing moves, everything goes on.

use std::io::Read as _;
use std::thread::JoinHandle;

use chrono::TimeDelta;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::ids::Ids;
use commission_bridge::store::Db;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::blackbox::{Engine, Home, blocking};
use crate::harness::World;
use crate::on_both_engines;
use crate::release::{Frozen, balances, file, ledger};
use crate::server::{Server, ask, signed_with};

on_both_engines!(
    the_first_releases_ledger_is_as_it_was_and_goes_on,
    an_old_reader_keeps_nobody_from_upgrading,
    two_who_upgrade_at_once_both_start,
    the_service_goes_on_with_what_was_entered,
);

/// Puts what the first release left behind into a home's database.
fn restored(home: &Home) -> Frozen {
    let packed = |name: &str| zstd::decode_all(std::fs::File::open(file(name)).unwrap()).unwrap();
    let name = match home.engine {
        Engine::Sqlite => {
            home.write("ledger.db", packed("ledger.db.zst"));
            "sqlite.json"
        }
        Engine::Postgres => {
            let dump = String::from_utf8(packed("ledger.sql.zst")).unwrap();
            // What only psql understands.
            let is_sql = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
            let sql = dump.lines().filter(is_sql).collect::<Vec<_>>().join("\n");
            blocking(async {
                let mut conn = PgConnection::connect(&home.url).await.unwrap();
                conn.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
            });
            "postgres.json"
        }
    };
    serde_json::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn later() -> Vec<Value> {
    let mut text = String::new();
    let packed = std::fs::File::open(file("later.jsonl.zst")).unwrap();
    zstd::Decoder::new(packed).unwrap().read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn in_worlds<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work)
}

fn the_first_releases_ledger_is_as_it_was_and_goes_on(home: &mut Home) {
    let frozen = restored(home);
    in_worlds(async {
        let world = World::at(&home.url, frozen.at, Ids::random()).await;
        // As it was, to the byte.
        assert_eq!(ledger(&world).await, (frozen.entries, frozen.ledger.clone()));
        assert_eq!(balances(&world).await, frozen.balances);
        let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.differences);
        let count = |number: u64| i64::try_from(number).unwrap();
        assert_eq!(
            (count(report.pending), count(report.failed), count(report.ignored)),
            (frozen.unread, frozen.failed, frozen.ignored)
        );
        // What nobody had read is read.
        world.work().await;
        assert_eq!(world.count("SELECT CAST(COUNT(*) AS BIGINT) FROM unread").await, 0);
        // What was to be booked within the hour is booked when it is due, and not before.
        let payment = world.payment(&frozen.refunded).await.payment_id;
        let reversals = async || {
            let all = world.entries().await;
            let of = |kind: EntryKind, payment_id: Option<&str>| {
                kind == EntryKind::Reversal && payment_id == Some(payment.as_str())
            };
            all.iter().filter(|one| of(one.entry.kind, one.entry.payment_id.as_deref())).count()
        };
        let before = reversals().await;
        world.clock.advance(TimeDelta::hours(1));
        world.work().await;
        assert_eq!(reversals().await, before + 1);
        // What came afterwards ends where the merchant's own books do.
        for piece in later().chunks(50) {
            world.import(piece).await;
            world.work().await;
        }
        world.clock.advance(frozen.settled_at - world.now());
        world.work().await;
        let mut owed = frozen.owed.clone();
        for one in world.entries().await {
            if matches!(one.entry.kind, EntryKind::Accrual | EntryKind::Reversal) {
                let currencies = owed.entry(one.entry.partner).or_default();
                *currencies.entry(one.entry.currency.to_string()).or_default() -= one.entry.amount;
            }
        }
        let left = |currencies: &std::collections::BTreeMap<String, i64>| currencies.values().any(|left| *left != 0);
        owed.retain(|_, currencies| left(currencies));
        assert!(owed.is_empty(), "the merchant's books, less the ledger: {owed:?}");
        world.is_proven_but_for(frozen.failed).await;
        world.db.close().await;
    });
}

impl World {
    async fn is_proven_but_for(&self, failed: i64) {
        let report = self.ledger.verify(self.workspace, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.differences);
        assert_eq!((report.waiting, report.parked, report.pending), (0, 0, 0));
        assert_eq!(i64::try_from(report.failed).unwrap(), failed);
    }
}

/// Tables that a reader may look at, the second only once somebody waits for the first.
const FIRST: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM events";
const SECOND: &str = "SELECT CAST(COUNT(*) AS BIGINT) FROM entries";

fn an_old_reader_keeps_nobody_from_upgrading(home: &mut Home) {
    restored(home);
    match home.engine {
        Engine::Sqlite => in_worlds(beside_a_reader_of_sqlite(&home.url)),
        Engine::Postgres => in_worlds(beside_a_reader_of_postgres(&home.url)),
    }
}

async fn beside_a_reader_of_sqlite(url: &str) {
    let mut reader = SqliteConnection::connect(url).await.unwrap();
    reader.execute("BEGIN").await.unwrap();
    let count = async |reader: &mut SqliteConnection, text: &'static str| -> i64 {
        sqlx::query_scalar(text).fetch_one(reader).await.unwrap()
    };
    let seen = (count(&mut reader, FIRST).await, count(&mut reader, SECOND).await);
    let db = Db::open(url).await.unwrap();
    assert_eq!((count(&mut reader, FIRST).await, count(&mut reader, SECOND).await), seen, "it sees what it saw");
    reader.execute("COMMIT").await.unwrap();
    assert_eq!(count(&mut reader, SECOND).await, seen.1, "statements that were prepared before still work");
    db.close().await;
}

async fn beside_a_reader_of_postgres(url: &str) {
    let mut reader = PgConnection::connect(url).await.unwrap();
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let count = async |reader: &mut PgConnection, text: &'static str| -> i64 {
        sqlx::query_scalar(text).fetch_one(reader).await.unwrap()
    };
    count(&mut reader, FIRST).await;
    let opening = opens(url);
    // Until the new schema waits for a table, or needs none of those.
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut watcher = PgConnection::connect(url).await.unwrap();
    while !opening.is_finished() && count(&mut watcher, waits).await == 0 {
        tokio::task::yield_now().await;
    }
    // It reads on where the new schema may have been already, and is not thrown out.
    count(&mut reader, SECOND).await;
    reader.execute("COMMIT").await.unwrap();
    opening.join().unwrap();
    count(&mut reader, SECOND).await;
}

/// Opens a database beside what goes on here, and closes it.
fn opens(url: &str) -> JoinHandle<()> {
    let url = url.to_owned();
    std::thread::spawn(move || blocking(async { Db::open(&url).await.unwrap().close().await }))
}

fn two_who_upgrade_at_once_both_start(home: &mut Home) {
    let frozen = restored(home);
    for opening in [opens(&home.url), opens(&home.url)] {
        opening.join().unwrap();
    }
    in_worlds(async {
        let world = World::at(&home.url, frozen.at, Ids::random()).await;
        assert_eq!(ledger(&world).await, (frozen.entries, frozen.ledger.clone()));
        world.db.close().await;
    });
}

/// The real program on it: the signing secret that was entered still counts, and so does the ledger.
fn the_service_goes_on_with_what_was_entered(home: &mut Home) {
    restored(home);
    let server = Server::start_with(home, |command| command);
    let body = json!({
        "id": "evt_after", "object": "event", "type": "customer.created", "created": 1_788_000_000, "livemode": true,
        "api_version": "2026-03-25.dahlia", "data": {"object": {"id": "cus_after", "object": "customer"}},
    });
    let body = body.to_string();
    let signature = signed_with("whsec_rotated", body.as_bytes());
    let headers = [("stripe-signature", signature.as_str())];
    let answer = ask(&server.address, "POST", "/webhooks/stripe/default", &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?} {}", server.said());
    server.stop();
    assert!(home.ok("verify").contains("right to the last minor unit"));
    assert_eq!(home.json("api-key list")["keys"].as_array().map(Vec::len), Some(2));
}
