//! Help, wrong usage, configuration, and how the program behaves in a pipe.

use std::process::Stdio;

use crate::blackbox::{Engine, Home, finish};
use crate::shows;

const COMMANDS: [&str; 44] = [
    "",
    "serve",
    "demo",
    "bench",
    "apply",
    "events import",
    "events list",
    "events show",
    "events replay",
    "events archive",
    "events restore",
    "sync",
    "backfill",
    "fetch",
    "clicks import",
    "import",
    "explain",
    "balances",
    "ledger export",
    "report partners",
    "timeline",
    "payouts close",
    "payouts list",
    "payouts approve",
    "payouts pay",
    "payouts mark-paid",
    "payouts export",
    "partner onboard",
    "verify",
    "backup",
    "reconcile",
    "stripe connect",
    "stripe status",
    "stripe rotate-secret",
    "stripe disconnect",
    "doctor",
    "healthcheck",
    "privacy export",
    "privacy erase",
    "privacy list",
    "secrets new-key",
    "secrets status",
    "secrets encrypt",
    "api-key create",
];

#[test]
fn every_command_helps_with_an_example() {
    let mut home = Home::new(Engine::Sqlite);
    for command in COMMANDS.into_iter().chain(["api-key list", "api-key revoke", "workspace create", "workspace list"])
    {
        let said = home.run(format!("{command} --help").trim());
        assert_eq!(said.code, Some(0));
        assert!(said.stdout.contains("Example:\n") || command.is_empty(), "{command}");
        assert_eq!(said.stderr, "");
    }
    for group in ["events", "clicks", "ledger", "payouts", "privacy", "secrets", "stripe", "api-key", "workspace"] {
        home.run(&format!("{group} --help"));
    }
    assert!(!home.path("ledger.db").exists(), "help opens no database");
    shows!("help", home.transcript());
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_was_expected() {
    let mut home = Home::new(Engine::Sqlite);
    for words in [
        "",
        "balance",
        "balances --mod live",
        "balances --mode real",
        "events replay",
        "events replay evt_1 --failed",
        "events list --status lost",
        "events list --limit many",
        "payouts close",
        "payouts close --month October",
        "payouts close --month 2025-13",
        "payouts export 2025-01 --format excel",
        "explain",
        "import partners.csv",
        "import partners.csv --kind people",
        "import partners.csv --kind partners --format excel",
        "api-key create --name x --role boss",
    ] {
        let said = home.run(words);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{words}");
    }
    assert!(!home.path("ledger.db").exists(), "wrong usage opens no database");
    shows!("usage", home.transcript());
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_its_place() {
    let mut home = Home::new(Engine::Sqlite);
    home.write("typo.toml", "listen = \"127.0.0.1:0\"\nstripe_api_kye = \"rk_live_secret\"\n");
    home.write("broken.toml", "listen = \"127.0.0.1:0\nx");
    home.write("type.toml", "listen = 8080\n");
    for words in [
        "--config nowhere.toml balances",
        "--config typo.toml balances",
        "--config broken.toml balances",
        "--config type.toml balances",
        "--log [ balances",
        "--database-url commission.db balances",
        "--database-url mysql://root:secret@localhost/x balances",
        "--database-url sqlite::memory: balances",
        "--database-url sqlite:///nowhere/at/all/ledger.db balances",
        "--workspace other balances",
        "balances --workspace other",
        "serve --listen 8080",
        "serve --public-url bridge.example.com",
    ] {
        assert_ne!(home.run(words).code, Some(0), "{words}");
    }
    for (name, value) in [
        ("LISTEN", "here"),
        ("STRIPE_WEBHOOK_SECRET_FILE", "/nowhere/secret"),
        ("PUBLIC_URL", "bridge.example.com"),
        ("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/none"),
    ] {
        let said = finish(home.command().args(["doctor"]).env(name, value));
        home.write_down(&format!("doctor  # {name}={value}"), &said);
        assert_eq!(said.code, Some(1));
    }
    assert!(!home.transcript().contains("rk_live_secret"));
    shows!("configuration", home.transcript());
}

#[test]
fn flags_come_before_the_environment_and_the_environment_before_the_file() {
    let home = Home::new(Engine::Sqlite);
    home.write("commission-bridge.toml", "database_url = \"sqlite://of-the-file.db\"\n");
    let run = |words: &[&str], variable: Option<&str>| {
        let mut command = home.command();
        command.args(words).env_remove("DATABASE_URL");
        if let Some(url) = variable {
            command.env("DATABASE_URL", url);
        }
        assert_eq!(finish(&mut command).code, Some(0));
    };
    run(&["balances"], None);
    assert!(home.path("of-the-file.db").exists());
    run(&["balances"], Some("sqlite://of-the-environment.db"));
    assert!(home.path("of-the-environment.db").exists());
    run(&["--database-url", "sqlite://of-the-flag.db", "balances"], Some("sqlite://not-this.db"));
    assert!(home.path("of-the-flag.db").exists() && !home.path("not-this.db").exists());
    run(&["balances"], Some(""));
    home.write("url", "sqlite://of-the-secret-file.db\n");
    assert_eq!(
        finish(home.command().arg("balances").env_remove("DATABASE_URL").env("DATABASE_URL_FILE", "url")).code,
        Some(0)
    );
    assert!(home.path("of-the-secret-file.db").exists());
}

#[test]
fn whoever_reads_may_stop_reading() {
    let home = Home::new(Engine::Sqlite);
    for words in ["doctor", "balances", "verify", "events list", "ledger export", "balances --json", "payouts list"] {
        let mut child = home
            .command()
            .args(words.split(' '))
            .env("STRIPE_WEBHOOK_SECRET", "whsec_1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{words}: {stderr}");
        assert_eq!(output.status.code(), Some(0), "{words}: {stderr}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let home = Home::new(Engine::Sqlite);
    for words in ["balances", "ledger export", "balances --json", "payouts list"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = finish(home.command().args(words.split(' ')).stdout(full).stderr(Stdio::piped()));
        assert_eq!(said.code, Some(1), "{words}: {}", said.stderr);
        assert!(said.stderr.contains("cannot write") && !said.stderr.contains("panicked"), "{words}: {}", said.stderr);
    }
}

#[test]
fn answers_are_plain_where_no_terminal_looks() {
    let mut home = Home::new(Engine::Sqlite);
    crate::shop_with_sales(&mut home);
    for words in ["balances", "events list", "explain in_1", "doctor", "payouts list", "verify", "nonsense", "--help"] {
        let said = home.quietly(words);
        assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{words}");
    }
}
