//! Which column means what, in this program's own files and in other tools' exports.
//!
//! The columns of Rewardful's import template are those that its documentation publishes. `FirstPromoter`, Tolt and
//! `PartnerStack` document the fields of their APIs, whose names are recognised here, and not the headings of their
//! exports: those are assumed to be the same words, in any case and with blanks or underscores.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::fault::{Faults, ImportError};
use crate::domain::mask::mask;
use crate::program::fault::nearest;

/// What a file lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Partners, with how they are paid and the programs they are in.
    Partners,
    /// Customers whom partners brought before.
    Customers,
    /// Promotion codes and whose they are.
    Codes,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// This program's own.
    Bridge,
    /// Rewardful's.
    Rewardful,
    /// `FirstPromoter`'s.
    FirstPromoter,
    /// Tolt's.
    Tolt,
    /// `PartnerStack`'s.
    PartnerStack,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Partners, Self::Customers, Self::Codes];

    /// As in flags and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partners => "partners",
            Self::Customers => "customers",
            Self::Codes => "codes",
        }
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Bridge, Self::Rewardful, Self::FirstPromoter, Self::Tolt, Self::PartnerStack];

    /// As in flags and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Rewardful => "rewardful",
            Self::FirstPromoter => "firstpromoter",
            Self::Tolt => "tolt",
            Self::PartnerStack => "partnerstack",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no kind of import: expected one of {names}"))
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no format of an import: expected one of {names}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Key,
    Name,
    FirstName,
    LastName,
    Email,
    LegalName,
    Country,
    TaxId,
    VatId,
    Group,
    Status,
    OnHold,
    Note,
    Programs,
    PayoutMethod,
    PayoutAccount,
    PayoutCurrency,
    PaypalEmail,
    WiseEmail,
    /// A Stripe id, a customer key or an e-mail.
    Customer,
    CustomerEmail,
    /// A partner's key or e-mail.
    Partner,
    PartnerEmail,
    Program,
    Since,
    Code,
}

type Aliases = &'static [(&'static str, Field)];

/// The columns of a format by kind, the preferred of several that say the same first.
fn aliases(format: Format, kind: Kind) -> Aliases {
    let by_kind = match format {
        Format::Bridge => BRIDGE,
        Format::Rewardful => REWARDFUL,
        Format::FirstPromoter => FIRST_PROMOTER,
        Format::Tolt => TOLT,
        Format::PartnerStack => PARTNER_STACK,
    };
    match kind {
        Kind::Partners => by_kind.partners,
        Kind::Customers => by_kind.customers,
        Kind::Codes => by_kind.codes,
    }
}

/// The columns of one format.
struct ByKind {
    partners: Aliases,
    customers: Aliases,
    codes: Aliases,
}

const BRIDGE: ByKind = ByKind {
    partners: &[
        ("key", Field::Key),
        ("name", Field::Name),
        ("email", Field::Email),
        ("legal_name", Field::LegalName),
        ("country", Field::Country),
        ("tax_id", Field::TaxId),
        ("vat_id", Field::VatId),
        ("group", Field::Group),
        ("status", Field::Status),
        ("on_hold", Field::OnHold),
        ("note", Field::Note),
        ("programs", Field::Programs),
        ("payout_method", Field::PayoutMethod),
        ("payout_account", Field::PayoutAccount),
        ("payout_currency", Field::PayoutCurrency),
    ],
    customers: &[
        ("customer", Field::Customer),
        ("partner_key", Field::Partner),
        ("program", Field::Program),
        ("since", Field::Since),
    ],
    codes: &[("code", Field::Code), ("partner_key", Field::Partner), ("program", Field::Program)],
};

const REWARDFUL: ByKind = ByKind {
    partners: &[
        ("token", Field::Key),
        ("affiliate_token", Field::Key),
        ("via", Field::Key),
        ("email", Field::Email),
        ("affiliate_email", Field::Email),
        ("name", Field::Name),
        ("first_name", Field::FirstName),
        ("affiliate_first_name", Field::FirstName),
        ("last_name", Field::LastName),
        ("affiliate_last_name", Field::LastName),
        ("paypal_email", Field::PaypalEmail),
        ("affiliate_paypal_email", Field::PaypalEmail),
        ("wise_email", Field::WiseEmail),
        ("state", Field::Status),
        ("status", Field::Status),
    ],
    customers: &[
        ("stripe_customer_id", Field::Customer),
        ("imported_id", Field::Customer),
        ("customer_email", Field::CustomerEmail),
        ("token", Field::Partner),
        ("affiliate_token", Field::Partner),
        ("via", Field::Partner),
        ("email", Field::PartnerEmail),
        ("affiliate_email", Field::PartnerEmail),
        ("became_lead_at", Field::Since),
        ("created_at", Field::Since),
    ],
    codes: &[
        ("code", Field::Code),
        ("coupon_code", Field::Code),
        ("coupon", Field::Code),
        ("affiliate_token", Field::Partner),
        ("token", Field::Partner),
        ("affiliate_email", Field::PartnerEmail),
        ("email", Field::PartnerEmail),
    ],
};

const FIRST_PROMOTER: ByKind = ByKind {
    partners: &[
        ("ref_id", Field::Key),
        ("default_ref_id", Field::Key),
        ("referral_id", Field::Key),
        ("email", Field::Email),
        ("promoter_email", Field::Email),
        ("email_id", Field::Email),
        ("name", Field::Name),
        ("first_name", Field::FirstName),
        ("last_name", Field::LastName),
        ("company_name", Field::LegalName),
        ("country", Field::Country),
        ("vat_id", Field::VatId),
        ("paypal_email", Field::PaypalEmail),
        ("wise_email", Field::WiseEmail),
        ("status", Field::Status),
        ("state", Field::Status),
    ],
    customers: &[
        ("stripe_customer_id", Field::Customer),
        ("customer_id", Field::Customer),
        ("uid", Field::Customer),
        ("email", Field::CustomerEmail),
        ("customer_email", Field::CustomerEmail),
        ("lead_email", Field::CustomerEmail),
        ("ref_id", Field::Partner),
        ("promoter_ref_id", Field::Partner),
        ("referral_id", Field::Partner),
        ("promoter_email", Field::PartnerEmail),
        ("customer_since", Field::Since),
        ("created_at", Field::Since),
    ],
    codes: &[
        ("code", Field::Code),
        ("promo_code", Field::Code),
        ("coupon", Field::Code),
        ("ref_id", Field::Partner),
        ("referral_id", Field::Partner),
        ("promoter_email", Field::PartnerEmail),
        ("email", Field::PartnerEmail),
    ],
};

const TOLT: ByKind = ByKind {
    partners: &[
        ("partner_id", Field::Key),
        ("id", Field::Key),
        ("email", Field::Email),
        ("name", Field::Name),
        ("first_name", Field::FirstName),
        ("last_name", Field::LastName),
        ("company_name", Field::LegalName),
        ("country_code", Field::Country),
        ("country", Field::Country),
        ("status", Field::Status),
        ("paypal_email", Field::PaypalEmail),
        ("wise_email", Field::WiseEmail),
    ],
    customers: &[
        ("customer_id", Field::Customer),
        ("email", Field::CustomerEmail),
        ("customer_email", Field::CustomerEmail),
        ("partner_id", Field::Partner),
        ("partner_email", Field::PartnerEmail),
        ("lead_at", Field::Since),
        ("created_at", Field::Since),
    ],
    codes: &[
        ("code", Field::Code),
        ("promotion_code", Field::Code),
        ("partner_id", Field::Partner),
        ("partner_email", Field::PartnerEmail),
    ],
};

const PARTNER_STACK: ByKind = ByKind {
    partners: &[
        ("partner_key", Field::Key),
        ("key", Field::Key),
        ("email", Field::Email),
        ("name", Field::Name),
        ("first_name", Field::FirstName),
        ("last_name", Field::LastName),
        ("group", Field::Group),
        ("group_slug", Field::Group),
        ("country", Field::Country),
        ("status", Field::Status),
    ],
    customers: &[
        ("provider_key", Field::Customer),
        ("stripe_customer_id", Field::Customer),
        ("customer_key", Field::Customer),
        ("key", Field::Customer),
        ("email", Field::CustomerEmail),
        ("customer_email", Field::CustomerEmail),
        ("partner_key", Field::Partner),
        ("partner_email", Field::PartnerEmail),
        ("created_at", Field::Since),
    ],
    codes: &[
        ("code", Field::Code),
        ("coupon_code", Field::Code),
        ("partner_key", Field::Partner),
        ("partner_email", Field::PartnerEmail),
    ],
};

/// Headings that hardly any other tool has.
fn telltales(format: Format) -> &'static [&'static str] {
    match format {
        Format::Bridge => &[],
        Format::Rewardful => &[
            "token",
            "via",
            "imported_id",
            "stripe_customer_id",
            "paypal_email",
            "wise_email",
            "affiliate_email",
            "affiliate_token",
        ],
        Format::FirstPromoter => {
            &["ref_id", "default_ref_id", "referral_id", "promoter_email", "promoter_ref_id", "cust_id", "uid"]
        }
        Format::Tolt => &["partner_id", "country_code", "group_id", "program_id", "lead_at", "payout_details"],
        Format::PartnerStack => &["partner_key", "group_slug", "provider_key", "customer_key", "partnership_key"],
    }
}

/// What must be there: one of each of these.
fn required(format: Format, kind: Kind) -> &'static [&'static [Field]] {
    match (format, kind) {
        (Format::Bridge, Kind::Partners) => &[&[Field::Key]],
        (_, Kind::Partners) => &[&[Field::Key, Field::Email]],
        (_, Kind::Customers) => &[&[Field::Customer, Field::CustomerEmail], &[Field::Partner, Field::PartnerEmail]],
        (_, Kind::Codes) => &[&[Field::Code], &[Field::Partner, Field::PartnerEmail]],
    }
}

/// Where each field is found.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// Positions and headings, the preferred first.
    places: BTreeMap<Field, Vec<(usize, String)>>,
    /// Headings that mean nothing here.
    pub(super) ignored: Vec<String>,
}

impl Columns {
    /// The first cell that says something about a field, with its heading.
    pub(super) fn cell<'a>(&'a self, cells: &'a [String], field: Field) -> Option<(&'a str, &'a str)> {
        let places = self.places.get(&field)?;
        let said = places.iter().map(|(place, heading)| (heading.as_str(), cells[*place].as_str()));
        said.into_iter().find(|(_, cell)| !cell.is_empty())
    }

    /// The heading of a field, the preferred one.
    pub(super) fn heading(&self, field: Field) -> Option<&str> {
        self.places.get(&field).and_then(|places| places.first()).map(|(_, heading)| heading.as_str())
    }
}

/// A heading as it may be repeated: what looks like an e-mail is masked.
fn plain(heading: &str) -> String {
    if heading.contains('@') { mask(heading) } else { heading.to_owned() }
}

/// `Stripe Customer ID` and `stripe_customer_id` are one.
fn normal(heading: &str) -> String {
    let words = heading.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// The format of a file with these headings.
pub(super) fn detect(headings: &[String], kind: Kind, file_name: &str) -> Result<Format, ImportError> {
    let names: Vec<String> = headings.iter().map(|heading| normal(heading)).collect();
    let has = |field: &Field, format| {
        aliases(format, kind).iter().any(|(name, means)| means == field && names.iter().any(|known| known == name))
    };
    let is_whole = |format| required(format, kind).iter().all(|one_of| one_of.iter().any(|field| has(field, format)));
    if is_whole(Format::Bridge) {
        return Ok(Format::Bridge);
    }
    let score = |format| telltales(format).iter().filter(|tell| names.iter().any(|name| name == *tell)).count();
    let mut scores: Vec<(usize, Format)> =
        Format::ALL.into_iter().filter(|format| is_whole(*format)).map(|format| (score(format), format)).collect();
    scores.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    match scores.as_slice() {
        [(best, format), rest @ ..] if *best > 0 && rest.first().is_none_or(|(second, _)| second < best) => Ok(*format),
        _ => {
            let own: Vec<&str> = aliases(Format::Bridge, kind).iter().map(|(name, _)| *name).collect();
            // Where there is no heading, this is somebody's row.
            let found: Vec<String> = headings.iter().map(|heading| plain(heading)).collect();
            let found = found.join(", ");
            let message = format!(
                "these headings are of no format that is known for {kind}: {found}. Expected those of this program \
                 ({}), or say which tool wrote the file: format rewardful, firstpromoter, tolt or partnerstack",
                own.join(", ")
            );
            Err(ImportError::one(file_name, Some(1), None, message))
        }
    }
}

/// Finds the columns of a format. In a file of this program's own every heading must be known and there once.
pub(super) fn find(headings: &[String], format: Format, kind: Kind, faults: &mut Faults) -> Columns {
    let aliases = aliases(format, kind);
    let names: Vec<String> = headings.iter().map(|heading| normal(heading)).collect();
    let mut columns = Columns::default();
    for (name, field) in aliases {
        let found = names.iter().enumerate().filter(|(_, known)| known == name);
        let found: Vec<(usize, String)> = found.map(|(place, _)| (place, headings[place].clone())).collect();
        if found.len() > 1 {
            faults.add(Some(1), Some(name), "is the heading of more than one column");
        }
        if !found.is_empty() {
            columns.places.entry(*field).or_default().extend(found);
        }
    }
    let allowed: Vec<&str> = aliases.iter().map(|(name, _)| *name).collect();
    for (heading, name) in headings.iter().zip(&names) {
        if allowed.contains(&name.as_str()) {
            continue;
        }
        if format == Format::Bridge && !heading.is_empty() {
            let hint = nearest(name, &allowed).map(|word| format!(" (did you mean {word}?)")).unwrap_or_default();
            let message = format!("unknown column{hint}: allowed are {}", allowed.join(", "));
            faults.add(Some(1), Some(&plain(heading)), message);
        } else if !heading.is_empty() {
            columns.ignored.push(plain(heading));
        }
    }
    for one_of in required(format, kind) {
        if one_of.iter().any(|field| columns.places.contains_key(field)) {
            continue;
        }
        let names: Vec<&str> =
            aliases.iter().filter(|(_, field)| one_of.contains(field)).map(|(name, _)| *name).collect();
        faults.add(Some(1), None, format!("lacks a column: expected {}", names.join(" or ")));
    }
    columns
}
