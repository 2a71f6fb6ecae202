//! A running `serve`, and the simplest way to ask it something.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use commission_bridge::clock::Clock;
use commission_bridge::stripe::signature::sign;
use serde_json::Value;

use crate::blackbox::Home;

pub const SECRET: &str = "whsec_of_the_test";
const HOOK: &str = "/webhooks/stripe/default";

/// A process that serves; killed when the test ends.
pub struct Server {
    child: Child,
    pub address: String,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem document; its stable code.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.headers.contains("content-type: application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], status, "{self:?}");
        assert!(
            body["title"].is_string() && body["detail"].as_str().is_some_and(|detail| detail.len() > 10),
            "{self:?}"
        );
        body["code"].as_str().unwrap().to_owned()
    }
}

impl Server {
    /// Starts `serve` with one signing secret.
    pub fn start(home: &Home) -> Self {
        Self::start_with(home, |command| command.env("STRIPE_WEBHOOK_SECRET", SECRET))
    }

    pub fn start_with(home: &Home, change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = home.command();
        command.arg("serve").env("LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut stdout, stderr) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let mut readers = vec![keep_reading(BufReader::new(stderr), log.clone())];
        let mut address = None;
        let mut line = String::new();
        while address.is_none() && stdout.read_line(&mut line).unwrap() > 0 {
            // A process that only works says how it is watched instead.
            let url = line.trim().strip_suffix(HOOK).or_else(|| line.trim().strip_suffix("/healthz"));
            address = url.and_then(|url| url.strip_prefix("http://")).map(str::to_owned);
            log.lock().unwrap().push_str(&line);
            line.clear();
        }
        readers.push(keep_reading(stdout, log.clone()));
        let address = address.unwrap_or_else(|| panic!("no address: {}", log.lock().unwrap()));
        Self { child, address, log, readers }
    }

    /// The process's id.
    #[allow(dead_code)] // not in every suite
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far, on both streams.
    pub fn said(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn get(&self, path: &str) -> Answer {
        ask(&self.address, "GET", path, &[], b"").unwrap()
    }

    pub fn get_with_key(&self, path: &str, key: &str) -> Answer {
        ask(&self.address, "GET", path, &[("authorization", &format!("Bearer {key}"))], b"").unwrap()
    }

    /// A webhook with the right signature.
    pub fn deliver(&self, body: &[u8]) -> Answer {
        deliver(&self.address, body).unwrap()
    }

    pub fn post(&self, path: &str, signature: Option<&str>, body: &[u8]) -> Answer {
        let headers: Vec<(&str, &str)> =
            signature.map(|signature| ("stripe-signature", signature)).into_iter().collect();
        ask(&self.address, "POST", path, &headers, body).unwrap()
    }

    /// Sends a signal; the process's own name for it, such as TERM.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits until the process ends, within `patience`.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let mut code = None;
        assert!(
            until(patience, || {
                code = self.child.try_wait().unwrap();
                code.is_some()
            }),
            "the process does not end: {}",
            self.said()
        );
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        code.and_then(|status| status.code())
    }

    /// Stops it as the system does.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        assert_eq!(self.wait(Duration::from_secs(10)), Some(0), "{}", self.said());
        self.said()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep_reading(mut from: impl BufRead + Send + 'static, to: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|length| length > 0) {
            to.lock().unwrap().push_str(&line);
            line.clear();
        }
    })
}

/// Asks again and again until it is so; whether it was in time.
pub fn until(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A signature of this moment.
pub fn signed(body: &[u8]) -> String {
    sign(SECRET, now(), body)
}

/// The same with another secret.
pub fn signed_with(secret: &str, body: &[u8]) -> String {
    sign(secret, now(), body)
}

pub fn now() -> i64 {
    Clock::machine().now().timestamp()
}

/// A webhook with the right signature, to an address that may be gone.
pub fn deliver(address: &str, body: &[u8]) -> std::io::Result<Answer> {
    ask(address, "POST", HOOK, &[("stripe-signature", &signed(body))], body)
}

/// One request on a connection of its own.
pub fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request.push_str("\r\n");
    // Who is refused for the size of a body may be answered before all of it is sent.
    let sent = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        sent?;
        read?;
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, headers: headers.to_lowercase(), body: body.to_owned() })
}
