//! What no single section can know: keys and codes that are taken, programs that do not exist.

use std::collections::{HashMap, HashSet};

use super::fault::{Faults, FileError, nearest};
use super::file::{Named, PartnerSection, ProgramFile};
use super::read::Sections;
use crate::domain::terms::Terms;

/// Checks a file against itself.
pub(super) fn within(sections: &Sections, faults: &mut Faults) {
    let mut programs = HashSet::new();
    for program in &sections.programs {
        if !programs.insert(program.key.as_str()) {
            faults.add(&program.spot, format!("program {:?} is in the file twice", program.key));
        }
    }
    let mut groups = HashSet::new();
    for group in &sections.groups {
        if !groups.insert(group.key.as_str()) {
            faults.add(&group.spot, format!("group {:?} is in the file twice", group.key));
        }
    }
    let mut partners = HashSet::new();
    let mut owners = HashMap::new();
    for partner in &sections.partners {
        if !partners.insert(partner.key.as_str()) {
            faults.add(&partner.spot, format!("partner {:?} is in the file twice", partner.key));
        }
        codes(partner, &mut owners, faults);
        overrides(partner, faults);
    }
}

/// Each code is one partner's, whatever its case, in a program that they are in.
fn codes<'a>(partner: &'a PartnerSection, owners: &mut HashMap<String, &'a str>, faults: &mut Faults) {
    for code in &partner.codes {
        match owners.insert(code.code.to_lowercase(), &partner.key) {
            Some(owner) if owner == partner.key => {
                faults.add(&code.spot, format!("code {:?} is listed twice (case does not matter)", code.code));
            }
            Some(owner) => faults.add(&code.spot, format!("code {:?} is already partner {owner:?}'s", code.code)),
            None => {}
        }
        let Some(program) = &code.program else { continue };
        if !partner.programs.iter().any(|enrolled| enrolled.name == program.name) {
            let message = format!(
                "code {:?} can never earn: partner {:?} is not in program {:?}",
                code.code, partner.key, program.name
            );
            faults.add(&program.spot, message);
        }
    }
}

/// An override is for a program that the partner is in.
fn overrides(partner: &PartnerSection, faults: &mut Faults) {
    for Named { name, spot } in partner.overrides.iter().map(|section| &section.program) {
        if !partner.programs.iter().any(|enrolled| enrolled.name == *name) {
            let key = &partner.key;
            faults.add(spot, format!("the override can never count: partner {key:?} is not in program {name:?}"));
        }
    }
}

/// Checks what a file refers to: each program must be in the file or known already.
pub(super) fn against(file: &ProgramFile, current: &Terms) -> Result<(), FileError> {
    let mut known: Vec<&str> = file.programs.iter().map(|program| program.key.as_str()).collect();
    known.extend(current.programs.keys().map(String::as_str));
    known.sort_unstable();
    known.dedup();
    let mut faults = Faults::default();
    let enrolled = file.partners.iter().flat_map(|partner| &partner.programs);
    let overrides = file.groups.iter().flat_map(|group| &group.overrides);
    for program in enrolled.chain(overrides.map(|section| &section.program)) {
        exists("program", program, &known, &mut faults);
    }
    recruiters(file, current, &mut faults);
    faults.into_result(&file.source)
}

/// Who brought a partner is a partner, and nobody was brought, through however many others, by themselves.
fn recruiters(file: &ProgramFile, current: &Terms, faults: &mut Faults) {
    let mut known: Vec<&str> = file.partners.iter().map(|partner| partner.key.as_str()).collect();
    known.extend(current.partners.keys().map(String::as_str));
    known.sort_unstable();
    known.dedup();
    let entered = current
        .partners
        .iter()
        .filter_map(|(key, partner)| Some((key.as_str(), partner.recruiter.latest()?.as_ref()?.as_str())));
    let mut recruiter_of: HashMap<&str, &str> = entered.collect();
    for partner in &file.partners {
        match &partner.recruited_by {
            Some(recruiter) => recruiter_of.insert(&partner.key, &recruiter.name),
            None => recruiter_of.remove(partner.key.as_str()),
        };
    }
    for partner in &file.partners {
        let Some(recruiter) = &partner.recruited_by else { continue };
        exists("partner", recruiter, &known, faults);
        let mut chain = vec![partner.key.as_str()];
        while let Some(next) = recruiter_of.get(chain[chain.len() - 1]) {
            chain.push(next);
            if *next == partner.key {
                let message = match chain.as_slice() {
                    [_, _] => format!("partner {:?} cannot have recruited themselves", partner.key),
                    _ => format!("goes round in a circle: {}", chain.join(" was recruited by ")),
                };
                faults.add(&recruiter.spot, message);
                break;
            }
            // A circle of others is told at one of them.
            if chain.len() > recruiter_of.len() + 1 {
                break;
            }
        }
    }
}

fn exists(what: &str, named: &Named, known: &[&str], faults: &mut Faults) {
    if known.contains(&named.name.as_str()) {
        return;
    }
    let hint = nearest(&named.name, known).map(|key| format!(" (did you mean {key:?}?)")).unwrap_or_default();
    let known =
        if known.is_empty() { "there are none yet".to_owned() } else { format!("known are {}", known.join(", ")) };
    faults.add(&named.spot, format!("there is no {what} {:?}{hint}: {known}", named.name));
}
