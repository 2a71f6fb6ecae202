//! Links: addresses of the bridge's own that lead to the merchant's pages and record a click on the way.

use std::collections::HashMap;

use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::terms::Status;
use crate::on;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it stands among the others: `lnk_…`, later ones sort after earlier ones.
    pub link_id: String,
    /// What its address ends with, unique in its workspace.
    pub link: String,
    /// Whose clicks it records.
    pub partner: String,
    /// Under which program; the partner's earliest when `None`.
    pub program: Option<String>,
    /// Where it leads: an absolute URL.
    pub target: String,
    /// An inactive one leads nowhere.
    pub status: Status,
    /// When it was made.
    pub created_at: Time,
}

#[derive(FromRow)]
struct Row {
    link_id: String,
    link: String,
    partner_key: String,
    program_key: Option<String>,
    target: String,
    status: String,
    created_at: i64,
}

impl From<Row> for Link {
    fn from(row: Row) -> Self {
        Self {
            link_id: row.link_id,
            link: row.link,
            partner: row.partner_key,
            program: row.program_key,
            target: row.target,
            status: if row.status == "active" { Status::Active } else { Status::Inactive },
            created_at: from_micros(row.created_at),
        }
    }
}

impl Link {
    /// Its status as in SQL and JSON.
    pub fn status(&self) -> &'static str {
        match self.status {
            Status::Active => "active",
            Status::Inactive => "inactive",
        }
    }
}

/// Makes a link, unless there is one of that name; tells whether it did.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, link: &Link) -> Result<bool, StoreError> {
    let inserted = on!(tx, conn => {
        sqlx::query(
            "INSERT INTO links (workspace_id, link_id, link, partner_key, program_key, target, status, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (workspace_id, link) DO NOTHING",
        )
        .bind(workspace.0)
        .bind(&link.link_id)
        .bind(&link.link)
        .bind(&link.partner)
        .bind(&link.program)
        .bind(&link.target)
        .bind(link.status())
        .bind(micros(link.created_at))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(inserted == 1)
}

/// Changes where a link leads, and whether. [`StoreError::Conflict`] if it is no longer as `before`.
pub async fn update(tx: &mut Tx, workspace: WorkspaceId, before: &Link, after: &Link) -> Result<(), StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE links SET target = $3, status = $4
             WHERE workspace_id = $1 AND link_id = $2 AND target = $5 AND status = $6",
        )
        .bind(workspace.0)
        .bind(&before.link_id)
        .bind(&after.target)
        .bind(after.status())
        .bind(&before.target)
        .bind(before.status())
        .execute(conn)
        .await?
        .rows_affected()
    });
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// One link.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, link: &str) -> Result<Option<Link>, StoreError> {
    let row: Option<Row> = on!(tx, conn => {
        sqlx::query_as("SELECT * FROM links WHERE workspace_id = $1 AND link = $2")
            .bind(workspace.0)
            .bind(link)
            .fetch_optional(conn)
            .await?
    });
    Ok(row.map(Link::from))
}

/// A page of links, the newest first, behind the one with the `link_id` `before`; a partner's or all.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    partner: Option<&str>,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Link>, StoreError> {
    let text = match partner {
        None => "SELECT * FROM links WHERE workspace_id = $1 AND link_id < $2 ORDER BY link_id DESC LIMIT $3",
        Some(_) => {
            "SELECT * FROM links
             WHERE workspace_id = $1 AND link_id < $2 AND partner_key = $4
             ORDER BY link_id DESC
             LIMIT $3"
        }
    };
    let rows: Vec<Row> = on!(tx, conn => {
        // Behind every id.
        let query = sqlx::query_as(text).bind(workspace.0).bind(before.unwrap_or("lnk_~")).bind(limit);
        match partner {
            None => query.fetch_all(conn).await?,
            Some(partner) => query.bind(partner).fetch_all(conn).await?,
        }
    });
    Ok(rows.into_iter().map(Link::from).collect())
}

/// Links by their ids; unknown ones are left out.
pub async fn by_ids(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Link>, StoreError> {
    let text = "SELECT l.link_id, l.link, l.partner_key, l.program_key, l.target, l.status, l.created_at
                FROM v CROSS JOIN links l
                WHERE l.workspace_id = $1 AND l.link_id = v.link_id";
    let rows: Vec<Row> = Rows::texts(&[("link_id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().map(|row| (row.link_id.clone(), Link::from(row))).collect())
}
