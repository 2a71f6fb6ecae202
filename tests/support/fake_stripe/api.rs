//! What each address does to the books.

use commission_bridge::domain::Time;
use commission_bridge::domain::currency::Currency;
use serde_json::{Value, json};

use super::endpoints;
use super::lists::{self, Asked};
use super::merchant::Merchant;
use super::wire::{Answer, Request};
use super::{Account, Books, Transfer};

/// The permission that a restricted key needs, without the `rak_` before it.
pub(super) fn permission(request: &Request) -> String {
    let access = if request.method == "GET" { "read" } else { "write" };
    let room = match lists::asked(&request.path) {
        Some(Asked::List(about) | Asked::One(about, _)) => about.permission,
        Some(Asked::Lines(_)) => "invoice",
        None => match request.path.trim_start_matches("/v1/").split('/').next().unwrap_or_default() {
            "balance" => "balance",
            "transfers" => "transfers",
            "webhook_endpoints" => "webhook",
            "account" => "account",
            _ => "accounts",
        },
    };
    format!("{room}_{access}")
}

pub(super) fn get(books: &Books, request: &Request, live: bool, now: Time) -> Answer {
    let account = match account_of(books, request) {
        Ok(account) => account,
        Err(refused) => return refused,
    };
    if let Some(asked) = lists::asked(&request.path) {
        let nothing = Merchant::empty(&account, live);
        return lists::answer(books, books.of(&account, live).unwrap_or(&nothing), &asked, request, now);
    }
    let parts: Vec<&str> = request.path.trim_start_matches("/v1/").split('/').collect();
    match parts[..] {
        ["balance"] => {
            let funds: Vec<Value> = books
                .available
                .iter()
                .map(|(currency, amount)| json!({ "amount": amount, "currency": currency, "source_types": {} }))
                .collect();
            Answer::ok(&json!({ "object": "balance", "available": funds, "livemode": live, "pending": [] }))
        }
        ["transfers"] => list(books, request, live),
        ["transfers", id] => match books.transfers.iter().find(|transfer| transfer.id == id) {
            Some(found) => Answer::ok(&transfer_json(found, live)),
            None => missing("transfer", id),
        },
        ["account"] => Answer::ok(&json!({
            "id": account, "object": "account", "business_profile": {"name": "Example Software"},
            "charges_enabled": true, "country": "DE", "default_currency": "eur", "details_submitted": true,
            "email": "owner@example.com", "payouts_enabled": true, "settings": {}, "type": "standard",
        })),
        ["webhook_endpoints"] => endpoints::get(books, request, &account, live, None),
        ["webhook_endpoints", id] => endpoints::get(books, request, &account, live, Some(id)),
        ["accounts", id] => match books.accounts.get(id) {
            Some(found) => Answer::ok(&account_json(found)),
            None => Answer::error(
                403,
                "invalid_request_error",
                Some("account_invalid"),
                &format!("The provided key does not have access to account '{id}' (or that account does not exist)."),
            ),
        },
        _ => Answer::error(404, "invalid_request_error", None, "Unrecognized request URL"),
    }
}

/// The account that a request is about.
fn account_of(books: &Books, request: &Request) -> Result<String, Answer> {
    let Some(account) = &request.account else { return Ok(books.own_account.clone()) };
    if *account == books.own_account || books.merchants.iter().any(|merchant| merchant.account == *account) {
        return Ok(account.clone());
    }
    Err(Answer::error(
        403,
        "invalid_request_error",
        Some("account_invalid"),
        &format!(
            "The provided key does not have access to account '{account}' (or that account does not exist). Application \
             access may have been revoked."
        ),
    ))
}

pub(super) fn delete(books: &mut Books, request: &Request, live: bool) -> Answer {
    let account = match account_of(books, request) {
        Ok(account) => account,
        Err(refused) => return refused,
    };
    match request.path.strip_prefix("/v1/webhook_endpoints/") {
        Some(id) => endpoints::delete(books, &account, live, id),
        None => Answer::error(404, "invalid_request_error", None, "Unrecognized request URL"),
    }
}

pub(super) fn post(books: &mut Books, request: &Request, live: bool, now: Time) -> Answer {
    let account = match account_of(books, request) {
        Ok(account) => account,
        Err(refused) => return refused,
    };
    let parts: Vec<&str> = request.path.trim_start_matches("/v1/").split('/').collect();
    match parts[..] {
        ["transfers"] => transfer(books, request, live, now),
        ["transfers", id, "reversals"] => reverse(books, request, id, live),
        ["webhook_endpoints"] => endpoints::create(books, request, &account, live, now.timestamp()),
        ["webhook_endpoints", id] => endpoints::update(books, request, &account, live, id),
        ["accounts"] => make_account(books, request),
        ["account_links"] => link(books, request),
        _ => Answer::error(404, "invalid_request_error", None, "Unrecognized request URL"),
    }
}

fn missing(kind: &str, id: &str) -> Answer {
    Answer::error(404, "invalid_request_error", Some("resource_missing"), &format!("No such {kind}: '{id}'"))
}

/// The newest first, a page at a time.
fn list(books: &Books, request: &Request, live: bool) -> Answer {
    let group = request.fields.get("transfer_group");
    let limit: usize = request.fields.get("limit").and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut found: Vec<&Transfer> =
        books.transfers.iter().rev().filter(|transfer| group.is_none() || transfer.group.as_ref() == group).collect();
    if let Some(after) = request.fields.get("starting_after") {
        let at = found.iter().position(|transfer| transfer.id == *after).map_or(0, |at| at + 1);
        found.drain(..at);
    }
    let has_more = found.len() > limit;
    let data: Vec<Value> = found.into_iter().take(limit).map(|transfer| transfer_json(transfer, live)).collect();
    Answer::ok(&json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/transfers" }))
}

fn transfer(books: &mut Books, request: &Request, live: bool, now: Time) -> Answer {
    let field = |name: &str| request.fields.get(name).cloned();
    let (Some(amount), Some(currency)) = (field("amount").and_then(|text| text.parse::<i64>().ok()), field("currency"))
    else {
        return Answer::refused("parameter_missing", "Missing required param: amount or currency.");
    };
    let destination = field("destination").unwrap_or_default();
    if amount <= 0 {
        return Answer::refused("parameter_invalid_integer", "This value must be greater than or equal to 1.");
    }
    if !currency.parse::<Currency>().is_ok_and(|currency| amount % currency.payout_step() == 0) {
        return Answer::refused("invalid_amount", "The amount is not one that this currency can be paid in.");
    }
    match books.accounts.get(&destination) {
        Some(account) if account.transfers != "active" => {
            return Answer::refused(
                "insufficient_capabilities_for_transfer",
                "Your destination account needs to have at least one of the following capabilities enabled: transfers",
            );
        }
        None if !books.any_account => {
            return Answer::refused("resource_missing", &format!("No such destination: '{destination}'"));
        }
        _ => {}
    }
    let available = books.available.entry(currency.clone()).or_default();
    if *available < amount {
        return Answer::refused(
            "balance_insufficient",
            "You have insufficient available funds in your Stripe account.",
        );
    }
    *available -= amount;
    let made = Transfer {
        id: format!("tr_{:06}", books.transfers.len() + 1),
        amount,
        amount_reversed: 0,
        currency,
        destination,
        group: field("transfer_group"),
        description: field("description"),
        metadata: request.metadata(),
        key: request.key.clone(),
        created: now.timestamp(),
    };
    let answer = Answer::ok(&transfer_json(&made, live));
    books.transfers.push(made);
    answer
}

fn reverse(books: &mut Books, request: &Request, id: &str, live: bool) -> Answer {
    let Some(found) = books.transfers.iter_mut().find(|transfer| transfer.id == id) else {
        return missing("transfer", id);
    };
    let left = found.amount - found.amount_reversed;
    let amount = request.fields.get("amount").and_then(|text| text.parse().ok()).unwrap_or(left);
    if amount > left {
        return Answer::refused("amount_too_large", "Reversal amount is greater than unreversed amount.");
    }
    found.amount_reversed += amount;
    Answer::ok(&transfer_json(found, live))
}

/// As Stripe shows a transfer.
pub fn transfer_json(transfer: &Transfer, live: bool) -> Value {
    json!({
        "id": transfer.id, "object": "transfer", "amount": transfer.amount,
        "amount_reversed": transfer.amount_reversed, "created": transfer.created, "currency": transfer.currency,
        "description": transfer.description, "destination": transfer.destination, "livemode": live,
        "metadata": transfer.metadata, "reversed": transfer.amount == transfer.amount_reversed,
        "reversals": {"object": "list", "data": [], "has_more": false}, "source_type": "card",
        "transfer_group": transfer.group,
    })
}

fn make_account(books: &mut Books, request: &Request) -> Answer {
    let account = Account {
        id: format!("acct_{:06}", books.accounts.len() + 1),
        transfers: "inactive".to_owned(),
        currently_due: vec!["external_account".to_owned(), "tos_acceptance.date".to_owned()],
        email: request.fields.get("email").cloned(),
        metadata: request.metadata(),
    };
    let answer = Answer::ok(&account_json(&account));
    books.accounts.insert(account.id.clone(), account);
    answer
}

fn account_json(account: &Account) -> Value {
    json!({
        "id": account.id, "object": "account", "type": "express", "email": account.email,
        "capabilities": {"transfers": account.transfers}, "details_submitted": account.currently_due.is_empty(),
        "requirements": {"currently_due": account.currently_due, "disabled_reason": null},
        "metadata": account.metadata,
    })
}

fn link(books: &mut Books, request: &Request) -> Answer {
    let account = request.fields.get("account").cloned().unwrap_or_default();
    if !books.accounts.contains_key(&account) {
        return missing("account", &account);
    }
    books.links += 1;
    let url = format!("https://connect.stripe.example/setup/{account}/{}", books.links);
    Answer::ok(&json!({ "object": "account_link", "url": url, "created": 0, "expires_at": 300 }))
}
