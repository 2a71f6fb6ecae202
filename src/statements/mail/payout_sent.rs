//! "Your payout is on its way."

use askama::Template;

use super::super::local::Local;
use super::super::view::size;
use super::super::{Merchant, Reader, RenderError, capital, rate, words};
use super::text;
use super::{Frame, MailContent, Pair};
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::statement::Converted;

/// A payout that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutSent {
    /// Whose month.
    pub month: Month,
    /// What the ledger booked, positive, in minor units of `currency`.
    pub amount: i64,
    /// Of the ledger.
    pub currency: Currency,
    /// What left instead, where it is in another currency.
    pub converted: Option<Converted>,
    /// `stripe`, `csv`, …
    pub method: String,
    /// Where to, in full or masked: it is masked here in any case.
    pub destination: Option<String>,
    /// What the partner sees on their account.
    pub reference: String,
    /// What the bank or service calls it.
    pub external_id: Option<String>,
    /// When it left.
    pub sent_at: Time,
}

#[derive(Template)]
#[template(path = "mail/payout_sent.html")]
struct Html<'a> {
    frame: &'a Frame,
    view: &'a View,
}

#[derive(Template)]
#[template(path = "mail/payout_sent.txt")]
struct Text<'a> {
    frame: &'a Frame,
    view: &'a View,
}

struct View {
    greeting: String,
    /// The same in lines.
    intro: Vec<String>,
    label: String,
    figure: String,
    size: &'static str,
    pairs: Vec<Pair>,
    lines: Vec<String>,
}

/// Tells a partner that their payout left.
///
/// # Errors
/// Where the templates cannot be rendered, which no content is known to cause.
pub fn payout_sent(merchant: &Merchant, reader: &Reader, sent: &PayoutSent) -> Result<MailContent, RenderError> {
    let local = Local::new(reader.locale.as_deref(), reader.time_zone);
    let left = sent.converted.as_ref().map_or((sent.amount, sent.currency), |into| (into.amount, into.currency));
    let figure = local.money(left.0, left.1);
    let month = local.month(sent.month);
    let subject = format!("Payout sent: {figure} for {month}");
    let how = words::method(&sent.method);
    let mut pairs = vec![Pair::new("For", month.clone()), Pair::new("Sent", local.day(sent.sent_at))];
    pairs.push(Pair::new("How", capital(how)));
    if let Some(destination) = &sent.destination {
        pairs.push(Pair::new("To", text::masked(destination)));
    }
    pairs.push(Pair::new("Reference", sent.reference.clone()));
    pairs.extend(sent.external_id.as_ref().map(|id| Pair::new("Transaction", id.clone())));
    if let Some(into) = &sent.converted {
        pairs.push(Pair::new("Commissions", local.money(sent.amount, sent.currency)));
        pairs.push(Pair::new("Exchange rate", rate(&local, sent.currency, into)));
    }
    let greeting = format!("Hello {}, your payout for {month} is on its way.", reader.name);
    let view = View {
        intro: text::wrap(&greeting),
        greeting,
        label: "Sent".to_owned(),
        size: size(&figure),
        figure,
        lines: text::pairs(&pairs),
        pairs,
    };
    let preheader = format!("Your payout for {month} is on its way {how}.");
    let frame = Frame::new(merchant, &local, "Payout", subject, preheader);
    let failed = RenderError::of("the mail of a payout");
    Ok(MailContent {
        html: Html { frame: &frame, view: &view }.render().map_err(&failed)?,
        text: text::tidy(&Text { frame: &frame, view: &view }.render().map_err(&failed)?),
        subject: frame.subject,
        attachments: Vec::new(),
    })
}
