//! Partner statements: freezing them at the close, and how every mail and page to partners and owner looks.

pub mod draft;
pub mod freeze;
pub mod local;
pub mod mail;
pub mod page;
pub mod table;
mod view;
pub mod words;

use chrono_tz::Tz;

use crate::domain::currency::Currency;
use crate::domain::statement::Converted;
use crate::domain::terms::Terms;
use local::{Local, code};

pub use freeze::{FreezeContext, FreezeError, freeze};
pub use mail::{Attachment, MailContent};

/// A mail or page could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render {what}: {why}")]
pub struct RenderError {
    /// What.
    what: &'static str,
    /// Why.
    why: String,
}

impl RenderError {
    fn of(what: &'static str) -> impl Fn(askama::Error) -> Self {
        move |error| Self { what, why: error.to_string() }
    }
}

/// Who speaks in mails and on pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Their name.
    pub name: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Whether it is about the test book, which pays nothing.
    pub is_test: bool,
}

impl Merchant {
    /// From `[workspace.mail]`: the sender's display name, else the workspace's key.
    pub fn of(settings: &crate::domain::terms::MailSettings, workspace: &str, is_test: bool) -> Self {
        let from = settings.from.as_deref().map(str::trim).unwrap_or_default();
        let display = from.rsplit_once('<').map_or("", |(name, _)| name).trim().trim_matches('"').trim();
        let address = from.rsplit_once('<').map_or(from, |(_, address)| address.trim_end_matches('>')).trim();
        Self {
            name: if display.is_empty() { workspace } else { display }.to_owned(),
            reply_to: settings.reply_to.clone().or_else(|| (!address.is_empty()).then(|| address.to_owned())),
            is_test,
        }
    }
}

/// Whom a mail or page is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Their name.
    pub name: String,
    /// BCP 47 language tag by which money and dates are written; `en` where it is `None` or unknown.
    pub locale: Option<String>,
    /// The zone of the dates: the workspace's.
    pub time_zone: Tz,
}

/// With a capital letter.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// `1 USD = 0.9123 EUR (European Central Bank, 2 Nov 2026)`
fn rate(local: &Local, from: Currency, into: &Converted) -> String {
    let day = into.day.parse().map_or_else(|_| into.day.clone(), |day| local.date(day));
    format!("1 {} = {} {} ({}, {day})", code(from), local.plain(&into.rate), code(into.currency), into.source)
}

impl Reader {
    /// A partner, as the terms know them now.
    pub fn of(terms: &Terms, partner: &str) -> Self {
        let profile = terms.partners.get(partner).map(|partner| &partner.profile);
        let name = profile.map(|profile| profile.name.as_str()).filter(|name| !name.trim().is_empty());
        Self {
            name: name.unwrap_or(partner).to_owned(),
            locale: profile.and_then(|profile| profile.locale.clone()),
            time_zone: terms.current_settings().time_zone,
        }
    }
}
