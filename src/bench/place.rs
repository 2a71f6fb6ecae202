//! Where it happens: a throw-away database on either engine, and a service of its own on it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::machine::{Spent, peak_memory};
use super::{Address, BenchError, SECRET, system};
use crate::clock::Clock;
use crate::domain::calendar::Month;
use crate::store::{Db, customers, events, throwaway, workspaces};

/// Which engine, and where.
#[derive(Debug, Clone)]
pub enum Engine {
    /// A file in a folder of its own, made in this one.
    Sqlite(PathBuf),
    /// A database of its own on this server.
    Postgres(String),
}

/// A throw-away database; removed when dropped.
#[derive(Debug)]
pub struct Place {
    engine: Engine,
    url: String,
    folder: PathBuf,
    name: String,
}

impl Place {
    /// Makes one.
    ///
    /// # Errors
    /// The folder's or the server's.
    pub async fn new(engine: Engine) -> Result<Self, BenchError> {
        let name = format!("commission_bridge_bench_{}", std::process::id());
        let beside = match &engine {
            Engine::Sqlite(folder) => folder.clone(),
            Engine::Postgres(_) => std::env::temp_dir(),
        };
        let folder = beside.join(&name);
        std::fs::create_dir_all(&folder).map_err(system("cannot make a folder"))?;
        let url = match &engine {
            Engine::Sqlite(_) => format!("sqlite://{}", folder.join("bench.db").display()),
            Engine::Postgres(server) => {
                throwaway::on_server(server, &format!("CREATE DATABASE {name}")).await?;
                let (path, query) = server.split_once('?').map_or((server.as_str(), ""), |(path, query)| (path, query));
                let (server, _) = path.rsplit_once('/').ok_or_else(|| {
                    BenchError::Said("the server's address should end with a database, such as /postgres".to_owned())
                })?;
                format!("{server}/{name}{}{query}", if query.is_empty() { "" } else { "?" })
            }
        };
        Ok(Self { engine, url, folder, name })
    }

    /// The database's address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Which engine in which version, and whether what is committed survives a crash.
    pub(super) async fn describe(&self) -> Result<String, BenchError> {
        let db = Db::open(&self.url).await?;
        let durability: Vec<String> = db.durability().await?.into_iter().map(|setting| setting.sentence).collect();
        let described = format!("{}, {}", db.version().await?, durability.join(", "));
        db.close().await;
        Ok(described)
    }

    /// Applies a program and serves.
    pub(super) async fn serve(&self, program: &str) -> Result<Served<'_>, BenchError> {
        let file = self.folder.join("program.toml");
        std::fs::write(&file, program).map_err(system("cannot write the program file"))?;
        self.command(&["apply", &file.display().to_string()])?;
        let (child, address) = self.start()?;
        let db = Db::open(&self.url).await?;
        Ok(Served { place: self, child, address, db })
    }

    fn start(&self) -> Result<(Child, Address), BenchError> {
        let mut child = self
            .program()?
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(system("cannot start the service"))?;
        let mut lines =
            child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let line = lines.find(|line| line.contains("/webhooks/stripe/")).unwrap_or_default();
        // Whoever prints must not find the pipe full.
        std::thread::spawn(move || lines.for_each(drop));
        let host = line.trim().trim_start_matches("http://").split('/').next().unwrap_or_default();
        let address = host.parse().map_err(|_| BenchError::Said("the service did not start".to_owned()))?;
        Ok((child, address))
    }

    fn program(&self) -> Result<Command, BenchError> {
        let mut command = Command::new(std::env::current_exe().map_err(system("cannot find this program"))?);
        command
            .current_dir(&self.folder)
            .env("FX_URL", "off")
            .env("SYNC", "off")
            .env("DATABASE_URL", &self.url)
            .env("LISTEN", "127.0.0.1:0")
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .env("LOG", std::env::var("LOG").unwrap_or_else(|_| "warn".to_owned()))
            .env_remove("PUBLIC_URL")
            .env_remove("STRIPE_API_KEY")
            .env_remove("SMTP_URL");
        Ok(command)
    }

    /// Runs a command on the database; what it printed.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<String, BenchError> {
        let done = self.program()?.args(arguments).output().map_err(system("cannot run this program"))?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            return Err(BenchError::Said(format!("`{}` failed: {why}", arguments.join(" "))));
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// The server's.
    pub async fn remove(self) -> Result<(), BenchError> {
        let _ = std::fs::remove_dir_all(&self.folder);
        if let Engine::Postgres(server) = &self.engine {
            throwaway::on_server(server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await?;
        }
        Ok(())
    }
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Events whose customers are settled, too, as far as that can be told: recorded, less those of whom some are due.
    pub settled: usize,
}

/// What there is on disk, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Disk {
    /// Events.
    pub events: u64,
    /// The raw events with all that belongs to them, as far as the engine tells.
    pub raw: Option<u64>,
    /// Everything.
    pub all: u64,
}

/// A service that runs.
pub(super) struct Served<'a> {
    place: &'a Place,
    child: Child,
    address: Address,
    db: Db,
}

impl Served<'_> {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    pub(super) fn place(&self) -> &Place {
        self.place
    }

    pub(super) fn processors(&self) -> Spent {
        let name = self.place.name.clone();
        let is_server = |line: &str| {
            let of_all = ["postgres: checkpointer", "postgres: walwriter", "postgres: background writer"];
            line.starts_with("postgres: ")
                && (line.contains(&name) || of_all.iter().any(|start| line.starts_with(start)))
        };
        let has_server = matches!(self.place.engine, Engine::Postgres(_));
        Spent::now(self.child.id(), |line| has_server && is_server(line))
    }

    pub(super) fn peak_memory(&self) -> u64 {
        peak_memory(self.child.id())
    }

    /// How many events are recorded and settled by now.
    pub(super) async fn recorded(&self) -> Result<Progress, BenchError> {
        let mut tx = self.db.read().await?;
        let (all, unread, never_settled) = throwaway::progress(&mut tx).await?;
        tx.rollback().await?;
        Ok(Progress { settled: usize::try_from(all - unread - never_settled).unwrap_or_default() })
    }

    /// Waits until everything is recorded and settled.
    pub(super) async fn wait_until_settled(&self) -> Result<(), BenchError> {
        loop {
            let mut tx = self.db.read().await?;
            let Some(workspace) = workspaces::find(&mut tx, "default").await? else { return Ok(()) };
            let unread = events::oldest_unread(&mut tx, workspace).await?;
            let due = customers::next_due(&mut tx, workspace).await?;
            tx.rollback().await?;
            if unread.is_none() && due.is_none_or(|due| due > Clock::machine().now()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops the service and starts it anew: how long it takes until it answers.
    pub(super) async fn restart(&self) -> Result<Duration, BenchError> {
        let begun = Instant::now();
        let (mut child, address) = self.place.start()?;
        let answered = tokio::net::TcpStream::connect(address).await.map_err(system("cannot connect"));
        let took = begun.elapsed();
        let _ = child.kill();
        let _ = child.wait();
        answered.map(|_| took)
    }

    /// Closes the last month that is over.
    pub(super) fn close_month(&self) -> Result<Duration, BenchError> {
        let month = Month::containing(Clock::machine().now(), chrono_tz::UTC).previous();
        let begun = Instant::now();
        self.place.command(&["payouts", "close", "--month", &month.to_string()])?;
        Ok(begun.elapsed())
    }

    pub(super) async fn disk(&self) -> Result<Disk, BenchError> {
        let mut tx = self.db.read().await?;
        let (events, _, _) = throwaway::progress(&mut tx).await?;
        tx.rollback().await?;
        let events = events.unsigned_abs();
        match &self.place.engine {
            Engine::Sqlite(_) => {
                // What is in the write-ahead log goes where it belongs, as it does in time.
                Ok(Disk { events, raw: None, all: size_of(&self.place.folder) })
            }
            Engine::Postgres(_) => {
                let (raw, all) = throwaway::sizes(self.place.url()).await?;
                Ok(Disk { events, raw: Some(raw.unsigned_abs()), all: all.unsigned_abs() })
            }
        }
    }

    pub(super) async fn end(mut self) -> Result<(), BenchError> {
        self.db.close().await;
        let _ = self.child.kill();
        self.child.wait().map_err(system("the service did not end"))?;
        Ok(())
    }
}

/// A service that is left behind when something failed ends with this process.
impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn size_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let of_database = files.filter(|file| file.file_name().to_string_lossy().ends_with("bench.db"));
    of_database.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}
