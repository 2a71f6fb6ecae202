//! What Stripe tells unasked: transfers made and reversed, partners' accounts. Any order, any number of times.

use super::super::error::PayoutError;
use super::super::outcome;
use super::AUTHOR;
use crate::domain::Time;
use crate::domain::facts::{AccountFact, TransferFact};
use crate::ids::Ids;
use crate::store::audit::{self, Act, By};
use crate::store::payouts::{self, Payout};
use crate::store::stripe_accounts::{self, Said};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, transfers};

/// Why money came back, on the payout and on the statement.
pub(super) const REVERSED: &str = "reversed in Stripe";

/// Applies what events say about transfers.
///
/// # Errors
/// The database's; what cannot be applied is logged, and is nobody else's trouble.
pub async fn apply_transfers(
    tx: &mut Tx,
    (workspace, ids, now): (WorkspaceId, &Ids, Time),
    facts: &[(Mode, TransferFact)],
) -> Result<(), StoreError> {
    let by = By { workspace, author: AUTHOR, now, ids };
    for (mode, fact) in facts {
        let Some(payout) = payout_of(tx, workspace, *mode, fact).await? else { continue };
        match apply(tx, by, &payout, fact).await {
            Ok(()) => {}
            Err(PayoutError::Store(error)) => return Err(error),
            Err(PayoutError::PaidAs { known, .. }) => {
                tracing::error!(payout = %payout.payout_id, transfer = %fact.id, %known, "a second transfer for one payout");
                let after = Some(serde_json::json!({ "transfer": fact.id, "paid_as": known, "amount": fact.amount }));
                let (action, object, object_id) = ("payout.second_transfer", "payout", payout.payout_id.clone());
                audit::append(tx, by, &[Act { action, object, object_id, before: None, after }]).await?;
            }
            Err(error) => tracing::warn!(payout = %payout.payout_id, %error, "a transfer's event could not be applied"),
        }
    }
    Ok(())
}

async fn payout_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    fact: &TransferFact,
) -> Result<Option<Payout>, StoreError> {
    for name in [&fact.group, &fact.payout].into_iter().flatten() {
        if let Some(payout) = payouts::by_id(tx, workspace, name).await?
            && payout.mode() == mode
            && payout.method == "stripe"
        {
            return Ok(Some(payout));
        }
    }
    Ok(None)
}

async fn apply(tx: &mut Tx, by: By<'_>, payout: &Payout, fact: &TransferFact) -> Result<(), PayoutError> {
    let is_its_money = fact.amount == payout.paid_amount
        && fact.currency == payout.paid_currency()?
        && (fact.destination.is_none() || fact.destination == payout.destination);
    if !is_its_money {
        tracing::warn!(payout = %payout.payout_id, transfer = %fact.id, "a transfer in a payout's name is not what it pays");
        return Ok(());
    }
    payouts::hold(tx, by.workspace, &payout.payout_id).await?;
    transfers::close_open(tx, by.workspace, &payout.payout_id, by.now).await?;
    outcome::settled(tx, by, &payout.payout_id, Some(&fact.id), fact.created.unwrap_or(by.now)).await?;
    if fact.reversed > 0 {
        outcome::returned(tx, by, &payout.payout_id, fact.reversed, REVERSED).await?;
    }
    Ok(())
}

/// Applies what events say about partners' accounts: the newest counts.
///
/// # Errors
/// The database's.
pub async fn apply_accounts(
    tx: &mut Tx,
    (workspace, now): (WorkspaceId, Time),
    facts: &[(Mode, Time, AccountFact)],
) -> Result<(), StoreError> {
    let said: Vec<Said> = facts
        .iter()
        .map(|(mode, at, fact)| Said {
            mode: *mode,
            account: fact.id.clone(),
            transfers: fact.transfers.clone(),
            missing: fact.missing.clone(),
            at: *at,
        })
        .collect();
    stripe_accounts::learn(tx, workspace, &said, now).await
}
