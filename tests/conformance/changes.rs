//! The log of what people entered.

use commission_bridge::domain::terms::{Change, Terms};
use commission_bridge::store::changes;

use crate::harness::{World, invoice_paid, partner, terms};
use serde_json::json;

crate::on_both_engines!(
    the_log_has_no_gaps_and_gives_the_same_terms_again,
    those_who_enter_at_once_wait_for_each_other,
    an_attribution_by_the_bridges_own_id_counts,
);

async fn the_log_has_no_gaps_and_gives_the_same_terms_again(world: &World) {
    assert_eq!(world.enter(&terms()).await, 3);
    assert_eq!(world.enter(&partner("beta")).await, 2);
    let mut tx = world.db.read().await.unwrap();
    let log = changes::since(&mut tx, world.workspace, 0).await.unwrap();
    assert_eq!(log.iter().map(|entered| entered.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let cached = world.db.terms(&mut tx, world.workspace).await.unwrap();
    let folded = Terms::from_log(log);
    assert_eq!(cached.seq, folded.seq);
    assert_eq!(cached.partners.keys().collect::<Vec<_>>(), folded.partners.keys().collect::<Vec<_>>());
}

async fn those_who_enter_at_once_wait_for_each_other(world: &World) {
    let entering = (0..8).map(|number| async move { world.enter(&partner(&format!("p{number}"))).await });
    let mut appended = 0;
    for one in futures_join(entering).await {
        appended += one;
    }
    assert_eq!(appended, 16);
    assert_eq!(world.count("SELECT MAX(seq) FROM changes").await, 16);
}

async fn futures_join<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    // Eight at once, polled together.
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if pending.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

async fn an_attribution_by_the_bridges_own_id_counts(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({}))]).await;
    let payment = world.payment("in_1").await;
    assert_eq!(payment.code, "no_evidence");
    let change = Change::Attribution {
        reference: payment.payment_id,
        partner: Some("acme".to_owned()),
        program: None,
        from: None,
    };
    world.enter(&[change]).await;
    world.work().await;
    assert_eq!(world.payment("in_1").await.code, "credited");
    assert_eq!(world.balance().await, 2_000);
}
