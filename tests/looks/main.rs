//! How mails and pages look: as files (`target/looks`, to look at), as snapshots, and in a real browser on a phone's
//! width, in light and in dark.

#![allow(clippy::unwrap_used, reason = "a test may end where it stands")]

mod browser;
mod samples;

use std::path::PathBuf;

use insta::assert_snapshot;

use samples::{mails, pages};

/// Everything that a browser shows.
fn documents() -> Vec<(String, String)> {
    let mails = mails().into_iter().map(|(name, mail)| (format!("mail-{name}"), mail.html));
    mails.chain(pages()).collect()
}

/// Writes all of it into a directory, for whoever wants to look.
#[test]
fn they_can_be_looked_at() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("looks");
    std::fs::create_dir_all(&directory).unwrap();
    for (name, html) in documents() {
        std::fs::write(directory.join(format!("{name}.html")), html).unwrap();
    }
    for (name, mail) in mails() {
        let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
        std::fs::write(directory.join(format!("mail-{name}.txt")), text).unwrap();
        for attachment in mail.attachments {
            let file = format!("mail-{name}.{}", attachment.name.rsplit('.').next().unwrap());
            std::fs::write(directory.join(file), attachment.bytes).unwrap();
        }
    }
}

#[test]
fn texts() {
    for (name, mail) in mails() {
        insta::with_settings!({ snapshot_suffix => name.clone() }, {
            assert_snapshot!("text", format!("Subject: {}\n\n{}", mail.subject, mail.text));
        });
        for line in mail.text.lines() {
            let is_a_word = !line.trim().contains(' ');
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 72 || is_a_word, "{name}: {line}");
        }
        assert!(mail.text.ends_with('\n') && !mail.text.contains('\r'), "{name}");
    }
}

#[test]
fn documents_and_tables() {
    for (name, mail) in mails() {
        if !matches!(name.as_str(), "statement-usd" | "statement-dinar-arabic" | "statement-empty") {
            continue;
        }
        for attachment in mail.attachments {
            insta::with_settings!({ snapshot_suffix => format!("{name}-{}", attachment.name) }, {
                assert_snapshot!("attachment", String::from_utf8(attachment.bytes).unwrap());
            });
        }
    }
}

#[test]
fn html() {
    let shown =
        ["mail-statement-usd", "mail-action-needed", "mail-month-end", "mail-payout-sent-converted", "page-usd"];
    for (name, html) in documents().into_iter().filter(|(name, _)| shown.contains(&name.as_str())) {
        insta::with_settings!({ snapshot_suffix => name }, { assert_snapshot!("html", html) });
    }
}

#[test]
fn nothing_is_fetched_and_nothing_escapes() {
    for (name, html) in documents() {
        for word in ["<script", "<img", "url(", "@import", "<link", "javascript:", "<b>x</b>"] {
            assert!(!html.contains(word), "{name}: {word}");
        }
        assert!(html.len() < 100_000 || name == "page-many", "{name}: {} bytes: mail programs cut it", html.len());
    }
    let (_, failed) = mails().into_iter().find(|(name, _)| name == "payout-failed").unwrap();
    assert!(failed.html.contains("&#60;script&#62;") && failed.text.contains("<script>"));
}

#[test]
fn they_fit_a_phone_and_can_be_read_in_light_and_in_dark() {
    for scheme in [browser::Scheme::Light, browser::Scheme::Dark] {
        let faults = browser::faults(&documents(), scheme);
        assert!(faults.is_empty(), "{scheme:?}:\n{}", faults.join("\n"));
    }
}
