//! Mail: what happened is noted ([`note`]), notes and orders become mails in the outbox ([`queue`]), the outbox is sent
//! by SMTP ([`outbox`], [`smtp`]), each mail once.
//!
//! A mail is a row before anything is sent. It is claimed (one commit), handed to the server, and what the server said
//! is committed at once. A process that dies between the server's answer and that commit is the one case in which a mail
//! goes out twice: under the same `Message-ID`, by which the recipient's server can tell.

pub mod message;
pub mod note;
pub mod outbox;
pub mod queue;
pub mod rate;
pub mod render;
pub mod schedule;
pub mod smtp;
pub mod worker;

/// A text that may hold addresses, for logs: what stands before each `@` is left out.
pub fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        let is_of_address = |character: char| {
            character.is_alphanumeric() || (character.is_ascii_graphic() && !"<>()[],;:\"'".contains(character))
        };
        masked.push_str(before.trim_end_matches(is_of_address));
        masked.push_str("…@");
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// A text on one line, without what a terminal or a mail's header would obey.
pub(crate) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|character| if is_plain(character) { character } else { ' ' }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Neither a control character nor one that turns the direction of writing, which hides what a text says.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_name_no_mailbox() {
        for (text, shown) in [
            ("550 5.1.1 <ann.lee+x@acme.example>: no such user", "550 5.1.1 <…@acme.example>: no such user"),
            ("jörg@bücher.example, ann@acme.example", "…@bücher.example, …@acme.example"),
            ("nobody here", "nobody here"),
            ("@", "…@"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn what_is_one_line_stays_one() {
        assert_eq!(one_line("Acme\r\nBcc: all@acme.example"), "Acme Bcc: all@acme.example");
        assert_eq!(one_line(" a\u{0}b\u{202e}c\u{85}d\te "), "a b c d e");
    }
}
