//! `PostgreSQL`'s own programs.

use std::path::PathBuf;
use std::process::Command;

/// Where they are: with the `initdb` of the path, else with the newest that is installed.
pub fn programs() -> PathBuf {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    installed.sort();
    let found = on_path.chain(installed.into_iter().rev()).find_map(|folder| {
        // It may be a link; the others are where it leads.
        Some(folder.join("initdb").canonicalize().ok()?.parent()?.to_owned())
    });
    found.expect("PostgreSQL's programs: `bash tests/run.sh` installs them")
}

/// One of them.
pub fn program(name: &str) -> Command {
    Command::new(programs().join(name))
}
