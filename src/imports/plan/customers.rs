//! Customers whom partners brought, and the codes that are theirs.

use std::collections::HashMap;

use super::super::columns::Field;
use super::super::fault::shown;
use super::super::row::{CodeRow, Customer, CustomerRow};
use super::{PlannedLead, Planner};
use crate::domain::lead::{LeadTo, NewLead};
use crate::domain::mask::mask;
use crate::domain::terms::{Change, CodeOwner, PartnerKey};

impl Planner<'_> {
    /// A Stripe customer is given to the partner by hand, back-dated; whoever is known otherwise becomes a lead.
    pub(super) fn customers(&mut self, rows: &[CustomerRow]) {
        let zone = self.current.current_settings().time_zone;
        let mut seen: HashMap<&Customer, (usize, PartnerKey)> = HashMap::new();
        for row in rows {
            let Some(partner) = self.whose(row.row, &row.partner) else { continue };
            let Ok(program) = self.program_of(row.row, row.program.as_ref(), &partner) else { continue };
            if let Some((first, owner)) = seen.get(&row.customer) {
                let (first, same) = (*first, *owner == partner);
                if self.is_own() || !same {
                    let how = if same { "" } else { ", with another partner" };
                    let message = format!("{} is in row {first} already{how}", called(&row.customer));
                    self.fault(row.row, Field::Customer, message);
                }
                continue;
            }
            seen.insert(&row.customer, (row.row, partner.clone()));
            let from = row.since.map(|since| since.resolve(zone));
            let line = format!("customer {} ({partner})", called(&row.customer));
            match &row.customer {
                Customer::Stripe(reference) => {
                    let partner = Some(partner);
                    let known = self.current.by_hand.get(reference).and_then(|entered| entered.last());
                    match known {
                        Some(known) if (&known.partner, &known.program, known.from) == (&partner, &program, from) => {
                            self.plan.counts.unchanged += 1;
                            continue;
                        }
                        Some(_) => {
                            self.plan.counts.updated += 1;
                            self.plan.lines.push(format!("~ {line}"));
                        }
                        None => {
                            self.plan.counts.created += 1;
                            self.plan.lines.push(format!("+ {line}"));
                        }
                    }
                    let change = Change::Attribution { reference: reference.clone(), partner, program, from };
                    self.enter(&format!("attribution/{reference}"), change);
                }
                Customer::Lead(by, value) => {
                    let to = LeadTo::Partner { partner, program };
                    let lead = NewLead { by: *by, value: value.clone(), to, from };
                    self.plan.leads.push(PlannedLead { lead, line: format!("+ {line}") });
                }
            }
        }
    }

    pub(super) fn codes(&mut self, rows: &[CodeRow]) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let Some(partner) = self.whose(row.row, &row.partner) else { continue };
            let Ok(program) = self.program_of(row.row, row.program.as_ref(), &partner) else { continue };
            let key = row.code.to_lowercase();
            if let Some(first) = seen.insert(key.clone(), row.row) {
                let message = format!("code {} is in row {first} already (case does not matter)", shown(&row.code));
                self.fault(row.row, Field::Code, message);
                continue;
            }
            let owner = CodeOwner { partner, program };
            let before = self.current.codes.get(&key).and_then(|dated| dated.latest()).cloned().flatten();
            let line = format!("code {} ({})", row.code, owner.partner);
            match before {
                Some(before) if before == owner => {
                    self.plan.counts.unchanged += 1;
                    continue;
                }
                Some(before) => {
                    self.plan.counts.updated += 1;
                    self.plan.lines.push(format!("~ {line}, until now {}'s", before.partner));
                }
                None => {
                    self.plan.counts.created += 1;
                    self.plan.lines.push(format!("+ {line}"));
                }
            }
            let change = Change::Code { code: row.code.clone(), owner: Some(owner), from: None };
            self.enter(&format!("code/{key}"), change);
        }
    }
}

/// A customer as a line or a message may name it.
fn called(customer: &Customer) -> String {
    match customer {
        Customer::Stripe(id) => id.clone(),
        Customer::Lead(_, value) if value.contains('@') => mask(value),
        Customer::Lead(_, value) => value.clone(),
    }
}
