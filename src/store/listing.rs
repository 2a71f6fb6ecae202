//! A page of a list with filters: one condition after the other, each found by an index.

use std::fmt::Write as _;

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::rows::Cell;
use super::{StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::on;

/// A span of time: from one moment on, before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment in it.
    pub since: Option<Time>,
    /// The first moment after it.
    pub until: Option<Time>,
}

/// A query that is put together from conditions.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    text: String,
    cells: Vec<Cell<'a>>,
}

impl<'a> Listing<'a> {
    /// A query whose text ends with the comparison of the workspace, `… workspace_id =`.
    pub(super) fn of(select: impl Into<String>, workspace: WorkspaceId) -> Self {
        let mut listing = Self { text: select.into(), cells: Vec::new() };
        listing.bind(workspace.0.into());
        listing
    }

    fn bind(&mut self, cell: Cell<'a>) {
        self.cells.push(cell);
        write!(self.text, " ${}", self.cells.len()).expect("a String takes any text");
    }

    /// A condition that compares with nothing from outside.
    pub(super) fn and(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// A condition that ends with its comparison, `partner_key =`.
    pub(super) fn and_cell(&mut self, comparison: &str, cell: impl Into<Cell<'a>>) {
        self.and(comparison);
        self.bind(cell.into());
    }

    /// The same, where there is something to compare with.
    pub(super) fn and_some(&mut self, comparison: &str, cell: Option<impl Into<Cell<'a>>>) {
        if let Some(cell) = cell {
            self.and_cell(comparison, cell);
        }
    }

    /// Within a span of time.
    pub(super) fn within(&mut self, column: &str, span: Span) {
        self.and_some(&format!("{column} >="), span.since.map(micros));
        self.and_some(&format!("{column} <"), span.until.map(micros));
    }

    /// Behind a place in an order that runs backwards, `(paid_at, payment_id)`.
    pub(super) fn before<const N: usize>(&mut self, columns: &str, place: [Cell<'a>; N]) {
        self.beyond(columns, "<", place);
    }

    /// Behind a place in an order that runs forwards, `(partner_key, currency)`.
    pub(super) fn after<const N: usize>(&mut self, columns: &str, place: [Cell<'a>; N]) {
        self.beyond(columns, ">", place);
    }

    fn beyond<const N: usize>(&mut self, columns: &str, comparison: &str, place: [Cell<'a>; N]) {
        self.and(columns);
        write!(self.text, " {comparison} (").expect("a String takes any text");
        for (number, cell) in place.into_iter().enumerate() {
            if number > 0 {
                self.text.push(',');
            }
            self.bind(cell);
        }
        self.text.push(')');
    }

    /// Runs it.
    pub(super) async fn fetch<T>(mut self, tx: &mut Tx, order: &str, limit: i64) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        write!(self.text, " ORDER BY {order} LIMIT").expect("a String takes any text");
        self.bind(limit.into());
        let Self { text, cells } = self;
        Ok(on!(tx, conn => {
            let mut query = sqlx::query_as(AssertSqlSafe(text));
            for cell in cells {
                query = match cell {
                    Cell::Int(value) => query.bind(value),
                    Cell::Text(value) => query.bind(value.map(std::borrow::Cow::into_owned)),
                    Cell::Bytes(value) => query.bind(value.into_owned()),
                };
            }
            query.fetch_all(conn).await?
        }))
    }
}
