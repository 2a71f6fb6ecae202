//! Terms: what people entered. Programs with immutable versions, partners, enrollments, codes, settings and manual
//! decisions, folded from an append-only log of [`Entered`] changes.
//!
//! Everything that deciding reads is dated: the first value reaches back to the beginning unless it has a `from`; a later
//! change counts for payments paid from then on.

use std::collections::{BTreeMap, HashMap};

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Time;
use super::currency::Currency;

/// Key of a program (`saas`), chosen by the merchant.
pub type ProgramKey = String;
/// Key of a partner (`acme`), chosen by the merchant; what `partner_key` metadata names.
pub type PartnerKey = String;
/// Amounts in minor units by currency.
pub type AmountByCurrency = BTreeMap<Currency, i64>;

/// The deciding engine of this release. A release that decides differently gets the next number; a program version is
/// decided by the engine it was published under.
pub const ENGINE: u32 = 1;

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
        group: Option<String>,
        /// Since when.
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
    /// An e-mail or customer key is tied to a partner (sign-up, import).
    Lead {
        /// What `value` is.
        by: LeadBy,
        /// The e-mail (any case) or customer key.
        value: String,
        /// Who brought them.
        partner: PartnerKey,
        /// Under which program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<ProgramKey>,
        /// When the tie was made; counts for payments from then on, or all when `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Time>,
    },
}

/// Whether a program, partner or enrollment earns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Earns.
    #[default]
    Active,
    /// Does not (any more).
    Inactive,
}

/// What a reviewer said of a payment's commission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It earns nothing.
    Rejected,
    /// It earns again.
    Restored,
}

/// What a lead is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadBy {
    /// The buyer's e-mail.
    Email,
    /// The merchant's own customer key.
    CustomerKey,
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

/// A kind of evidence, for ordering by strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Entered by hand.
    Manual,
    /// `partner_key` metadata.
    PartnerKey,
    /// A click id (`irclickid`, …).
    ClickId,
    /// A promotion code.
    PromotionCode,
    /// A customer key that a lead ties to a partner.
    CustomerKey,
    /// An e-mail that a lead ties to a partner.
    Email,
}

impl EvidenceKind {
    /// Strongest first, unless the workspace says otherwise.
    pub const DEFAULT_ORDER: [Self; 6] =
        [Self::Manual, Self::PartnerKey, Self::ClickId, Self::PromotionCode, Self::CustomerKey, Self::Email];
}

/// What metadata can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataField {
    /// Names a partner.
    PartnerKey,
    /// Names a click.
    ClickId,
    /// The merchant's own key of the customer.
    CustomerKey,
    /// What was sold, in the merchant's words.
    ProductKey,
    /// Names the program.
    ProgramKey,
}

/// A workspace's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The zone of its months.
    pub time_zone: Tz,
    /// The least that is paid out, by currency; none when absent. A partner may have its own.
    pub minimum_payout: AmountByCurrency,
    /// Whether charges and payment intents outside of invoices and sessions are sales.
    pub count_direct_payments: bool,
    /// Whether invoices marked as paid outside of Stripe earn.
    pub count_out_of_band: bool,
    /// Further metadata keys (any case) and what they mean.
    pub metadata_aliases: BTreeMap<String, MetadataField>,
    /// Evidence, strongest first.
    pub evidence_order: Vec<EvidenceKind>,
    /// The Stripe account (`acct_…`) this workspace is for: events that name another are ignored.
    pub account: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_zone: Tz::UTC,
            minimum_payout: AmountByCurrency::new(),
            count_direct_payments: false,
            count_out_of_band: true,
            metadata_aliases: BTreeMap::new(),
            evidence_order: EvidenceKind::DEFAULT_ORDER.to_vec(),
            account: None,
        }
    }
}

/// All settings of one program version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramTerms {
    /// Days from payment until a commission can be paid out.
    pub hold_days: u32,
    /// Seconds from a refund until it takes back.
    pub reversal_delay: i64,
    /// Which touch wins among evidence of equal strength and nearness.
    pub attribution: Touch,
    /// Days that a click counts.
    pub attribution_window_days: u32,
    /// What a percentage is a percentage of.
    pub base: Base,
    /// Whether the first payment's winner keeps one-off payments too.
    pub credit: CreditBy,
    /// Which version prices a payment.
    pub price_by: PriceBy,
    /// What the first money after a trial counts as.
    pub trial_conversion: TrialConversion,
    /// First match wins, line by line.
    pub rules: Vec<Rule>,
}

impl Default for ProgramTerms {
    fn default() -> Self {
        Self {
            hold_days: 30,
            reversal_delay: 3600,
            attribution: Touch::Last,
            attribution_window_days: 60,
            base: Base::Net,
            credit: CreditBy::Customer,
            price_by: PriceBy::Customer,
            trial_conversion: TrialConversion::First,
            rules: Vec::new(),
        }
    }
}

/// First or last touch before the first payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// The earliest.
    First,
    /// The latest.
    Last,
}

/// The base of a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Really paid, less its share of tax.
    Net,
    /// Really paid.
    Gross,
}

/// Who is credited with one-off payments of a customer that somebody already won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditBy {
    /// The customer's winner.
    Customer,
    /// The payment's own evidence first.
    Payment,
}

/// Which version prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceBy {
    /// The one in force at the customer's first credited payment.
    Customer,
    /// The one in force at each payment.
    Payment,
}

/// What the first money after a free trial or a 100 % discount counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialConversion {
    /// A first payment.
    First,
    /// A recurring one.
    Recurring,
}

/// What a payment is, to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The first of a customer's subscriptions.
    First,
    /// A renewal, or a further subscription.
    Recurring,
    /// A plan change.
    Change,
    /// Outside of a subscription.
    OneOff,
}

/// One rule of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What its count is kept under from version to version; its position when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which kind of payment; any when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Kind>,
    /// Product ids; any when empty. So for the lists below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product: Vec<String>,
    /// Price ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price: Vec<String>,
    /// `product_key` metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub product_key: Vec<String>,
    /// `day`, `week`, `month`, `year`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interval: Vec<String>,
    /// Groups of partners.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// Partner keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partner: Vec<PartnerKey>,
    /// What it gives.
    pub earn: Earn,
    /// For how long.
    pub duration: Duration,
    /// The most that it gives for one payment, by currency; no limit in a currency that is not named.
    #[serde(default, skip_serializing_if = "AmountByCurrency::is_empty")]
    pub cap_per_payment: AmountByCurrency,
    /// The most that it gives for one customer, by currency, before refunds.
    #[serde(default, skip_serializing_if = "AmountByCurrency::is_empty")]
    pub cap_per_customer: AmountByCurrency,
}

/// What a rule gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Earn {
    /// Percent of the matching lines' base, 0 to 100. Zero excludes.
    Percent(Decimal),
    /// Minor units by currency, once per payment.
    Flat(AmountByCurrency),
}

/// For how long a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duration {
    /// One payment of the stream.
    OneTime,
    /// Calendar months from the stream's first credited payment, end exclusive.
    Months(u32),
    /// So many payments of the stream that this rule priced.
    Payments(u32),
    /// For ever.
    Lifetime,
}

/// Who a partner is and how they are paid. Not dated, but for the e-mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Display name.
    pub name: String,
    /// Where statements go; also what self-referral compares.
    pub email: Option<String>,
    /// Name on legal papers.
    pub legal_name: Option<String>,
    /// ISO 3166 country, upper case.
    pub country: Option<String>,
    /// Tax number.
    pub tax_id: Option<String>,
    /// VAT number.
    pub vat_id: Option<String>,
    /// How they are paid; not payable when `None`.
    pub payout: Option<PayoutMethod>,
    /// Their own minimum payout, by currency; the workspace's where a currency is not named.
    pub minimum_payout: AmountByCurrency,
    /// Whether payouts wait until somebody releases them.
    pub on_hold: bool,
}

/// How a partner is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutMethod {
    /// By what.
    pub method: Method,
    /// `acct_…`, e-mail, IBAN: whatever the method needs; `csv` needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The currency the partner wants; the ledger's when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}

/// Ways to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A Stripe Connect transfer.
    Stripe,
    /// By hand, from the exported file.
    Csv,
    /// `PayPal`.
    Paypal,
    /// Wise.
    Wise,
    /// A SEPA credit transfer.
    Sepa,
}

impl Method {
    /// As in files and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Csv => "csv",
            Self::Paypal => "paypal",
            Self::Wise => "wise",
            Self::Sepa => "sepa",
        }
    }
}

/// A value over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated<T> {
    /// In order of `start`; never empty once entered.
    values: Vec<DatedValue<T>>,
}

#[derive(Debug, Clone, PartialEq)]
struct DatedValue<T> {
    /// `None`: since the beginning.
    start: Option<Time>,
    seq: i64,
    value: T,
    entered_at: Time,
}

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self { values: Vec::new() }
    }
}

impl<T> Dated<T> {
    /// Enters a value. The first reaches back to the beginning unless it has a `from`; a later one counts from `from`,
    /// or from when it was entered.
    pub fn enter(&mut self, seq: i64, entered_at: Time, from: Option<Time>, value: T) {
        let start = if self.values.is_empty() { from } else { Some(from.unwrap_or(entered_at)) };
        self.values.push(DatedValue { start, seq, value, entered_at });
        self.values.sort_by_key(|dated| (dated.start, dated.seq));
    }

    /// The value at a moment; none before the first began.
    pub fn at(&self, at: Time) -> Option<&T> {
        self.values.iter().rev().find(|dated| dated.start.is_none_or(|start| start <= at)).map(|dated| &dated.value)
    }

    /// The newest value.
    pub fn latest(&self) -> Option<&T> {
        self.values.iter().max_by_key(|dated| dated.seq).map(|dated| &dated.value)
    }

    /// When the value in force at `at` was entered: before that nobody could know it.
    pub fn entered_at(&self, at: Time) -> Option<Time> {
        self.values.iter().rev().find(|dated| dated.start.is_none_or(|start| start <= at)).map(|dated| dated.entered_at)
    }
}

/// A program.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Display name.
    pub name: String,
    /// Ascending by version.
    pub versions: Vec<Version>,
    /// Whether it earns; active until said otherwise.
    pub status: Dated<Status>,
}

/// One immutable version of a program.
#[derive(Debug, Clone)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// As its author said.
    pub effective_from: Time,
    /// From which payments on it counts.
    pub in_force_from: Time,
    /// When it was entered.
    pub published_at: Time,
    /// The engine that decides under it.
    pub engine: u32,
    /// Every setting.
    pub terms: ProgramTerms,
}

impl Program {
    /// The version in force at `at`: the last published of those that had begun, or the first for payments older than
    /// all. So a back-dated version also takes over from older ones that begin later.
    pub fn version_at(&self, at: Time) -> Option<&Version> {
        self.versions
            .iter()
            .filter(|version| version.in_force_from <= at)
            .max_by_key(|version| version.number)
            .or_else(|| self.versions.first())
    }

    /// A version by its number.
    pub fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The newest version.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// Whether it earns for a payment paid at `at`.
    pub fn is_active(&self, at: Time) -> bool {
        self.status.at(at).copied().unwrap_or_default() == Status::Active
    }
}

/// A partner.
#[derive(Debug, Clone, Default)]
pub struct Partner {
    /// Who they are and how they are paid, now.
    pub profile: Profile,
    /// Their e-mail over time.
    pub email: Dated<Option<String>>,
    /// When they were entered.
    pub entered_at: Time,
    /// Whether they earn; active until said otherwise.
    pub status: Dated<Status>,
    /// Their group over time.
    pub group: Dated<Option<String>>,
    /// The programs they were ever in, in order of entry.
    pub enrollments: Vec<(ProgramKey, Dated<Status>)>,
}

impl Partner {
    /// Whether they earn for a payment paid at `at`.
    pub fn is_active(&self, at: Time) -> bool {
        self.status.at(at).copied().unwrap_or_default() == Status::Active
    }

    /// Their enrollment in a program.
    pub fn enrollment(&self, program: &str) -> Option<&Dated<Status>> {
        self.enrollments.iter().find(|(key, _)| key == program).map(|(_, status)| status)
    }
}

/// A partner named by hand for a payment or customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// To whom; `None` takes it back.
    pub partner: Option<PartnerKey>,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// For payments from then on.
    pub from: Option<Time>,
    /// Position in the log: the latest wins.
    pub seq: i64,
    /// When it was entered.
    pub entered_at: Time,
}

/// A lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Who.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// Counts for payments from then on.
    pub from: Option<Time>,
    /// When it was entered.
    pub entered_at: Time,
}

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
    /// Owners of codes over time, by the code or id in lower case.
    pub codes: HashMap<String, Dated<Option<CodeOwner>>>,
    /// Attributions by hand, by reference, in order of entry.
    pub by_hand: HashMap<String, Vec<ByHand>>,
    /// The last verdict, by reference.
    pub reviews: HashMap<String, (Verdict, String)>,
    /// Leads, by e-mail in lower case or customer key, in order of entry.
    pub leads: HashMap<(LeadBy, String), Vec<Lead>>,
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

    /// The settings that count for a payment paid at `at`.
    pub fn settings_at(&self, at: Time) -> Settings {
        self.settings.at(at).cloned().unwrap_or_default()
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
            Change::Review { reference, verdict, note } => {
                self.reviews.insert(reference, (verdict, note));
            }
            Change::Lead { by, value, partner, program, from } => {
                let value = if by == LeadBy::Email { value.trim().to_lowercase() } else { value.trim().to_owned() };
                self.leads.entry((by, value)).or_default().push(Lead { partner, program, from, entered_at: at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> Time {
        format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn the_first_value_reaches_back_and_later_ones_do_not() {
        let mut dated = Dated::default();
        dated.enter(1, at(10), None, "a");
        dated.enter(2, at(20), None, "b");
        assert_eq!(dated.at(at(1)), Some(&"a"));
        assert_eq!(dated.at(at(19)), Some(&"a"));
        assert_eq!(dated.at(at(20)), Some(&"b"));
        assert_eq!(dated.latest(), Some(&"b"));
    }

    #[test]
    fn a_from_bounds_the_first_value_and_backdates_a_later_one() {
        let mut dated = Dated::default();
        dated.enter(1, at(10), Some(at(5)), "a");
        dated.enter(2, at(20), Some(at(7)), "b");
        assert_eq!(dated.at(at(4)), None);
        assert_eq!(dated.at(at(6)), Some(&"a"));
        assert_eq!(dated.at(at(8)), Some(&"b"));
    }

    #[test]
    fn a_payment_older_than_the_first_version_uses_the_first() {
        let version = |number: u32, from: Time| Version {
            number,
            effective_from: from,
            in_force_from: from,
            published_at: from,
            engine: ENGINE,
            terms: ProgramTerms::default(),
        };
        let program = Program { versions: vec![version(1, at(10)), version(2, at(20))], ..Program::default() };
        assert_eq!(program.version_at(at(1)).unwrap().number, 1);
        assert_eq!(program.version_at(at(15)).unwrap().number, 1);
        assert_eq!(program.version_at(at(20)).unwrap().number, 2);
    }
}
