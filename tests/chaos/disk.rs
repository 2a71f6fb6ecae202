//! The disk is full: what cannot be stored is not acknowledged, and everything goes on once there is room again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::blackbox::{Engine, Home, blocking};
use crate::load::{Merchant, Stripe, is_whole, seed, wait_for_work};
use crate::postgres::Postgres;
use crate::server::{Server, until};

/// A small disk of its own, where the system lets us have one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={megabytes}m,mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves so many megabytes free.
    fn leave(&self, megabytes: u32) {
        let told = Command::new("df").args(["--output=used", "--block-size=1M"]).arg(self.path()).output().unwrap();
        let used: u32 = String::from_utf8(told.stdout).unwrap().split_whitespace().last().unwrap().parse().unwrap();
        self.make_room(used + megabytes);
    }

    fn make_room(&self, megabytes: u32) {
        let options = format!("remount,size={megabytes}m");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Sends until there is no room, makes room, and sends the rest.
fn filled_and_emptied(home: &Home, server: Server, merchant: &Arc<Merchant>, make_room: impl FnOnce()) {
    let stripe = Stripe::start(merchant, seed());
    stripe.send_to(&[&server.address]);
    let is_full = until(Duration::from_mins(2), || stripe.refused() > 20 || stripe.is_done());
    assert!(is_full && !stripe.is_done(), "everything found room: take a smaller disk. {}", server.said());
    assert_eq!(server.get("/healthz").status, 200, "the process lives");
    make_room();
    stripe.wait_for_all(&server);
    wait_for_work(home, &server);
    server.stop();
    let refused = stripe.refused();
    println!("{:?}, full: {refused} webhooks told to come again; {}", home.engine, is_whole(home, stripe));
}

#[test]
fn sqlite_goes_on_after_a_full_disk() {
    let Some(disk) = SmallDisk::new(4) else {
        println!("skipped: this system does not let us mount a small disk; the limit of a file's size is tested");
        return;
    };
    let home = Home::with(Engine::Sqlite, format!("sqlite://{}", disk.path().join("ledger.db").display()));
    let merchant = Arc::new(Merchant::new(seed() ^ 3, 80));
    merchant.set_up(&home);
    let server = Server::start(&home);
    filled_and_emptied(&home, server, &merchant, || disk.make_room(128));
}

/// Without a disk of its own: no file of the process may grow beyond three megabytes, until it may.
#[test]
fn sqlite_goes_on_after_files_that_may_not_grow() {
    let home = Home::new(Engine::Sqlite);
    let merchant = Arc::new(Merchant::new(seed() ^ 4, 80));
    merchant.set_up(&home);
    let mut id = None;
    let server = Server::start_with(&home, |command| {
        let limited = "trap '' XFSZ; ulimit -S -f 6144; exec \"$0\" serve";
        let mut shell = Command::new("sh");
        shell.args(["-c", limited]).arg(command.get_program());
        shell.env_clear().current_dir(home.path("")).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        shell.env("STRIPE_WEBHOOK_SECRET", crate::server::SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
        *command = shell;
        command
    });
    id.get_or_insert(server.id());
    filled_and_emptied(&home, server, &merchant, || {
        let id = format!("--pid={}", id.unwrap());
        assert!(Command::new("prlimit").args([&id, "--fsize=unlimited"]).status().unwrap().success());
    });
}

#[test]
fn postgresql_goes_on_after_a_full_disk() {
    let Some(disk) = SmallDisk::new(64) else {
        println!("skipped: this system does not let us mount a small disk");
        return;
    };
    let postgres = Postgres::start();
    postgres.owns(disk.path());
    let url = blocking(async {
        let mut conn = PgConnection::connect(&postgres.url()).await.unwrap();
        let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.path().display());
        conn.execute(sqlx::AssertSqlSafe(tablespace)).await.unwrap();
        conn.execute("CREATE DATABASE small TABLESPACE small").await.unwrap();
        postgres.url().replace("/postgres", "/small")
    });
    let home = Home::with(Engine::Postgres, url);
    let merchant = Arc::new(Merchant::new(seed() ^ 5, 80));
    merchant.set_up(&home);
    disk.leave(1);
    let server = Server::start(&home);
    filled_and_emptied(&home, server, &merchant, || disk.make_room(256));
    drop(postgres);
}
