//! HTTP by hand: one request after the other on a connection, and an answer, half an answer or none.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use commission_bridge::domain::Time;
use serde_json::{Value, json};

use super::faults::Fault;
use super::{Books, LIVE_KEY, LIVE_RESTRICTED_KEY, Shared, TEST_KEY, TEST_RESTRICTED_KEY, api, idempotency};

pub(super) struct Request {
    pub method: String,
    pub path: String,
    /// Of the query, or of the body.
    pub pairs: Vec<(String, String)>,
    /// The last of each name.
    pub fields: BTreeMap<String, String>,
    pub key: Option<String>,
    pub authorization: String,
    /// `Stripe-Account`
    pub account: Option<String>,
}

impl Request {
    /// Every value of a list (`expand[]`, `expand[0]`), in order.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let is_of = |given: &str| given.strip_prefix(name).is_some_and(|rest| rest.starts_with('['));
        self.pairs.iter().filter(|(given, _)| is_of(given)).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let fields = self.fields.iter();
        fields
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
                Some((name.to_owned(), value.clone()))
            })
            .collect()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub(super) fn ok(body: &Value) -> Self {
        Self::text(body.to_string())
    }

    pub(super) fn text(body: String) -> Self {
        Self { status: 200, body }
    }

    pub(super) fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({ "type": kind, "message": message });
        if let Some(code) = code {
            error["code"] = code.into();
        }
        Self { status, body: json!({ "error": error }).to_string() }
    }

    pub(super) fn refused(code: &str, message: &str) -> Self {
        Self::error(400, "invalid_request_error", Some(code), message)
    }

    pub(super) fn refused_param(code: &str, message: &str, param: &str) -> Self {
        let error = json!({ "type": "invalid_request_error", "code": code, "message": message, "param": param });
        Self { status: 400, body: json!({ "error": error }).to_string() }
    }

    fn busy() -> Self {
        Self::error(429, "invalid_request_error", Some("rate_limit"), "Too many requests hit the API too quickly.")
    }

    fn gateway() -> Self {
        Self { status: 502, body: "<html>Bad Gateway</html>".to_owned() }
    }
}

pub(super) fn serve(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let answer = answer(stream, shared, &request);
        let (now, number) = {
            let mut books = shared.books();
            if let Some(mut call) = books.after_each.take() {
                call(&mut books, &format!("{} {}", request.method, request.path));
                books.after_each.get_or_insert(call);
            }
            (shared.clock.now(), books.requests.len())
        };
        let Some(answer) = answer else { return };
        if { stream }.write_all(&bytes(&answer, now, number)).is_err() {
            return;
        }
    }
}

fn bytes(Answer { status, body }: &Answer, now: Time, number: usize) -> Vec<u8> {
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT");
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ndate: {date}\r\nrequest-id: req_{number:08}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut key, mut authorization, mut account) = (0, None, String::new(), None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "idempotency-key" => key = Some(value.trim().to_owned()),
            "authorization" => value.trim().clone_into(&mut authorization),
            "stripe-account" => account = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let form = if method == "POST" { body.as_slice() } else { query.as_bytes() };
    let pairs: Vec<(String, String)> = form_urlencoded::parse(form).into_owned().collect();
    let path = percent_decoded(path);
    let fields = pairs.iter().cloned().collect();
    Some(Request { method, path, pairs, fields, key, authorization, account })
}

fn percent_decoded(path: &str) -> String {
    // A plus is itself in a path.
    let form = path.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(form.as_bytes()).map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

/// What a key is refused with, if it is.
fn refused_key(books: &Books, bearer: &str, request: &Request) -> Option<Answer> {
    let shown = |key: &str| format!("{}***{}", key.get(..8).unwrap_or(key), &key[key.len().saturating_sub(4)..]);
    if books.revoked.contains(&bearer) {
        let said = format!("Expired API Key provided: {}", shown(bearer));
        return Some(Answer::error(401, "invalid_request_error", Some("api_key_expired"), &said));
    }
    if ![LIVE_KEY, TEST_KEY, LIVE_RESTRICTED_KEY, TEST_RESTRICTED_KEY].contains(&bearer) {
        let said = format!("Invalid API Key provided: {}", shown(bearer));
        return Some(Answer::error(401, "invalid_request_error", None, &said));
    }
    let wanted = api::permission(request);
    if books.lacks.iter().any(|lacks| *lacks == wanted) {
        let said = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on account '{}'. Having the \
             'rak_{wanted}' permission would allow this request to continue.",
            shown(bearer),
            books.own_account
        );
        return Some(Answer::error(403, "invalid_request_error", None, &said));
    }
    None
}

/// Whether this second has seen enough.
fn is_too_much(books: &mut Books, now: Time) -> bool {
    let Some(most) = books.per_second else { return false };
    let (second, seen) = books.second;
    books.second = if second == now.timestamp() { (second, seen + 1) } else { (now.timestamp(), 1) };
    books.second.1 > most
}

fn planned(books: &mut Books, asked: &str, key: &str) -> Fault {
    if asked == "POST /v1/transfers" {
        let fault = books.faults.next(key);
        if fault != Fault::None {
            return fault;
        }
    }
    let plan = books.faults_of.iter_mut().find(|(beginning, _)| asked.starts_with(beginning.as_str()));
    plan.map_or(Fault::None, |(_, faults)| faults.next(if key.is_empty() { asked } else { key }))
}

fn instead(books: &mut Books, asked: &str) -> Option<Answer> {
    let at = books.instead.iter().position(|(beginning, ..)| asked.starts_with(beginning.as_str()))?;
    let (_, status, body) = books.instead.remove(at);
    Some(Answer { status, body })
}

fn hold<'a>(mut books: MutexGuard<'a, Books>, shared: &'a Shared) -> MutexGuard<'a, Books> {
    books.held += 1;
    shared.moved.notify_all();
    while !books.released {
        books = shared.moved.wait(books).unwrap();
    }
    books.held -= 1;
    books
}

fn answer(stream: &TcpStream, shared: &Shared, request: &Request) -> Option<Answer> {
    let mut books = shared.books();
    let asked = format!("{} {}", request.method, request.path);
    books.requests.push(asked.clone());
    let now = shared.clock.now();
    if is_too_much(&mut books, now) {
        return Some(Answer::busy());
    }
    let bearer = request.authorization.strip_prefix("Bearer ").unwrap_or_default();
    if let Some(refused) = refused_key(&books, bearer, request) {
        return Some(refused);
    }
    if let Some(answer) = instead(&mut books, &asked) {
        return Some(answer);
    }
    let live = [LIVE_KEY, LIVE_RESTRICTED_KEY].contains(&bearer);
    let key = request.key.clone().unwrap_or_default();
    let fault = planned(&mut books, &asked, &key);
    match fault {
        Fault::DropBefore => return None,
        Fault::Gateway => return Some(Answer::gateway()),
        Fault::Busy => return Some(Answer::busy()),
        _ => {}
    }
    let asked = format!("{} {:?}", request.path, request.pairs);
    if request.method == "POST"
        && let Some(before) = idempotency::begin(&mut books, &key, &asked, now)
    {
        return Some(before);
    }
    if fault == Fault::Held {
        books = hold(books, shared);
    }
    let done = match (fault, request.method.as_str()) {
        (Fault::ErrorBefore, _) => Answer::error(500, "api_error", None, "An unknown error occurred"),
        (_, "GET") => api::get(&books, request, live, now),
        (_, "DELETE") => api::delete(&mut books, request, live),
        _ => api::post(&mut books, request, live, now),
    };
    let done = match fault {
        Fault::ErrorAfter => Answer::error(500, "api_error", None, "An unknown error occurred"),
        _ => done,
    };
    if key.is_empty() {
        idempotency::forget(&mut books, &key);
    } else if request.method == "POST" {
        idempotency::keep(&mut books, &key, &asked, &done, now);
    }
    drop(books);
    match fault {
        Fault::DropAfter => None,
        Fault::Garbage => Some(Answer::text("{\"id\": \"tr_".to_owned())),
        Fault::Silent => {
            // Until the caller hangs up.
            let _ = { stream }.read(&mut [0]);
            None
        }
        _ => Some(done),
    }
}
