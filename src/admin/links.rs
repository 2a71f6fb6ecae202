//! Links: made, led elsewhere, switched off and on.

use serde_json::{Value, json};
use url::{Host, Url};

use super::evidence::{self, impersonal};
use super::{Refused, Session};
use crate::domain::terms::Status;
use crate::program::valid;
use crate::store::links::{self, Link};

/// How long a link's name may be, in characters.
pub const LONGEST_LINK: usize = 64;
/// How long a target may be, in characters.
pub const LONGEST_TARGET: usize = 2000;
/// How long a name is that nobody chose: forty random bits.
const GENERATED: usize = 10;
/// How often a name that is taken is drawn anew.
const DRAWS: usize = 4;

/// A link to make.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// What its address ends with; a short random text when `None`.
    pub link: Option<&'a str>,
    /// Whose clicks it records.
    pub partner: &'a str,
    /// Under which program.
    pub program: Option<&'a str>,
    /// Where it leads.
    pub target: &'a str,
}

/// What is to change about a link.
#[derive(Debug, Clone, Default)]
pub struct LinkChange<'a> {
    /// Where it leads.
    pub target: Option<&'a str>,
    /// `active` or `inactive`.
    pub status: Option<&'a str>,
}

/// Makes a link.
///
/// # Errors
/// [`Refused::Invalid`], `link_taken`, or the database's.
pub async fn create(session: &mut Session, new: &NewLink<'_>) -> Result<Link, Refused> {
    let named = new.link.map(name).transpose()?;
    let target = target(new.target).map_err(|why| Refused::invalid("target", why))?;
    let terms = session.terms().await?;
    let mut link = Link {
        link_id: session.ids.next("lnk"),
        link: String::new(),
        partner: evidence::partner(&terms, new.partner)?,
        program: evidence::program(&terms, new.program)?,
        target: target.into(),
        status: Status::Active,
        created_at: session.now,
    };
    for _ in 0..DRAWS {
        link.link = named.clone().map_or_else(|| draw(session), Ok)?;
        if links::insert(&mut session.tx, session.workspace, &link).await? {
            session.audit(("link.created", "link"), &link.link, None, Some(shown(&link))).await?;
            return Ok(link);
        }
        if named.is_some() {
            break;
        }
    }
    Err(Refused::conflict("link_taken", format!("there is a link {:?} already: choose another name", link.link)))
}

/// One link.
///
/// # Errors
/// [`Refused::Missing`], or the database's.
pub async fn find(session: &mut Session, link: &str) -> Result<Link, Refused> {
    let missing = || Refused::Missing(format!("there is no link {:?}", impersonal(link)));
    links::find(&mut session.tx, session.workspace, link).await?.ok_or_else(missing)
}

/// Changes a link; what it is afterwards.
///
/// # Errors
/// [`Refused::Invalid`], or the database's: a collision if somebody else changed it meanwhile.
pub async fn update(session: &mut Session, before: &Link, change: &LinkChange<'_>) -> Result<Link, Refused> {
    let mut after = before.clone();
    if let Some(text) = change.target {
        after.target = target(text).map_err(|why| Refused::invalid("target", why))?.into();
    }
    if let Some(status) = change.status {
        after.status = valid::status(status).map_err(|why| Refused::invalid("status", why))?;
    }
    if after != *before {
        links::update(&mut session.tx, session.workspace, before, &after).await?;
        session.audit(("link.updated", "link"), &after.link, Some(shown(before)), Some(shown(&after))).await?;
    }
    Ok(after)
}

/// A name that an address can end with.
fn name(text: &str) -> Result<String, Refused> {
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if (1..=LONGEST_LINK).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(Refused::invalid("link", format!("expected 1 to {LONGEST_LINK} of the characters A-Z, a-z, 0-9, _ and -")))
}

fn draw(session: &Session) -> Result<String, Refused> {
    let chance = session.ids.secret().map_err(|error| Refused::conflict("no_randomness", error.to_string()))?;
    Ok(chance[chance.len() - GENERATED..].to_owned())
}

/// An address that visitors may be led to. What is wrong with it is said without repeating it: it may hold a password.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub fn target(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let example = "expected a whole address such as https://shop.example/pricing";
    if text.chars().count() > LONGEST_TARGET {
        return Err(format!("is longer than {LONGEST_TARGET} characters"));
    }
    if text.chars().any(|character| character.is_control() || character.is_whitespace() || character == '\\') {
        return Err(format!("holds white space, a backslash or a control character: {example}"));
    }
    let url = Url::parse(text).map_err(|error| format!("is no address ({error}): {example}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password, which every visitor would see: leave it out".to_owned());
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err("is not encrypted: expected https (http is for localhost alone)".to_owned()),
        _ => Err(format!("does not begin with https: {example}")),
    }
}

fn shown(link: &Link) -> Value {
    json!({
        "link": link.link, "partner_key": link.partner, "program": link.program, "target": link.target,
        "status": link.status(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_led_to_whole_encrypted_addresses() {
        for good in [
            "https://shop.example",
            " https://shop.example/a?b=c#d ",
            "http://localhost:3000/x",
            "http://127.0.0.1/",
            "http://[::1]:8080/",
            "https://bücher.example/",
        ] {
            assert!(target(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/pricing",
            "//shop.example",
            "shop.example",
            "http://shop.example",
            "http://localhost.shop.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://shop.example",
            "https://",
            "https://ann:secret@shop.example",
            "https://ann@shop.example",
            "https:\\\\shop.example",
            "https://shop.example/a b",
            "https://shop.example/\r\nSet-Cookie:x",
            &format!("https://shop.example/{}", "x".repeat(2000)),
        ] {
            let why = target(bad).unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn names_fit_into_addresses() {
        for good in ["a", "Summer_2026-x", &"x".repeat(64)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", "a.b", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
