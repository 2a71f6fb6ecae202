//! `/openapi.json` and `/docs`: the reference of the JSON API, made from the handlers themselves.

use axum::Router;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Type,
};
use utoipa::{OpenApi as _, PartialSchema as _, ToSchema as _};
use utoipa_swagger_ui::SwaggerUi;

use super::{App, Problem, tracking, v1};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "commission-bridge",
        description = "Turns what Stripe reports into what partners are owed.\n\nEvery request carries a key \
                       (`Authorization: Bearer cb_…`) that opens one book, live or test. Amounts are integers in the \
                       currency's minor units (JPY 500 is 500 yen, USD 500 is 5 dollars), currencies in lower case as \
                       Stripe writes them, times RFC 3339. Lists are read page by page: `limit`, `starting_after`, \
                       `has_more`. A POST with an `Idempotency-Key` acts once, however often it is sent within 30 days. \
                       Objects that can be changed have an `ETag`; with `If-Match` a change is refused if somebody else \
                       changed the object meanwhile. What goes wrong is answered as `application/problem+json` with a \
                       stable `code`."
    ),
    tags(
        (name = "workspaces", description = "Merchants: settings, and the secrets of their webhook endpoints"),
        (name = "programs", description = "Who earns what: programs and their immutable versions"),
        (name = "partners", description = "Who earns: partners, their enrollments, groups and promotion codes"),
        (name = "evidence", description = "What ties customers to partners: links, clicks, leads"),
        (name = "ledger", description = "What was decided and booked: customers, payments, entries, balances"),
        (name = "reports", description = "What became of customers, and months in figures"),
        (name = "review", description = "What people decide: rejections, attributions by hand, adjustments"),
        (name = "payouts", description = "A month's batch, from the close to the bank"),
        (name = "events", description = "What Stripe said, and what became of it"),
        (name = "stripe", description = "How a book is connected to Stripe, and whether nothing is missing"),
        (name = "administration", description = "API keys, audit log, imports"),
    )
)]
struct Frame;

/// The whole document.
pub fn document() -> OpenApi {
    let mut document = Frame::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    for mut routes in [v1::routes(), v1::webhooks(), tracking::routes()] {
        document.merge(routes.to_openapi());
    }
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut components = components;
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("key".to_owned(), key.into());
    for (status, name, description) in PROBLEMS.iter().chain(&PROBLEMS_WITH_KEY) {
        components.responses.insert((*name).to_owned(), problem(status, description).into());
    }
    document.components = Some(components);
    for (path, item) in &mut document.paths.paths {
        let door = Door::of(path);
        for (method, operation) in operations(item) {
            complete(operation, door, method == "post");
        }
    }
    document
}

/// The routes of the reference.
pub(super) fn pages() -> Router<App> {
    SwaggerUi::new("/docs").url("/openapi.json", document()).into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [("get", &mut item.get), ("post", &mut item.post), ("delete", &mut item.delete)]
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What can go wrong with any request.
const PROBLEMS: [(&str, &str, &str); 6] = [
    ("400", "Unreadable", "The request cannot be read"),
    ("404", "NotFound", "There is no such object"),
    ("408", "TooSlow", "The body did not arrive in time"),
    ("413", "TooLarge", "The body is too large"),
    ("500", "Internal", "A fault of the bridge itself"),
    ("503", "Unavailable", "Try again: see Retry-After"),
];
/// What can go wrong with a request that takes a key, besides.
const PROBLEMS_WITH_KEY: [(&str, &str, &str); 7] = [
    ("401", "Unauthorized", "No key, or none that is valid"),
    ("403", "Forbidden", "The key's role or book does not allow this"),
    ("409", "Conflict", "What is asked for and what is there do not go together"),
    ("412", "Changed", "The object is no longer as If-Match knows it"),
    ("415", "UnsupportedType", "The body is of another type"),
    ("422", "Invalid", "A field cannot be meant: `field` says which"),
    ("429", "TooMany", "The key asks too often: see Retry-After"),
];

/// A problem as the document describes it.
fn problem(status: &str, description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
    let waits = matches!(status, "429" | "503");
    let wait = || HeaderBuilder::new().description(Some("Seconds to wait")).build();
    if waits { response.header("Retry-After", wait()).build() } else { response.build() }
}

/// Who comes in where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Whoever has a key.
    Api,
    /// Stripe.
    Stripe,
    /// A page of the merchant's.
    Page,
}

impl Door {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("v1") => Self::Api,
            Some("webhooks") => Self::Stripe,
            _ => Self::Page,
        }
    }
}

/// What every operation has: the key, the problems, and on a POST the key under which it may be repeated.
fn complete(operation: &mut Operation, door: Door, is_post: bool) {
    let further = PROBLEMS_WITH_KEY.iter().filter(|(status, _, _)| match door {
        Door::Api => true,
        // Pages send fields, and no key.
        Door::Page => *status == "422",
        Door::Stripe => false,
    });
    for (status, name, _) in PROBLEMS.iter().chain(further) {
        let response = || RefOr::Ref(Ref::from_response_name(*name));
        operation.responses.responses.entry((*status).to_owned()).or_insert_with(response);
    }
    if door != Door::Api {
        return;
    }
    operation.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    if is_post {
        operation.parameters.get_or_insert_default().push(idempotency_key().into());
    }
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The same key with the same request acts once; kept for 30 days"))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(255))
                .pattern(Some("^[!-~]+$")),
        ))
        .build()
}
