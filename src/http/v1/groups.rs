//! `/v1/groups`: groups of partners, which rules can name.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::shapes::{GroupFields, Override};
use super::{Wanted, begin};
use crate::admin::partners;
use crate::domain::terms::Terms;
use crate::program::json;

/// A group of partners.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Group {
    /// Always `group`.
    #[schema(example = "group")]
    object: &'static str,
    #[schema(example = "gold")]
    key: String,
    /// Its display name.
    name: String,
    /// How many partners are in it.
    partners: usize,
    /// Rules that are tried before a program's own.
    #[schema(value_type = Vec<Override>)]
    overrides: Value,
}

/// Groups that were named, and those that partners are in.
fn all(terms: &Terms) -> Vec<Group> {
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    for group in terms.partners.values().filter_map(|partner| partner.group.latest()?.as_deref()) {
        *members.entry(group).or_default() += 1;
    }
    let keys: BTreeSet<&str> = terms.groups.keys().map(String::as_str).chain(members.keys().copied()).collect();
    keys.into_iter()
        .map(|key| {
            let known = terms.groups.get(key);
            Group {
                object: "group",
                key: key.to_owned(),
                name: known.map_or(key, |group| group.name.as_str()).to_owned(),
                partners: members.get(key).copied().unwrap_or(0),
                overrides: known.map_or_else(|| Value::Array(Vec::new()), |group| json::overrides(&group.overrides)),
            }
        })
        .collect()
}

fn find(terms: &Terms, key: &str) -> Result<Group, Problem> {
    let found = all(terms).into_iter().find(|group| group.key == key);
    found.ok_or_else(|| Problem::not_found(format!("there is no group {key:?}")))
}

/// The groups
///
/// In order of their keys; a group need not be entered before a partner is in it.
#[utoipa::path(
    get, path = "/v1/groups", tag = "partners", operation_id = "list_groups", params(Wanted),
    responses((status = 200, description = "A page of groups", body = List<Group>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Group>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    Ok(Json(page.of_all(all(&*app.terms(&caller).await?), |group| &group.key)?))
}

/// Enter a group, or change it
///
/// What is left out is the default: the whole group is given.
#[utoipa::path(
    post, path = "/v1/groups", tag = "partners", operation_id = "enter_group", request_body = GroupFields,
    responses((status = 200, description = "The group", body = Group))
)]
pub(super) async fn enter(
    State(app): State<App>,
    caller: Caller,
    post: Post<Map<String, Value>>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    let key = partners::group(&mut desk, &post.body).await?;
    let group = find(&desk.terms, &key)?;
    let answer = doing.answer(StatusCode::OK, &group).await?;
    app.wake();
    Ok(answer)
}

/// A group
#[utoipa::path(
    get, path = "/v1/groups/{key}", tag = "partners", operation_id = "get_group",
    params(("key" = String, Path, description = "The group's key", example = "gold")),
    responses((status = 200, description = "The group", body = Group))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(key): At<String>) -> Result<Response, Problem> {
    object(StatusCode::OK, &find(&*app.terms(&caller).await?, &key)?)
}
