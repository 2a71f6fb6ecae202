//! Clicks: entered one by one, under ids that others chose or fresh ones.

use chrono::{SubsecRound as _, TimeDelta};

use super::evidence::Named;
use super::{Refused, Session};
use crate::domain::Time;
use crate::domain::decision::Click;
use crate::domain::evidence::{LONGEST_CLICK_ID, is_click_id};
use crate::ids::Ids;
use crate::store::{clicks, micros};

/// So far may the clock of whoever sends a click go ahead of this one.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// A click as it is asked for.
#[derive(Debug, Clone)]
pub struct NewClick {
    /// Its id; a fresh one when `None`.
    pub id: Option<String>,
    /// Whose it is.
    pub named: Named,
    /// When it was; now when `None`.
    pub clicked_at: Option<Time>,
}

impl NewClick {
    /// # Errors
    /// [`Refused::Invalid`] for `click_id` or `clicked_at`.
    pub fn new(id: Option<&str>, named: Named, clicked_at: Option<Time>, now: Time) -> Result<Self, Refused> {
        if clicked_at.is_some_and(|at| at > now + AHEAD) {
            return Err(Refused::invalid("clicked_at", "is in the future"));
        }
        Ok(Self { id: id.map(click_id).transpose()?, named, clicked_at })
    }

    /// The click itself.
    pub fn click(&self, now: Time) -> Click {
        Click {
            partner: self.named.partner.clone(),
            program: self.named.program.clone(),
            link: None,
            clicked_at: self.clicked_at.unwrap_or_else(|| moment(now)),
            entered_at: now,
        }
    }

    /// Its id, or a fresh one.
    pub fn id_or_fresh(&self, ids: &Ids) -> String {
        self.id.clone().unwrap_or_else(|| fresh_id(ids))
    }

    /// Refuses where another click is known under its id. Who did not say when it was asks for whenever it was.
    ///
    /// # Errors
    /// `click_known`.
    pub fn must_be(&self, kept: &Click) -> Result<(), Refused> {
        let is_same = self.named.partner == kept.partner
            && self.named.program == kept.program
            && self.clicked_at.is_none_or(|at| micros(at) == micros(kept.clicked_at));
        if is_same {
            return Ok(());
        }
        Err(Refused::conflict(
            "click_known",
            "a click with this click_id is known already, with another partner, program or time: nobody's click becomes \
             another's",
        ))
    }
}

/// The moment of evidence that comes now. Stripe tells times in whole seconds: a sale of this second comes after it.
pub fn moment(now: Time) -> Time {
    now.trunc_subsecs(0)
}

/// An id that nobody has seen yet.
pub fn fresh_id(ids: &Ids) -> String {
    ids.next("clk")
}

/// Enters a click; its id, the click as it is kept, and whether customers are due because of it.
///
/// # Errors
/// `click_known`, or the database's.
pub async fn enter(session: &mut Session, new: &NewClick) -> Result<(String, Click, bool), Refused> {
    let id = new.id_or_fresh(&session.ids);
    let click = new.click(session.now);
    let workspace = session.workspace;
    if new.id.is_none() {
        clicks::enter_fresh(&mut session.tx, workspace, &[(id.clone(), click.clone())]).await?;
        return Ok((id, click, false));
    }
    let one = [(id.clone(), click.clone())];
    let entered = clicks::enter(&mut session.tx, workspace, &one, &session.ids, session.now).await?;
    let kept = clicks::find(&mut session.tx, workspace, &id).await?.unwrap_or(click);
    new.must_be(&kept)?;
    Ok((id, kept, entered.wakes))
}

/// An id that metadata can carry.
pub(super) fn click_id(text: &str) -> Result<String, Refused> {
    let id = text.trim();
    if is_click_id(id) {
        return Ok(id.to_owned());
    }
    Err(Refused::invalid("click_id", format!("expected 1 to {LONGEST_CLICK_ID} characters without white space or @")))
}
