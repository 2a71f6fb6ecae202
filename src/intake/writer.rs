//! The one writer of the inbox: whatever waits goes into one insert and one commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{ACCOUNT_MISMATCH, Accepted, Arrivals, SubmitError, Waiting};
use crate::store::events::{self, NewEvent};
use crate::store::workspaces::{self, DEFAULT_WORKSPACE};
use crate::store::{Db, StoreError, Tx, Urgency};
use crate::stripe::OF_CONNECTED_ACCOUNTS;

/// How many events share a commit at most.
const GROUP: usize = 512;

/// In a rush, fewer than these wait a moment for others, who share their commit.
const ENOUGH: usize = 64;
const MOMENT: Duration = Duration::from_millis(1);

type Answer = oneshot::Sender<Result<Accepted, SubmitError>>;

/// Writes until nobody can bring anything any more.
pub(super) async fn run(db: Db, mut waiting: mpsc::Receiver<Waiting>, arrivals: Arc<Arrivals>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        if group.len() < ENOUGH && arrivals.is_rush() {
            linger(&mut waiting, &mut group).await;
        }
        let (mut rows, mut accounts, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for Waiting { event, account, answer } in group.drain(..) {
            rows.push(event);
            accounts.push(account);
            answers.push(answer);
        }
        let came = rows.len();
        arrivals.writing();
        let accounts: Vec<Option<&str>> = accounts.iter().map(Option::as_deref).collect();
        match write(&db, &mut rows, &accounts).await {
            Ok(fresh) => answer_all(rows, fresh, answers),
            Err(error) if error.is_refusal() && rows.len() > 1 => one_by_one(&db, rows, &accounts, answers).await,
            Err(error) => refuse_all(error, answers),
        }
        arrivals.came(came);
    }
}

async fn linger(waiting: &mut mpsc::Receiver<Waiting>, group: &mut Vec<Waiting>) {
    let more = async { while group.len() < ENOUGH && waiting.recv_many(group, GROUP).await > 0 {} };
    let _ = tokio::time::timeout(MOMENT, more).await;
}

async fn write(db: &Db, rows: &mut [NewEvent], accounts: &[Option<&str>]) -> Result<Vec<bool>, StoreError> {
    let mut tx = db.write(Urgency::Now).await?;
    let fresh = insert(db, &mut tx, rows, accounts).await?;
    tx.commit().await?;
    Ok(fresh)
}

/// A row that the database refuses must not take the others down with it.
async fn one_by_one(db: &Db, rows: Vec<NewEvent>, accounts: &[Option<&str>], answers: Vec<Answer>) {
    for ((row, account), answer) in rows.into_iter().zip(accounts).zip(answers) {
        let mut row = vec![row];
        match write(db, &mut row, &[*account]).await {
            Ok(fresh) => answer_all(row, fresh, vec![answer]),
            Err(error) => refuse_all(error, vec![answer]),
        }
    }
}

/// Puts rows into the database; tells for each whether it was new. Events that came in at the first workspace and name an
/// account that is another's go there; those of accounts that are nobody's are kept, but ignored.
pub(super) async fn insert(
    db: &Db,
    tx: &mut Tx,
    rows: &mut [NewEvent],
    accounts: &[Option<&str>],
) -> Result<Vec<bool>, StoreError> {
    let mut own = HashMap::new();
    for row in rows.iter() {
        if let std::collections::hash_map::Entry::Vacant(slot) = own.entry(row.workspace) {
            slot.insert(db.terms(tx, row.workspace).await?.current_settings().account);
        }
    }
    let mut strangers = Vec::new();
    for (index, (row, account)) in rows.iter().zip(accounts).enumerate() {
        // Only events of connected accounts name one: a merchant's own name none. Those about partners' are wanted.
        let own = own.get(&row.workspace).and_then(Option::as_deref);
        let is_a_partners = OF_CONNECTED_ACCOUNTS.contains(&row.kind.as_str());
        strangers.extend(account.filter(|_| *account != own && !is_a_partners).map(|account| (index, account)));
    }
    if !strangers.is_empty() {
        // Whoever has another workspace's signing secret must not reach into the books of all.
        let first = workspaces::find(tx, DEFAULT_WORKSPACE).await?;
        let accounts: HashSet<&str> = strangers.iter().map(|(_, account)| *account).collect();
        let owners = workspaces::of_accounts(tx, accounts).await?;
        for (index, account) in strangers {
            match owners.get(account).filter(|_| Some(rows[index].workspace) == first) {
                Some(owner) => rows[index].workspace = *owner,
                None => rows[index].ignored = Some(ACCOUNT_MISMATCH.to_owned()),
            }
        }
    }
    events::insert(tx, rows).await
}

fn answer_all(rows: Vec<NewEvent>, fresh: Vec<bool>, answers: Vec<Answer>) {
    for ((row, fresh), answer) in rows.into_iter().zip(fresh).zip(answers) {
        let accepted = Accepted { event_id: row.id, duplicate: !fresh, ignored: row.ignored };
        // Whoever waited may be gone; the event is on disk all the same.
        let _ = answer.send(Ok(accepted));
    }
}

fn refuse_all(error: StoreError, answers: Vec<Answer>) {
    tracing::error!(%error, events = answers.len(), "events could not be stored; Stripe will send them again");
    let error = Arc::new(error);
    for answer in answers {
        let _ = answer.send(Err(SubmitError::Unavailable(error.clone())));
    }
}
