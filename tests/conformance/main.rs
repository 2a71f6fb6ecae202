//! One suite for both engines: whatever is promised holds on `SQLite` and on `PostgreSQL`.

#![allow(clippy::unwrap_used)] // a test may end where it stands

#[path = "../support/golden.rs"]
mod cases;
#[path = "../support/fake_stripe/mod.rs"]
mod fake_stripe;
mod harness;
#[path = "../support/smtp.rs"]
mod smtp;

mod archive;
mod backfill;
mod balances;
mod changes;
mod connect;
mod distributed;
mod fates;
mod files;
mod fx;
mod golden;
mod intake;
mod ledger;
mod lookups;
mod mail;
mod merchant;
mod months;
mod payouts;
mod plans;
mod privacy;
mod property;
mod reconcile;
mod reports;
mod schema;
mod secrets;
mod statements;
mod stripe_account;
mod sync;
mod tiers;
mod transfer_events;
mod transfers;
mod verify;
mod ways_in;
mod withheld;
mod worker;

/// Makes every named test run on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let world = $crate::harness::World::on_sqlite().await;
                    super::$name(&world).await;
                    world.close().await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let world = $crate::harness::World::on_postgres().await;
                    super::$name(&world).await;
                    world.close().await;
                }
            )+
        }
    };
}
