//! Webhook endpoints of an account: made, listed, changed, removed.

use std::collections::BTreeMap;

use commission_bridge::stripe::event::UNDERSTOOD;
use serde_json::{Value, json};

use super::Books;
use super::wire::{Answer, Request};

/// An account has so many of a mode at most.
const MOST: usize = 16;

/// Types beside those that are understood here, so that a wrong one can be told from a superfluous one.
const OTHER_TYPES: [&str; 6] =
    ["*", "invoice.created", "invoice.finalized", "invoice.upcoming", "payout.paid", "payment_method.attached"];

/// A webhook endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: String,
    pub account: String,
    pub livemode: bool,
    pub url: String,
    pub secret: String,
    pub enabled_events: Vec<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub api_version: Option<String>,
    pub connect: bool,
    /// `enabled`, `disabled`.
    pub status: String,
    pub created: i64,
}

impl Endpoint {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "webhook_endpoint", "api_version": self.api_version, "application": null,
            "created": self.created, "description": self.description, "enabled_events": self.enabled_events,
            "livemode": self.livemode, "metadata": self.metadata, "status": self.status, "url": self.url,
        })
    }
}

fn no_such(id: &str) -> Answer {
    Answer::error(404, "invalid_request_error", Some("resource_missing"), &format!("No such webhook endpoint: '{id}'"))
}

fn enabled_events(request: &Request) -> Result<Vec<String>, Answer> {
    let types = request.all("enabled_events");
    for (place, type_) in types.iter().enumerate() {
        if !UNDERSTOOD.contains(&type_.as_str()) && !OTHER_TYPES.contains(&type_.as_str()) {
            let said = format!("Invalid enabled_events[{place}]: must be one of * or the types of events, not {type_}");
            return Err(Answer::refused_param("parameter_invalid", &said, &format!("enabled_events[{place}]")));
        }
    }
    Ok(types)
}

fn url(request: &Request, live: bool) -> Result<Option<String>, Answer> {
    let Some(url) = request.fields.get("url") else { return Ok(None) };
    if url.starts_with("https://") || (!live && url.starts_with("http://")) {
        return Ok(Some(url.clone()));
    }
    let said = if live {
        "Invalid URL: live endpoints must be HTTPS."
    } else {
        "Invalid URL: an explicit scheme must be given."
    };
    Err(Answer::refused_param("url_invalid", said, "url"))
}

pub(super) fn get(books: &Books, request: &Request, account: &str, live: bool, id: Option<&str>) -> Answer {
    let own = books.endpoints.iter().filter(|one| one.account == account && one.livemode == live);
    let Some(id) = id else {
        let limit = request.fields.get("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
        let mut all: Vec<&Endpoint> = own.collect();
        all.reverse();
        if let Some(after) = request.fields.get("starting_after") {
            let at = all.iter().position(|one| one.id == *after).map_or(0, |at| at + 1);
            all.drain(..at);
        }
        let has_more = all.len() > limit;
        let data: Vec<Value> = all.into_iter().take(limit).map(Endpoint::json).collect();
        return Answer::ok(
            &json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/webhook_endpoints" }),
        );
    };
    own.into_iter().find(|one| one.id == id).map_or_else(|| no_such(id), |one| Answer::ok(&one.json()))
}

pub(super) fn create(books: &mut Books, request: &Request, account: &str, live: bool, now: i64) -> Answer {
    let made = || -> Result<Endpoint, Answer> {
        let missing =
            |name: &str| Answer::refused_param("parameter_missing", &format!("Missing required param: {name}."), name);
        let url = url(request, live)?.ok_or_else(|| missing("url"))?;
        let enabled_events = enabled_events(request)?;
        if enabled_events.is_empty() {
            return Err(missing("enabled_events"));
        }
        let own = books.endpoints.iter().filter(|one| one.account == account && one.livemode == live).count();
        if own >= MOST {
            let mode = if live { "live" } else { "test" };
            let said = format!("You have reached the maximum of {MOST} {mode} webhook endpoints.");
            return Err(Answer::error(400, "invalid_request_error", None, &said));
        }
        let number = books.endpoints_made + 1;
        Ok(Endpoint {
            id: format!("we_{number:06}"),
            account: account.to_owned(),
            livemode: live,
            url,
            secret: format!("whsec_of_endpoint_{number:06}"),
            enabled_events,
            description: request.fields.get("description").cloned(),
            metadata: request.metadata(),
            api_version: request.fields.get("api_version").cloned(),
            connect: request.fields.get("connect").is_some_and(|text| text == "true"),
            status: "enabled".to_owned(),
            created: now,
        })
    };
    match made() {
        Err(refused) => refused,
        Ok(endpoint) => {
            let mut shown = endpoint.json();
            shown["secret"] = json!(endpoint.secret);
            books.endpoints_made += 1;
            books.endpoints.push(endpoint);
            Answer::ok(&shown)
        }
    }
}

pub(super) fn update(books: &mut Books, request: &Request, account: &str, live: bool, id: &str) -> Answer {
    let (url, types) = match (url(request, live), enabled_events(request)) {
        (Ok(url), Ok(types)) => (url, types),
        (Err(refused), _) | (_, Err(refused)) => return refused,
    };
    let own = |one: &&mut Endpoint| one.account == account && one.livemode == live && one.id == id;
    let Some(endpoint) = books.endpoints.iter_mut().find(own) else { return no_such(id) };
    endpoint.url = url.unwrap_or_else(|| endpoint.url.clone());
    if !types.is_empty() {
        endpoint.enabled_events = types;
    }
    if let Some(disabled) = request.fields.get("disabled") {
        let status = if disabled == "true" { "disabled" } else { "enabled" };
        status.clone_into(&mut endpoint.status);
    }
    endpoint.description = request.fields.get("description").cloned().or_else(|| endpoint.description.clone());
    endpoint.metadata.extend(request.metadata());
    Answer::ok(&endpoint.json())
}

pub(super) fn delete(books: &mut Books, account: &str, live: bool, id: &str) -> Answer {
    let before = books.endpoints.len();
    books.endpoints.retain(|one| !(one.account == account && one.livemode == live && one.id == id));
    if books.endpoints.len() == before {
        return no_such(id);
    }
    Answer::ok(&json!({ "id": id, "object": "webhook_endpoint", "deleted": true }))
}
