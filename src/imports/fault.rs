//! What is wrong with a file: the row, the column, and why, all at once. E-mails are masked.

use std::fmt;

use crate::domain::mask::mask;

/// How many faults are printed; the rest are counted.
const SHOWN: usize = 20;
/// How many are kept; a file with a million bad rows is one mistake.
const KEPT: usize = 1000;

/// A file that cannot be imported. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ImportError {
    /// The file's name, as whoever imports it knows it.
    pub file_name: String,
    /// The first thousand faults, in the order of the file; never empty.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub total: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row as a spreadsheet counts them: the heading is 1. None for what is about no row.
    pub row: Option<usize>,
    /// The column's heading.
    pub column: Option<String>,
    /// What is wrong and what was expected: the end of a sentence that begins with the column.
    pub message: String,
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Vec<Fault>,
    total: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, row: Option<usize>, column: Option<&str>, message: impl Into<String>) {
        self.total += 1;
        if self.found.len() < KEPT {
            self.found.push(Fault { row, column: column.map(str::to_owned), message: message.into() });
        }
    }

    /// Nothing, or all that was found.
    pub(crate) fn into_result(mut self, file_name: &str) -> Result<(), ImportError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|fault| fault.row);
        Err(ImportError { file_name: file_name.to_owned(), faults: self.found, total: self.total })
    }
}

impl ImportError {
    /// A single fault.
    pub(crate) fn one(file_name: &str, row: Option<usize>, column: Option<&str>, message: impl Into<String>) -> Self {
        let fault = Fault { row, column: column.map(str::to_owned), message: message.into() };
        Self { file_name: file_name.to_owned(), faults: vec![fault], total: 1 }
    }
}

/// A value as a message may repeat it: what looks like an e-mail is masked.
pub(crate) fn shown(value: &str) -> String {
    if value.contains('@') { format!("{:?}", mask(value)) } else { format!("{value:?}") }
}

/// A message about `value` that repeats no e-mail.
pub(super) fn without_email(message: String, value: &str) -> String {
    let value = value.trim();
    if value.contains('@') { message.replace(&format!("{value:?}"), &shown(value)) } else { message }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, &self.column) {
            (Some(row), Some(column)) => write!(f, "row {row}, {column}: {}", self.message),
            (Some(row), None) => write!(f, "row {row}: {}", self.message),
            (None, Some(column)) => write!(f, "{column}: {}", self.message),
            (None, None) => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was imported from {}:", self.file_name)?;
        for fault in self.faults.iter().take(SHOWN) {
            write!(f, "\n{fault}")?;
        }
        match self.total.saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}
