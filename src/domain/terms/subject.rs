//! What a change is about, and how that stands: for the audit log.

use serde_json::{Value, json};

use super::{Change, PayoutMethod, Profile, Terms, Whose};

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What was done, such as `partner.updated`.
    pub action: &'static str,
    /// What kind of thing it is about, such as `partner`.
    pub object: &'static str,
    /// Which one.
    pub id: String,
}

impl Change {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        let subject = |action, object, id: &str| Subject { action, object, id: id.to_owned() };
        match self {
            Self::Settings { .. } => subject("workspace.updated", "workspace", "settings"),
            Self::ProgramVersion { program, .. } => subject("program.version_published", "program", program),
            Self::ProgramName { program, .. } => subject("program.renamed", "program", program),
            Self::ProgramStatus { program, .. } => subject("program.status_changed", "program", program),
            Self::Partner { partner, .. } => subject("partner.entered", "partner", partner),
            Self::PartnerStatus { partner, .. } => subject("partner.status_changed", "partner", partner),
            Self::PartnerGroup { partner, .. } => subject("partner.group_changed", "partner", partner),
            Self::PartnerRecruiter { partner, .. } => subject("partner.recruiter_changed", "partner", partner),
            Self::Enrollment { partner, program, .. } => {
                Subject { action: "enrollment.changed", object: "enrollment", id: format!("{partner}/{program}") }
            }
            Self::Group { group, .. } => subject("group.entered", "group", group),
            Self::Override { program, whose, .. } => {
                Subject { action: "override.changed", object: "override", id: format!("{whose} in {program}") }
            }
            Self::Code { code, .. } => subject("code.changed", "code", code),
            Self::Attribution { reference, .. } => subject("attribution.entered", "attribution", reference),
            Self::Review { reference, .. } => subject("review.entered", "review", reference),
            Self::Erasure { object, subject: of } => subject("privacy.erased", object.as_str(), of),
        }
    }
}

impl Terms {
    /// How the thing that a change is about stands: none where it is not there. Accounts are masked.
    pub fn state_of(&self, change: &Change) -> Option<Value> {
        match change {
            Change::Settings { .. } => self.settings.latest().map(|settings| json!(settings)),
            Change::ProgramVersion { program, .. }
            | Change::ProgramName { program, .. }
            | Change::ProgramStatus { program, .. } => self.programs.get(program).map(|program| {
                json!({
                    "name": program.name,
                    "status": program.status.latest().copied().unwrap_or_default(),
                    "version": program.latest().map(|version| version.number),
                    "effective_from": program.latest().map(|version| version.effective_from),
                    "terms": program.latest().map(|version| &version.terms),
                })
            }),
            Change::Partner { partner, .. }
            | Change::PartnerStatus { partner, .. }
            | Change::PartnerGroup { partner, .. }
            | Change::PartnerRecruiter { partner, .. } => self.partners.get(partner).map(|partner| {
                json!({
                    "profile": masked(&partner.profile),
                    "status": partner.status.latest().copied().unwrap_or_default(),
                    "group": partner.group.latest().cloned().flatten(),
                    "recruited_by": partner.recruiter.latest().cloned().flatten(),
                })
            }),
            Change::Enrollment { partner, program, .. } => {
                let enrollment = self.partners.get(partner).and_then(|partner| partner.enrollment(program));
                enrollment.and_then(|dated| dated.latest()).map(|status| json!({ "status": status }))
            }
            Change::Group { group, .. } => self.groups.get(group).map(|group| json!({ "name": group.name })),
            Change::Override { program, whose, .. } => {
                let overrides = match whose {
                    Whose::Partner(key) => self.partners.get(key).map(|partner| &partner.overrides),
                    Whose::Group(key) => self.groups.get(key).map(|group| &group.overrides),
                };
                let rules = overrides.and_then(|overrides| overrides.get(program)).and_then(|dated| dated.latest());
                rules.map(|rules| json!({ "rules": rules }))
            }
            Change::Code { code, .. } => {
                let owner = self.codes.get(&code.trim().to_lowercase()).and_then(|dated| dated.latest());
                owner.and_then(Option::as_ref).map(|owner| json!(owner))
            }
            Change::Attribution { reference, .. } => {
                let last = self.by_hand.get(reference).and_then(|entered| entered.last());
                last.map(|last| json!({ "partner": last.partner, "program": last.program, "from": last.from }))
            }
            // What it was is what was erased.
            Change::Erasure { .. } => None,
            Change::Review { reference, .. } => {
                let review = self.reviews.get(reference);
                review.map(|review| json!({ "verdict": review.verdict, "reason": review.note }))
            }
        }
    }
}

/// A profile whose account shows no more than it takes to tell it from another.
fn masked(profile: &Profile) -> Profile {
    let payout = profile.payout.as_ref().map(|payout| PayoutMethod {
        account: payout.account.as_deref().map(crate::domain::mask::mask),
        ..payout.clone()
    });
    Profile { payout, ..profile.clone() }
}
