//! Files that people bring: the first byte says what it is taken for, the rest is the file.

use std::collections::BTreeSet;

use super::terms::{README, enter, of_file};
use crate::domain::Time;
use crate::domain::evidence::is_click_id;
use crate::imports::{Format, Kind, plan, read};
use crate::payouts::readback::{self, ResultFormat, Row};

const NOW: i64 = 1_790_000_000;

/// Reading is a function of the bytes, says no without a panic, and what was entered is not entered again.
pub fn run(bytes: &[u8]) {
    let Some((what, file)) = bytes.split_first() else { return };
    match what {
        b'p' | b'c' | b'k' => {
            let kind = [Kind::Partners, Kind::Customers, Kind::Codes]
                [usize::from(*what == b'c') + 2 * usize::from(*what == b'k')];
            moving_in(file, kind);
        }
        b'l' => clicks(file),
        b'r' => ResultFormat::ALL.into_iter().for_each(|format| results(file, format)),
        b'e' => {
            let rates = crate::fx::ecb::read(file);
            assert_eq!(format!("{rates:?}"), format!("{:?}", crate::fx::ecb::read(file)));
        }
        _ => {}
    }
}

fn moving_in(file: &[u8], kind: Kind) {
    let Some(now) = Time::from_timestamp(NOW, 0) else { return };
    for format in [None].into_iter().chain(Format::ALL.map(Some)) {
        let Ok(read) = read(file, kind, format, "file.csv") else { continue };
        let mut current = of_file(README, now);
        let Ok(first) = plan(&read, &current, Some("saas")) else { continue };
        for line in first.lines.iter().chain(&first.notes) {
            assert!(!line.contains('\n'), "a line of a plan is a line: {line:?}");
        }
        let entered = first.changes.len();
        enter(&mut current, first.changes.into_iter().map(|(_, change)| change), now);
        let again = plan(&read, &current, Some("saas")).expect("it was possible before");
        assert!(again.changes.is_empty(), "{entered} changes were entered, and then {:?}", again.changes);
    }
}

fn clicks(file: &[u8]) {
    let Some(now) = Time::from_timestamp(NOW, 0) else { return };
    let terms = of_file(README, now);
    let rows = crate::imports::clicks::read(file, &terms, now);
    assert_eq!(rows, crate::imports::clicks::read(file, &terms, now));
    let mut seen = BTreeSet::new();
    for (_, id, click) in rows.unwrap_or_default() {
        assert!(is_click_id(&id) && click.partner == "acme" && seen.insert(id));
    }
}

fn results(file: &[u8], format: ResultFormat) {
    let rows = readback::read(format, file, "file");
    let Ok(rows) = rows else { return };
    assert_eq!(readback::read(format, file, "file").ok().as_ref(), Some(&rows));
    for Row { said, external_id, .. } in &rows {
        assert!(said.is_none_or(|said| !said.amount.is_sign_negative()), "what was paid is never negative");
        assert!(external_id.as_ref().is_none_or(|id| id.chars().count() <= 200 && !id.contains('\n')));
    }
}
