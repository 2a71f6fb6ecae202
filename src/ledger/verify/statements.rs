//! Statement by statement: each is the document that was frozen, they go on from each other, and together they hold
//! every entry of the ledger up to the last cut-off, once, as it was booked.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;

use super::{Verifying, book};
use crate::domain::Time;
use crate::domain::statement::{Frozen, Line, faults};
use crate::store::statements::{self, StatedEntry, StatementRow};
use crate::store::{Mode, StoreError, from_micros};

/// An entry that was booked so long before a cut-off by a transaction that ended after it is in the next statement.
const LATE: TimeDelta = TimeDelta::hours(1);

impl Verifying<'_> {
    pub(super) async fn all_statements(&mut self) -> Result<(), StoreError> {
        for mode in Mode::ALL {
            let mut after = String::new();
            loop {
                let mut tx = self.ledger.db.read().await?;
                let Some(partner) = statements::next_partner(&mut tx, self.workspace, mode, &after).await? else {
                    tx.rollback().await?;
                    break;
                };
                let stored = statements::stored(&mut tx, self.workspace, mode, &partner).await?;
                let last = stored.iter().map(|(row, _)| row.cut_off()).max().unwrap_or(Time::UNIX_EPOCH);
                let since = [(partner.as_str(), Time::UNIX_EPOCH)];
                let entries = statements::entries_since(&mut tx, self.workspace, mode, &since, last).await?;
                tx.rollback().await?;
                self.statements_of(mode, &partner, stored, entries);
                after = partner;
            }
        }
        Ok(())
    }

    fn statements_of(
        &mut self,
        mode: Mode,
        partner: &str,
        stored: Vec<(StatementRow, Result<Frozen, String>)>,
        entries: Vec<StatedEntry>,
    ) {
        let last = stored.iter().map(|(row, _)| row.cut_off()).max().unwrap_or(Time::UNIX_EPOCH);
        let mut booked: HashMap<String, StatedEntry> =
            entries.into_iter().map(|entry| (entry.entry_id.clone(), entry)).collect();
        let mut chains: BTreeMap<String, Option<(String, i64)>> = BTreeMap::new();
        for (row, frozen) in stored {
            self.report.statements += 1;
            let name = format!("The statement {} of {partner} in {}{}", row.statement_id, row.month, book(mode));
            let frozen = match frozen {
                Ok(frozen) => frozen,
                Err(why) => {
                    self.report.differs(format!("{name} cannot be read: {why}."));
                    continue;
                }
            };
            let chain = chains.entry(frozen.statement.currency.to_string()).or_default();
            for fault in self.faults_of(&row, &frozen, chain.as_ref()) {
                self.report.differs(format!("{name}: {fault}."));
            }
            *chain = Some((row.hash.clone(), row.figures().closing));
            for line in &frozen.statement.lines {
                match booked.remove(&line.entry) {
                    Some(entry) if is_booked_as(line, &entry, frozen.statement.currency.as_str()) => {}
                    Some(_) => {
                        self.report.differs(format!("{name} tells entry {} otherwise than it is booked.", line.entry));
                    }
                    None => self
                        .report
                        .differs(format!("{name} has entry {}, which is not there or was there before.", line.entry)),
                }
            }
        }
        let mut missing: Vec<&StatedEntry> =
            booked.values().filter(|entry| from_micros(entry.booked_at) < last - LATE).collect();
        missing.sort_by(|a, b| a.entry_id.cmp(&b.entry_id));
        for entry in missing {
            self.report.differs(format!("Entry {}{} of {partner} is in no statement.", entry.entry_id, book(mode)));
        }
    }

    #[allow(clippy::unused_self)] // beside its sisters
    fn faults_of(&self, row: &StatementRow, frozen: &Frozen, before: Option<&(String, i64)>) -> Vec<String> {
        let statement = &frozen.statement;
        let mut wrong = faults(statement);
        if frozen.sha256 != row.hash {
            wrong.push(format!("its document has SHA-256 {}, not {}", frozen.sha256, row.hash));
        }
        let is_same = statement.figures() == row.figures()
            && statement.statement == row.statement_id
            && statement.month.to_string() == row.month
            && statement.partner == row.partner_key
            && statement.previous_sha256 == row.previous_hash
            && statement.cut_off == row.cut_off()
            && i64::try_from(statement.lines.len()) == Ok(row.line_count);
        if !is_same {
            wrong.push("the figures beside its document are other ones".to_owned());
        }
        if row.previous_hash.as_ref() != before.map(|(hash, _)| hash) {
            wrong.push("it does not go on from the statement before".to_owned());
        }
        if statement.opening != before.map_or(0, |(_, closing)| *closing) {
            wrong.push("it does not open with what the statement before closed with".to_owned());
        }
        wrong
    }
}

fn is_booked_as(line: &Line, entry: &StatedEntry, currency: &str) -> bool {
    line.amount == entry.amount
        && entry.currency == currency
        && line.kind.as_str() == entry.kind
        && line.component.as_str() == entry.component
        && line.date == from_micros(entry.occurred_at)
        && line.booked_at == from_micros(entry.booked_at)
        && line.hold_until == from_micros(entry.available_at)
        && line.program == entry.program_key
        && line.payment == entry.payment_id
        && line.payout == entry.payout_id
}
