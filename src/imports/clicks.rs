//! Clicks from a CSV file: `click_id,partner_key,clicked_at` and, if wanted, `program_key`. All rows or none.

use std::collections::BTreeSet;

use crate::domain::Time;
use crate::domain::decision::Click;
use crate::domain::evidence::{LONGEST_CLICK_ID, is_click_id};
use crate::domain::terms::Terms;

/// The columns that a file must have, and the one that it may have.
const COLUMNS: [&str; 3] = ["click_id", "partner_key", "clicked_at"];
const PROGRAM: &str = "program_key";

/// A click with its id, and the row it stands in.
pub type Row = (usize, String, Click);

/// Reads a file, or says all that is wrong with it, by row. Partners and programs must exist.
pub fn read(text: &[u8], terms: &Terms, now: Time) -> Result<Vec<Row>, Vec<String>> {
    // A byte order mark at the start is Windows' way of saying UTF-8.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let headings = reader.headers().cloned().unwrap_or_default();
    let place = |name: &str| headings.iter().position(|heading| heading == name);
    let unknown: Vec<&str> =
        headings.iter().filter(|heading| !COLUMNS.contains(heading) && *heading != PROGRAM).collect();
    let ([Some(id), Some(partner), Some(clicked_at)], true) = (COLUMNS.map(place), unknown.is_empty()) else {
        let found: Vec<&str> = headings.iter().collect();
        return Err(vec![format!(
            "row 1: expected the columns {} and, if wanted, {PROGRAM}, divided by commas; found {:?}",
            COLUMNS.join(", "),
            found.join(",")
        )]);
    };
    let program = place(PROGRAM);
    let (mut clicks, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, row) in reader.records().enumerate() {
        let number = index + 2;
        let click = row.map_err(|_| "is not UTF-8 text".to_owned()).and_then(|row| {
            if row.len() != headings.len() {
                return Err(format!("has {}, but the first row has {}", cells(row.len()), headings.len()));
            }
            let program = program.map(|place| &row[place]).filter(|program| !program.is_empty());
            click(&row[id], &row[partner], &row[clicked_at], program, terms, now)
        });
        match click {
            Ok((id, _)) if !seen.insert(id.clone()) => {
                problems.push(format!("row {number}: click {id:?} is in the file twice"));
            }
            Ok((id, click)) => clicks.push((number, id, click)),
            Err(problem) => problems.push(format!("row {number}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(clicks) } else { Err(problems) }
}

fn click(
    id: &str,
    partner: &str,
    clicked_at: &str,
    program: Option<&str>,
    terms: &Terms,
    now: Time,
) -> Result<(String, Click), String> {
    if id.is_empty() {
        return Err("click_id is empty".to_owned());
    }
    if !is_click_id(id) {
        return Err(format!(
            "click_id is {id:?}: expected 1 to {LONGEST_CLICK_ID} characters without white space or @"
        ));
    }
    if !terms.partners.contains_key(partner) {
        return Err(format!("there is no partner {partner:?}"));
    }
    if let Some(program) = program.filter(|program| !terms.programs.contains_key(*program)) {
        return Err(format!("there is no program {program:?}"));
    }
    let clicked_at = clicked_at.parse().map_err(|_| {
        format!("clicked_at is {clicked_at:?}: expected a time with its offset, such as 2026-10-01T09:30:00Z")
    })?;
    let program = program.map(str::to_owned);
    Ok((id.to_owned(), Click { partner: partner.to_owned(), program, link: None, clicked_at, entered_at: now }))
}

fn cells(count: usize) -> String {
    if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") }
}
