//! CSV as spreadsheets and other tools write it: UTF-8 with or without a byte order mark, any line end, divided by
//! commas, semicolons or tabs.

use super::fault::{Faults, ImportError};

/// More characters than any cell means.
const MOST_CELL: usize = 5000;

/// A file's heading and rows.
#[derive(Debug)]
pub(crate) struct Table {
    /// The headings as the file writes them, trimmed.
    pub(crate) headings: Vec<String>,
    /// The rows that hold anything.
    pub(crate) rows: Vec<Row>,
}

/// A row with as many cells as there are headings.
#[derive(Debug)]
pub(crate) struct Row {
    /// As a spreadsheet counts it.
    pub(crate) number: usize,
    /// Trimmed.
    pub(crate) cells: Vec<String>,
}

/// Reads a file; what is wrong with single rows goes to `faults`.
pub(crate) fn read(bytes: &[u8], file_name: &str, faults: &mut Faults) -> Result<Table, ImportError> {
    let text = utf8(bytes, file_name)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut table = Table { headings: Vec::new(), rows: Vec::new() };
    let mut number = 0;
    let mut record = csv::StringRecord::new();
    loop {
        let before = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(ImportError::one(file_name, Some(number + 1), None, error.to_string())),
        }
        // Blank lines are rows of a spreadsheet; a line end within a cell begins none.
        let lines = usize::try_from(reader.position().line() - before).unwrap_or(1);
        let within: usize = record.iter().map(|cell| cell.matches('\n').count()).sum();
        number += lines.saturating_sub(within).max(1);
        let cells: Vec<String> = record.iter().map(cell).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if table.headings.is_empty() {
            table.headings = cells;
            continue;
        }
        if let Some(row) = checked(number, cells, &table.headings, faults) {
            table.rows.push(row);
        }
    }
    if table.headings.is_empty() {
        return Err(ImportError::one(file_name, None, None, "the file is empty: expected a row of headings"));
    }
    Ok(table)
}

fn checked(number: usize, mut cells: Vec<String>, headings: &[String], faults: &mut Faults) -> Option<Row> {
    // Some tools end each row with a separator.
    while cells.len() > headings.len() && cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    if cells.len() != headings.len() {
        let (has, wants) = (cells.len(), headings.len());
        faults.add(Some(number), None, format!("has {has} cells, but the headings are {wants}: is a quote missing?"));
        return None;
    }
    for (cell, heading) in cells.iter().zip(headings) {
        if cell.chars().count() > MOST_CELL {
            faults.add(Some(number), Some(heading), format!("is longer than {MOST_CELL} characters"));
            return None;
        }
        if SPREADSHEET_ERRORS.contains(&cell.as_str()) {
            faults.add(Some(number), Some(heading), format!("holds a spreadsheet's error, {cell}"));
            return None;
        }
    }
    Some(Row { number, cells })
}

const SPREADSHEET_ERRORS: [&str; 7] = ["#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"];

/// Trimmed, and without the `'` that keeps a spreadsheet from taking the text for a formula.
fn cell(text: &str) -> String {
    let text = text.trim();
    let unguarded = text.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@']));
    unguarded.unwrap_or(text).to_owned()
}

fn utf8<'a>(bytes: &'a [u8], file_name: &str) -> Result<&'a str, ImportError> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ImportError::one(file_name, None, None, format!("the file is UTF-16: {SAVE_AS}")));
    }
    // A byte order mark at the start is Windows' way of saying UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let row = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        ImportError::one(file_name, Some(row), None, format!("is not UTF-8 text: {SAVE_AS}"))
    })
}

const SAVE_AS: &str = "save it as CSV UTF-8";

/// What divides the headings most often, outside of quotes.
fn delimiter(text: &str) -> u8 {
    let heading = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: char| {
        let mut quoted = false;
        heading
            .chars()
            .filter(|character| {
                quoted ^= *character == '"';
                !quoted && *character == delimiter
            })
            .count()
    };
    // The last of equals wins: a comma where nothing divides.
    [(b'\t', '\t'), (b';', ';'), (b',', ',')]
        .into_iter()
        .max_by_key(|(_, delimiter)| count(*delimiter))
        .map_or(b',', |(byte, _)| byte)
}
