//! `demo`: a year of sample sales, sent as signed webhooks to the real endpoint of a service on a throw-away database.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use chrono::{Datelike, NaiveDate};
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::import::progress;
use super::out::outln;
use super::serve::{Service, asked_to_stop};
use super::{Failure, apply, balances, explain, payouts, verify};
use crate::clock::Clock;
use crate::config::Secret;
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::http::Settings;
use crate::ids::Ids;
use crate::payouts::{batch, generic, rows};
use crate::program::{self, RepriceClosed};
use crate::sample::{Business, Options, Shape, business, render_all};
use crate::store::{Db, Mode};
use crate::stripe::signature::sign;

/// How many connections send webhooks side by side, as Stripe does.
const CONNECTIONS: usize = 8;
const SECRET: &str = "whsec_demo";

/// Show a year of sample sales: starts the service on a throw-away database, applies a sample program, sends a year of
/// signed webhooks to the real endpoint, and prints balances, explanations and the payout file.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge demo --keep")]
pub struct Arguments {
    /// Keep serving afterwards, to look around; prints how
    #[arg(long)]
    keep: bool,
    /// How many customers the sample merchant has
    #[arg(long, default_value_t = 60)]
    customers: usize,
    /// Another number, another business
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = Folder::new()?;
    let url = format!("sqlite://{}", folder.0.join("demo.db").display());
    let db = Db::open(&url).await?;
    let clock = Clock::machine();
    let which = Which { workspace: DEFAULT_WORKSPACE.to_owned(), mode: Some(Mode::Live) };
    let context = Context::with(db.clone(), clock.clone(), &which).await?;
    let sample = sample(arguments, clock.now());

    heading("1. A program file says who earns what");
    print_program(&sample.program_toml);
    let file = program::parse(&sample.program_toml, "sample.toml").map_err(|error| Failure::Said(error.to_string()))?;
    let count = apply::apply(&context, &file, RepriceClosed::No).await?;
    outln!("… applied: {count} changes.");

    heading("2. Stripe sends webhooks");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Failure::system("cannot listen"))?;
    let address = listener.local_addr().map_err(Failure::system("cannot listen"))?;
    let settings =
        Settings { secrets: Secret::new(SECRET), public_url: format!("http://{address}"), ..Settings::default() };
    let service = Service::start(db, clock, Ids::random(), settings, listener);
    let bodies = bodies(&sample);
    let started = Instant::now();
    send(address, &bodies, context.clock.now()).await?;
    context.catch_up().await?;
    outln!(
        "{} signed webhooks, in three API versions and every tenth one twice, went to\n\
         http://{address}/webhooks/stripe/default: stored, recorded and settled in {:.1} s.",
        bodies.len(),
        started.elapsed().as_secs_f32()
    );

    heading("3. What partners are owed (commission-bridge balances)");
    balances::print(&context, false).await?;

    heading("4. Why (commission-bridge explain REF)");
    explain_some(&context, &sample).await?;

    heading("5. Month end (commission-bridge payouts close | approve | export)");
    month_end(&context).await?;

    heading("6. Proof (commission-bridge verify)");
    let report = context.ledger().verify(context.workspace, |_| ()).await?;
    verify::print(&report, false)?;

    if arguments.keep {
        keep(&url, address).await;
    }
    service.stop().await;
    if report.is_clean() { Ok(()) } else { Err(Failure::Answered) }
}

/// A folder that goes when the demo does.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(Ids::random().next("commission-bridge-demo"));
        std::fs::create_dir(&path).map_err(Failure::system(format!("cannot make {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn heading(text: &str) {
    outln!("\n━━ {text} ━━\n");
}

/// The first program of the file; the rest is more of the same.
fn print_program(toml: &str) {
    let second = toml.match_indices("[[program]]").nth(1).map_or(toml.len(), |(at, _)| at);
    outln!("{}\n…", toml[..second].trim_end());
}

/// A business that began a year ago.
fn sample(arguments: &Arguments, now: Time) -> Business {
    let year_ago = NaiveDate::from_ymd_opt(now.year() - 1, now.month(), 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    let start = year_ago.map_or(now, |start| start.and_utc());
    let options = Options { customers: arguments.customers.max(10), months: 12, start, ..Options::new(arguments.seed) };
    business(&options)
}

/// The events as Stripe sends them: customer by customer in one of three API versions, every tenth one twice.
fn bodies(sample: &Business) -> Vec<Vec<u8>> {
    let shapes = [Shape::Legacy, Shape::Hybrid, Shape::New];
    let mut bodies = Vec::new();
    for (index, event) in sample.events.iter().enumerate() {
        for body in render_all(event, shapes[index % 3]) {
            let body = body.to_string().into_bytes();
            if index % 10 == 0 {
                bodies.push(body.clone());
            }
            bodies.push(body);
        }
    }
    bodies
}

async fn send(address: SocketAddr, bodies: &[Vec<u8>], now: Time) -> Result<(), Failure> {
    let bar = progress(Some(bodies.len() as u64), "sending");
    let mut tasks = JoinSet::new();
    for lane in 0..CONNECTIONS {
        let bodies: Vec<Vec<u8>> = bodies.iter().skip(lane).step_by(CONNECTIONS).cloned().collect();
        let bar = bar.clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for body in bodies {
                connection.post(body, now).await?;
                bar.inc(1);
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Failure::Said(error.to_string()))??;
    }
    bar.finish_and_clear();
    Ok(())
}

struct Connection {
    address: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(Failure::system("cannot connect"))?;
        let said = |error: hyper::Error| Failure::Said(format!("cannot connect: {error}"));
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    async fn post(&mut self, body: Vec<u8>, now: Time) -> Result<(), Failure> {
        let said = |error: &dyn std::fmt::Display| Failure::Said(format!("a webhook could not be sent: {error}"));
        let signature = sign(SECRET, now.timestamp(), &body);
        let request = Request::post("/webhooks/stripe/default")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("stripe-signature", signature)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| said(&error))?;
        let response = self.sender.send_request(request).await.map_err(|error| said(&error))?;
        let status = response.status();
        response.into_body().collect().await.map_err(|error| said(&error))?;
        if status.is_success() { Ok(()) } else { Err(said(&format!("it was answered with {status}"))) }
    }
}

/// One credited, one partly refunded, one refunded and one refused payment.
async fn explain_some(context: &Context, sample: &Business) -> Result<(), Failure> {
    let now = context.clock.now();
    let payments = sample.books.payments(now);
    let sales = sample.books.sales();
    let has_ref = |index: usize| payments[index].refs.iter().find(|id| id.starts_with("in_")).cloned();
    let is_partly_refunded = |index: usize| {
        payments[index].code == Some("credited")
            && sales.iter().any(|(sale, _)| sale.refs == payments[index].refs && !sale.taken.is_empty())
    };
    let first = |wanted: &dyn Fn(usize) -> bool| (0..payments.len()).filter(|&index| wanted(index)).find_map(has_ref);
    let some = [
        first(&|index| payments[index].code == Some("credited") && !is_partly_refunded(index)),
        first(&is_partly_refunded),
        first(&|index| payments[index].code == Some("refunded")),
        first(&|index| payments[index].code == Some("months_exhausted"))
            .or_else(|| first(&|index| payments[index].code == Some("partner_unknown"))),
    ];
    for (index, reference) in some.into_iter().flatten().enumerate() {
        if index > 0 {
            outln!("\n───");
        }
        explain::print(context, &reference, false).await?;
    }
    Ok(())
}

/// Closes the last full month, approves it and prints the payout file.
async fn month_end(context: &Context) -> Result<(), Failure> {
    let zone = context.terms().await?.current_settings().time_zone;
    let month = Month::containing(context.clock.now(), zone).previous();
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let (batch, _) = batch::close(tx, by, context.mode, month).await?;
    let (batch, _) = batch::approve(tx, by, context.mode, &batch.batch_id).await?;
    session.commit().await?;
    payouts::show(context, &batch, false).await?;
    outln!("\nThe payout file (payouts export {month} --format generic):\n");
    let mut tx = context.db.read().await?;
    let rows = crate::store::payouts::of_batch(&mut tx, context.workspace, &batch.batch_id).await?;
    generic::write(&rows::generic_rows(&batch, &rows)?, std::io::stdout()).map_err(Failure::system("cannot write"))
}

async fn keep(url: &str, address: SocketAddr) {
    outln!(
        "\nThe service stays up at http://{address} until Ctrl-C. In another terminal:\n\n  \
         export DATABASE_URL={url}\n  commission-bridge balances\n  commission-bridge ledger export\n  \
         commission-bridge statements list\n"
    );
    asked_to_stop().await;
}
