//! A statement's lines as CSV, for spreadsheets.

use chrono::SecondsFormat;

use crate::domain::Time;
use crate::domain::money::decimal_text;
use crate::domain::statement::{Line, Statement};
use crate::payouts::csv_cell;

/// The columns, in order. Files name them; they are stable.
pub const COLUMNS: [&str; 18] = [
    "entry_id",
    "date",
    "booked_at",
    "hold_until",
    "kind",
    "component",
    "program",
    "product",
    "payment_kind",
    "customer",
    "base",
    "rate",
    "amount",
    "currency",
    "payment",
    "payout",
    "reason",
    "note",
];

/// One row for each line, in the document's order: amounts are signed decimals in the currency's own exponent, times
/// UTC, text that a spreadsheet would take for a formula has a `'` before it.
pub fn csv(statement: &Statement) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    // Memory takes all that is written.
    let _ = writer.write_record(COLUMNS);
    for line in &statement.lines {
        let _ = writer.write_record(cells(statement, line));
    }
    writer.into_inner().unwrap_or_default()
}

fn cells(statement: &Statement, line: &Line) -> [String; COLUMNS.len()] {
    let amount = |amount| decimal_text(amount, statement.currency);
    let text = |text: &Option<String>| csv_cell::text(text.as_deref().unwrap_or_default()).into_owned();
    [
        csv_cell::text(&line.entry).into_owned(),
        moment(line.date),
        moment(line.booked_at),
        moment(line.hold_until),
        line.kind.as_str().to_owned(),
        line.component.as_str().to_owned(),
        text(&line.program),
        text(&line.product),
        text(&line.payment_kind),
        text(&line.customer),
        line.base.map(amount).unwrap_or_default(),
        text(&line.rate),
        amount(line.amount),
        statement.currency.to_string(),
        text(&line.payment),
        text(&line.payout),
        text(&line.reason),
        text(&line.note),
    ]
}

fn moment(at: Time) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
