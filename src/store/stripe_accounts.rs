//! What Stripe says of partners' connected accounts: whether transfers arrive, and what is missing.

use std::collections::HashMap;

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;

/// What was said about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// In which book.
    pub mode: Mode,
    /// `acct_…`
    pub account: String,
    /// Its capability `transfers`: `active`, `pending`, `inactive`, `unrequested`.
    pub transfers: String,
    /// What Stripe still asks the partner for, sorted.
    pub missing: Vec<String>,
    /// When Stripe said so.
    pub at: Time,
}

/// Whether an account can be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `active`, `pending`, `inactive`, `unrequested`.
    pub transfers: String,
    /// What Stripe still asks the partner for.
    pub missing: Vec<String>,
    /// When Stripe said so.
    pub said_at: Time,
}

impl Readiness {
    /// Whether transfers arrive.
    pub fn is_ready(&self) -> bool {
        self.transfers == "active"
    }
}

/// Keeps what was said, the newest of each account. Of two sayings of one second, in which Stripe counts, the one that
/// can be paid counts: the transfer itself finds out.
pub async fn learn(tx: &mut Tx, workspace: WorkspaceId, said: &[Said], now: Time) -> Result<(), StoreError> {
    let key = |said: &Said| (said.at, said.transfers == "active", said.transfers.clone(), said.missing.clone());
    let mut newest: HashMap<(Mode, &str), &Said> = HashMap::new();
    for said in said {
        let slot = newest.entry((said.mode, said.account.as_str())).or_insert(said);
        if key(said) > key(slot) {
            *slot = said;
        }
    }
    let mut newest: Vec<&Said> = newest.into_values().collect();
    newest.sort_by(|a, b| (a.mode.as_i64(), &a.account).cmp(&(b.mode.as_i64(), &b.account)));
    let mut rows =
        Rows::new(&[("mode", Int), ("account", Text), ("transfers", Text), ("missing", Text), ("said_at", Int)]);
    for said in newest {
        rows.push([
            said.mode.as_i64().into(),
            (&said.account).into(),
            (&said.transfers).into(),
            said.missing.join("\n").into(),
            micros(said.at).into(),
        ]);
    }
    let text = "INSERT INTO stripe_accounts (workspace_id, mode, account, transfers, missing, said_at, updated_at)
                SELECT $1, mode, account, transfers, missing, said_at, $2
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, account) DO UPDATE SET
                    transfers = excluded.transfers, missing = excluded.missing, said_at = excluded.said_at,
                    updated_at = excluded.updated_at
                WHERE (excluded.said_at, CASE WHEN excluded.transfers = 'active' THEN 1 ELSE 0 END,
                       excluded.transfers, excluded.missing)
                    > (stripe_accounts.said_at, CASE WHEN stripe_accounts.transfers = 'active' THEN 1 ELSE 0 END,
                       stripe_accounts.transfers, stripe_accounts.missing)";
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    account: String,
    transfers: String,
    missing: String,
    said_at: i64,
}

/// What is known of some accounts; nothing for those of which Stripe never spoke.
pub async fn of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    accounts: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Readiness>, StoreError> {
    let text = "SELECT account, transfers, missing, said_at
                FROM stripe_accounts
                WHERE workspace_id = $1 AND mode = $2 AND account $in(account)";
    let rows = Rows::texts(&[("account", Text)], accounts);
    let found: Vec<Row> = rows.fetch(tx, text, &[workspace.0.into(), mode.as_i64().into()]).await?;
    Ok(found
        .into_iter()
        .map(|row| {
            let missing = row.missing.lines().map(ToOwned::to_owned).collect();
            (row.account, Readiness { transfers: row.transfers, missing, said_at: from_micros(row.said_at) })
        })
        .collect())
}
