//! A message as it goes over the wire: headers that nobody can add to, text twice, and files byte for byte.

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, Date, HeaderName, HeaderValue, MessageId};
use lettre::message::{Attachment as Attached, Body, Mailbox, Message as Built, MultiPart, SinglePart};
use url::Host;

use super::one_line;
use crate::domain::Time;
use crate::domain::terms::MailSettings;
use crate::statements::mail::MailContent;

/// Why a message cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Nobody said who sends mail.
    #[error("no sender is set: set `from` under [workspace.mail], such as \"Acme Partners <partners@acme.example>\"")]
    NoSender,
    /// Nobody said who gets what is tried out.
    #[error("mail of the test book goes to the owner, and none is set: set `owner` under [workspace.mail]")]
    NoOwner,
    /// A setting is no address.
    #[error("the setting `mail.{0}` holds no e-mail address")]
    Setting(&'static str),
    /// The partner's address is none.
    #[error("the address it is to go to is no e-mail address")]
    Recipient,
    /// What was attached has a type that is none.
    #[error("the attachment {0:?} has no valid content type")]
    Attachment(String),
    /// The library refused.
    #[error("the message cannot be put together: {0}")]
    Other(String),
}

/// Who sends mail, read from the settings.
#[derive(Debug, Clone)]
pub struct Sender {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    bounce: Address,
    list_id: Option<String>,
}

impl Sender {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`MessageError::NoSender`], [`MessageError::Setting`].
    pub fn of(settings: &MailSettings) -> Result<Self, MessageError> {
        let from = settings.from.as_deref().ok_or(MessageError::NoSender)?;
        let from = mailbox(from).ok_or(MessageError::Setting("from"))?;
        let named = |text: &Option<String>, name| {
            text.as_deref().map(|text| mailbox(text).ok_or(MessageError::Setting(name))).transpose()
        };
        let bounce = named(&settings.bounce, "bounce")?.map_or_else(|| from.email.clone(), |bounce| bounce.email);
        let list_id = settings.list_id.as_deref().map(|id| one_line(id).trim_matches(['<', '>']).to_owned());
        Ok(Self { reply_to: named(&settings.reply_to, "reply_to")?, bounce, list_id, from })
    }

    /// The `Message-ID` of a mail, with its angle brackets.
    pub fn message_id(&self, mail_id: &str) -> String {
        format!("<{mail_id}@{}>", self.from.email.domain())
    }
}

/// Whom a message is for, and when it was written.
#[derive(Debug, Clone, Copy)]
pub struct Addressed<'a> {
    /// `mail_…`
    pub mail_id: &'a str,
    /// With its angle brackets.
    pub message_id: &'a str,
    /// The address.
    pub recipient: &'a str,
    /// Whose it is.
    pub name: Option<&'a str>,
    /// Whether it is one of the list's: mail to partners is, the owner's is not.
    pub is_listed: bool,
    /// When it was queued.
    pub at: Time,
}

/// A message and its envelope.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who hears of what cannot be delivered.
    pub from: Address,
    /// Whom it goes to.
    pub to: Address,
    /// Headers and body, lines ended by CR LF, nothing but ASCII.
    pub bytes: Vec<u8>,
}

/// Makes a message; the same content and addresses always make the same bytes.
///
/// # Errors
/// [`MessageError`].
pub fn build(content: &MailContent, sender: &Sender, to: &Addressed<'_>) -> Result<Message, MessageError> {
    let envelope_to = address(to.recipient).ok_or(MessageError::Recipient)?;
    let name = to.name.map(one_line).filter(|name| !name.is_empty());
    let recipient = Mailbox::new(name, envelope_to.clone());
    let mut builder = Built::builder()
        .header(Date::new(to.at.into()))
        .from(sender.from.clone())
        .to(recipient)
        .subject(one_line(&content.subject))
        .header(MessageId::from(to.message_id.to_owned()));
    if let Some(reply_to) = &sender.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    if let Some(list_id) = sender.list_id.as_ref().filter(|_| to.is_listed) {
        builder = builder.raw_header(raw("List-Id", format!("<{list_id}>")));
    }
    builder = builder.raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
    let message = builder.multipart(parts(content, to.mail_id)?);
    let message = message.map_err(|error| MessageError::Other(error.to_string()))?;
    Ok(Message { from: sender.bounce.clone(), to: envelope_to, bytes: message.formatted() })
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// `multipart/mixed(multipart/alternative(text, html), files…)`; without files the inner one alone.
fn parts(content: &MailContent, mail_id: &str) -> Result<MultiPart, MessageError> {
    let both = MultiPart::alternative()
        .boundary(format!("=_{mail_id}_text"))
        .singlepart(SinglePart::plain(content.text.clone()))
        .singlepart(SinglePart::html(content.html.clone()));
    if content.attachments.is_empty() {
        return Ok(both);
    }
    let mut mixed = MultiPart::mixed().boundary(format!("=_{mail_id}")).multipart(both);
    for file in &content.attachments {
        let name = one_line(&file.name);
        let kind = ContentType::parse(file.content_type).map_err(|_| MessageError::Attachment(name.clone()))?;
        // Any other encoding may end lines anew on the way.
        let body = Body::new_with_encoding(file.bytes.clone(), ContentTransferEncoding::Base64);
        let body = body.map_err(|_| MessageError::Attachment(name.clone()))?;
        mixed = mixed.singlepart(Attached::new(name).body(body, kind));
    }
    Ok(mixed)
}

/// Reads `Acme Partners <partners@acme.example>`, or an address alone.
fn mailbox(text: &str) -> Option<Mailbox> {
    let text = one_line(text);
    let Some((name, rest)) = text.rsplit_once('<') else { return Some(Mailbox::new(None, address(&text)?)) };
    let name = name.trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).replace("\\\"", "\"");
    Some(Mailbox::new(Some(name).filter(|name| !name.is_empty()), address(rest.strip_suffix('>')?)?))
}

/// Reads an address alone. A host outside ASCII is written as the DNS has it.
fn address(text: &str) -> Option<Address> {
    let (user, host) = text.trim().rsplit_once('@')?;
    let host = match Host::parse(host).ok()? {
        Host::Domain(domain) => domain,
        Host::Ipv4(_) | Host::Ipv6(_) => host.to_owned(),
    };
    Address::new(user, host).ok().filter(|address| one_line(address.as_ref()) == AsRef::<str>::as_ref(address))
}

/// Whether a text is an address that mail can be sent to.
pub fn is_address(text: &str) -> bool {
    address(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::mail::Attachment;

    fn settings() -> MailSettings {
        MailSettings {
            from: Some("Acme, Partners <partners@acme.example>".to_owned()),
            reply_to: Some("help@acme.example".to_owned()),
            bounce: Some("bounces@acme.example".to_owned()),
            list_id: Some("partners.acme.example".to_owned()),
            ..MailSettings::default()
        }
    }

    fn content() -> MailContent {
        MailContent {
            subject: "Your statement for October 2026: 1 250,00 €".to_owned(),
            html: format!("<!doctype html>\n<p>Grüße</p>\n<style>{}</style>\n", "a{color:red}".repeat(100)),
            text: "Earned 1 250,00 €\n\n.\n..dots\nFrom here on\n".to_owned(),
            attachments: vec![Attachment {
                name: "statement-2026-10.csv".to_owned(),
                content_type: "text/csv; charset=utf-8",
                bytes: b"date,amount\n2026-10-01,1.00\r\n\xff\x00".to_vec(),
            }],
        }
    }

    fn to<'a>(recipient: &'a str, name: Option<&'a str>) -> Addressed<'a> {
        let at = "2026-11-03T08:00:00Z".parse().unwrap();
        Addressed { mail_id: "mail_1", message_id: "<mail_1@acme.example>", recipient, name, is_listed: true, at }
    }

    fn built(content: &MailContent, to: &Addressed<'_>) -> String {
        let message = build(content, &Sender::of(&settings()).unwrap(), to).unwrap();
        String::from_utf8(message.bytes).unwrap()
    }

    #[test]
    fn a_message_is_the_same_each_time_and_every_line_is_short() {
        let to = to("ann@acme.example", Some("Ann \"The\" Lee, Jörg & Co."));
        let message = built(&content(), &to);
        assert_eq!(message, built(&content(), &to));
        assert!(message.is_ascii());
        for line in message.split("\r\n") {
            assert!(line.len() <= 998 && !line.contains('\r') && !line.contains('\n'), "{line}");
        }
        insta::assert_snapshot!(message.replace("\r\n", "\n"));
    }

    #[test]
    fn nobody_adds_a_header() {
        let evil = "Evil\r\nBcc: all@acme.example\r\n\r\n<b>\u{0}";
        let mut content = content();
        content.subject = evil.to_owned();
        content.attachments[0].name = format!("{evil}\"; x=\"y.csv");
        let message = built(&content, &to("ann@acme.example", Some(evil)));
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = headers
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .collect();
        let expected = [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Reply-To",
            "List-Id",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expected);
        assert!(!message.contains("\nBcc"), "{message}");
        for recipient in
            ["ann@acme.example\r\nRCPT TO:<bob@acme.example>", "ann", "<ann@acme.example>, bob@acme.example"]
        {
            assert_eq!(
                build(&content, &Sender::of(&settings()).unwrap(), &to(recipient, None)).unwrap_err(),
                MessageError::Recipient,
                "{recipient}"
            );
        }
    }

    #[test]
    fn hosts_are_written_as_the_dns_has_them() {
        let message = build(&content(), &Sender::of(&settings()).unwrap(), &to("ann@bücher.example", None)).unwrap();
        assert_eq!(message.to.to_string(), "ann@xn--bcher-kva.example");
        assert_eq!(message.from.to_string(), "bounces@acme.example");
    }

    #[test]
    fn the_owners_mail_is_no_lists() {
        let owner = Addressed { is_listed: false, ..to("boss@acme.example", None) };
        assert!(!built(&content(), &owner).contains("List-Id"));
    }

    #[test]
    fn settings_that_are_no_addresses_are_named() {
        assert_eq!(Sender::of(&MailSettings::default()).unwrap_err(), MessageError::NoSender);
        let wrong = MailSettings { bounce: Some("nobody".to_owned()), ..settings() };
        assert_eq!(Sender::of(&wrong).unwrap_err(), MessageError::Setting("bounce"));
    }
}
