//! `PostgreSQL`'s own programs, and a server of the test's own.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// A server of the test's own, which it may kill.
pub struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, port: 0 };
        server.owns(server.folder.path());
        let mut initdb = server.program("initdb");
        initdb.args(["--username=tester", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("-D").arg(server.data()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let started = (0..5).any(|_| {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            server.started()
        });
        assert!(started, "{}", std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default());
        server
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("postgres://tester@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills it: nothing is finished, nothing is written out.
    pub fn stop_at_once(&self) {
        assert!(self.control(&["stop", "-m", "immediate"]), "it does not stop");
    }

    /// Starts it again; it recovers what was committed.
    pub fn go(&self) {
        assert!(self.started(), "it does not start");
    }

    /// Gives it a folder.
    #[allow(clippy::unused_self, reason = "it reads as what is done")]
    pub fn owns(&self, folder: &Path) {
        if is_root() {
            assert!(Command::new("chown").arg("postgres:postgres").arg(folder).status().unwrap().success());
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn started(&self) -> bool {
        let folder = self.folder.path().display();
        // The process is killed, not the machine: what the system was given stays.
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off -c max_connections=100",
            self.port
        );
        self.control(&["start", "-w", "-l", &format!("{folder}/log"), "-o", &options])
    }

    fn control(&self, words: &[&str]) -> bool {
        let mut control = self.program("pg_ctl");
        control.arg("-D").arg(self.data()).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        control.status().unwrap().success()
    }

    /// One of its programs, as the user that it runs as: never root.
    fn program(&self, name: &str) -> Command {
        let path = programs().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.control(&["stop", "-m", "immediate"]);
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
