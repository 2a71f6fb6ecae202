//! Statements add up, follow each other, and show whatever was changed.

use proptest::prelude::*;

use super::*;
use crate::domain::netting::Period;

fn months() -> Vec<Month> {
    ["2026-10", "2026-11", "2026-12"].iter().map(|month| month.parse().unwrap()).collect()
}

fn line(number: usize, month: Month, kind: EntryKind, amount: i64, hold_days: i64) -> Line {
    let booked_at = month.start(Tz::UTC) + chrono::TimeDelta::hours(i64::try_from(number % 600).unwrap());
    Line {
        entry: format!("ent_{month}_{number:04}"),
        date: booked_at,
        booked_at,
        hold_until: booked_at + chrono::TimeDelta::days(hold_days),
        kind,
        component: Component::Direct,
        amount,
        program: Some("saas".to_owned()),
        payment: None,
        payment_kind: None,
        product: Some("Pro \"plan\"\n{é}".to_owned()),
        customer: None,
        base: None,
        rate: None,
        payout: None,
        reason: None,
        note: None,
    }
}

fn made(month: Month, lines: Vec<Line>, previous: Option<&Previous>) -> Statement {
    let period = Period::of(month, Tz::UTC);
    Statement::make(Making {
        statement: format!("st_{month}"),
        workspace: "default",
        mode: "live",
        month,
        time_zone: Tz::UTC,
        period,
        cut_off: period.end + chrono::TimeDelta::hours(1),
        partner: "acme",
        partner_name: "Acme",
        currency: "usd".parse().unwrap(),
        previous,
        payouts: Vec::new(),
        lines,
        refused: Vec::new(),
    })
    .unwrap()
}

fn previous(frozen: &Frozen) -> Previous {
    Previous {
        sha256: frozen.sha256.clone(),
        closing: frozen.statement.closing,
        on_hold: frozen.statement.on_hold.clone(),
    }
}

/// Three months, one after the other.
fn chain(entries: &[Vec<(usize, i64, i64)>]) -> Vec<Frozen> {
    let mut frozen: Vec<Frozen> = Vec::new();
    for (month, entries) in months().into_iter().zip(entries) {
        let lines = entries.iter().enumerate().map(|(number, (kind, amount, hold))| {
            line(number, month, EntryKind::ALL[kind % EntryKind::ALL.len()], *amount, *hold)
        });
        let before = frozen.last().map(previous);
        frozen.push(Frozen::new(made(month, lines.rev().collect(), before.as_ref())).unwrap());
    }
    frozen
}

fn files(frozen: &[Frozen]) -> Vec<Vec<u8>> {
    frozen.iter().map(Frozen::file).collect()
}

fn checked(files: &[Vec<u8>]) -> Checked {
    check(files.iter().map(Vec::as_slice))
}

fn entries() -> impl Strategy<Value = Vec<Vec<(usize, i64, i64)>>> {
    let entry = (0..7_usize, -1_000_000..1_000_000_i64, 0..60_i64);
    prop::collection::vec(prop::collection::vec(entry, 0..12), 3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn months_add_up_and_follow_each_other(entries in entries()) {
        let frozen = chain(&entries);
        let mut balance = 0;
        for (frozen, entries) in frozen.iter().zip(&entries) {
            let Statement { opening, closing, .. } = frozen.statement;
            prop_assert_eq!(opening, balance);
            balance += entries.iter().map(|(_, amount, _)| amount).sum::<i64>();
            prop_assert_eq!(closing, balance);
            prop_assert_eq!(super::faults(&frozen.statement), Vec::<String>::new());
            // What is frozen reads back as itself, and is written the same again.
            prop_assert_eq!(&Frozen::of_file(&frozen.file()).unwrap(), frozen);
            prop_assert_eq!(&Frozen::new(frozen.statement.clone()).unwrap(), frozen);
            let head = head(&frozen.document).unwrap().unwrap();
            prop_assert_eq!((head.closing, head.on_hold), (closing, frozen.statement.on_hold.clone()));
        }
        let mut files = files(&frozen);
        files.reverse();
        let checked = checked(&files);
        prop_assert!(checked.is_clean(), "{:?}", checked.faults);
        prop_assert_eq!(checked.remarks, Vec::new());
    }

    #[test]
    fn any_changed_byte_is_found(entries in entries(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut file = chain(&entries)[0].file();
        let place = place.index(file.len());
        file[place] ^= 1 << bit;
        prop_assert!(!checked(&[file]).is_clean());
    }

    #[test]
    fn any_missing_or_further_byte_is_found(entries in entries(), place in any::<prop::sample::Index>()) {
        let file = chain(&entries)[0].file();
        let place = place.index(file.len());
        let mut shorter = file.clone();
        shorter.remove(place);
        prop_assert!(!checked(&[shorter]).is_clean());
        prop_assert!(!checked(&[file[..place].to_vec()]).is_clean());
        let mut longer = file;
        longer.insert(place, b' ');
        prop_assert!(!checked(&[longer]).is_clean());
    }
}

/// What somebody would do who makes a statement of their own, with the right hash.
fn forged(frozen: &Frozen, change: impl FnOnce(&mut Statement)) -> Vec<u8> {
    let mut statement = frozen.statement.clone();
    change(&mut statement);
    Frozen::new(statement).unwrap().file()
}

fn fault_of(files: &[Vec<u8>]) -> String {
    let checked = checked(files);
    checked.faults.iter().map(|(number, fault)| format!("{number}: {fault}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn whoever_computes_the_hash_anew_is_found_by_the_sums_or_by_the_chain() {
    let entries = [vec![(0, 5_000, 30), (1, -500, 30)], vec![(0, 2_000, 30)], vec![(2, 100, 0)]];
    let frozen = chain(&entries);
    let [first, second, third] = &files(&frozen)[..] else { panic!() };

    let dearer = forged(&frozen[0], |statement| statement.lines[0].amount += 1);
    insta::assert_snapshot!(fault_of(&[dearer]), @r"
    0: earned is 50.00 usd, but its lines come to 50.01 usd
    0: closing is 45.00 usd, but its lines come to 45.01 usd
    ");
    let left_out = forged(&frozen[0], |statement| {
        statement.lines.remove(1);
        statement.reversed = 0;
        statement.closing = 5_000;
        statement.pending = 5_000;
    });
    assert_eq!(fault_of(std::slice::from_ref(&left_out)), "", "alone, it says what it says");
    assert!(fault_of(&[left_out, second.clone()]).contains("1: it does not go on from the statement of 2026-10"));
    assert!(fault_of(&[first.clone(), third.clone()]).contains("is missing, or one of them was replaced"));
    let remarks = checked(std::slice::from_ref(second)).remarks;
    assert!(remarks[0].1.contains(&frozen[0].sha256), "{remarks:?}");
    let twice = forged(&frozen[1], |statement| statement.statement.push('x'));
    assert!(fault_of(&[second.clone(), twice]).contains("two different statements of 2026-11"));
    assert_eq!(fault_of(&[second.clone(), second.clone()]), "");
}

#[test]
fn what_is_broken_is_told_in_words() {
    let frozen = &chain(&[vec![(0, 5_000, 30)], vec![], vec![]])[0];
    let file = frozen.file();
    let text = String::from_utf8(file.clone()).unwrap();
    assert_eq!(Frozen::of_file(text.replace('\n', "\r\n").as_bytes()), Err(Broken::LineEnds));
    assert_eq!(Frozen::of_file(b""), Err(Broken::NotSealed));
    assert!(matches!(Frozen::of_file(text.replace("5000", "6000").as_bytes()), Err(Broken::Changed { .. })));
    let later = forged(frozen, |statement| "commission-bridge/statement/2".clone_into(&mut statement.format));
    assert!(fault_of(&[later]).contains("its format is \"commission-bridge/statement/2\""));
    let document =
        text.split_once("\"sha256\"").unwrap().0.replace("statement/1", "statement/2").replace("\"mode\"", "\"book\"");
    assert_eq!(
        Frozen::of_document(document.into_bytes()),
        Err(Broken::Format("commission-bridge/statement/2".to_owned()))
    );
}

#[test]
fn what_has_the_right_format_and_cannot_be_read_says_what_is_wrong() {
    let document = &chain(&[vec![], vec![], vec![]])[0].document;
    let text = String::from_utf8(document.clone()).unwrap().replace("\"mode\"", "\"book\"");
    let Err(Broken::Unreadable(why)) = Frozen::of_document(text.into_bytes()) else { panic!() };
    assert!(why.contains("unknown field `book`"), "{why}");
}

#[test]
fn what_is_neither_paid_nor_kept_nor_held_is_pending() {
    let october = months()[0];
    let part = |payout: &str, amount, kept| PayoutPart {
        payout: payout.to_owned(),
        status: "ready".to_owned(),
        amount,
        kept,
        method: "csv".to_owned(),
        destination: None,
        reference: "ACME".to_owned(),
        minimum: 0,
        reason: None,
        converted: None,
    };
    let lines = vec![line(0, october, EntryKind::Accrual, 10_000, 0), line(1, october, EntryKind::Accrual, 500, 60)];
    let period = Period::of(october, Tz::UTC);
    let statement = Statement::make(Making {
        statement: "st_1".to_owned(),
        workspace: "default",
        mode: "live",
        month: october,
        time_zone: Tz::UTC,
        period,
        cut_off: period.end,
        partner: "acme",
        partner_name: "Acme",
        currency: "usd".parse().unwrap(),
        previous: None,
        payouts: vec![part("po_1", 6_000, 30), part("po_2", 2_000, 7)],
        lines,
        refused: Vec::new(),
    })
    .unwrap();
    assert_eq!((statement.to_be_paid, statement.rolled_over, statement.held), (8_000, 37, 500));
    assert_eq!(statement.pending, 10_500 - 8_000 - 37 - 500);
}

#[test]
fn the_document_is_written_like_this() {
    let mut lines =
        vec![line(1, months()[0], EntryKind::Accrual, 2_000, 30), line(2, months()[0], EntryKind::Reversal, -500, 30)];
    lines[0].base = Some(10_000);
    lines[0].rate = Some("20 %".to_owned());
    lines[0].customer = Some(pseudonym("acme", "cus_1"));
    lines[1].reason = Some("refund".to_owned());
    let frozen = Frozen::new(made(months()[0], lines, None)).unwrap();
    insta::assert_snapshot!(String::from_utf8(frozen.file()).unwrap());
    assert!(serde_json::from_slice::<serde_json::Value>(&frozen.file()).is_ok());
}

#[test]
fn sums_that_do_not_fit_are_an_error() {
    let month = months()[0];
    let largest = |number| line(number, month, EntryKind::Accrual, i64::MAX, 0);
    let back = |number| line(number, month, EntryKind::Reversal, -i64::MAX, 0);
    assert_eq!(Figures::of(0, &[largest(1), largest(2)]), Err(Overflow));
    assert_eq!(Figures::of(0, &[largest(1), back(2)]).unwrap().closing, 0);
}

#[test]
fn a_statements_file_has_a_name_that_any_system_takes() {
    let mut statement = made(months()[0], Vec::new(), None);
    assert_eq!(statement.file_stem(), "statement-2026-10-acme-usd");
    statement.partner = "Acme_2.de/é x-y".to_owned();
    assert_eq!(statement.file_stem(), "statement-2026-10-Acme_2.de---x-y-usd");
    statement.mode = "test".to_owned();
    assert_eq!(
        statement.file_stem(),
        "statement-2026-10-Acme_2.de---x-y-usd-test",
        "no test is taken for the real one"
    );
}

#[test]
fn what_is_held_is_told_by_the_day_it_becomes_available_on() {
    let [october, november, _] = months().try_into().unwrap();
    let on_hold = |statement: &Statement| -> Vec<(String, i64)> {
        statement.on_hold.iter().map(|held| (held.until.to_string(), held.amount)).collect()
    };
    let lines = vec![
        line(0, october, EntryKind::Accrual, 1000, 60),
        line(1, october, EntryKind::Accrual, 500, 60),
        line(2, october, EntryKind::Accrual, 250, 90),
        line(3, october, EntryKind::Accrual, 300, 0),
        line(4, october, EntryKind::Payout, -700, 60),
        line(48, october, EntryKind::Accrual, 200, 60),
        line(49, october, EntryKind::Reversal, -200, 60),
    ];
    let first = made(october, lines, None);
    assert_eq!(on_hold(&first), [("2026-11-30".to_owned(), 1500), ("2026-12-30".to_owned(), 250)]);
    assert_eq!((first.closing, first.held, first.pending), (1350, 1750, -400));
    let before = previous(&Frozen::new(first).unwrap());
    let second = made(november, vec![line(0, november, EntryKind::Accrual, 50, 59)], Some(&before));
    assert_eq!(on_hold(&second), [("2026-12-30".to_owned(), 300)]);
    assert_eq!((second.closing, second.held, second.pending), (1400, 300, 1100));
}
