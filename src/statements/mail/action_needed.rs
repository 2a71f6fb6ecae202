//! "Your payout needs something of you": it is blocked, it failed, or it came back.

use askama::Template;

use super::super::local::Local;
use super::super::view::size;
use super::super::{Merchant, Reader, RenderError, capital, words};
use super::text;
use super::{Frame, MailContent, Pair};
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;

/// A payout that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionNeeded {
    /// Whose month.
    pub month: Month,
    /// What waits, positive, in minor units of `currency`.
    pub amount: i64,
    /// Of the ledger.
    pub currency: Currency,
    /// What happened.
    pub trouble: Trouble,
    /// `stripe`, `csv`, …; `none` where it is not known.
    pub method: String,
    /// Where to, in full or masked: it is masked here in any case.
    pub destination: Option<String>,
    /// Where the partner can put it right, such as an onboarding link. Only `https` and `http` are linked.
    pub link: Option<String>,
}

/// Why it did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It was not sent: a reason of the payout, such as `no_method`.
    Blocked(String),
    /// It was sent and refused; what the bank or service said, if anything.
    Failed(Option<String>),
    /// It arrived and came back; what the bank or service said, if anything.
    Returned(Option<String>),
}

#[derive(Template)]
#[template(path = "mail/action_needed.html")]
struct Html<'a> {
    frame: &'a Frame,
    view: &'a View,
}

#[derive(Template)]
#[template(path = "mail/action_needed.txt")]
struct Text<'a> {
    frame: &'a Frame,
    view: &'a View,
}

struct View {
    greeting: String,
    /// The same in lines.
    intro: Vec<String>,
    title: String,
    why: String,
    what_to_do: Option<String>,
    link: Option<String>,
    button: &'static str,
    label: String,
    figure: String,
    size: &'static str,
    pairs: Vec<Pair>,
    lines: Vec<String>,
    wrapped: Vec<String>,
}

/// Tells a partner why their payout did not arrive, and what to do.
///
/// # Errors
/// Where the templates cannot be rendered, which no content is known to cause.
pub fn action_needed(merchant: &Merchant, reader: &Reader, needed: &ActionNeeded) -> Result<MailContent, RenderError> {
    let local = Local::new(reader.locale.as_deref(), reader.time_zone);
    let figure = local.money(needed.amount, needed.currency);
    let month = local.month(needed.month);
    let told = Told::of(&needed.trouble);
    let subject = format!("{}: {figure} for {month}", told.subject);
    let mut pairs = vec![Pair::new("For", month.clone())];
    if needed.method != "none" {
        pairs.push(Pair::new("How", capital(words::method(&needed.method))));
    }
    pairs.extend(needed.destination.as_ref().map(|to| Pair::new("To", text::masked(to))));
    pairs.extend(told.said.map(|said| Pair::new("What they said", said.to_owned())));
    let link = needed.link.clone().filter(|link| link.starts_with("https://") || link.starts_with("http://"));
    let what_to_do = told.what_to_do.map(ToOwned::to_owned);
    let mut wrapped = text::wrap(told.why);
    if let Some(what_to_do) = &what_to_do {
        wrapped.push(String::new());
        wrapped.extend(text::wrap(what_to_do));
    }
    let greeting = format!("Hello {}, your payout for {month} needs attention.", reader.name);
    let view = View {
        intro: text::wrap(&greeting),
        greeting,
        title: told.title.to_owned(),
        why: told.why.to_owned(),
        what_to_do,
        link,
        button: told.button,
        label: "Kept for you".to_owned(),
        size: size(&figure),
        figure,
        lines: text::pairs(&pairs),
        pairs,
        wrapped,
    };
    let frame = Frame::new(merchant, &local, "Payout", subject, told.why.to_owned());
    let failed = RenderError::of("the mail of a payout");
    Ok(MailContent {
        html: Html { frame: &frame, view: &view }.render().map_err(&failed)?,
        text: text::tidy(&Text { frame: &frame, view: &view }.render().map_err(&failed)?),
        subject: frame.subject,
        attachments: Vec::new(),
    })
}

struct Told<'a> {
    subject: &'static str,
    title: &'static str,
    why: &'static str,
    what_to_do: Option<&'static str>,
    said: Option<&'a str>,
    button: &'static str,
}

impl<'a> Told<'a> {
    fn of(trouble: &'a Trouble) -> Self {
        match trouble {
            Trouble::Blocked(reason) => {
                let words::Blocked { title, why, what_to_do, .. } = words::blocked(reason);
                let subject = if what_to_do.is_some() { "Action needed for your payout" } else { "Your payout waits" };
                Self { subject, title, why, what_to_do, said: None, button: "Complete your details" }
            }
            Trouble::Failed(said) => Self {
                subject: "Your payout failed",
                title: "The payout failed",
                why: "We sent your payout and it was refused. The money is back on your balance, and the next payout \
                      includes it.",
                what_to_do: Some("Please check your payout details and tell us if they have changed."),
                said: said.as_deref(),
                button: "Check your details",
            },
            Trouble::Returned(said) => Self {
                subject: "Your payout came back",
                title: "The payout came back",
                why: "Your payout was sent and came back. The money is back on your balance, and the next payout \
                      includes it.",
                what_to_do: Some("Please check your payout details and tell us if they have changed."),
                said: said.as_deref(),
                button: "Check your details",
            },
        }
    }
}
