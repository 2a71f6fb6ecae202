//! The webhook endpoint of a book: what there is, what there should be, and getting there one resumable step at a time.
//!
//! ```text
//! intend (the row, with the key: committed) ─► making ─► [create] ─► retiring ─► [delete the one before] ─► made
//!                                                                     disconnect ─► removing ─► [delete] ─► gone
//! ```
//!
//! Whoever finds a row that is not `made` goes on from there ([`carry_out`]): made once more under the same key Stripe
//! answers the same, secret included. Where the key no longer counts, what it may have made is found by its metadata,
//! deleted, and made anew: only the answer to the making shows the secret.

use chrono::TimeDelta;
use serde_json::json;

use super::ConnectError;
use crate::admin::Session;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::store::stripe_endpoints::{self as stored, Endpoint, State};
use crate::store::webhook_secrets;
use crate::store::workspaces::{self, DEFAULT_WORKSPACE};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId};
use crate::stripe::{OF_CONNECTED_ACCOUNTS, UNDERSTOOD};
use crate::stripe_api::{self, Answer, Api, MOST_ENDPOINTS, NewEndpoint};

/// How long Stripe is trusted to know a key: an hour less than it promises.
const KEY_LASTS: TimeDelta = TimeDelta::hours(23);
/// A key whose answers stay unclear for so long is given up.
const UNCLEAR_FOR: TimeDelta = TimeDelta::minutes(10);
/// How long the secret of an endpoint that was replaced still counts: events under way are signed with it.
const OLD_SECRET_LASTS: TimeDelta = TimeDelta::hours(24);
/// In an endpoint's metadata: whose it is.
const WHOSE: &str = "commission_bridge";
/// In an endpoint's metadata: under which key it was made.
const MADE_UNDER: &str = "commission_bridge_key";

/// Where a workspace's events come in.
pub fn address(public_url: &str, workspace: &str) -> String {
    format!("{}/webhooks/stripe/{workspace}", public_url.trim_end_matches('/'))
}

/// The events that an endpoint is for. One for connected accounts hears of partners' accounts, and, where another
/// workspace's settings name a connected account, of all that happens there.
///
/// # Errors
/// The database's.
pub async fn wanted_events(tx: &mut Tx, connect: bool) -> Result<Vec<&'static str>, StoreError> {
    let is_partners = |kind: &&str| OF_CONNECTED_ACCOUNTS.contains(kind);
    if !connect {
        return Ok(UNDERSTOOD.iter().copied().filter(|kind| !is_partners(kind)).collect());
    }
    let merchants = workspaces::list(tx, "", i64::from(u16::MAX)).await?;
    let has_merchants = merchants.iter().any(|one| one.account.is_some() && one.key != DEFAULT_WORKSPACE);
    Ok(UNDERSTOOD.iter().copied().filter(|kind| has_merchants || is_partners(kind)).collect())
}

/// How an endpoint stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is there, sends what it should, and its secret is known.
    Complete,
    /// It is there and sends other events than it should, or is disabled: `(missing, superfluous, disabled)`.
    Differs(Vec<String>, Vec<String>, bool),
    /// Something was begun and is not done.
    UnderWay(State),
    /// It was made, and is gone at Stripe.
    Gone,
    /// It is there, and its secret was removed here.
    SecretLost,
    /// One with its address is there that the bridge knows no secret of.
    Foreign(String),
    /// There is none.
    None,
}

/// Compares what is kept with what Stripe has.
pub fn standing(
    row: Option<&Endpoint>,
    at_stripe: &[stripe_api::Endpoint],
    (url, wanted): (&str, &[&str]),
    secrets: &[String],
    whose: &str,
) -> Standing {
    let Some(row) = row else {
        // Those for the merchant's own events and for connected accounts' have one address.
        let other = |endpoint: &&stripe_api::Endpoint| endpoint.noted(WHOSE).is_some_and(|of| of != whose);
        let same = at_stripe.iter().filter(|endpoint| !other(endpoint)).find(|endpoint| endpoint.url == url);
        return same.map_or(Standing::None, |endpoint| Standing::Foreign(endpoint.id.clone()));
    };
    if row.state() != State::Made {
        return Standing::UnderWay(row.state());
    }
    let Some(found) = at_stripe.iter().find(|endpoint| Some(&endpoint.id) == row.stripe_id.as_ref()) else {
        return Standing::Gone;
    };
    if !row.secret_id.as_ref().is_some_and(|id| secrets.contains(id)) {
        return Standing::SecretLost;
    }
    let has = |kind: &str| found.enabled_events.iter().any(|event| event == kind);
    let missing: Vec<String> = wanted.iter().filter(|kind| !has(kind)).map(|kind| (*kind).to_owned()).collect();
    let superfluous: Vec<String> =
        found.enabled_events.iter().filter(|event| !wanted.contains(&event.as_str())).cloned().collect();
    let is_disabled = found.status == "disabled";
    if missing.is_empty() && superfluous.is_empty() && !is_disabled {
        return Standing::Complete;
    }
    Standing::Differs(missing, superfluous, is_disabled)
}

/// Whose endpoint it is, as its metadata says.
pub fn whose(workspace: &str, mode: Mode, connect: bool) -> String {
    format!("{workspace}/{mode}/{}", if connect { "connected" } else { "own" })
}

/// Refuses an address that Stripe cannot reach.
///
/// # Errors
/// [`ConnectError::Address`].
pub fn check_address(url: &str, mode: Mode) -> Result<(), ConnectError> {
    let refused = |why| Err(ConnectError::Address { url: url.to_owned(), why });
    let Ok(parsed) = url::Url::parse(url) else { return refused("it is no address") };
    let is_here = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    };
    match parsed.scheme() {
        _ if is_here => refused("it is this machine's own name for itself"),
        "https" => Ok(()),
        "http" if mode == Mode::Test => Ok(()),
        _ => refused("live events are sent to https addresses only"),
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The workspace's key.
    pub workspace: &'a str,
    /// Where it is to send to.
    pub url: &'a str,
    /// Whether it is for connected accounts' events.
    pub connect: bool,
    /// Whether an endpoint of unknown secret, or a good one, is replaced.
    pub replace: bool,
}

/// What comes of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intended {
    /// Nothing is to be done.
    Nothing,
    /// The row says what is under way.
    Begun(Endpoint),
    /// The endpoint at Stripe is to send these events, and is to send at all.
    Update(String),
}

/// Writes down what is to be done about an endpoint, so that [`carry_out`] does it once. The caller commits.
///
/// # Errors
/// [`ConnectError`].
pub async fn intend(
    session: &mut Session,
    at_stripe: &[stripe_api::Endpoint],
    wish: Wish<'_>,
) -> Result<Intended, ConnectError> {
    let (workspace, mode, now) = (session.workspace, session.mode, session.now);
    let rows = stored::all(&mut session.tx, workspace).await?;
    let row = rows.iter().find(|row| (row.mode(), row.connect(), row.url.as_str()) == (mode, wish.connect, wish.url));
    let wanted = wanted_events(&mut session.tx, wish.connect).await?;
    let secrets = webhook_secrets::all(&mut session.tx, workspace, now).await?;
    let secrets: Vec<String> =
        secrets.into_iter().filter(|secret| secret.expires_at().is_none()).map(|one| one.secret_id).collect();
    let whose = whose(wish.workspace, mode, wish.connect);
    let old = match standing(row, at_stripe, (wish.url, &wanted), &secrets, &whose) {
        Standing::UnderWay(_) => return Ok(row.cloned().map_or(Intended::Nothing, Intended::Begun)),
        Standing::Complete if !wish.replace => return Ok(Intended::Nothing),
        Standing::Differs(..) if !wish.replace => {
            let id = row.and_then(|row| row.stripe_id.clone());
            return Ok(id.map_or(Intended::Nothing, Intended::Update));
        }
        Standing::Foreign(id) if !wish.replace => {
            return Err(ConnectError::Foreign { id, url: wish.url.to_owned() });
        }
        Standing::Foreign(id) => Some(id),
        Standing::Complete | Standing::Differs(..) | Standing::SecretLost => row.and_then(|row| row.stripe_id.clone()),
        Standing::Gone | Standing::None => None,
    };
    if at_stripe.len() >= MOST_ENDPOINTS {
        let lines = at_stripe.iter().map(|endpoint| format!("{}  {}", endpoint.id, endpoint.url));
        return Err(ConnectError::Limit(lines.collect()));
    }
    let mut made = Endpoint::to_make(mode, wish.connect, wish.url, old.as_deref(), new_key(&session.ids), now);
    // Its secret counts until the new one's does.
    made.secret_id = row.and_then(|row| row.secret_id.clone());
    stored::put(&mut session.tx, workspace, &made, now).await?;
    let after = json!({ "mode": mode.as_str(), "connect": wish.connect, "replaces": old });
    session.audit(("stripe_endpoint.begun", "stripe_endpoint"), wish.url, None, Some(after)).await?;
    Ok(Intended::Begun(made))
}

/// Writes down that a book's endpoints are to be removed; tells which. The caller commits.
///
/// # Errors
/// [`ConnectError::NotConnected`], or the database's.
pub async fn intend_removal(session: &mut Session) -> Result<Vec<Endpoint>, ConnectError> {
    let (workspace, mode, now) = (session.workspace, session.mode, session.now);
    let mut rows = stored::all(&mut session.tx, workspace).await?;
    rows.retain(|row| row.mode() == mode);
    if rows.is_empty() {
        return Err(ConnectError::NotConnected);
    }
    for row in &mut rows {
        row.set_state(State::Removing);
        stored::put(&mut session.tx, workspace, row, now).await?;
        let before = json!({ "mode": mode.as_str(), "stripe_id": row.stripe_id });
        session.audit(("stripe_endpoint.removing", "stripe_endpoint"), &row.url, Some(before), None).await?;
    }
    Ok(rows)
}

fn new_key(ids: &Ids) -> String {
    format!("endpoint/{}", ids.next("key"))
}

/// Whoever goes on with endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Carrier<'a> {
    /// The database.
    pub db: &'a Db,
    /// The time.
    pub clock: &'a Clock,
    /// Where ids come from.
    pub ids: &'a Ids,
    /// Whose endpoint it is.
    pub workspace: WorkspaceId,
    /// The way to Stripe of the endpoint's book.
    pub api: &'a Api,
}

impl Carrier<'_> {
    /// Goes on with an endpoint until it is made, or gone: then it is `None`.
    ///
    /// # Errors
    /// [`ConnectError`]. What was begun is kept, unless Stripe refused it.
    pub async fn carry_out(&self, endpoint: Endpoint) -> Result<Option<Endpoint>, ConnectError> {
        let mut endpoint = endpoint;
        loop {
            match endpoint.state() {
                State::Made => return Ok(Some(endpoint)),
                State::Making => endpoint = self.make(endpoint).await?,
                State::Retiring => {
                    if let Some(old) = &endpoint.old_id {
                        settled(self.api.delete_endpoint(old).await)?;
                    }
                    endpoint.old_id = None;
                    endpoint.set_state(State::Made);
                    self.keep(&endpoint).await?;
                }
                State::Removing => return self.remove(endpoint).await.map(|()| None),
            }
        }
    }

    /// Has an endpoint send what it should.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn update(&self, stripe_id: &str, connect: bool) -> Result<(), ConnectError> {
        let mut tx = self.db.read().await?;
        let events = wanted_events(&mut tx, connect).await?;
        tx.rollback().await?;
        settled(self.api.update_endpoint(stripe_id, &events, &new_key(self.ids)).await).map(drop)
    }

    async fn make(&self, mut endpoint: Endpoint) -> Result<Endpoint, ConnectError> {
        let now = self.clock.now();
        if now - endpoint.key_since() > KEY_LASTS {
            endpoint = self.anew(endpoint).await?;
        }
        let mut tx = self.db.read().await?;
        let events = wanted_events(&mut tx, endpoint.connect()).await?;
        let whose = whose(&workspaces::key(&mut tx, self.workspace).await?, endpoint.mode(), endpoint.connect());
        tx.rollback().await?;
        let key = endpoint.idempotency_key.clone();
        let metadata = [(WHOSE, whose.as_str()), (MADE_UNDER, key.as_str())];
        let new = NewEndpoint { url: &endpoint.url, events: &events, connect: endpoint.connect(), metadata: &metadata };
        let made = match self.api.create_endpoint(&new, &key).await {
            Answer::Done(made) if made.livemode != (endpoint.mode() == Mode::Live) => {
                return Err(ConnectError::Refused(
                    "Stripe made the endpoint in the other mode than its key's".to_owned(),
                ));
            }
            Answer::Done(made) => made,
            Answer::Unknown(_) if now - endpoint.key_since() > UNCLEAR_FOR => {
                self.anew(endpoint).await?;
                return Err(ConnectError::Unclear(
                    "Stripe did not say clearly whether the endpoint was made".to_owned(),
                ));
            }
            answer @ (Answer::Unknown(_) | Answer::Busy) => {
                return Err(ConnectError::Unclear(answer.done().err().unwrap_or_default()));
            }
            refused => {
                self.give_up(&endpoint).await?;
                return settled(refused).map(|_| endpoint);
            }
        };
        let Some(secret) = made.secret else {
            self.anew(endpoint).await?;
            return Err(ConnectError::Unclear("Stripe's answer holds no signing secret".to_owned()));
        };
        let mut tx = self.db.write(Urgency::Now).await?;
        let before = endpoint.secret_id.take();
        let id = webhook_secrets::add(&mut tx, self.workspace, &self.ids.next("whs"), &secret, now).await?;
        if let Some(before) = before.filter(|before| *before != id) {
            webhook_secrets::let_end(&mut tx, self.workspace, &before, now + OLD_SECRET_LASTS).await?;
        }
        endpoint.secret_id = Some(id);
        endpoint.stripe_id = Some(made.id);
        endpoint.set_state(if endpoint.old_id.is_some() { State::Retiring } else { State::Made });
        stored::put(&mut tx, self.workspace, &endpoint, now).await?;
        tx.commit().await?;
        Ok(endpoint)
    }

    /// Removes what a key that no longer counts may have made, and takes a new one.
    async fn anew(&self, mut endpoint: Endpoint) -> Result<Endpoint, ConnectError> {
        let at_stripe = settled(self.api.webhook_endpoints().await)?;
        for orphan in at_stripe.iter().filter(|one| one.noted(MADE_UNDER) == Some(&endpoint.idempotency_key)) {
            settled(self.api.delete_endpoint(&orphan.id).await)?;
        }
        endpoint.set_key(new_key(self.ids), self.clock.now());
        self.keep(&endpoint).await?;
        Ok(endpoint)
    }

    /// Nothing was made: what was before is as it was.
    async fn give_up(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let (mut tx, now) = (self.db.write(Urgency::Now).await?, self.clock.now());
        if endpoint.old_id.is_some() && endpoint.secret_id.is_some() {
            let mut before = endpoint.clone();
            before.stripe_id = before.old_id.take();
            before.set_state(State::Made);
            stored::put(&mut tx, self.workspace, &before, now).await?;
        } else {
            stored::remove(&mut tx, self.workspace, endpoint).await?;
        }
        tx.commit().await
    }

    async fn remove(&self, endpoint: Endpoint) -> Result<(), ConnectError> {
        let mut gone: Vec<String> = endpoint.stripe_id.iter().chain(&endpoint.old_id).cloned().collect();
        if endpoint.stripe_id.is_none() {
            let at_stripe = settled(self.api.webhook_endpoints().await)?;
            let orphans = at_stripe.into_iter().filter(|one| one.noted(MADE_UNDER) == Some(&endpoint.idempotency_key));
            gone.extend(orphans.map(|one| one.id));
        }
        for id in &gone {
            settled(self.api.delete_endpoint(id).await)?;
        }
        let (mut tx, now) = (self.db.write(Urgency::Now).await?, self.clock.now());
        if let Some(secret) = &endpoint.secret_id {
            webhook_secrets::let_end(&mut tx, self.workspace, secret, now + OLD_SECRET_LASTS).await?;
        }
        stored::remove(&mut tx, self.workspace, &endpoint).await?;
        Ok(tx.commit().await?)
    }

    async fn keep(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        stored::put(&mut tx, self.workspace, endpoint, self.clock.now()).await?;
        tx.commit().await
    }
}

/// What was done, or why not.
///
/// # Errors
/// [`ConnectError::Key`], [`ConnectError::Refused`], [`ConnectError::Unclear`].
pub fn settled<T>(answer: Answer<T>) -> Result<T, ConnectError> {
    match answer {
        Answer::Done(done) => Ok(done),
        Answer::KeyProblem(problem) => Err(ConnectError::Key(problem)),
        Answer::Refused(refusal) => Err(ConnectError::Refused(refusal.to_string())),
        other => Err(ConnectError::Unclear(other.map(drop).done().err().unwrap_or_default())),
    }
}
