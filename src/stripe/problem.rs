//! What is wrong with an event, told so that one can find the place.

use std::borrow::Cow;

use serde::Deserialize;

/// Why a body is no Stripe event: the webhook answers 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is not JSON (or not UTF-8).
    #[error("not JSON: {message}")]
    NotJson {
        /// What was expected where, by line and column.
        message: String,
    },
    /// JSON, but not the envelope of an event.
    #[error("not a Stripe event: {path}: {problem}")]
    NotAnEvent {
        /// The field at fault (`data.object`); `.` for the whole body.
        path: String,
        /// What was expected and what was found.
        problem: String,
    },
}

impl EnvelopeError {
    pub(super) fn not_an_event(path: impl Into<String>, expected: &str, found: &str) -> Self {
        Self::NotAnEvent { path: path.into(), problem: format!("expected {expected}, found {found}") }
    }
}

impl From<serde_json::Error> for EnvelopeError {
    fn from(error: serde_json::Error) -> Self {
        Self::NotJson { message: error.to_string() }
    }
}

/// Why an understood event could not be read: it is kept, marked failed, shown and can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ReadError {
    path: Cow<'static, str>,
    problem: String,
}

impl ReadError {
    /// The stable reason code of every such event.
    pub const CODE: &'static str = "unreadable";

    /// The stable reason code.
    pub fn code(&self) -> &'static str {
        Self::CODE
    }

    /// The JSON path of the offending field, such as `data.object.lines.data[0].amount`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was expected there and what was found.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// `path` is relative to the object that is being read.
    pub(super) fn missing(path: &'static str, expected: &str) -> Self {
        Self { path: path.into(), problem: format!("expected {expected}, found nothing") }
    }

    /// Amounts that do not add up within 64 bits.
    pub(super) fn overflow(path: &'static str) -> Self {
        Self { path: path.into(), problem: "expected amounts whose sum fits 64 bits, found larger ones".to_owned() }
    }

    pub(super) fn within(mut self, outer: &str) -> Self {
        let path = format!("{outer}{}", self.path);
        self.path = path.trim_end_matches('.').to_owned().into();
        self
    }
}

impl From<EnvelopeError> for ReadError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::NotJson { message } => Self { path: ".".into(), problem: format!("not JSON: {message}") },
            EnvelopeError::NotAnEvent { path, problem } => Self { path: path.into(), problem },
        }
    }
}

/// Reads one object. What is right is read at full speed; only what is wrong is read again, to find the path.
pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ReadError> {
    serde_json::from_str(json).or_else(|_| {
        let deserializer = &mut serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.into_inner());
            let mut problem = error.to_string();
            // The position is within the object, not within the body: it would mislead.
            let position = format!(" at line {} column {}", error.line(), error.column());
            problem.truncate(problem.strip_suffix(&position).unwrap_or(&problem).len());
            ReadError { path: path.into(), problem }
        })
    })
}
