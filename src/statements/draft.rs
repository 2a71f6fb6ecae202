//! What a month's statements would say if it were closed now: kept nowhere, and without payouts, which the close makes.

use super::freeze::{FreezeContext, FreezeError, make};
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::netting::Period;
use crate::domain::statement::Frozen;
use crate::domain::terms::Terms;
use crate::ids::Ids;
use crate::store::{Mode, StoreError, Tx, WorkspaceId, workspaces};

/// The statements of some partners.
///
/// # Errors
/// [`FreezeError`].
pub async fn draft(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: Month,
    terms: &Terms,
    (now, ids): (Time, &Ids),
    partners: &[String],
) -> Result<Vec<Frozen>, FreezeError> {
    let key = workspaces::key(tx, workspace).await?;
    let context = FreezeContext {
        workspace,
        workspace_key: &key,
        mode,
        // No payout has it.
        batch_id: "",
        month,
        period: Period::of(month, terms.current_settings().time_zone),
        cut_off: now + chrono::TimeDelta::microseconds(1),
        terms,
        ids,
        now,
    };
    let unreadable = |why: String| StoreError::Unreadable { what: "statement", key: "(draft)".to_owned(), why };
    let made = make(tx, &context, partners).await?;
    made.into_iter()
        .map(|statement| Frozen::new(statement).map_err(|error| unreadable(error.to_string()).into()))
        .collect()
}
