//! Statements: frozen with the month, every entry in exactly one of them, and whatever is changed is found.

use chrono::TimeDelta;
use commission_bridge::admin::adjustments::{self, NewAdjustment};
use commission_bridge::domain::Time;
use commission_bridge::domain::entry::{Component, EntryKind};
use commission_bridge::domain::statement::{self, Frozen, Statement};
use commission_bridge::domain::terms::{Change, CustomersShown, Duration};
use commission_bridge::payouts::{batch, closing};
use commission_bridge::statements::draft::draft;
use commission_bridge::store::adjustments::{self as adjusted, Adjustment};
use commission_bridge::store::entries::{self, Entry};
use commission_bridge::store::statements::{self, StatementRow, Wanted};
use commission_bridge::store::{Mode, Urgency};
use serde_json::json;

use crate::harness::{
    World, charge, hour, invoice_paid, invoice_payment, paid_by_file, partner, program, refund, terms,
};

crate::on_both_engines!(
    months_go_on_from_each_other,
    what_was_booked_late_is_in_the_next_one,
    programs_say_what_is_shown,
    whatever_is_changed_is_found,
);

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

async fn go_to(world: &World, at: Time) {
    world.clock.advance(at - world.now());
    world.work().await;
}

async fn close(world: &World, month: &str) {
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    let (batch, _) = closing::begin(tx, by, Mode::Live, month.parse().unwrap()).await.unwrap();
    session.commit().await.unwrap();
    let ids = &world.ledger.ids;
    closing::finish(&world.db, &world.clock, ids, world.workspace, &batch.batch_id).await.unwrap();
}

async fn approve(world: &World, month: &str) {
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    batch::approve(tx, by, Mode::Live, month).await.unwrap();
    session.commit().await.unwrap();
}

async fn adjust(world: &World, amount: i64, currency: &str, note: &str) {
    let mut session = world.session().await;
    let new = NewAdjustment {
        kind: EntryKind::Adjustment,
        partner: "acme",
        program: None,
        amount,
        currency,
        note,
        available_at: None,
    };
    adjustments::create(&mut session.desk().await.unwrap(), &new).await.unwrap();
    session.commit().await.unwrap();
}

async fn all(world: &World) -> Vec<(StatementRow, Frozen)> {
    let mut tx = world.db.read().await.unwrap();
    let rows = statements::page(&mut tx, world.workspace, Mode::Live, &Wanted::default(), 100).await.unwrap();
    let mut all = Vec::new();
    for row in rows {
        let found = statements::frozen(&mut tx, world.workspace, Mode::Live, &row.statement_id).await.unwrap();
        all.push((row, found.unwrap()));
    }
    all
}

/// The last statement of a partner in a currency.
async fn last(world: &World, currency: &str) -> Statement {
    let mut all = all(world).await.into_iter().map(|(_, frozen)| frozen.statement);
    all.rfind(|statement| statement.currency.as_str() == currency).unwrap()
}

fn figures(statement: &Statement) -> [i64; 6] {
    let figures = statement.figures();
    [figures.opening, figures.earned, figures.reversed, figures.adjusted, figures.paid, figures.closing]
}

fn parts(statement: &Statement) -> [i64; 4] {
    [statement.to_be_paid, statement.rolled_over, statement.held, statement.pending]
}

async fn proven(world: &World) -> Vec<String> {
    world.ledger.verify(world.workspace, |_| {}).await.unwrap().differences
}

async fn is_proven(world: &World) {
    let all = all(world).await;
    let files: Vec<Vec<u8>> = all.iter().map(|(_, frozen)| frozen.file()).collect();
    let checked = statement::check(files.iter().map(Vec::as_slice));
    assert!(checked.is_clean() && checked.remarks.is_empty(), "{:?} {:?}", checked.faults, checked.remarks);
    assert_eq!(proven(world).await, Vec::<String>::new());
}

async fn months_go_on_from_each_other(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[paid_by_file("acme")]).await;
    let by_acme = json!({"partner_key": "acme"});
    world.receive(&[charge(1, "cus_1"), invoice_payment(1), invoice_paid(1, "cus_1", &by_acme)]).await;
    world.receive(&[invoice_paid(2, "cus_2", &by_acme)]).await;
    adjust(world, 150, "eur", "a gift, which is = 1.50").await;
    // October ends while the commissions are on hold.
    go_to(world, at("2026-10-31T12:00:00Z")).await;
    go_to(world, at("2026-11-02T09:00:00Z")).await;
    close(world, "2026-10").await;
    let october = last(world, "usd").await;
    assert_eq!(figures(&october), [0, 4_000, 0, 0, 0, 4_000]);
    assert_eq!(parts(&october).iter().sum::<i64>(), 4_000);
    assert_eq!(figures(&last(world, "eur").await), [0, 0, 0, 150, 0, 150]);
    is_proven(world).await;
    approve(world, "2026-10").await;
    // Nothing is booked about what the month's payout has but the payout itself; a refund comes after it.
    world.receive(&[refund(1, 5_000)]).await;
    go_to(world, at("2026-12-02T09:00:00Z")).await;
    close(world, "2026-11").await;
    let november = last(world, "usd").await;
    assert_eq!(november.previous_sha256, Some(all_of(world, "usd").await[0].sha256.clone()));
    assert_eq!(figures(&november)[0..3], [4_000, 0, 1_000]);
    assert_eq!(november.closing, world_sum(world, "usd").await);
    is_proven(world).await;
    approve(world, "2026-11").await;
    // A month that is left out is in the next one.
    go_to(world, at("2027-02-02T09:00:00Z")).await;
    let drafted = {
        let mut tx = world.db.read().await.unwrap();
        let terms = world.db.terms(&mut tx, world.workspace).await.unwrap();
        let (book, ids) = ((world.workspace, Mode::Live), &world.ledger.ids);
        let (month, partners) = ("2027-01".parse().unwrap(), ["acme".to_owned()]);
        draft(&mut tx, book, month, &terms, (world.now(), ids), &partners).await.unwrap()
    };
    close(world, "2027-01").await;
    is_proven(world).await;
    let january = last(world, "usd").await;
    let drafted = drafted.iter().find(|frozen| frozen.statement.currency.as_str() == "usd").unwrap();
    assert_eq!(figures(&drafted.statement), figures(&january));
    assert_eq!(drafted.statement.lines, january.lines);
    assert_eq!(january.closing, world_sum(world, "usd").await);
}

async fn all_of(world: &World, currency: &str) -> Vec<Frozen> {
    let all = all(world).await.into_iter().map(|(_, frozen)| frozen);
    all.filter(|frozen| frozen.statement.currency.as_str() == currency).collect()
}

/// What the ledger has for acme.
async fn world_sum(world: &World, currency: &str) -> i64 {
    let entries = world.entries().await;
    let of = |entry: &&Entry| entry.partner == "acme" && entry.currency.as_str() == currency;
    entries.iter().map(|booked| &booked.entry).filter(of).map(|entry| entry.amount).sum()
}

/// Books what a transaction did that began before the others and ended after them.
async fn book_late(world: &World, entry_id: &str, booked_at: Time) {
    let entry = Entry {
        entry_id: entry_id.to_owned(),
        mode: Mode::Live,
        kind: EntryKind::Adjustment,
        partner: "acme".to_owned(),
        program: None,
        component: Component::Direct,
        revision: 0,
        payment_id: None,
        amount: 7,
        currency: "usd".parse().unwrap(),
        occurred_at: booked_at,
        booked_at,
        available_at: booked_at,
        event_id: None,
        payout_id: None,
        reason: Some("late".to_owned()),
    };
    let row = Adjustment::new(
        entry_id.replace("ent", "adj"),
        Mode::Live,
        "adjustment".to_owned(),
        "acme".to_owned(),
        None,
        (7, "usd".to_owned()),
        "late".to_owned(),
        "test".to_owned(),
        booked_at,
        entry_id.to_owned(),
    );
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    entries::append(&mut tx, world.workspace, [&entry]).await.unwrap();
    adjusted::insert(&mut tx, world.workspace, &row).await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_was_booked_late_is_in_the_next_one(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[paid_by_file("acme")]).await;
    go_to(world, at("2026-11-02T09:00:00Z")).await;
    adjust(world, 100, "usd", "in time").await;
    adjust(world, 50, "eur", "in time").await;
    close(world, "2026-10").await;
    book_late(world, "ent_0late", at("2026-11-02T08:30:00Z")).await;
    // A second month is closed within the same hour.
    go_to(world, at("2026-12-01T00:00:00Z")).await;
    close(world, "2026-11").await;
    let november = last(world, "usd").await;
    assert_eq!((figures(&november)[3], november.lines.len()), (7, 1));
    book_late(world, "ent_1late", at("2026-11-30T23:30:00Z")).await;
    go_to(world, at("2027-01-01T00:10:00Z")).await;
    close(world, "2026-12").await;
    let december = last(world, "usd").await;
    assert_eq!(december.lines.iter().map(|line| line.entry.as_str()).collect::<Vec<_>>(), ["ent_1late"]);
    is_proven(world).await;
}

/// A program whose rule pays once for each customer.
fn once() -> Change {
    let mut once = program();
    if let Change::ProgramVersion { terms, .. } = &mut once {
        terms.rules[0].duration = Duration::OneTime;
    }
    once
}

async fn programs_say_what_is_shown(world: &World) {
    world.enter(&[once()]).await;
    world.enter(&partner("acme")).await;
    world.enter(&[paid_by_file("acme")]).await;
    let by_acme = json!({"partner_key": "acme"});
    world.receive(&[invoice_paid(1, "cus_1", &by_acme), invoice_paid(3, "cus_1", &by_acme)]).await;
    let showing = |customers: CustomersShown, is_refused_shown: bool| {
        let Change::ProgramVersion { program, name, version, effective_from, in_force_from, engine, mut terms } =
            program()
        else {
            panic!("a program's version")
        };
        terms.statement_customers = customers;
        terms.statement_refused = is_refused_shown;
        let version = version + 1 + u32::from(customers == CustomersShown::Hidden);
        Change::ProgramVersion { program, name, version, effective_from, in_force_from, engine, terms }
    };
    go_to(world, at("2026-11-02T09:00:00Z")).await;
    let said = async |world: &World| {
        let mut tx = world.db.read().await.unwrap();
        let terms = world.db.terms(&mut tx, world.workspace).await.unwrap();
        let (book, ids) = ((world.workspace, Mode::Live), &world.ledger.ids);
        let (month, partners) = ("2026-10".parse().unwrap(), ["acme".to_owned()]);
        let made = draft(&mut tx, book, month, &terms, (world.now(), ids), &partners).await.unwrap();
        made.into_iter().next().unwrap().statement
    };
    let usual = said(world).await;
    let line = &usual.lines[0];
    assert_eq!(line.customer.as_deref(), Some(statement::pseudonym("acme", "cus_1").as_str()));
    assert_eq!((line.base, line.payment_kind.as_deref()), (Some(10_000), Some("recurring")));
    assert!(line.rate.as_ref().is_some_and(|rate| rate.contains("20")), "{line:?}");
    assert_eq!(line.hold_until, hour(0) + TimeDelta::days(30));
    assert!(usual.refused.is_empty());
    world.enter(&[showing(CustomersShown::Id, true)]).await;
    let open = said(world).await;
    assert_eq!(open.lines[0].customer.as_deref(), Some("cus_1"));
    assert_eq!(open.refused.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["one_time_already_earned"]);
    assert!(open.refused[0].sentence.contains("pays once per customer"), "{:?}", open.refused);
    assert_eq!(open.refused[0].paid, 10_000);
    world.enter(&[showing(CustomersShown::Hidden, false)]).await;
    let closed = said(world).await;
    assert_eq!((closed.lines[0].customer.as_ref(), closed.refused.len()), (None, 0));
}

async fn whatever_is_changed_is_found(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[paid_by_file("acme")]).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))]).await;
    for (moment, month) in [("2026-11-02T09:00:00Z", "2026-10"), ("2026-12-02T09:00:00Z", "2026-11")] {
        go_to(world, at(moment)).await;
        close(world, month).await;
        approve(world, month).await;
    }
    go_to(world, at("2027-01-02T09:00:00Z")).await;
    close(world, "2026-12").await;
    is_proven(world).await;
    let rows: Vec<StatementRow> = all(world).await.into_iter().map(|(row, _)| row).collect();
    assert!(rows.len() >= 2, "{rows:?}");
    let first = &rows[0].statement_id;
    for (change, said) in [
        ("SET closing = closing + 1", "the figures beside its document are other ones"),
        ("SET hash = 'ff'", "its document has SHA-256"),
        ("SET document = (SELECT document FROM statements ORDER BY month DESC LIMIT 1)", "its document has SHA-256"),
        ("SET partner_key = 'other'", "is in no statement"),
    ] {
        let kept = "CREATE TABLE kept AS SELECT * FROM statements";
        world.tamper(kept).await.unwrap();
        world.tamper(&format!("UPDATE statements {change} WHERE statement_id = '{first}'")).await.unwrap();
        let differences = proven(world).await;
        assert!(differences.iter().any(|difference| difference.contains(said)), "{change}: {differences:#?}");
        world.tamper("DELETE FROM statements").await.unwrap();
        world.tamper("INSERT INTO statements SELECT * FROM kept").await.unwrap();
        world.tamper("DROP TABLE kept").await.unwrap();
        is_proven(world).await;
    }
    world.tamper(&format!("DELETE FROM statements WHERE statement_id = '{first}'")).await.unwrap();
    let differences = proven(world).await;
    assert!(
        differences.iter().any(|found| found.contains("does not go on from the statement before")),
        "{differences:?}"
    );
}
