//! Configuration: flags, then environment, then `commission-bridge.toml`, then defaults. Secrets may also come from files
//! named by `*_FILE` variables, and are never printed.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::fx::DAILY;
use crate::mail::rate;
use crate::store::vault::{BadKeys, Vault};
use crate::stripe_api::{Keys, Options};

/// The flags that every command has. Each also has an environment variable and a key in the file.
///
/// Variables are looked up in [`Config::load`], beside those that have no flag.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
#[command(next_help_heading = "Options of every command")]
pub struct Flags {
    /// Where the ledger lives: sqlite://FILE or postgres://USER@HOST/NAME [default:
    /// sqlite://commission-bridge.db] [env: DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", display_order = 1000)]
    pub database_url: Option<String>,
    /// A configuration file [default: commission-bridge.toml, where there is one] [env:
    /// COMMISSION_BRIDGE_CONFIG]
    #[arg(long, global = true, value_name = "FILE", display_order = 1001)]
    pub config: Option<PathBuf>,
    /// Log filter, such as info, debug or commission_bridge=debug [default: info for serve, warn otherwise]
    /// [env: LOG]
    #[arg(long, global = true, value_name = "FILTER", display_order = 1002)]
    pub log: Option<String>,
}

/// The flags of commands that serve.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
pub struct ServeFlags {
    /// Address to listen on [default: 127.0.0.1:8080] [env: LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// The webhook endpoint's signing secret (whsec_…); several, separated by commas, while one is rotated. Other
    /// users of this machine can read it here: better set STRIPE_WEBHOOK_SECRET, or STRIPE_WEBHOOK_SECRET_FILE
    #[arg(long, value_name = "SECRET")]
    pub stripe_webhook_secret: Option<String>,
    /// Where this service is reached from outside, for the URLs that it prints [default: http:// and the address]
    /// [env: PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

/// What the file may say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database_url: Option<String>,
    listen: Option<String>,
    stripe_webhook_secret: Option<Secret>,
    secrets_key: Option<Secret>,
    stripe_api_key: Option<Secret>,
    stripe_api_base: Option<String>,
    stripe_timeout: Option<u64>,
    stripe_rate_limit: Option<u32>,
    sync: Option<bool>,
    smtp_url: Option<Secret>,
    smtp_ca: Option<Secret>,
    smtp_rate: Option<u32>,
    public_url: Option<String>,
    fx_url: Option<String>,
    api_rate_limit: Option<u32>,
    log: Option<String>,
    log_format: Option<String>,
}

/// A text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object for each line, for programs.
    Json,
}

impl LogFormat {
    fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Everything that is configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the ledger lives.
    pub database_url: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Signing secrets, comma-separated; none until one is set.
    pub stripe_webhook_secret: Option<Secret>,
    /// What secrets in the database are encrypted under.
    pub vault: Vault,
    /// Stripe key for calls out.
    pub stripe_api_key: Option<Secret>,
    /// Where Stripe's API is, when not at Stripe's own address.
    pub stripe_api_base: Option<String>,
    /// How many seconds a call to Stripe may take.
    pub stripe_timeout: u64,
    /// Calls to Stripe a second; 0 for any number.
    pub stripe_rate_limit: u32,
    /// Whether `serve` asks Stripe for events every hour.
    pub sync: bool,
    /// Mail server.
    pub smtp_url: Option<Secret>,
    /// Certificates (PEM) that are trusted beside the well-known ones when mail is handed over.
    pub smtp_ca: Option<Secret>,
    /// Mails a second; 0 for any number.
    pub smtp_rate: u32,
    /// Where this service is reached from outside.
    pub public_url: String,
    /// Where the daily exchange rates are; none where they are not fetched.
    pub fx_url: Option<String>,
    /// Requests a second that each API key may make, twice as many at once; 0 for any number.
    pub api_rate_limit: u32,
    /// Log filter, if one was chosen.
    pub log: Option<String>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// The configuration file that was read, if any.
    pub file: Option<PathBuf>,
}

/// What is wrong with the configuration, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {path}{named_by}: {source}. Check the path and its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where it is named, if that is not plain.
        named_by: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The configuration file has a mistake.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// Line, key and what was expected.
        message: String,
    },
    /// The address to listen on is none.
    #[error("LISTEN is {0:?}: expected an address and a port, such as 127.0.0.1:8080")]
    Listen(String),
    /// The address from outside is none.
    #[error("PUBLIC_URL is {0:?}: expected an address that begins with https:// (or http://)")]
    PublicUrl(String),
    /// The address of exchange rates is none.
    #[error("{0}; or off, so that none are fetched")]
    FxUrl(crate::fx::fetch::FetchError),
    /// The rate limit is none.
    #[error("API_RATE_LIMIT is {0:?}: expected a number of requests a second, or 0 for any number")]
    RateLimit(String),
    /// How Stripe is called cannot be read.
    #[error("{0} is {1:?}: expected {2}")]
    Stripe(&'static str, String, &'static str),
    /// The keys of secrets cannot be read.
    #[error(transparent)]
    SecretsKey(#[from] BadKeys),
    /// The Stripe key cannot be used.
    #[error(transparent)]
    StripeKey(#[from] crate::stripe_api::BadKeys),
    /// Whether to poll cannot be read.
    #[error("SYNC is {0:?}: expected on or off")]
    Sync(String),
    /// The mail rate is none.
    #[error("SMTP_RATE is {0:?}: expected a number of mails a second, or 0 for any number")]
    SmtpRate(String),
    /// The log format is none.
    #[error("LOG_FORMAT is {0:?}: expected text or json")]
    LogFormat(String),
    /// The log filter cannot be read.
    #[error("LOG is {0:?}: {1}. Expected a filter such as info, or commission_bridge=debug")]
    Log(String, String),
}

const DEFAULT_FILE: &str = "commission-bridge.toml";
const DEFAULT_DATABASE: &str = "sqlite://commission-bridge.db";
/// A hundred requests a second, as Stripe allows.
const DEFAULT_RATE_LIMIT: u32 = 100;
/// As long as Stripe may take to decide.
const DEFAULT_STRIPE_TIMEOUT: u64 = 30;
/// Stripe allows 25 in a sandbox.
const DEFAULT_STRIPE_RATE_LIMIT: u32 = 20;
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

impl Config {
    /// Reads the configuration. `environment` is how a variable is looked up.
    ///
    /// # Errors
    /// [`ConfigError`], in words.
    pub fn load(
        flags: &Flags,
        serve: &ServeFlags,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        // An empty variable is one that nobody set.
        let environment = |name: &str| environment(name).filter(|text| !text.is_empty());
        let chosen = |flag: Option<&String>, name: &str| flag.cloned().or_else(|| environment(name));
        let named = flags.config.clone().or_else(|| environment("COMMISSION_BRIDGE_CONFIG").map(PathBuf::from));
        let (file, path) = read_file(named.as_deref())?;
        let secret =
            |flag: Option<&String>, name: &str, filed: Option<Secret>| -> Result<Option<Secret>, ConfigError> {
                if let Some(text) = chosen(flag, name) {
                    return Ok(Some(Secret::new(text)));
                }
                let by_file = format!("{name}_FILE");
                match environment(&by_file) {
                    Some(path) => read_secret(Path::new(&path), &by_file).map(Some),
                    None => Ok(filed),
                }
            };
        let listen = chosen(serve.listen.as_ref(), "LISTEN").or(file.listen);
        let listen = listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let listen: SocketAddr = listen.parse().map_err(|_| ConfigError::Listen(listen))?;
        let public_url = chosen(serve.public_url.as_ref(), "PUBLIC_URL").or(file.public_url);
        let public_url = public_url.unwrap_or_else(|| format!("http://{listen}"));
        if !public_url.starts_with("http://") && !public_url.starts_with("https://") {
            return Err(ConfigError::PublicUrl(public_url));
        }
        let fx_url = environment("FX_URL").or(file.fx_url).unwrap_or_else(|| DAILY.to_owned());
        let fx_url = Some(fx_url.trim().to_owned()).filter(|url| !matches!(url.as_str(), "" | "off"));
        if let Some(url) = &fx_url {
            crate::fx::fetch::parsed(url).map_err(ConfigError::FxUrl)?;
        }
        let api_rate_limit = match environment("API_RATE_LIMIT") {
            Some(text) => text.parse().map_err(|_| ConfigError::RateLimit(text))?,
            None => file.api_rate_limit.unwrap_or(DEFAULT_RATE_LIMIT),
        };
        let stripe_timeout = match environment("STRIPE_TIMEOUT") {
            Some(text) => {
                let seconds = text.parse().ok().filter(|seconds| (1..=600).contains(seconds));
                seconds.ok_or(ConfigError::Stripe("STRIPE_TIMEOUT", text, "1 to 600 seconds"))?
            }
            None => file.stripe_timeout.unwrap_or(DEFAULT_STRIPE_TIMEOUT).clamp(1, 600),
        };
        let stripe_rate_limit = match environment("STRIPE_RATE_LIMIT") {
            Some(text) => {
                let wrong = "a number of calls a second, or 0 for any number";
                text.parse().map_err(|_| ConfigError::Stripe("STRIPE_RATE_LIMIT", text, wrong))?
            }
            None => file.stripe_rate_limit.unwrap_or(DEFAULT_STRIPE_RATE_LIMIT),
        };
        let sync = match environment("SYNC") {
            Some(text) => switched(&text).ok_or(ConfigError::Sync(text))?,
            None => file.sync.unwrap_or(true),
        };
        let smtp_rate = match environment("SMTP_RATE") {
            Some(text) => text.parse().map_err(|_| ConfigError::SmtpRate(text))?,
            None => file.smtp_rate.unwrap_or(rate::DEFAULT),
        };
        let log = chosen(flags.log.as_ref(), "LOG").or(file.log);
        if let Some(log) = &log
            && let Err(error) = EnvFilter::try_new(log)
        {
            return Err(ConfigError::Log(log.clone(), error.to_string()));
        }
        let log_format = match environment("LOG_FORMAT").or(file.log_format) {
            Some(text) => LogFormat::read(&text).ok_or(ConfigError::LogFormat(text))?,
            None => LogFormat::Text,
        };
        let database_url = secret(flags.database_url.as_ref(), "DATABASE_URL", file.database_url.map(Secret::new))?;
        Ok(Self {
            database_url: database_url.map_or_else(|| DEFAULT_DATABASE.to_owned(), |url| url.reveal().to_owned()),
            listen,
            stripe_webhook_secret: secret(
                serve.stripe_webhook_secret.as_ref(),
                "STRIPE_WEBHOOK_SECRET",
                file.stripe_webhook_secret,
            )?,
            vault: Vault::parse(secret(None, "SECRETS_KEY", file.secrets_key)?.unwrap_or_default().reveal())?,
            stripe_api_key: secret(None, "STRIPE_API_KEY", file.stripe_api_key)?,
            stripe_api_base: environment("STRIPE_API_BASE").or(file.stripe_api_base),
            stripe_timeout,
            stripe_rate_limit,
            sync,
            smtp_url: secret(None, "SMTP_URL", file.smtp_url)?,
            smtp_ca: secret(None, "SMTP_CA", file.smtp_ca)?,
            smtp_rate,
            public_url: public_url.trim_end_matches('/').to_owned(),
            fx_url,
            api_rate_limit,
            log,
            log_format,
            file: path,
        })
    }
}

impl Config {
    /// The ways to Stripe that are configured.
    ///
    /// # Errors
    /// [`ConfigError::StripeKey`].
    pub fn stripe(&self) -> Result<Keys, ConfigError> {
        let options = Options {
            base: self.stripe_api_base.clone(),
            timeout: Duration::from_secs(self.stripe_timeout),
            per_second: self.stripe_rate_limit,
        };
        let keys = self.stripe_api_key.as_ref().map_or("", Secret::reveal);
        Ok(Keys::parse(keys, &options)?)
    }
}

/// Reads `on` or `off`, as people write them.
fn switched(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn read_file(named: Option<&Path>) -> Result<(File, Option<PathBuf>), ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((File::default(), None));
        }
        Err(source) => {
            return Err(ConfigError::Unreadable { path: path.to_owned(), named_by: String::new(), source });
        }
    };
    match toml::from_str(&text) {
        Ok(file) => Ok((file, Some(path.to_owned()))),
        Err(error) => {
            // The error's own text quotes the line, which may hold a secret: say where, and what was expected.
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = format!("line {line}: {}", error.message());
            Err(ConfigError::File { path: path.to_owned(), message })
        }
    }
}

fn read_secret(path: &Path, name: &str) -> Result<Secret, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Secret::new(text.trim())),
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), named_by: format!(" ({name})"), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn load(toml: &str, variables: &[(&str, &str)], serve: &ServeFlags) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bridge.toml");
        std::fs::write(&path, toml).unwrap();
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let flags = Flags { config: Some(path), ..Flags::default() };
        Config::load(&flags, serve, |name| variables.get(name).cloned())
    }

    #[test]
    fn flags_come_before_the_file_and_the_file_before_defaults() {
        let serve = ServeFlags { listen: Some("127.0.0.1:1".to_owned()), ..ServeFlags::default() };
        let config = load("listen = \"127.0.0.1:2\"\nlog = \"debug\"", &[], &serve).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.log.as_deref(), Some("debug"));
        assert_eq!(config.database_url, DEFAULT_DATABASE);
        assert_eq!(config.public_url, "http://127.0.0.1:1");
        assert_eq!(config.fx_url.as_deref(), Some(DAILY));
    }

    #[test]
    fn secrets_come_from_files_too_and_are_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "whsec_from_a_file\n").unwrap();
        let variables = [("STRIPE_WEBHOOK_SECRET_FILE", path.to_str().unwrap())];
        let config = load("stripe_api_key = \"rk_live_1\"", &variables, &ServeFlags::default()).unwrap();
        assert_eq!(config.stripe_webhook_secret.as_ref().unwrap().reveal(), "whsec_from_a_file");
        let printed = format!("{config:?}");
        assert!(!printed.contains("whsec") && !printed.contains("rk_live"), "{printed}");
    }

    #[test]
    fn exchange_rates_come_from_elsewhere_or_not_at_all() {
        let url =
            |toml: &str, variables: &[(&str, &str)]| load(toml, variables, &ServeFlags::default()).map(|c| c.fx_url);
        assert_eq!(url("", &[("FX_URL", "off")]).unwrap(), None);
        assert_eq!(url("fx_url = \"\"", &[]).unwrap(), None);
        assert_eq!(
            url("fx_url = \"off\"", &[("FX_URL", "http://x/a.xml")]).unwrap().as_deref(),
            Some("http://x/a.xml")
        );
        let wrong = url("", &[("FX_URL", "ftp://x")]).unwrap_err().to_string();
        assert!(wrong.contains("FX_URL") && wrong.contains("https://"), "{wrong}");
    }

    #[test]
    fn polling_is_switched_off() {
        let sync =
            |toml: &str, variables: &[(&str, &str)]| load(toml, variables, &ServeFlags::default()).map(|c| c.sync);
        assert!(sync("", &[]).unwrap());
        assert!(!sync("sync = false", &[]).unwrap());
        assert!(!sync("sync = true", &[("SYNC", "off")]).unwrap());
        let wrong = sync("", &[("SYNC", "hourly")]).unwrap_err().to_string();
        assert!(wrong.contains("on or off"), "{wrong}");
    }

    #[test]
    fn mistakes_name_the_line_and_never_the_value() {
        let error = load("log = \"info\"\nstripe_api_keys = \"rk_live_1\"", &[], &ServeFlags::default()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("line 2") && message.contains("stripe_api_keys"), "{message}");
        assert!(!message.contains("rk_live_1"), "{message}");
        let serve = ServeFlags { listen: Some("8080".to_owned()), ..ServeFlags::default() };
        assert!(load("", &[], &serve).unwrap_err().to_string().contains("127.0.0.1:8080"));
    }
}
