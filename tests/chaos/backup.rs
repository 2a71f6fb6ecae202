//! A backup taken under load restores to a ledger that verifies, with every event that was acknowledged before it began.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::blackbox::{Engine, Home, Ran, finish};
use crate::load::{Merchant, Stripe, is_whole, seed, wait_for_work};
use crate::postgres::program;
use crate::server::Server;

/// Takes three backups by `take` under load; each is put into a database of its own and looked at.
fn under_load(home: &Home, take: impl Fn(&str), restored: impl Fn(&str) -> Home) {
    let merchant = Arc::new(Merchant::new(seed() ^ 6, 40));
    merchant.set_up(home);
    let server = Server::start(home);
    let stripe = Stripe::start(&merchant, seed());
    stripe.send_to(&[&server.address]);
    let mut taken = Vec::new();
    for number in 0..3 {
        assert!(stripe.wait_for(merchant.events() / 5, Duration::from_mins(1)), "{}", server.said());
        let acknowledged = stripe.acknowledged();
        let name = format!("backup-{number}");
        take(&name);
        taken.push((name, acknowledged));
    }
    stripe.wait_for_all(&server);
    wait_for_work(home, &server);
    server.stop();
    println!("{:?}, with three backups under way: {}", home.engine, is_whole(home, stripe));
    for (name, acknowledged) in taken {
        let copy = restored(&name);
        let missing = acknowledged.len() - crate::load::there(&copy, &acknowledged);
        assert_eq!(missing, 0, "{name} lacks {missing} of {} acknowledged events", acknowledged.len());
        assert!(copy.ok("verify").contains("right to the last minor unit"));
        println!("{name}: {} events that were acknowledged before it began are in it", acknowledged.len());
    }
}

#[test]
fn of_sqlite() {
    let home = Home::new(Engine::Sqlite);
    let path = |name: &str| home.path(name);
    let take = |name: &str| {
        let told = home.json(&format!("backup {name}"));
        assert!(told["events"].as_i64() > Some(0) && told["bytes"].as_u64() > Some(0), "{told}");
        assert!(!path(&format!("{name}.partial")).exists());
    };
    under_load(&home, take, |name| Home::with(Engine::Sqlite, format!("sqlite://{}", path(name).display())));
}

#[test]
fn of_postgresql() {
    let home = Home::new(Engine::Postgres);
    let ran = |command: &mut Command| {
        let ran = finish(command);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    };
    let take = |name: &str| {
        let file = format!("--file={}", home.path(name).display());
        ran(program("pg_dump").args(["--format=custom", &file, &home.url]));
    };
    under_load(&home, take, |name| {
        let copy = Home::new(Engine::Postgres);
        let into = format!("--dbname={}", copy.url);
        ran(program("pg_restore").args(["--no-owner", "--exit-on-error", &into]).arg(home.path(name)));
        copy
    });
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let home = Home::new(Engine::Sqlite);
    home.write("there.db", "mine");
    let said = |ran: Ran, code: i32, words: &str| {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    };
    said(home.quietly("backup there.db"), 2, "is there already");
    assert_eq!(std::fs::read_to_string(home.path("there.db")).unwrap(), "mine");
    said(home.quietly("backup no/such/folder.db"), 1, "Check that its folder is there");
    let mut command = home.command();
    command.args(["backup", "new.db"]).env("DATABASE_URL", "postgres://somebody:secret@nowhere/ledger");
    let ran = finish(&mut command);
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
    said(ran, 2, "pg_dump --format=custom --file=new.db");
    said(home.quietly("serve --only worker"), 2, "share a PostgreSQL");
}
