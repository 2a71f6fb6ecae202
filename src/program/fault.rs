//! What is wrong with a program file, said so that its author can mend it: the line, the column, the key, the text with
//! a caret below it, and what was expected. All faults at once, in the order of the file.

use std::fmt;
use std::ops::Range;

/// How many problems are printed; the rest are counted.
const SHOWN: usize = 20;
/// How much of a line is printed.
const LINE_WIDTH: usize = 120;

/// A program file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The file's name, as its author knows it.
    pub file_name: String,
    /// What is wrong with it, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The key it is about, such as `program[0].rule[1].percent`; empty for faults of the syntax.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The line it is on.
    source_line: String,
    /// How many characters to underline.
    width: usize,
}

/// A place in a file: a key's path and the bytes of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) path: String,
    pub(super) span: Range<usize>,
}

/// A program file's text, kept so that later checks can point into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) file_name: String,
    pub(super) text: String,
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<(Spot, String)>,
    /// Whether amounts are whole numbers of minor units; decimals in quotes otherwise.
    pub(super) minor_units: bool,
}

impl Faults {
    /// For documents whose amounts are whole numbers of minor units.
    pub(super) fn in_minor_units() -> Self {
        Self { minor_units: true, ..Self::default() }
    }

    pub(super) fn add(&mut self, spot: &Spot, message: impl Into<String>) {
        self.found.push((spot.clone(), message.into()));
    }

    /// `value`, or its error as a fault.
    pub(super) fn check<T>(&mut self, spot: &Spot, value: Result<T, impl fmt::Display>) -> Option<T> {
        value.map_err(|error| self.add(spot, error.to_string())).ok()
    }

    /// Nothing, or all that was found.
    pub(super) fn into_result(mut self, source: &Source) -> Result<(), FileError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(spot, _)| spot.span.start);
        let problems = self.found.into_iter().map(|(spot, message)| locate(&source.text, spot, message)).collect();
        Err(FileError { file_name: source.file_name.clone(), problems })
    }
}

/// Byte offsets to line and column. Offsets may come from a half-read file, so they are brought to its bounds first.
fn locate(text: &str, spot: Spot, message: String) -> Problem {
    let start = floor_boundary(text, spot.span.start);
    let end = floor_boundary(text, spot.span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let before = text[line_start..start].chars().count();
    let width = text[start..end.min(line_end)].trim_end().chars().count().max(1);
    Problem {
        line: text[..start].matches('\n').count() + 1,
        column: before + 1,
        path: spot.path,
        message,
        source_line: text[line_start..line_end].chars().map(printable).collect::<String>().trim_end().to_owned(),
        width,
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Tabs as one blank, so that the caret stays below what it means, and nothing that a terminal would obey.
fn printable(character: char) -> char {
    match character {
        '\t' | '\r' => ' ',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{}:{problem}", self.file_name)?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\n… and {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        writeln!(f, "{}", self.message)?;
        // A line longer than a screen is shown from shortly before the fault.
        let skipped = if self.column > LINE_WIDTH { self.column - LINE_WIDTH / 2 } else { 0 };
        let shown: String = self.source_line.chars().skip(skipped).take(LINE_WIDTH).collect();
        let indent = self.column - 1 - skipped;
        let carets = self.width.min(LINE_WIDTH.saturating_sub(indent)).max(1);
        let gutter = self.line.to_string();
        writeln!(f, "{:>width$} |", "", width = gutter.len())?;
        writeln!(f, "{gutter} | {shown}")?;
        write!(f, "{:>width$} | {:indent$}{}", "", "", "^".repeat(carets), width = gutter.len())
    }
}

/// The word of `words` that was probably meant.
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    words
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, left out or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // No key is that long: a longer word is not a slip of the pen.
    for (i, letter) in one.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_understood() {
        let words = ["percent", "product", "duration", "on"];
        assert_eq!(nearest("percentage", &words), None);
        assert_eq!(nearest("procent", &words), Some("percent"));
        assert_eq!(nearest("Duration", &words), Some("duration"));
        assert_eq!(nearest("in", &words), Some("on"));
        assert_eq!(nearest("", &words), None);
    }

    #[test]
    fn places_outside_of_the_text_are_brought_inside() {
        let spot = Spot { path: String::new(), span: 90..99 };
        let problem = locate("a = \"ü\"", spot, "too short".to_owned());
        assert_eq!((problem.line, problem.column), (1, 8));
    }
}
