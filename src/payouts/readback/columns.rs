//! A CSV file by its headings: which column means what, whatever it is called.

use crate::domain::currency::Currency;
use crate::imports::ImportError;
use crate::imports::fault::Faults;
use crate::imports::table::{self, Table};

use super::{Said, amount};

/// Lines above the headings that are skipped at most.
const ABOVE: usize = 20;

/// A file whose columns are known by name.
pub(super) struct Columns {
    table: Table,
    /// Rows above the headings.
    above: usize,
    names: Vec<String>,
}

/// One row of it.
pub(super) struct Line<'a> {
    columns: &'a Columns,
    cells: &'a [String],
    /// As a spreadsheet counts it.
    pub(super) number: usize,
}

/// A heading in small letters, with nothing else.
fn plain(heading: &str) -> String {
    heading.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

impl Columns {
    /// Reads a file. What stands above the first line with one of the headings `marks` is no table.
    pub(super) fn read(
        bytes: &[u8],
        file_name: &str,
        marks: &[&str],
        faults: &mut Faults,
    ) -> Result<Self, ImportError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let is_heading = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            line.split([',', ';', '\t']).any(|cell| marks.contains(&plain(cell).as_str()))
        };
        let above = bytes.split(|byte| *byte == b'\n').take(ABOVE).position(is_heading).unwrap_or(0);
        let skipped: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(above).map(<[u8]>::len).sum();
        let mut inner = Faults::default();
        let table = table::read(&bytes[skipped..], file_name, &mut inner)?;
        if let Err(error) = inner.into_result(file_name) {
            for fault in error.faults {
                faults.add(fault.row.map(|row| row + above), fault.column.as_deref(), fault.message);
            }
        }
        let names = table.headings.iter().map(|heading| plain(heading)).collect();
        Ok(Self { table, above, names })
    }

    /// The first of these headings that the file has.
    pub(super) fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|known| known == name))
    }

    /// A column that must be there.
    pub(super) fn need(&self, names: &[&str], what: &str, file_name: &str) -> Result<usize, ImportError> {
        self.find(names).ok_or_else(|| {
            let headings = self.table.headings.join(", ");
            let headings: String = headings.chars().take(300).collect();
            ImportError::one(file_name, None, None, format!("the file has no column for {what}: it has {headings}"))
        })
    }

    /// The rows.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.table.rows.iter().map(|row| Line { columns: self, cells: &row.cells, number: row.number + self.above })
    }
}

impl Line<'_> {
    /// A cell; none where it is empty.
    pub(super) fn cell(&self, at: Option<usize>) -> Option<&str> {
        self.cells.get(at?).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    /// Reports what is wrong with a column's cell.
    pub(super) fn fault(&self, faults: &mut Faults, at: usize, message: impl Into<String>) {
        faults.add(Some(self.number), self.columns.table.headings.get(at).map(String::as_str), message);
    }

    /// The amount and currency in two columns.
    pub(super) fn said(
        &self,
        amount_at: Option<usize>,
        currency_at: Option<usize>,
        faults: &mut Faults,
    ) -> Option<Said> {
        let (at, text) = (amount_at?, self.cell(amount_at)?);
        let mut said = match amount::read(text) {
            Ok(said) => said,
            Err(why) => {
                self.fault(faults, at, why);
                return None;
            }
        };
        if let (Some(at), Some(text)) = (currency_at, self.cell(currency_at)) {
            match text.parse::<Currency>() {
                Ok(currency) => said.currency = Some(currency),
                Err(error) => self.fault(faults, at, error.to_string()),
            }
        }
        Some(said)
    }
}
