//! A real mail server, a process of its own: see `smtp.py`.

// Each test program uses what it needs of this.
#![allow(dead_code)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A server that keeps what it receives.
pub struct MailServer {
    child: Child,
    stdout: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    pub port: u16,
}

/// A message that it took.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// Who authenticated.
    pub user: Option<String>,
    /// By which name the client greeted.
    pub hello: String,
    /// Decoded, in order.
    pub headers: Vec<(String, String)>,
    /// What is wrong with it as a message.
    pub defects: Vec<String>,
    /// Text and files, decoded.
    pub parts: Vec<Part>,
    raw: String,
}

/// A part of a message that holds no others.
#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    #[serde(rename = "type")]
    pub content_type: String,
    pub charset: Option<String>,
    pub encoding: Option<String>,
    pub name: Option<String>,
    bytes: String,
}

impl Part {
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.bytes).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Received {
    /// A header, of which there must be one.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(found.next().is_none(), "more than one {name}");
        value
    }

    /// As it came over the wire.
    pub fn raw(&self) -> String {
        String::from_utf8(STANDARD.decode(&self.raw).unwrap()).unwrap()
    }
}

impl MailServer {
    /// Starts one that takes mail from anybody.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with options: `--tls starttls`, `--tls always`, `--auth`. The password is `open sesame`.
    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "open sesame").unwrap();
        if options.contains(&"--tls") {
            certificate(folder.path());
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/smtp.py");
        let python = std::env::var("SMTP_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python with aiosmtpd: `bash tests/run.sh` installs it");
        let (mut said, mut stdout) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        stdout.read_line(&mut said).unwrap();
        let port = said.trim().parse().expect("the mail server says its port; does its Python have aiosmtpd?");
        Self { child, stdout, folder, port }
    }

    /// `smtp://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// The same as somebody who authenticates.
    pub fn url_as(&self, scheme: &str, password: &str) -> String {
        format!("{scheme}://bridge:{}@127.0.0.1:{}", password.replace(' ', "%20"), self.port)
    }

    /// The certificate by which it is known.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.certificate_path()).unwrap()
    }

    /// The file it is in.
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// From now on another password is the right one.
    pub fn set_password(&self, password: &str) {
        std::fs::write(self.folder.path().join("password"), password).unwrap();
    }

    /// Ends one that was started with `--only-count`; how many messages it has taken.
    pub fn finish(mut self) -> usize {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.stdout.read_line(&mut said).unwrap();
        said.trim().parse().unwrap()
    }

    /// How many messages it has taken.
    pub fn count(&self) -> usize {
        self.files().len()
    }

    /// What it has taken, in order.
    pub fn received(&self) -> Vec<Received> {
        let read = |path: PathBuf| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        self.files().into_iter().map(read).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
        files.sort();
        files
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=mx.test".split(' '))
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .stderr(Stdio::null())
        .status()
        .expect("openssl makes the server's certificate");
    assert!(made.success(), "openssl made no certificate");
}
