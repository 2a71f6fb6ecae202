//! A statement as a page for reading and printing, on A4 and on Letter.

use askama::Template;

use super::local::Local;
use super::view::View;
use super::{Merchant, Reader, RenderError};
use crate::domain::statement::Frozen;

#[derive(Template)]
#[template(path = "page/statement.html")]
struct Page<'a> {
    merchant: &'a Merchant,
    view: &'a View,
    dir: &'static str,
    holds: bool,
}

/// The whole statement as one HTML page with nothing to fetch.
///
/// # Errors
/// Where the template cannot be rendered, which no content is known to cause.
pub fn page(merchant: &Merchant, reader: &Reader, frozen: &Frozen) -> Result<String, RenderError> {
    let local = Local::new(reader.locale.as_deref(), frozen.statement.time_zone);
    let view = View::new(frozen, &local, usize::MAX);
    let holds = view.rows.iter().any(|row| row.hold_until.is_some());
    let dir = if local.is_rtl() { "rtl" } else { "ltr" };
    Page { merchant, view: &view, dir, holds }.render().map_err(RenderError::of("the page of a statement"))
}

/// A statement in a list of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    partner: String,
    closing: String,
    stem: String,
}

impl Linked {
    /// By the names that its files have.
    pub fn new(reader: &Reader, frozen: &Frozen) -> Self {
        let statement = &frozen.statement;
        let local = Local::new(reader.locale.as_deref(), statement.time_zone);
        Self {
            partner: statement.partner_name.clone(),
            closing: local.money(statement.closing, statement.currency),
            stem: statement.file_stem(),
        }
    }
}

#[derive(Template)]
#[template(path = "page/contents.html")]
struct Contents<'a> {
    title: &'a str,
    links: &'a [Linked],
}

/// A page that leads to the files of some statements.
///
/// # Errors
/// Where the template cannot be rendered, which no content is known to cause.
pub fn contents(title: &str, links: &[Linked]) -> Result<String, RenderError> {
    Contents { title, links }.render().map_err(RenderError::of("the list of statements"))
}
