//! Tables for people: the one way in which commands print rows. As wide as their content, whatever the terminal's width,
//! so that a line can be searched and copied; only sentences in the last column are wrapped to fit a terminal.

use std::fmt;
use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

use super::Failure;
use super::out::outln;

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// What a column holds; the text is its heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// Words, from the left.
    Text(&'static str),
    /// Amounts and counts, their last digits below each other.
    Number(&'static str),
}

/// Whether headings may be made to stand out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Look {
    /// Text and nothing else: files, pipes, tests.
    #[default]
    Plain,
    /// A terminal.
    Terminal,
}

impl Look {
    /// The look for what is written to `stream`: plain unless it is a terminal, and where `NO_COLOR` is set.
    fn of(stream: &impl IsTerminal) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && stream.is_terminal() { Self::Terminal } else { Self::Plain }
    }
}

/// The least that wrapped sentences need.
const ROOM_FOR_WORDS: usize = 24;

/// Rows below headings, without a line end after the last. A terminal has a width.
fn table(columns: &[Column], rows: Vec<Vec<String>>, look: Look, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if look == Look::Terminal {
        table.enforce_styling();
    }
    if let Some(width) = width.filter(|width| has_room(columns, &rows, usize::from(*width))) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.iter().map(|column| heading(*column)));
    for row in rows {
        debug_assert_eq!(row.len(), columns.len(), "a cell for each column");
        table.add_row(row.into_iter().map(|cell| Cell::new_owned(one_line(&cell))));
    }
    let last = columns.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        // The blank between two columns makes the gap two wide.
        column.set_padding((0, u16::from(index != last)));
        if index != last {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if let Some(Column::Number(_)) = columns.get(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Whether the last column holds words, and what the others leave it is enough to wrap them in.
fn has_room(columns: &[Column], rows: &[Vec<String>], width: usize) -> bool {
    let Some((Column::Text(_), others)) = columns.split_last() else { return false };
    let taken: usize = others
        .iter()
        .enumerate()
        .map(|(index, Column::Text(heading) | Column::Number(heading))| {
            let cells = rows.iter().map(|row| row.get(index).map_or(0, |cell| cell.chars().count()));
            cells.chain([heading.chars().count()]).max().unwrap_or(0) + 2
        })
        .sum();
    taken + ROOM_FOR_WORDS <= width
}

fn heading(column: Column) -> Cell {
    let (Column::Text(text) | Column::Number(text)) = column;
    Cell::new(text).add_attribute(Attribute::Bold)
}

/// A name may hold anything; a terminal obeys control characters, and a table has one line for each row.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Which side a column leans on; amounts lean right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Amounts and counts.
    Right,
}

/// Rows on their way to standard output.
pub struct Rows {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// No rows yet, below these headings.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        let columns = columns.iter().map(|(heading, align)| match align {
            Align::Left => Column::Text(heading),
            Align::Right => Column::Number(heading),
        });
        Self { columns: columns.collect(), rows: Vec::new() }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// One more row of as many cells as there are columns.
    pub fn row_of(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints them.
    pub fn print(self) {
        let is_terminal = std::io::stdout().is_terminal();
        let width = is_terminal.then(|| Table::new().width()).flatten();
        outln!("{}", table(&self.columns, self.rows, Look::of(&std::io::stdout()), width));
    }
}

/// Prints JSON, indented.
///
/// # Errors
/// Where a value cannot be written as JSON.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Said(error.to_string()))?;
    outln!("{text}");
    Ok(())
}

/// `1 payout`, `2 payouts`.
pub fn many(count: impl TryInto<u64> + fmt::Display, noun: &str) -> String {
    let shown = count.to_string();
    if count.try_into().is_ok_and(|count| count == 1) { format!("{shown} {noun}") } else { format!("{shown} {noun}s") }
}

/// A moment as people read it: `2026-01-05 10:00:00` in UTC.
pub fn moment(at: crate::domain::Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const COLUMNS: [Column; 4] =
        [Column::Text("partner"), Column::Text("name"), Column::Number("balance"), Column::Text("currency")];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        vec![
            row(["acme", "Acme Media", "1250.00", "usd"]),
            row(["zoë", "東京 \u{1b}[31mMedia\nLtd", "-0.05", "usd"]),
            row(["zed", "", "12500", "jpy"]),
        ]
    }

    #[test]
    fn amounts_stand_below_each_other() {
        assert_snapshot!(table(&COLUMNS, rows(), Look::Plain, None));
    }

    #[test]
    fn no_rows_leave_the_headings() {
        assert_eq!(table(&COLUMNS[..2], Vec::new(), Look::Plain, None), "partner  name\n─────────────");
    }

    #[test]
    fn only_a_terminal_gets_more_than_text() {
        assert!(!table(&COLUMNS, rows(), Look::Plain, None).contains('\u{1b}'));
        assert!(table(&COLUMNS, rows(), Look::Terminal, None).contains("\u{1b}[1m"));
    }

    #[test]
    fn sentences_in_the_last_column_fit_the_terminal() {
        let columns = [Column::Text("check"), Column::Text("finding")];
        let rows = vec![vec!["secret".to_owned(), "not set: webhooks are answered with 503 until it is".to_owned()]];
        assert_snapshot!(table(&columns, rows.clone(), Look::Plain, Some(40)));
        assert_eq!(
            table(&columns, rows.clone(), Look::Plain, Some(20)),
            table(&columns, rows, Look::Plain, None),
            "where there is no room for words, the terminal wraps"
        );
    }
}
