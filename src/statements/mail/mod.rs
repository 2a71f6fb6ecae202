//! The mails: what goes in is plain data, what comes out is a subject, HTML, text and attachments. Nothing is fetched
//! and nothing is sent here.

mod action_needed;
mod month_end;
mod payout_sent;
mod statement;
mod text;

pub use action_needed::{ActionNeeded, Trouble, action_needed};
pub use month_end::{BlockedGroup, CurrencyTotal, MonthEnd, month_end};
pub use payout_sent::{PayoutSent, payout_sent};
pub use statement::statement;

use super::Merchant;
use super::local::Local;
use super::view::Pair;

/// A mail, but for who sends it to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailContent {
    /// One line.
    pub subject: String,
    /// `text/html; charset=utf-8`, complete, with nothing to fetch.
    pub html: String,
    /// `text/plain; charset=utf-8`, in lines of at most 72 columns where words allow it.
    pub text: String,
    /// In order.
    pub attachments: Vec<Attachment>,
}

/// A file that goes with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// ASCII, without a path.
    pub name: String,
    /// `text/csv; charset=utf-8`
    pub content_type: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What every mail has around its content.
#[derive(Debug, Clone)]
struct Frame {
    subject: String,
    /// What a list of mails shows beside the subject.
    preheader: String,
    /// What sort of mail it is.
    kicker: &'static str,
    merchant: String,
    is_test: bool,
    /// Where answers go, in a sentence.
    reply: String,
    /// `ltr` or `rtl`; and the sides on which lines start and end.
    dir: &'static str,
    start: &'static str,
    end: &'static str,
}

impl Frame {
    fn new(merchant: &Merchant, local: &Local, kicker: &'static str, subject: String, preheader: String) -> Self {
        let (dir, start, end) = if local.is_rtl() { ("rtl", "right", "left") } else { ("ltr", "left", "right") };
        let reply = match &merchant.reply_to {
            Some(address) => format!("Questions? Reply to this mail, or write to {address}."),
            None => "Questions? Reply to this mail.".to_owned(),
        };
        let subject = if merchant.is_test { format!("[Test] {subject}") } else { subject };
        // A subject is one line, whatever names hold.
        let subject = subject.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
        Self {
            subject,
            preheader,
            kicker,
            merchant: merchant.name.clone(),
            is_test: merchant.is_test,
            reply,
            dir,
            start,
            end,
        }
    }
}

impl Frame {
    fn reply_lines(&self) -> Vec<String> {
        text::wrap(&self.reply)
    }

    /// Who writes, at the top of a plain text.
    fn masthead(&self) -> Vec<String> {
        let test = if self.is_test { " (test book: no money moves)" } else { "" };
        text::wrap(&format!("{}{test}", self.merchant))
    }
}
