//! Reading Stripe's objects as Stripe writes them: the client's own types are made for one API version, and what a
//! merchant's account answers may be of any. Whoever asks reads the JSON by `crate::stripe`.

use std::sync::Mutex;

use bytes::Bytes;
use serde_json::value::RawValue;
use stripe::StripeError;
use stripe_client_core::{CustomizedStripeRequest, RequestBuilder, StripeClient, StripeMethod};

use super::answer::{Answer, sorted};
use super::client::{Api, form, part};

/// A page of a list, each object as Stripe wrote it.
#[derive(Debug, serde::Deserialize)]
pub struct Page {
    /// The objects, in Stripe's order: mostly the newest first.
    pub data: Vec<Box<RawValue>>,
    /// Whether more follow.
    pub has_more: bool,
}

/// Sends by the client and keeps the answer's bytes.
struct Keeping<'a> {
    client: &'a stripe::Client,
    bytes: Mutex<Option<Bytes>>,
}

impl StripeClient for Keeping<'_> {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let bytes = self.client.execute(request).await?;
        *self.bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(bytes);
        // Whoever asked reads the bytes that were kept.
        Ok(Bytes::from_static(b"{}"))
    }
}

/// Nothing of an answer.
#[derive(miniserde::Deserialize)]
struct Nothing {}

impl Api {
    /// One page of a list (`/invoices`), when it is its turn. `query` holds the list's parameters, `limit` among them.
    pub async fn page(&self, path: &str, query: &[(&str, &str)]) -> Answer<Page> {
        self.get_bytes(path, query).await.and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// One object (`/invoices`, `in_…`) as Stripe wrote it.
    pub async fn object(&self, path: &str, id: &str, query: &[(&str, &str)]) -> Answer<Box<RawValue>> {
        let path = format!("{path}/{}", part(id));
        self.get_bytes(&path, query).await.and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    async fn get_bytes(&self, path: &str, query: &[(&str, &str)]) -> Answer<Bytes> {
        self.turn().await;
        let mut request = RequestBuilder::new(StripeMethod::Get, path);
        if !query.is_empty() {
            request.query = Some(form(query));
        }
        let keeping = Keeping { client: self.client(), bytes: Mutex::default() };
        let sent = sorted(self.customized::<Nothing>(request).send(&keeping).await);
        let bytes = keeping.bytes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        sent.and_then(|Nothing {}| bytes)
    }
}
