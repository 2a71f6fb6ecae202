//! A statement in words and local figures, as mail, text and page show it.

use chrono::Datelike;

use super::local::Local;
use super::words;
use crate::domain::calendar::Month;
use crate::domain::entry::{Component, EntryKind};
use crate::domain::statement::{Converted, Frozen, Held, Line, PayoutPart, Refused, Statement};

/// So many days of becoming available are listed by themselves.
const MOST_DAYS: usize = 4;

/// A statement as it is shown.
pub(super) struct View {
    pub(super) month: String,
    pub(super) partner: String,
    pub(super) hero: Hero,
    /// How large the figure may be, so that it fits a phone: `short`, `medium` or `long`.
    pub(super) size: &'static str,
    pub(super) blocked: Vec<Notice>,
    /// The six figures; the last is their sum.
    pub(super) figures: Vec<Pair>,
    /// What makes up the closing balance; the last is their sum.
    pub(super) parts: Vec<Pair>,
    /// When what is on hold becomes available.
    pub(super) held: Vec<Pair>,
    pub(super) rows: Vec<Row>,
    /// How many lines are not in `rows`.
    pub(super) more: usize,
    pub(super) refused: Vec<RefusedRow>,
    pub(super) refused_more: usize,
    pub(super) sha256: String,
    pub(super) previous: Option<String>,
    pub(super) statement_id: String,
    pub(super) cut_off: String,
    pub(super) currency: String,
}

/// The one figure that a reader looks for.
pub(super) struct Hero {
    pub(super) label: &'static str,
    pub(super) figure: String,
    pub(super) detail: Option<String>,
}

/// Why nothing is paid, and what to do.
pub(super) struct Notice {
    pub(super) title: &'static str,
    pub(super) why: String,
    pub(super) what_to_do: Option<&'static str>,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
    /// Whether it is a sum of those before.
    pub(super) is_sum: bool,
}

impl Pair {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), is_sum: false }
    }

    pub(super) fn sum(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { is_sum: true, ..Self::new(name, value) }
    }
}

/// A line.
pub(super) struct Row {
    pub(super) title: String,
    /// Date, customer, arithmetic, in one line.
    pub(super) detail: String,
    pub(super) date: String,
    pub(super) kind: String,
    pub(super) customer: String,
    pub(super) base: String,
    pub(super) rate: String,
    pub(super) note: String,
    pub(super) amount: String,
    pub(super) is_negative: bool,
    /// Until when it is on hold, where it is.
    pub(super) hold_until: Option<String>,
}

/// A payment that earned nothing.
pub(super) struct RefusedRow {
    pub(super) title: String,
    pub(super) date: String,
    pub(super) paid: String,
    pub(super) sentence: String,
}

impl View {
    /// With at most so many lines, and so many refused payments.
    pub(super) fn new(frozen: &Frozen, local: &Local, most: usize) -> Self {
        let statement = &frozen.statement;
        let shown = statement.lines.len().min(most);
        let refused_shown = statement.refused.len().min(most);
        let hero = hero(statement, local);
        Self {
            month: local.month(statement.month),
            partner: statement.partner_name.clone(),
            size: size(&hero.figure),
            hero,
            blocked: statement.payouts.iter().filter_map(|payout| notice(statement, payout, local)).collect(),
            figures: figures(statement, local),
            parts: parts(statement, local),
            held: held(statement, local),
            rows: statement.lines[..shown].iter().map(|line| row(statement, line, local)).collect(),
            more: statement.lines.len() - shown,
            refused: statement.refused[..refused_shown].iter().map(|one| refused(statement, one, local)).collect(),
            refused_more: statement.refused.len() - refused_shown,
            sha256: frozen.sha256.clone(),
            previous: statement.previous_sha256.clone(),
            statement_id: statement.statement.clone(),
            cut_off: local.day(statement.cut_off),
            currency: super::local::code(statement.currency),
        }
    }
}

/// By its length.
pub(super) fn size(figure: &str) -> &'static str {
    match figure.chars().count() {
        0..=13 => "short",
        14..=18 => "medium",
        _ => "long",
    }
}

fn hero(statement: &Statement, local: &Local) -> Hero {
    let paying: Vec<&PayoutPart> = statement.payouts.iter().filter(|payout| payout.amount > 0).collect();
    let money = |amount| local.money(amount, statement.currency);
    match paying.first() {
        Some(payout) => Hero {
            label: "To be paid out",
            figure: money(statement.to_be_paid),
            detail: Some(if paying.len() == 1 {
                how(statement, payout, local)
            } else {
                "in several payments".to_owned()
            }),
        },
        None => Hero { label: "Closing balance", figure: money(statement.closing), detail: None },
    }
}

/// `by Stripe to acct_…6789 · 1,040.00 EUR`
pub(super) fn how(statement: &Statement, payout: &PayoutPart, local: &Local) -> String {
    let mut how = super::capital(words::method(&payout.method));
    if let Some(destination) = &payout.destination {
        how = format!("{how} to {destination}");
    }
    if let Some(into) = &payout.converted {
        how = format!("{how}, as {}: {}", local.money(into.amount, into.currency), rate(local, statement, into));
    }
    how
}

/// `1 USD = 0.9123 EUR (ECB, 2 Nov 2026)`
fn rate(local: &Local, statement: &Statement, into: &Converted) -> String {
    super::rate(local, statement.currency, into)
}

fn notice(statement: &Statement, payout: &PayoutPart, local: &Local) -> Option<Notice> {
    if payout.amount != 0 {
        return None;
    }
    let reason = payout.reason.as_deref()?;
    let words::Blocked { title, why, what_to_do, .. } = words::blocked(reason);
    let why = match reason {
        "below_minimum" if payout.minimum > 0 => format!(
            "The balance is below the minimum payout of {}. It is kept until it is reached.",
            local.money(payout.minimum, statement.currency)
        ),
        _ => why.to_owned(),
    };
    Some(Notice { title, why, what_to_do })
}

fn figures(statement: &Statement, local: &Local) -> Vec<Pair> {
    let money = |amount| local.money(amount, statement.currency);
    vec![
        Pair::new("Opening balance", money(statement.opening)),
        Pair::new("Earned", money(statement.earned)),
        Pair::new("Taken back", money(negated(statement.reversed))),
        Pair::new("Adjusted", money(statement.adjusted)),
        Pair::new("Paid out", money(negated(statement.paid))),
        Pair::sum("Closing balance", money(statement.closing)),
    ]
}

/// `-0` is 0; the least number there is has no opposite.
fn negated(amount: i64) -> i64 {
    amount.checked_neg().unwrap_or(i64::MAX)
}

fn parts(statement: &Statement, local: &Local) -> Vec<Pair> {
    let money = |amount| local.money(amount, statement.currency);
    let mut parts = Vec::new();
    let is_blocked = statement.payouts.iter().any(|payout| payout.amount == 0);
    for (name, amount) in [
        ("This month's payout", statement.to_be_paid),
        (if is_blocked { "Kept for a later payout" } else { "Left for the next payout" }, statement.rolled_over),
        ("Not available yet", statement.held),
        ("In payouts of other months", statement.pending),
    ] {
        if amount != 0 {
            parts.push(Pair::new(name, money(amount)));
        }
    }
    if !parts.is_empty() {
        parts.push(Pair::sum("Closing balance", money(statement.closing)));
    }
    parts
}

/// Day by day where there are few, else month by month, which is how they are paid.
fn held(statement: &Statement, local: &Local) -> Vec<Pair> {
    let money = |amount| local.money(amount, statement.currency);
    if statement.on_hold.len() <= MOST_DAYS {
        let day = |held: &Held| Pair::new(local.date(held.until), money(held.amount));
        return statement.on_hold.iter().map(day).collect();
    }
    let same_month = |a: &Held, b: &Held| (a.until.year(), a.until.month()) == (b.until.year(), b.until.month());
    let month = |days: &[Held]| {
        let (first, last) = (days.first()?, days.last()?);
        let span = if first == last {
            local.date(first.until)
        } else {
            format!("{} to {}", local.date(first.until), local.date(last.until))
        };
        let sum: i128 = days.iter().map(|held| i128::from(held.amount)).sum();
        Some(Pair::new(span, money(i64::try_from(sum).ok()?)))
    };
    statement.on_hold.chunk_by(same_month).filter_map(month).collect()
}

fn row(statement: &Statement, line: &Line, local: &Local) -> Row {
    let date = local.day(line.date);
    let is_earned = line.kind == EntryKind::Accrual;
    let kind = match (is_earned, &line.payment_kind) {
        (true, Some(kind)) => words::payment_kind(kind).to_owned(),
        _ => String::new(),
    };
    let base = line.base.map(|base| local.money(base, statement.currency));
    let note = note(line, local);
    let arithmetic = match (&line.rate, &base) {
        (Some(rate), Some(base)) => format!("{rate} of {base}"),
        (Some(rate), None) => rate.clone(),
        _ => String::new(),
    };
    let customer = line.customer.clone().unwrap_or_default();
    let parts = [&date, &kind, &customer, &arithmetic, &note];
    let detail = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
    let holds = line.hold_until >= statement.period_end && line.kind != EntryKind::Payout;
    Row {
        title: words::title(line),
        detail,
        date,
        kind,
        customer,
        base: base.unwrap_or_default(),
        rate: line.rate.clone().unwrap_or_default(),
        note,
        amount: local.money(line.amount, statement.currency),
        is_negative: line.amount < 0,
        hold_until: holds.then(|| local.day(line.hold_until)),
    }
}

fn note(line: &Line, local: &Local) -> String {
    let month = || line.reason.as_deref().and_then(|month| month.parse::<Month>().ok()).map(|month| local.month(month));
    match (&line.note, line.kind, line.component) {
        (Some(note), ..) => note.clone(),
        (None, EntryKind::Payout | EntryKind::PayoutReturn, _) => {
            month().map(|of| format!("for {of}")).unwrap_or_default()
        }
        (None, EntryKind::Carry, _) => "less than can be paid out".to_owned(),
        (None, EntryKind::Accrual, Component::Level2) => "earned by a partner you brought".to_owned(),
        _ => String::new(),
    }
}

fn refused(statement: &Statement, one: &Refused, local: &Local) -> RefusedRow {
    RefusedRow {
        title: one.product.clone().unwrap_or_else(|| "Payment".to_owned()),
        date: local.day(one.date),
        paid: local.money(one.paid, statement.currency),
        sentence: one.sentence.clone(),
    }
}
