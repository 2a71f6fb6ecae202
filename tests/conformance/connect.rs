//! How workspaces are connected to their Stripe accounts: whose events are whose, and the endpoints that bring them.

use commission_bridge::admin::{Refused, workspaces as admin};
use commission_bridge::intake::{Accepted, Incoming};
use commission_bridge::store::events::{self, Source};
use commission_bridge::store::{WorkspaceId, workspaces};
use serde_json::{Value, json};

use crate::harness::{World, invoice_paid, terms};

crate::on_both_engines!(
    events_go_to_the_workspace_of_their_account,
    an_account_is_one_workspaces,
);

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
    assert_eq!((world.has(shop, "evt_in_1").await, world.has(world.workspace, "evt_in_1").await), (Some("recorded"), None));
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
