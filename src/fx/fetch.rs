//! Fetching a file of rates: over HTTPS, in time, and of a size that it can have.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::header::{ACCEPT, LOCATION, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use super::ecb;
use crate::domain::fx::EuroRate;

/// How long an answer may take, the whole of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest of the published files has eight million bytes.
const LARGEST: usize = 16 * 1024 * 1024;
/// How often it goes where an answer points.
const REDIRECTS: usize = 3;

/// Why there are no rates; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("{url:?} is no address of rates (FX_URL): {why}")]
    Address {
        /// What was configured.
        url: String,
        /// Why.
        why: String,
    },
    /// Nobody answered.
    #[error("{host} does not answer: {why}. Check the network, or import a file: `commission-bridge fx import FILE`")]
    Unreachable {
        /// Who.
        host: String,
        /// Why.
        why: String,
    },
    /// The answer was no file.
    #[error("{host} answered {status} instead of a file of rates")]
    Refused {
        /// Who.
        host: String,
        /// What.
        status: StatusCode,
    },
    /// The file cannot be read.
    #[error("what {host} sent is no file of rates: {why}")]
    File {
        /// Who.
        host: String,
        /// Why.
        why: String,
    },
}

/// Fetches rates.
#[derive(Clone)]
pub struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    patience: Duration,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

impl Fetcher {
    /// One that waits so long for a whole answer.
    pub fn with_patience(patience: Duration) -> Self {
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider);
        let client = Client::builder(TokioExecutor::new());
        // The provider that is named has all that the protocol's versions need.
        let connector = connector.expect("ring speaks TLS").https_or_http().enable_http1().build();
        Self { client: client.build(connector), patience }
    }

    /// The rates at an address.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, address: &str) -> Result<Vec<EuroRate>, FetchError> {
        let url = parsed(address)?;
        let host = host(&url);
        let slow = || FetchError::Unreachable {
            host: host.clone(),
            why: format!("no whole answer within {} seconds", self.patience.as_secs()),
        };
        let bytes = tokio::time::timeout(self.patience, self.follow(url)).await.map_err(|_| slow())??;
        ecb::read(&bytes).map_err(|error| FetchError::File { host, why: error.to_string() })
    }

    async fn follow(&self, mut url: Url) -> Result<Bytes, FetchError> {
        for _ in 0..=REDIRECTS {
            match self.ask(&url).await? {
                Answer::File(bytes) => return Ok(bytes),
                // An answer may not send us to whoever is inside the network.
                Answer::Elsewhere(next) if url.host() != next.host() => {
                    return Err(FetchError::Unreachable {
                        host: host(&url),
                        why: "it points to another server; set FX_URL to where the file is now".to_owned(),
                    });
                }
                Answer::Elsewhere(next) if url.scheme() == "https" && next.scheme() != "https" => {
                    return Err(FetchError::Unreachable {
                        host: host(&url),
                        why: "it points to an open line".to_owned(),
                    });
                }
                Answer::Elsewhere(next) => url = next,
            }
        }
        Err(FetchError::Unreachable { host: host(&url), why: "it points elsewhere again and again".to_owned() })
    }

    async fn ask(&self, url: &Url) -> Result<Answer, FetchError> {
        let unreachable = |why: String| FetchError::Unreachable { host: host(url), why };
        let request = Request::get(url.as_str())
            .header(USER_AGENT, concat!("commission-bridge/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/xml, text/xml, text/csv")
            .body(Empty::new())
            .map_err(|error| FetchError::Address { url: url.to_string(), why: error.to_string() })?;
        let answer = self.client.request(request).await.map_err(|error| unreachable(cause(&error)))?;
        let status = answer.status();
        if status.is_redirection() {
            let next = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
            let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
            return next.map(Answer::Elsewhere).ok_or(FetchError::Refused { host: host(url), status });
        }
        if status != StatusCode::OK {
            return Err(FetchError::Refused { host: host(url), status });
        }
        match Limited::new(answer.into_body(), LARGEST).collect().await {
            Ok(body) => Ok(Answer::File(body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(FetchError::File { host: host(url), why: format!("it has more than {LARGEST} bytes") })
            }
            Err(error) => Err(unreachable(format!("its answer ended too early: {error}"))),
        }
    }
}

enum Answer {
    File(Bytes),
    Elsewhere(Url),
}

/// An address of rates.
///
/// # Errors
/// [`FetchError::Address`].
pub fn parsed(address: &str) -> Result<Url, FetchError> {
    let refused = |why: String| FetchError::Address { url: address.to_owned(), why };
    let expected = "expected one that begins with https://";
    let url = Url::parse(address).map_err(|error| refused(format!("{error}: {expected}")))?;
    if matches!(url.scheme(), "http" | "https") && url.host().is_some() {
        Ok(url)
    } else {
        Err(refused(expected.to_owned()))
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// What lies under an error: the outermost only says that there was one.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
