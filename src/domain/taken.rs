//! What was taken back from a payment, and when: refunds by id and by cumulative figure, disputes, credit notes, voiding.

use super::Time;
use super::history::{ChargeMoney, Moment, Payment, RefundMoney};

/// What was taken back from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// From when.
    pub at: Time,
    /// Taken back in all, minor units, 0 to what was paid.
    pub taken: i64,
    /// The part of it that disputes alone take.
    pub disputed: i64,
    /// The event that changed it.
    pub event_id: String,
    /// What changed it.
    pub reason: &'static str,
}

/// How much was taken back over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Changes up to now, in order; nothing was taken before the first.
    pub levels: Vec<Level>,
    /// The next moment at which time alone changes it.
    pub next_change_at: Option<Time>,
}

impl Taken {
    /// Taken back by now.
    pub fn now(&self) -> i64 {
        self.levels.last().map_or(0, |level| level.taken)
    }

    /// Whether all of `paid` was taken back at any time: then the payment's place goes to the next, for good.
    pub fn was_full(&self, paid: i64) -> bool {
        self.full_since(paid).is_some()
    }

    /// When all of `paid` was taken back first.
    pub fn full_since(&self, paid: i64) -> Option<Time> {
        self.levels.iter().find(|level| level.taken >= paid).map(|level| level.at)
    }
}

/// A moment at which something changes.
struct Change<'a> {
    at: Time,
    event_id: &'a str,
    reason: &'static str,
}

/// What was taken back from `payment` (of which `paid` was received) up to `now`, refunds counting `delay_seconds` after
/// they were made.
pub fn taken(payment: &Payment, paid: i64, delay_seconds: i64, now: Time) -> Taken {
    if payment.charges.is_empty() && payment.notes.is_empty() && payment.voided.is_none() {
        return Taken::default();
    }
    let delay = Delay(delay_seconds);
    let mut changes = changes(payment, delay);
    changes.sort_by(|a, b| (a.at, a.event_id).cmp(&(b.at, b.event_id)));
    let mut taken = Taken::default();
    for change in changes {
        if change.at > now {
            taken.next_change_at = Some(change.at);
            break;
        }
        let (total, disputed) = level_at(payment, paid, delay, change.at);
        if total == taken.now() {
            continue;
        }
        let at = change.at.max(payment.paid_at);
        taken.levels.push(Level {
            at,
            taken: total,
            disputed,
            event_id: change.event_id.to_owned(),
            reason: change.reason,
        });
    }
    taken
}

#[derive(Clone, Copy)]
struct Delay(i64);

impl Delay {
    fn after(self, at: Time) -> Time {
        at.checked_add_signed(chrono::TimeDelta::seconds(self.0)).unwrap_or(at)
    }
}

fn changes(payment: &Payment, delay: Delay) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    for charge in &payment.charges {
        for refund in &charge.refunds {
            if let Some(event_id) = &refund.succeeded {
                changes.push(Change { at: delay.after(refund.created), event_id, reason: "refund" });
            }
            changes.extend(refund.ended.as_ref().map(|ended| at_once(ended, "refund_failed")));
        }
        for (moment, _) in &charge.figures {
            changes.push(Change { at: delay.after(moment.at), event_id: &moment.event_id, reason: "refund" });
        }
        for dispute in &charge.disputes {
            changes.extend(dispute.taken.as_ref().map(|taken| at_once(taken, "dispute")));
            changes.extend(dispute.returned.as_ref().map(|returned| at_once(returned, "dispute_returned")));
        }
    }
    for note in payment.notes.iter().filter(|note| note.amount > 0) {
        let created = &note.created;
        changes.push(Change { at: delay.after(created.at), event_id: &created.event_id, reason: "credit_note" });
        changes.extend(note.voided.as_ref().map(|voided| at_once(voided, "credit_note_voided")));
    }
    changes.extend(payment.voided.as_ref().map(|voided| at_once(voided, "voided")));
    changes
}

fn at_once<'a>(moment: &'a Moment, reason: &'static str) -> Change<'a> {
    Change { at: moment.at, event_id: &moment.event_id, reason }
}

/// What is taken at one moment, and the part that disputes take beyond refunds.
fn level_at(payment: &Payment, paid: i64, delay: Delay, at: Time) -> (i64, i64) {
    if payment.voided.as_ref().is_some_and(|voided| voided.at <= at) {
        return (paid, 0);
    }
    let mut refunded: i64 = 0;
    let mut total: i64 = 0;
    for charge in &payment.charges {
        let limit = if charge.captured > 0 { charge.captured } else { paid };
        let refunds = refunds_at(charge, delay, at).clamp(0, limit);
        let disputes = disputes_at(charge, limit, at);
        refunded = refunded.saturating_add(refunds);
        total = total.saturating_add(refunds.saturating_add(disputes).min(limit));
    }
    for note in &payment.notes {
        let stands = delay.after(note.created.at) <= at && note.voided.as_ref().is_none_or(|voided| voided.at > at);
        if stands {
            refunded = refunded.saturating_add(note.amount);
            total = total.saturating_add(note.amount);
        }
    }
    let total = total.clamp(0, paid);
    (total, total - refunded.clamp(0, total))
}

/// Refunds = the greater of what is known by id to stand and the highest cumulative figure less what is known to have
/// failed, been canceled or not left yet. Either source alone is enough, and both together count once.
fn refunds_at(charge: &ChargeMoney, delay: Delay, at: Time) -> i64 {
    let mut standing: i64 = 0;
    let mut not_taken: i64 = 0;
    for refund in &charge.refunds {
        let ended = refund.ended.as_ref().is_some_and(|ended| ended.at <= at);
        if refund.succeeded.is_none() || ended {
            not_taken = not_taken.saturating_add(refund.amount);
        } else if is_effective(refund, delay, at) {
            standing = standing.saturating_add(refund.amount);
        }
    }
    let figures = charge.figures.iter().filter(|(moment, _)| delay.after(moment.at) <= at);
    let highest = figures.map(|(_, amount)| *amount).max().unwrap_or(0);
    standing.max(highest.saturating_sub(not_taken))
}

fn is_effective(refund: &RefundMoney, delay: Delay, at: Time) -> bool {
    delay.after(refund.created) <= at
}

fn disputes_at(charge: &ChargeMoney, limit: i64, at: Time) -> i64 {
    let mut sum: i64 = 0;
    for dispute in &charge.disputes {
        let taken = dispute.taken.as_ref().is_some_and(|taken| taken.at <= at);
        let returned = dispute.returned.as_ref().is_some_and(|returned| returned.at <= at);
        if taken && !returned {
            sum = sum.saturating_add(dispute.amount.clamp(0, limit));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::BillingReason;
    use crate::domain::history::{DisputeMoney, NoteMoney, fold};
    use crate::domain::story::{Story, at};

    const HOUR: i64 = 3600;

    fn moment(when: &str) -> Moment {
        Moment { at: at(when), event_id: format!("evt_{when}") }
    }

    /// 1000 paid on 5 January with one charge, of which nothing was taken back.
    fn payment() -> Payment {
        let mut story = Story::default();
        story.pays("in_1", "2026-01-05", 1000, BillingReason::Manual).done();
        let mut payment = fold(&story.events).payments.remove(0);
        payment.charges = vec![ChargeMoney { captured: 1000, ..ChargeMoney::default() }];
        payment
    }

    fn refund(amount: i64, created: &str) -> RefundMoney {
        let succeeded = Some(format!("evt_{created}"));
        RefundMoney { id: format!("re_{created}"), amount, created: at(created), succeeded, ended: None }
    }

    /// What is taken back at each of these moments, and how much of that by disputes.
    fn levels(payment: &Payment, moments: &[&str]) -> Vec<(i64, i64)> {
        let at_each = moments.iter().map(|now| taken(payment, 1000, HOUR, at(now)));
        at_each.map(|taken| taken.levels.last().map_or((0, 0), |level| (level.taken, level.disputed))).collect()
    }

    fn next_change(payment: &Payment, now: &str) -> Option<Time> {
        taken(payment, 1000, HOUR, at(now)).next_change_at
    }

    #[test]
    fn a_refund_counts_from_its_delay_until_it_fails() {
        let mut payment = payment();
        payment.charges[0].refunds =
            vec![RefundMoney { ended: Some(moment("2026-01-09T00:00:00Z")), ..refund(400, "2026-01-06T00:00:00Z") }];
        let moments = ["2026-01-06T00:59:59Z", "2026-01-06T01:00:00Z", "2026-01-08T23:59:59Z", "2026-01-09T00:00:00Z"];
        assert_eq!(levels(&payment, &moments), [(0, 0), (400, 0), (400, 0), (0, 0)]);
        assert_eq!(next_change(&payment, "2026-01-06T00:59:59Z"), Some(at("2026-01-06T01:00:00Z")));
        assert_eq!(next_change(&payment, "2026-01-06T01:00:00Z"), Some(at("2026-01-09T00:00:00Z")));
        assert_eq!(next_change(&payment, "2026-01-09T00:00:00Z"), None);
    }

    #[test]
    fn of_a_figure_what_did_not_stand_is_left_out() {
        let mut payment = payment();
        payment.charges[0].figures = vec![(moment("2026-01-06T00:00:00Z"), 300), (moment("2026-01-07T00:00:00Z"), 500)];
        let pending = RefundMoney { succeeded: None, ..refund(120, "2026-01-06T00:00:00Z") };
        let failed = RefundMoney { ended: Some(moment("2026-01-10T00:00:00Z")), ..refund(80, "2026-01-07T00:00:00Z") };
        payment.charges[0].refunds = vec![pending, failed];
        let moments = ["2026-01-06T00:59:59Z", "2026-01-06T01:00:00Z", "2026-01-07T01:00:00Z", "2026-01-10T00:00:00Z"];
        // 300 − 120, 500 − 120, 500 − 120 − 80.
        assert_eq!(levels(&payment, &moments), [(0, 0), (180, 0), (380, 0), (300, 0)]);
    }

    #[test]
    fn a_dispute_takes_at_once_until_it_is_given_back_and_never_more_than_the_charge() {
        let mut payment = payment();
        payment.charges[0].refunds = vec![refund(300, "2026-01-06T00:00:00Z")];
        payment.charges[0].disputes = vec![DisputeMoney {
            id: "dp_1".to_owned(),
            amount: 1000,
            taken: Some(moment("2026-01-08T00:00:00Z")),
            returned: Some(moment("2026-01-20T00:00:00Z")),
        }];
        let moments = ["2026-01-07T23:59:59Z", "2026-01-08T00:00:00Z", "2026-01-19T23:59:59Z", "2026-01-20T00:00:00Z"];
        assert_eq!(levels(&payment, &moments), [(300, 0), (1000, 700), (1000, 700), (300, 0)]);
        payment.charges[0].disputes[0].taken = None;
        assert_eq!(levels(&payment, &["2026-01-10T00:00:00Z", "2026-01-21T00:00:00Z"]), [(300, 0), (300, 0)]);
    }

    #[test]
    fn a_charge_gives_back_no_more_than_it_took_and_an_unknown_one_no_more_than_was_paid() {
        let mut payment = payment();
        payment.charges[0] =
            ChargeMoney { captured: 400, refunds: vec![refund(900, "2026-01-06T00:00:00Z")], ..ChargeMoney::default() };
        assert_eq!(levels(&payment, &["2026-01-07T00:00:00Z"]), [(400, 0)]);
        payment.charges[0].captured = 0;
        assert_eq!(levels(&payment, &["2026-01-07T00:00:00Z"]), [(900, 0)]);
        payment.charges[0].refunds[0].amount = 5000;
        assert_eq!(levels(&payment, &["2026-01-07T00:00:00Z"]), [(1000, 0)]);
    }

    #[test]
    fn a_credit_note_counts_from_its_delay_until_it_is_voided() {
        let note = |id: &str, amount, voided: Option<&str>| NoteMoney {
            id: id.to_owned(),
            amount,
            created: moment("2026-01-06T00:00:00Z"),
            voided: voided.map(moment),
        };
        let mut payment = payment();
        payment.charges.clear();
        payment.notes = vec![note("cn_1", 250, Some("2026-01-09T00:00:00Z")), note("cn_2", 100, None)];
        let moments = ["2026-01-06T00:59:59Z", "2026-01-06T01:00:00Z", "2026-01-08T23:59:59Z", "2026-01-09T00:00:00Z"];
        assert_eq!(levels(&payment, &moments), [(0, 0), (350, 0), (350, 0), (100, 0)]);
        // One that gave nothing back outside of Stripe is nothing to wait for.
        payment.notes = vec![note("cn_3", 0, Some("2026-01-09T00:00:00Z"))];
        assert_eq!(taken(&payment, 1000, HOUR, at("2026-01-05")), Taken::default());
    }

    #[test]
    fn voiding_takes_all_from_its_moment_on() {
        let mut payment = payment();
        payment.charges.clear();
        payment.voided = Some(moment("2026-01-09T00:00:00Z"));
        let moments = ["2026-01-08T23:59:59Z", "2026-01-09T00:00:00Z"];
        assert_eq!(levels(&payment, &moments), [(0, 0), (1000, 0)]);
        let now = taken(&payment, 1000, HOUR, at("2026-02-01"));
        assert_eq!((now.now(), now.was_full(1000), now.was_full(1001)), (1000, true, false));
        assert_eq!((now.full_since(1000), now.full_since(1001)), (Some(at("2026-01-09")), None));
    }

    #[test]
    fn nothing_is_taken_back_before_it_was_paid() {
        let mut payment = payment();
        payment.charges[0].refunds = vec![refund(400, "2026-01-01T00:00:00Z")];
        let taken = taken(&payment, 1000, HOUR, at("2026-01-05"));
        assert_eq!(
            taken.levels.iter().map(|level| (level.at, level.taken)).collect::<Vec<_>>(),
            [(at("2026-01-05"), 400)]
        );
    }
}
