//! Says what a reviewer would say: which room may know what, how long a file may be, and what may not stay.

#![allow(clippy::unwrap_used)] // a test may end where it stands

use std::fs;
use std::path::{Path, PathBuf};

struct Source {
    path: String,
    /// The text without comments; tests inside the file are cut off.
    code: String,
    lines: usize,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("testing.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let code = before_tests
                    .lines()
                    .map(|line| line.split("//").next().unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("\n");
                let path = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                found.push(Source { path, code, lines: text.lines().count() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn forbid(folder: &str, words: &[&str], why: &str) {
    for source in sources(folder) {
        for word in words {
            for (number, line) in source.code.lines().enumerate() {
                // serde hands floats over; the reader turns whole ones into integers and refuses the rest.
                let is_handed_over = line.contains("fn visit_f64");
                assert!(
                    !line.contains(word) || is_handed_over,
                    "{}:{}: {word} has no place here: {why}",
                    source.path,
                    number + 1
                );
            }
        }
    }
}

#[test]
fn the_pure_middle_stays_pure() {
    let impure = [
        "sqlx",
        "axum",
        "tokio",
        "reqwest",
        "hyper",
        "async ",
        ".await",
        "Utc::now",
        "SystemTime",
        "std::fs",
        "std::env",
    ];
    for folder in ["src/domain", "src/stripe", "src/program", "src/imports"] {
        forbid(folder, &impure, "these rooms are plain functions over plain data");
    }
}

#[test]
fn arrows_run_downwards() {
    let outer = ["crate::cli", "crate::http", "crate::worker", "crate::intake", "crate::ledger", "crate::store"];
    for folder in ["src/domain", "src/stripe", "src/program", "src/imports"] {
        forbid(folder, &outer, "the middle knows nothing of what is around it");
    }
    forbid(
        "src/domain",
        &["crate::stripe", "crate::sample"],
        "facts come in; who reads them is not the domain's business",
    );
    forbid("src/store", &["crate::cli", "crate::http", "crate::worker"], "the store serves whoever asks");
    forbid("src/ledger", &["crate::cli", "crate::http"], "the ledger does not know who looks at it");
    forbid(
        "src/mail",
        &["crate::cli", "crate::http", "crate::admin", "crate::payouts"],
        "mail serves whoever has something to tell",
    );
    forbid("src/payouts", &["crate::cli", "crate::http"], "payouts do not know who looks at them");
    forbid(
        "src/stripe_api",
        &["crate::store", "crate::ledger", "crate::payouts", "sqlx"],
        "calls out know no database",
    );
    forbid("src/http", &["crate::cli"], "the command line is above HTTP");
}

#[test]
fn there_is_one_way_to_print() {
    for source in sources("src") {
        for word in ["println!", "print!("] {
            assert!(
                !source.code.contains(word),
                "{}: {word} panics in a pipe that closes: see src/cli/out.rs",
                source.path
            );
        }
    }
}

#[test]
fn only_the_store_knows_the_database() {
    for source in sources("src") {
        if source.path.starts_with("src/store/") {
            continue;
        }
        for word in ["sqlx::query", " on!(", "QueryBuilder"] {
            assert!(!source.code.contains(word), "{}: {word} belongs into src/store", source.path);
        }
    }
}

#[test]
fn the_oracle_is_independent() {
    let deciding = [
        "domain::decision",
        "domain::deciding",
        "domain::pricing",
        "domain::attribution",
        "domain::history",
        "domain::base",
        "domain::terms",
    ];
    forbid("src/sample", &deciding, "the simulated merchant keeps its own books");
}

#[test]
fn money_is_never_a_float() {
    for folder in ["src/domain", "src/stripe", "src/ledger", "src/payouts", "src/program", "src/imports"] {
        forbid(folder, &["f32", "f64"], "money and rates are integers and decimals");
    }
}

#[test]
fn nothing_is_left_lying_around() {
    for folder in ["src", "tests", "benches"] {
        for source in sources(folder) {
            if source.path == "tests/tidy.rs" {
                continue;
            }
            for word in ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX"] {
                assert!(!source.code.contains(word), "{}: {word}", source.path);
            }
        }
    }
}

#[test]
fn files_say_what_they_are_for_and_stay_small() {
    for source in sources("src") {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&source.path)).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!"), "{}: the first line says what the file is for", source.path);
        assert!(source.lines <= 700, "{}: {} lines: does it still say one thing?", source.path, source.lines);
    }
}
