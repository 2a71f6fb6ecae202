//! The database goes away under load and comes back: nothing is acknowledged meanwhile, everything goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use commission_bridge::sample::random::Random;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::blackbox::{Engine, Home, blocking};
use crate::load::{Merchant, Stripe, is_whole, number, seed, wait_for_work};
use crate::postgres::Postgres;
use crate::server::{Server, until};

const SOON: Duration = Duration::from_mins(1);

/// Waits until somebody is told to come again, and whoever comes next is told, too.
fn is_refused(stripe: &Stripe, server: &Server) {
    let before = stripe.refused();
    assert!(until(SOON, || stripe.refused() > before), "nobody was refused: {}", server.said());
    assert_eq!(server.get("/healthz").status, 200, "the process lives");
}

/// `CHAOS_OUTAGES` is how often the server is killed (1).
#[test]
fn postgresql_is_killed_and_started_and_throws_everybody_out() {
    let (outages, seed) = (number("CHAOS_OUTAGES", 1), seed());
    println!("CHAOS_OUTAGES={outages} CHAOS_SEED={seed}");
    let postgres = Postgres::start();
    let home = Home::on_server(&postgres.url());
    let merchant = Arc::new(Merchant::new(seed ^ 1, 60));
    merchant.set_up(&home);
    let mut random = Random::new(seed);
    let server = Server::start(&home);
    let stripe = Stripe::start(&merchant, seed);
    stripe.send_to(&[&server.address]);
    let stride = merchant.events() / 30;
    for _ in 0..outages {
        stripe.wait_for(random.index(stride), SOON);
        postgres.stop_at_once();
        is_refused(&stripe, &server);
        assert_eq!(server.get("/readyz").status, 503);
        postgres.go();
        assert!(stripe.wait_for(1, SOON), "it does not come back: {}", server.said());
        assert!(until(SOON, || server.get("/readyz").status == 200));
    }
    let mut thrown_out = 0;
    for _ in 0..10 {
        stripe.wait_for(random.index(stride), SOON);
        thrown_out += throw_out(&home.url);
    }
    assert!(thrown_out > 10, "{thrown_out}");
    stripe.wait_for_all(&server);
    wait_for_work(&home, &server);
    server.stop();
    let (refused, longest) = (stripe.refused(), stripe.longest());
    let outcome = is_whole(&home, stripe);
    println!(
        "PostgreSQL killed {outages} times, {thrown_out} connections cut, {refused} webhooks told to come again, the \
         longest answer took {longest:?}; {outcome}"
    );
}

/// Ends every connection to a database, as a fail-over does; how many there were.
fn throw_out(url: &str) -> i64 {
    blocking(async {
        let mut conn = PgConnection::connect(url).await.unwrap();
        let text = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query_scalar(text).fetch_one(&mut conn).await.unwrap()
    })
}

#[test]
fn a_sqlite_file_that_somebody_locks_is_waited_for() {
    let seed = seed();
    let home = Home::new(Engine::Sqlite);
    let merchant = Arc::new(Merchant::new(seed ^ 2, 20));
    merchant.set_up(&home);
    let server = Server::start(&home);
    let stripe = Stripe::start(&merchant, seed);
    stripe.send_to(&[&server.address]);
    assert!(stripe.wait_for(100, SOON));
    blocking(async {
        let mut conn = SqliteConnection::connect(&home.url).await.unwrap();
        conn.execute("PRAGMA busy_timeout = 60000").await.unwrap();
        conn.execute("BEGIN EXCLUSIVE").await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events").fetch_one(&mut conn).await.unwrap();
        is_refused(&stripe, &server);
        // Nobody can have written, whatever was answered.
        let after: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events").fetch_one(&mut conn).await.unwrap();
        assert_eq!(count, after);
        conn.execute("ROLLBACK").await.unwrap();
    });
    stripe.wait_for_all(&server);
    wait_for_work(&home, &server);
    server.stop();
    let refused = stripe.refused();
    println!("locked: {refused} webhooks told to come again; {}", is_whole(&home, stripe));
}
