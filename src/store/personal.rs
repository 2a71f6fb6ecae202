//! Where personal data is kept beside events, facts and leads: found for whoever asks what is kept of them, and written
//! again where it is erased.

use super::{Mode, StoreError, Tx, WorkspaceId};
use crate::on;

/// Answers that were kept for repeated requests and hold a text: `(mode, key, body)`.
///
/// # Errors
/// The database's.
pub async fn answers_with(
    tx: &mut Tx,
    workspace: WorkspaceId,
    text: &str,
) -> Result<Vec<(i64, String, String)>, StoreError> {
    let mut wanted = String::from("%");
    for character in text.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            wanted.push('\\');
        }
        wanted.push(character);
    }
    wanted.push('%');
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, idempotency_key, body FROM idempotency
             WHERE workspace_id = $1 AND LOWER(body) LIKE $2 ESCAPE '\\'",
        )
        .bind(workspace.0)
        .bind(wanted)
        .fetch_all(conn)
        .await?
    }))
}

/// Writes an answer again.
///
/// # Errors
/// The database's.
pub async fn put_answer(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (mode, key): (i64, &str),
    body: &str,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE idempotency SET body = $4 WHERE workspace_id = $1 AND mode = $2 AND idempotency_key = $3")
            .bind(workspace.0)
            .bind(mode)
            .bind(key)
            .bind(body)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Writes a line of the log of changes again: who a partner is, never what they earn.
///
/// # Errors
/// The database's.
pub async fn put_change(tx: &mut Tx, workspace: WorkspaceId, seq: i64, body: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE changes SET body = $3 WHERE workspace_id = $1 AND seq = $2")
            .bind(workspace.0)
            .bind(seq)
            .bind(body)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// What the audit log says of a thing: `(audit_id, before, after)`.
///
/// # Errors
/// The database's.
pub async fn audited(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (object, id): (&str, &str),
) -> Result<Vec<(String, Option<String>, Option<String>)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT audit_id, before, after FROM audit_log
             WHERE workspace_id = $1 AND object = $2 AND object_id = $3
             ORDER BY audit_id",
        )
        .bind(workspace.0)
        .bind(object)
        .bind(id)
        .fetch_all(conn)
        .await?
    }))
}

/// Writes a line of the audit log again.
///
/// # Errors
/// The database's.
pub async fn put_audited(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE audit_log SET before = $3, after = $4 WHERE workspace_id = $1 AND audit_id = $2")
            .bind(workspace.0)
            .bind(id)
            .bind(before)
            .bind(after)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// A partner's mails: `(mail_id, kind, recipient, created_at)`.
///
/// # Errors
/// The database's.
pub async fn mails(
    tx: &mut Tx,
    workspace: WorkspaceId,
    partner: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT mail_id, kind, recipient, created_at FROM mails
             WHERE workspace_id = $1 AND partner_key = $2
             ORDER BY mail_id",
        )
        .bind(workspace.0)
        .bind(partner)
        .fetch_all(conn)
        .await?
    }))
}

/// Gives a partner's mail another recipient; one that was not sent is called off. What the mail server said is
/// forgotten: it quotes addresses.
///
/// # Errors
/// The database's.
pub async fn put_recipient(tx: &mut Tx, workspace: WorkspaceId, mail: &str, recipient: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE mails SET recipient = $3, error = NULL, next_try_at = NULL,
                              status = CASE WHEN status IN ('sent', 'refused') THEN status ELSE 'canceled' END
             WHERE workspace_id = $1 AND mail_id = $2",
        )
        .bind(workspace.0)
        .bind(mail)
        .bind(recipient)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Takes away links by which a partner could still open an account.
///
/// # Errors
/// The database's.
pub async fn remove_invitations(tx: &mut Tx, workspace: WorkspaceId, partner: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("DELETE FROM onboardings WHERE workspace_id = $1 AND partner_key = $2")
            .bind(workspace.0)
            .bind(partner)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// A partner's payouts, for them to see: `(payout_id, month, status, amount, currency, destination, profile)`.
///
/// # Errors
/// The database's.
#[allow(clippy::type_complexity)] // a row, read in one place
pub async fn payouts(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    partner: &str,
) -> Result<Vec<(String, String, String, i64, String, Option<String>, String)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT p.payout_id, b.month, p.status, p.amount, p.currency, p.destination, p.profile
             FROM payouts p
             JOIN batches b ON b.workspace_id = p.workspace_id AND b.batch_id = p.batch_id
             WHERE p.workspace_id = $1 AND p.mode = $2 AND p.partner_key = $3
             ORDER BY p.payout_id",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(partner)
        .fetch_all(conn)
        .await?
    }))
}
