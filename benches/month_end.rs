//! What a large month's end takes, in time and memory: closing it (payouts, statements), approving it, its files, and
//! sending every partner a statement. Each step is the command that people run, a process of its own; so is the mail
//! server (Python, one connection: it takes part of the time of sending).
//!
//! ```text
//! cargo bench --bench month_end -- sqlite 10000 1000000
//! TEST_POSTGRES_OPTIONS="-c fsync=on" bash tests/run.sh cargo bench --bench month_end -- postgres 10000 1000000
//! ```

#![allow(clippy::cast_precision_loss, clippy::unwrap_used)] // figures

#[path = "../tests/support/smtp.rs"]
mod smtp;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use commission_bridge::domain::decision::{Code, Decision};
use commission_bridge::domain::entry::{Component, EntryKind};
use commission_bridge::domain::terms::{Change, Kind, MailSettings, Method, PayoutMethod, Profile, Settings};
use commission_bridge::ids::Ids;
use commission_bridge::store::changes::{self, Entering, Keyed};
use commission_bridge::store::entries::{self, Entry};
use commission_bridge::store::payments::{self, Payment};
use commission_bridge::store::{Db, Mode, Urgency, WorkspaceId, workspaces};
use smtp::MailServer;
use sqlx::{Connection as _, Executor as _};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MONTH: &str = "2026-10";
/// Entries that are appended at a time.
const PART: usize = 5_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let mut number = |usual: usize| arguments.next().map_or(usual, |text| text.parse().expect("a number"));
    let (partners, entries) = (number(10_000), number(1_000_000));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let url = runtime.block_on(async {
        let url = match engine.as_str() {
            "postgres" => fresh_postgres().await,
            _ => format!("sqlite://{}", folder.path().join("bench.db").display()),
        };
        let begun = Instant::now();
        fill(&url, partners, entries).await;
        println!("{engine}: {partners} partners, {entries} entries (made in {:.0} s)", begun.elapsed().as_secs_f64());
        url
    });
    println!("{:<44} {:>9} {:>9}", "", "seconds", "peak MB");
    let server = MailServer::with(&["--only-count"]);
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let generic = files.join("generic.csv");
    let (generic, files) = (generic.to_str().unwrap(), files.to_str().unwrap());
    for (what, arguments) in [
        ("close: payouts and statements", vec!["payouts", "close", "--month", MONTH]),
        ("approve", vec!["payouts", "approve", MONTH]),
        ("export, generic", vec!["payouts", "export", MONTH, "--format", "generic", "--output", generic]),
        ("export, PayPal, first time", vec!["payouts", "export", MONTH, "--format", "paypal", "--output", files]),
        ("export, PayPal, again", vec!["payouts", "export", MONTH, "--format", "paypal", "--output", files]),
        ("statements: queue, render, send", vec!["statements", "send", "--month", MONTH]),
        ("mark the rest as paid", vec!["payouts", "mark-paid", MONTH]),
    ] {
        let (took, memory) = run(&url, &server.url(), &arguments);
        println!("{what:<44} {:>9.1} {memory:>9}", took.as_secs_f64());
    }
    println!("{} mails arrived", server.finish());
}

/// Runs a command; how long it took, and how much memory in megabytes.
fn run(database: &str, mail: &str, arguments: &[&str]) -> (Duration, u64) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_commission-bridge"))
        .args(arguments)
        .args(["--mode", "live"])
        .envs([("DATABASE_URL", database), ("SMTP_URL", mail), ("SMTP_RATE", "0")])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().split(' ').next()).and_then(|kilobytes| kilobytes.parse().ok());
        most = peak.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(ended.success(), "{arguments:?}");
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

fn key(number: usize) -> String {
    format!("partner-{number:05}")
}

/// October: partners, and their sales, one payment and one entry each.
async fn fill(url: &str, partners: usize, entries: usize) {
    let (db, clock, ids) = (Db::open(url).await.unwrap(), Clock::machine(), Ids::random());
    let mut tx = db.write(Urgency::Now).await.unwrap();
    let workspace = workspaces::ensure(&mut tx, "default", clock.now()).await.unwrap();
    let mut terms = changes::terms_for_change(&mut tx, workspace).await.unwrap();
    let entering = Entering { workspace, author: "bench", now: clock.now(), ids: &ids };
    changes::append(&mut tx, &entering, &mut terms, &entered(partners)).await.unwrap();
    tx.commit().await.unwrap();
    let start: Time = "2026-10-01T00:00:00Z".parse().unwrap();
    let step = TimeDelta::days(30) / i32::try_from(entries).unwrap();
    for first in (0..entries).step_by(PART) {
        let sales = (first..entries.min(first + PART)).map(|number| {
            let at = start + step * i32::try_from(number).unwrap();
            sale(&ids, number, &key(number % partners), at)
        });
        let (payments, booked): (Vec<Payment>, Vec<Entry>) = sales.unzip();
        append(&db, workspace, &payments, &booked).await;
        db.grown_by(PART).await;
    }
    db.close().await;
}

async fn append(db: &Db, workspace: WorkspaceId, payments: &[Payment], booked: &[Entry]) {
    let mut tx = db.write(Urgency::Now).await.unwrap();
    payments::upsert(&mut tx, workspace, payments).await.unwrap();
    entries::append(&mut tx, workspace, booked).await.unwrap();
    tx.commit().await.unwrap();
}

fn entered(partners: usize) -> Vec<Keyed> {
    let settings = Settings {
        mail: MailSettings { from: Some("Acme <partners@acme.example>".to_owned()), ..MailSettings::default() },
        ..Settings::default()
    };
    let partner = |number: usize| {
        let email = format!("{}@example.com", key(number));
        let payout = PayoutMethod { method: Method::Paypal, account: Some(email.clone()), currency: None };
        let name = format!("Partner {number}");
        let profile = Profile { name, email: Some(email), payout: Some(payout), ..Profile::default() };
        (format!("partner/{number}"), Change::Partner { partner: key(number), profile })
    };
    let settings = ("settings".to_owned(), Change::Settings { from: None, settings });
    std::iter::once(settings).chain((0..partners).map(partner)).collect()
}

fn sale(ids: &Ids, number: usize, partner: &str, at: Time) -> (Payment, Entry) {
    let payment_id = ids.next("pay");
    let reference = format!("in_{number:07}");
    let paid = 2_000 + i64::try_from(number % 7_919).unwrap();
    let usd = "usd".parse().unwrap();
    let decision = Decision {
        via: None,
        takings: Vec::new(),
        references: vec![reference.clone()],
        reference,
        customer: Some(format!("cus_{:06}", number / 3)),
        kind: if number.is_multiple_of(3) { Kind::First } else { Kind::Recurring },
        paid_at: at,
        currency: usd,
        paid,
        taken_back: 0,
        code: Code::Credited,
        partner: Some(partner.to_owned()),
        program: Some("saas".to_owned()),
        version: Some(1),
        amount: paid / 5,
        base: paid,
        rate: Some("20 %".to_owned()),
        product: Some("prod_pro".to_owned()),
        steps: Vec::new(),
        shares: Vec::new(),
        trace: Vec::new(),
    };
    let payment = Payment::decided(payment_id.clone(), &format!("cust_{:06}", number / 3), Mode::Live, &decision, at);
    let entry = Entry {
        entry_id: ids.next("ent"),
        mode: Mode::Live,
        kind: EntryKind::Accrual,
        partner: partner.to_owned(),
        program: decision.program,
        component: Component::Direct,
        revision: 1,
        payment_id: Some(payment_id),
        amount: paid / 5,
        currency: usd,
        occurred_at: at,
        booked_at: at,
        // Nine in ten can be paid out in this month.
        available_at: if number.is_multiple_of(10) { at + TimeDelta::days(30) } else { at },
        event_id: None,
        payout_id: None,
        reason: Some("payment".to_owned()),
    };
    (payment, entry)
}
