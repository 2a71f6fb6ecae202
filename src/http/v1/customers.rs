//! `/v1/customers`: who pays the merchant, and how far the bridge is with each.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, object};
use super::super::query::{self, List, Page, Query};
use super::super::{App, Problem};
use super::payments::Book;
use crate::ledger::Ledger;
use crate::ledger::timeline::{MomentShape, Told, of_reference};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, customers, payments, refs};

/// Who pays the merchant: a Stripe customer, several that share a customer key, or the guest of one payment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Customer {
    /// Always `customer`.
    #[schema(example = "customer")]
    object: &'static str,
    /// `cust_…`
    customer_id: String,
    /// The Stripe customers that they are; none for a guest.
    #[schema(example = json!(["cus_1"]))]
    references: Vec<String>,
    /// The merchant's own keys for them.
    customer_keys: Vec<String>,
    /// How many payments they made.
    payments: i64,
    /// When the bridge came to know them.
    created_at: DateTime<Utc>,
    /// When their payments were last decided; null where they were not yet.
    settled_at: Option<DateTime<Utc>>,
    /// When they are to be decided again: something is new, or time alone changes the answer.
    due_at: Option<DateTime<Utc>>,
    /// Why they could not be decided: they are set aside until something about them changes.
    error: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `customer_id` of the last customer of the page before.
    #[param(pattern = "^cust_")]
    starting_after: Option<String>,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// Finds a customer by `cust_…`, by what Stripe calls them (`cus_…`), or by the merchant's own key.
///
/// # Errors
/// The database's.
pub(super) async fn find(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    name: &str,
) -> Result<Option<customers::Customer>, StoreError> {
    let key = format!("key:{name}");
    let owners = refs::owners(tx, workspace, [(mode, name), (mode, &key)]).await?;
    // A key may look like anything, an id of Stripe's included.
    let owner = owners.iter().find(|((_, text), _)| text == name).or_else(|| owners.first());
    let id = owner.map_or(name, |(_, customer)| customer);
    Ok(customers::by_id(tx, workspace, id).await?.filter(|customer| customer.mode() == mode))
}

/// What the API says of some customers.
async fn described(
    tx: &mut Tx,
    workspace: WorkspaceId,
    found: Vec<customers::Customer>,
) -> Result<Vec<Customer>, StoreError> {
    let ids: Vec<String> = found.iter().map(|customer| customer.customer_id.clone()).collect();
    let ids = || ids.iter().map(String::as_str);
    let counts = payments::counts_of_customers(tx, workspace, ids()).await?;
    let names = refs::of_customers(tx, workspace, ids()).await?;
    let described = |customer: customers::Customer| {
        let own = names.iter().filter(|(owner, _)| *owner == customer.customer_id).map(|(_, name)| name);
        let (keys, references): (Vec<&String>, Vec<&String>) = own.partition(|name| name.starts_with("key:"));
        Customer {
            object: "customer",
            references: references.into_iter().cloned().collect(),
            customer_keys: keys.into_iter().map(|key| key.replacen("key:", "", 1)).collect(),
            payments: counts.get(&customer.customer_id).copied().unwrap_or_default(),
            created_at: customer.created_at(),
            settled_at: customer.settled_at(),
            due_at: customer.settle_due_at(),
            error: customer.error,
            customer_id: customer.customer_id,
        }
    };
    Ok(found.into_iter().map(described).collect())
}

/// Who pays the merchant
///
/// Those whom the bridge came to know last first.
#[utoipa::path(
    get, path = "/v1/customers", tag = "ledger", operation_id = "list_customers", params(Wanted),
    responses((status = 200, description = "A page of customers", body = List<Customer>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Customer>>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "cust_")?;
    let (workspace, before) = (caller.workspace(), page.starting_after.as_deref());
    let mut tx = app.db.read().await?;
    let mut found = customers::newest(&mut tx, workspace, mode, before, page.and_one()).await?;
    let has_more = page.list(found.iter().collect()).has_more;
    found.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    Ok(Json(List { object: "list", data: described(&mut tx, workspace, found).await?, has_more }))
}

/// A customer
#[utoipa::path(
    get, path = "/v1/customers/{customer}", tag = "ledger", operation_id = "get_customer",
    params(
        ("customer" = String, Path, description = "`cust_…`, `cus_…` or the merchant's own key", example = "cus_1"),
        Book
    ),
    responses((status = 200, description = "The customer", body = Customer))
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Query(book): Query<Book>,
) -> Result<Response, Problem> {
    let mode = caller.book(query::mode(book.mode.as_deref())?)?;
    let mut tx = app.db.read().await?;
    let found = find(&mut tx, (caller.workspace(), mode), &name).await?;
    let found = described(&mut tx, caller.workspace(), found.into_iter().collect()).await?;
    match found.first() {
        Some(customer) => object(StatusCode::OK, customer),
        None => Err(Problem::not_found(format!("there is no customer {name:?} in the {mode} book"))),
    }
}

/// What became of a customer
///
/// Subscriptions started, changed and ended, payments failed, made and taken back, in order of time: all of it.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/timeline", tag = "reports", operation_id = "get_timeline",
    params(
        ("customer" = String, Path, description = "`cust_…`, `cus_…` or the merchant's own key", example = "cus_1"),
        Book
    ),
    responses((status = 200, description = "The timeline", body = List<MomentShape>))
)]
pub(super) async fn timeline(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Query(book): Query<Book>,
) -> Result<Json<List<MomentShape>>, Problem> {
    let mode = caller.book(query::mode(book.mode.as_deref())?)?;
    let ledger = Ledger { db: app.db.clone(), clock: app.clock.clone(), ids: app.ids.clone() };
    match of_reference(&ledger, caller.workspace(), mode, &name).await? {
        Told::Moments(_, moments) => {
            let data = moments.iter().map(MomentShape::from).collect();
            Ok(Json(List { object: "list", data, has_more: false }))
        }
        Told::Unknown => Err(Problem::not_found(format!("there is no customer {name:?} in the {mode} book"))),
        Told::Unreadable(reason) => {
            tracing::error!(%reason, "a timeline could not be told");
            Err(Problem::internal())
        }
    }
}
