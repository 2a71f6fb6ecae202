//! Who changed what, before and after, through whichever door.

use std::fmt::Write as _;

use serde_json::Value;
use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::ids::Ids;
use crate::on;

/// What was done to one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// What was done, such as `partner.updated`.
    pub action: &'static str,
    /// What kind of thing it is about, such as `partner`.
    pub object: &'static str,
    /// Which one.
    pub object_id: String,
    /// What it was; none where it was not there.
    pub before: Option<Value>,
    /// What it is now; none where it is gone.
    pub after: Option<Value>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Audited {
    /// `aud_…`
    pub audit_id: String,
    /// When.
    pub at: Time,
    /// Who: `cli`, or `api:` and how the key begins.
    pub author: String,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub object: String,
    /// Which one.
    pub object_id: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is now.
    pub after: Option<Value>,
}

/// Who writes, when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// In whose log.
    pub workspace: WorkspaceId,
    /// `cli`, or `api:` and how the key begins.
    pub author: &'a str,
    /// When.
    pub now: Time,
    /// For the lines' ids.
    pub ids: &'a Ids,
}

/// Appends lines.
pub async fn append(tx: &mut Tx, by: By<'_>, acts: &[Act]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("audit_id", Text),
        ("action", Text),
        ("object", Text),
        ("object_id", Text),
        ("before", Text),
        ("after", Text),
    ]);
    for act in acts {
        let json =
            |value: &Option<Value>| super::rows::Cell::Text(value.as_ref().map(|value| value.to_string().into()));
        rows.push([
            by.ids.next("aud").into(),
            act.action.into(),
            act.object.into(),
            (&act.object_id).into(),
            json(&act.before),
            json(&act.after),
        ]);
    }
    let text = "INSERT INTO audit_log (workspace_id, audit_id, at, author, action, object, object_id, before, after)
                SELECT $1, audit_id, $2, $3, action, object, object_id, before, after
                FROM v";
    rows.execute(tx, text, &[by.workspace.0.into(), micros(by.now).into(), by.author.into()]).await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    audit_id: String,
    at: i64,
    author: String,
    action: String,
    object: String,
    object_id: String,
    before: Option<String>,
    after: Option<String>,
}

/// Which lines are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// About this kind of thing.
    pub object: Option<&'a str>,
    /// About this one.
    pub object_id: Option<&'a str>,
    /// By this author.
    pub author: Option<&'a str>,
    /// Behind this line.
    pub before: Option<&'a str>,
}

/// Lines, the newest first.
pub async fn newest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<Audited>, StoreError> {
    let mut text = String::from(
        "SELECT audit_id, at, author, action, object, object_id, before, after
         FROM audit_log
         WHERE workspace_id = $1 AND audit_id < $2",
    );
    let mut binds = vec![wanted.before.unwrap_or("~")];
    for (column, value) in [("object", wanted.object), ("object_id", wanted.object_id), ("author", wanted.author)] {
        if let Some(value) = value {
            binds.push(value);
            let _ = write!(text, " AND {column} = ${}", binds.len() + 1);
        }
    }
    let _ = write!(text, " ORDER BY audit_id DESC LIMIT ${}", binds.len() + 2);
    let rows: Vec<Row> = on!(tx, conn => {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(workspace.0);
        for bind in binds {
            query = query.bind(bind);
        }
        query.bind(limit).fetch_all(conn).await?
    });
    rows.into_iter().map(read).collect()
}

fn read(row: Row) -> Result<Audited, StoreError> {
    let parse = |text: Option<String>| text.map(|text| serde_json::from_str(&text)).transpose();
    let (before, after) = (parse(row.before), parse(row.after));
    let damaged = |error: serde_json::Error| StoreError::Unreadable {
        what: "line of the audit log",
        key: row.audit_id.clone(),
        why: error.to_string(),
    };
    Ok(Audited {
        before: before.map_err(damaged)?,
        after: after.map_err(damaged)?,
        at: from_micros(row.at),
        author: row.author,
        action: row.action,
        object: row.object,
        object_id: row.object_id,
        audit_id: row.audit_id,
    })
}
