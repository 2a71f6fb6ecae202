//! Compares a file with the terms in force and says what to enter.

mod customers;
mod partners;

use std::collections::{HashMap, HashSet};

use super::columns::{Field, Format, Kind};
use super::fault::{Faults, ImportError, shown};
use super::row::{ImportFile, Rows, Whose};
use crate::domain::evidence::normal_email;
use crate::domain::lead::NewLead;
use crate::domain::terms::{Change, PartnerKey, Terms};
use crate::program::fault::nearest;

/// What to enter to have what a file says.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The changes in order, each under a key that only one of two plans made at the same position can take.
    pub changes: Vec<(String, Change)>,
    /// The leads, which may be known already: leads are no terms.
    pub leads: Vec<PlannedLead>,
    /// What becomes of the rows, the leads aside.
    pub counts: Counts,
    /// The changes for people: `+` new, `~` changed. E-mails and payout accounts are not in them.
    pub lines: Vec<String>,
    /// What was left out, and what will not earn yet.
    pub notes: Vec<String>,
}

/// A lead, and the line that tells of it if it is new.
#[derive(Debug, Clone)]
pub struct PlannedLead {
    /// What to enter.
    pub lead: NewLead,
    /// `+ customer a…@buyer.example (acme)`
    pub line: String,
}

/// What becomes of the things that a file lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// New.
    pub created: usize,
    /// Known with other values.
    pub updated: usize,
    /// Known as they are.
    pub unchanged: usize,
}

/// Plans a file against the terms as they are. `program` is where partners are enrolled besides the programs of their
/// rows, and the program of customers and codes whose rows name none.
///
/// # Errors
/// Where the file refers to partners and programs that do not exist, or contradicts itself.
pub fn plan(file: &ImportFile, current: &Terms, program: Option<&str>) -> Result<Plan, ImportError> {
    if let Some(program) = program.filter(|program| !current.programs.contains_key(*program)) {
        return Err(ImportError::one(&file.file_name, None, Some("program"), unknown_program(program, current)));
    }
    let plan = Plan { notes: file.notes.clone(), ..Plan::default() };
    let mut planner = Planner {
        file,
        current,
        program,
        by_email: by_email(current),
        unknown: HashSet::new(),
        plan,
        faults: Faults::default(),
    };
    match &file.rows {
        Rows::Partners(rows) => planner.partners(rows),
        Rows::Customers(rows) => planner.customers(rows),
        Rows::Codes(rows) => planner.codes(rows),
    }
    let Planner { plan, faults, .. } = planner;
    faults.into_result(&file.file_name)?;
    Ok(plan)
}

struct Planner<'a> {
    file: &'a ImportFile,
    current: &'a Terms,
    program: Option<&'a str>,
    /// Partners by their e-mail.
    by_email: HashMap<String, Vec<&'a PartnerKey>>,
    /// Programs whose absence was told with a list of those that exist.
    unknown: HashSet<String>,
    plan: Plan,
    faults: Faults,
}

impl Planner<'_> {
    fn fault(&mut self, row: usize, field: Field, message: impl Into<String>) {
        self.faults.add(Some(row), self.file.columns.heading(field), message);
    }

    /// Under a key with the position in the log that the change will have.
    fn enter(&mut self, thing: &str, change: Change) {
        let position = i64::try_from(self.plan.changes.len()).unwrap_or(i64::MAX);
        let seq = self.current.seq.saturating_add(position).saturating_add(1);
        self.plan.changes.push((format!("{thing}/{seq}"), change));
    }

    fn is_own(&self) -> bool {
        self.file.format == Format::Bridge
    }

    /// The partner that a row names, if there is one.
    fn whose(&mut self, row: usize, whose: &Whose) -> Option<PartnerKey> {
        match whose {
            Whose::Key(key) if self.current.partners.contains_key(key) => return Some(key.clone()),
            Whose::Key(key) => {
                self.fault(row, Field::Partner, format!("there is no partner {}: import partners first", shown(key)));
            }
            Whose::Email(email) => {
                let keys = self.by_email.get(&normal_email(email)).map(Vec::as_slice).unwrap_or_default();
                let message = match keys {
                    [key] => return Some((*key).clone()),
                    [] => format!("there is no partner with the e-mail {}: import partners first", shown(email)),
                    [one, other, ..] => format!("{} is the e-mail of partners {one:?} and {other:?}", shown(email)),
                };
                // A partner's column may hold either.
                let fields = [Field::PartnerEmail, Field::Partner];
                let heading = fields.iter().find_map(|field| self.file.columns.heading(*field));
                self.faults.add(Some(row), heading, message);
            }
        }
        None
    }

    /// Notes that a program does not exist.
    fn program_exists(&mut self, row: usize, field: Field, program: &str) -> bool {
        let exists = self.current.programs.contains_key(program);
        if !exists {
            let message = if self.unknown.insert(program.to_owned()) {
                unknown_program(program, self.current)
            } else {
                format!("there is no program {}", shown(program))
            };
            self.fault(row, field, message);
        }
        exists
    }

    /// The program that a row names, which the partner must be in; the one chosen for all rows where it names none.
    fn program_of(&mut self, row: usize, named: Option<&String>, partner: &str) -> Result<Option<String>, ()> {
        let Some(program) = named.cloned().or_else(|| self.program.map(str::to_owned)) else { return Ok(None) };
        if !self.program_exists(row, Field::Program, &program) {
            return Err(());
        }
        let known = self.current.partners.get(partner);
        if known.is_none_or(|partner| partner.enrollment(&program).is_none()) {
            let message = format!("partner {partner:?} is not in program {program:?}, and can never earn there");
            self.fault(row, Field::Program, message);
            return Err(());
        }
        Ok(Some(program))
    }
}

fn by_email(current: &Terms) -> HashMap<String, Vec<&PartnerKey>> {
    let mut by_email: HashMap<String, Vec<&PartnerKey>> = HashMap::new();
    for (key, partner) in &current.partners {
        if let Some(email) = &partner.profile.email {
            by_email.entry(normal_email(email)).or_default().push(key);
        }
    }
    by_email
}

fn unknown_program(program: &str, current: &Terms) -> String {
    let known: Vec<&str> = current.programs.keys().map(String::as_str).collect();
    let hint = nearest(program, &known).map(|key| format!(" (did you mean {key:?}?)")).unwrap_or_default();
    let known =
        if known.is_empty() { "there are none yet".to_owned() } else { format!("known are {}", known.join(", ")) };
    format!("there is no program {}{hint}: {known}", shown(program))
}

impl Counts {
    /// All of them.
    pub fn total(self) -> usize {
        self.created + self.updated + self.unchanged
    }
}

impl ImportFile {
    /// What one of its rows is called: `partner`, `customer`, `code`.
    pub fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Partners => "partner",
            Kind::Customers => "customer",
            Kind::Codes => "code",
        }
    }
}
