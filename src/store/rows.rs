//! Many rows in one statement: a table of values that a statement names `v`.
//!
//! ```text
//! Rows::new(&[("ref", Text), ("customer_id", Text)])
//!   + INSERT INTO refs (workspace_id, mode, ref, customer_id) SELECT $1, $2, ref, customer_id FROM v WHERE TRUE …
//! ```
//!
//! `PostgreSQL` gets one array for each column (`UNNEST`), so that the statement's text is always the same. `SQLite`
//! gets `VALUES` with bare `?` (numbered ones are four times slower), in few distinct sizes, so that each is prepared
//! once; what a size has too many is filled up with rows of NULL, which `v` leaves out. So no row's first cell is NULL. The
//! text's own parameters are `$1, $2, …` on both; `PostgreSQL` gets them as `(SELECT $n)`, so that it plans for
//! any workspace and not for one that it believes to be small because it is new.
//!
//! `$known(2)` is the parameter itself on `PostgreSQL` as well, for what a plan must be made for: the months of events
//! that a statement is about.
//!
//! `SELECT $row(a, b) FROM …` is for [`Rows::gather`]: the columns themselves on `PostgreSQL`; on `SQLite` one text with all
//! rows, because each row is a message from the thread that reads it.
//!
//! `t.ref $in(ref)` asks for one of the values of a column, by the index: `t.ref = ANY($1)` on `PostgreSQL`,
//! `t.ref IN (SELECT ref FROM v)` on `SQLite`.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow, Postgres, Sqlite};

use super::tx::Inner;
use super::{Engine, StoreError, Tx};

/// Rows of one `SQLite` statement; a number of rows is cut into these sizes. Each statement is a message to the thread
/// that runs it, which costs more than to fill up a larger one.
const SIZES: [usize; 6] = [512, 256, 128, 32, 8, 1];

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `BIGINT`.
    Int,
    /// `TEXT`.
    Text,
    /// `BYTEA` or `BLOB`.
    Bytes,
}

/// One value.
#[derive(Debug, Clone)]
pub enum Cell<'a> {
    /// A whole number.
    Int(Option<i64>),
    /// A text.
    Text(Option<Cow<'a, str>>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Cell<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}
impl<'a> From<&'a String> for Cell<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}
impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(Cow::Owned(value)))
    }
}
impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value.map(Cow::Borrowed))
    }
}
impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

static NOTHING: Cell<'static> = Cell::Int(None);

/// Rows on their way into a statement.
#[derive(Debug)]
pub struct Rows<'a> {
    columns: &'static [(&'static str, Column)],
    cells: Vec<Cell<'a>>,
}

impl<'a> Rows<'a> {
    /// No rows yet, of these columns.
    pub fn new(columns: &'static [(&'static str, Column)]) -> Self {
        Self { columns, cells: Vec::new() }
    }

    /// Rows of a single text column called `column`.
    pub fn texts(columns: &'static [(&'static str, Column); 1], values: impl IntoIterator<Item = &'a str>) -> Self {
        Self { columns, cells: values.into_iter().map(Cell::from).collect() }
    }

    /// One more row.
    ///
    /// # Panics
    /// If it has more or fewer cells than there are columns.
    pub fn push<const N: usize>(&mut self, row: [Cell<'a>; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for each column");
        self.cells.extend(row);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.cells.len() / self.columns.len()
    }

    /// Runs a statement that reads the rows as `v`; returns how many rows it changed.
    pub async fn execute(&self, tx: &mut Tx, text: &str, args: &[Cell<'_>]) -> Result<u64, StoreError> {
        let mut changed = 0;
        match &mut tx.inner {
            Inner::Sqlite(conn) => {
                for (size, chunk) in self.chunks() {
                    let (sql, binds) = self.for_sqlite(size, chunk, text, args);
                    changed +=
                        bind_sqlite(sqlx::query(AssertSqlSafe(sql)), binds).execute(&mut **conn).await?.rows_affected();
                }
            }
            Inner::Postgres(conn) => {
                if !self.is_empty() {
                    let query = sqlx::query(AssertSqlSafe(self.for_postgres(text)));
                    changed = self.bind_postgres(query, args).execute(&mut **conn).await?.rows_affected();
                }
            }
        }
        Ok(changed)
    }

    /// Runs several statements, each with its rows, in their order. On `SQLite` they are one message to the thread that
    /// runs them.
    pub async fn execute_all(tx: &mut Tx, parts: &[(&Self, &str)]) -> Result<(), StoreError> {
        let parts = parts.iter().filter(|(rows, _)| !rows.is_empty());
        if tx.engine() == Engine::Postgres || parts.clone().any(|(rows, _)| rows.len() > SIZES[0]) {
            for (rows, text) in parts {
                rows.execute(tx, text, &[]).await?;
            }
            return Ok(());
        }
        let (mut sql, mut binds) = (String::new(), Vec::new());
        for (rows, text) in parts {
            for (size, chunk) in rows.chunks() {
                let (one, its) = rows.for_sqlite(size, chunk, text, &[]);
                sql.push_str(&one);
                sql.push(';');
                binds.extend(its);
            }
        }
        if let Inner::Sqlite(conn) = &mut tx.inner
            && !sql.is_empty()
        {
            bind_sqlite(sqlx::query(AssertSqlSafe(sql)), binds).execute(&mut **conn).await?;
        }
        Ok(())
    }

    /// Runs a query that reads the rows as `v`; returns what it found, in no order across rows.
    pub async fn fetch<T>(&self, tx: &mut Tx, text: &str, args: &[Cell<'_>]) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut found = Vec::new();
        match &mut tx.inner {
            Inner::Sqlite(conn) => {
                for (size, chunk) in self.chunks() {
                    let (sql, binds) = self.for_sqlite(size, chunk, text, args);
                    let rows = bind_sqlite(sqlx::query(AssertSqlSafe(sql)), binds).fetch_all(&mut **conn).await?;
                    for row in &rows {
                        found.push(T::from_row(row)?);
                    }
                }
            }
            Inner::Postgres(conn) => {
                if !self.is_empty() {
                    let query = sqlx::query(AssertSqlSafe(self.for_postgres(text)));
                    for row in &self.bind_postgres(query, args).fetch_all(&mut **conn).await? {
                        found.push(T::from_row(row)?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// As [`Rows::fetch`], for many small rows: the text is `SELECT $row(…) FROM …`, which finds each row once.
    pub async fn gather<T>(&self, tx: &mut Tx, text: &str, args: &[Cell<'_>]) -> Result<Vec<T>, StoreError>
    where
        T: DeserializeOwned + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        if tx.engine() == Engine::Postgres {
            return self.fetch(tx, text, args).await;
        }
        let mut found = Vec::new();
        for (rows,) in self.fetch::<(String,)>(tx, text, args).await? {
            let rows: Vec<T> = serde_json::from_str(&rows).map_err(|error| StoreError::Unreadable {
                what: "what a query found",
                key: text.split_whitespace().take(6).collect::<Vec<_>>().join(" "),
                why: error.to_string(),
            })?;
            found.extend(rows);
        }
        Ok(found)
    }

    /// The rows, cut into the sizes that stay prepared; the last may fill its size in part.
    fn chunks(&self) -> impl Iterator<Item = (usize, &[Cell<'a>])> {
        let width = self.columns.len();
        let mut rest = self.cells.as_slice();
        std::iter::from_fn(move || {
            let rows = rest.len() / width;
            let holding_all = SIZES.into_iter().rev().find(|size| *size >= rows);
            let size = holding_all.unwrap_or(SIZES[0]);
            if rows == 0 {
                return None;
            }
            let (chunk, later) = rest.split_at(size.min(rows) * width);
            rest = later;
            Some((size, chunk))
        })
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    fn for_sqlite<'c>(
        &self,
        size: usize,
        chunk: &'c [Cell<'a>],
        text: &str,
        args: &'c [Cell<'c>],
    ) -> (String, Vec<&'c Cell<'c>>)
    where
        'a: 'c,
    {
        let width = self.columns.len();
        let row = format!("({})", vec!["?"; width].join(","));
        let mut sql = format!("WITH v ({}) AS (SELECT * FROM (VALUES ", self.names());
        sql.reserve(size * (row.len() + 1) + text.len() + 40);
        for number in 0..size {
            if number > 0 {
                sql.push(',');
            }
            sql.push_str(&row);
        }
        sql.push_str(") WHERE column1 IS NOT NULL) ");
        let mut binds: Vec<&Cell<'c>> = Vec::with_capacity(size * width + args.len());
        binds.extend(chunk);
        binds.resize(size * width, &NOTHING);
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Parameter(number) | Piece::Known(number) => {
                    sql.push('?');
                    binds.push(&args[number - 1]);
                }
                Piece::Row(columns) => {
                    write!(sql, "json_group_array(json_array({columns}))").expect("a String takes any text");
                }
                Piece::In(column) => {
                    write!(sql, "IN (SELECT {column} FROM v)").expect("a String takes any text");
                }
            }
        }
        (sql, binds)
    }

    fn for_postgres(&self, text: &str) -> String {
        let arrays: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, column))| {
                let kind = match column {
                    Column::Int => "bigint",
                    Column::Text => "text",
                    Column::Bytes => "bytea",
                };
                format!("${}::{kind}[]", at + 1)
            })
            .collect();
        let mut sql = format!("WITH v ({}) AS (SELECT * FROM UNNEST({})) ", self.names(), arrays.join(", "));
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Parameter(number) => {
                    write!(sql, "(SELECT ${})", self.columns.len() + number).expect("a String takes any text");
                }
                Piece::Known(number) => {
                    write!(sql, "${}", self.columns.len() + number).expect("a String takes any text");
                }
                Piece::Row(columns) => sql.push_str(columns),
                Piece::In(column) => {
                    let at = self.columns.iter().position(|(name, _)| *name == column);
                    let at = at.expect("`$in` names a column of the rows") + 1;
                    write!(sql, "= ANY(${at})").expect("a String takes any text");
                }
            }
        }
        sql
    }

    fn bind_postgres<'q>(&self, mut query: PgQuery<'q>, args: &[Cell<'_>]) -> PgQuery<'q> {
        let width = self.columns.len();
        for (at, (_, column)) in self.columns.iter().enumerate() {
            let cells = self.cells.iter().skip(at).step_by(width);
            query = match column {
                Column::Int => query.bind(cells.map(int).collect::<Vec<_>>()),
                Column::Text => query.bind(cells.map(text_of).collect::<Vec<_>>()),
                Column::Bytes => query.bind(cells.map(bytes).collect::<Vec<_>>()),
            };
        }
        for arg in args {
            query = match arg {
                Cell::Int(value) => query.bind(*value),
                Cell::Text(value) => query.bind(value.as_deref().map(ToOwned::to_owned)),
                Cell::Bytes(value) => query.bind(value.to_vec()),
            };
        }
        query
    }
}

type PgQuery<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;
type SqliteQuery<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind_sqlite<'q>(mut query: SqliteQuery<'q>, cells: Vec<&Cell<'_>>) -> SqliteQuery<'q> {
    for cell in cells {
        query = match cell {
            Cell::Int(value) => query.bind(*value),
            Cell::Text(value) => query.bind(value.as_deref().map(ToOwned::to_owned)),
            Cell::Bytes(value) => query.bind(value.to_vec()),
        };
    }
    query
}

fn int(cell: &Cell<'_>) -> Option<i64> {
    if let Cell::Int(value) = cell { *value } else { None }
}

fn text_of<'c>(cell: &'c Cell<'_>) -> Option<&'c str> {
    if let Cell::Text(value) = cell { value.as_deref() } else { None }
}

fn bytes<'c>(cell: &'c Cell<'_>) -> &'c [u8] {
    if let Cell::Bytes(value) = cell { value } else { &[] }
}

enum Piece<'t> {
    Text(&'t str),
    Parameter(usize),
    Known(usize),
    In(&'t str),
    Row(&'t str),
}

/// A statement's text, cut at its parameters `$1, $2, …`.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest.strip_prefix("$row(") {
            let (columns, later) = after.split_once(')').expect("`$row` is closed");
            rest = later;
            return Some(Piece::Row(columns));
        }
        if let Some(after) = rest.strip_prefix("$in(") {
            let (column, later) = after.split_once(')').expect("`$in` is closed");
            rest = later;
            return Some(Piece::In(column));
        }
        if let Some(after) = rest.strip_prefix("$known(") {
            let (number, later) = after.split_once(')').expect("`$known` is closed");
            rest = later;
            return Some(Piece::Known(number.parse().expect("`$known` holds a number")));
        }
        if let Some(after) = rest.strip_prefix('$') {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let number = after[..digits].parse().expect("a statement's `$` is followed by a number");
            rest = &after[digits..];
            return Some(Piece::Parameter(number));
        }
        let end = rest.find('$').unwrap_or(rest.len());
        let (piece, later) = rest.split_at(end);
        rest = later;
        Some(Piece::Text(piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_sizes_that_stay_prepared() {
        let names: Vec<String> = (0..700).map(|n| n.to_string()).collect();
        let rows = Rows::texts(&[("ref", Column::Text)], names.iter().map(String::as_str));
        let sizes: Vec<(usize, usize)> = rows.chunks().map(|(size, chunk)| (size, chunk.len())).collect();
        assert_eq!(sizes, [(512, 512), (256, 188)]);
        let few = Rows::texts(&[("ref", Column::Text)], ["a", "b", "c"]);
        assert_eq!(few.chunks().map(|(size, chunk)| (size, chunk.len())).collect::<Vec<_>>(), [(8, 3)]);
        assert_eq!(Rows::texts(&[("ref", Column::Text)], []).chunks().count(), 0);
    }

    #[test]
    fn one_text_serves_both_engines() {
        let mut rows = Rows::new(&[("ref", Column::Text), ("at", Column::Int)]);
        rows.push(["a".into(), 1.into()]);
        rows.push(["b".into(), 2.into()]);
        let text = "SELECT ref FROM v WHERE at > $2 AND $1 = $2 AND at < $known(1) AND ref $in(ref)";
        let args = [Cell::from(7), Cell::from(8)];
        let (sqlite, binds) = rows.for_sqlite(4, &rows.cells, text, &args);
        assert_eq!(
            sqlite,
            "WITH v (ref, at) AS (SELECT * FROM (VALUES (?,?),(?,?),(?,?),(?,?)) WHERE column1 IS NOT NULL) SELECT ref FROM v WHERE at > ? AND ? = ? AND at < ? AND ref IN (SELECT ref FROM v)"
        );
        assert_eq!(binds.len(), 12);
        assert_eq!(
            rows.for_postgres(text),
            "WITH v (ref, at) AS (SELECT * FROM UNNEST($1::text[], $2::bigint[])) \
             SELECT ref FROM v WHERE at > (SELECT $4) AND (SELECT $3) = (SELECT $4) AND at < $3 AND ref = ANY($1)"
        );
    }
}
