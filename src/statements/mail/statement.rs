//! The month's statement to a partner, with its lines as CSV and the document that proves it.

use askama::Template;

use super::super::local::Local;
use super::super::view::{Row, View};
use super::super::{Merchant, Reader, RenderError, table};
use super::text;
use super::{Attachment, Frame, MailContent};
use crate::domain::statement::Frozen;

/// So many lines are in the mail itself; the attachments have all.
const MOST_LINES: usize = 50;

#[derive(Template)]
#[template(path = "mail/statement.html")]
struct Html<'a> {
    frame: &'a Frame,
    view: &'a View,
    files: &'a str,
}

#[derive(Template)]
#[template(path = "mail/statement.txt")]
struct Text<'a> {
    frame: &'a Frame,
    view: &'a View,
    lines: Lines,
}

/// What the text shows, in lines.
struct Lines {
    partner: Vec<String>,
    hero: Vec<String>,
    blocked: Vec<String>,
    figures: Vec<String>,
    parts: Vec<String>,
    held: Vec<String>,
    rows: Vec<String>,
    refused: Vec<String>,
}

/// Sends a partner their month. The merchant's own name and the reader's locale count; all else is the frozen document.
///
/// # Errors
/// Where the templates cannot be rendered, which no content is known to cause.
pub fn statement(merchant: &Merchant, reader: &Reader, frozen: &Frozen) -> Result<MailContent, RenderError> {
    let local = Local::new(reader.locale.as_deref(), frozen.statement.time_zone);
    let view = View::new(frozen, &local, MOST_LINES);
    let subject = format!("Your statement for {}: {}", view.month, view.hero.figure);
    let preheader = match &view.hero.detail {
        Some(how) => format!("{} {}. {how}.", view.hero.label, view.hero.figure),
        None => format!("{} {}.", view.hero.label, view.hero.figure),
    };
    let frame = Frame::new(merchant, &local, "Statement", subject, preheader);
    let stem = frozen.statement.file_stem();
    let failed = RenderError::of("the mail of a statement");
    let html = Html { frame: &frame, view: &view, files: &stem }.render().map_err(&failed)?;
    let text = Text { frame: &frame, view: &view, lines: lines(&view) }.render().map_err(&failed)?;
    Ok(MailContent {
        subject: frame.subject,
        html,
        text: text::tidy(&text),
        attachments: vec![
            Attachment {
                name: format!("{stem}.csv"),
                content_type: "text/csv; charset=utf-8",
                bytes: table::csv(&frozen.statement),
            },
            Attachment { name: format!("{stem}.json"), content_type: "application/json", bytes: frozen.file() },
        ],
    })
}

fn lines(view: &View) -> Lines {
    let mut hero = text::sides(view.hero.label, &view.hero.figure, text::WIDTH);
    hero.extend(view.hero.detail.iter().flat_map(|detail| text::wrap(detail)));
    let mut blocked = Vec::new();
    for notice in &view.blocked {
        blocked.extend(text::wrap(&format!("{}: {}", notice.title, notice.why)));
        blocked.extend(notice.what_to_do.iter().flat_map(|what| text::wrap(what)));
    }
    Lines {
        partner: text::wrap(&view.partner),
        hero,
        blocked,
        figures: text::pairs(&view.figures),
        parts: text::pairs(&view.parts),
        held: text::pairs(&view.held),
        rows: view.rows.iter().flat_map(row).collect(),
        refused: view
            .refused
            .iter()
            .flat_map(|one| {
                let mut lines = text::sides(&one.title, &one.paid, text::WIDTH);
                lines.extend(indented(&format!("{} · {}", one.date, one.sentence)));
                lines
            })
            .collect(),
    }
}

fn row(row: &Row) -> Vec<String> {
    let mut lines = text::sides(&row.title, &row.amount, text::WIDTH);
    lines.extend(indented(&row.detail));
    lines.extend(row.hold_until.iter().map(|day| format!("  on hold until {day}")));
    lines
}

fn indented(text: &str) -> Vec<String> {
    text::wrap_to(text, text::WIDTH - 2).into_iter().map(|line| format!("  {line}")).collect()
}
