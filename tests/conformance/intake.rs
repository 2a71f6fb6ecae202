//! The inbox: durable before the answer, idempotent, and nobody's failure is another's.

use commission_bridge::intake::{Imported, Incoming, SubmitError};
use commission_bridge::store::events::{EventStatus, Source};
use serde_json::json;

use crate::harness::{World, invoice_paid, settings, terms};

crate::on_both_engines!(
    an_event_is_stored_once_and_a_duplicate_is_accepted,
    the_same_event_in_another_shape_is_kept_beside_it,
    many_submitters_share_commits_and_each_gets_its_own_answer,
    what_is_not_ours_is_kept_but_ignored,
    what_is_no_event_is_refused,
    a_failed_group_answers_everybody,
    an_import_counts_what_is_new,
    a_text_that_an_engine_refuses_is_refused_at_the_door,
);

async fn an_event_is_stored_once_and_a_duplicate_is_accepted(world: &World) {
    let event = invoice_paid(1, "cus_1", &json!({}));
    assert!(!world.submit(&event).await.unwrap().duplicate);
    assert!(world.submit(&event).await.unwrap().duplicate);
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 1);
}

async fn the_same_event_in_another_shape_is_kept_beside_it(world: &World) {
    world.enter(&terms()).await;
    let event = invoice_paid(1, "cus_1", &json!({}));
    let mut other = event.clone();
    other["api_version"] = json!("2020-08-27");
    other["data"]["object"]["charge"] = json!("ch_1");
    other["data"]["object"]["metadata"] = json!({"partner_key": "acme"});
    world.receive(&[event, other]).await;
    assert_eq!(world.event("evt_in_1").await.len(), 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM facts").await, 2);
    assert_eq!(world.payment("ch_1").await.reference, "in_1");
    assert_eq!(world.balance().await, 2_000);
}

async fn many_submitters_share_commits_and_each_gets_its_own_answer(world: &World) {
    let (inbox, workspace) = (world.inbox.clone(), world.workspace);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32_u32 {
        let inbox = inbox.clone();
        callers.spawn(async move {
            let mut fresh = 0;
            for number in 0..40 {
                // Every event comes twice, from different callers.
                let event = invoice_paid(caller / 2 * 1000 + number, "cus_1", &json!({}));
                let body = serde_json::to_vec(&event).unwrap();
                let accepted =
                    inbox.submit(Incoming { workspace, source: Source::Webhook, body: &body }).await.unwrap();
                assert_eq!(accepted.event_id, event["id"]);
                fresh += usize::from(!accepted.duplicate);
            }
            fresh
        });
    }
    let fresh: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(fresh, 640);
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 640);
}

async fn what_is_not_ours_is_kept_but_ignored(world: &World) {
    world.enter(&[settings(|settings| settings.account = Some("acct_ours".to_owned()))]).await;
    let mut ours = invoice_paid(1, "cus_1", &json!({}));
    ours["account"] = json!("acct_ours");
    let mut theirs = invoice_paid(2, "cus_1", &json!({}));
    theirs["account"] = json!("acct_theirs");
    let mut unknown = invoice_paid(3, "cus_1", &json!({}));
    unknown["type"] = json!("radar.early_fraud_warning.created");
    world.receive(&[ours, theirs, unknown]).await;
    for (id, status, reason) in [
        ("evt_in_1", EventStatus::Recorded, None),
        ("evt_in_2", EventStatus::Ignored, Some("account_mismatch")),
        ("evt_in_3", EventStatus::Ignored, Some("unknown_type")),
    ] {
        let event = world.event(id).await.pop().unwrap();
        assert_eq!((event.status(), event.reason.as_deref()), (status, reason), "{id}");
    }
}

async fn what_is_no_event_is_refused(world: &World) {
    let error = world.submit(&json!({"hello": "world"})).await.unwrap_err();
    assert!(matches!(error, SubmitError::NotAnEvent(_)), "{error}");
    assert_eq!(world.count("SELECT COUNT(*) FROM events").await, 0);
}

async fn a_failed_group_answers_everybody(world: &World) {
    world.db.close().await;
    let (one, other) = (invoice_paid(1, "cus_1", &json!({})), invoice_paid(2, "cus_1", &json!({})));
    let (one, other) = tokio::join!(world.submit(&one), world.submit(&other));
    for answer in [one, other] {
        assert!(matches!(answer, Err(SubmitError::Unavailable(_))), "{answer:?}");
    }
}

async fn an_import_counts_what_is_new(world: &World) {
    let bodies: Vec<Vec<u8>> =
        [1, 2, 2, 3].map(|n| serde_json::to_vec(&invoice_paid(n, "cus_1", &json!({}))).unwrap()).into();
    let incoming =
        || bodies.iter().map(|body| Incoming { workspace: world.workspace, source: Source::Import, body }).collect();
    let events: Vec<Incoming<'_>> = incoming();
    assert_eq!(world.inbox.import(&events).await.unwrap(), Imported { new: 3, duplicates: 1 });
    assert_eq!(world.inbox.import(&events).await.unwrap(), Imported { new: 0, duplicates: 4 });
}

async fn a_text_that_an_engine_refuses_is_refused_at_the_door(world: &World) {
    let mut strange = invoice_paid(1, "cus_1", &json!({}));
    strange["id"] = json!("evt_\u{0}");
    let good = invoice_paid(2, "cus_1", &json!({"partner_key": "a\u{0}b"}));
    let (strange, good) = tokio::join!(world.submit(&strange), world.submit(&good));
    assert!(matches!(strange, Err(SubmitError::NotAnEvent(_))), "{strange:?}");
    assert!(!good.unwrap().duplicate);
    world.receive(&[invoice_paid(3, "cus_1", &json!({}))]).await;
    assert_eq!(world.event("evt_in_3").await[0].status(), EventStatus::Recorded);
    assert_ne!(world.event("evt_in_2").await[0].status(), EventStatus::Pending);
}
