//! How long it takes to queue and to send the statements of a large month, and how much memory. The command is a process
//! of its own, as is the mail server (Python: it is what limits the rate; it takes one connection's mails in turn).
//!
//! ```text
//! cargo bench --bench mail -- sqlite 10000
//! TEST_POSTGRES_OPTIONS="-c fsync=on" bash tests/run.sh cargo bench --bench mail -- postgres 10000
//! ```

#![allow(clippy::cast_precision_loss, clippy::unwrap_used)] // figures

#[path = "../tests/support/smtp.rs"]
mod smtp;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use commission_bridge::admin::Session;
use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::entry::{Component, EntryKind};
use commission_bridge::domain::netting::Period;
use commission_bridge::domain::statement::{Frozen, Line, Making, Statement};
use commission_bridge::domain::terms::{Change, MailSettings, Profile, Settings};
use commission_bridge::ids::Ids;
use commission_bridge::payouts::batch;
use commission_bridge::store::changes::{self, Entering, Keyed};
use commission_bridge::store::statements::{self, NewStatement};
use commission_bridge::store::{Db, Mode, Urgency, WorkspaceId, workspaces};
use smtp::MailServer;
use sqlx::{Connection as _, Executor as _};

/// Lines of each statement.
const LINES: usize = 50;
const MONTH: &str = "2026-10";

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let count: usize = arguments.next().map_or(10_000, |count| count.parse().expect("a number of statements"));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let url = runtime.block_on(async {
        let url = match engine.as_str() {
            "postgres" => fresh_postgres().await,
            _ => format!("sqlite://{}", folder.path().join("bench.db").display()),
        };
        fill(&url, count).await;
        url
    });
    // Nobody is there: the mails are queued, and wait.
    let nobody = "smtp://127.0.0.1:9";
    let (queueing, _) = send(&url, nobody);
    let server = MailServer::with(&["--only-count"]);
    let (sending, memory) = send(&url, &server.url());
    let taken = server.finish();
    println!("{engine}: {count} statements of {LINES} lines");
    println!("  queued in {:.2} s", queueing.as_secs_f64());
    let rate = taken as f64 / sending.as_secs_f64();
    println!("  {taken} sent in {:.1} s, {rate:.0} a second, at most {memory} MB", sending.as_secs_f64());
}

/// Runs the command; how long it took, and how much memory in megabytes.
fn send(database: &str, server: &str) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_commission-bridge"))
        .args(["statements", "send", "--month", MONTH, "--mode", "live", "--json"])
        .envs([("DATABASE_URL", database), ("SMTP_URL", server), ("SMTP_RATE", "0")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().split(' ').next()).and_then(|kilobytes| kilobytes.parse().ok());
        most = peak.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(10));
    }
    (begun.elapsed(), most / 1024)
}

async fn fresh_postgres() -> String {
    let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL: see tests/run.sh");
    let name = format!("bench_{}", std::process::id());
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// A month that is closed and approved, with a statement for each partner.
async fn fill(url: &str, count: usize) {
    let (db, clock, ids) = (Db::open(url).await.unwrap(), Clock::machine(), Ids::random());
    let mut tx = db.write(Urgency::Now).await.unwrap();
    let workspace = workspaces::ensure(&mut tx, "default", clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    partners(&db, &clock, &ids, workspace, count).await;
    let book = (workspace, Mode::Live);
    let mut session = Session::begin(&db, &clock, &ids, book, "bench".to_owned()).await.unwrap();
    let (tx, by) = session.parts();
    batch::close(tx, by, Mode::Live, MONTH.parse().unwrap()).await.unwrap();
    let (batch, _) = batch::approve(tx, by, Mode::Live, MONTH).await.unwrap();
    session.commit().await.unwrap();
    let month: Month = MONTH.parse().unwrap();
    let period = Period::of(month, chrono_tz::UTC);
    for first in (0..count).step_by(200) {
        let statement = |number: usize| NewStatement {
            batch_id: batch.batch_id.clone(),
            frozen: Frozen::new(statement(number, month, period, batch.cut_off())).unwrap(),
            created_at: batch.closed_at(),
        };
        let new: Vec<NewStatement> = (first..count.min(first + 200)).map(statement).collect();
        let mut tx = db.write(Urgency::Now).await.unwrap();
        statements::insert(&mut tx, workspace, Mode::Live, &new).await.unwrap();
        tx.commit().await.unwrap();
    }
    db.close().await;
}

async fn partners(db: &Db, clock: &Clock, ids: &Ids, workspace: WorkspaceId, count: usize) {
    let mail = MailSettings { from: Some("Acme <partners@shop.example>".to_owned()), ..MailSettings::default() };
    let settings = Settings { mail, ..Settings::default() };
    let mut keyed: Vec<Keyed> = vec![("settings/1".to_owned(), Change::Settings { from: None, settings })];
    keyed.extend((0..count).map(|number| {
        let (key, name) = (partner_key(number), format!("Partner {number}"));
        let profile = Profile { name, email: Some(format!("{key}@partner.example")), ..Profile::default() };
        (format!("partner/{key}"), Change::Partner { partner: key, profile })
    }));
    let mut tx = db.write(Urgency::Now).await.unwrap();
    let mut terms = changes::terms_for_change(&mut tx, workspace).await.unwrap();
    let entering = Entering { workspace, author: "bench", now: clock.now(), ids };
    changes::append(&mut tx, &entering, &mut terms, &keyed).await.unwrap();
    tx.commit().await.unwrap();
}

fn partner_key(number: usize) -> String {
    format!("partner-{number:05}")
}

fn statement(number: usize, month: Month, period: Period, cut_off: Time) -> Statement {
    let line = |of: usize| Line {
        entry: format!("ent_{number:016}{of:016}"),
        date: period.start + TimeDelta::hours(i64::try_from(of * 14).unwrap()),
        booked_at: period.start + TimeDelta::hours(i64::try_from(of * 14 + 1).unwrap()),
        hold_until: period.start + TimeDelta::days(30),
        kind: EntryKind::Accrual,
        component: Component::Direct,
        amount: 1_980 + i64::try_from(of).unwrap(),
        program: Some("saas".to_owned()),
        payment: Some(format!("pay_{number:016}{of:016}")),
        payment_kind: Some("recurring".to_owned()),
        product: Some("Pro, monthly".to_owned()),
        customer: Some(format!("Customer {}", of * 7919 % 1000)),
        base: Some(9_900),
        rate: Some("20%".to_owned()),
        payout: None,
        reason: None,
        note: None,
    };
    let key = partner_key(number);
    Statement::make(Making {
        statement: format!("st_{number:032}"),
        workspace: "default",
        mode: "live",
        month,
        time_zone: chrono_tz::UTC,
        period,
        cut_off,
        partner: &key,
        partner_name: &format!("Partner {number}"),
        currency: "usd".parse().unwrap(),
        previous: None,
        payouts: Vec::new(),
        lines: (0..LINES).map(line).collect(),
        refused: Vec::new(),
    })
    .unwrap()
}
