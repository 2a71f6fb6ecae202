//! References (whose a Stripe id or customer key is) and clues (who can be found by a piece of evidence).

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId};

/// A reference in one of the books.
pub type Ref = (Mode, String);

/// Whose some references are; those of nobody are left out.
pub async fn owners(
    tx: &mut Tx,
    workspace: WorkspaceId,
    refs: impl IntoIterator<Item = (Mode, &str)>,
) -> Result<Vec<(Ref, String)>, StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("ref", Text)]);
    for (mode, reference) in refs {
        rows.push([mode.as_i64().into(), reference.into()]);
    }
    let text = "SELECT r.mode, r.ref, r.customer_id
                FROM v CROSS JOIN refs r
                WHERE r.workspace_id = $1 AND r.mode = v.mode AND r.ref = v.ref AND $among(r.ref, ref)";
    let found: Vec<(i64, String, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().map(|(mode, text, owner)| ((Mode::from_i64(mode), text), owner)).collect())
}

/// Ties references to customers; one that was tied before is tied anew.
pub async fn tie(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ties: impl IntoIterator<Item = (Mode, &str, &str)>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("ref", Text), ("customer_id", Text)]);
    for (mode, reference, customer) in ties {
        rows.push([mode.as_i64().into(), reference.into(), customer.into()]);
    }
    let text = "INSERT INTO refs (workspace_id, mode, ref, customer_id)
                SELECT $1, mode, ref, customer_id
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, ref) DO UPDATE SET customer_id = excluded.customer_id";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Gives the shared customer keys of customers that were joined to those they were joined to: `(from, into)`.
pub async fn give_shared_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    joined: &[(String, String)],
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("loser", Text), ("winner", Text)]);
    for (loser, winner) in joined {
        rows.push([loser.into(), winner.into()]);
    }
    let text = "UPDATE refs SET customer_id = v.winner
                FROM v
                WHERE refs.workspace_id = $1 AND refs.customer_id = v.loser AND $among(refs.customer_id, loser)
                  AND refs.ref >= 'key:' AND refs.ref < 'key;'";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Notes by which clues customers can be found.
pub async fn note_clues(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &str, &str)>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("clue", Text), ("customer_id", Text)]);
    for (mode, clue, customer) in clues {
        rows.push([mode.as_i64().into(), clue.into(), customer.into()]);
    }
    let text = "INSERT INTO clues (workspace_id, mode, clue, customer_id)
                SELECT $1, mode, clue, customer_id
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, clue, customer_id) DO NOTHING";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// The customers that some clues find; none where there are more than `few`.
pub async fn few_found_by(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &str)>,
    few: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("clue", Text)]);
    for (mode, clue) in clues {
        rows.push([mode.as_i64().into(), clue.into()]);
    }
    let text = "SELECT DISTINCT c.customer_id
                FROM v CROSS JOIN clues c
                WHERE c.workspace_id = $1 AND c.mode = v.mode AND c.clue = v.clue AND $among(c.clue, clue)
                LIMIT $2";
    let limit = i64::try_from(few + 1).unwrap_or(i64::MAX);
    let found: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into(), limit.into()]).await?;
    let mut found: Vec<String> = found.into_iter().map(|(id,)| id).collect();
    found.sort_unstable();
    found.dedup();
    Ok((found.len() <= few).then_some(found))
}
