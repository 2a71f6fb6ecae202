//! Months of raw events in files: the ledger is proven from them, what came is known for ever, and whoever is killed on
//! the way there or back is followed by whoever does it again.

use std::future::Future;
use std::path::Path;
use std::pin::pin;

use chrono::TimeDelta;
use commission_bridge::admin::{Refused, events as replaying};
use commission_bridge::archive::format::Manifest;
use commission_bridge::archive::{Error, Shelf};
use commission_bridge::domain::calendar::Month;
use commission_bridge::intake::payload;
use commission_bridge::ledger::verify::Report;
use commission_bridge::store::archives::{self, State};
use commission_bridge::store::{Engine, Mode, WorkspaceId, events};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{World, charge, invoice_paid, invoice_payment, promotion_code, refund, terms};

crate::on_both_engines!(
    a_month_goes_into_a_file_and_comes_back,
    what_is_archived_is_known_and_cannot_be_read_again,
    a_month_stays_while_something_of_it_is_open,
    a_young_month_stays,
    whoever_is_killed_is_followed,
    a_file_that_differs_proves_nothing,
    what_was_lost_is_missed,
    each_workspace_has_files_of_its_own,
    who_is_erased_stays_erased,
);

fn shelf(world: &World) -> Shelf {
    let (db, clock, ids) = (world.db.clone(), world.clock.clone(), world.ledger.ids.clone());
    Shelf { db, clock, ids, author: "test".to_owned() }
}

/// Business in October, November and December, in bodies as odd as they may be.
async fn some_months(world: &World) {
    world.enter(&terms()).await;
    for month in 0..3_u32 {
        let number = month * 10;
        let metadata = json!({"partner_key": "acme", "odd": "\u{0001} \u{2028} ä \"\\"});
        let invoice = invoice_paid(number, &format!("cus_{month}"), &metadata);
        let body = serde_json::to_string_pretty(&invoice).unwrap().replace('\n', "\r\n");
        world.submit_body(body.as_bytes()).await.unwrap();
        world.receive(&[charge(number, &format!("cus_{month}")), invoice_payment(number)]).await;
        world.receive(&[promotion_code(&format!("promo_{month}"), "ACME20")]).await;
        let mut unknown = invoice_paid(number + 5, "cus_9", &json!({}));
        unknown["type"] = json!("radar.early_fraud_warning.created");
        world.receive(&[unknown]).await;
        world.clock.advance(TimeDelta::days(31));
    }
    // It concerns the first month, and comes in the last.
    world.receive(&[refund(0, 5_000)]).await;
    world.clock.advance(TimeDelta::days(62));
    world.work().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 16);
}

/// Archives months before one; the whole of what the command does.
async fn archive(shelf: &Shelf, whose: &[(WorkspaceId, String)], before: &str, to: &Path) -> Result<usize, Error> {
    let planned = shelf.plan(whose, before.parse().unwrap()).await?;
    let mut months: Vec<Month> = planned.iter().map(|planned| planned.month).collect();
    months.dedup();
    for month in months {
        let mut books = Vec::new();
        for planned in planned.iter().filter(|planned| planned.month == month) {
            shelf.archive(planned, to).await?;
            books.push((planned.workspace, planned.mode));
        }
        shelf.remove(month, &books).await?;
    }
    Ok(planned.len())
}

fn own(world: &World) -> Vec<(WorkspaceId, String)> {
    vec![(world.workspace, "default".to_owned())]
}

async fn verify(world: &World, directory: Option<&Path>) -> Report {
    world.ledger.verify_with(world.workspace, directory, |_| ()).await.unwrap()
}

async fn states(world: &World) -> Vec<(String, State)> {
    let mut tx = world.db.read().await.unwrap();
    let all = archives::all(&mut tx, world.workspace).await.unwrap();
    all.into_iter().map(|archive| (archive.month.clone(), archive.state())).collect()
}

/// Every body, by id.
async fn bodies(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut tx = world.db.read().await.unwrap();
    let lines = events::list(&mut tx, world.workspace, Mode::Live, &events::Wanted::default(), 1000).await.unwrap();
    let keys = lines.iter().map(|line| (line.event_id.as_str(), line.shape));
    let stored = events::by_keys(&mut tx, world.workspace, keys).await.unwrap();
    let body = |event: &events::StoredEvent| payload::unpack(&event.payload, event.payload_codec).unwrap();
    let mut all: Vec<_> = stored.iter().map(|event| (event.event_id.clone(), body(event))).collect();
    all.sort();
    all
}

async fn a_month_goes_into_a_file_and_comes_back(world: &World) {
    some_months(world).await;
    let (before, shelf, to) = (bodies(world).await, shelf(world), TempDir::new().unwrap());
    let proven = verify(world, None).await;
    assert!(proven.is_clean(), "{proven:?}");

    assert_eq!(archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap(), 2);
    assert_eq!(states(world).await, [("2026-10".to_owned(), State::Removed), ("2026-11".to_owned(), State::Removed)]);
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 6);
    assert_eq!(archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap(), 0);

    // The proof says what it could not look at, and looks at it in the files.
    let unread = verify(world, None).await;
    assert!(unread.is_clean() && unread.archived == 10 && unread.events < proven.events, "{unread:?}");
    assert_eq!((unread.entries, unread.payments), (proven.entries, proven.payments));
    let reread = verify(world, Some(to.path())).await;
    assert!(reread.is_clean() && reread.archived == 0 && reread.events >= proven.events, "{reread:?}");

    // Each manifest names the one before.
    let manifest = |month: &str| {
        let text = std::fs::read(to.path().join(format!("default-live-{month}.json"))).unwrap();
        (Manifest::read(&text).unwrap(), commission_bridge::archive::format::sha256(&text))
    };
    let ((first, hash), (second, _)) = (manifest("2026-10"), manifest("2026-11"));
    assert!(first.previous.is_none() && first.content.events == 5, "{first:?}");
    assert_eq!(second.previous.unwrap().manifest_sha256, hash);

    // Back again, byte for byte; whoever does it twice finds it done.
    let file = to.path().join("default-live-2026-10.jsonl.zst");
    assert!(!shelf.restore(&file).await.unwrap()[0].was_there);
    let restored = shelf.restore(to.path()).await.unwrap();
    assert_eq!(restored.iter().map(|one| one.was_there).collect::<Vec<_>>(), [true, false]);
    assert_eq!(bodies(world).await, before);
    let again = verify(world, None).await;
    assert!(again.is_clean() && again.archived == 0 && again.events == proven.events, "{again:?}");

    // What is put into files once more is the same file.
    let written = std::fs::read(&file).unwrap();
    archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), written);
    let elsewhere = TempDir::new().unwrap();
    shelf.restore(to.path()).await.unwrap();
    archive(&shelf, &own(world), "2026-12", elsewhere.path()).await.unwrap();
    assert_eq!(std::fs::read(elsewhere.path().join("default-live-2026-10.jsonl.zst")).unwrap(), written);
    assert!(verify(world, Some(elsewhere.path())).await.is_clean());
}

async fn what_is_archived_is_known_and_cannot_be_read_again(world: &World) {
    some_months(world).await;
    let to = TempDir::new().unwrap();
    archive(&shelf(world), &own(world), "2026-11", to.path()).await.unwrap();
    let balance = world.balance().await;
    assert!(world.submit(&charge(0, "cus_0")).await.unwrap().duplicate);
    world.work().await;
    assert_eq!((world.balance().await, world.count("SELECT COUNT(*) FROM unread").await), (balance, 0));

    let mut session = world.session().await;
    let refused = replaying::replay(&mut session, "evt_ch_0", &Mode::ALL).await.unwrap_err();
    assert!(matches!(refused, Refused::Conflict { code: "archived", .. }), "{refused}");
    assert!(refused.to_string().contains("default-live-2026-10.jsonl.zst"), "{refused}");
    assert_eq!(replaying::replay(&mut session, "evt_ch_10", &Mode::ALL).await.unwrap().len(), 1);
    session.commit().await.unwrap();
    world.work().await;
    // The list goes on behind one that is in a file.
    let mut tx = world.db.read().await.unwrap();
    assert!(events::place(&mut tx, world.workspace, Mode::Live, "evt_ch_0").await.unwrap().is_some());
    tx.rollback().await.unwrap();
    // What differs in the database is found all the same.
    world.tamper("DELETE FROM facts WHERE event_id = 'evt_ch_0'").await.unwrap();
    let report = verify(world, Some(to.path())).await;
    assert!(report.differences.iter().any(|said| said.contains("evt_ch_0 was recorded, but its facts")), "{report:?}");
}

async fn a_month_stays_while_something_of_it_is_open(world: &World) {
    some_months(world).await;
    let (shelf, to) = (shelf(world), TempDir::new().unwrap());
    let mut session = world.session().await;
    replaying::replay(&mut session, "evt_ch_0", &Mode::ALL).await.unwrap();
    session.commit().await.unwrap();
    let obstacles = async || {
        let planned = shelf.plan(&own(world), "2026-12".parse().unwrap()).await.unwrap();
        planned.into_iter().map(|planned| planned.obstacle.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(obstacles().await, ["1 of its events were not read yet", ""]);
    let mut planned = shelf.plan(&own(world), "2026-12".parse().unwrap()).await.unwrap();
    assert!(matches!(shelf.archive(&planned[0], to.path()).await.unwrap_err(), Error::Refused(_)));
    // It was asked for between looking and removing.
    planned[0].obstacle = None;
    let refused = shelf.archive(&planned[0], to.path()).await.unwrap_err().to_string();
    assert!(refused.contains("to be read again"), "{refused}");
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 16);
    world.work().await;
    let failed = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, error)
                  SELECT workspace_id, event_id, shape, mode, received_at, 3, 'x' FROM events WHERE event_id = 'evt_ch_10'";
    world.tamper(failed).await.unwrap();
    let found = obstacles().await;
    assert!(found[0].is_empty() && found[1].contains("could not be read"), "{found:?}");
}

async fn a_young_month_stays(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[charge(1, "cus_1")]).await;
    // October ends, and thirty days more.
    world.clock.advance(TimeDelta::days(31 + 30));
    let refused = shelf(world).plan(&own(world), "2026-11".parse().unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("--before 2026-10 at the latest"), "{refused}");
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(shelf(world).plan(&own(world), "2026-11".parse().unwrap()).await.unwrap().len(), 1);
}

/// Does something up to its `steps`th rest, and kills it there; nothing where it was done before.
async fn killed_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..steps {
        let step = std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context)));
        match step.await {
            std::task::Poll::Ready(done) => return Some(done),
            std::task::Poll::Pending => {
                // Woken by what it waits for.
                std::future::poll_fn({
                    let mut is_second = false;
                    move |context| {
                        if std::mem::replace(&mut is_second, true) {
                            return std::task::Poll::Ready(());
                        }
                        context.waker().wake_by_ref();
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
        }
    }
    None
}

async fn whoever_is_killed_is_followed(world: &World) {
    some_months(world).await;
    let (shelf, to, before) = (shelf(world), TempDir::new().unwrap(), bodies(world).await);
    let mut steps = 1;
    // Ever later, until one is through.
    while killed_after(steps, archive(&shelf, &own(world), "2026-12", to.path())).await.is_none() {
        let report = verify(world, None).await;
        assert!(report.is_clean(), "after {steps} steps: {report:?}");
        steps += 1 + steps / 8;
    }
    archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap();
    assert_eq!(states(world).await, [("2026-10".to_owned(), State::Removed), ("2026-11".to_owned(), State::Removed)]);
    let report = verify(world, Some(to.path())).await;
    assert!(report.is_clean() && report.archived == 0, "{report:?}");
    let mut steps = 1;
    while killed_after(steps, shelf.restore(to.path())).await.is_none() {
        let report = verify(world, Some(to.path())).await;
        assert!(report.is_clean(), "after {steps} steps: {report:?}");
        steps += 1 + steps / 8;
    }
    shelf.restore(to.path()).await.unwrap();
    assert_eq!(states(world).await, [("2026-10".to_owned(), State::Back), ("2026-11".to_owned(), State::Back)]);
    assert_eq!(bodies(world).await, before);
    assert!(verify(world, None).await.is_clean());
}

async fn a_file_that_differs_proves_nothing(world: &World) {
    some_months(world).await;
    let (shelf, to) = (shelf(world), TempDir::new().unwrap());
    archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap();
    let file = to.path().join("default-live-2026-10.jsonl.zst");
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let report = verify(world, Some(to.path())).await;
    assert!(report.differences[0].contains("The archive of 2026-10"), "{report:?}");
    assert!(matches!(shelf.restore(&file).await.unwrap_err(), Error::Broken { .. }));
    std::fs::remove_file(&file).unwrap();
    assert!(!verify(world, Some(to.path())).await.is_clean());
    // Another month's, under this name and with a manifest that says so.
    std::fs::copy(to.path().join("default-live-2026-11.jsonl.zst"), &file).unwrap();
    let refused = shelf.restore(&file).await.unwrap_err().to_string();
    assert!(refused.contains("its hash differs"), "{refused}");
    std::fs::write(&file, &whole).unwrap();
    // The manifest before it is exchanged.
    let manifest = to.path().join("default-live-2026-10.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"events\": 5", "\"events\": 4")).unwrap();
    let report = verify(world, Some(to.path())).await;
    assert!(report.differences[0].contains("is another than it names"), "{report:?}");
    std::fs::write(&manifest, text).unwrap();
    assert!(verify(world, Some(to.path())).await.is_clean());
    // Somebody else's file of this name is not written over.
    shelf.restore(to.path()).await.unwrap();
    std::fs::copy(to.path().join("default-live-2026-11.jsonl.zst"), &file).unwrap();
    let refused = archive(&shelf, &own(world), "2026-12", to.path()).await.unwrap_err().to_string();
    assert!(refused.contains("holds other events"), "{refused}");
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 16);
    // Nor is what differs from what was archived before put into a file.
    std::fs::write(&file, &whole).unwrap();
    let elsewhere = TempDir::new().unwrap();
    world.tamper("DELETE FROM events WHERE event_id = 'evt_ch_0'").await.unwrap();
    let refused = archive(&shelf, &own(world), "2026-12", elsewhere.path()).await.unwrap_err().to_string();
    assert!(refused.contains("not those that were archived before"), "{refused}");
}

async fn what_was_lost_is_missed(world: &World) {
    some_months(world).await;
    let to = TempDir::new().unwrap();
    archive(&shelf(world), &own(world), "2026-11", to.path()).await.unwrap();
    for table in ["events", "facts"] {
        world.tamper(&format!("DELETE FROM {table} WHERE event_id = 'evt_ch_10'")).await.unwrap();
    }
    let report = verify(world, None).await;
    assert!(report.differences.iter().any(|said| said == "Event evt_ch_10 was received, but is gone."), "{report:?}");
}

async fn each_workspace_has_files_of_its_own(world: &World) {
    some_months(world).await;
    let mut session = world.session().await;
    let other = commission_bridge::admin::workspaces::create(&mut session, "other").await.unwrap();
    session.commit().await.unwrap();
    let copies = [
        "INSERT INTO event_ids SELECT 2, event_id, shape, 0, received_at FROM event_ids WHERE workspace_id = 1",
        "INSERT INTO events SELECT 2, 0, received_at, event_id, shape, type, created_at, source, payload_codec, payload
         FROM events WHERE workspace_id = 1",
    ];
    for copy in copies {
        world.tamper(copy).await.unwrap();
    }
    let (shelf, to) = (shelf(world), TempDir::new().unwrap());
    archive(&shelf, &own(world), "2026-11", to.path()).await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE workspace_id = 1").await, 11);
    assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE workspace_id = 2").await, 16);
    let tables = "SELECT COUNT(*) FROM pg_class WHERE relname = 'events_2026_10'";
    let is_postgres = world.db.engine() == Engine::Postgres;
    assert!(!is_postgres || world.count(tables).await == 1);
    let whose = [(other, "other".to_owned())];
    archive(&shelf, &whose, "2026-11", to.path()).await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE workspace_id = 2").await, 11);
    // Nobody is left: the table is gone.
    assert!(!is_postgres || world.count(tables).await == 0);
    assert!(to.path().join("other-test-2026-10.jsonl.zst").exists());
    // Both at once.
    let both: Vec<_> = own(world).into_iter().chain(whose).collect();
    assert_eq!(archive(&shelf, &both, "2026-12", to.path()).await.unwrap(), 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 12);
    shelf.restore(to.path()).await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 32);
}

async fn who_is_erased_stays_erased(world: &World) {
    world.enter(&terms()).await;
    let mut invoice = invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}));
    invoice["data"]["object"]["customer_email"] = json!("ann@buyer.example");
    world.receive(&[invoice, charge(2, "cus_2")]).await;
    world.clock.advance(TimeDelta::days(70));
    world.work().await;
    let (shelf, to) = (shelf(world), TempDir::new().unwrap());
    archive(&shelf, &own(world), "2026-11", to.path()).await.unwrap();
    let mut session = world.session().await;
    commission_bridge::privacy::erase_customer(&mut session, &world.ledger, "cus_1").await.unwrap();
    session.commit().await.unwrap();
    world.work().await;
    // The file says what it said, and proves what is left.
    let report = verify(world, Some(to.path())).await;
    assert!(report.is_clean() && report.archived == 0, "{report:?}");
    assert!(!shelf.restore(to.path()).await.unwrap()[0].was_there);
    let everything = bodies(world).await.into_iter().flat_map(|(_, body)| body).collect::<Vec<u8>>();
    assert!(!String::from_utf8(everything).unwrap().contains("ann@buyer.example"));
    assert!(verify(world, None).await.is_clean());
    // A new file, without what was erased, takes the place of the one before, which is no proof any more.
    let elsewhere = TempDir::new().unwrap();
    archive(&shelf, &own(world), "2026-11", elsewhere.path()).await.unwrap();
    assert!(verify(world, Some(elsewhere.path())).await.is_clean());
    assert!(!verify(world, Some(to.path())).await.is_clean());
}
