//! The client: `async-stripe`'s, with our own small answers, one attempt, a time-out and a rate limit.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy};
use stripe_client_core::{CustomizableStripeRequest, RequestBuilder, StripeMethod};

use super::answer::{Answer, sorted};
use super::keys::BadKeys;

/// How Stripe is called.
#[derive(Debug, Clone)]
pub struct Options {
    /// Another server than Stripe's, with or without a slash at the end.
    pub base: Option<String>,
    /// How long a call may take, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// Calls a second; 0 for any number. Stripe allows 25 in a sandbox and for one endpoint.
    pub per_second: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { base: None, timeout: Duration::from_secs(30), per_second: 20 }
    }
}

/// So many calls may come at once.
const BURST: NonZeroU32 = NonZeroU32::new(8).expect("eight is not zero");

/// A way to Stripe with one secret key, in the name of the key's own account or of one that is connected to it.
pub struct Api {
    client: Client,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    timeout: Duration,
    livemode: bool,
    account: Option<String>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("account", &self.account).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Api {
    /// Makes a client; it connects with each call.
    ///
    /// # Errors
    /// [`BadKeys::Unusable`].
    pub fn new(key: &str, options: &Options) -> Result<Self, BadKeys> {
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let mut builder = ClientBuilder::new(key)
            .app_info("commission-bridge", version, None)
            .request_strategy(RequestStrategy::Once)
            .timeout(options.timeout);
        if let Some(base) = &options.base {
            builder = builder.url(format!("{}/", base.trim_end_matches('/')));
        }
        let client = builder.build().map_err(|error| BadKeys::Unusable(error.to_string()))?;
        let quota = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.min(BURST));
        let limiter = NonZeroU32::new(options.per_second).map(|rate| RateLimiter::direct(quota(rate)));
        let livemode = key.contains("_live_");
        Ok(Self { client, limiter: limiter.map(Arc::new), timeout: options.timeout, livemode, account: None })
    }

    /// The same key in the name of an account that is connected to the key's own. They share the rate limit.
    pub(super) fn in_the_name_of(&self, account: &str) -> Self {
        Self {
            client: self.client.clone(),
            limiter: self.limiter.clone(),
            timeout: self.timeout,
            livemode: self.livemode,
            account: Some(account.to_owned()),
        }
    }

    /// In whose name it asks; the key's own account where there is none.
    pub fn account_name(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether its key is a live one.
    pub fn is_live(&self) -> bool {
        self.livemode
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// How long a call may take at most, not counting the wait for its turn.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits until another call is within the rate limit, and counts it.
    pub async fn turn(&self) {
        let Some(limiter) = &self.limiter else { return };
        while let Err(not_before) = limiter.check() {
            tokio::time::sleep(not_before.wait_time_from(DefaultClock::default().now())).await;
        }
    }

    /// One GET, when it is its turn.
    pub(super) async fn get<T: miniserde::Deserialize>(&self, path: &str, query: &[(&str, &str)]) -> Answer<T> {
        self.turn().await;
        let mut request = RequestBuilder::new(StripeMethod::Get, path);
        if !query.is_empty() {
            request.query = Some(form(query));
        }
        sorted(self.customized::<T>(request).send(&self.client).await)
    }

    /// A request in the right name.
    pub(super) fn customized<T>(&self, request: RequestBuilder) -> CustomizableStripeRequest<T> {
        let request = request.customize::<T>();
        match self.account.as_deref() {
            Some(account) => request.account_id(account.into()),
            None => request,
        }
    }

    /// One DELETE, when it is its turn. What is gone already is refused as missing.
    pub(super) async fn delete<T: miniserde::Deserialize>(&self, path: &str) -> Answer<T> {
        self.turn().await;
        let request = RequestBuilder::new(StripeMethod::Delete, path);
        sorted(self.customized::<T>(request).send(&self.client).await)
    }

    /// One POST, at once, under a key of its own: made once more, Stripe answers the same and does it once.
    pub(super) async fn post<T: miniserde::Deserialize>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        idempotency_key: &str,
    ) -> Answer<T> {
        let Ok(key) = IdempotencyKey::new(idempotency_key) else {
            return Answer::Unknown("an idempotency key of this length cannot be sent".to_owned());
        };
        let mut request = RequestBuilder::new(StripeMethod::Post, path);
        request.body = Some(form(fields));
        let request = self.customized::<T>(request).request_strategy(RequestStrategy::Idempotent(key));
        sorted(request.send(&self.client).await)
    }
}

pub(super) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An id as a part of an address: whatever it is, it stays one part.
pub(super) fn part(id: &str) -> String {
    form_urlencoded::byte_serialize(id.as_bytes()).collect()
}
