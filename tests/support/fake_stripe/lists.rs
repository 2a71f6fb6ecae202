//! Lists and single objects of a merchant's account, as Stripe answers for them.

use serde_json::{Value, json};

use chrono::TimeDelta;
use commission_bridge::domain::Time;

use super::Books;
use super::expand::{Wanted, deleted_customer};
use super::kinds::{ALL, About, Kind};
use super::merchant::Merchant;
use super::shelf::{Ask, NoSuch};
use super::wire::{Answer, Request};

/// So long events are kept.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(30);

/// What a request asks of a merchant's objects.
pub(super) enum Asked<'a> {
    List(&'static About),
    One(&'static About, &'a str),
    Lines(&'a str),
}

pub(super) fn asked(path: &str) -> Option<Asked<'_>> {
    let path = path.strip_prefix("/v1/")?;
    for about in &ALL {
        match path.strip_prefix(about.path) {
            Some("") => return Some(Asked::List(about)),
            Some(rest) => {
                let Some(rest) = rest.strip_prefix('/') else { continue };
                return match rest.split_once('/') {
                    None => Some(Asked::One(about, rest)),
                    Some((id, "lines")) if about.kind == Kind::Invoice => Some(Asked::Lines(id)),
                    Some(_) => None,
                };
            }
            None => {}
        }
    }
    None
}

pub(super) fn answer(books: &Books, merchant: &Merchant, asked: &Asked<'_>, request: &Request, now: Time) -> Answer {
    let answer = match asked {
        Asked::List(about) if about.kind == Kind::Event => events(merchant, request, now),
        Asked::List(about) => list(merchant, about, request),
        Asked::One(about, id) => one(books, merchant, about, id, request, now),
        Asked::Lines(id) => lines(merchant, id, request),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn no_such(word: &str, id: &str) -> Answer {
    Answer::error(404, "invalid_request_error", Some("resource_missing"), &format!("No such {word}: '{id}'"))
}

fn one(
    books: &Books,
    merchant: &Merchant,
    about: &About,
    id: &str,
    request: &Request,
    now: Time,
) -> Result<Answer, Answer> {
    let wanted = Wanted::read(about.kind, &request.all("expand"), false)?;
    if let Some(large) = &merchant.large {
        return Ok(large.one(about.kind, id, &wanted).map_or_else(|| no_such(about.word, id), Answer::text));
    }
    if about.kind == Kind::Customer && merchant.deleted.contains(id) {
        return Ok(Answer::ok(&deleted_customer(id)));
    }
    let is_kept = |object: &&Value| about.kind != Kind::Event || object["created"].as_i64() >= Some(oldest(now));
    if let Some(object) = merchant.get(about.kind, id).filter(is_kept) {
        return Ok(Answer::ok(&merchant.show(about.kind, object, &wanted)));
    }
    let elsewhere = books.merchants.iter().find(|other| {
        other.account == merchant.account && other.livemode != merchant.livemode && other.get(about.kind, id).is_some()
    });
    if let Some(other) = elsewhere {
        let mode = |live| if live { "live" } else { "test" };
        let said = format!(
            "No such {}: '{id}'; a similar object exists in {} mode, but a {} mode key was used to make this request.",
            about.word,
            mode(other.livemode),
            mode(merchant.livemode)
        );
        return Err(Answer::error(404, "invalid_request_error", Some("resource_missing"), &said));
    }
    Err(no_such(about.word, id))
}

fn oldest(now: Time) -> i64 {
    (now - EVENTS_KEPT).timestamp()
}

/// The parameters that every list knows.
fn ask(request: &Request, known: &[&str]) -> Result<Ask, Answer> {
    let mut ask = Ask { from: i64::MIN, until: i64::MAX, limit: 10, ..Ask::default() };
    for (name, value) in &request.pairs {
        let number = || {
            let refused =
                || Answer::refused_param("parameter_invalid_integer", &format!("Invalid integer: {value}"), name);
            value.parse::<i64>().map_err(|_| refused())
        };
        match name.as_str() {
            "limit" => {
                let limit = number()?;
                if !(1..=100).contains(&limit) {
                    let said = "This value must be between 1 and 100, both included.";
                    return Err(Answer::refused_param("parameter_invalid_integer", said, "limit"));
                }
                ask.limit = usize::try_from(limit).unwrap();
            }
            "created" => (ask.from, ask.until) = (number()?, number()?),
            "created[gte]" => ask.from = ask.from.max(number()?),
            "created[gt]" => ask.from = ask.from.max(number()?.saturating_add(1)),
            "created[lte]" => ask.until = ask.until.min(number()?),
            "created[lt]" => ask.until = ask.until.min(number()?.saturating_sub(1)),
            "starting_after" => ask.starting_after = Some(value.clone()),
            "ending_before" => ask.ending_before = Some(value.clone()),
            name if name == "expand" || name.starts_with("expand[") => {}
            name if known.contains(&name.split('[').next().unwrap_or_default()) || known.contains(&name) => {}
            name => {
                let said = format!("Received unknown parameter: {name}");
                return Err(Answer::refused_param("parameter_unknown", &said, name));
            }
        }
    }
    if ask.starting_after.is_some() && ask.ending_before.is_some() {
        let said = "You may only specify one of these parameters: starting_after, ending_before.";
        return Err(Answer::error(400, "invalid_request_error", None, said));
    }
    Ok(ask)
}

fn page(url: &str, data: &[Value], has_more: bool) -> Answer {
    Answer::ok(&json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

fn list(merchant: &Merchant, about: &'static About, request: &Request) -> Result<Answer, Answer> {
    let mut known: Vec<&str> = about.filters.iter().map(|(name, _)| *name).collect();
    if about.kind == Kind::Subscription {
        known.push("status");
    }
    let mut ask = ask(request, &known)?;
    for (name, _) in about.filters {
        ask.filters.extend(request.fields.get(*name).map(|value| (*name, value.clone())));
    }
    // The rarest mark first: what is named by an id.
    ask.filters.sort_by_key(|(_, value)| !value.contains('_') || value == "payment_intent");
    if request.fields.contains_key("payment[payment_intent]") && !request.fields.contains_key("payment[type]") {
        return Err(Answer::refused_param(
            "parameter_missing",
            "Missing required param: payment[type].",
            "payment[type]",
        ));
    }
    let wanted = Wanted::read(about.kind, &request.all("expand"), true)?;
    let cursor = |NoSuch(id): NoSuch| {
        let said = format!("No such {}: '{id}'", about.word);
        Answer::refused_param(
            "resource_missing",
            &said,
            if ask.starting_after.is_some() { "starting_after" } else { "ending_before" },
        )
    };
    if let Some(large) = &merchant.large {
        return large.page(about.kind, &ask, &wanted, &request.path).map(Answer::text).map_err(cursor);
    }
    let status = request.fields.get("status").map(String::as_str);
    let keep = |object: &Value| match (about.kind, status) {
        (Kind::Subscription, None) => object["status"] != "canceled",
        (Kind::Subscription, Some("all")) => true,
        (Kind::Subscription, Some("ended")) => object["status"] == "canceled",
        (Kind::Subscription, Some(status)) => object["status"] == status,
        _ => true,
    };
    let (found, has_more) = merchant.shelf(about.kind).page(&ask, keep).map_err(cursor)?;
    let data: Vec<Value> = found.into_iter().map(|object| merchant.show(about.kind, object, &wanted)).collect();
    Ok(page(&request.path, &data, has_more))
}

/// Events: those of the last thirty days, by type and by whether they were delivered.
fn events(merchant: &Merchant, request: &Request, now: Time) -> Result<Answer, Answer> {
    let mut ask = ask(request, &["type", "types", "delivery_success"])?;
    let types = request.all("types");
    let type_ = request.fields.get("type");
    if types.len() > 20 {
        let said = "You may specify at most 20 event types.";
        return Err(Answer::refused_param("parameter_invalid", said, "types"));
    }
    if type_.is_some() && !types.is_empty() {
        let said = "You may only specify one of these parameters: type, types.";
        return Err(Answer::error(400, "invalid_request_error", None, said));
    }
    Wanted::read(Kind::Event, &request.all("expand"), true)?;
    ask.from = ask.from.max(oldest(now));
    ask.until = ask.until.min(now.timestamp());
    let delivered = request.fields.get("delivery_success").map(|text| text == "true");
    let fits = |wanted: &String, type_: &str| match wanted.strip_suffix('*') {
        Some(beginning) => type_.starts_with(beginning),
        None => wanted == type_,
    };
    let keep = |event: &Value| {
        let (id, type_of) = (event["id"].as_str().unwrap_or_default(), event["type"].as_str().unwrap_or_default());
        delivered.is_none_or(|wanted| wanted != merchant.undelivered.contains(id))
            && (types.is_empty() || types.iter().any(|wanted| fits(wanted, type_of)))
            && type_.is_none_or(|wanted| fits(wanted, type_of))
    };
    let cursor = |NoSuch(id): NoSuch| Answer::refused("resource_missing", &format!("No such event: '{id}'"));
    let (found, has_more) = merchant.shelf(Kind::Event).page(&ask, keep).map_err(cursor)?;
    let data: Vec<Value> = found.into_iter().cloned().collect();
    Ok(page(&request.path, &data, has_more))
}

/// The lines of an invoice, in their own order.
fn lines(merchant: &Merchant, id: &str, request: &Request) -> Result<Answer, Answer> {
    let ask = ask(request, &[])?;
    let Some(invoice) = merchant.get(Kind::Invoice, id) else { return Err(no_such("invoice", id)) };
    let all: Vec<Value> = invoice["lines"]["data"].as_array().cloned().unwrap_or_default();
    let place = |id: &String| {
        let found = all.iter().position(|line| line["id"] == id.as_str());
        found.ok_or_else(|| Answer::refused("resource_missing", &format!("No such invoice line item: '{id}'")))
    };
    let (from, until) = match (&ask.starting_after, &ask.ending_before) {
        (Some(after), _) => {
            let from = place(after)? + 1;
            (from, all.len().min(from + ask.limit))
        }
        (_, Some(before)) => {
            let until = place(before)?;
            (until.saturating_sub(ask.limit), until)
        }
        _ => (0, all.len().min(ask.limit)),
    };
    let has_more = if ask.ending_before.is_some() { from > 0 } else { until < all.len() };
    Ok(page(&request.path, &all[from..until], has_more))
}
