//! What a program file says, as data.
//!
//! A section that the file names is whole: what it leaves out is the default. Exceptions are the states that people keep
//! elsewhere too, which nobody should lose by applying a file again: a partner's `status`, `on_hold`, `payout` and
//! `note`, a program's `status`, the workspace's `account`. Left out, they stay as they are.

use chrono::{LocalResult, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use toml::de::{DeTable, DeValue};

use super::checks;
use super::fault::{Faults, FileError, Source, Spot};
use super::read;
use crate::domain::Time;
use crate::domain::terms::{
    GroupKey, PartnerKey, PayoutMethod, Profile, ProgramKey, ProgramTerms, Rule, Settings, Status,
};

/// A program file without faults of its own.
#[derive(Debug, Clone)]
pub struct ProgramFile {
    /// `[workspace]`
    pub workspace: Option<WorkspaceSection>,
    /// `[[program]]`, in the file's order.
    pub programs: Vec<ProgramSection>,
    /// `[[group]]`, in the file's order.
    pub groups: Vec<GroupSection>,
    /// `[[partner]]`, in the file's order.
    pub partners: Vec<PartnerSection>,
    pub(super) source: Source,
}

/// `[workspace]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceSection {
    /// All settings; an `account` of `None` leaves the one that is known.
    pub settings: Settings,
}

/// `[[program]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramSection {
    /// Its key.
    pub key: ProgramKey,
    /// Its display name; the key where the file has none.
    pub name: String,
    /// Whether it earns; as it is when left out.
    pub status: Option<Status>,
    /// Since when these terms count; since now when left out.
    pub effective_from: Option<Moment>,
    /// Every setting and rule.
    pub terms: ProgramTerms,
    pub(super) spot: Spot,
}

/// `[[group]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSection {
    /// Its key.
    pub key: GroupKey,
    /// Its display name; the key where the file has none.
    pub name: String,
    /// Every override that its partners share.
    pub overrides: Vec<OverrideSection>,
    pub(super) spot: Spot,
}

/// `[[partner.override]]`, `[[group.override]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct OverrideSection {
    /// The program whose rules these come before.
    pub program: Named,
    /// The rules, in order; never empty.
    pub rules: Vec<Rule>,
}

/// `[[partner]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartnerSection {
    /// Their key.
    pub key: PartnerKey,
    /// Who they are. Its `payout` and `on_hold` are unset; see the fields below. A `note` of `None` leaves the one that
    /// is known.
    pub profile: Profile,
    /// How they are paid; as it is when left out.
    pub payout: Option<PayoutMethod>,
    /// Whether payouts wait; as it is when left out.
    pub on_hold: Option<bool>,
    /// Whether they earn; as it is when left out.
    pub status: Option<Status>,
    /// Their group.
    pub group: Option<GroupKey>,
    /// Who brought them.
    pub recruited_by: Option<Named>,
    /// Every program that they are in.
    pub programs: Vec<Named>,
    /// Every promotion code that is theirs.
    pub codes: Vec<CodeSection>,
    /// Every override that they have.
    pub overrides: Vec<OverrideSection>,
    pub(super) spot: Spot,
}

/// A promotion code of a partner.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeSection {
    /// Its text or `promo_…` id, as the file writes it.
    pub code: String,
    /// The program that it names.
    pub program: Option<Named>,
    pub(super) spot: Spot,
}

/// A name that refers to something, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The name.
    pub name: String,
    pub(super) spot: Spot,
}

/// A moment as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// With an offset from UTC.
    Exact(Time),
    /// On the workspace's clock.
    Local(NaiveDateTime),
}

impl Moment {
    /// The moment in UTC. A time that the clocks show twice is the earlier; one that they skip is the next that exists.
    pub fn resolve(self, zone: Tz) -> Time {
        let local = match self {
            Self::Exact(time) => return time,
            Self::Local(local) => local,
        };
        // No zone skips more than a day.
        (0..=24 * 60)
            .find_map(|minutes| match zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))) {
                LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Some(time.to_utc()),
                LocalResult::None => None,
            })
            .unwrap_or_else(|| local.and_utc())
    }
}

/// Reads a program file, or says all that is wrong with it. What it refers to outside of itself (programs that are
/// already known) is checked by [`plan`](super::plan::plan).
///
/// # Errors
/// All that is wrong, in the order of the file.
///
/// ```
/// let file = commission_bridge::program::parse(
///     r#"
///     [[program]]
///     key = "saas"
///       [[program.rule]]
///       on = "first"
///       percent = "30"
///       duration = "one_time"
///     "#,
///     "terms.toml",
/// )?;
/// assert_eq!(file.programs[0].key, "saas");
/// # Ok::<(), commission_bridge::program::FileError>(())
/// ```
pub fn parse(text: &str, file_name: &str) -> Result<ProgramFile, FileError> {
    parse_with(text, file_name, Faults::default())
}

/// The same; `faults` says how amounts are written.
pub(super) fn parse_with(text: &str, file_name: &str, mut faults: Faults) -> Result<ProgramFile, FileError> {
    let source = Source { file_name: file_name.to_owned(), text: text.to_owned() };
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut syntax = Faults::default();
    for error in &errors {
        syntax.add(&Spot { path: String::new(), span: error.span().unwrap_or_default() }, error.message());
    }
    // What a file means is only worth saying once its syntax stands.
    syntax.into_result(&source)?;

    let root = DeValue::Table(root.into_inner());
    let sections = read::document(&root, &mut faults);
    checks::within(&sections, &mut faults);
    faults.into_result(&source)?;
    let read::Sections { workspace, programs, groups, partners } = sections;
    Ok(ProgramFile { workspace, programs, groups, partners, source })
}
