//! The trace of a decision: sentences that are made only when somebody asks.

/// Collects sentences, or nothing.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// One that keeps what is said.
    pub fn on() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    /// One that does not, and costs nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether somebody listens.
    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Another of the same sort, empty.
    #[must_use]
    pub fn fresh(&self) -> Self {
        if self.lines.is_some() { Self::on() } else { Self::off() }
    }

    /// Says a sentence; it is built only if somebody listens.
    pub fn say(&mut self, sentence: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(sentence());
        }
    }

    /// What was said, each sentence once.
    pub fn into_lines(self) -> Vec<String> {
        let mut lines = self.lines.unwrap_or_default();
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        lines
    }
}
