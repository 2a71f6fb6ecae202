//! Mail: queued once, sent once, whatever the server and the machine do meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::TimeDelta;
use commission_bridge::admin::mails as desk;
use commission_bridge::config::Secret;
use commission_bridge::domain::Time;
use commission_bridge::domain::terms::{
    Change, MailSettings, Method, PayoutMethod, Profile, SendStatements, Settings, Status as PartnerStatus,
};
use commission_bridge::mail::outbox::Outbox;
use commission_bridge::mail::queue::{Again, Post};
use commission_bridge::mail::rate::Rate;
use commission_bridge::mail::smtp::Server;
use commission_bridge::mail::worker::{Mailer, Worked};
use commission_bridge::payouts::{batch, outcome};
use commission_bridge::store::batches::Batch;
use commission_bridge::store::mails::{self, Kind, Mail, NewMail, Status, Wanted};
use commission_bridge::store::payouts::Payout;
use commission_bridge::store::{Mode, Urgency, payouts};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::{World, invoice_paid, program, settings};
use crate::smtp::{MailServer, Received};

crate::on_both_engines!(
    partners_hear_of_what_happened_as_the_settings_say,
    nobody_hears_of_anything_unless_it_is_wanted,
    a_statement_arrives_byte_for_byte,
    what_is_tried_out_goes_to_the_owner,
    what_the_server_says_decides_what_becomes_of_a_mail,
    a_mail_that_is_never_taken_is_given_up_after_three_days,
    a_server_that_does_not_let_us_in_burns_no_tries,
    a_server_that_is_not_there_is_left_alone,
    encryption_is_checked_before_anything_is_said,
    two_who_send_at_once_send_each_mail_once,
    whoever_dies_while_sending_loses_nothing,
    mails_are_tried_again_and_called_off_by_hand,
    who_says_stop_is_obeyed,
);

fn sends() -> MailSettings {
    MailSettings {
        from: Some("Acme Partners <partners@shop.example>".to_owned()),
        reply_to: Some("help@shop.example".to_owned()),
        bounce: Some("bounces@shop.example".to_owned()),
        list_id: Some("partners.shop.example".to_owned()),
        owner: Some("boss@shop.example".to_owned()),
        statements: SendStatements::OnApproval,
        payout_notices: true,
    }
}

fn server(mail: &MailServer) -> Server {
    Server::parse(&Secret::new(mail.url()), None, "https://bridge.shop.example").unwrap()
}

impl World {
    fn outbox(&self, server: Server) -> Outbox {
        Outbox::new(self.db.clone(), self.clock.clone(), &self.ledger.ids, server, Rate::per_second(0))
    }

    fn mailer_to(&self, server: Server) -> Mailer {
        let (db, clock, ids) = (self.db.clone(), self.clock.clone(), self.ledger.ids.clone());
        Mailer::new(db, clock, ids, Some(self.outbox(server)))
    }

    fn mailer(&self, mail: &MailServer) -> Mailer {
        self.mailer_to(server(mail))
    }

    /// A closed and approved month with a payout each for `ann` and `bob`.
    async fn month(&self, mail: MailSettings) -> Batch {
        let mut changes = vec![program(), settings(|settings: &mut Settings| settings.mail = mail)];
        for (key, name) in [("ann", "Ann \"The\" Lee, Jörg & Co."), ("bob", "Bob")] {
            let payout = Some(PayoutMethod { method: Method::Csv, account: None, currency: None });
            let email = Some(format!("{key}@partner.example"));
            let profile = Profile { name: name.to_owned(), email, payout, ..Profile::default() };
            changes.push(Change::Partner { partner: key.to_owned(), profile });
            changes.push(Change::Enrollment {
                partner: key.to_owned(),
                program: "saas".to_owned(),
                status: PartnerStatus::Active,
                from: None,
            });
        }
        self.enter(&changes).await;
        self.receive(&[
            invoice_paid(1, "cus_1", &json!({"partner_key": "ann"})),
            invoice_paid(2, "cus_2", &json!({"partner_key": "bob"})),
        ])
        .await;
        self.clock.advance(TimeDelta::days(65));
        self.work().await;
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        batch::close(tx, by, Mode::Live, "2026-11".parse().unwrap()).await.unwrap();
        batch::approve(tx, by, Mode::Live, "2026-11").await.unwrap();
        let batch = batch::find(tx, by.workspace, Mode::Live, "2026-11").await.unwrap();
        session.commit().await.unwrap();
        batch
    }

    async fn payout_of(&self, batch: &Batch, partner: &str) -> Payout {
        let mut tx = self.db.read().await.unwrap();
        let all = payouts::of_batch(&mut tx, self.workspace, &batch.batch_id).await.unwrap();
        all.into_iter().find(|payout| payout.partner_key == partner).unwrap()
    }

    /// Queues the month's summary to anybody, as often as one likes.
    async fn queue_to(&self, batch: &Batch, recipients: impl IntoIterator<Item = String>) {
        let new: Vec<NewMail> = recipients
            .into_iter()
            .map(|recipient| {
                let mail_id = self.ledger.ids.next("mail");
                NewMail {
                    natural_key: format!("test/{mail_id}"),
                    message_id: format!("<{mail_id}@shop.example>"),
                    mail_id,
                    kind: Kind::MonthEnd,
                    object_id: batch.batch_id.clone(),
                    batch_id: Some(batch.batch_id.clone()),
                    partner_key: None,
                    recipient,
                }
            })
            .collect();
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        mails::queue(&mut tx, self.workspace, Mode::Live, &new, self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn mails(&self) -> Vec<Mail> {
        let mut tx = self.db.read().await.unwrap();
        let mut all = mails::page(&mut tx, self.workspace, Mode::Live, &Wanted::default(), 1000).await.unwrap();
        all.reverse();
        all
    }

    /// The only mail to somebody.
    async fn mail_to(&self, recipient: &str) -> Mail {
        let mails = self.mails().await;
        let mut found = mails.into_iter().filter(|mail| mail.recipient == recipient);
        let mail = found.next().unwrap_or_else(|| panic!("no mail to {recipient}"));
        assert!(found.next().is_none(), "more than one mail to {recipient}");
        mail
    }
}

async fn round(mailer: &Mailer) -> Worked {
    mailer.round(&CancellationToken::new()).await.unwrap()
}

/// A month that nobody hears of by itself.
async fn quiet_month(world: &World) -> Batch {
    let mail = MailSettings { statements: SendStatements::Manual, payout_notices: false, owner: None, ..sends() };
    world.month(mail).await
}

fn what(received: &Received) -> String {
    let names = ["From", "To", "Subject", "Reply-To", "List-Id", "Auto-Submitted", "Message-ID", "Content-Type"];
    let mut text = format!("<{}> to {:?} by {}\n", received.from, received.to, received.hello);
    for name in names {
        if let Some((_, value)) = received.headers.iter().find(|(header, _)| header == name) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    for part in &received.parts {
        let charset = part.charset.as_deref().unwrap_or("-");
        let _ = writeln!(text, "  {} {charset} {}", part.content_type, part.name.as_deref().unwrap_or(""));
    }
    assert!(received.defects.is_empty(), "{:?}", received.defects);
    assert_eq!(received.header("Date"), "Sat, 05 Dec 2026 00:00:00 +0000");
    text
}

async fn partners_hear_of_what_happened_as_the_settings_say(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = world.month(sends()).await;
    let (ann, bob) = (world.payout_of(&batch, "ann").await, world.payout_of(&batch, "bob").await);
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    outcome::settled(tx, by, &ann.payout_id, Some("TX1"), by.now).await.unwrap();
    outcome::failed(tx, by, &bob.payout_id, "account closed").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(mail.count(), 0, "nothing is sent where it happens");

    round(&mailer).await;
    round(&mailer).await;
    let mut received = mail.received();
    received.sort_by(|a, b| a.header("Message-ID").cmp(b.header("Message-ID")));
    let shown: Vec<String> = received
        .iter()
        .enumerate()
        .map(|(number, received)| {
            let id = received.header("Message-ID").trim_start_matches('<').split('@').next().unwrap();
            what(received).replace(id, &format!("mail_{number}"))
        })
        .collect();
    let shown = shown.join("\n");
    insta::allow_duplicates! { insta::assert_snapshot!("mails_of_a_month", shown) };
    let stored = world.mails().await;
    assert!(stored.iter().all(|mail| mail.status == Status::Sent && mail.tries == 1), "{stored:#?}");
    assert_eq!(stored.len(), received.len());
    for mail in &stored {
        let copies = received.iter().filter(|received| received.header("Message-ID") == mail.message_id);
        assert_eq!(copies.count(), 1, "{mail:?}");
    }
    // Saying it again changes nothing.
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    outcome::settled(tx, by, &ann.payout_id, Some("TX1"), by.now).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(round(&mailer).await, Worked::default());
}

async fn nobody_hears_of_anything_unless_it_is_wanted(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    let ann = world.payout_of(&batch, "ann").await;
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    outcome::settled(tx, by, &ann.payout_id, None, by.now).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(round(&mailer).await, Worked::default());
    assert_eq!((mail.count(), world.count("SELECT COUNT(*) FROM mails").await), (0, 0));
    // What was noted while nobody sent is no news three days later.
    let bob = world.payout_of(&batch, "bob").await;
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    outcome::settled(tx, by, &bob.payout_id, None, by.now).await.unwrap();
    session.commit().await.unwrap();
    world.enter_once_more(&settings(|settings| settings.mail = sends())).await;
    world.clock.advance(TimeDelta::days(4));
    assert_eq!(round(&mailer).await, Worked::default());
    assert_eq!(world.count("SELECT COUNT(*) FROM mails").await, 0);
}

async fn a_statement_arrives_byte_for_byte(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    let mut session = world.session().await;
    let queued = desk::queue_statements(&mut session, &batch, Some("ann"), Again::No).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(queued.queued.len(), 1);
    let sent = round(&mailer).await;
    assert_eq!(sent, Worked { sent: 1, ..Worked::default() });
    let received = mail.received().remove(0);
    assert_eq!(received.to, ["ann@partner.example"]);
    let [text, html, csv, json] = &received.parts[..] else { panic!("{:?}", received.parts) };
    assert_eq!((text.content_type.as_str(), html.content_type.as_str()), ("text/plain", "text/html"));
    let mut tx = world.db.read().await.unwrap();
    let mails = world.mails().await;
    let statement = &mails[0].object_id;
    let frozen = commission_bridge::store::statements::frozen(&mut tx, world.workspace, Mode::Live, statement)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(json.bytes(), frozen.file(), "what proves it is what was frozen");
    assert_eq!(csv.bytes(), commission_bridge::statements::table::csv(&frozen.statement));

    // Once, however often it is asked; again only where somebody says so.
    let mut session = world.session().await;
    let all = desk::queue_statements(&mut session, &batch, None, Again::No).await.unwrap();
    assert_eq!((all.queued.len(), all.before.len()), (1, 1));
    let again = desk::queue_statements(&mut session, &batch, Some("ann"), Again::Yes).await.unwrap();
    assert_eq!((again.queued.len(), again.before.len()), (1, 0));
    session.commit().await.unwrap();
    assert_eq!(round(&mailer).await, Worked { sent: 2, ..Worked::default() });
    assert_eq!(mail.count(), 3);
}

async fn what_is_tried_out_goes_to_the_owner(world: &World) {
    let batch = world.month(sends()).await;
    let terms = world.db.terms(&mut world.db.read().await.unwrap(), world.workspace).await.unwrap();
    let post = Post::open(world.workspace, &terms, &world.ledger.ids, world.now()).unwrap();
    let payout = world.payout_of(&batch, "ann").await;
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let queued = post.payouts(&mut tx, Mode::Test, &[(Kind::PayoutSent, payout)]).await.unwrap();
    let mail = mails::find(&mut tx, world.workspace, &queued.queued[0]).await.unwrap().unwrap();
    assert_eq!((mail.recipient.as_str(), mail.partner_key.as_deref()), ("boss@shop.example", Some("ann")));
}

async fn what_the_server_says_decides_what_becomes_of_a_mail(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    let names = [
        "refuse-rcpt",
        "refuse-data",
        "later-rcpt-1",
        "later-data-2",
        "drop-rcpt-1",
        "drop-data-1",
        "drop-taken-1",
        "fine",
    ];
    world.queue_to(&batch, names.map(|name| format!("{name}@partner.example"))).await;
    assert_eq!(round(&mailer).await, Worked { sent: 1, later: 5, refused: 2 });
    let status = |mails: Vec<Mail>| -> String {
        let line = |mail: &Mail| {
            let (next, error) = (mail.next_try_at.map(|at| at.to_rfc3339()), mail.error.as_deref());
            format!(
                "{} {} after {} {} {}",
                mail.recipient,
                mail.status.as_str(),
                mail.tries,
                next.unwrap_or_default(),
                error.unwrap_or_default()
            )
        };
        mails.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let shown = status(world.mails().await);
    insta::allow_duplicates! { insta::assert_snapshot!("mails_after_one_round", shown) };
    assert_eq!(round(&mailer).await, Worked::default(), "nothing is due before its time");
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(round(&mailer).await, Worked { sent: 4, later: 1, refused: 0 });
    world.clock.advance(TimeDelta::minutes(5));
    assert_eq!(round(&mailer).await, Worked { sent: 1, later: 0, refused: 0 });

    // Each once, but for the one of which the server could not say that it took it: that came twice, as one and the same.
    let mut copies: BTreeMap<(String, String), usize> = BTreeMap::new();
    for received in mail.received() {
        *copies.entry((received.to[0].clone(), received.header("Message-ID").to_owned())).or_default() += 1;
    }
    let copies: BTreeMap<&str, usize> =
        copies.iter().map(|((to, _), count)| (to.split('@').next().unwrap(), *count)).collect();
    let expected = [
        ("drop-data-1", 1),
        ("drop-rcpt-1", 1),
        ("drop-taken-1", 2),
        ("fine", 1),
        ("later-data-2", 1),
        ("later-rcpt-1", 1),
    ];
    assert_eq!(copies, BTreeMap::from(expected));
}

async fn a_mail_that_is_never_taken_is_given_up_after_three_days(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    world.queue_to(&batch, ["later-rcpt-99@partner.example".to_owned()]).await;
    let start: Time = world.now();
    let mut tries = 0;
    loop {
        tries += 1;
        let worked = round(&mailer).await;
        let mail = world.mail_to("later-rcpt-99@partner.example").await;
        assert_eq!(mail.tries, tries);
        let Some(next) = mail.next_try_at else {
            assert_eq!(worked.refused, 1);
            assert_eq!(mail.status, Status::Refused);
            let error = mail.error.unwrap();
            assert_eq!(error, "given up after 11 tries; at last: 451 4.7.1 greylisted, come again");
            break;
        };
        assert_eq!(worked.later, 1);
        world.clock.advance(next - world.now());
    }
    let took = world.now() - start;
    assert!(took > TimeDelta::hours(60) && took <= TimeDelta::days(3), "{took}");
}

async fn a_server_that_does_not_let_us_in_burns_no_tries(world: &World) {
    let mail = MailServer::with(&["--auth"]);
    let batch = quiet_month(world).await;
    world.queue_to(&batch, ["a@partner.example".to_owned(), "b@partner.example".to_owned()]).await;
    let url = mail.url_as("smtp", "s3cret");
    let mailer = world.mailer_to(Server::parse(&Secret::new(url), None, "").unwrap());
    assert_eq!(round(&mailer).await, Worked::default());
    let waiting = world.mails().await;
    assert!(waiting.iter().all(|mail| mail.status == Status::Queued && mail.tries == 0), "{waiting:#?}");
    let why = waiting[0].error.as_deref().unwrap();
    assert!(why.contains("does not let us in: 535") && !why.contains("s3cret"), "{why}");

    // It is left alone for a while, although it would let us in now.
    mail.set_password("s3cret");
    assert_eq!(round(&mailer).await, Worked::default());
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(round(&mailer).await, Worked { sent: 2, ..Worked::default() });
    assert!(mail.received().iter().all(|received| received.user.as_deref() == Some("bridge")));

    // A server that wants to know who we are only when a recipient is named is told apart from one that wants no mail.
    world.queue_to(&batch, ["relay@partner.example", "c@partner.example"].map(str::to_owned)).await;
    assert_eq!(round(&mailer).await, Worked { later: 1, ..Worked::default() });
    let relay = world.mail_to("relay@partner.example").await;
    assert_eq!((relay.status, relay.tries), (Status::Queued, 1));
    // Should it be this mail alone, it does not stand in the way of others.
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(round(&mailer).await, Worked { sent: 1, ..Worked::default() });
}

async fn a_server_that_is_not_there_is_left_alone(world: &World) {
    let batch = quiet_month(world).await;
    world.queue_to(&batch, ["a@partner.example".to_owned()]).await;
    let gone = MailServer::start();
    let (port, url) = (gone.port, gone.url());
    drop(gone);
    let mailer = world.mailer_to(Server::parse(&Secret::new(url), None, "").unwrap());
    for seconds in [30, 60, 120] {
        assert_eq!(round(&mailer).await, Worked::default());
        let mail = world.mail_to("a@partner.example").await;
        assert_eq!((mail.status, mail.tries), (Status::Queued, 0));
        assert!(mail.error.unwrap().contains("cannot connect"));
        world.clock.advance(TimeDelta::seconds(seconds));
    }
    let back = MailServer::with(&["--port", &port.to_string()]);
    assert_eq!(round(&mailer).await, Worked { sent: 1, ..Worked::default() });
    assert_eq!(back.count(), 1);
}

async fn encryption_is_checked_before_anything_is_said(world: &World) {
    let batch = quiet_month(world).await;
    for (options, scheme) in [("starttls", "smtp"), ("always", "smtps")] {
        let mail = MailServer::with(&["--tls", options, "--auth"]);
        let to = format!("{options}@partner.example");
        world.queue_to(&batch, [to.clone()]).await;
        let parse = |url: &str, authority: Option<&Secret>| Server::parse(&Secret::new(url), authority, "").unwrap();
        // Its certificate is nobody's.
        let url = mail.url_as(scheme, "open sesame");
        let mailer = world.mailer_to(parse(&url, None));
        assert_eq!(round(&mailer).await, Worked::default());
        let why = world.mail_to(&to).await.error.unwrap();
        assert!(why.contains("certificate"), "{why}");
        // It is ours.
        let ours = Secret::new(mail.certificate());
        let mailer = world.mailer_to(parse(&url, Some(&ours)));
        assert_eq!(round(&mailer).await, Worked { sent: 1, ..Worked::default() });
        assert!(mail.received().iter().all(|received| received.encrypted));
    }
    // One that offers no encryption gets nothing where it is asked for.
    let plain = MailServer::start();
    world.queue_to(&batch, ["plain@partner.example".to_owned()]).await;
    let mailer =
        world.mailer_to(Server::parse(&Secret::new(format!("{}?tls=required", plain.url())), None, "").unwrap());
    assert_eq!(round(&mailer).await, Worked::default());
    assert!(world.mail_to("plain@partner.example").await.error.unwrap().contains("STARTTLS"));
    assert_eq!(plain.count(), 0);
}

async fn two_who_send_at_once_send_each_mail_once(world: &World) {
    const MAILS: usize = 150;
    let mail = MailServer::start();
    let batch = quiet_month(world).await;
    world.queue_to(&batch, (0..MAILS).map(|number| format!("p{number}@partner.example"))).await;
    let (one, other) = (world.mailer(&mail), world.mailer(&mail));
    let (one, other) = tokio::join!(round(&one), round(&other));
    assert_eq!(one.sent + other.sent, MAILS);
    let mut to: Vec<String> = mail.received().into_iter().map(|received| received.to[0].clone()).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), mail.count()), (MAILS, MAILS));
}

async fn whoever_dies_while_sending_loses_nothing(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    world.queue_to(&batch, ["a@partner.example".to_owned()]).await;
    // Somebody claimed it and was never heard of again.
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let until = world.now() + TimeDelta::minutes(20);
    assert!(mails::claim(&mut tx, world.workspace, "gone", world.now(), until).await.unwrap().is_some());
    tx.commit().await.unwrap();
    assert_eq!(round(&mailer).await, Worked::default());
    world.clock.advance(TimeDelta::minutes(20));
    assert_eq!(round(&mailer).await, Worked { sent: 1, ..Worked::default() });
    assert_eq!(world.mail_to("a@partner.example").await.tries, 2);
    // Should it come back, it has nothing to say.
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let id = world.mail_to("a@partner.example").await.mail_id;
    let refused = mails::Ended::Refused("late".to_owned());
    assert!(!mails::end(&mut tx, world.workspace, &id, "gone", &refused, world.now()).await.unwrap());
}

async fn mails_are_tried_again_and_called_off_by_hand(world: &World) {
    let mail = MailServer::start();
    let mailer = world.mailer(&mail);
    let batch = quiet_month(world).await;
    let (refused, waits) = ("refuse-rcpt@partner.example", "later-rcpt-1@partner.example");
    world.queue_to(&batch, [refused.to_owned(), waits.to_owned()]).await;
    assert_eq!(round(&mailer).await, Worked { sent: 0, later: 1, refused: 1 });
    let (refused, waits) = (world.mail_to(refused).await.mail_id, world.mail_to(waits).await.mail_id);
    let mut session = world.session().await;
    assert_eq!(desk::cancel(&mut session, &waits).await.unwrap().status, Status::Canceled);
    assert_eq!(desk::cancel(&mut session, &waits).await.unwrap().status, Status::Canceled);
    assert!(desk::cancel(&mut session, &refused).await.unwrap_err().to_string().contains("refused"));
    let again = desk::retry(&mut session, &refused).await.unwrap();
    assert_eq!((again.status, again.tries), (Status::Queued, 0));
    session.commit().await.unwrap();
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(round(&mailer).await, Worked { sent: 0, later: 0, refused: 1 });
    let mut session = world.session().await;
    desk::retry(&mut session, &waits).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(round(&mailer).await, Worked { sent: 1, later: 0, refused: 0 });
    let mut session = world.session().await;
    assert!(desk::retry(&mut session, &waits).await.unwrap_err().to_string().contains("was sent"));
    assert!(desk::retry(&mut session, "mail_x").await.is_err());
}

async fn who_says_stop_is_obeyed(world: &World) {
    let mail = MailServer::start();
    let batch = quiet_month(world).await;
    world.queue_to(&batch, (0..20).map(|number| format!("p{number}@partner.example"))).await;
    let (outbox, stop) = (world.outbox(server(&mail)), CancellationToken::new());
    let mut told = 0;
    let mut hear = |_: &Mail, _: &mails::Ended| {
        told += 1;
        if told == 5 {
            stop.cancel();
        }
    };
    outbox.send(world.workspace, &stop, &mut hear).await.unwrap();
    assert_eq!(mail.count(), 5);
    let waiting: Vec<Mail> = world.mails().await.into_iter().filter(|mail| mail.status == Status::Queued).collect();
    assert!(waiting.len() == 15 && waiting.iter().all(|mail| mail.tries == 0), "{waiting:#?}");
    assert_eq!(round(&world.mailer(&mail)).await, Worked { sent: 15, ..Worked::default() });
}
