//! Statements by mail from outside: written as files, sent, killed while sending, refused.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::blackbox::{Home, events, lines};
use crate::smtp::MailServer;
use crate::{on_both_engines, shows};

on_both_engines!(
    statements_go_out_once,
    a_kill_while_sending_repeats_one_mail_at_most,
    two_commands_at_once_send_each_mail_once,
);

const PROGRAM: &str = r#"
[workspace.mail]
from = "Acme Partners <partners@shop.example>"
owner = "boss@shop.example"

[[program]]
key = "saas"
hold_days = 0
[[program.rule]]
percent = "20"

[[partner]]
key = "ann"
name = "Ann"
email = "ann@partner.example"
programs = ["saas"]
payout = { method = "csv" }

[[partner]]
key = "bob"
name = "Bob"
programs = ["saas"]
payout = { method = "csv" }

[[partner]]
key = "eve"
name = "Eve"
email = "refuse-rcpt@partner.example"
programs = ["saas"]
payout = { method = "csv" }
"#;

fn sale(number: u32, partner: &str) -> String {
    format!(
        r#"
[[event]]
type = "invoice.paid"
at = "2025-01-10T10:00:00Z"
[event.invoice]
id = "in_{number}"
customer = "cus_{number}"
currency = "usd"
metadata = {{ partner_key = "{partner}" }}
lines = [{{ amount = 10000 }}]
"#
    )
}

/// January 2025 of three partners, closed and approved.
fn january(home: &Home) {
    home.write("program.toml", PROGRAM);
    let sales: String = ["ann", "bob", "eve"].iter().zip(1..).map(|(partner, number)| sale(number, partner)).collect();
    home.write("sales.jsonl", lines(&events(&sales)));
    home.ok("apply program.toml");
    home.ok("events import sales.jsonl");
    home.ok("payouts close --month 2025-01 --mode live");
    home.ok("payouts approve 2025-01 --mode live");
}

fn sends_to(home: &Home, url: &str, rate: u32) {
    home.write("commission-bridge.toml", format!("smtp_url = \"{url}\"\nsmtp_rate = {rate}\n"));
}

/// Many mails in the outbox, besides those of the month.
fn fill(home: &Home, mails: usize) {
    home.sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {mails})
         INSERT INTO mails (workspace_id, mode, mail_id, natural_key, kind, object_id, batch_id, recipient, message_id,
                            status, tries, next_try_at, created_at)
         SELECT b.workspace_id, 1, 'mail_' || i, 'test/' || i, 'month_end', b.batch_id, b.batch_id,
                'p' || i || '@partner.example', '<mail_' || i || '@shop.example>', 'queued', 0, 0, 0
         FROM n, batches b"
    ));
}

fn statements_go_out_once(home: &mut Home) {
    january(home);
    let mail = MailServer::start();
    home.run("statements send --month 2025-01 --mode live");
    sends_to(home, &mail.url(), 10);
    home.run("statements send --month 2025-01 --mode live --dry-run written");
    let mut written: Vec<String> = std::fs::read_dir(home.path("written"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().split('.').next().unwrap().to_owned())
        .collect();
    written.sort();
    assert_eq!(written, ["ann", "eve"]);
    assert_eq!(mail.count(), 0, "a dry run sends nothing");
    home.run("statements send --month 2025-01 --mode live");
    home.run("statements send --month 2025-01 --mode live");
    home.run("statements send --month 2025-01 --mode live --partner ann --again");
    home.run("statements send --month 2025-01 --mode live --partner nobody");
    home.run("statements send --month 2025-02 --mode live");
    home.run("mails list --mode live");
    home.run("mails list --mode live --status refused --batch 2025-01");
    let refused = home.json("mails list --mode live --status refused")["mails"][0]["mail_id"].clone();
    let refused = refused.as_str().unwrap();
    home.ok(&format!("mails retry {refused} --mode live"));
    home.ok(&format!("mails cancel {refused} --mode live"));
    assert_eq!(home.json("mails list --mode live --status canceled")["mails"][0]["mail_id"], refused);
    sends_to(home, "smtps://bridge:secret@127.0.0.1:1", 10);
    home.ok(&format!("mails retry {refused} --mode live"));
    home.run("statements send --month 2025-01 --mode live");
    shows!("statements_send", home.transcript());
    let to: Vec<String> = mail.received().iter().flat_map(|received| received.to.clone()).collect();
    let ann = to.iter().filter(|to| *to == "ann@partner.example").count();
    assert_eq!((ann, to.len()), (2, 3), "{to:?}");
}

fn sending(home: &Home) -> Child {
    let mut command = home.command();
    command.args(["statements", "send", "--month", "2025-01", "--mode", "live"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a server has so many mails, or the sender has ended.
fn until_sent(mail: &MailServer, sender: &mut Child, count: usize) {
    let patience = Instant::now() + Duration::from_mins(1);
    while mail.count() < count && sender.try_wait().unwrap().is_none() {
        assert!(Instant::now() < patience, "only {} mails came", mail.count());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How often each message came.
fn copies(mail: &MailServer) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for received in mail.received() {
        *copies.entry(received.header("Message-ID").to_owned()).or_default() += 1;
    }
    copies
}

fn a_kill_while_sending_repeats_one_mail_at_most(home: &mut Home) {
    const MAILS: usize = 200;
    january(home);
    fill(home, MAILS);
    let mail = MailServer::start();
    sends_to(home, &mail.url(), 0);
    let mut kills = 0;
    for count in [1, 2, 30, 31, 77, 120, 160, 199] {
        let mut sender = sending(home);
        until_sent(&mail, &mut sender, count + kills);
        sender.kill().unwrap();
        if !sender.wait().unwrap().success() {
            kills += 1;
        }
        // Whoever was killed had claimed one mail at most. Time goes by, and it is anybody's.
        assert!(home.count("SELECT COUNT(*) FROM mails WHERE status = 'sending'") <= 1);
        home.sql("UPDATE mails SET next_try_at = 0 WHERE status = 'sending'");
    }
    assert!(kills >= 6, "only {kills} were killed while they sent");
    home.ok("statements send --month 2025-01 --mode live");
    let copies = copies(&mail);
    let sent = home.count("SELECT COUNT(*) FROM mails WHERE status = 'sent'");
    assert_eq!(i64::try_from(copies.len()).unwrap(), sent, "each mail came");
    assert!(copies.len() >= MAILS);
    assert_eq!(home.count("SELECT COUNT(*) FROM mails WHERE status IN ('queued', 'sending', 'noted')"), 0);
    let repeated: usize = copies.values().map(|count| count - 1).sum();
    assert!(repeated <= kills, "{repeated} came twice after {kills} kills");
}

fn two_commands_at_once_send_each_mail_once(home: &mut Home) {
    const MAILS: usize = 100;
    january(home);
    fill(home, MAILS);
    let mail = MailServer::start();
    sends_to(home, &mail.url(), 0);
    let mut senders = [sending(home), sending(home)];
    for sender in &mut senders {
        assert!(sender.wait().unwrap().success());
    }
    let copies = copies(&mail);
    assert!(copies.values().all(|count| *count == 1), "{copies:?}");
    assert!(copies.len() >= MAILS);
    assert_eq!(home.count("SELECT COUNT(*) FROM mails WHERE status IN ('queued', 'sending')"), 0);
}
