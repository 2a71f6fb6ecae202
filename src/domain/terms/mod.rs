//! Terms: what people entered. Programs with immutable versions, partners, enrollments, codes, settings and manual
//! decisions, folded from an append-only log of [`Entered`] changes.
//!
//! Everything that deciding reads is dated: the first value reaches back to the beginning unless it has a `from`; a later
//! change counts for payments paid from then on.

mod change;
mod dated;
mod month_end;
mod partner;
mod program;
mod settings;
mod subject;
mod tiers;

use std::collections::{BTreeMap, HashMap};

pub use change::{Change, CodeOwner, Entered, Erasable, Reviewed, Verdict, Whose};
pub use dated::Dated;
pub use month_end::{AutoClose, CustomersShown, MailSettings, MonthEnd, SendStatements, SepaDebtor};
pub use partner::{ByHand, Group, Method, Overrides, Partner, PayoutMethod, Profile};
pub use program::{
    Base, CreditBy, Duration, Earn, EmailMatch, Kind, PriceBy, Program, ProgramTerms, Rule, SecondLevel, SecondLevelOf,
    SelfReferral, Status, Touch, TrialConversion, Version,
};
pub use settings::{EvidenceKind, MetadataField, Settings};
pub use subject::Subject;
pub use tiers::{Tier, TierSteps, Tiers};

use super::Time;
use super::currency::Currency;
use super::pseudonym::Pseudonyms;

/// Key of a program (`saas`), chosen by the merchant.
pub type ProgramKey = String;
/// Key of a partner (`acme`), chosen by the merchant; what `partner_key` metadata names.
pub type PartnerKey = String;
/// Key of a group of partners (`gold`), chosen by the merchant; what a rule's `group` names.
pub type GroupKey = String;
/// Amounts in minor units by currency.
pub type AmountByCurrency = BTreeMap<Currency, i64>;

/// The deciding engine of this release. A release that decides differently gets the next number; a program version is
/// decided by the engine it was published under.
pub const ENGINE: u32 = 1;

/// All terms of a workspace, folded from its log.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Position of the last change folded in.
    pub seq: i64,
    /// Settings over time.
    pub settings: Dated<Settings>,
    /// Programs by key.
    pub programs: BTreeMap<ProgramKey, Program>,
    /// Partners by key.
    pub partners: BTreeMap<PartnerKey, Partner>,
    /// The programs that ever had tiers, in a version or an override, with the longest window in months.
    pub tiered: BTreeMap<ProgramKey, u32>,
    /// Whether any rule ever told products, prices or intervals apart.
    pub tells_products: bool,
    /// The groups that somebody said something of, by key.
    pub groups: BTreeMap<GroupKey, Group>,
    /// Owners of codes over time, by the code or id in lower case.
    pub codes: HashMap<String, Dated<Option<CodeOwner>>>,
    /// Attributions by hand, by reference, in order of entry.
    pub by_hand: HashMap<String, Vec<ByHand>>,
    /// The last verdict, by reference.
    pub reviews: HashMap<String, Reviewed>,
    /// Whether anybody's personal data was erased.
    pub has_erasures: bool,
    /// By which addresses that were erased are compared, where any were. Kept beside the log.
    pub pseudonyms: Option<Pseudonyms>,
}

impl Terms {
    /// Folds a whole log.
    pub fn from_log(log: impl IntoIterator<Item = Entered>) -> Self {
        let mut terms = Self::default();
        for entered in log {
            terms.enter(entered);
        }
        terms
    }

    /// The settings in force now.
    pub fn current_settings(&self) -> Settings {
        self.settings.latest().cloned().unwrap_or_default()
    }

    /// Folds one more change in. Changes come in order of `seq`.
    pub fn enter(&mut self, entered: Entered) {
        let Entered { seq, at, change, .. } = entered;
        self.seq = seq;
        match change {
            Change::Settings { from, settings } => self.settings.enter(seq, at, from, settings),
            Change::ProgramVersion { program, name, version, effective_from, in_force_from, engine, terms } => {
                self.note_rules(&program, &terms.rules);
                let program = self.programs.entry(program).or_default();
                program.name = name;
                program.versions.push(Version {
                    number: version,
                    effective_from,
                    in_force_from,
                    published_at: at,
                    engine,
                    terms,
                });
            }
            Change::ProgramName { program, name } => self.programs.entry(program).or_default().name = name,
            Change::ProgramStatus { program, status, from } => {
                // A status entered later is a change: the program was active before.
                let program = self.programs.entry(program).or_default();
                program.status.enter(seq, at, Some(from.unwrap_or(at)), status);
            }
            Change::Partner { partner, profile } => {
                let partner =
                    self.partners.entry(partner).or_insert_with(|| Partner { entered_at: at, ..Partner::default() });
                if partner.email.latest() != Some(&profile.email) {
                    partner.email.enter(seq, at, None, profile.email.clone());
                }
                partner.profile = profile;
            }
            Change::PartnerStatus { partner, status, from } => {
                if let Some(partner) = self.partners.get_mut(&partner) {
                    // Entered together with the partner it is the first value; later it is a change.
                    let from = if at == partner.entered_at { from } else { Some(from.unwrap_or(at)) };
                    partner.status.enter(seq, at, from, status);
                }
            }
            Change::PartnerGroup { partner, group, from } => {
                if let Some(partner) = self.partners.get_mut(&partner) {
                    let from = if at == partner.entered_at { from } else { Some(from.unwrap_or(at)) };
                    partner.group.enter(seq, at, from, group);
                }
            }
            Change::PartnerRecruiter { partner, recruiter, from } => {
                if let Some(partner) = self.partners.get_mut(&partner) {
                    let from = if at == partner.entered_at { from } else { Some(from.unwrap_or(at)) };
                    partner.recruiter.enter(seq, at, from, recruiter);
                }
            }
            Change::Group { group, name } => self.groups.entry(group).or_default().name = name,
            Change::Override { program, whose, rules, from } => {
                self.enter_override(seq, at, program, whose, rules, from);
            }
            Change::Enrollment { partner, program, status, from } => {
                let Some(partner) = self.partners.get_mut(&partner) else { return };
                if let Some((_, dated)) = partner.enrollments.iter_mut().find(|(key, _)| *key == program) {
                    dated.enter(seq, at, from, status);
                } else {
                    let mut dated = Dated::default();
                    dated.enter(seq, at, from, status);
                    partner.enrollments.push((program, dated));
                }
            }
            Change::Code { code, owner, from } => {
                self.codes.entry(code.trim().to_lowercase()).or_default().enter(seq, at, from, owner);
            }
            Change::Attribution { reference, partner, program, from } => {
                let by_hand = ByHand { partner, program, from, seq, entered_at: at };
                self.by_hand.entry(reference).or_default().push(by_hand);
            }
            Change::Erasure { .. } => self.has_erasures = true,
            Change::Review { reference, verdict, note } => {
                self.reviews.insert(reference, Reviewed { verdict, note, seq });
            }
        }
    }

    fn note_rules(&mut self, program: &str, rules: &[Rule]) {
        self.tells_products |= rules.iter().any(Rule::tells_lines_apart);
        let months = tiers::months_of(rules);
        if months > 0 {
            let known = self.tiered.entry(program.to_owned()).or_default();
            *known = months.max(*known);
        }
    }

    fn enter_override(
        &mut self,
        seq: i64,
        at: Time,
        program: ProgramKey,
        whose: Whose,
        rules: Vec<Rule>,
        from: Option<Time>,
    ) {
        self.note_rules(&program, &rules);
        let first = self.programs.get(&program).and_then(|program| program.versions.first());
        let mut is_first = first.is_some_and(|version| version.published_at == at);
        let overrides = match whose {
            Whose::Partner(partner) => {
                let Some(partner) = self.partners.get_mut(&partner) else { return };
                is_first |= partner.entered_at == at;
                &mut partner.overrides
            }
            Whose::Group(group) => {
                let known = self.groups.entry(group);
                let name = known.key().clone();
                &mut known.or_insert_with(|| Group { name, ..Group::default() }).overrides
            }
        };
        // Entered together with whom it is for, it is the first value; later it is a change.
        let from = if is_first { from } else { Some(from.unwrap_or(at)) };
        overrides.entry(program).or_default().enter(seq, at, from, rules);
    }

    /// The overrides in force at `at` for a partner in a program: the partner's own, then their group's.
    pub fn overrides_at(&self, partner: &str, program: &str, at: Time) -> Vec<(Whose, &[Rule])> {
        let Some(known) = self.partners.get(partner) else { return Vec::new() };
        let mut found = Vec::new();
        let own = in_force(&known.overrides, program, at);
        if !own.is_empty() {
            found.push((Whose::Partner(partner.to_owned()), own));
        }
        let group = known.group.at(at).and_then(Option::as_ref);
        if let Some((key, group)) = group.and_then(|group| self.groups.get_key_value(group)) {
            let shared = in_force(&group.overrides, program, at);
            if !shared.is_empty() {
                found.push((Whose::Group(key.clone()), shared));
            }
        }
        found
    }
}

/// The rules in force, none where there are none.
fn in_force<'a>(overrides: &'a Overrides, program: &str, at: Time) -> &'a [Rule] {
    overrides.get(program).and_then(|dated| dated.at(at)).map(Vec::as_slice).unwrap_or_default()
}
