//! The owner's summary of a month: what is paid, what is blocked and why, what is to do.

use askama::Template;

use super::super::local::Local;
use super::super::view::size;
use super::super::{Merchant, Reader, RenderError, words};
use super::text;
use super::{Frame, MailContent, Pair};
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;

/// How many partners are named for a reason; the rest is counted.
const MOST_NAMES: usize = 8;

/// A month that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthEnd {
    /// Which.
    pub month: Month,
    /// `draft`, `approved`, `paying` or `paid`.
    pub status: String,
    /// When it was closed.
    pub closed_at: Time,
    /// How many statements were frozen.
    pub statements: usize,
    /// What it pays, by currency of the ledger.
    pub totals: Vec<CurrencyTotal>,
    /// What it does not pay, by reason and currency.
    pub blocked: Vec<BlockedGroup>,
    /// Further things to do, a sentence each, such as why paying stands still.
    pub to_do: Vec<String>,
}

/// What a batch pays in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyTotal {
    /// Of the ledger.
    pub currency: Currency,
    /// How many payouts.
    pub payouts: usize,
    /// Their sum, minor units.
    pub amount: i64,
    /// How many are blocked.
    pub blocked: usize,
    /// What stays, minor units.
    pub kept: i64,
}

/// Payouts that are blocked for one reason, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedGroup {
    /// The reason, such as `no_method`.
    pub reason: String,
    /// Of the ledger.
    pub currency: Currency,
    /// How many.
    pub payouts: usize,
    /// What stays, minor units.
    pub amount: i64,
    /// Whose, as many as the caller likes to name.
    pub partners: Vec<String>,
}

#[derive(Template)]
#[template(path = "mail/month_end.html")]
struct Html<'a> {
    frame: &'a Frame,
    view: &'a View,
}

#[derive(Template)]
#[template(path = "mail/month_end.txt")]
struct Text<'a> {
    frame: &'a Frame,
    view: &'a View,
}

struct View {
    month: String,
    summary: String,
    summary_lines: Vec<String>,
    figures: Vec<Figure>,
    to_do: Vec<ToDo>,
    blocked: Vec<Group>,
}

struct Figure {
    amount: String,
    size: &'static str,
    what: String,
}

struct ToDo {
    what: String,
    command: Option<String>,
    lines: Vec<String>,
}

struct Group {
    title: String,
    amount: String,
    who: String,
    lines: Vec<String>,
}

/// Tells the owner how a month ended.
///
/// # Errors
/// Where the templates cannot be rendered, which no content is known to cause.
pub fn month_end(merchant: &Merchant, reader: &Reader, end: &MonthEnd) -> Result<MailContent, RenderError> {
    let local = Local::new(reader.locale.as_deref(), reader.time_zone);
    let month = local.month(end.month);
    let payouts: usize = end.totals.iter().map(|total| total.payouts).sum();
    let blocked: usize = end.totals.iter().map(|total| total.blocked).sum();
    let many = |count: usize, noun: &str| many(&local, count, noun);
    let paying = payouts > 0;
    let state = match end.status.as_str() {
        "paid" => "is paid",
        "paying" => "is being paid",
        "approved" => "is approved",
        _ if paying => "is closed and waits for approval",
        _ => "is closed",
    };
    let subject = format!("{month} {state}: {}, {blocked} blocked", many(payouts, "payout"));
    let summary = format!(
        "{month} was closed on {}. {} and {} were made; {} blocked.",
        local.day(end.closed_at),
        many(payouts, "payout"),
        many(end.statements, "statement"),
        if blocked == 1 { "1 payout is".to_owned() } else { format!("{} payouts are", local.count(blocked)) },
    );
    let view = View {
        summary_lines: text::wrap(&summary),
        figures: figures(end, &local),
        to_do: to_do(end, paying, &local),
        blocked: end.blocked.iter().map(|group| blocked_group(group, &local)).collect(),
        month: month.clone(),
        summary: summary.clone(),
    };
    let frame = Frame::new(merchant, &local, "Month end", subject, summary);
    let failed = RenderError::of("the mail of a month's end");
    Ok(MailContent {
        html: Html { frame: &frame, view: &view }.render().map_err(&failed)?,
        text: text::tidy(&Text { frame: &frame, view: &view }.render().map_err(&failed)?),
        subject: frame.subject,
        attachments: Vec::new(),
    })
}

fn many(local: &Local, count: usize, noun: &str) -> String {
    format!("{} {noun}{}", local.count(count), if count == 1 { "" } else { "s" })
}

fn figures(end: &MonthEnd, local: &Local) -> Vec<Figure> {
    let figure = |total: &CurrencyTotal| {
        let mut what = many(local, total.payouts, "payout");
        if total.blocked > 0 {
            let kept = local.money(total.kept, total.currency);
            what = format!("{what} · {} blocked, which keep {kept}", local.count(total.blocked));
        }
        let amount = local.money(total.amount, total.currency);
        Figure { size: size(&amount), amount, what }
    };
    end.totals.iter().map(figure).collect()
}

/// What is to do, by where the batch stands.
fn to_do(end: &MonthEnd, paying: bool, local: &Local) -> Vec<ToDo> {
    let mut list = Vec::new();
    let mut add = |what: String, command: Option<String>| {
        let number = local.count(list.len() + 1);
        let mut lines = text::wrap_to(&format!("{number}. {what}"), text::WIDTH);
        lines.extend(command.iter().map(|command| format!("   {command}")));
        list.push(ToDo { what, command, lines });
    };
    match end.status.as_str() {
        _ if !paying => {}
        "draft" => add(
            "Look at the payouts and approve them.".to_owned(),
            Some(format!("commission-bridge payouts approve {}", end.month)),
        ),
        "approved" => add(
            "Pay them, or export the files for your bank.".to_owned(),
            Some(format!("commission-bridge payouts pay {}", end.month)),
        ),
        _ => {}
    }
    for sentence in &end.to_do {
        add(sentence.clone(), None);
    }
    for group in &end.blocked {
        let words::Blocked { title, for_the_owner, .. } = words::blocked(&group.reason);
        if let Some(remedy) = for_the_owner {
            let kept = local.money(group.amount, group.currency);
            add(format!("{title} ({}, {kept}). {remedy}", many(local, group.payouts, "payout")), None);
        }
    }
    list
}

fn blocked_group(group: &BlockedGroup, local: &Local) -> Group {
    let words::Blocked { title, .. } = words::blocked(&group.reason);
    let amount = local.money(group.amount, group.currency);
    let named = group.partners.len().min(MOST_NAMES);
    let mut who = group.partners[..named].join(", ");
    if group.payouts > named {
        let more = local.count(group.payouts - named);
        who = if who.is_empty() { many(local, group.payouts, "partner") } else { format!("{who} and {more} more") };
    }
    let title = format!("{title} · {}", many(local, group.payouts, "payout"));
    let mut lines = text::sides(&title, &amount, text::WIDTH);
    lines.extend(text::wrap_to(&who, text::WIDTH - 2).into_iter().map(|line| format!("  {line}")));
    Group { title, amount, who, lines }
}

impl View {
    /// The currencies in a plain text.
    fn totals(&self) -> Vec<String> {
        let pairs: Vec<Pair> = self.figures.iter().map(|figure| Pair::new(&figure.what, &figure.amount)).collect();
        text::pairs(&pairs)
    }
}
