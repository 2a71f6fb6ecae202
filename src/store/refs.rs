//! References (whose a Stripe id or customer key is) and clues (who can be found by a piece of evidence).

use std::collections::{BTreeSet, HashSet};

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
    let asked: HashSet<(Mode, &str)> = refs.into_iter().collect();
    let rows = Rows::texts(&[("ref", Text)], asked.iter().map(|(_, reference)| *reference));
    let text = "SELECT $row(r.mode, r.ref, r.customer_id)
                FROM refs r
                WHERE r.workspace_id = $1 AND r.ref $in(ref)";
    let found: Vec<(i64, String, String)> = rows.gather(tx, text, &[workspace.0.into()]).await?;
    // A text may be a reference in both books.
    let found = found.into_iter().map(|(mode, text, owner)| ((Mode::from_i64(mode), text), owner));
    Ok(found.filter(|((mode, text), _)| asked.contains(&(*mode, text.as_str()))).collect())
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
                WHERE refs.workspace_id = $1 AND refs.customer_id = v.loser
                  AND refs.ref >= 'key:' AND refs.ref < 'key;'";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Notes by which clues customers can be found.
pub async fn note_clues<'a>(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &'a str, &'a str)>,
) -> Result<(), StoreError> {
    let rows = rows_of_clues(clues);
    let text = "INSERT INTO clues (workspace_id, mode, clue, customer_id)
                SELECT $1, mode, clue, customer_id
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, clue, customer_id) DO NOTHING";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

fn rows_of_clues<'a>(clues: impl IntoIterator<Item = (Mode, &'a str, &'a str)>) -> Rows<'a> {
    let mut rows = Rows::new(&[("mode", Int), ("clue", Text), ("customer_id", Text)]);
    for (mode, clue, customer) in clues {
        rows.push([mode.as_i64().into(), clue.into(), customer.into()]);
    }
    rows
}

/// Forgets references: `(mode, reference)`.
pub async fn untie(
    tx: &mut Tx,
    workspace: WorkspaceId,
    refs: impl IntoIterator<Item = (Mode, &str)>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("ref", Text)]);
    for (mode, reference) in refs {
        rows.push([mode.as_i64().into(), reference.into()]);
    }
    let text = "DELETE FROM refs
                WHERE workspace_id = $1 AND ref $in(ref) AND (ref, mode) IN (SELECT ref, mode FROM v)";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Forgets by which clues customers can be found.
pub async fn forget_clues<'a>(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &'a str, &'a str)>,
) -> Result<(), StoreError> {
    let rows = rows_of_clues(clues);
    let text = "DELETE FROM clues
                WHERE workspace_id = $1 AND clue $in(clue)
                  AND (clue, mode, customer_id) IN (SELECT clue, mode, customer_id FROM v)";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    // Who was joined to somebody else is found by nothing any more, but was.
    let text = "DELETE FROM clues
                WHERE workspace_id = $1 AND clue $in(clue)
                  AND NOT EXISTS (SELECT 1 FROM customers c
                                  WHERE c.workspace_id = clues.workspace_id AND c.customer_id = clues.customer_id)";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Those of some clues that find anybody.
pub async fn finding(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &str)>,
) -> Result<Vec<(Mode, String)>, StoreError> {
    let asked: HashSet<(Mode, &str)> = clues.into_iter().collect();
    let texts: HashSet<&str> = asked.iter().map(|(_, clue)| *clue).collect();
    let text = "SELECT DISTINCT mode, clue
                FROM clues
                WHERE workspace_id = $1 AND clue $in(clue)";
    let rows = Rows::texts(&[("clue", Text)], texts);
    let found: Vec<(i64, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    let found = found.into_iter().map(|(mode, clue)| (Mode::from_i64(mode), clue));
    Ok(found.filter(|(mode, clue)| asked.contains(&(*mode, clue.as_str()))).collect())
}

/// The customers that some clues find; none where there are more than `few`.
pub async fn few_found_by(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: impl IntoIterator<Item = (Mode, &str)>,
    few: usize,
) -> Result<Option<Vec<String>>, StoreError> {
    let asked: HashSet<(Mode, &str)> = clues.into_iter().collect();
    let texts: HashSet<&str> = asked.iter().map(|(_, clue)| *clue).collect();
    let text = "SELECT mode, clue, customer_id
                FROM clues
                WHERE workspace_id = $1 AND clue $in(clue)
                LIMIT $2";
    let limit = i64::try_from(few + 1).unwrap_or(i64::MAX);
    let rows = Rows::texts(&[("clue", Text)], texts);
    let found: Vec<(i64, String, String)> = rows.fetch(tx, text, &[workspace.0.into(), limit.into()]).await?;
    if found.len() > few {
        return Ok(None);
    }
    let found = found.into_iter().filter(|(mode, clue, _)| asked.contains(&(Mode::from_i64(*mode), clue.as_str())));
    let found: BTreeSet<String> = found.map(|(_, _, customer)| customer).collect();
    Ok(Some(found.into_iter().collect()))
}

/// Every id by which Stripe knows some customers (`cus_…`), and every shared key that joins them (`key:…`), each with its
/// customer, in order.
pub async fn of_customers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let text = "SELECT r.customer_id, r.ref
                FROM refs r
                WHERE r.workspace_id = $1 AND r.customer_id $in(customer_id)
                  AND r.ref >= 'key:' AND r.ref < 'key;'
                UNION ALL
                SELECT r.customer_id, r.ref
                FROM refs r
                WHERE r.workspace_id = $1 AND r.customer_id $in(customer_id)
                  AND r.ref >= 'cus_' AND r.ref < 'cus`'";
    let rows = Rows::texts(&[("customer_id", Text)], customers);
    let mut found: Vec<(String, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    found.sort_unstable();
    Ok(found)
}
