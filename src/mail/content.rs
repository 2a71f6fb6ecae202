//! What a mail says, before it is a message.

/// A mail's text, twice, and what is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailContent {
    /// One line.
    pub subject: String,
    /// A whole HTML document.
    pub html: String,
    /// The same in plain text.
    pub text: String,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// A file that is attached; it arrives byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// `statement-2026-10.csv`
    pub name: String,
    /// `text/csv; charset=utf-8`
    pub content_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}
