//! Talking to the mail server. What goes wrong is told apart by the step in which it goes wrong: whatever comes before a
//! recipient is named concerns the server, and everybody's mail; what comes after concerns one mail.

use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use url::Url;

use super::message::Message;
use super::one_line;
use crate::config::{Config, Secret};

/// How long reaching the server, encryption and authentication may take together.
const TO_CONNECT: Duration = Duration::from_secs(30);
/// How long the answer to a command may take.
const TO_ANSWER: Duration = Duration::from_mins(1);
/// How long the server may take to say whether it took a mail. RFC 5321 asks for this much: whoever hangs up earlier
/// sends twice what was taken.
const TO_TAKE: Duration = Duration::from_mins(10);
/// A mail's way takes no longer than this: four answers, and the taking.
pub const LONGEST: Duration = Duration::from_mins(15);
/// Servers limit how many mails a connection brings.
const MAILS_PER_CONNECTION: u32 = 100;
/// The most of a server's words that is kept, in characters.
const MOST_WORDS: usize = 400;

/// Why `SMTP_URL` is none; it may hold a password, and is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("SMTP_URL {0}. Expected smtps://user:password@host, or smtp://user:password@host (STARTTLS; port 587)")]
pub struct UrlError(String);

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte (`smtps`).
    Always,
    /// By STARTTLS; nothing is sent without.
    Required,
    /// By STARTTLS where the server offers it.
    Opportunistic,
    /// Not at all.
    None,
}

/// Where mail is handed over, and how.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.name(), self.encryption)
    }
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server, or how it is configured: no mail gets through now.
    Server(String),
    /// This mail, for now, and perhaps every other: it said of one mail what is said of a server.
    Doubtful(String),
    /// This mail, for now.
    Later(String),
    /// This mail, for good.
    Refused(String),
}

impl Trouble {
    /// In words, the server's own where there are any.
    pub fn words(&self) -> &str {
        let (Self::Server(words) | Self::Doubtful(words) | Self::Later(words) | Self::Refused(words)) = self;
        words
    }
}

impl Server {
    /// Reads a URL. `authorities` are certificates (PEM) that are trusted beside the well-known ones; `public_url` is
    /// this service's, by whose host it greets.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &Secret, authorities: Option<&Secret>, public_url: &str) -> Result<Self, UrlError> {
        let wrong = |why: &str| UrlError(why.to_owned());
        let url = Url::parse(url.reveal().trim()).map_err(|error| UrlError(format!("is no URL ({error})")))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let mut wanted = None;
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("tls", "required") => wanted = Some(Encryption::Required),
                ("tls", "opportunistic") => wanted = Some(Encryption::Opportunistic),
                ("tls", "none") => wanted = Some(Encryption::None),
                ("tls", _) => return Err(wrong("has a `tls` that is none of required, opportunistic and none")),
                _ => return Err(wrong("has a parameter that is not known: there is `tls` alone")),
            }
        }
        let encryption = match (url.scheme(), wanted) {
            ("smtps", None | Some(Encryption::Required)) => Encryption::Always,
            ("smtps", _) => return Err(wrong("is encrypted from the first byte and has no use for `tls`")),
            ("smtp", Some(wanted)) => wanted,
            ("smtp", None) if is_loopback(&host) => Encryption::Opportunistic,
            ("smtp", None) => Encryption::Required,
            _ => return Err(wrong("begins with neither smtp:// nor smtps://")),
        };
        let port = url.port().unwrap_or(match encryption {
            Encryption::Always => 465,
            Encryption::None => 25,
            Encryption::Required | Encryption::Opportunistic => 587,
        });
        let credentials = credentials(&url)?;
        if credentials.is_some() && encryption == Encryption::None && !is_loopback(&host) {
            return Err(wrong("would send a password without encryption: leave `tls=none` out, or the password"));
        }
        let tls = tls(&host, authorities).map_err(|why| UrlError(format!("cannot be used: {why}")))?;
        Ok(Self { host, port, encryption, tls, credentials, hello: hello(public_url) })
    }

    /// As configured; none where none is.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn configured(config: &Config) -> Result<Option<Self>, UrlError> {
        let url = config.smtp_url.as_ref();
        url.map(|url| Self::parse(url, config.smtp_ca.as_ref(), &config.public_url)).transpose()
    }

    /// `mail.acme.example:465`
    pub fn name(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Connects, encrypts and authenticates.
    ///
    /// # Errors
    /// [`Trouble::Server`].
    pub async fn connect(&self) -> Result<Connection, Trouble> {
        let connected = timeout(TO_CONNECT, self.connected()).await;
        let said = |why: String| Trouble::Server(format!("{}: {why}", self.name()));
        match connected {
            Ok(Ok(inner)) => Ok(Connection { inner, mails: 0, is_over: false }),
            Ok(Err(why)) => Err(said(why)),
            Err(_) => Err(said(format!("did not answer within {} seconds", TO_CONNECT.as_secs()))),
        }
    }

    async fn connected(&self) -> Result<AsyncSmtpConnection, String> {
        let tls = (self.encryption == Encryption::Always).then(|| self.tls.clone());
        let address = (self.host.as_str(), self.port);
        let mut inner = AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, tls, None)
            .await
            .map_err(|error| format!("cannot connect: {}", words(&error)))?;
        let encrypts = match self.encryption {
            Encryption::Required => true,
            Encryption::Opportunistic => inner.can_starttls(),
            Encryption::Always | Encryption::None => false,
        };
        if encrypts {
            if !inner.can_starttls() {
                inner.abort().await;
                return Err("does not offer STARTTLS: use smtps://, another port, or ?tls=none without a password \
                            where the way to it is safe"
                    .to_owned());
            }
            let started = inner.starttls(self.tls.clone(), &self.hello).await;
            started.map_err(|error| format!("no encrypted connection: {}", words(&error)))?;
        }
        let Some(credentials) = &self.credentials else { return Ok(inner) };
        if !inner.is_encrypted() && !is_loopback(&self.host) {
            inner.abort().await;
            return Err("offers no encryption, and a password is not sent without".to_owned());
        }
        if let Err(error) = inner.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await {
            inner.abort().await;
            return Err(format!("does not let us in: {}. Check user and password in SMTP_URL", words(&error)));
        }
        Ok(inner)
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, UrlError> {
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| UrlError("has a user or password that is not UTF-8, once its %xx are decoded".to_owned()));
        decoded.map(std::borrow::Cow::into_owned)
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(UrlError("has a password and no user".to_owned())),
        (_, None) => Err(UrlError("has a user and no password".to_owned())),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

fn tls(host: &str, authorities: Option<&Secret>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = authorities {
        let unreadable = || "SMTP_CA is no certificate in PEM form".to_owned();
        let certificate = Certificate::from_pem(pem.reveal().as_bytes()).map_err(|_| unreadable())?;
        if !pem.reveal().contains("-----BEGIN CERTIFICATE-----") {
            return Err(unreadable());
        }
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| words(&error))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// By which name this service greets: the one that it is reached by, where it has one.
fn hello(public_url: &str) -> ClientId {
    let url = Url::parse(public_url).ok();
    let domain = url.as_ref().and_then(Url::domain).filter(|domain| domain.contains('.'));
    domain.map_or_else(ClientId::default, |domain| ClientId::Domain(domain.to_owned()))
}

/// A connection that brings one mail after another.
pub struct Connection {
    inner: AsyncSmtpConnection,
    mails: u32,
    is_over: bool,
}

/// What became of a mail on a connection.
enum Step {
    /// The connection had ended before the mail was begun.
    Stale,
    /// Anything else.
    Trouble(Trouble),
}

impl Connection {
    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.inner.is_encrypted()
    }

    /// Takes leave.
    pub async fn quit(mut self) {
        if !self.is_over {
            let _ = timeout(TO_CONNECT, self.inner.quit()).await;
        }
    }

    /// Brings one mail; the server's words when it took it.
    async fn send(&mut self, message: &Message) -> Result<String, Step> {
        let mut options = Vec::new();
        if !message.to.to_string().is_ascii() || !message.from.to_string().is_ascii() {
            if !self.inner.server_info().supports_feature(Extension::SmtpUtfEight) {
                let why = "the mail server takes no addresses with characters outside ASCII (SMTPUTF8)";
                return Err(Step::Trouble(Trouble::Refused(why.to_owned())));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        self.mails += 1;
        // Until a recipient is named it is about us.
        let begun = self.asked(TO_ANSWER, Mail::new(Some(message.from.clone()), options)).await;
        begun.map_err(|failed| match failed {
            Failed::Ended(_) | Failed::Said { code: 421, .. } if self.mails > 1 => Step::Stale,
            other => Step::Trouble(Trouble::Server(other.words())),
        })?;
        let named = self.asked(TO_ANSWER, Rcpt::new(message.to.clone(), Vec::new())).await;
        self.about_the_mail(named).await?;
        let may = self.asked(TO_ANSWER, Data).await;
        self.about_the_mail(may).await?;
        let taken = timeout(TO_TAKE, self.inner.message(&message.bytes)).await;
        let taken = self.answer(taken, TO_TAKE).map_err(|failed| match failed {
            Failed::Ended(why) => Failed::Ended(format!(
                "the connection ended before the server said whether it took the mail, which may arrive twice ({why})"
            )),
            said @ Failed::Said { .. } => said,
        });
        self.about_the_mail(taken).await
    }

    /// Sorts what a server said once a recipient was named, and makes the connection ready for the next mail.
    async fn about_the_mail(&mut self, answered: Result<String, Failed>) -> Result<String, Step> {
        let failed = match answered {
            Ok(words) => return Ok(words),
            Err(failed) => failed,
        };
        let trouble = match &failed {
            Failed::Ended(why) => Trouble::Later(why.clone()),
            Failed::Said { code: 421, .. } => Trouble::Doubtful(failed.words()),
            Failed::Said { words, .. } if is_about_us(words) => Trouble::Doubtful(failed.words()),
            Failed::Said { code: 500.., .. } => Trouble::Refused(failed.words()),
            Failed::Said { .. } => Trouble::Later(failed.words()),
        };
        if !self.is_over && self.asked(TO_ANSWER, Rset).await.is_err() {
            self.is_over = true;
        }
        Err(Step::Trouble(trouble))
    }

    async fn asked(&mut self, patience: Duration, command: impl std::fmt::Display) -> Result<String, Failed> {
        let answered = timeout(patience, self.inner.command(command)).await;
        self.answer(answered, patience)
    }

    fn answer(
        &mut self,
        answered: Result<Result<Response, Error>, tokio::time::error::Elapsed>,
        patience: Duration,
    ) -> Result<String, Failed> {
        let error = match answered {
            Ok(Ok(response)) => return Ok(shortened(&response.message().collect::<Vec<_>>().join(" "))),
            Ok(Err(error)) => error,
            Err(_) => {
                self.is_over = true;
                return Err(Failed::Ended(format!("no answer within {} seconds", patience.as_secs())));
            }
        };
        if let Some(code) = error.status() {
            return Err(Failed::Said { code: code.into(), words: words(&error) });
        }
        self.is_over = true;
        Err(Failed::Ended(words(&error)))
    }
}

/// Why a command was not done.
#[derive(Debug)]
enum Failed {
    /// The connection ended, or nothing came.
    Ended(String),
    /// The server said no.
    Said { code: u16, words: String },
}

impl Failed {
    fn words(&self) -> String {
        let (Self::Ended(words) | Self::Said { words, .. }) = self;
        words.clone()
    }
}

/// Some servers say only once a recipient is named that they want to know who we are, or forward nothing of ours.
fn is_about_us(words: &str) -> bool {
    let words = words.to_lowercase();
    let codes = ["530", "534", "535", "538"];
    codes.iter().any(|code| words.starts_with(code))
        || words.contains("authentication required")
        || words.contains("relay access denied")
        || words.contains("relaying denied")
        || words.contains("unable to relay")
        || words.contains("relay not permitted")
}

/// What an error says: the server's code and words, or the system's.
fn words(error: &Error) -> String {
    let mut said = error.status().map_or_else(String::new, |code| code.to_string());
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    if cause.is_none() {
        said.push_str(&error.to_string());
    }
    while let Some(inner) = cause {
        let text = match inner.to_string() {
            // Nothing came any more.
            hung_up if hung_up == "incomplete response" => "the server hung up".to_owned(),
            text => text,
        };
        if !said.contains(&text) {
            if !said.is_empty() {
                said.push(' ');
            }
            said.push_str(&text);
        }
        cause = inner.source();
    }
    shortened(&said)
}

fn shortened(text: &str) -> String {
    one_line(text).chars().take(MOST_WORDS).collect()
}

/// A way to the server: connects when there is something to bring, and keeps the connection.
#[derive(Default)]
pub struct Line(Option<Connection>);

impl Line {
    /// Brings a mail to the server; its words when it took it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn send(&mut self, server: &Server, message: &Message) -> Result<String, Trouble> {
        loop {
            let mut connection = match self.0.take() {
                Some(connection) => connection,
                None => server.connect().await?,
            };
            let sent = connection.send(message).await;
            if connection.mails >= MAILS_PER_CONNECTION {
                connection.quit().await;
            } else if !connection.is_over {
                self.0 = Some(connection);
            }
            match sent {
                Ok(words) => return Ok(words),
                Err(Step::Trouble(trouble)) => {
                    if matches!(trouble, Trouble::Server(_) | Trouble::Doubtful(_)) {
                        self.hang_up().await;
                    }
                    return Err(trouble);
                }
                // A connection that brought mails before may have been closed meanwhile.
                Err(Step::Stale) => self.hang_up().await,
            }
        }
    }

    /// Ends the connection, if there is one.
    pub async fn hang_up(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.quit().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Server, UrlError> {
        Server::parse(&Secret::new(url), None, "https://bridge.acme.example")
    }

    #[test]
    fn urls_say_where_and_how() {
        for (url, name, encryption) in [
            ("smtps://mail.acme.example", "mail.acme.example:465", Encryption::Always),
            ("smtp://u:p@mail.acme.example", "mail.acme.example:587", Encryption::Required),
            ("smtp://mail.acme.example:25?tls=required", "mail.acme.example:25", Encryption::Required),
            ("smtp://mail.acme.example?tls=none", "mail.acme.example:25", Encryption::None),
            ("smtp://u:p@mail.acme.example?tls=opportunistic", "mail.acme.example:587", Encryption::Opportunistic),
            ("smtp://u:p@127.0.0.1:1025", "127.0.0.1:1025", Encryption::Opportunistic),
            ("smtp://u:p@[::1]:1025?tls=none", "[::1]:1025", Encryption::None),
        ] {
            let server = parse(url).unwrap();
            assert_eq!((server.name().as_str(), server.encryption), (name, encryption), "{url}");
            assert!(server.hello == ClientId::Domain("bridge.acme.example".to_owned()));
        }
        let server = parse("smtps://ann%40acme.example:p%2Fw%23@mail.acme.example").unwrap();
        assert!(server.credentials == Some(Credentials::new("ann@acme.example".to_owned(), "p/w#".to_owned())));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for url in [
            "mail.acme.example",
            "http://secret@mail.acme.example",
            "smtp://",
            "smtp://u:secret@mail.acme.example?tls=none",
            "smtp://u:secret@mail.acme.example?tls=maybe",
            "smtp://u:secret@mail.acme.example?ssl=1",
            "smtps://u:secret@mail.acme.example?tls=opportunistic",
            "smtp://secret@mail.acme.example",
            "smtp://:secret@mail.acme.example",
            "smtp://u:secret%ff@mail.acme.example",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("SMTP_URL ") && !error.contains("secret"), "{url}: {error}");
        }
        assert!(!format!("{:?}", parse("smtps://u:secret@mail.acme.example").unwrap()).contains("secret"));
        let no_pem = Server::parse(&Secret::new("smtps://mail.acme.example"), Some(&Secret::new("x")), "");
        assert!(no_pem.unwrap_err().to_string().contains("SMTP_CA"));
    }

    #[test]
    fn a_server_that_wants_us_to_authenticate_refuses_no_mail() {
        for words in
            ["530 5.7.0 Authentication required", "554 5.7.1 <x@y>: Relay access denied", "550 relaying denied"]
        {
            assert!(is_about_us(words), "{words}");
        }
        for words in ["550 5.1.1 no such user", "554 5.7.1 looks like spam", "452 4.2.2 mailbox full"] {
            assert!(!is_about_us(words), "{words}");
        }
    }
}
