//! HTTP by hand: one request on a connection, and an answer, half an answer or none.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::faults::Fault;
use super::{LIVE_KEY, Shared, TEST_KEY, api, idempotency};

pub(super) struct Request {
    pub method: String,
    pub path: String,
    /// Of the query, or of the body.
    pub fields: BTreeMap<String, String>,
    pub key: Option<String>,
    pub authorization: String,
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub(super) fn ok(body: &Value) -> Self {
        Self { status: 200, body: body.to_string() }
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
}

pub(super) fn serve(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let Some(request) = read(stream) else { return };
    let answer = answer(stream, shared, &request);
    if let Some(Answer { status, body }) = answer {
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut key, mut authorization) = (0, None, String::new());
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
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let form = if method == "POST" { body.as_slice() } else { query.as_bytes() };
    let fields = form_urlencoded::parse(form).into_owned().collect();
    Some(Request { method, path: path.to_owned(), fields, key, authorization })
}

fn answer(stream: &TcpStream, shared: &Shared, request: &Request) -> Option<Answer> {
    let mut books = shared.books();
    books.requests.push(format!("{} {}", request.method, request.path));
    let bearer = request.authorization.strip_prefix("Bearer ").unwrap_or_default();
    if bearer != LIVE_KEY && bearer != TEST_KEY {
        return Some(Answer::error(401, "invalid_request_error", None, "Invalid API Key provided: sk_live_***"));
    }
    let wanted = api::permission(request);
    if books.lacks.contains(&wanted) {
        let said = format!("The provided key does not have the required permissions for this endpoint: {wanted}");
        return Some(Answer::error(403, "invalid_request_error", None, &said));
    }
    let live = bearer == LIVE_KEY;
    let now = shared.clock.now();
    if request.method == "GET" {
        return Some(api::get(&books, request, live));
    }
    let key = request.key.clone().unwrap_or_default();
    let asked = format!("{} {:?}", request.path, request.fields);
    let fault = if request.path == "/v1/transfers" { books.faults.next(&key) } else { Fault::None };
    match fault {
        Fault::DropBefore => return None,
        Fault::Gateway => return Some(Answer { status: 502, body: "<html>Bad Gateway</html>".to_owned() }),
        Fault::Busy => {
            return Some(Answer::error(429, "invalid_request_error", Some("rate_limit"), "Too many requests"));
        }
        _ => {}
    }
    if let Some(before) = idempotency::begin(&mut books, &key, &asked, now) {
        return Some(before);
    }
    if fault == Fault::Held {
        books.held += 1;
        shared.moved.notify_all();
        while !books.released {
            books = shared.moved.wait(books).unwrap();
        }
        books.held -= 1;
    }
    let mut done = match fault {
        Fault::ErrorBefore => Answer::error(500, "api_error", None, "An unknown error occurred"),
        _ => api::post(&mut books, request, live, now),
    };
    if fault == Fault::ErrorAfter {
        done = Answer::error(500, "api_error", None, "An unknown error occurred");
    }
    if key.is_empty() {
        idempotency::forget(&mut books, &key);
    } else {
        idempotency::keep(&mut books, &key, &asked, &done, now);
    }
    drop(books);
    match fault {
        Fault::DropAfter => None,
        Fault::Garbage => Some(Answer { status: 200, body: "{\"id\": \"tr_".to_owned() }),
        Fault::Silent => {
            // Until the caller hangs up.
            let _ = { stream }.read(&mut [0]);
            None
        }
        _ => Some(done),
    }
}
