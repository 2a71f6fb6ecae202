//! One payout, from the claim to what may be concluded.

use chrono::TimeDelta;
use serde_json::json;

use super::super::error::PayoutError;
use super::super::outcome;
use super::refusal::{Consequence, consequence};
use super::{Became, KEY_LASTS, Payer, by_key};
use crate::store::transfers::{self, Claimed, Ended};
use crate::store::{StoreError, Tx, Urgency, payouts};
use crate::stripe_api::{Answer, KeyProblem, NewTransfer, Refusal, Transfer};

/// How often the same request is made again at once while Stripe is busy.
const BUSY_TRIES: u32 = 6;

/// What a look-up showed.
enum Found {
    /// The transfer.
    Transfer(Transfer),
    /// There is none.
    Nothing,
    /// Something in this payout's name that is not what it pays.
    Other(Transfer),
    /// Nobody knows.
    Unclear(String),
    /// The key may not look.
    KeyProblem(KeyProblem),
}

impl Payer {
    /// Pays what was claimed, as far as it may be concluded now.
    pub(super) async fn carry_out(
        &self,
        claimed: &Claimed,
        stop: &(impl Fn() -> bool + Sync),
    ) -> Result<Became, PayoutError> {
        if let Some(reason) = unfit(claimed)? {
            return self.fails(claimed, Ended::Unsent, (None, &reason), false).await;
        }
        let now = self.clock.now();
        // A backup that was restored may have forgotten what was paid; for so long its key remembers.
        let may_be_forgotten = now - claimed.approved_at() >= KEY_LASTS;
        if claimed.is_resumed() || claimed.attempt > 1 || may_be_forgotten {
            match self.look_up(claimed).await {
                Found::Nothing => {}
                found => return self.conclude(claimed, found).await,
            }
            if now - claimed.started_at() >= KEY_LASTS {
                return self.begins_anew(claimed, Ended::Expired, None).await;
            }
        }
        self.send(claimed, stop).await
    }

    async fn send(&self, claimed: &Claimed, stop: &(impl Fn() -> bool + Sync)) -> Result<Became, PayoutError> {
        let mut tries = 0;
        loop {
            self.gate.pass().await;
            self.api.turn().await;
            if stop() && tries == 0 {
                if claimed.is_resumed() {
                    return self.waits(claimed, "nobody asked Stripe again: paying was stopped").await;
                }
                return self.begins_anew(claimed, Ended::Unsent, None).await;
            }
            // The last look before the call: nobody else may have it, and its key must not be forgotten before it is heard.
            if !self.is_in_time(claimed).await? {
                return Ok(Became::Open);
            }
            let answer = self.call(claimed).await?;
            if !matches!(answer, Answer::Busy) {
                self.gate.calm();
            }
            return match answer {
                Answer::Done(transfer) => self.settles(claimed, &transfer).await,
                Answer::Busy if tries < BUSY_TRIES && !stop() => {
                    self.gate.busy(&self.policy).await;
                    tries += 1;
                    continue;
                }
                Answer::Busy => self.waits(claimed, "Stripe has too many requests").await,
                Answer::Unknown(why) => match self.look_up(claimed).await {
                    Found::Nothing => self.waits(claimed, &why).await,
                    found => self.conclude(claimed, found).await,
                },
                Answer::KeyProblem(problem) => self.key_fails(claimed, &problem).await,
                Answer::Refused(refusal) => match self.look_up(claimed).await {
                    Found::Nothing => self.refused(claimed, &refusal).await,
                    found => self.conclude(claimed, found).await,
                },
            };
        }
    }

    async fn call(&self, claimed: &Claimed) -> Result<Answer<Transfer>, StoreError> {
        // The same whenever it is tried again: all of it is frozen with the batch.
        let mut metadata = vec![
            ("batch", claimed.batch_id.as_str()),
            ("payout", claimed.payout_id.as_str()),
            ("partner_key", claimed.partner_key.as_str()),
            ("month", claimed.month.as_str()),
            ("reference", claimed.reference.as_str()),
        ];
        metadata.extend(claimed.statement_id.as_deref().map(|id| ("statement", id)));
        let new = NewTransfer {
            amount: claimed.paid_amount,
            currency: claimed.currency()?,
            destination: claimed.destination.as_deref().unwrap_or_default(),
            transfer_group: &claimed.payout_id,
            description: &claimed.reference,
            metadata: &metadata,
        };
        Ok(self.api.create_transfer(&new, claimed.key()).await)
    }

    /// Whether a call that begins now ends within the lease, and within the time that Stripe knows its key.
    async fn is_in_time(&self, claimed: &Claimed) -> Result<bool, StoreError> {
        let timeout = TimeDelta::from_std(self.api.timeout()).unwrap_or(TimeDelta::minutes(1));
        let end = self.clock.now() + timeout;
        if end - claimed.started_at() >= KEY_LASTS {
            return Ok(false);
        }
        let mut tx = self.db.read().await?;
        transfers::is_leased_until(&mut tx, self.workspace, claimed, &self.name, end).await
    }

    async fn look_up(&self, claimed: &Claimed) -> Found {
        match self.api.transfers_of_group(&claimed.payout_id).await {
            Answer::Done(all) => {
                let fits = |transfer: &&Transfer| {
                    transfer.amount == claimed.paid_amount
                        && claimed.currency().is_ok_and(|of| transfer.currency.eq_ignore_ascii_case(of.as_str()))
                        && transfer.destination == claimed.destination
                };
                // What was wholly taken back is not there any more.
                let moved = |transfer: &&Transfer| transfer.amount_reversed.unwrap_or(0) < transfer.amount;
                match (all.iter().find(fits), all.iter().find(moved)) {
                    (Some(transfer), _) => Found::Transfer(transfer.clone()),
                    (None, Some(other)) => Found::Other(other.clone()),
                    (None, None) => Found::Nothing,
                }
            }
            Answer::Refused(refusal) => Found::Unclear(refusal.to_string()),
            Answer::Busy => Found::Unclear("Stripe has too many requests".to_owned()),
            Answer::Unknown(why) => Found::Unclear(why),
            Answer::KeyProblem(problem) => Found::KeyProblem(problem),
        }
    }

    async fn conclude(&self, claimed: &Claimed, found: Found) -> Result<Became, PayoutError> {
        match found {
            Found::Transfer(transfer) => self.settles(claimed, &transfer).await,
            Found::Nothing => Ok(Became::Open),
            Found::Unclear(why) => self.waits(claimed, &why).await,
            Found::KeyProblem(problem) => self.key_fails(claimed, &problem).await,
            Found::Other(transfer) => self.differs(claimed, &transfer).await,
        }
    }

    /// Something was paid in its name that is not what it pays: a person has to look at it.
    async fn differs(&self, claimed: &Claimed, transfer: &Transfer) -> Result<Became, PayoutError> {
        let message = format!(
            "transfer {} is in the name of payout {} ({}), but is not what it pays. Look at it in Stripe: if it is this \
             payout's money, mark the payout as paid with it; if not, reverse it. Then ask again",
            transfer.id, claimed.payout_id, claimed.partner_key
        );
        let why = json!({ "code": "transfer_differs", "payout_id": claimed.payout_id, "message": message });
        let said = (Some("transfer_differs"), Some(message.as_str()));
        let Some(mut tx) = self.ends(claimed, Ended::Refused, said).await? else { return Ok(Became::Open) };
        transfers::make_ready(&mut tx, self.workspace, &claimed.payout_id).await?;
        self.pause(&mut tx, &claimed.batch_id, &why).await?;
        tx.commit().await?;
        Ok(Became::Ready)
    }

    /// The transfer exists: that is true whoever reports it.
    async fn settles(&self, claimed: &Claimed, transfer: &Transfer) -> Result<Became, PayoutError> {
        let mut collisions = 0;
        loop {
            match self.try_to_settle(claimed, transfer).await {
                // The money has left: nothing is more worth writing down.
                Err(PayoutError::Store(error)) if error.is_collision() && collisions < 10 => collisions += 1,
                other => return other,
            }
        }
    }

    async fn try_to_settle(&self, claimed: &Claimed, transfer: &Transfer) -> Result<Became, PayoutError> {
        let (mut tx, by) = (self.db.write(Urgency::Now).await?, self.by());
        let which = (claimed.payout_id.as_str(), claimed.attempt);
        // Payouts before attempts, as everybody takes them.
        payouts::hold(&mut tx, self.workspace, &claimed.payout_id).await?;
        transfers::close(&mut tx, self.workspace, which, Ended::Done, (None, None), by.now).await?;
        outcome::settled(&mut tx, by, &claimed.payout_id, Some(&transfer.id), by.now).await?;
        if let Some(reversed) = transfer.amount_reversed.filter(|reversed| *reversed > 0) {
            outcome::returned(&mut tx, by, &claimed.payout_id, reversed, super::heard::REVERSED).await?;
        }
        tx.commit().await?;
        Ok(Became::Settled)
    }

    /// Nobody knows: the same key again, later.
    async fn waits(&self, claimed: &Claimed, why: &str) -> Result<Became, PayoutError> {
        let wait = TimeDelta::from_std(self.policy.wait(claimed.tries.unwrap_or(0))).unwrap_or(TimeDelta::minutes(5));
        let mut tx = self.db.write(Urgency::Now).await?;
        let not_before = self.clock.now() + wait;
        transfers::let_go(&mut tx, self.workspace, claimed, &self.name, not_before, why).await?;
        tx.commit().await?;
        Ok(Became::Open)
    }

    async fn key_fails(&self, claimed: &Claimed, problem: &KeyProblem) -> Result<Became, PayoutError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        self.pause(&mut tx, &claimed.batch_id, &by_key(problem)).await?;
        transfers::let_go(&mut tx, self.workspace, claimed, &self.name, self.clock.now(), &problem.message).await?;
        tx.commit().await?;
        Ok(Became::Ready)
    }

    /// Stripe refused it for good, and a look-up showed that there is no transfer.
    async fn refused(&self, claimed: &Claimed, refusal: &Refusal) -> Result<Became, PayoutError> {
        match consequence(refusal, claimed) {
            Consequence::Fails(reason) => {
                self.fails(claimed, Ended::Refused, (Some(&refusal.code), &reason), true).await
            }
            Consequence::NewKey => self.begins_anew(claimed, Ended::Refused, Some((refusal, None))).await,
            Consequence::Pauses(why) => self.begins_anew(claimed, Ended::Refused, Some((refusal, Some(why)))).await,
        }
    }

    /// Closes the attempt: it paid nothing, and the payout may be begun anew under another key.
    async fn begins_anew(
        &self,
        claimed: &Claimed,
        ended: Ended,
        refused: Option<(&Refusal, Option<serde_json::Value>)>,
    ) -> Result<Became, PayoutError> {
        let said = refused.as_ref().map(|(refusal, _)| (refusal.code.as_str(), refusal.message.as_str()));
        let Some(mut tx) = self.ends(claimed, ended, (said.map(|said| said.0), said.map(|said| said.1))).await? else {
            return Ok(Became::Open);
        };
        transfers::make_ready(&mut tx, self.workspace, &claimed.payout_id).await?;
        if let Some((_, Some(why))) = refused {
            self.pause(&mut tx, &claimed.batch_id, &why).await?;
        }
        tx.commit().await?;
        Ok(Became::Ready)
    }

    async fn fails(
        &self,
        claimed: &Claimed,
        ended: Ended,
        (code, reason): (Option<&str>, &str),
        was_sent: bool,
    ) -> Result<Became, PayoutError> {
        // What an earlier claim may have sent is looked up first.
        if !was_sent && claimed.is_resumed() {
            match self.look_up(claimed).await {
                Found::Nothing => {}
                found => return self.conclude(claimed, found).await,
            }
        }
        let Some(mut tx) = self.ends(claimed, ended, (code, Some(reason))).await? else { return Ok(Became::Open) };
        outcome::failed(&mut tx, self.by(), &claimed.payout_id, reason).await?;
        tx.commit().await?;
        Ok(Became::Failed)
    }

    /// Closes an attempt that paid nothing, which only who holds the lease may; the transaction goes on.
    async fn ends(
        &self,
        claimed: &Claimed,
        ended: Ended,
        said: (Option<&str>, Option<&str>),
    ) -> Result<Option<Tx>, StoreError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        let now = self.clock.now();
        let is_ours = transfers::still_leased(&mut tx, self.workspace, claimed, &self.name, now).await?;
        let which = (claimed.payout_id.as_str(), claimed.attempt);
        if is_ours && transfers::close(&mut tx, self.workspace, which, ended, said, now).await? {
            return Ok(Some(tx));
        }
        tx.rollback().await?;
        Ok(None)
    }
}

/// Why a payout cannot be sent at all.
fn unfit(claimed: &Claimed) -> Result<Option<String>, StoreError> {
    let currency = claimed.currency()?;
    let (amount, step) = (claimed.paid_amount, currency.payout_step());
    Ok(match claimed.destination.as_deref().map(str::trim) {
        None | Some("") => Some(
            "the partner has no Stripe account: `commission-bridge partner onboard` makes a link on which they open one"
                .to_owned(),
        ),
        Some(_) if amount <= 0 => Some(format!("{amount} {currency} cannot be paid: a transfer is more than nothing")),
        Some(_) if amount % step != 0 => Some(format!(
            "Stripe pays {currency} in steps of {step} minor units, and this is {amount}: nothing is rounded behind your back"
        )),
        Some(_) => None,
    })
}
