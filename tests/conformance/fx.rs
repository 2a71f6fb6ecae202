//! Exchange rates: entered once and never changed; fetched once a day from a server that may be away, slow or wrong.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use commission_bridge::admin::{Refused, fx};
use commission_bridge::fx::daily::{Daily, Round, RoundError};
use commission_bridge::fx::fetch::{FetchError, Fetcher};
use commission_bridge::fx::{ECB, ecb};
use commission_bridge::store::fx_rates;
use tokio::net::TcpListener;

use crate::harness::World;

crate::on_both_engines!(known_rates_never_change, rates_are_fetched_once_a_day, every_workspace_has_its_rates);

async fn import(world: &World, text: &str, source: &str) -> Result<fx::Imported, Refused> {
    let mut session = world.session().await;
    let imported = fx::import(&mut session, &ecb::read(text.as_bytes()).unwrap(), source).await?;
    session.commit().await.unwrap();
    Ok(imported)
}

async fn last_day(world: &World) -> Option<String> {
    let mut tx = world.db.read().await.unwrap();
    fx_rates::last_day(&mut tx, world.workspace).await.unwrap().map(|day| day.to_string())
}

async fn known_rates_never_change(world: &World) {
    world.clock.advance(chrono::TimeDelta::days(33));
    let file = "Date,USD,GBP\n2026-10-30,1.1572,0.87\n2026-10-29,1.16,N/A\n";
    let told = |imported: fx::Imported| (imported.new, imported.known);
    assert_eq!(told(import(world, file, ECB).await.unwrap()), (3, 0));
    assert_eq!(told(import(world, file, "own").await.unwrap()), (0, 3), "the same, whoever says it");
    let more = "Date,USD,GBP,JPY\n2026-10-30,1.15720,0.8700,178.31\n";
    assert_eq!(told(import(world, more, ECB).await.unwrap()), (1, 2));
    let other = "Date,USD,CHF\n2026-10-30,1.2,0.93\n";
    let refused = import(world, other, ECB).await.unwrap_err().to_string();
    assert!(refused.contains("usd on 2026-10-30 is 1.1572 by ecb, and 1.2 in the file"), "{refused}");
    assert_eq!(world.count("SELECT COUNT(*) FROM fx_rates").await, 4, "all or nothing");
    let early = import(world, "Date,USD\n2026-11-05,1.2\n", ECB).await.unwrap_err().to_string();
    assert!(early.contains("2026-11-05 is a day to come"), "{early}");
    for source in ["", "a\nb"] {
        assert!(import(world, file, source).await.is_err());
    }
    let mut tx = world.db.read().await.unwrap();
    let sunday = "2026-11-01".parse().unwrap();
    let rates = fx_rates::latest(&mut tx, world.workspace, sunday).await.unwrap();
    let rate = rates.rate("usd".parse().unwrap(), "jpy".parse().unwrap(), sunday).unwrap();
    assert_eq!((rate.rate.to_string(), rate.day.to_string()), ("154.0874525".to_owned(), "2026-10-30".to_owned()));
    let later = fx_rates::latest(&mut tx, world.workspace, "2026-11-07".parse().unwrap()).await.unwrap();
    assert!(later.is_empty());
    assert_eq!(world.count("SELECT COUNT(*) FROM audit_log WHERE action = 'fx_rates.entered'").await, 2);
}

/// What a server answers, by path, and what it was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<(&'static str, Answer)>>,
    asked: Mutex<Vec<String>>,
}

#[derive(Clone)]
enum Answer {
    File(String),
    Status(u16),
    Elsewhere(&'static str),
    /// It answers and sends nothing.
    Never,
    Endless,
}

impl Script {
    fn says(&self, answers: &[(&'static str, Answer)]) {
        *self.answers.lock().unwrap() = answers.to_vec();
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn answer(State(script): State<Arc<Script>>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    script.asked.lock().unwrap().push(path.clone());
    let answer =
        script.answers.lock().unwrap().iter().find(|(at, _)| path.ends_with(at)).map(|(_, answer)| answer.clone());
    let stream = |chunk: bytes::Bytes, again: bool| {
        let chunks = Endless { chunk, again };
        Response::new(Body::new(chunks))
    };
    match answer {
        Some(Answer::File(text)) => Response::new(Body::from(text)),
        Some(Answer::Status(status)) => Response::builder().status(status).body(Body::empty()).unwrap(),
        Some(Answer::Elsewhere(to)) => {
            Response::builder().status(302).header("location", to).body(Body::empty()).unwrap()
        }
        Some(Answer::Never) => stream(bytes::Bytes::new(), false),
        Some(Answer::Endless) => stream(bytes::Bytes::from(vec![b' '; 1 << 20]), true),
        None => Response::builder().status(404).body(Body::empty()).unwrap(),
    }
}

/// A body that never ends.
struct Endless {
    chunk: bytes::Bytes,
    again: bool,
}

impl axum::body::HttpBody for Endless {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Infallible>>> {
        if self.again {
            std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(self.chunk.clone()))))
        } else {
            std::task::Poll::Pending
        }
    }
}

async fn server() -> (Arc<Script>, String) {
    let script = Arc::new(Script::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (script, base)
}

fn daily(world: &World, base: &str, patience: Duration) -> Daily {
    Daily {
        db: world.db.clone(),
        clock: world.clock.clone(),
        ids: world.ledger.ids.clone(),
        url: format!("{base}/stats/eurofxref-daily.xml"),
        fetcher: Fetcher::with_patience(patience),
    }
}

fn rates_of(day: &str) -> Answer {
    Answer::File(format!(
        "<E:Envelope><Cube><Cube time='{day}'><Cube currency='USD' rate='1.1572'/></Cube></Cube></E:Envelope>"
    ))
}

async fn rates_are_fetched_once_a_day(world: &World) {
    let (script, base) = server().await;
    let rounds = daily(world, &base, Duration::from_secs(20));
    // The first of October 2026 is a Thursday; at midnight Wednesday's rates are the last.
    script.says(&[("daily.xml", rates_of("2026-09-30")), ("hist-90d.xml", rates_of("2026-09-30"))]);
    assert_eq!(rounds.round().await.unwrap(), Round::Entered(1));
    assert_eq!(script.asked(), ["/stats/eurofxref-hist-90d.xml"], "nothing is known: ninety days are asked for");
    assert_eq!(rounds.round().await.unwrap(), Round::UpToDate);
    assert!(script.asked().is_empty());
    // Thursday, 16:15 in Frankfurt.
    world.clock.advance(chrono::TimeDelta::minutes(14 * 60 + 15));
    assert_eq!(rounds.round().await.unwrap(), Round::NotYet, "a holiday, or late");
    script.says(&[("daily.xml", rates_of("2026-10-01"))]);
    assert_eq!(rounds.round().await.unwrap(), Round::Entered(1));
    assert_eq!(rounds.round().await.unwrap(), Round::UpToDate);
    assert_eq!(script.asked().len(), 2);
    assert_eq!(last_day(world).await.as_deref(), Some("2026-10-01"));

    // Friday's, from a server in trouble.
    world.clock.advance(chrono::TimeDelta::days(1));
    let kind = |error: RoundError| match error {
        RoundError::Fetch(FetchError::Unreachable { .. }) => "unreachable",
        RoundError::Fetch(FetchError::Refused { .. }) => "refused",
        RoundError::Fetch(FetchError::File { .. }) => "file",
        RoundError::Refused(_) => "not entered",
        _ => "other",
    };
    for (answer, expected) in [
        (Answer::Status(503), "refused"),
        (Answer::Status(204), "refused"),
        (Answer::File("<html></html>".to_owned()), "file"),
        (Answer::File(String::new()), "file"),
        (Answer::Endless, "file"),
        (rates_of("2026-10-30"), "not entered"),
        (Answer::Elsewhere("/stats/eurofxref-daily.xml"), "unreachable"),
        (Answer::Elsewhere("ftp://elsewhere"), "refused"),
    ] {
        script.says(&[("daily.xml", answer)]);
        assert_eq!(kind(rounds.round().await.unwrap_err()), expected);
    }
    script.says(&[("daily.xml", Answer::Never)]);
    let hurried = daily(world, &base, Duration::from_millis(200));
    assert_eq!(kind(hurried.round().await.unwrap_err()), "unreachable");
    let nobody = daily(world, "http://127.0.0.1:1", Duration::from_secs(20));
    assert_eq!(kind(nobody.round().await.unwrap_err()), "unreachable");
    assert_eq!(last_day(world).await.as_deref(), Some("2026-10-01"), "nothing was entered meanwhile");
    script.says(&[("daily.xml", Answer::Elsewhere("/moved.xml")), ("moved.xml", rates_of("2026-10-02"))]);
    assert_eq!(rounds.round().await.unwrap(), Round::Entered(1));
}

async fn every_workspace_has_its_rates(world: &World) {
    // One was imported by hand, and is another: it stays.
    import(world, "Date,USD\n2026-09-30,1.2\n2026-09-29,1.2\n", "own").await.unwrap();
    let mut tx = world.db.write(commission_bridge::store::Urgency::Now).await.unwrap();
    let second = commission_bridge::store::workspaces::ensure(&mut tx, "second", world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let (script, base) = server().await;
    let rounds = daily(world, &base, Duration::from_secs(20));
    script.says(&[("hist-90d.xml", rates_of("2026-09-30"))]);
    assert_eq!(rounds.round().await.unwrap(), Round::Entered(1));
    let mut tx = world.db.read().await.unwrap();
    let day = "2026-09-30".parse().unwrap();
    let first = fx_rates::of_day(&mut tx, world.workspace, day).await.unwrap();
    let second = fx_rates::of_day(&mut tx, second, day).await.unwrap();
    assert_eq!((first[0].per_euro.to_string(), first[0].source.as_str()), ("1.2".to_owned(), "own"));
    assert_eq!((second[0].per_euro.to_string(), second[0].source.as_str()), ("1.1572".to_owned(), ECB));
}
