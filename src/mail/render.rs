//! What a mail says, made when it is sent, of what is frozen: the statement, the payout, the batch.

use super::content::MailContent;
use crate::domain::terms::Terms;
use crate::store::mails::{Kind, Mail};
use crate::store::{Mode, StoreError, Tx, WorkspaceId};

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// What it speaks of is not there (any more).
    #[error("what it speaks of, {0}, is not there")]
    Missing(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a mail.
///
/// # Errors
/// [`RenderError`].
pub async fn content(
    _tx: &mut Tx,
    _workspace: WorkspaceId,
    mail: &Mail,
    _terms: &Terms,
) -> Result<MailContent, RenderError> {
    let what = match mail.kind {
        Kind::Statement => "Your statement",
        Kind::PayoutSent => "Your payout was sent",
        Kind::ActionNeeded => "Your payout needs something of you",
        Kind::MonthEnd => "The month's summary",
    };
    let mut content = MailContent {
        subject: what.to_owned(),
        html: format!("<p>{what}</p>"),
        text: what.to_owned(),
        attachments: Vec::new(),
    };
    if mail.mode == Mode::Test {
        content.subject.insert_str(0, "[Test] ");
    }
    Ok(content)
}
