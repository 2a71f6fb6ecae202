//! What people enter: the lines of the append-only log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::partner::Profile;
use super::program::{ProgramTerms, Rule, Status};
use super::settings::Settings;
use super::{GroupKey, PartnerKey, ProgramKey};
use crate::domain::Time;

/// One line of the log of what people entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entered {
    /// Position in the workspace's log, from 1, without gaps.
    pub seq: i64,
    /// When it was entered.
    pub at: Time,
    /// Who entered it (`cli`, an API key's prefix).
    pub author: String,
    /// What.
    pub change: Change,
}

/// Something that a person (or a script on their behalf) entered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The workspace's settings, whole.
    Settings {
        /// Since when they count; the first reach back to the beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
        /// All of them.
        settings: Settings,
    },
    /// A program's next version.
    ProgramVersion {
        /// Which program; unknown keys make a new one.
        program: ProgramKey,
        /// Its display name from now on.
        name: String,
        /// 1 for the first, then one more each time.
        version: u32,
        /// From which payments on it counts, as its author said (default: when entered).
        effective_from: Time,
        /// From which payments on it really counts: `effective_from`, or the end of the last closed month where that is
        /// later and closed months were not to be repriced.
        in_force_from: Time,
        /// The engine that decides under it ([`ENGINE`] when entered).
        engine: u32,
        /// Every setting.
        terms: ProgramTerms,
    },
    /// A program is called something else; its terms stay.
    ProgramName {
        /// Which.
        program: ProgramKey,
        /// Its display name from now on.
        name: String,
    },
    /// A program is archived or taken up again.
    ProgramStatus {
        /// Which.
        program: ProgramKey,
        /// Whether it earns.
        status: Status,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A partner's profile, whole. Unknown keys make a new, active partner.
    Partner {
        /// Which.
        partner: PartnerKey,
        /// All of it.
        profile: Profile,
    },
    /// A partner may or may not earn.
    PartnerStatus {
        /// Which.
        partner: PartnerKey,
        /// Whether they earn.
        status: Status,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A partner's group, which rules can name.
    PartnerGroup {
        /// Which.
        partner: PartnerKey,
        /// The group, or none.
        group: Option<GroupKey>,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// Who brought a partner.
    PartnerRecruiter {
        /// The partner who was brought.
        partner: PartnerKey,
        /// By whom, or by nobody.
        recruiter: Option<PartnerKey>,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A group of partners is called something.
    Group {
        /// Which; unknown keys make a new one.
        group: GroupKey,
        /// Its display name from now on.
        name: String,
    },
    /// A partner or a group has rules of its own in a program, tried before the program's.
    Override {
        /// In which program.
        program: ProgramKey,
        /// Whose.
        whose: Whose,
        /// All of them; none end it.
        rules: Vec<Rule>,
        /// Since when. Entered together with the partner or the program's first version they reach back to the
        /// beginning; later they count from when they were entered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A partner enters or leaves a program.
    Enrollment {
        /// Who.
        partner: PartnerKey,
        /// Where.
        program: ProgramKey,
        /// In or out.
        status: Status,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// Whose a promotion code (its text or its `promo_…` id, any case) is.
    Code {
        /// Text or id.
        code: String,
        /// Whose; nobody's when `None`.
        owner: Option<CodeOwner>,
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A payment or customer is given to a partner by hand.
    Attribution {
        /// A Stripe id or `pay_…` of the payment, or a `cus_…`, `sub_…`.
        reference: String,
        /// To whom; `None` takes an earlier attribution by hand back.
        partner: Option<PartnerKey>,
        /// Under which program; their earliest enrollment when `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<ProgramKey>,
        /// For payments from then on; for all when `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
    /// A commission is rejected, or restored.
    Review {
        /// A Stripe id or `pay_…` of the payment.
        reference: String,
        /// Rejected or restored.
        verdict: Verdict,
        /// Why.
        note: String,
    },
    /// Somebody's personal data was erased: from here on the log holds pseudonyms of it.
    Erasure {
        /// `customer` or `partner`.
        object: Erasable,
        /// Which: an id or a pseudonym.
        subject: String,
    },
}

/// Whose personal data can be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Erasable {
    /// Somebody who pays the merchant.
    Customer,
    /// Somebody who earns.
    Partner,
}

impl Erasable {
    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Partner => "partner",
        }
    }
}

/// Who has rules of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// A partner.
    Partner(PartnerKey),
    /// Every partner of a group.
    Group(GroupKey),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(key) => write!(f, "partner {key}"),
            Self::Group(key) => write!(f, "group {key}"),
        }
    }
}

/// What a reviewer said of a payment's commission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It earns nothing.
    Rejected,
    /// It earns again, or at last where it was waiting for a reviewer.
    Restored,
}

/// The last verdict on a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// What was said.
    pub verdict: Verdict,
    /// Why.
    pub note: String,
    /// Position in the log: of a payment's references, the latest speaks.
    pub seq: i64,
}

/// Whose a code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOwner {
    /// Who.
    pub partner: PartnerKey,
    /// The program it names, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramKey>,
}
