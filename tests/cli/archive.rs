//! `events archive` and `events restore`, as somebody types them.

use crate::blackbox::{Engine, Home};
use crate::{on_both_engines, shop_with_sales};

/// A shop whose events came long ago.
fn old_shop() -> Home {
    let mut home = Home::new(Engine::Sqlite);
    shop_with_sales(&mut home);
    for table in ["events", "event_ids", "unrecorded"] {
        // On the first of February 2025.
        home.sql(&format!("UPDATE {table} SET received_at = 1738368000000000"));
    }
    home
}

#[test]
fn a_month_is_archived_proven_shown_and_restored() {
    let mut home = old_shop();
    std::fs::create_dir(home.path("shelf")).unwrap();
    let events = home.count("SELECT COUNT(*) FROM events");

    let planned = home.json("events archive --dry-run");
    assert_eq!(
        (&planned["months"][0]["month"], planned["months"][0]["events"].as_i64()),
        (&"2025-02".into(), Some(events))
    );
    assert_eq!(home.count("SELECT COUNT(*) FROM events"), events);
    let archived = home.json("events archive --before 2025-03 --to shelf");
    let month = &archived["months"][0];
    assert_eq!((month["mode"].as_str(), month["events"].as_i64()), (Some("live"), Some(events)));
    let file = month["file"].as_str().unwrap().to_owned();
    assert!(home.path(&file).exists() && file.ends_with("default-live-2025-02.jsonl.zst"), "{file}");
    assert_eq!(home.count("SELECT COUNT(*) FROM events"), 0);
    assert!(home.ok("events archive --to shelf").contains("There is no month to archive."));

    let said = home.ok("verify");
    assert!(said.contains("in archives that were not read, and not proven"), "{said}");
    assert_eq!(home.json("verify")["events"]["archived"].as_i64(), Some(events));
    let said = home.ok("verify --archive shelf");
    assert!(!said.contains("archives") && said.contains("right to the last minor unit"), "{said}");

    let said = home.ok("events show evt_03");
    assert!(
        said.contains("is in the archive default-live-2025-02.jsonl.zst") && said.contains("events restore"),
        "{said}"
    );
    let shown = home.json("events show evt_03");
    assert_eq!(shown[0]["archive"]["month"], "2025-02");
    let refused = home.run("events replay evt_03");
    assert!(refused.code == Some(1) && refused.stderr.contains("is in the archive"), "{}", refused.stderr);
    // What comes again is known.
    let again = home.json("events import sales.jsonl");
    assert_eq!((again["new"].as_i64(), home.count("SELECT COUNT(*) FROM events")), (Some(0), 0));

    let restored = home.json(&format!("events restore {file}"));
    assert_eq!(restored["months"][0]["was_there"], false);
    assert_eq!(home.count("SELECT COUNT(*) FROM events"), events);
    assert!(home.ok("events restore shelf").contains("were there already"));
    assert!(!home.ok("verify").contains("archives"));
    home.ok("events replay evt_03");
}

#[test]
fn what_cannot_be_archived_says_why() {
    let mut home = old_shop();
    for (words, code, says) in [
        ("events archive --to nowhere", 1, "is no directory: make it first"),
        ("events archive --before 2099-01 --dry-run", 1, "31 days after its end: --before"),
        ("events archive --before October --dry-run", 2, "is no month"),
        ("events archive", 2, "--to"),
        ("events archive --dry-run --workspace nobody", 1, "there is no workspace"),
        ("events restore .", 1, "there is no manifest"),
        ("events restore nothing.jsonl.zst", 1, "nothing.json"),
    ] {
        let ran = home.run(words);
        assert!(ran.code == Some(code) && ran.stderr.contains(says), "{words}: {:?} {}", ran.code, ran.stderr);
    }
    // Without its files, the proof fails where somebody asks for it.
    std::fs::create_dir(home.path("shelf")).unwrap();
    std::fs::create_dir(home.path("empty")).unwrap();
    home.ok("events archive --to shelf");
    let ran = home.run("verify --archive empty");
    assert!(ran.code == Some(1) && ran.stdout.contains("The archive of 2025-02"), "{}", ran.stdout);
}

on_both_engines!(a_young_shop_has_nothing_to_archive);

fn a_young_shop_has_nothing_to_archive(home: &mut Home) {
    shop_with_sales(home);
    assert!(home.ok("events archive --dry-run").contains("There is no month to archive."));
}
