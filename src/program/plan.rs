//! Compares a program file with the terms in force and says what to enter, in an order that can be entered as it is:
//! settings, programs, groups, partners, codes. What the file does not name is left alone; the same file twice changes nothing.

use std::collections::{BTreeMap, HashSet};

use super::checks;
use super::describe;
use super::fault::FileError;
use super::file::{GroupSection, OverrideSection, PartnerSection, ProgramFile, ProgramSection};
use super::json::spelled;
use crate::domain::Time;
use crate::domain::terms::{
    Change, CodeOwner, ENGINE, Overrides, Partner, PartnerKey, Profile, Program, ProgramKey, ProgramTerms, Rule,
    Status, Terms, Version, Whose,
};

/// Whether a back-dated version counts in months that are closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RepriceClosed {
    /// Closed months keep the terms they were closed under.
    #[default]
    No,
    /// They are priced again; the difference is booked in the open month.
    Yes,
}

/// What to enter to make a file's terms those in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The changes in order, each under a key that only one of two plans made at the same position can take.
    pub changes: Vec<(String, Change)>,
    /// The same for people: `+` new, `~` changed, `-` ended, indented what belongs to the line above.
    pub lines: Vec<String>,
}

impl Plan {
    /// Whether the file changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Plans a file against the terms as they are `now`. Months before `closed_until` are closed.
///
/// # Errors
/// Where the file refers to programs that neither it nor the workspace has.
pub fn plan(
    file: &ProgramFile,
    current: &Terms,
    now: Time,
    closed_until: Option<Time>,
    reprice_closed: RepriceClosed,
) -> Result<Plan, FileError> {
    checks::against(file, current)?;
    let closed_until = if reprice_closed == RepriceClosed::Yes { None } else { closed_until };
    let mut planner = Planner { file, current, now, closed_until, reprice_closed, plan: Plan::default() };
    planner.settings();
    for program in &file.programs {
        planner.program(program);
    }
    for group in &file.groups {
        planner.group(group);
    }
    for partner in &file.partners {
        planner.partner(partner);
    }
    planner.codes();
    Ok(planner.plan)
}

struct Planner<'a> {
    file: &'a ProgramFile,
    current: &'a Terms,
    now: Time,
    closed_until: Option<Time>,
    reprice_closed: RepriceClosed,
    plan: Plan,
}

impl Planner<'_> {
    fn line(&mut self, line: String) {
        self.plan.lines.push(line);
    }

    fn details(&mut self, details: Vec<String>) {
        self.plan.lines.extend(details.into_iter().map(|detail| format!("    {detail}")));
    }

    /// Under a key of the thing's own.
    fn enter_as(&mut self, key: String, change: Change) {
        self.plan.changes.push((key, change));
    }

    /// Under a key with the position in the log that the change will have.
    fn enter(&mut self, thing: &str, change: Change) {
        let position = i64::try_from(self.plan.changes.len()).unwrap_or(i64::MAX);
        let seq = self.current.seq.saturating_add(position).saturating_add(1);
        self.enter_as(format!("{thing}/{seq}"), change);
    }

    fn settings(&mut self) {
        let Some(section) = &self.file.workspace else { return };
        let before = self.current.current_settings();
        let mut settings = section.settings.clone();
        settings.account = settings.account.or_else(|| before.account.clone());
        if settings == before {
            return;
        }
        for difference in describe::differences(&describe::settings(&before), &describe::settings(&settings)) {
            self.line(format!("~ workspace: {difference}"));
        }
        self.enter("settings", Change::Settings { from: None, settings });
    }

    fn program(&mut self, section: &ProgramSection) {
        let known = self.current.programs.get(&section.key);
        match known.and_then(|program| program.latest().map(|latest| (program, latest))) {
            None => self.first_version(section),
            Some((program, latest)) => self.known_program(section, program, latest),
        }
        let before = known.and_then(|program| program.status.latest()).copied().unwrap_or_default();
        if let Some(status) = section.status.filter(|status| *status != before) {
            let key = &section.key;
            self.line(format!("~ program {key}: {} → {}", describe::status(before), describe::status(status)));
            let change = Change::ProgramStatus { program: key.clone(), status, from: None };
            self.enter(&format!("program/{key}/status"), change);
        }
    }

    /// The moment that a section names, on the clock that the workspace will have.
    fn effective_from(&self, section: &ProgramSection) -> Option<Time> {
        let workspace = self.file.workspace.as_ref();
        let zone = workspace.map_or_else(|| self.current.current_settings().time_zone, |own| own.settings.time_zone);
        section.effective_from.map(|moment| moment.resolve(zone))
    }

    fn first_version(&mut self, section: &ProgramSection) {
        let effective_from = self.effective_from(section).unwrap_or(self.now);
        self.line(format!("+ program {} (version 1)", section.key));
        self.details(rule_lines(&section.terms));
        // Payments older than the first version use it anyway.
        self.version(section, 1, effective_from, effective_from);
    }

    fn known_program(&mut self, section: &ProgramSection, program: &Program, latest: &Version) {
        let wished = self.effective_from(section);
        let redated = wished.is_some_and(|wished| wished != latest.effective_from);
        // A version that was kept out of closed months, which may now be priced again.
        let kept_out = self.reprice_closed == RepriceClosed::Yes && latest.in_force_from > latest.effective_from;
        if section.terms != latest.terms || redated || (kept_out && latest.number > 1) {
            let default = if section.terms == latest.terms { latest.effective_from } else { self.now };
            self.next_version(section, program, latest, wished.unwrap_or(default));
        } else if section.name != program.name {
            let key = &section.key;
            self.line(format!("~ program {key}: name: {} → {}", program.name, section.name));
            let change = Change::ProgramName { program: key.clone(), name: section.name.clone() };
            self.enter(&format!("program/{key}/name"), change);
        }
    }

    fn next_version(&mut self, section: &ProgramSection, program: &Program, latest: &Version, effective_from: Time) {
        let in_force_from = self.closed_until.map_or(effective_from, |closed| effective_from.max(closed));
        let number = latest.number.saturating_add(1);
        let since = describe::moment(in_force_from);
        self.line(format!("~ program {} (version {number}, for payments from {since})", section.key));
        let mut details = Vec::new();
        if in_force_from > effective_from {
            details.push(format!("closed months keep their terms: not from {}", describe::moment(effective_from)));
        }
        if section.name != program.name {
            details.push(format!("name: {} → {}", program.name, section.name));
        }
        details.extend(describe::differences(&describe::terms(&latest.terms), &describe::terms(&section.terms)));
        details.extend(rule_differences(&latest.terms.rules, &section.terms.rules));
        details.extend(overtaken(program, in_force_from));
        self.details(details);
        self.version(section, number, effective_from, in_force_from);
    }

    fn version(&mut self, section: &ProgramSection, number: u32, effective_from: Time, in_force_from: Time) {
        let change = Change::ProgramVersion {
            program: section.key.clone(),
            name: section.name.clone(),
            version: number,
            effective_from,
            in_force_from,
            engine: ENGINE,
            terms: section.terms.clone(),
        };
        self.enter_as(format!("program/{}/version/{number}", section.key), change);
    }

    fn group(&mut self, section: &GroupSection) {
        let GroupSection { key, name, .. } = section;
        let known = self.current.groups.get(key);
        if known.is_none_or(|group| group.name != *name) {
            self.line(match known {
                Some(group) => format!("~ group {key}: name: {} → {name}", group.name),
                None => format!("+ group {key} ({name})"),
            });
            self.enter(&format!("group/{key}/name"), Change::Group { group: key.clone(), name: name.clone() });
        }
        let nothing = Overrides::default();
        let known = known.map_or(&nothing, |group| &group.overrides);
        self.overrides(&Whose::Group(key.clone()), &section.overrides, known);
    }

    /// The overrides that a section lists, and the end of those that it does not.
    fn overrides(&mut self, whose: &Whose, sections: &[OverrideSection], known: &Overrides) {
        for OverrideSection { program, rules } in sections {
            let before =
                known.get(&program.name).and_then(|dated| dated.latest()).map(Vec::as_slice).unwrap_or_default();
            if before == rules.as_slice() {
                continue;
            }
            let sign = if before.is_empty() { '+' } else { '~' };
            self.line(format!("{sign} {whose}: override in program {}", program.name));
            self.details(rule_differences(before, rules));
            self.override_with(whose, &program.name, rules.clone());
        }
        for (program, dated) in known {
            let is_listed = sections.iter().any(|section| section.program.name == *program);
            if !is_listed && dated.latest().is_some_and(|rules| !rules.is_empty()) {
                self.line(format!("- {whose}: override in program {program}"));
                self.override_with(whose, program, Vec::new());
            }
        }
    }

    fn override_with(&mut self, whose: &Whose, program: &str, rules: Vec<Rule>) {
        let kind = match whose {
            Whose::Partner(key) => format!("partner/{key}"),
            Whose::Group(key) => format!("group/{key}"),
        };
        let (whose, program) = (whose.clone(), program.to_owned());
        self.enter(&format!("{kind}/override/{program}"), Change::Override { program, whose, rules, from: None });
    }

    fn partner(&mut self, section: &PartnerSection) {
        let key = &section.key;
        let known = self.current.partners.get(key);
        self.profile(section, known);
        let before = known.and_then(|partner| partner.status.latest()).copied().unwrap_or_default();
        if let Some(status) = section.status.filter(|status| *status != before) {
            self.line(format!("~ partner {key}: {} → {}", describe::status(before), describe::status(status)));
            let change = Change::PartnerStatus { partner: key.clone(), status, from: None };
            self.enter(&format!("partner/{key}/status"), change);
        }
        let before = known.and_then(|partner| partner.group.latest()).cloned().flatten();
        if before != section.group {
            let word = |group: &Option<String>| group.clone().unwrap_or_else(|| "none".to_owned());
            self.line(format!("~ partner {key}: group: {} → {}", word(&before), word(&section.group)));
            let change = Change::PartnerGroup { partner: key.clone(), group: section.group.clone(), from: None };
            self.enter(&format!("partner/{key}/group"), change);
        }
        self.recruiter(section, known);
        self.enrollments(section, known);
        let nothing = Overrides::default();
        let known = known.map_or(&nothing, |partner| &partner.overrides);
        self.overrides(&Whose::Partner(key.clone()), &section.overrides, known);
    }

    fn recruiter(&mut self, section: &PartnerSection, known: Option<&Partner>) {
        let key = &section.key;
        let before = known.and_then(|partner| partner.recruiter.latest()).cloned().flatten();
        let recruiter = section.recruited_by.as_ref().map(|named| named.name.clone());
        if before != recruiter {
            let word = |recruiter: &Option<PartnerKey>| recruiter.clone().unwrap_or_else(|| "nobody".to_owned());
            self.line(format!("~ partner {key}: recruited by: {} → {}", word(&before), word(&recruiter)));
            let change = Change::PartnerRecruiter { partner: key.clone(), recruiter, from: None };
            self.enter(&format!("partner/{key}/recruiter"), change);
        }
    }

    fn profile(&mut self, section: &PartnerSection, known: Option<&Partner>) {
        let key = &section.key;
        let before = known.map(|partner| partner.profile.clone()).unwrap_or_default();
        let profile = Profile {
            payout: section.payout.clone().or_else(|| before.payout.clone()),
            on_hold: section.on_hold.unwrap_or(before.on_hold),
            note: section.profile.note.clone().or_else(|| before.note.clone()),
            locale: section.profile.locale.clone().or_else(|| before.locale.clone()),
            tax_form: section.profile.tax_form.clone().or_else(|| before.tax_form.clone()),
            ..section.profile.clone()
        };
        if known.is_some() && profile == before {
            return;
        }
        if known.is_none() {
            self.line(format!("+ partner {key} ({})", profile.name));
        } else {
            for difference in describe::differences(&describe::profile(&before), &describe::profile(&profile)) {
                self.line(format!("~ partner {key}: {difference}"));
            }
        }
        if profile.payout != before.payout {
            let (before, after) = (describe::payout(before.payout.as_ref()), describe::payout(profile.payout.as_ref()));
            // Masked, a changed account may look like the one before.
            let note = if before == after { " (another account)" } else { "" };
            self.line(format!("~ partner {key}: payout: {before} → {after}{note}"));
        }
        self.enter(&format!("partner/{key}/profile"), Change::Partner { partner: key.clone(), profile });
    }

    fn enrollments(&mut self, section: &PartnerSection, known: Option<&Partner>) {
        let is_in = |program: &str| {
            known.and_then(|partner| partner.enrollment(program)).and_then(|dated| dated.latest())
                == Some(&Status::Active)
        };
        for program in section.programs.iter().filter(|program| !is_in(&program.name)) {
            self.line(format!("+ partner {} in program {}", section.key, program.name));
            self.enroll(section, &program.name, Status::Active);
        }
        let entered = known.map(|partner| partner.enrollments.as_slice()).unwrap_or_default();
        for (program, _) in entered {
            if is_in(program) && !section.programs.iter().any(|listed| listed.name == *program) {
                self.line(format!("- partner {} in program {program}", section.key));
                self.enroll(section, program, Status::Inactive);
            }
        }
    }

    fn enroll(&mut self, section: &PartnerSection, program: &str, status: Status) {
        let (partner, program): (_, ProgramKey) = (section.key.clone(), program.to_owned());
        let thing = format!("partner/{partner}/program/{program}");
        self.enter(&thing, Change::Enrollment { partner, program, status, from: None });
    }

    fn codes(&mut self) {
        let owned: BTreeMap<&String, &CodeOwner> =
            self.current.codes.iter().filter_map(|(code, dated)| Some((code, dated.latest()?.as_ref()?))).collect();
        let mut listed = HashSet::new();
        for partner in &self.file.partners {
            for code in &partner.codes {
                let program = code.program.as_ref().map(|program| program.name.clone());
                let owner = CodeOwner { partner: partner.key.clone(), program };
                let key = code.code.to_lowercase();
                let before = owned.get(&key).copied();
                if before != Some(&owner) {
                    self.line(code_line(&code.code, before, &owner));
                    self.enter(
                        &format!("code/{key}"),
                        Change::Code { code: code.code.clone(), owner: Some(owner), from: None },
                    );
                }
                listed.insert(key);
            }
        }
        let named: HashSet<&PartnerKey> = self.file.partners.iter().map(|partner| &partner.key).collect();
        for (code, owner) in owned {
            if named.contains(&owner.partner) && !listed.contains(code) {
                self.line(format!("- code {} ({})", spelled(code), owner.partner));
                self.enter(&format!("code/{code}"), Change::Code { code: code.clone(), owner: None, from: None });
            }
        }
    }
}

fn code_line(code: &str, before: Option<&CodeOwner>, after: &CodeOwner) -> String {
    let word = |owner: &CodeOwner| match &owner.program {
        Some(program) => format!("{} in program {program}", owner.partner),
        None => owner.partner.clone(),
    };
    match before {
        None => format!("+ code {code} ({})", word(after)),
        Some(before) => format!("~ code {code}: {} → {}", word(before), word(after)),
    }
}

fn rule_lines(terms: &ProgramTerms) -> Vec<String> {
    terms.rules.iter().enumerate().map(|(i, rule)| format!("+ rule {}: {}", i + 1, describe::rule(rule))).collect()
}

fn rule_differences(before: &[Rule], after: &[Rule]) -> Vec<String> {
    let count = before.len().max(after.len());
    let mut lines = Vec::new();
    for index in 0..count {
        let (before, after) = (before.get(index), after.get(index));
        if before == after {
            continue;
        }
        let number = index + 1;
        lines.extend(before.map(|rule| format!("- rule {number}: {}", describe::rule(rule))));
        lines.extend(after.map(|rule| format!("+ rule {number}: {}", describe::rule(rule))));
    }
    lines
}

/// Says where the new version takes over from one that begins later: the last published counts from when it begins.
fn overtaken(program: &Program, in_force_from: Time) -> Option<String> {
    let later = program.versions.iter().filter(|version| version.in_force_from > in_force_from);
    let numbers: Vec<String> = later.map(|version| version.number.to_string()).collect();
    match numbers.as_slice() {
        [] => None,
        [one] => Some(format!("in the place of version {one}, too, which begins later")),
        several => Some(format!("in the place of versions {}, too, which begin later", several.join(", "))),
    }
}
