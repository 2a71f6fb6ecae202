//! `serve`: webhook endpoint and workers in one process.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::context::{find_workspace, open};
use super::out::{out, outln};
use crate::clock::Clock;
use crate::config::{Config, ServeFlags};
use crate::connect::Keeper;
use crate::fetching::Fetching;
use crate::fx::daily::Daily;
use crate::fx::fetch::Fetcher;
use crate::http::{self, App, Bounds, DEFAULT_WORKSPACE, Limits, Part, Settings, Setup};
use crate::ids::Ids;
use crate::intake::clicks::Clicks;
use crate::intake::patience::Patience;
use crate::intake::{Arrivals, Inbox};
use crate::ledger::Ledger;
use crate::mail::outbox::Outbox;
use crate::mail::worker::Mailer;
use crate::paying::Paying;
use crate::privacy;
use crate::reconcile::Nightly;
use crate::store::{Db, StoreError, api_keys, webhook_secrets};
use crate::stripe::event::{OF_CONNECTED_ACCOUNTS, UNDERSTOOD};
use crate::stripe::signature::Secrets;
use crate::worker::Worker;

/// How long requests and work under way may take when the service is told to stop.
const PATIENCE: Duration = Duration::from_secs(8);

/// Run the service. No set-up is needed: it makes the database and the workspace `default`, and prints what to do next.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  STRIPE_WEBHOOK_SECRET=whsec_… commission-bridge serve --listen 0.0.0.0:8080")]
pub struct Arguments {
    #[command(flatten)]
    pub flags: ServeFlags,
    /// Be one half of the service, where several processes share a `PostgreSQL`
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
}

/// A service that runs in this process.
pub struct Service {
    stop: CancellationToken,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    writer: tokio::task::JoinHandle<()>,
    click_writers: tokio::task::JoinSet<()>,
    beside: tokio::task::JoinSet<()>,
}

impl Service {
    /// Starts the endpoint and the workers.
    pub fn start(db: Db, clock: Clock, ids: Ids, settings: Settings, listener: TcpListener) -> Self {
        let stop = CancellationToken::new();
        let arrivals = Arc::new(Arrivals::default());
        let (inbox, writer) = Inbox::start(db.clone(), clock.clone(), arrivals.clone());
        let worker = Worker::new(Ledger { db: db.clone(), clock: clock.clone(), ids: ids.clone() }, arrivals);
        let (clicks, click_writers) = Clicks::start(&db, &clock, &ids, &worker.waker());
        let paying = Paying::new(db.clone(), clock.clone(), ids.clone(), settings.stripe.clone());
        let fetching = Fetching {
            db: db.clone(),
            inbox: inbox.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            keys: settings.stripe.clone(),
            polls: settings.sync,
            patience: Patience::machine(),
        };
        let works = settings.only != Some(Part::Http);
        let app = App::new(db, (inbox, clicks), settings, clock, ids, worker.waker());
        let mut beside = tokio::task::JoinSet::new();
        if works {
            let (worker_stop, pay_stop) = (stop.clone(), stop.clone());
            beside.spawn(fetching.run(stop.clone()));
            beside.spawn(async move { Box::pin(worker.run(worker_stop)).await });
            beside.spawn(async move { paying.run(pay_stop).await });
        }
        let http_stop = stop.clone();
        Self {
            http: tokio::spawn(http::serve(
                app,
                listener,
                Bounds::default(),
                async move { http_stop.cancelled().await },
            )),
            writer,
            click_writers,
            beside,
            stop,
        }
    }

    /// Has something further done until the service ends.
    pub fn beside<W: Future<Output = ()> + Send + 'static>(&mut self, work: impl FnOnce(CancellationToken) -> W) {
        self.beside.spawn(work(self.stop.clone()));
    }

    /// Sends mail, too.
    pub fn send_mail(&mut self, mailer: Mailer) {
        self.beside(|stop| async move { mailer.run(stop).await });
    }

    /// Waits until the endpoint ends by itself, which it does only when something is wrong.
    pub async fn failed(&mut self) -> std::io::Result<()> {
        (&mut self.http).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Takes no more requests, finishes those under way and whatever was acknowledged, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        let all = async {
            let _ = self.http.await;
            let _ = self.writer.await;
            self.click_writers.join_all().await;
            self.beside.join_all().await;
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("some connections did not end in time; everything acknowledged is stored");
        }
    }
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let (stripe, only) = (config.stripe()?, arguments.only);
    if only.is_some() && config.database_url.starts_with("sqlite:") {
        let why =
            "--only: processes that share the work share a PostgreSQL; a SQLite file is for one that does all of it";
        return Err(Failure::Usage(why.to_owned()));
    }
    let db = open(config).await?;
    keep_secrets(&db).await?;
    let clock = Clock::machine();
    find_workspace(&db, &clock, DEFAULT_WORKSPACE).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(Failure::system(format!("cannot listen on {} (LISTEN)", config.listen)))?;
    let address = listener.local_addr().map_err(Failure::system("cannot listen"))?;
    // Port 0 means any: say which.
    let asked = format!("http://{}", config.listen);
    let url = if config.public_url == asked { format!("http://{address}") } else { config.public_url.clone() };
    let secrets = config.stripe_webhook_secret.clone().unwrap_or_default();
    let ids = Ids::random();
    let outbox = Outbox::configured(config, &db, &clock, &ids)?;
    let stopping = asked_to_stop();
    let token = if only == Some(Part::Worker) {
        outln!("commission-bridge works. Webhooks are for processes that `serve --only http`.\n\n       {url}/healthz");
        None
    } else {
        let token = first_key_token(&db, &clock, &ids).await?;
        out!("{}", welcome(&url, Secrets::parse(secrets.reveal()).is_empty(), token.as_deref()));
        token
    };
    let setup = token.map(|token| Setup::open(&token, clock.now())).unwrap_or_default();
    let limits = Limits::per_second(config.api_rate_limit);
    let rates = config.fx_url.clone().map(|url| Daily {
        db: db.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        url,
        fetcher: Fetcher::default(),
    });
    let keeper = Keeper { db: db.clone(), clock: clock.clone(), ids: ids.clone(), keys: stripe.clone() };
    let erasing = privacy::Keeper { ledger: Ledger { db: db.clone(), clock: clock.clone(), ids: ids.clone() } };
    let nightly = Nightly { db: db.clone(), clock: clock.clone(), keys: stripe.clone(), patience: Patience::machine() };
    let settings = Settings { only, secrets, limits, public_url: url, setup, stripe, sync: config.sync };
    let mailer = Mailer::new(db.clone(), clock.clone(), ids.clone(), outbox);
    let mut service = Service::start(db, clock, ids, settings, listener);
    if only != Some(Part::Http) {
        service.send_mail(mailer);
        service.beside(|stop| keeper.run(stop));
        service.beside(|stop| erasing.run(stop));
        service.beside(|stop| nightly.run(stop));
        if let Some(rates) = rates {
            service.beside(|stop| async move { rates.run(stop).await });
        }
    }
    tracing::info!(%address, "serving");
    tokio::select! {
        ended = service.failed() => ended.map_err(Failure::system("the webhook endpoint ended"))?,
        () = stopping => {
            tracing::info!("stopping");
            service.stop().await;
        }
    }
    Ok(())
}

/// Has the secrets in the database kept as the configuration says, and refuses to serve with some that nobody can read.
async fn keep_secrets(db: &Db) -> Result<(), StoreError> {
    let changed = webhook_secrets::keep_as(db, db.vault()).await?;
    if changed > 0 {
        tracing::info!(secrets = changed, "secrets in the database are encrypted under the first SECRETS_KEY now");
    }
    let mut tx = db.read().await?;
    let stored = webhook_secrets::of_everybody(&mut tx).await?.len();
    if db.vault().is_empty() && stored > 0 {
        tracing::warn!(
            "webhook secrets are kept in the database as they are: set SECRETS_KEY (`commission-bridge secrets new-key` \
             makes one) to have them encrypted"
        );
    }
    tx.rollback().await
}

/// SIGTERM or Ctrl-C, from the call on: whoever is told to stop while starting stops in order, too.
pub fn asked_to_stop() -> impl Future<Output = ()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            return drop(tokio::signal::ctrl_c().await);
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// A token for the link to the first key, where there is no key yet.
async fn first_key_token(db: &Db, clock: &Clock, ids: &Ids) -> Result<Option<String>, Failure> {
    let workspace = find_workspace(db, clock, DEFAULT_WORKSPACE).await?;
    let mut tx = db.read().await?;
    if !api_keys::all(&mut tx, workspace).await?.is_empty() {
        return Ok(None);
    }
    ids.secret().map(Some).map_err(|error| Failure::Said(error.to_string()))
}

/// What to do next, for whoever starts it the first time.
fn welcome(url: &str, no_secret: bool, token: Option<&str>) -> String {
    let mut events = String::new();
    let own: Vec<&str> = UNDERSTOOD.iter().copied().filter(|kind| !OF_CONNECTED_ACCOUNTS.contains(kind)).collect();
    for line in wrap(&own, 92) {
        events.push_str("       ");
        events.push_str(&line);
        events.push('\n');
    }
    let secret = if no_secret {
        "     No signing secret is set yet: webhooks are answered with 503 until it is.\n"
    } else {
        "     A signing secret is set.\n"
    };
    let link = token.map(|token| {
        format!("\n     or open this link, which works once, for an hour:\n\n       {url}/setup/{token}\n")
    });
    let link = link.unwrap_or_default();
    format!(
        "commission-bridge serves workspace `default`.\n\n\
         1. Connect it to Stripe: this makes the webhook endpoint and keeps its secret:\n\n       \
         STRIPE_API_KEY=rk_live_… PUBLIC_URL={url} commission-bridge stripe connect\n\n   \
         Or, by hand, in Stripe (Developers, Webhooks) add an endpoint with this URL:\n\n       \
         {url}/webhooks/stripe/default\n\n   \
         and these events:\n\n{events}\n   \
         To pay partners by Stripe, add another with the same URL for events of connected accounts, and these:\n\n       \
         {}\n\n   \
         Start again with the endpoints' signing secrets, a comma between them: STRIPE_WEBHOOK_SECRET=whsec_…\n{secret}\n\
         2. Say who earns what, in a program file:\n\n       \
         commission-bridge apply program.toml\n\n\
         3. See what comes of it:\n\n       \
         commission-bridge events list\n       \
         commission-bridge balances\n       \
         commission-bridge explain in_…\n\n\
         4. Make the first key for the JSON API, whose reference is at {url}/docs:\n\n       \
         commission-bridge api-key create --name NAME --role admin\n{link}\n",
        OF_CONNECTED_ACCOUNTS.join(", "),
    )
}

fn wrap(words: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 2 <= width => {
                line.push_str(", ");
                line.push_str(word);
            }
            _ => lines.push((*word).to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_says_what_to_do() {
        insta::assert_snapshot!(welcome("https://bridge.example.com", true, Some("TOKEN")));
    }
}
