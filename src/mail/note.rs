//! What happened, of which partners or the owner may want to hear: noted in the transaction in which it happened, one row
//! and nothing looked up. A moment later [`queue`](super::queue) decides by the settings whether a mail comes of it.

use crate::store::audit::By;
use crate::store::mails::{self, Kind, Note};
use crate::store::{Mode, StoreError, Tx};

/// A batch was closed: the owner may want its summary.
///
/// # Errors
/// The database's.
pub async fn batch_closed(tx: &mut Tx, by: By<'_>, mode: Mode, batch_id: &str) -> Result<(), StoreError> {
    note(tx, by, mode, Kind::MonthEnd, &[batch_id]).await
}

/// A batch was approved: its partners may want their statements, and be told what keeps their money.
///
/// # Errors
/// The database's.
pub async fn batch_approved(tx: &mut Tx, by: By<'_>, mode: Mode, batch_id: &str) -> Result<(), StoreError> {
    note(tx, by, mode, Kind::Statement, &[batch_id]).await
}

/// Payouts reached their partners.
///
/// # Errors
/// The database's.
pub async fn payouts_settled(tx: &mut Tx, by: By<'_>, mode: Mode, payouts: &[&str]) -> Result<(), StoreError> {
    note(tx, by, mode, Kind::PayoutSent, payouts).await
}

/// Payouts failed or came back.
///
/// # Errors
/// The database's.
pub async fn payouts_failed(tx: &mut Tx, by: By<'_>, mode: Mode, payouts: &[&str]) -> Result<(), StoreError> {
    note(tx, by, mode, Kind::ActionNeeded, payouts).await
}

async fn note(tx: &mut Tx, by: By<'_>, mode: Mode, kind: Kind, objects: &[&str]) -> Result<(), StoreError> {
    let notes: Vec<Note> = objects
        .iter()
        .map(|object| Note { mail_id: by.ids.next("mail"), mode, kind, object_id: (*object).to_owned(), at: by.now })
        .collect();
    mails::note(tx, by.workspace, &notes).await
}
