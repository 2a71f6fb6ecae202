//! Terms in words, for plans: each setting a name and a text, each rule a sentence.

use crate::domain::Time;
use crate::domain::mask::mask;
use crate::domain::money::decimal_text;
use crate::domain::terms::{
    AmountByCurrency, AutoClose, Base, CreditBy, CustomersShown, Duration, Earn, EmailMatch, EvidenceKind, Kind,
    MailSettings, MetadataField, MonthEnd, PayoutMethod, PriceBy, Profile, ProgramTerms, Rule, SecondLevel,
    SecondLevelOf, SelfReferral, SendStatements, Settings, Status, TierSteps, Tiers, Touch, TrialConversion,
};

const NONE: &str = "none";

/// What a thing consists of: names and texts, always the same names in the same order.
pub(super) type Words = Vec<(&'static str, String)>;

/// `name: before → after` for each name whose text differs.
pub(super) fn differences(before: &Words, after: &Words) -> Vec<String> {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before.1 != after.1)
        .map(|(before, after)| format!("{}: {} → {}", before.0, before.1, after.1))
        .collect()
}

/// A moment, to the second.
pub(super) fn moment(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// Whether something earns.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
    }
}

fn amounts(amounts: &AmountByCurrency) -> String {
    if amounts.is_empty() {
        return NONE.to_owned();
    }
    let texts: Vec<String> =
        amounts.iter().map(|(currency, amount)| format!("{} {currency}", decimal_text(*amount, *currency))).collect();
    texts.join(", ")
}

fn yes_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

fn text(value: Option<&String>) -> String {
    value.map_or_else(|| NONE.to_owned(), Clone::clone)
}

/// A plan has a line for each thing.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A workspace's settings.
pub(super) fn settings(settings: &Settings) -> Words {
    let aliases: Vec<String> = settings
        .metadata_aliases
        .iter()
        .map(|(alias, field)| format!("{alias} = {}", metadata_field(*field)))
        .collect();
    let order: Vec<&str> = settings.evidence_order.iter().copied().map(evidence).collect();
    vec![
        ("time_zone", settings.time_zone.name().to_owned()),
        ("minimum_payout", amounts(&settings.minimum_payout)),
        ("count_direct_payments", yes_no(settings.count_direct_payments)),
        ("count_out_of_band", yes_no(settings.count_out_of_band)),
        ("metadata_aliases", if aliases.is_empty() { NONE.to_owned() } else { aliases.join(", ") }),
        ("evidence_order", order.join(", ")),
        ("account", text(settings.account.as_ref())),
        ("month_end", month_end(&settings.month_end)),
        ("mail", mail(&settings.mail)),
        ("sepa", settings.sepa.as_ref().map_or_else(|| NONE.to_owned(), |debtor| mask(&debtor.iban))),
        ("wise_source_currency", text(settings.wise_source_currency.map(|currency| currency.to_string()).as_ref())),
        ("base_currency", text(settings.base_currency.map(|currency| currency.to_string()).as_ref())),
    ]
}

/// `draft on day 3 at 9:00, four eyes`
fn month_end(month_end: &MonthEnd) -> String {
    let MonthEnd { close, day, hour, approve_below, four_eyes, tax_form_required } = month_end;
    let mut words = vec![match close {
        AutoClose::Off => "closed by hand".to_owned(),
        AutoClose::Draft => format!("closed on day {day} at {hour}:00"),
        AutoClose::Approve => {
            format!("closed on day {day} at {hour}:00, approved below {}", amounts(approve_below))
        }
    }];
    words.extend(four_eyes.then(|| "four eyes".to_owned()));
    words.extend(tax_form_required.then(|| "tax form required".to_owned()));
    words.join(", ")
}

fn mail(mail: &MailSettings) -> String {
    let MailSettings { from, reply_to, bounce, list_id, owner, statements, payout_notices } = mail;
    let named = [("from", from), ("reply to", reply_to), ("bounces to", bounce), ("list", list_id), ("owner", owner)];
    let mut words: Vec<String> =
        named.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect();
    words.extend((*statements == SendStatements::OnApproval).then(|| "statements on approval".to_owned()));
    words.extend(payout_notices.then(|| "payout notices".to_owned()));
    if words.is_empty() { NONE.to_owned() } else { words.join(", ") }
}

fn evidence(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Manual => "manual",
        EvidenceKind::PartnerKey => "partner_key",
        EvidenceKind::ClickId => "click_id",
        EvidenceKind::PromotionCode => "promotion_code",
        EvidenceKind::CustomerKey => "customer_key",
        EvidenceKind::Email => "email",
    }
}

fn metadata_field(field: MetadataField) -> &'static str {
    match field {
        MetadataField::PartnerKey => "partner_key",
        MetadataField::ClickId => "click_id",
        MetadataField::CustomerKey => "customer_key",
        MetadataField::ProductKey => "product_key",
        MetadataField::ProgramKey => "program_key",
    }
}

/// A partner's profile. Where their money goes is masked.
pub(super) fn profile(profile: &Profile) -> Words {
    vec![
        ("name", profile.name.clone()),
        ("e-mail", text(profile.email.as_ref())),
        ("legal name", text(profile.legal_name.as_ref())),
        ("country", text(profile.country.as_ref())),
        ("tax id", text(profile.tax_id.as_ref())),
        ("VAT id", text(profile.vat_id.as_ref())),
        ("minimum payout", amounts(&profile.minimum_payout)),
        ("on hold", yes_no(profile.on_hold)),
        ("locale", text(profile.locale.as_ref())),
        ("tax form", text(profile.tax_form.as_ref())),
        ("note", text(profile.note.as_deref().map(one_line).as_ref())),
    ]
}

/// How a partner is paid, the destination masked.
pub(super) fn payout(payout: Option<&PayoutMethod>) -> String {
    let Some(payout) = payout else { return NONE.to_owned() };
    let account = payout.account.as_deref().map(|account| format!(" {}", mask(account))).unwrap_or_default();
    let currency = payout.currency.map(|currency| format!(" in {currency}")).unwrap_or_default();
    format!("{}{account}{currency}", payout.method.as_str())
}

fn base(base: Base) -> &'static str {
    match base {
        Base::Net => "net",
        Base::Gross => "gross",
        Base::NetOfFees => "net_of_fees",
    }
}

/// A program's settings, without its rules.
pub(super) fn terms(terms: &ProgramTerms) -> Words {
    let word = |first: bool, yes: &str, no: &str| if first { yes.to_owned() } else { no.to_owned() };
    vec![
        ("hold_days", terms.hold_days.to_string()),
        ("reversal_delay", seconds(terms.reversal_delay)),
        ("attribution", word(terms.attribution == Touch::First, "first", "last")),
        ("attribution_window_days", terms.attribution_window_days.to_string()),
        ("base", base(terms.base).to_owned()),
        ("credit", word(terms.credit == CreditBy::Customer, "customer", "payment")),
        ("price_by", word(terms.price_by == PriceBy::Customer, "customer", "payment")),
        ("trial_conversion", word(terms.trial_conversion == TrialConversion::First, "first", "recurring")),
        ("self_referral", self_referral(terms.self_referral).to_owned()),
        ("self_referral_match", email_match(terms.self_referral_match).to_owned()),
        ("statement_customers", customers_shown(terms.statement_customers).to_owned()),
        ("statement_refused", yes_no(terms.statement_refused)),
        ("second_level", terms.second_level.as_ref().map_or_else(|| NONE.to_owned(), second_level)),
    ]
}

fn customers_shown(shown: CustomersShown) -> &'static str {
    match shown {
        CustomersShown::Pseudonym => "pseudonym",
        CustomersShown::Id => "id",
        CustomersShown::Hidden => "hidden",
    }
}

fn self_referral(setting: SelfReferral) -> &'static str {
    match setting {
        SelfReferral::Refuse => "refuse",
        SelfReferral::Review => "review",
        SelfReferral::Allow => "allow",
    }
}

/// `10 % of the commission for 12 months`
fn second_level(level: &SecondLevel) -> String {
    let of = match level.of {
        SecondLevelOf::Commission => "commission",
        SecondLevelOf::Base => "base",
    };
    let months = level.months.map_or(Duration::Lifetime, Duration::Months);
    format!("{} % of the {of} {}", level.percent.normalize(), duration(months))
}

fn email_match(how: EmailMatch) -> &'static str {
    match how {
        EmailMatch::Email => "email",
        EmailMatch::Normalized => "normalized",
        EmailMatch::Domain => "domain",
    }
}

fn seconds(seconds: i64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        days if days % 86_400 == 0 => format!("{}d", days / 86_400),
        hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

/// `recurring, product_key pro: 20 % for 12 months, at most 100.00 usd per customer`
pub(super) fn rule(rule: &Rule) -> String {
    let mut conditions = vec![on(rule.on).to_owned()];
    let lists = [
        ("product", &rule.product),
        ("price", &rule.price),
        ("product_key", &rule.product_key),
        ("interval", &rule.interval),
        ("group", &rule.group),
        ("partner", &rule.partner),
    ];
    conditions.extend(
        lists.iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| format!("{name} {}", list.join(" or "))),
    );
    let mut gives = format!("{} {}", earn(&rule.earn), duration(rule.duration));
    for (caps, per) in [(&rule.cap_per_payment, "payment"), (&rule.cap_per_customer, "customer")] {
        if !caps.is_empty() {
            gives = format!("{gives}, at most {} per {per}", amounts(caps));
        }
    }
    let key = rule.key.as_ref().map(|key| format!(" [{key}]")).unwrap_or_default();
    format!("{}: {gives}{key}", conditions.join(", "))
}

fn on(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "any",
        Some(Kind::First) => "first",
        Some(Kind::Recurring) => "recurring",
        Some(Kind::Change) => "change",
        Some(Kind::OneOff) => "one_off",
    }
}

fn earn(earn: &Earn) -> String {
    match earn {
        Earn::Percent(percent) => format!("{} %", percent.normalize()),
        Earn::Flat(flat) => amounts(flat),
        Earn::Tiers(tiers) => self::tiers(tiers),
    }
}

/// `20 % from 0, 25 % from 10 customers in the month before`
fn tiers(tiers: &Tiers) -> String {
    let months = match tiers.months {
        1 => "in the month before".to_owned(),
        months => format!("in the {months} months before"),
    };
    match &tiers.steps {
        TierSteps::Customers(steps) => {
            let steps: Vec<String> =
                steps.iter().map(|step| format!("{} % from {}", step.percent.normalize(), step.from)).collect();
            format!("{} customers {months}", steps.join(", "))
        }
        TierSteps::Volume(steps) => {
            let steps: Vec<String> = steps
                .iter()
                .map(|step| format!("{} % from {}", step.percent.normalize(), amounts(&step.from)))
                .collect();
            format!("{} received {months}", steps.join("; "))
        }
    }
}

fn duration(duration: Duration) -> String {
    match duration {
        Duration::OneTime => "one_time".to_owned(),
        Duration::Months(1) => "for 1 month".to_owned(),
        Duration::Months(months) => format!("for {months} months"),
        Duration::Payments(1) => "for 1 payment".to_owned(),
        Duration::Payments(payments) => format!("for {payments} payments"),
        Duration::Lifetime => "for a lifetime".to_owned(),
    }
}
