//! Asking Stripe for as long as it takes: 429, 5xx, time-outs and answers that cannot be read are waited out, a refusal
//! and a key that may not are told at once. Every call is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::patience::{Patience, pause};
use crate::domain::Time;
use crate::stripe_api::{Answer, Api, KeyProblem, Page, Refusal};

/// How many objects a page has: the most that Stripe gives.
pub const PAGE: &str = "100";

/// A way to Stripe that has patience. Clones count together.
#[derive(Debug, Clone)]
pub struct Asking {
    api: Arc<Api>,
    /// None where it is asked once.
    patience: Option<Patience>,
    calls: Arc<AtomicI64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The key may not do this.
    #[error(transparent)]
    Key(#[from] KeyProblem),
    /// Stripe refused it.
    #[error("{0}")]
    Refused(Refusal),
    /// Stripe did not answer, and was asked once.
    #[error("Stripe did not answer ({0})")]
    NotNow(String),
    /// Stripe did not answer for minutes.
    #[error("Stripe did not answer for ten minutes ({0}); it goes on from here the next time")]
    Unreachable(String),
}

impl AskError {
    /// Whether what was asked for is not there, or no more.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "resource_missing")
    }
}

impl Asking {
    /// Asks by this way.
    pub fn new(api: Arc<Api>, patience: Patience) -> Self {
        Self { api, patience: Some(patience), calls: Arc::default() }
    }

    /// Asks once and tells at once: for whoever has a queue of its own to come back to.
    pub fn once(api: Arc<Api>) -> Self {
        Self { api, patience: None, calls: Arc::default() }
    }

    /// The calls since this was asked last.
    pub fn take_calls(&self) -> i64 {
        self.calls.swap(0, Ordering::Relaxed)
    }

    /// How long one call may take at most.
    pub fn timeout(&self) -> std::time::Duration {
        self.api.timeout()
    }

    /// One page of a list.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn page(&self, path: &str, query: &[(&str, &str)]) -> Result<Page, AskError> {
        let mut failures = 0;
        loop {
            let answer = self.api.page(path, query).await;
            if let Some(page) = self.concluded(answer, &mut failures).await? {
                return Ok(page);
            }
        }
    }

    /// One object.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn object(&self, path: &str, id: &str, query: &[(&str, &str)]) -> Result<Box<RawValue>, AskError> {
        let mut failures = 0;
        loop {
            let answer = self.api.object(path, id, query).await;
            if let Some(object) = self.concluded(answer, &mut failures).await? {
                return Ok(object);
            }
        }
    }

    /// What was answered; nothing, after a wait, where it is to be asked for again.
    async fn concluded<T>(&self, answer: Answer<T>, failures: &mut usize) -> Result<Option<T>, AskError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let why = match answer {
            Answer::Done(done) => return Ok(Some(done)),
            Answer::Refused(refusal) => return Err(AskError::Refused(refusal)),
            Answer::KeyProblem(problem) => return Err(AskError::Key(problem)),
            Answer::Busy => "too many requests".to_owned(),
            Answer::Unknown(why) => why,
        };
        let Some(patience) = &self.patience else { return Err(AskError::NotNow(why)) };
        *failures += 1;
        let Some(long) = pause(*failures) else { return Err(AskError::Unreachable(why)) };
        tracing::info!(%why, seconds = long.as_secs(), "Stripe did not answer; asking again");
        patience.wait(long).await;
        Ok(None)
    }
}

/// What every object shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Outline {
    /// Its id.
    pub id: Option<String>,
    /// When it was made, in unix seconds.
    pub created: Option<i64>,
}

impl Outline {
    /// Reads it; of what is no object, nothing.
    pub fn of(object: &RawValue) -> Self {
        serde_json::from_str(object.get()).unwrap_or_default()
    }

    /// When it was made.
    pub fn created(&self) -> Option<Time> {
        self.created.and_then(|seconds| Time::from_timestamp(seconds, 0))
    }
}

/// What to call an object by: its id, or a digest of its text.
pub fn name(object: &RawValue) -> String {
    let digest = || format!("sha256:{}", hex::encode(&Sha256::digest(object.get())[..8]));
    Outline::of(object).id.filter(|id| !id.is_empty() && !id.contains('\0')).unwrap_or_else(digest)
}

/// The last object of a page that says its id and when it was made: what the next page is asked for behind.
pub fn last_place(objects: &[Box<RawValue>]) -> Option<(String, Time)> {
    objects.iter().rev().find_map(|object| {
        let outline = Outline::of(object);
        let created = outline.created()?;
        outline.id.filter(|id| !id.is_empty() && !id.contains('\0')).map(|id| (id, created))
    })
}
