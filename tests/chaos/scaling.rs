//! What replicas cost and bring: CPU per event of the processes and of their backends, lock waits, with one to three of
//! them, each on a share of the machine. Prints a table:
//!
//!     TEST_PROGRAM=target/release/commission-bridge bash tests/run.sh \
//!         cargo test --test chaos -- --ignored --nocapture what_replicas_cost
//!
//! `SCALING_CUSTOMERS` is how large the merchant is (400), `SCALING_QUOTA` how many percent of a core each replica gets
//! (30), where the system lets us make control groups.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::blackbox::{Engine, Home, blocking};
use crate::load::{Merchant, Stripe, is_whole, number, seed, wait_for_work};
use crate::replicas::{replica, work};
use crate::server::Server;

/// A group of processes that gets only so much of a core.
struct Quota(PathBuf);

impl Quota {
    /// None where groups cannot be made.
    fn new(percent: u64, server: &Server) -> Option<Self> {
        let name = format!("commission-bridge-{}", server.id());
        for (folder, is_second) in [("/sys/fs/cgroup/cpu", false), ("/sys/fs/cgroup", true)] {
            let group = PathBuf::from(folder).join(&name);
            if std::fs::create_dir(&group).is_err() {
                continue;
            }
            let quota = percent * 1000;
            let written = if is_second {
                std::fs::write(group.join("cpu.max"), format!("{quota} 100000"))
            } else {
                std::fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())
            };
            let moved = written.and_then(|()| std::fs::write(group.join("cgroup.procs"), server.id().to_string()));
            let quota = Self(group);
            if moved.is_ok() {
                return Some(quota);
            }
        }
        None
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Seconds of CPU that a process has used, in hundredths.
fn cpu_of(id: u32) -> u64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return 0 };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    field(11) + field(12)
}

/// Connections of a database: their processes, and how many of them wait for a lock.
async fn backends(conn: &mut PgConnection) -> (Vec<u32>, u64) {
    let text = "SELECT pid, COALESCE(wait_event_type = 'Lock', FALSE) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let rows: Vec<(i32, bool)> = sqlx::query_as(text).fetch_all(conn).await.unwrap();
    let waiting = rows.iter().filter(|(_, waits)| *waits).count() as u64;
    (rows.iter().map(|(id, _)| u32::try_from(*id).unwrap()).collect(), waiting)
}

#[test]
#[ignore = "measures; minutes"]
fn what_replicas_cost() {
    let customers = usize::try_from(number("SCALING_CUSTOMERS", 400)).unwrap();
    let percent = number("SCALING_QUOTA", 30);
    println!(
        "replicas | quota of a core each | events/s | replica µs/event | backend µs/event | lock waits | deadlocks | recorded, settled by each"
    );
    for count in 1..=3 {
        let home = Home::new(Engine::Postgres);
        let merchant = Arc::new(Merchant::new(seed() ^ 9, customers));
        merchant.set_up(&home);
        let replicas: Vec<Server> = (0..count).map(|_| replica(&home, &[])).collect();
        let quotas: Vec<Option<Quota>> = replicas.iter().map(|one| Quota::new(percent, one)).collect();
        let stripe = Stripe::start(&merchant, seed());
        let begun = Instant::now();
        stripe.send_to(&replicas.iter().map(|one| one.address.as_str()).collect::<Vec<_>>());
        let mut known = std::collections::BTreeMap::new();
        let (mut samples, mut waits) = (0, 0);
        let left = "SELECT (SELECT CAST(COUNT(*) AS BIGINT) FROM unread)
                         + (SELECT CAST(COUNT(*) AS BIGINT) FROM customers WHERE dirty_version <> settled_version)";
        blocking(async {
            let mut conn = PgConnection::connect(&home.url).await.unwrap();
            loop {
                let (ids, waiting) = backends(&mut conn).await;
                samples += ids.len() as u64;
                waits += waiting;
                for id in ids {
                    known.insert(id, cpu_of(id));
                }
                let todo: i64 = sqlx::query_scalar(left).fetch_one(&mut conn).await.unwrap();
                if stripe.is_done() && todo == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        wait_for_work(&home, &replicas[0]);
        let own: u64 = replicas.iter().map(|one| cpu_of(one.id())).sum();
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let (deadlocks, events) = (home.count(deadlocks), merchant.events() as u64);
        let each = |hundredths: u64| hundredths * 10_000 / events;
        let shares: Vec<(u64, u64)> = replicas.iter().map(work).collect();
        let quota =
            if quotas.iter().all(Option::is_some) { format!("{percent} %") } else { "none to be had".to_owned() };
        println!(
            "{count} | {quota} | {:.0} | {} | {} | {waits} of {samples} looks | {deadlocks} | {shares:?}",
            f64::from(u32::try_from(events).unwrap()) / seconds,
            each(own),
            each(known.values().sum()),
        );
        for replica in replicas {
            replica.stop();
        }
        is_whole(&home, stripe);
    }
}
