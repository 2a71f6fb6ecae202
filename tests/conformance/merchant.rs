//! The simulated merchant, whose books know what every partner must end up with.

use std::collections::BTreeMap;

use commission_bridge::sample::{Options, Shape, business, render_all, stream};

use crate::harness::World;

crate::on_both_engines!(the_books_agree_in_any_order, the_books_agree_when_worked_off_piece_by_piece);

async fn agree(world: &World, owed: BTreeMap<(String, String), i64>) {
    let balances: BTreeMap<(String, String), i64> = world
        .balances()
        .await
        .into_iter()
        .filter(|balance| balance.balance != 0)
        .map(|balance| ((balance.partner, balance.currency.to_string()), balance.balance))
        .collect();
    assert_eq!(balances, owed);
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.differences);
    assert_eq!((report.waiting, report.pending, report.failed), (0, 0, 0));
    assert!(report.customers > 0 && report.entries > 0);
}

async fn run(world: &World, seed: u64, work_every: usize) {
    let options = Options { customers: 24, months: 8, ..Options::new(seed) };
    let business = business(&options);
    world.apply(&business.program_toml).await;
    let mut events: Vec<_> = business.events.iter().flat_map(|event| render_all(event, Shape::New)).collect();
    stream::shuffle(&mut events, seed);
    assert!(business.settled_at < world.now(), "everything happened before the test begins");
    for (number, event) in stream::with_some_again(&events, 5, seed).iter().enumerate() {
        world.submit(event).await.unwrap();
        if number % work_every == work_every - 1 {
            world.work().await;
        }
    }
    world.work().await;
    let owed = business.books.owed(world.now());
    let owed = owed.into_iter().filter(|(_, owed)| *owed != 0);
    agree(world, owed.map(|((partner, currency), owed)| ((partner, currency.to_string()), owed)).collect()).await;
}

async fn the_books_agree_in_any_order(world: &World) {
    run(world, 7, usize::MAX).await;
}

async fn the_books_agree_when_worked_off_piece_by_piece(world: &World) {
    run(world, 8, 97).await;
}
