//! What the first release left behind: how its database was made. Run once, by that release:
//! `bash tests/run.sh cargo test --test chaos -- --ignored the_first_release`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chrono::{TimeDelta, TimeZone as _, Utc};
use commission_bridge::admin::adjustments::{NewAdjustment, create};
use commission_bridge::admin::clicks::NewClick;
use commission_bridge::admin::evidence::Named;
use commission_bridge::admin::{self, keys, leads, links, workspaces};
use commission_bridge::domain::Time;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::terms::{Change, Method, PayoutMethod, Profile};
use commission_bridge::fx::ecb;
use commission_bridge::ids::Ids;
use commission_bridge::payouts::batch::{self, Paid};
use commission_bridge::payouts::{closing, transfers};
use commission_bridge::sample::{Business, Kind, Options, Shape, business, render_all};
use commission_bridge::store::api_keys::Role;
use commission_bridge::store::entries::Entry;
use commission_bridge::store::stripe_endpoints::{self, Endpoint};
use commission_bridge::store::transfers::{Cursor, Lease, claim};
use commission_bridge::store::{Mode, Urgency};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::blackbox::{Engine, Home};
use crate::harness::World;
use crate::postgres::program;

/// What is known of a frozen database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Frozen {
    /// The moment at which everything stood still.
    pub at: Time,
    /// How many lines its ledger has, and the SHA-256 of all of them: see [`ledger`].
    pub entries: usize,
    pub ledger: String,
    /// Partner, currency, balance and what of it is available.
    pub balances: Vec<(String, String, i64, i64)>,
    /// A payment of which a refund is known that takes effect within the hour.
    pub refunded: String,
    /// How many events are unread, failed and ignored.
    pub unread: i64,
    pub failed: i64,
    pub ignored: i64,
    /// When all that is to come has taken effect.
    pub settled_at: Time,
    /// What commissions add up to then, by partner and currency.
    pub owed: BTreeMap<String, BTreeMap<String, i64>>,
}

const RELEASE: &str = "tests/fixtures/release_1";

/// A file of the first release.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(RELEASE).join(name)
}

/// Every line of the live book, each with its digest, which covers all columns.
pub async fn ledger(world: &World) -> (usize, String) {
    let entries = world.entries().await;
    let mut digest = Sha256::new();
    for booked in &entries {
        let entry = &booked.entry;
        assert_eq!(booked.digest, entry.digest(world.workspace), "a line as it was appended");
        let Entry { entry_id, partner, amount, currency, .. } = entry;
        digest.update(format!("{entry_id} {partner} {amount} {currency} {}\n", booked.digest));
    }
    (entries.len(), hex::encode(digest.finalize()))
}

pub async fn balances(world: &World) -> Vec<(String, String, i64, i64)> {
    let all = world.balances().await;
    all.into_iter().map(|one| (one.partner, one.currency.to_string(), one.balance, one.available)).collect()
}

fn merchant() -> Business {
    let start = Utc.with_ymd_and_hms(2026, 4, 1, 0, 0, 0).unwrap();
    business(&Options { customers: 30, months: 5, start, ..Options::new(202_611) })
}

fn bodies(merchant: &Business, place: usize) -> Vec<Value> {
    let shapes = [Shape::Legacy, Shape::Hybrid, Shape::New];
    render_all(&merchant.events[place], shapes[place % 3])
}

/// Where it stops: a refund of a credited sale was told a moment ago. The sale's reference, too.
fn stop(merchant: &Business) -> (usize, String) {
    let two_thirds = merchant.events.len() * 2 / 3;
    for (place, event) in merchant.events.iter().enumerate().skip(two_thirds) {
        let is_soon = |from: Time| from > event.at + TimeDelta::minutes(20) && from <= event.at + TimeDelta::hours(1);
        let found = merchant.books.sales().iter().find(|(sale, price)| {
            price.is_ok()
                && sale.known_at < event.at - TimeDelta::days(1)
                && sale.seen_at < event.at - TimeDelta::days(1)
                && sale.taken.iter().any(|taken| taken.amount > 0 && is_soon(taken.from))
        });
        if let Some((sale, _)) = found.filter(|_| event.kind == Kind::RefundCreated) {
            return (place, sale.refs[0].clone());
        }
    }
    panic!("nothing is refunded at the end: take another seed");
}

/// What people enter, before everything.
async fn set_up(world: &World, merchant: &Business) {
    world.apply(&merchant.program_toml).await;
    let file = |key: &str, email: &str| {
        let payout = Some(PayoutMethod { method: Method::Csv, account: None, currency: None });
        let profile = Profile { email: Some(email.to_owned()), payout, ..Profile::default() };
        Change::Partner { partner: key.to_owned(), profile }
    };
    world.enter(&[file("bolt", "bolt@partners.example.com"), file("delta", "delta@partners.example.com")]).await;
    let mut session = world.session().await;
    let account = Map::from_iter([("account".to_owned(), json!("acct_first"))]);
    workspaces::update(&mut session.desk().await.unwrap(), &account).await.unwrap();
    workspaces::create_for(&mut session, "shop-eu", Some("acct_second")).await.unwrap();
    workspaces::add_secret(&mut session, "whsec_of_the_first_release", None).await.unwrap();
    workspaces::add_secret(&mut session, "whsec_rotated", Some(TimeDelta::days(1))).await.unwrap();
    for (name, role, mode) in [("office", Role::Admin, Mode::Live), ("report", Role::Read, Mode::Test)] {
        keys::create(&mut session, name, role, mode).await.unwrap();
    }
    let new = links::NewLink {
        link: Some("spring"),
        partner: "acme",
        program: None,
        target: "https://shop.example.com/spring",
    };
    links::create(&mut session, &new).await.unwrap();
    let named = |partner: &str| Named { partner: partner.to_owned(), program: None };
    for (id, partner) in [(None, "acme"), (Some("click-of-another-tool"), "bolt")] {
        let click = NewClick::new(id, named(partner), None, session.now).unwrap();
        admin::clicks::enter(&mut session, &click).await.unwrap();
    }
    let asked = leads::Asked {
        email: Some("somebody@nowhere.example.com"),
        customer_key: None,
        partner_key: Some("acme"),
        click_id: None,
        link: None,
        program: None,
        from: None,
    };
    leads::create(&mut session, &asked).await.unwrap();
    let rates = ecb::read(b"Date,USD,JPY\n2026-03-27,1.1572,160.25\n").unwrap();
    admin::fx::import(&mut session, &rates, "ECB").await.unwrap();
    admin::onboarding::open(&mut session, "acme").await.unwrap();
    let url = "https://bridge.example.com/webhooks/stripe/default";
    let endpoint = Endpoint::to_make(Mode::Live, false, url, None, "endpoint/1".to_owned(), session.now);
    stripe_endpoints::set_account(&mut session.tx, (world.workspace, Mode::Live), "acct_first", session.now)
        .await
        .unwrap();
    stripe_endpoints::put(&mut session.tx, world.workspace, &endpoint, session.now).await.unwrap();
    session.commit().await.unwrap();
}

/// What comes in beside the merchant's own business.
async fn oddities(world: &World) {
    let event = |id: &str, kind: &str, live: bool, object: Value| {
        json!({
            "id": id, "object": "event", "type": kind, "created": world.now().timestamp(), "livemode": live,
            "api_version": "2026-03-25.dahlia", "data": {"object": object},
        })
    };
    let mut of_another =
        event("evt_of_another", "customer.created", true, json!({"id": "cus_x", "object": "customer"}));
    of_another["account"] = json!("acct_nobodys");
    world
        .import(&[
            event("evt_broken_1", "invoice.paid", true, json!({"id": "in_x", "object": "invoice", "total": "many"})),
            event("evt_broken_2", "refund.created", true, json!({"id": 7, "object": "refund"})),
            event("evt_unknown", "treasury.thing_happened", true, json!({"id": "trs_1", "object": "thing"})),
            event("evt_test", "customer.created", false, json!({"id": "cus_t", "object": "customer"})),
            of_another,
        ])
        .await;
    world.work().await;
}

/// The end of a month: closed and approved; the first two are paid, of the others one payout is under way.
async fn month_end(world: &World, month: Month, closed: usize) {
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    let (begun, _) = closing::begin(tx, by, Mode::Live, month).await.unwrap();
    session.commit().await.unwrap();
    closing::finish(&world.db, &world.clock, &world.ledger.ids, world.workspace, &begun.batch_id).await.unwrap();
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    let (approved, _) = batch::approve(tx, by, Mode::Live, &begun.batch_id).await.unwrap();
    let is_to_be_paid = approved.status == "approved" && closed > 1;
    if is_to_be_paid {
        transfers::ask(tx, by, Mode::Live, &begun.batch_id).await.unwrap();
    } else if approved.status == "approved" {
        batch::mark_paid(tx, by, Mode::Live, &begun.batch_id, &Paid::default()).await.unwrap();
    }
    session.commit().await.unwrap();
    if is_to_be_paid {
        let mut tx = world.db.write(Urgency::Now).await.unwrap();
        let lease = Lease { by: "somebody who is gone", now: world.now(), until: world.now() + TimeDelta::minutes(2) };
        claim(&mut tx, world.workspace, &begun.batch_id, &Cursor::default(), &lease, 1).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Lives through the merchant's business until a refund that has not taken effect yet; all bodies that came later.
async fn live(world: &World) -> (Frozen, Vec<Value>) {
    let merchant = merchant();
    set_up(world, &merchant).await;
    let zone = chrono_tz::Europe::Berlin;
    let (stop, refunded) = stop(&merchant);
    let sale = merchant.books.sales().iter().find(|(sale, _)| sale.refs.contains(&refunded)).unwrap().0.clone();
    let concerns = |body: &Value| sale.refs.iter().any(|reference| body.to_string().contains(reference.as_str()));
    let mut month = Month::containing(merchant.events[0].at, zone).next();
    let (mut closed, mut unread) = (0, Vec::new());
    for place in 0..=stop {
        let at = merchant.events[place].at;
        let closes_at = month.end(zone) + TimeDelta::hours(60);
        if at > closes_at {
            world.clock.advance(closes_at - world.now());
            world.work().await;
            month_end(world, month, closed).await;
            (month, closed) = (month.next(), closed + 1);
        }
        world.clock.advance((at - world.now()).max(TimeDelta::zero()));
        let (kept, read): (Vec<Value>, Vec<Value>) =
            bodies(&merchant, place).into_iter().partition(|body| place + 15 > stop && !concerns(body));
        unread.extend(kept);
        world.import(&read).await;
        if place % 7 == 0 || place == stop {
            world.work().await;
        }
    }
    let mut session = world.session().await;
    let mut desk = session.desk().await.unwrap();
    for (kind, amount) in [(EntryKind::Bonus, 1500), (EntryKind::Adjustment, -250)] {
        let (partner, currency, note) = ("acme", "usd", "by hand");
        let new = NewAdjustment { kind, partner, program: None, amount, currency, note, available_at: None };
        create(&mut desk, &new).await.unwrap();
    }
    session.commit().await.unwrap();
    oddities(world).await;
    world.clock.advance(TimeDelta::minutes(10));
    world.work().await;
    world.import(&unread).await;
    let later = (stop + 1..merchant.events.len()).flat_map(|place| bodies(&merchant, place)).collect();
    let mut owed: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for ((partner, currency), amount) in merchant.books.owed(merchant.settled_at) {
        owed.entry(partner).or_default().insert(currency.to_string(), amount);
    }
    let (entries, digest) = ledger(world).await;
    let frozen = Frozen {
        at: world.now(),
        entries,
        ledger: digest,
        balances: balances(world).await,
        refunded,
        unread: world.count("SELECT CAST(COUNT(*) AS BIGINT) FROM unread").await,
        failed: world.count("SELECT CAST(COUNT(*) AS BIGINT) FROM unrecorded WHERE status = 3").await,
        ignored: world.count("SELECT CAST(COUNT(*) AS BIGINT) FROM unrecorded WHERE status = 2").await,
        settled_at: merchant.settled_at,
        owed,
    };
    let sending = "SELECT CAST(COUNT(*) AS BIGINT) FROM payouts WHERE status = 'sending'";
    assert!(closed > 2 && world.count(sending).await > 0, "{closed} months were closed");
    (frozen, later)
}

fn write(name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(file("")).unwrap();
    std::fs::write(file(name), zstd::encode_all(bytes, 19).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the first release ran this once"]
async fn the_first_release() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = tokio::task::spawn_blocking(move || Home::new(engine)).await.unwrap();
        let start = merchant().events[0].at - TimeDelta::days(3);
        let world = World::at(&home.url, start, Ids::counting()).await;
        let (frozen, later) = live(&world).await;
        world.db.close().await;
        let name = match engine {
            Engine::Sqlite => {
                write("ledger.db.zst", &std::fs::read(home.path("ledger.db")).unwrap());
                "sqlite.json"
            }
            Engine::Postgres => {
                let mut dump = program("pg_dump");
                dump.args(["--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges"]).arg(&home.url);
                let dumped = dump.stderr(Stdio::inherit()).output().unwrap();
                assert!(dumped.status.success());
                write("ledger.sql.zst", &dumped.stdout);
                "postgres.json"
            }
        };
        std::fs::write(file(name), format!("{}\n", serde_json::to_string_pretty(&frozen).unwrap())).unwrap();
        let later = later.iter().fold(String::new(), |all, body| all + &body.to_string() + "\n");
        write("later.jsonl.zst", later.as_bytes());
        tokio::task::spawn_blocking(move || drop(home)).await.unwrap();
    }
}
