//! The connections: who may have one, for how long, and which requests go straight to the webhook endpoint.
//!
//! Webhooks are most of all requests by far. They need nothing that the router does for others, so that they are told
//! apart by their address and answered at once.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::{App, Problem, REQUEST_ID, panicked, webhook};

/// What one service takes upon itself at a time.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections; whoever comes beyond them waits to be let in.
    pub connections: usize,
    /// How long a client may take to say what it wants, the pause between two requests included.
    pub head: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 2048, head: Duration::from_secs(30) }
    }
}

/// The longest head of a request that is read, in bytes: a line, headers, an address.
const LONGEST_HEAD: usize = 32 * 1024;
/// The code of the answer to what is too much.
const OVERLOADED: &str = "overloaded";
/// How long to wait when the system has no more connections to give.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves; requests under way are finished.
///
/// # Errors
/// What the system says of the socket.
pub async fn serve(
    app: App,
    listener: TcpListener,
    bounds: Bounds,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let router = app.clone().router();
    let ending = GracefulShutdown::new();
    let seats = Arc::new(Semaphore::new(bounds.connections));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(bounds.head).max_buf_size(LONGEST_HEAD);
    tokio::pin!(shutdown);
    loop {
        let (stream, seat) = tokio::select! {
            next = next(&listener, &seats) => next,
            () = &mut shutdown => break,
        };
        let (app, router) = (app.clone(), router.clone());
        let service = service_fn(move |request| answer(app.clone(), router.clone(), request));
        let connection = ending.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that goes away in the middle is its own affair.
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection ended early");
            }
            drop(seat);
        });
    }
    drop(listener);
    ending.shutdown().await;
    Ok(())
}

type Seat = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is room for it.
async fn next(listener: &TcpListener, seats: &Arc<Semaphore>) -> (TcpStream, Option<Seat>) {
    // Nobody ever closes the semaphore.
    let seat = seats.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small answers leave at once.
                let _ = stream.set_nodelay(true);
                return (stream, seat);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted; trying again");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn answer(app: App, router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    let request = request.map(Body::new);
    match webhook_of(&request).filter(|_| app.takes_in()) {
        Some(workspace) => Ok(receive(app, workspace, request).await),
        None => router.oneshot(request).await,
    }
}

/// The workspace whose webhook this is; none where the router should look closer.
fn webhook_of<B>(request: &Request<B>) -> Option<String> {
    let workspace = request.uri().path().strip_prefix("/webhooks/stripe/")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_one = !workspace.is_empty() && workspace.bytes().all(is_plain);
    (request.method() == Method::POST && is_one).then(|| workspace.to_owned())
}

async fn receive(app: App, workspace: String, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let id = parts.headers.get(&REQUEST_ID).cloned();
    let id = id.or_else(|| HeaderValue::try_from(app.ids.next("req")).ok());
    if let Some(id) = &id {
        parts.headers.insert(REQUEST_ID, id.clone());
    }
    let answered = AssertUnwindSafe(webhook::accept(&app, &workspace, &parts.headers, body)).catch_unwind().await;
    let mut response = match answered {
        Ok(Ok(body)) => ([("content-type", "application/json")], body).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(panic) => panicked(panic),
    };
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

impl Problem {
    /// 503: more comes in than can be kept; the sender should come again.
    pub(super) fn overloaded() -> Self {
        Self::unavailable(OVERLOADED, "more comes in than can be stored; send it again in a moment")
    }

    /// Whether it is that one.
    pub(super) fn is_overload(&self) -> bool {
        self.code() == OVERLOADED
    }
}
