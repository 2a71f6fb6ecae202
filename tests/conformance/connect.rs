//! How workspaces are connected to their Stripe accounts: whose events are whose, and the endpoints that bring them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use commission_bridge::admin::{Refused, workspaces as admin};
use commission_bridge::connect::endpoint::{Carrier, Intended, address};
use commission_bridge::connect::permissions::{Has, has, lacks_needed};
use commission_bridge::connect::{self, Asked, ConnectError, Keeper, Seen};
use commission_bridge::intake::{Accepted, Incoming};
use commission_bridge::store::events::{self, Source};
use commission_bridge::store::webhook_secrets::{self, WebhookSecret};
use commission_bridge::store::{WorkspaceId, workspaces};
use commission_bridge::stripe::{OF_CONNECTED_ACCOUNTS, UNDERSTOOD};
use commission_bridge::stripe_api::{Api, Keys, Options};
use serde_json::{Value, json};

use crate::fake_stripe::{Endpoint, FakeStripe, Fault, Faults, LIVE_KEY};
use crate::harness::{World, invoice_paid, terms};

crate::on_both_engines!(
    events_go_to_the_workspace_of_their_account,
    an_account_is_one_workspaces,
    an_endpoint_is_made_once_and_its_secret_kept,
    an_endpoint_that_differs_is_corrected,
    a_lost_answer_is_asked_for_again,
    what_an_expired_key_made_is_made_anew,
    a_secret_is_rotated_step_by_step,
    an_endpoint_of_others_is_left_alone,
    no_more_than_sixteen,
    a_book_stays_with_its_account,
    a_key_that_may_only_read_is_enough,
    disconnecting_removes_what_was_made,
);

const PUBLIC_URL: &str = "https://bridge.example.com/";

impl World {
    async fn make(&self, key: &str, account: Option<&str>) -> Result<WorkspaceId, Refused> {
        let mut session = self.session().await;
        let made = admin::create_for(&mut session, key, account).await?;
        session.commit().await?;
        Ok(made)
    }

    async fn bring(&self, workspace: WorkspaceId, event: &Value) -> Accepted {
        let body = serde_json::to_vec(event).unwrap();
        self.inbox.submit(Incoming { workspace, source: Source::Webhook, body: &body }).await.unwrap()
    }

    async fn has(&self, workspace: WorkspaceId, event: &str) -> Option<&'static str> {
        let mut tx = self.db.read().await.unwrap();
        let lines = events::of_id(&mut tx, workspace, event).await.unwrap();
        lines.first().map(|line| line.status().as_str())
    }
}

fn of_account(number: u32, account: &str) -> Value {
    let mut event = invoice_paid(number, "cus_1", &json!({}));
    event["account"] = account.into();
    event
}

async fn events_go_to_the_workspace_of_their_account(world: &World) {
    world.enter(&terms()).await;
    let shop = world.make("shop", Some("acct_shop")).await.unwrap();
    let other = world.make("other", None).await.unwrap();
    let brought = world.bring(world.workspace, &of_account(1, "acct_shop")).await;
    assert_eq!((brought.duplicate, brought.ignored), (false, None));
    assert!(world.bring(world.workspace, &of_account(1, "acct_shop")).await.duplicate);
    world.import(&[of_account(2, "acct_shop"), invoice_paid(3, "cus_3", &json!({}))]).await;
    world.work().await;
    assert_eq!(
        (world.has(shop, "evt_in_1").await, world.has(world.workspace, "evt_in_1").await),
        (Some("recorded"), None)
    );
    assert_eq!((world.has(shop, "evt_in_2").await, world.has(shop, "evt_in_3").await), (Some("recorded"), None));
    assert_eq!(world.payments().await.len(), 1, "only the first workspace's own");

    // Nobody's account, and an account that another workspace than the first names.
    let stranger = world.bring(world.workspace, &of_account(4, "acct_nobody")).await;
    assert_eq!(stranger.ignored.as_deref(), Some("account_mismatch"));
    let stranger = world.bring(other, &of_account(5, "acct_shop")).await;
    assert_eq!(stranger.ignored.as_deref(), Some("account_mismatch"));
    assert_eq!((world.has(shop, "evt_in_5").await, world.has(other, "evt_in_5").await), (None, Some("ignored")));

    // What is about a partner's account stays with whoever pays partners.
    let mut partners = of_account(6, "acct_shop");
    partners["type"] = "account.updated".into();
    partners["data"]["object"] = json!({"id": "acct_shop", "object": "account"});
    assert_eq!(world.bring(world.workspace, &partners).await.ignored, None);
    assert!(world.has(world.workspace, "evt_in_6").await.is_some());
}

async fn an_account_is_one_workspaces(world: &World) {
    let shop = world.make("shop", Some("acct_shop")).await.unwrap();
    let refused = world.make("twin", Some("acct_shop")).await.unwrap_err();
    assert!(matches!(refused, Refused::Conflict { code: "account_taken", .. }), "{refused}");
    assert!(refused.to_string().contains("\"shop\""), "{refused}");
    let refused = world.make("odd", Some("shop")).await.unwrap_err();
    assert!(refused.to_string().contains("acct_"), "{refused}");
    let mut tx = world.db.read().await.unwrap();
    assert!(workspaces::find(&mut tx, "twin").await.unwrap().is_none());
    tx.rollback().await.unwrap();

    // Given up by one, it can be another's.
    let mut session = world.session().await;
    session.workspace = shop;
    let moved = serde_json::Map::from_iter([("account".to_owned(), json!("acct_moved"))]);
    admin::update(&mut session.desk().await.unwrap(), &moved).await.unwrap();
    session.commit().await.unwrap();
    world.make("twin", Some("acct_shop")).await.unwrap();
}

fn options(fake: &FakeStripe) -> Options {
    Options { base: Some(fake.base()), timeout: Duration::from_secs(5), per_second: 0 }
}

fn asked(replace: bool) -> Asked<'static> {
    Asked { workspace: "default", public_url: PUBLIC_URL, connected: false, replace, force: false }
}

/// The live book's way to a Stripe.
struct Way {
    fake: FakeStripe,
    api: Arc<Api>,
}

impl World {
    fn way(&self) -> Way {
        let fake = FakeStripe::start(self.clock.clone());
        let api = Arc::new(Api::new(LIVE_KEY, &options(&fake)).unwrap());
        Way { fake, api }
    }

    fn carrier<'a>(&'a self, way: &'a Way) -> Carrier<'a> {
        let (db, clock, ids) = (&self.db, &self.clock, &self.ledger.ids);
        Carrier { db, clock, ids, workspace: self.workspace, api: &way.api }
    }

    async fn begin(&self, way: &Way, asked: Asked<'_>) -> Result<Option<Vec<(bool, Intended)>>, ConnectError> {
        let seen = connect::look(&way.api).await?;
        self.begin_as(&seen, asked).await
    }

    async fn begin_as(&self, seen: &Seen, asked: Asked<'_>) -> Result<Option<Vec<(bool, Intended)>>, ConnectError> {
        let mut session = self.session().await;
        let begun = connect::begin(&mut session, seen, asked).await?;
        session.commit().await?;
        Ok(begun)
    }

    async fn connect(&self, way: &Way, asked: Asked<'_>) -> Result<(), ConnectError> {
        let begun = self.begin(way, asked).await?.unwrap();
        connect::finish(self.carrier(way), &begun).await
    }

    async fn rotate(&self, way: &Way) -> Result<(), ConnectError> {
        let at_stripe = way.api.webhook_endpoints().await.done().unwrap();
        let mut session = self.session().await;
        let begun = connect::begin_rotation(&mut session, &at_stripe, "default").await?;
        session.commit().await?;
        connect::finish(self.carrier(way), &begun).await
    }

    /// The loop of `serve`, a while later.
    async fn keep(&self, way: &Way, later: TimeDelta) {
        self.clock.advance(later);
        let keys = Keys::parse(LIVE_KEY, &options(&way.fake)).unwrap();
        let (db, clock, ids) = (self.db.clone(), self.clock.clone(), self.ledger.ids.clone());
        Keeper { db, clock, ids, keys }.round().await.unwrap();
    }

    async fn secrets(&self) -> Vec<WebhookSecret> {
        let mut tx = self.db.read().await.unwrap();
        webhook_secrets::all(&mut tx, self.workspace, self.now()).await.unwrap()
    }

    async fn signing(&self) -> Vec<String> {
        let mut tx = self.db.read().await.unwrap();
        webhook_secrets::signing(&mut tx, self.workspace, self.now()).await.unwrap()
    }

    /// Whether there is one endpoint, of which the secret counts for ever.
    async fn is_connected(&self, way: &Way) {
        let endpoints = way.fake.books().endpoints.clone();
        let [only] = endpoints.as_slice() else { panic!("{endpoints:?}") };
        let secrets = self.secrets().await;
        let lasting: Vec<_> = secrets.iter().filter(|secret| secret.expires_at().is_none()).collect();
        assert_eq!(lasting.len(), 1);
        assert!(self.signing().await.contains(&only.secret));
        let states = "SELECT COUNT(*) FROM stripe_endpoints WHERE state = 'made' AND old_id IS NULL";
        assert_eq!(self.count(states).await, 1);
    }
}

fn stranger(id: &str, url: &str) -> Endpoint {
    Endpoint {
        id: id.to_owned(),
        account: crate::fake_stripe::OWN_ACCOUNT.to_owned(),
        livemode: true,
        url: url.to_owned(),
        secret: "whsec_of_others".to_owned(),
        enabled_events: vec!["*".to_owned()],
        description: None,
        metadata: std::collections::BTreeMap::new(),
        api_version: None,
        connect: false,
        status: "enabled".to_owned(),
        created: 1,
    }
}

async fn an_endpoint_is_made_once_and_its_secret_kept(world: &World) {
    let way = world.way();
    world.connect(&way, asked(false)).await.unwrap();
    world.is_connected(&way).await;
    let made = way.fake.books().endpoints[0].clone();
    assert_eq!(
        (made.url.as_str(), made.livemode, made.connect),
        ("https://bridge.example.com/webhooks/stripe/default", true, false)
    );
    let mut sent: Vec<&str> = made.enabled_events.iter().map(String::as_str).collect();
    sent.extend(OF_CONNECTED_ACCOUNTS);
    sent.sort_unstable();
    let mut understood = UNDERSTOOD.to_vec();
    understood.sort_unstable();
    assert_eq!(sent, understood);
    assert!(!sent.contains(&"invoice.created"));

    let begun = world.begin(&way, asked(false)).await.unwrap().unwrap();
    assert_eq!(begun, [(false, Intended::Nothing)]);
    assert_eq!(way.fake.books().count("POST"), 1);

    // Another for the events of connected accounts, which are many once a workspace is one of them.
    world.connect(&way, Asked { connected: true, ..asked(false) }).await.unwrap();
    let (events, connect) =
        way.fake.books().endpoints.last().map(|one| (one.enabled_events.len(), one.connect)).unwrap();
    assert_eq!((events, connect), (OF_CONNECTED_ACCOUNTS.len(), true));
    world.make("shop", Some("acct_shop")).await.unwrap();
    world.connect(&way, Asked { connected: true, ..asked(false) }).await.unwrap();
    let books = way.fake.books();
    assert_eq!((books.endpoints.len(), books.endpoints[1].enabled_events.len()), (2, UNDERSTOOD.len()));
}

async fn an_endpoint_that_differs_is_corrected(world: &World) {
    let way = world.way();
    world.connect(&way, asked(false)).await.unwrap();
    let good = way.fake.books().endpoints[0].enabled_events.clone();
    {
        let mut books = way.fake.books();
        books.endpoints[0].enabled_events = vec!["invoice.paid".to_owned(), "invoice.created".to_owned()];
        "disabled".clone_into(&mut books.endpoints[0].status);
    }
    world.connect(&way, asked(false)).await.unwrap();
    let corrected = way.fake.books().endpoints[0].clone();
    assert_eq!((corrected.enabled_events, corrected.status.as_str()), (good, "enabled"));
    world.is_connected(&way).await;

    // Removed by somebody at Stripe, it is made again.
    way.fake.books().endpoints.clear();
    world.connect(&way, asked(false)).await.unwrap();
    world.is_connected(&way).await;
}

async fn a_lost_answer_is_asked_for_again(world: &World) {
    let way = world.way();
    way.fake.plan_for("POST /v1/webhook_endpoints", Faults::script([Fault::DropAfter, Fault::Busy]));
    for _ in 0..2 {
        let lost = world.connect(&way, asked(false)).await.unwrap_err();
        assert_eq!(lost.code(), "stripe_unclear", "{lost}");
    }
    assert_eq!(way.fake.books().endpoints.len(), 1);
    assert_eq!(world.secrets().await.len(), 0);
    world.keep(&way, TimeDelta::seconds(30)).await;
    assert_eq!(world.secrets().await.len(), 0, "whoever began is left alone for a minute");
    world.keep(&way, TimeDelta::minutes(1)).await;
    world.is_connected(&way).await;
    world.connect(&way, asked(false)).await.unwrap();
    world.is_connected(&way).await;
}

async fn what_an_expired_key_made_is_made_anew(world: &World) {
    let way = world.way();
    way.fake.plan_for("POST /v1/webhook_endpoints", Faults::script([Fault::DropAfter]));
    world.connect(&way, asked(false)).await.unwrap_err();
    let orphan = way.fake.books().endpoints[0].id.clone();
    world.keep(&way, TimeDelta::hours(25)).await;
    world.is_connected(&way).await;
    assert_ne!(way.fake.books().endpoints[0].id, orphan);
}

async fn a_secret_is_rotated_step_by_step(world: &World) {
    let way = world.way();
    assert!(matches!(world.rotate(&way).await.unwrap_err(), ConnectError::NotConnected));
    world.connect(&way, asked(false)).await.unwrap();
    let old = way.fake.books().endpoints[0].clone();
    way.fake.plan_for("POST /v1/webhook_endpoints", Faults::script([Fault::DropAfter]));
    way.fake.plan_for("DELETE", Faults::script([Fault::DropBefore, Fault::DropAfter]));
    world.rotate(&way).await.unwrap_err();
    assert_eq!(world.secrets().await.len(), 1, "the old one counts until the new one does");
    for _ in 0..3 {
        world.keep(&way, TimeDelta::minutes(2)).await;
    }
    world.is_connected(&way).await;
    assert_ne!(way.fake.books().endpoints[0].secret, old.secret);
    let secrets = world.secrets().await;
    assert!(world.signing().await.contains(&old.secret));
    let ends = secrets.iter().find_map(WebhookSecret::expires_at).unwrap();
    assert!(ends > world.now() + TimeDelta::hours(23) && ends <= world.now() + TimeDelta::hours(24));
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(world.secrets().await.len(), 1);
}

async fn an_endpoint_of_others_is_left_alone(world: &World) {
    let way = world.way();
    let url = address(PUBLIC_URL, "default");
    way.fake.books().endpoints.push(stranger("we_elsewhere", "https://elsewhere.example.com/"));
    way.fake.books().endpoints.push(stranger("we_by_hand", &url));
    let refused = world.connect(&way, asked(false)).await.unwrap_err();
    assert!(matches!(&refused, ConnectError::Foreign { id, .. } if id == "we_by_hand"), "{refused}");
    world.connect(&way, asked(true)).await.unwrap();
    let left: Vec<String> = way.fake.books().endpoints.iter().map(|one| one.url.clone()).collect();
    assert_eq!(left, ["https://elsewhere.example.com/", url.as_str()]);
    assert_eq!(world.secrets().await.len(), 1);
}

async fn no_more_than_sixteen(world: &World) {
    let way = world.way();
    for number in 0..16 {
        let other = stranger(&format!("we_{number}"), &format!("https://{number}.example.com/"));
        way.fake.books().endpoints.push(other);
    }
    let refused = world.connect(&way, asked(false)).await.unwrap_err();
    assert_eq!(refused.code(), "too_many_endpoints");
    assert!(refused.to_string().contains("https://7.example.com/"), "{refused}");
    assert_eq!(world.count("SELECT COUNT(*) FROM stripe_endpoints").await, 0);

    // What Stripe refuses leaves nothing behind, either.
    way.fake.books().endpoints.truncate(3);
    way.fake.answer_next(
        "POST /v1/webhook_endpoints",
        400,
        r#"{"error": {"type": "invalid_request_error", "message": "No."}}"#,
    );
    let refused = world.connect(&way, asked(false)).await.unwrap_err();
    assert_eq!(refused.code(), "stripe_refused", "{refused}");
    assert_eq!(world.count("SELECT COUNT(*) FROM stripe_endpoints").await, 0);
    for (url, why) in
        [("http://bridge.example.com", "https"), ("https://localhost:8080", "own name"), ("bridge", "no address")]
    {
        let refused = world.connect(&way, Asked { public_url: url, ..asked(false) }).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

async fn a_book_stays_with_its_account(world: &World) {
    let way = world.way();
    world.connect(&way, asked(false)).await.unwrap();
    "acct_mixed_up".clone_into(&mut way.fake.books().own_account);
    let refused = world.begin(&way, asked(false)).await.unwrap_err();
    assert_eq!(refused.code(), "other_account");
    assert!(refused.to_string().contains("acct_mixed_up"), "{refused}");
    world.begin(&way, Asked { force: true, ..asked(true) }).await.unwrap();
    let taken = "SELECT COUNT(*) FROM audit_log WHERE action = 'stripe.account'";
    assert_eq!(world.count(taken).await, 2);
    world.begin(&way, asked(false)).await.unwrap();

    way.fake.books().revoked.push(LIVE_KEY);
    assert_eq!(world.begin(&way, asked(false)).await.unwrap_err().code(), "key_refused");
}

async fn a_key_that_may_only_read_is_enough(world: &World) {
    let way = world.way();
    way.fake.books().lacks = vec!["webhook_read", "webhook_write", "invoice_read", "account_read"];
    let seen = connect::look(&way.api).await.unwrap();
    assert_eq!(
        (seen.account.as_deref(), has(&seen.permissions, "charges"), lacks_needed(&seen.permissions)),
        (None, true, true)
    );
    let lacking: Vec<&str> =
        seen.permissions.iter().filter(|one| matches!(one.has, Has::No(_))).map(|one| one.name).collect();
    assert_eq!(lacking, ["invoices", "invoice_payments", "webhook_endpoints"]);
    assert_eq!(world.begin_as(&seen, asked(false)).await.unwrap(), None);
    assert_eq!(way.fake.books().count("POST"), 0);
    assert_eq!(world.secrets().await.len(), 0);
}

async fn disconnecting_removes_what_was_made(world: &World) {
    let way = world.way();
    world.connect(&way, asked(false)).await.unwrap();
    way.fake.books().endpoints.push(stranger("we_elsewhere", "https://elsewhere.example.com/"));
    let mut session = world.session().await;
    let rows = connect::endpoint::intend_removal(&mut session).await.unwrap();
    session.commit().await.unwrap();
    way.fake.plan_for("DELETE", Faults::script([Fault::DropAfter]));
    world.carrier(&way).carry_out(rows[0].clone()).await.unwrap_err();
    world.keep(&way, TimeDelta::minutes(2)).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM stripe_endpoints").await, 0);
    let left: Vec<String> = way.fake.books().endpoints.iter().map(|one| one.id.clone()).collect();
    assert_eq!(left, ["we_elsewhere"]);
}
