//! What stands before the JSON API: who asks, how often, and under which request id.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::auth::{self, Caller};
use super::{App, Problem};
use crate::store::api_keys::ApiKey;

/// For so long a key that was looked up is taken for valid: revoking it takes effect that soon.
const KNOWN_FOR: Duration = Duration::from_secs(2);
/// So many keys are remembered at most.
const MOST_KNOWN: usize = 10_000;

type Limiter = RateLimiter<String, DashMapStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// How often a key may ask: a number of requests each second, and twice as many at once.
#[derive(Clone, Default)]
pub struct Limits(Option<Arc<Limiter>>);

impl Limits {
    /// So many requests a second for each key; 0 means without limit.
    pub fn per_second(requests: u32) -> Self {
        Self(NonZeroU32::new(requests).map(|rate| {
            let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
            Arc::new(RateLimiter::dashmap(quota).with_middleware())
        }))
    }

    /// Counts a request: its headers, or why it comes too soon.
    fn count(&self, key: &ApiKey) -> Result<Vec<(HeaderName, u64)>, Box<Response>> {
        let Some(limiter) = &self.0 else { return Ok(Vec::new()) };
        let limit = HeaderName::from_static("ratelimit-limit");
        let remaining = HeaderName::from_static("ratelimit-remaining");
        let reset = HeaderName::from_static("ratelimit-reset");
        match limiter.check_key(&key.id) {
            Ok(state) => {
                let burst = u64::from(state.quota().burst_size().get());
                let left = u64::from(state.remaining_burst_capacity());
                let refill = state.quota().replenish_interval().as_secs_f64();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
                let until_full = ((burst - left.min(burst)) as f64 * refill).ceil() as u64;
                Ok(vec![(limit, burst), (remaining, left), (reset, until_full)])
            }
            Err(not_yet) => {
                let burst = u64::from(not_yet.quota().burst_size().get());
                let wait = not_yet.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
                let mut response = Problem::too_many(format!(
                    "this key has asked too often: at most {burst} requests at once; ask again in {wait} s"
                ))
                .into_response();
                let headers = [(limit, burst), (remaining, 0), (reset, wait), (header::RETRY_AFTER, wait)];
                add(response.headers_mut(), headers);
                Err(Box::new(response))
            }
        }
    }
}

fn add(to: &mut HeaderMap, headers: impl IntoIterator<Item = (HeaderName, u64)>) {
    for (name, value) in headers {
        to.insert(name, HeaderValue::from(value));
    }
}

/// Keys that were looked up lately, by their hashes.
#[derive(Clone, Default)]
pub(super) struct KnownKeys(Arc<Mutex<HashMap<String, (Instant, ApiKey)>>>);

impl KnownKeys {
    /// A key, if it was looked up lately.
    pub(super) fn get(&self, hash: &str) -> Option<ApiKey> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|(since, _)| since.elapsed() < KNOWN_FOR).map(|(_, key)| key.clone())
    }

    /// Remembers a key.
    pub(super) fn put(&self, key: &ApiKey) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key.hash.clone(), (Instant::now(), key.clone()));
    }
}

/// Lets in whoever has a valid key and does not ask too often.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = match auth::identify(&app, request.headers()).await {
        Ok(key) => Caller(key),
        Err(problem) => return problem.into_response(),
    };
    let headers = match app.limits.count(&caller.0) {
        Ok(headers) => headers,
        Err(response) => return *response,
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    add(response.headers_mut(), headers);
    response
}
