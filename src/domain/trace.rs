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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_made_only_where_somebody_listens_and_kept_once() {
        let mut off = Trace::off();
        off.say(|| panic!("nobody listens"));
        assert_eq!((off.is_on(), off.fresh().is_on()), (false, false));
        assert_eq!(off.into_lines(), Vec::<String>::new());
        let mut on = Trace::on();
        for sentence in ["one", "two", "one"] {
            on.say(|| sentence.to_owned());
        }
        assert_eq!((on.is_on(), on.fresh().is_on()), (true, true));
        assert_eq!(on.fresh().into_lines(), Vec::<String>::new());
        assert_eq!(on.into_lines(), ["one", "two"]);
    }
}
