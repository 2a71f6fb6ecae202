//! What an answer of Stripe's allows to conclude.

use stripe::StripeError;

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was done.
    Done(T),
    /// Stripe refused it for good: nothing was done. The same request under the same key is answered the same.
    Refused(Refusal),
    /// Too many requests (429): nothing was done; the same request may be made again, later.
    Busy,
    /// Nobody knows whether it was done: a time-out, a lost connection, a 5xx, a 409 (the same key is being worked on),
    /// an answer that cannot be read. The text says which, for people.
    Unknown(String),
    /// The key may not do this, whatever is asked.
    KeyProblem(KeyProblem),
}

/// Why Stripe refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stripe's `code` (`balance_insufficient`); its `type` where there is none.
    pub code: String,
    /// Stripe's words.
    pub message: String,
    /// The parameter that it is about, where it is about one.
    pub param: Option<String>,
    /// 400, 402, 404, …
    pub http_status: u16,
}

/// What a key may not do, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyProblem {
    /// `key_refused` (401), `key_lacks_permission` (403).
    pub code: &'static str,
    /// What is wrong and what to do; Stripe's own words name the missing permission.
    pub message: String,
}

impl<T> Answer<T> {
    /// The same answer about something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(done) => Answer::Done(change(done)),
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::Busy => Answer::Busy,
            Self::Unknown(why) => Answer::Unknown(why),
            Self::KeyProblem(problem) => Answer::KeyProblem(problem),
        }
    }

    /// The same answer about what is read of it; what cannot be read is not known.
    pub(super) fn and_then<U>(self, read: impl FnOnce(T) -> Option<U>) -> Answer<U> {
        match self {
            Self::Done(done) => {
                read(done).map_or_else(|| Answer::Unknown("an answer that cannot be read".to_owned()), Answer::Done)
            }
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::Busy => Answer::Busy,
            Self::Unknown(why) => Answer::Unknown(why),
            Self::KeyProblem(problem) => Answer::KeyProblem(problem),
        }
    }

    /// What was done, or why it was not in words: where nothing depends on what may be concluded.
    ///
    /// # Errors
    /// The words.
    pub fn done(self) -> Result<T, String> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) => Err(refusal.to_string()),
            Self::Busy => Err("Stripe has too many requests at the moment; try again in a minute".to_owned()),
            Self::Unknown(why) => Err(format!("Stripe did not answer clearly ({why}); try again in a minute")),
            Self::KeyProblem(problem) => Err(problem.to_string()),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stripe refused: {} ({})", self.message.trim_end_matches('.'), self.code)
    }
}

/// Sorts what the client reports.
pub(super) fn sorted<T>(result: Result<T, StripeError>) -> Answer<T> {
    let error = match result {
        Ok(done) => return Answer::Done(done),
        Err(error) => error,
    };
    let (said, status) = match error {
        StripeError::Stripe(said, status) => (said, status),
        StripeError::Timeout => return Answer::Unknown("no answer in time".to_owned()),
        StripeError::JSONDeserialize(_) => return Answer::Unknown("an answer that cannot be read".to_owned()),
        StripeError::ClientError(why) => return Answer::Unknown(format!("the connection failed: {why}")),
        StripeError::ConfigError(why) => {
            return Answer::KeyProblem(KeyProblem {
                code: "key_refused",
                message: format!("STRIPE_API_KEY or STRIPE_API_BASE cannot be used: {why}"),
            });
        }
    };
    let message = said.message.clone().unwrap_or_else(|| format!("no reason given, status {status}"));
    match status {
        429 => Answer::Busy,
        401 => Answer::KeyProblem(KeyProblem {
            code: "key_refused",
            message: format!("Stripe does not accept STRIPE_API_KEY: {message}"),
        }),
        403 => Answer::KeyProblem(KeyProblem {
            code: "key_lacks_permission",
            message: format!(
                "STRIPE_API_KEY lacks a permission, give it to the key in Stripe (Developers, API keys): {message}"
            ),
        }),
        400..=499 if status != 409 && status != 408 && status != 424 => {
            let code = said.code.as_ref().map_or_else(|| said.type_.as_str(), |code| code.as_str());
            Answer::Refused(Refusal { code: code.to_owned(), message, param: said.param.clone(), http_status: status })
        }
        _ => Answer::Unknown(format!("status {status}: {message}")),
    }
}
