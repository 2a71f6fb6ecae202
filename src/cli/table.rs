//! Tables and JSON on standard output, one way for all commands.

use comfy_table::{CellAlignment, ContentArrangement};

use super::Failure;

/// Which side a column leans on; amounts lean right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A table without borders: a head, a line under it, rows. The same in a terminal and in a file.
pub struct Table(comfy_table::Table);

impl Table {
    /// An empty table.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset("     ──            ").set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|(name, _)| *name));
        for (index, (_, align)) in columns.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((if index == 0 { 0 } else { 1 }, 1));
                column.set_cell_alignment(match align {
                    Align::Left => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                });
            }
        }
        Self(table)
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    /// As text, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.0.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints it.
    pub fn print(&self) {
        print!("{}", self.text());
    }
}

/// Prints JSON, indented.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Said(error.to_string()))?;
    println!("{text}");
    Ok(())
}

/// A moment as people read it: `2026-01-05 10:00:00` in UTC.
pub fn moment(at: crate::domain::Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
