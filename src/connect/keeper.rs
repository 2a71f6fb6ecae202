//! The loop that goes on with what was begun about webhook endpoints, whoever began it and wherever it stopped.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::endpoint::Carrier;
use super::{ConnectError, way};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::store::stripe_endpoints::{self as stored, State};
use crate::store::{Db, StoreError, workspaces};
use crate::stripe_api::Keys;

/// How long it sleeps between looks.
const NAP: Duration = Duration::from_secs(30);
/// Whoever began has so long to do it themselves.
const LEFT_ALONE: TimeDelta = TimeDelta::minutes(1);

/// Goes on with endpoints.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// The ways to Stripe.
    pub keys: Keys,
}

impl Keeper {
    /// Works until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        if self.keys.is_empty() {
            return;
        }
        while !stop.is_cancelled() {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "webhook endpoints could not be looked after; trying again soon");
            }
            tokio::select! {
                () = tokio::time::sleep(NAP) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Goes on with every endpoint that was begun a while ago.
    ///
    /// # Errors
    /// The database's.
    pub async fn round(&self) -> Result<(), StoreError> {
        let mut tx = self.db.read().await?;
        let mut begun = Vec::new();
        for (workspace, _) in workspaces::all(&mut tx).await? {
            let endpoints = stored::all(&mut tx, workspace).await?;
            begun.extend(endpoints.into_iter().map(|endpoint| (workspace, endpoint)));
        }
        tx.rollback().await?;
        let now = self.clock.now();
        begun.retain(|(_, one)| one.state() != State::Made && now - one.changed_at() >= LEFT_ALONE);
        for (workspace, endpoint) in begun {
            let Ok(api) = way(&self.db, &self.keys, (workspace, endpoint.mode())).await? else { continue };
            let (db, clock, ids) = (&self.db, &self.clock, &self.ids);
            match (Carrier { db, clock, ids, workspace, api: &api }).carry_out(endpoint).await {
                Ok(_) => {}
                Err(ConnectError::Store(error)) => return Err(error),
                Err(error) => tracing::warn!(%error, "a webhook endpoint is not as it should be yet"),
            }
        }
        Ok(())
    }
}
