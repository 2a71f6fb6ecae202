//! What runs here: the machine, and what processes spend on its processors.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// A machine, in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Machine {
    /// The processor.
    pub processor: String,
    /// How many of them.
    pub cores: usize,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// The system.
    pub system: String,
}

impl Machine {
    /// Looks at this one; what it does not tell is empty or 0.
    pub fn look() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_mib: kib / 1024,
            system: format!("{} {}", std::env::consts::OS, release.trim()),
        }
    }
}

/// What processes have spent on the processors.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent {
    service: Duration,
    generator: Duration,
    /// Of each of the database's processes.
    database: BTreeMap<u32, Duration>,
}

/// What was spent in between, on each part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Processors {
    /// The service.
    pub service: Duration,
    /// The database server, where there is one.
    pub database: Duration,
    /// Whoever sends.
    pub generator: Duration,
}

impl Spent {
    /// Up to now. `database` says which processes are the database's, by their command lines.
    pub(super) fn now(service: u32, database: impl Fn(&str) -> bool) -> Self {
        let mut of_database = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if database(&String::from_utf8_lossy(&line)) {
                of_database.insert(pid, spent(&pid.to_string()));
            }
        }
        Self { service: spent(&service.to_string()), generator: spent("self"), database: of_database }
    }

    /// What was spent since. A process that ended meanwhile is not counted.
    pub(super) fn since(&self, before: &Self) -> Processors {
        let database = self.database.iter().map(|(pid, spent)| {
            let earlier = before.database.get(pid).copied().unwrap_or_default();
            spent.saturating_sub(earlier)
        });
        Processors {
            service: self.service.saturating_sub(before.service),
            generator: self.generator.saturating_sub(before.generator),
            database: database.sum(),
        }
    }
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat`, in hundredths of a second.
fn spent(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that a process had, MiB.
pub(super) fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}
