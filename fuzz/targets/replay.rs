//! Every input that a fuzzer found worth keeping, given to its target by an ordinary test.

use std::fs;
use std::path::Path;

/// Gives a target its corpus, and all that it was ever found to fail at.
fn replay(target: &str, run: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut count = 0;
    for folder in ["corpus", "found"] {
        let Ok(files) = fs::read_dir(root.join(folder).join(target)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let result = std::panic::catch_unwind(|| run(&bytes));
            assert!(result.is_ok(), "{target} fails at {}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "{target} has no corpus");
}

#[test]
fn signatures() {
    replay("signature", super::signature::run);
}

#[test]
fn events() {
    replay("event", super::event::run);
}

#[test]
fn program_files() {
    replay("program", super::program::run);
}

#[test]
fn imported_files() {
    replay("imports", super::imports::run);
}

#[test]
fn what_is_kept() {
    replay("archive", super::archive::run);
}

#[test]
fn decisions() {
    replay("decide", super::decide::run);
}
