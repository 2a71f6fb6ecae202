//! Backfills that people ask for, and answers to what history cannot tell.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::{Refused, Session};
use crate::domain::Time;
use crate::intake::backfill::KINDS;
use crate::intake::payload;
use crate::store::backfills::{self, Backfill, End};
use crate::store::events::{self, NewEvent, Source};
use crate::store::{Mode, StoreError, questions};
use crate::stripe::fetched::{Kind, state};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Objects made since then; needed unless one goes on.
    pub since: Option<Time>,
    /// Objects made until then; until now where nobody says.
    pub until: Option<Time>,
    /// Which kinds; all of them where there are none.
    pub kinds: Vec<Kind>,
    /// Begin anew although one is not done.
    pub restart: bool,
}

/// A backfill, and whether it goes on from where an earlier call left it.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The backfill.
    pub backfill: Backfill,
    /// Whether it was there before.
    pub goes_on: bool,
}

/// Begins a backfill of the session's book, or finds the one that is not done.
///
/// # Errors
/// [`Refused`] for a time that cannot be meant, or where another one is not done.
pub async fn begin(session: &mut Session, asked: &Asked) -> Result<Begun, Refused> {
    let (workspace, mode, now) = (session.workspace, session.mode, session.now);
    let open = backfills::open(&mut session.tx, workspace, mode).await?;
    if let Some(open) = open {
        if !asked.restart {
            return go_on(asked, open);
        }
        backfills::end(&mut session.tx, workspace, &open.backfill_id, End::Replaced, now).await?;
    }
    let since = asked.since.ok_or_else(|| {
        Refused::invalid(
            "since",
            "say since when history is wanted, such as 2024-01-01: none is under way that could go on",
        )
    })?;
    let until = asked.until.unwrap_or(now).min(now);
    if since >= until {
        return Err(Refused::invalid("since", "lies behind the end of the time that is asked for"));
    }
    let id = session.ids.next("bf");
    let wanted = |kind: &&Kind| asked.kinds.is_empty() || asked.kinds.contains(kind);
    let kinds: Vec<&str> = KINDS.iter().filter(wanted).map(|kind| kind.as_str()).collect();
    let author = session.author.clone();
    let new = backfills::New { backfill_id: &id, mode, since, until, kinds: &kinds, author: &author, now };
    backfills::insert(&mut session.tx, workspace, &new).await?;
    let after = json!({ "since": since, "until": until, "kinds": kinds, "mode": mode.as_str() });
    session.audit(("backfill.begun", "backfill"), &id, None, Some(after)).await?;
    let made = backfills::find(&mut session.tx, workspace, &id).await?;
    let backfill = made.ok_or(StoreError::Conflict)?;
    Ok(Begun { backfill, goes_on: false })
}

fn go_on(asked: &Asked, open: Backfill) -> Result<Begun, Refused> {
    let is_the_same =
        asked.since.is_none_or(|since| since == open.since()) && asked.until.is_none_or(|until| until == open.until());
    if is_the_same {
        return Ok(Begun { backfill: open, goes_on: true });
    }
    let detail = format!(
        "a backfill since {} is not done yet: let it go on (backfill without --since), or begin anew with --restart",
        open.since().format("%Y-%m-%d")
    );
    Err(Refused::conflict("backfill_not_done", detail))
}

/// Since when something holds, as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since the object was made.
    Created,
    /// Since it was first seen: what counts as long as nobody answers.
    Seen,
    /// Since a moment.
    At(Time),
}

#[derive(Deserialize)]
struct EventBody {
    fetched_at: Option<i64>,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: Box<RawValue>,
}

/// What of an object is stated.
#[derive(Deserialize, serde::Serialize)]
struct Stated {
    id: String,
    object: Option<String>,
    customer: Option<serde_json::Value>,
    created: Option<i64>,
    metadata: Option<serde_json::Value>,
    discount: Option<serde_json::Value>,
    discounts: Option<serde_json::Value>,
}

/// Answers all that is asked about an object: what it shows now has held since then. The answer is an event like any other.
///
/// # Errors
/// [`Refused::Missing`] where nothing is asked about it, or [`Refused`] for a moment that cannot be meant.
pub async fn answer(session: &mut Session, object: &str, since: Since) -> Result<Time, Refused> {
    let (workspace, mode, now) = (session.workspace, session.mode, session.now);
    let open = questions::open(&mut session.tx, workspace, mode, Some(object), 1000).await?;
    let Some(first) = open.first() else {
        return Err(Refused::Missing(format!("nothing is asked about {object:?}: see `backfill questions`")));
    };
    let shown = last_shown(session, object).await?;
    let Some(stated) = shown.as_deref().and_then(|shown| serde_json::from_str::<Stated>(shown.get()).ok()) else {
        return Err(Refused::Missing(format!("what was fetched of {object} is not there any more: fetch it again")));
    };
    let seen = open.iter().map(questions::Question::counted_from).min().unwrap_or_else(|| first.counted_from());
    let at = match since {
        Since::At(at) if at > now => return Err(Refused::invalid("since", "lies in the future")),
        Since::At(at) => at,
        Since::Seen => seen,
        Since::Created => stated
            .created
            .and_then(|seconds| Time::from_timestamp(seconds, 0))
            .ok_or_else(|| Refused::invalid("since", "Stripe does not say when this was made: name a day"))?,
    };
    let kind = if object.starts_with("cus_") { Kind::Customer } else { Kind::Subscription };
    let body = to_raw_value(&stated).ok().and_then(|stated| state(kind, &stated, at, mode == Mode::Live));
    let body = body.ok_or_else(|| Refused::invalid("object", "expected a customer or a subscription"))?;
    enter(session, &body).await?;
    let author = session.author.clone();
    let answered = questions::answer(&mut session.tx, (workspace, mode), object, at, &author, now).await?;
    let after = json!({ "since": at, "questions": answered, "mode": mode.as_str() });
    session.audit(("question.answered", "question"), object, None, Some(after)).await?;
    Ok(at)
}

/// An object as it was fetched last.
async fn last_shown(session: &mut Session, object: &str) -> Result<Option<Box<RawValue>>, StoreError> {
    let stored = events::fetched_of(&mut session.tx, session.workspace, session.mode, object).await?;
    let bodies = stored.iter().filter_map(|event| {
        let body = payload::unpack(&event.payload, event.payload_codec).ok()?;
        serde_json::from_slice::<EventBody>(&body).ok()
    });
    Ok(bodies.max_by_key(|body| body.fetched_at).map(|body| body.data.object))
}

/// Puts an event of our own making into the inbox, in the session's transaction.
async fn enter(session: &mut Session, body: &[u8]) -> Result<(), Refused> {
    let envelope = crate::stripe::envelope(body).map_err(|error| Refused::invalid("object", error.to_string()))?;
    let (payload, codec) = payload::pack(body);
    let event = NewEvent {
        workspace: session.workspace,
        id: envelope.id,
        shape: envelope.shape,
        mode: Mode::of(envelope.livemode),
        kind: envelope.type_,
        created: envelope.created,
        received: session.now,
        source: Source::Lookup,
        ignored: None,
        payload,
        codec,
    };
    events::insert(&mut session.tx, &[event]).await?;
    Ok(())
}
