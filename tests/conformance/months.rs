//! Raw events lie by the month in which they came: whoever asks for some opens the months that hold them, and new months
//! begin without anybody waiting.

use chrono::TimeDelta;
use commission_bridge::intake::{Arrivals, Inbox, Incoming};
use commission_bridge::on;
use commission_bridge::store::events::{self, Source, Wanted};
use commission_bridge::store::{Db, Engine, Mode, Tx};
use serde_json::{Value, json};

use crate::harness::{World, charge, invoice_paid, terms};

crate::on_both_engines!(
    a_list_goes_on_from_one_month_to_the_one_before,
    events_of_a_type_are_found_in_the_minutes_in_which_they_came,
    what_came_in_another_month_is_a_duplicate,
);

/// Every id that is listed, in pages of two.
async fn listed(world: &World, kind: Option<&str>) -> Vec<String> {
    let (mut all, mut behind) = (Vec::new(), None);
    loop {
        let mut tx = world.db.read().await.unwrap();
        let wanted = Wanted { kind, behind: behind.as_ref(), ..Wanted::default() };
        let page = events::list(&mut tx, world.workspace, Mode::Live, &wanted, 2).await.unwrap();
        let Some(last) = page.last() else { return all };
        behind = Some(last.place());
        all.extend(page.into_iter().map(|line| line.event_id));
    }
}

async fn a_list_goes_on_from_one_month_to_the_one_before(world: &World) {
    for number in 1..=5 {
        world.submit(&charge(number, "cus_1")).await.unwrap();
        world.clock.advance(TimeDelta::days(20));
    }
    assert_eq!(listed(world, None).await, ["evt_ch_5", "evt_ch_4", "evt_ch_3", "evt_ch_2", "evt_ch_1"]);
    world.work().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM facts").await, 5);
}

async fn events_of_a_type_are_found_in_the_minutes_in_which_they_came(world: &World) {
    for number in 1..=3 {
        world.submit(&charge(number, "cus_1")).await.unwrap();
        // Two of a minute, and one of the next.
        world.submit(&invoice_paid(number, "cus_1", &json!({}))).await.unwrap();
        world.submit(&invoice_paid(10 + number, "cus_1", &json!({}))).await.unwrap();
        world.clock.advance(TimeDelta::minutes(1));
        world.submit(&invoice_paid(20 + number, "cus_1", &json!({}))).await.unwrap();
        world.clock.advance(TimeDelta::days(30));
    }
    assert_eq!(listed(world, Some("charge.succeeded")).await, ["evt_ch_3", "evt_ch_2", "evt_ch_1"]);
    let found = listed(world, Some("invoice.paid")).await;
    assert_eq!(
        found,
        [
            "evt_in_23",
            "evt_in_3",
            "evt_in_13",
            "evt_in_22",
            "evt_in_2",
            "evt_in_12",
            "evt_in_21",
            "evt_in_11",
            "evt_in_1"
        ]
        .map(str::to_owned)
        .to_vec()
    );
    assert!(listed(world, Some("invoice.voided")).await.is_empty());
    assert_eq!(world.count("SELECT COUNT(*) FROM event_minutes").await, 9);
}

async fn what_came_in_another_month_is_a_duplicate(world: &World) {
    world.enter(&terms()).await;
    let event = invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}));
    world.receive(std::slice::from_ref(&event)).await;
    world.clock.advance(TimeDelta::days(62));
    assert!(world.submit(&event).await.unwrap().duplicate);
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM unread").await, 0);
}

/// A transaction that tells which months it opened.
struct Looking {
    tx: Tx,
    before: Vec<(String, i64)>,
}

impl Looking {
    async fn begin(world: &World) -> Self {
        let mut tx = world.db.read().await.unwrap();
        let before = Self::scans(&mut tx).await;
        Self { tx, before }
    }

    async fn scans(tx: &mut Tx) -> Vec<(String, i64)> {
        let text = "SELECT relname::text, COALESCE(seq_scan, 0) + COALESCE(idx_scan, 0) FROM pg_stat_xact_user_tables
                    WHERE relname LIKE 'events\\_%' ORDER BY relname";
        on!(tx, conn => sqlx::query_as(text).fetch_all(conn).await.unwrap())
    }

    /// The months that it read, and those that the planner had to think of.
    async fn opened(mut self) -> (Vec<String>, Vec<String>) {
        let mut read = Self::scans(&mut self.tx).await;
        read.retain(|scans| !self.before.contains(scans));
        let planned = "SELECT DISTINCT c.relname::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                       WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname LIKE 'events\\_%' ORDER BY 1";
        let planned = on!(self.tx, conn => sqlx::query_scalar(planned).fetch_all(conn).await.unwrap());
        self.tx.rollback().await.unwrap();
        (read.into_iter().map(|(month, _)| month).collect(), planned)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_opens_the_months_that_are_asked_for_alone() {
    let world = World::on_postgres().await;
    for number in 1..=6 {
        world.submit(&charge(number, "cus_1")).await.unwrap();
        world.clock.advance(TimeDelta::days(31));
    }
    let months = |from: usize, until: usize| {
        let all = ["2026_10", "2026_11", "2026_12", "2027_01", "2027_02", "2027_03"];
        all[from..until].iter().map(|month| format!("events_{month}")).collect::<Vec<_>>()
    };
    let workspace = world.workspace;

    // The queue: three events that wait are three months.
    let mut looking = Looking::begin(&world).await;
    let (waiting, place) = events::pending(&mut looking.tx, workspace, None, 3).await.unwrap();
    assert_eq!(waiting.len(), 3);
    assert_eq!(looking.opened().await, (months(0, 3), months(0, 3)));
    let mut looking = Looking::begin(&world).await;
    assert_eq!(events::pending(&mut looking.tx, workspace, place.as_ref(), 1).await.unwrap().0.len(), 1);
    assert_eq!(looking.opened().await, (months(3, 4), months(3, 4)));

    // By their ids.
    let mut looking = Looking::begin(&world).await;
    let shape = events::of_id(&mut looking.tx, workspace, "evt_ch_2").await.unwrap()[0].shape;
    assert_eq!(looking.opened().await, (months(1, 2), months(1, 2)));
    let mut looking = Looking::begin(&world).await;
    let found = events::by_keys(&mut looking.tx, workspace, [("evt_ch_2", shape), ("evt_ch_4", 0)]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(events::fetched_of(&mut looking.tx, workspace, Mode::Live, "in_1").await.unwrap().len(), 0);
    assert_eq!(looking.opened().await, (months(1, 2), months(1, 2)));

    // A list: as many months as it takes to fill the page; behind a place, none of those after it.
    let mut looking = Looking::begin(&world).await;
    let page = events::list(&mut looking.tx, workspace, Mode::Live, &Wanted::default(), 2).await.unwrap();
    let read = looking.opened().await.0;
    assert!(read.iter().all(|month| *month >= months(4, 5)[0]), "{read:?}");
    let mut looking = Looking::begin(&world).await;
    let behind = page.last().unwrap().place();
    let wanted = Wanted { behind: Some(&behind), ..Wanted::default() };
    events::list(&mut looking.tx, workspace, Mode::Live, &wanted, 1).await.unwrap();
    let (read, planned) = looking.opened().await;
    // The place's own month is looked at first.
    assert!(read == months(3, 5) && planned.iter().all(|month| *month <= months(4, 5)[0]), "{read:?} {planned:?}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_begins_on_several_replicas_at_once_while_others_read_and_write() {
    let world = World::on_postgres().await;
    world.submit(&charge(999_999, "cus_1")).await.unwrap();
    // Somebody looks at all months, and somebody writes, all the while.
    let mut reading = world.db.read().await.unwrap();
    events::list(&mut reading, world.workspace, Mode::Live, &Wanted::default(), 10).await.unwrap();
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let db = Db::open(&world.url).await.unwrap();
        let (inbox, _) = Inbox::start(db.clone(), world.clock.clone(), std::sync::Arc::new(Arrivals::default()));
        replicas.push((db, inbox));
    }
    for month in 0..6_u32 {
        // Far apart, so that no month was made ahead.
        world.clock.advance(TimeDelta::days(100));
        let mut at_once = tokio::task::JoinSet::new();
        for (at, (_, inbox)) in (0..).zip(&replicas) {
            let (inbox, workspace) = (inbox.clone(), world.workspace);
            at_once.spawn(async move {
                for number in 0..3 {
                    let event: Value = charge(1000 * month + 100 * at + number, "cus_1");
                    let body = serde_json::to_vec(&event).unwrap();
                    inbox.submit(Incoming { workspace, source: Source::Webhook, body: &body }).await.unwrap();
                    // The same of everybody: it is new once.
                    let body = serde_json::to_vec(&charge(1000 * month + 500 + number, "cus_1")).unwrap();
                    inbox.submit(Incoming { workspace, source: Source::Webhook, body: &body }).await.unwrap();
                }
            });
        }
        at_once.join_all().await;
    }
    reading.rollback().await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 1 + 6 * 12);
    let tables = "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
    assert_eq!(world.count(tables).await, 2 + 6 * 2);
    // Bodies are never compressed again, and the planner knows of no small workspaces.
    let stored = "SELECT COUNT(*) FROM pg_attribute a JOIN pg_inherits i ON i.inhrelid = a.attrelid
                  WHERE i.inhparent = 'events'::regclass
                    AND (a.attname = 'payload' AND a.attstorage = 'e' OR a.attname = 'workspace_id' AND a.attoptions IS NOT NULL)";
    assert_eq!(world.count(stored).await, 2 * (2 + 6 * 2));
    for (db, _) in replicas {
        db.close().await;
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_the_releases_before_are_moved() {
    let rows = "INSERT INTO workspaces (workspace_id, key, created_at) VALUES (1, 'default', 0);
        INSERT INTO locks (workspace_id, name, version) VALUES (1, 'recorder', 0);
        INSERT INTO events (workspace_id, event_id, shape, mode, type, created_at, received_at, source, payload_codec,
                            payload)
        VALUES (1, 'evt_1', 7, 1, 'charge.succeeded', 1790812800000000, 1790812800000000, 'webhook', 0, '{}'),
               (1, 'evt_2', 7, 1, 'charge.succeeded', 1790812800000000, 1793491200000000, 'webhook', 0, '{}'),
               (1, 'evt_3', 7, 0, 'charge.succeeded', 1790812800000000, 1793491199999999, 'webhook', 0, '{}'),
               (2, 'evt_1', 7, 1, 'charge.succeeded', 1790812800000000, 1793491200000000, 'webhook', 0, '{}');
        INSERT INTO unread (workspace_id, received_at, event_id, shape, mode)
        VALUES (1, 1793491200000000, 'evt_2', 7, 1);";
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let rows = if engine == Engine::Sqlite { rows.replace("'{}'", "x'7b7d'") } else { rows.to_owned() };
        let world = World::upgraded(engine, 5, &rows).await;
        assert_eq!(listed(&world, None).await, ["evt_2", "evt_1"]);
        assert_eq!(listed(&world, Some("charge.succeeded")).await, ["evt_2", "evt_1"]);
        let mut tx = world.db.read().await.unwrap();
        let waiting = events::pending(&mut tx, world.workspace, None, 10).await.unwrap().0;
        assert_eq!((waiting.len(), waiting[0].payload.as_slice()), (1, &b"{}"[..]));
        assert_eq!(events::of_id(&mut tx, world.workspace, "evt_3").await.unwrap().len(), 1);
        tx.rollback().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM event_ids").await, 4);
        world.submit(&charge(1, "cus_1")).await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 5);
        world.close().await;
    }
}
