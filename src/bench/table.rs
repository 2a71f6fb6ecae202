//! What came of it, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::load::Loaded;
use super::machine::{Machine, Processors};
use super::place::{Disk, Place};
use super::{BenchError, Plan};

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Of what.
    pub what: String,
    /// So many a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Milliseconds that half did not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// Milliseconds that 99 of 100 did not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
    /// Microseconds of processor time for each, of the service, the database server and the generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_micros: Option<[f64; 3]>,
    /// Webhooks that were asked to come again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<usize>,
}

impl Row {
    fn named(what: &str) -> Self {
        let what = what.to_owned();
        Self { what, per_second: None, p50_ms: None, p99_ms: None, processor_micros: None, refused: None }
    }

    pub(super) fn of_load(what: &str, loaded: &Loaded, spent: Option<Processors>) -> Self {
        let row = Self {
            per_second: Some(loaded.rate()),
            p50_ms: Some(loaded.quantile(500)),
            p99_ms: Some(loaded.quantile(990)),
            refused: (loaded.refused > 0).then_some(loaded.refused),
            ..Self::named(what)
        };
        match spent {
            Some(spent) => row.with_processors(spent, loaded.sent),
            None => row,
        }
    }

    pub(super) fn rate(what: &str, per_second: f64) -> Self {
        Self { per_second: Some(per_second), ..Self::named(what) }
    }

    pub(super) fn once(what: &str, took: Duration) -> Self {
        Self { p50_ms: Some(took.as_secs_f64() * 1000.0), ..Self::named(what) }
    }

    pub(super) fn with_processors(self, spent: Processors, events: usize) -> Self {
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / events.max(1) as f64;
        let micros = [each(spent.service), each(spent.database), each(spent.generator)];
        Self { processor_micros: Some(micros), ..self }
    }
}

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// On which database, in words.
    pub database: String,
    /// Webhooks of the closed loop.
    pub events: usize,
    /// How many were sent at a time.
    pub connections: usize,
    /// Bytes of a body, on average.
    pub body_bytes: usize,
    /// The figures; the first is the floor.
    pub rows: Vec<Row>,
    /// The most memory that the service had, MiB.
    pub memory: u64,
    /// What there was on disk at the end.
    pub disk: Disk,
    /// The rate of the open loop.
    #[serde(skip)]
    pub(super) half: usize,
}

impl Report {
    pub(super) async fn new(
        machine: Machine,
        place: &Place,
        plan: &Plan,
        body_bytes: usize,
    ) -> Result<Self, BenchError> {
        Ok(Self {
            machine,
            database: place.describe().await?,
            events: plan.events,
            connections: plan.connections,
            body_bytes,
            rows: Vec::new(),
            memory: 0,
            disk: Disk::default(),
            half: 0,
        })
    }

    /// As a table in Markdown.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}, {} cores, {} MiB, {}; service, database and generator share it\n{}\n\
             {} webhooks of {} bytes over {} connections\n\n\
             | what | a second | of the floor | p50 ms | p99 ms | µs of processor each: service / database / generator |\n\
             |---|---:|---:|---:|---:|---|\n",
            self.machine.processor,
            self.machine.cores,
            self.machine.memory_mib,
            self.machine.system,
            self.database,
            self.events,
            self.body_bytes,
            self.connections,
        );
        let floor = self.rows.first().and_then(|row| row.per_second).unwrap_or(1.0);
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(String::new, |value| format!("{value:.digits$}"));
        for row in &self.rows {
            let is_webhooks = !row.what.starts_with("GET");
            let ratio = row.per_second.filter(|_| is_webhooks).map(|rate| rate / floor);
            let micros = row.processor_micros.map_or_else(String::new, |[service, database, generator]| {
                format!("{service:.0} / {database:.0} / {generator:.0}")
            });
            let refused = row.refused.map_or_else(String::new, |refused| format!(" ({refused} asked to come again)"));
            let _ = writeln!(
                text,
                "| {}{refused} | {} | {} | {} | {} | {micros} |",
                row.what,
                number(row.per_second, 0),
                number(ratio, 2),
                number(row.p50_ms, 2),
                number(row.p99_ms, 2),
            );
        }
        let each = |bytes: u64| bytes / self.disk.events.max(1);
        let _ = write!(text, "\nmemory of the service: {} MiB at most\non disk, bytes an event: ", self.memory);
        if let Some(raw) = self.disk.raw {
            let _ = write!(text, "{} the raw event, ", each(raw));
        }
        let _ = writeln!(text, "{} all there is (of {} received)", each(self.disk.all), self.body_bytes);
        text
    }
}
