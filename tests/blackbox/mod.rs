//! The real program in a folder of its own with a database of its own, on either engine.

// Each of the two test programs uses what it needs of this.
#![allow(dead_code)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use commission_bridge::sample::{Event, Shape, render_all};
use serde::Deserialize;
use sqlx::{Connection as _, Executor as _};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Makes every named test run on both engines.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[test]
                fn $name() {
                    super::$name(&mut $crate::blackbox::Home::new($crate::blackbox::Engine::Sqlite));
                }
            )+
        }
        mod postgres {
            $(
                #[test]
                fn $name() {
                    super::$name(&mut $crate::blackbox::Home::new($crate::blackbox::Engine::Postgres));
                }
            )+
        }
    };
}

/// A folder with a database, and what was said in it so far.
pub struct Home {
    folder: tempfile::TempDir,
    pub url: String,
    pub engine: Engine,
    server: Option<(String, String)>,
    transcript: String,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, server) = match engine {
            Engine::Sqlite => (format!("sqlite://{}", folder.path().join("ledger.db").display()), None),
            Engine::Postgres => {
                let (url, server) = new_database();
                (url, Some(server))
            }
        };
        Self { folder, url, engine, server, transcript: String::new() }
    }

    /// On a `PostgreSQL` server of the test's own.
    pub fn on_server(server: &str) -> Self {
        let (url, server) = new_database_on(server.to_owned());
        let (folder, transcript) = (tempfile::tempdir().unwrap(), String::new());
        Self { folder, url, engine: Engine::Postgres, server: Some(server), transcript }
    }

    /// With a database that is there, which somebody else looks after.
    pub fn with(engine: Engine, url: String) -> Self {
        let (folder, transcript) = (tempfile::tempdir().unwrap(), String::new());
        Self { folder, url, engine, server: None, transcript }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The program with this home's database and nothing of the machine's environment.
    pub fn command(&self) -> Command {
        // Long runs have a copy of their own, or one that is built for speed.
        let program = std::env::var_os("TEST_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_commission-bridge").into());
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("DATABASE_URL", &self.url)
            .env("FX_URL", "off")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command, its words divided by blanks.
    pub fn quietly(&self, words: &str) -> Ran {
        finish(self.command().args(words.split_whitespace()))
    }

    /// Runs a command that must succeed; what it printed.
    pub fn ok(&self, words: &str) -> String {
        let ran = self.quietly(words);
        assert_eq!(ran.code, Some(0), "{words}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The same as JSON.
    pub fn json(&self, words: &str) -> serde_json::Value {
        let text = self.ok(&format!("{words} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words}: {error}: {text}"))
    }

    /// Runs a command and writes down what it said.
    pub fn run(&mut self, words: &str) -> Ran {
        let ran = self.quietly(words);
        self.write_down(words, &ran);
        ran
    }

    /// The same with standard input.
    pub fn run_with(&mut self, words: &str, input: &[u8]) -> Ran {
        let mut child = self
            .command()
            .args(words.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap());
        self.write_down(words, &ran);
        ran
    }

    /// A remark in the transcript.
    pub fn remark(&mut self, text: &str) {
        let _ = writeln!(self.transcript, "# {text}\n");
    }

    pub fn write_down(&mut self, words: &str, ran: &Ran) {
        let _ = writeln!(self.transcript, "$ commission-bridge {words}");
        self.transcript.push_str(&ran.stdout);
        for line in ran.stderr.lines() {
            let _ = writeln!(self.transcript, "stderr: {line}");
        }
        match ran.code {
            Some(0) => self.transcript.push('\n'),
            Some(code) => {
                let _ = writeln!(self.transcript, "(exit code {code})\n");
            }
            None => self.transcript.push_str("(killed)\n\n"),
        }
    }

    /// All that was said so far.
    pub fn transcript(&self) -> String {
        let folder = self.folder.path().display().to_string();
        self.transcript.replace(&folder, "[folder]").replace(&self.url, "[database]")
    }

    /// Runs SQL behind the bridge's back; how many rows it changed.
    pub fn sql(&self, text: &str) -> u64 {
        self.sql_in(&self.url, text)
    }

    /// The same in another database of this home's engine.
    pub fn sql_in(&self, url: &str, text: &str) -> u64 {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        blocking(async {
            match self.engine {
                Engine::Sqlite => {
                    let mut conn = sqlx::SqliteConnection::connect(url).await.unwrap();
                    let done = conn.execute(text).await.unwrap().rows_affected();
                    conn.close().await.unwrap();
                    done
                }
                Engine::Postgres => {
                    let mut conn = sqlx::PgConnection::connect(url).await.unwrap();
                    conn.execute(text).await.unwrap().rows_affected()
                }
            }
        })
    }

    /// A single number out of the database.
    pub fn count(&self, text: &str) -> i64 {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        blocking(async {
            match self.engine {
                Engine::Sqlite => {
                    let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
                    sqlx::query_scalar(text).fetch_one(&mut conn).await.unwrap()
                }
                Engine::Postgres => {
                    let mut conn = sqlx::PgConnection::connect(&self.url).await.unwrap();
                    sqlx::query_scalar(text).fetch_one(&mut conn).await.unwrap()
                }
            }
        })
    }
}

impl Home {
    /// Does something while somebody else holds the write lock of `SQLite`.
    pub fn while_locked<T>(&self, work: impl FnOnce() -> T) -> T {
        blocking(async {
            let mut conn = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            conn.execute("BEGIN IMMEDIATE").await.unwrap();
            let done = work();
            conn.execute("ROLLBACK").await.unwrap();
            done
        })
    }

    /// Makes the `PostgreSQL` database one that nobody can reach, as if its server were gone.
    pub fn lock_out(&self) {
        let (server, name) = self.server.as_ref().unwrap();
        blocking(async {
            let mut admin = sqlx::PgConnection::connect(server).await.unwrap();
            for text in [
                format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            ] {
                admin.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
            }
        });
    }

    /// Undoes [`Home::lock_out`].
    pub fn let_in(&self) {
        let (server, name) = self.server.as_ref().unwrap();
        blocking(async {
            let mut admin = sqlx::PgConnection::connect(server).await.unwrap();
            let text = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
            admin.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
        });
    }
}

impl Drop for Home {
    /// Removes the database. A test that failed leaves it behind for a look.
    fn drop(&mut self) {
        if let Some((server, name)) = self.server.take().filter(|_| !std::thread::panicking()) {
            blocking(async {
                let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                admin.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
            });
        }
    }
}

fn new_database() -> (String, (String, String)) {
    let server = std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL names a PostgreSQL server to test on; `bash tests/run.sh` starts one and sets it");
    new_database_on(server)
}

fn new_database_on(server: String) -> (String, (String, String)) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("box_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    blocking(async {
        let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    });
    let (base, _) = server.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}");
    (url, (server, name))
}

pub fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Ran {
    pub fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub fn finish(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

/// What differs from run to run: ids, and every time after 2025, when all samples end.
pub fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"\b(pay|ent|bat|po|key|mail|st|cust)_[0-9a-f]{32}\b", "${1}_[id]"),
        (r"\b[0-9a-f]{64}\b", "[sha256]"),
        (r"\bcb_(live|test)_[0-9a-f]{48}\b", "cb_${1}_[secret]"),
        (r"\bcb_(live|test)_[0-9a-f]{4}\b", "cb_${1}_[shown]"),
        (r"20(2[6-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z?)", "[now]"),
        (r"127\.0\.0\.1:\d{2,5}", "127.0.0.1:[port]"),
        (r"(SQLite|PostgreSQL) \d[^,]*,", "${1} [version],"),
        (r"\d+\.\d GiB free", "[room] free"),
    ]
}

/// Compares with a snapshot that both engines share.
#[macro_export]
macro_rules! shows {
    ($name:expr, $shown:expr) => {
        insta::with_settings!({
            filters => $crate::blackbox::filters(),
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        }, {
            insta::assert_snapshot!($name, $shown)
        })
    };
}

/// Events as people write them: `[[event]]` tables.
pub fn events(toml: &str) -> Vec<Event> {
    #[derive(Deserialize)]
    struct Story {
        event: Vec<Event>,
    }
    toml::from_str::<Story>(toml).unwrap_or_else(|error| panic!("{error}")).event
}

/// Events as JSON lines, as Stripe writes them now.
pub fn lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        for body in render_all(event, Shape::New) {
            let _ = writeln!(text, "{body}");
        }
    }
    text
}

/// A file of the tests' own.
pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
