//! The property at the centre of the bridge: whatever a merchant's history is, and in whatever order, shape and
//! number its events arrive, what is decided and booked is what the merchant's own books say.
//!
//! The merchant is simulated (`commission_bridge::sample`); its books share nothing with the deciding.

mod support;

use commission_bridge::sample::{InvoiceEvents, Options, RefundEvents, Shape};
use support::books::differences;
use support::world::World;

fn assert_agrees(world: &World, shape: Shape, what: &str) {
    let now = world.business.settled_at;
    let decisions = world.decide(&world.facts(shape), now);
    let found = differences(&decisions, &world.business.books, now);
    assert!(found.is_empty(), "{what} {shape:?}: {} differences\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_larger_business_is_decided_as_its_books_say() {
    for refunds in [RefundEvents::ById, RefundEvents::Cumulative] {
        for invoices in [InvoiceEvents::Paid, InvoiceEvents::Both, InvoiceEvents::Succeeded] {
            let options = Options { customers: 100, refunds, invoices, ..Options::new(1) };
            let world = World::new(&options);
            for shape in Shape::ALL {
                assert_agrees(&world, shape, &format!("{options:?}"));
            }
        }
    }
}
