//! The proof, offline: that a statement adds up, and that several of a partner's follow each other without a gap.

use std::collections::{BTreeMap, HashSet};

use super::make::sum;
use super::{Broken, Figures, Frozen, Statement};
use crate::domain::money::decimal_text;

/// What became of checking some files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What each file says, in the order in which they were given; none for those that are no statement as it was
    /// frozen.
    pub statements: Vec<Option<Frozen>>,
    /// What is wrong: the number of the file, and a sentence.
    pub faults: Vec<(usize, String)>,
    /// What the files alone cannot tell: the number of the file, and a sentence.
    pub remarks: Vec<(usize, String)>,
}

/// Checks files of any partners and months, in any order.
pub fn check<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Checked {
    let mut checked = Checked::default();
    for (number, file) in files.into_iter().enumerate() {
        let read: Result<Frozen, Broken> = Frozen::of_file(file);
        match read {
            Ok(frozen) => {
                checked.faults.extend(faults(&frozen.statement).into_iter().map(|fault| (number, fault)));
                checked.statements.push(Some(frozen));
            }
            Err(broken) => {
                checked.faults.push((number, broken.to_string()));
                checked.statements.push(None);
            }
        }
    }
    checked.chains();
    checked
}

/// What does not add up in one statement.
pub fn faults(statement: &Statement) -> Vec<String> {
    let mut faults = Vec::new();
    let money = |amount: i64| format!("{} {}", decimal_text(amount, statement.currency), statement.currency);
    let said = statement.figures();
    match Figures::of(said.opening, &statement.lines) {
        Err(overflow) => faults.push(overflow.to_string()),
        Ok(found) => {
            for (name, said, found) in [
                ("earned", said.earned, found.earned),
                ("reversed", said.reversed, found.reversed),
                ("adjusted", said.adjusted, found.adjusted),
                ("paid", said.paid, found.paid),
                ("closing", said.closing, found.closing),
            ] {
                if said != found {
                    faults.push(format!("{name} is {}, but its lines come to {}", money(said), money(found)));
                }
            }
        }
    }
    for pair in statement.lines.windows(2) {
        if pair[0].entry >= pair[1].entry {
            faults
                .push(format!("the entries {} and {} are out of order, or twice there", pair[0].entry, pair[1].entry));
        }
    }
    for line in statement.lines.iter().filter(|line| line.booked_at >= statement.cut_off) {
        faults.push(format!("entry {} was booked after the cut-off", line.entry));
    }
    let parts = [statement.to_be_paid, statement.rolled_over, statement.held, statement.pending];
    for (name, said, found) in [
        ("closing", statement.closing, sum(parts.into_iter())),
        ("to_be_paid", statement.to_be_paid, sum(statement.payouts.iter().map(|payout| payout.amount))),
        ("rolled_over", statement.rolled_over, sum(statement.payouts.iter().map(|payout| payout.kept))),
        ("held", statement.held, sum(statement.on_hold.iter().map(|held| held.amount))),
    ] {
        if found != Ok(said) {
            faults.push(format!("{name} is {}, but its parts do not come to that", money(said)));
        }
    }
    if statement.exponent != statement.currency.exponent() {
        faults.push(format!("{} does not have {} decimals", statement.currency, statement.exponent));
    }
    if statement.previous_sha256.is_none() && statement.opening != 0 {
        faults.push(format!("it opens with {}, but names no statement before it", money(statement.opening)));
    }
    faults
}

impl Checked {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    fn chains(&mut self) {
        let (mut faults, mut remarks) = (Vec::new(), Vec::new());
        let mut chains: BTreeMap<_, Vec<(usize, &Frozen)>> = BTreeMap::new();
        for (number, frozen) in self.statements.iter().enumerate() {
            if let Some(frozen) = frozen {
                let Statement { workspace, mode, partner, currency, .. } = &frozen.statement;
                chains.entry((workspace, mode, partner, *currency)).or_default().push((number, frozen));
            }
        }
        for chain in chains.values_mut() {
            chain.sort_by_key(|(number, frozen)| (frozen.statement.month, *number));
            chain.dedup_by(|later, earlier| later.1 == earlier.1);
            let mut held: HashSet<&str> = HashSet::new();
            for (place, (number, frozen)) in chain.iter().enumerate() {
                match place.checked_sub(1).map(|before| chain[before].1) {
                    Some(before) => faults.extend(links(before, frozen).into_iter().map(|fault| (*number, fault))),
                    None => remarks.extend(first(&frozen.statement).map(|remark| (*number, remark))),
                }
                for line in &frozen.statement.lines {
                    if !held.insert(&line.entry) {
                        faults.push((*number, format!("entry {} is in an earlier statement too", line.entry)));
                    }
                }
            }
        }
        self.faults.extend(faults);
        self.faults.sort_by_key(|(number, _)| *number);
        self.remarks = remarks;
    }
}

fn first(statement: &Statement) -> Option<String> {
    let before = statement.previous_sha256.as_ref()?;
    Some(format!(
        "it goes on from an earlier statement, with SHA-256 {before}, which was not given: its opening balance is not \
         checked"
    ))
}

/// What is wrong between a statement and the one before.
fn links(before: &Frozen, after: &Frozen) -> Option<String> {
    let (earlier, later) = (&before.statement, &after.statement);
    if earlier.month == later.month {
        return Some(format!("there are two different statements of {}", later.month));
    }
    if later.previous_sha256.as_ref() != Some(&before.sha256) {
        let said = later.previous_sha256.as_deref().unwrap_or("none");
        return Some(format!(
            "it does not go on from the statement of {}: it names {said} as the one before, which is not {}. A statement \
             between the two is missing, or one of them was replaced",
            earlier.month, before.sha256
        ));
    }
    if later.opening != earlier.closing {
        let money = |amount| decimal_text(amount, later.currency);
        return Some(format!(
            "it opens with {}, but {} closed with {} {}",
            money(later.opening),
            earlier.month,
            money(earlier.closing),
            later.currency
        ));
    }
    (later.cut_off <= earlier.cut_off).then(|| format!("its cut-off is not after that of {}", earlier.month))
}
