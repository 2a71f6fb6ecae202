//! Shapes of what the program file's reader takes and shows as JSON: for the reference. A test holds them against the
//! reader.

#![allow(dead_code)] // they are looked at, not made

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Amounts in minor units by currency, such as `{"usd": 5000}` for 50 dollars.
pub(super) type Amounts = BTreeMap<String, i64>;

/// Settings and rules of a program version. What is left out is the default, or stays as it is.
#[derive(ToSchema)]
pub(super) struct ProgramTerms {
    /// Days from payment until a commission can be paid out; 30.
    #[schema(minimum = 0, maximum = 3650)]
    hold_days: Option<u32>,
    /// Time from a refund until it takes back: `90m`, `1h`, `2d`; `1h`.
    #[schema(example = "1h")]
    reversal_delay: Option<String>,
    /// Which touch wins among evidence of equal strength and nearness: `first` or `last`.
    #[schema(example = "last")]
    attribution: Option<String>,
    /// Days that a click counts; 60.
    #[schema(minimum = 0, maximum = 3650)]
    attribution_window_days: Option<u32>,
    /// What a percentage is a percentage of: `net` (of tax) or `gross`.
    #[schema(example = "net")]
    base: Option<String>,
    /// Who is credited with one-off payments of a customer that somebody already won: `customer` (the winner) or
    /// `payment` (its own evidence first).
    #[schema(example = "customer")]
    credit: Option<String>,
    /// Which version prices: that of the `customer`'s first credited payment, or that of each `payment`.
    #[schema(example = "customer")]
    price_by: Option<String>,
    /// What the first money after a trial counts as: `first` or `recurring`.
    #[schema(example = "first")]
    trial_conversion: Option<String>,
    /// What becomes of a payment whose buyer looks like the partner: `refuse`, `review` or `allow`.
    #[schema(example = "refuse")]
    self_referral: Option<String>,
    /// When the buyer looks like the partner: same `email`, `normalized` e-mail or `domain`.
    #[schema(example = "normalized")]
    self_referral_match: Option<String>,
    /// What the partner who recruited a partner earns on that partner's sales.
    second_level: Option<SecondLevel>,
    /// What statements show of customers: `pseudonym`, `id` or `hidden`.
    #[schema(example = "pseudonym")]
    statement_customers: Option<String>,
    /// Whether statements also list the payments that earned nothing, with the reason.
    statement_refused: Option<bool>,
    /// First match wins, line by line.
    rules: Option<Vec<Rule>>,
}

/// What a recruiter earns on the payments that their recruits are credited with.
#[derive(ToSchema)]
pub(super) struct SecondLevel {
    /// Percent, 0 to 100, as an exact decimal.
    #[schema(example = "10")]
    percent: String,
    /// Of the recruit's `commission`, or of the `base` of the lines for which they earn.
    #[schema(example = "commission")]
    of: Option<String>,
    /// Calendar months from when the recruit was entered, such as `12 months`; `lifetime`.
    duration: Option<String>,
}

/// A rule: conditions, and what it gives.
#[derive(ToSchema)]
pub(super) struct Rule {
    /// What its count is kept under from version to version; its position where there is none.
    key: Option<String>,
    /// Which kind of payment: `first`, `recurring`, `change`, `one_off` or `any`.
    #[schema(example = "recurring")]
    on: Option<String>,
    /// Product ids; any where left out, as for the lists below.
    product: Option<Vec<String>>,
    /// Price ids.
    price: Option<Vec<String>>,
    /// `product_key` metadata.
    product_key: Option<Vec<String>>,
    /// `day`, `week`, `month`, `year`.
    interval: Option<Vec<String>>,
    /// Groups of partners.
    group: Option<Vec<String>>,
    /// Partners' keys.
    partner: Option<Vec<String>>,
    /// Percent of the matching lines' base, 0 to 100, as an exact decimal; 0 excludes. Either this or `flat`.
    #[schema(example = "20")]
    percent: Option<String>,
    /// Minor units by currency, once per payment.
    flat: Option<Amounts>,
    /// Percentages that grow with what the partner brought in the months before.
    tiers: Option<Tiers>,
    /// `one_time`, `12 months`, `6 payments` or `lifetime`; `lifetime`.
    #[schema(example = "12 months")]
    duration: Option<String>,
    /// The most that it gives for one payment.
    cap_per_payment: Option<Amounts>,
    /// The most that it gives for one customer, before refunds.
    cap_per_customer: Option<Amounts>,
}

/// Percentages by what a partner brought in the calendar months before the payment's.
#[derive(ToSchema)]
pub(super) struct Tiers {
    /// `customers` (who paid) or `volume` (received less taken back).
    #[schema(example = "customers")]
    by: String,
    /// How many months before count; 1.
    #[schema(minimum = 1, maximum = 36)]
    months: Option<u32>,
    /// In ascending order; the first begins at 0.
    steps: Vec<TierStep>,
}

/// One step.
#[derive(ToSchema)]
pub(super) struct TierStep {
    /// From how many customers on, or from which volume, in minor units by currency.
    #[schema(value_type = TierFrom)]
    from: TierFrom,
    /// Percent of the matching lines' base.
    #[schema(example = "25")]
    percent: String,
}

/// Where a step begins.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum TierFrom {
    Customers(i64),
    Volume(Amounts),
}

/// Rules that are tried before a program's own.
#[derive(ToSchema)]
pub(super) struct Override {
    /// The program.
    program: String,
    /// At least one.
    rules: Vec<Rule>,
}

/// A group's fields.
#[derive(ToSchema)]
pub(super) struct GroupFields {
    #[schema(example = "gold")]
    key: String,
    /// Display name; the key where left out.
    name: Option<String>,
    /// Rules that are tried before a program's own.
    overrides: Option<Vec<Override>>,
}

/// How a partner is paid.
#[derive(ToSchema)]
pub(super) struct PayoutMethod {
    /// `stripe`, `csv`, `paypal`, `wise` or `sepa`.
    #[schema(example = "stripe")]
    method: String,
    /// `acct_…`, e-mail, IBAN: what the method needs; `csv` needs none. Masked for keys with role `read`.
    account: Option<String>,
    /// The currency that the partner wants; the payments' own where left out.
    currency: Option<String>,
}

/// A promotion code: its text, or its text with the program that it names.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum CodeName {
    Text(String),
    InProgram(CodeInProgram),
}

/// A promotion code that names a program.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct CodeInProgram {
    code: String,
    program: String,
}

/// A partner's fields. What is left out is empty, or stays as it is; what is null goes.
#[derive(ToSchema)]
pub(super) struct PartnerFields {
    /// What metadata names; never changes.
    #[schema(example = "acme")]
    key: Option<String>,
    /// Display name; the key where left out.
    name: Option<String>,
    /// Where statements go.
    email: Option<String>,
    legal_name: Option<String>,
    /// ISO 3166, two letters.
    #[schema(example = "DE")]
    country: Option<String>,
    tax_id: Option<String>,
    vat_id: Option<String>,
    /// `active` or `inactive`.
    #[schema(example = "active")]
    status: Option<String>,
    /// The group they are in, which rules can name.
    group: Option<String>,
    /// The partner who recruited them.
    recruited_by: Option<String>,
    /// Whether payouts wait.
    on_hold: Option<bool>,
    /// Keys of the programs that they are in.
    programs: Option<Vec<String>>,
    /// Their promotion codes.
    codes: Option<Vec<CodeName>>,
    /// Their own minimum payout; the workspace's in currencies that are left out.
    minimum_payout: Option<Amounts>,
    payout: Option<PayoutMethod>,
    /// The merchant's note, which the partner never sees.
    note: Option<String>,
    /// Language tag by which money and dates are written to them.
    #[schema(example = "de-AT")]
    locale: Option<String>,
    /// The tax form that the merchant has of them.
    #[schema(example = "W-9")]
    tax_form: Option<String>,
    /// Rules of their own.
    overrides: Option<Vec<Override>>,
}

/// A workspace's settings. What is left out stays as it is.
#[derive(ToSchema)]
pub(super) struct WorkspaceSettings {
    /// The zone of its months.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// The currency of reports that add several up.
    #[schema(example = "eur")]
    base_currency: Option<String>,
    /// The least that is paid out, by currency.
    minimum_payout: Option<Amounts>,
    /// Whether charges and payment intents outside of invoices and sessions are sales.
    count_direct_payments: Option<bool>,
    /// Whether invoices marked as paid outside of Stripe earn.
    count_out_of_band: Option<bool>,
    /// Further metadata keys and what they mean: `partner_key`, `click_id`, `customer_key`, `product_key`, `program_key`.
    metadata_aliases: Option<BTreeMap<String, String>>,
    /// Evidence, strongest first: `manual`, `partner_key`, `click_id`, `promotion_code`, `customer_key`, `email`.
    evidence_order: Option<Vec<String>>,
    /// The Stripe account (`acct_…`) it is for: events that name another are ignored.
    account: Option<String>,
    month_end: Option<MonthEnd>,
    mail: Option<MailSettings>,
    sepa: Option<SepaDebtor>,
    /// The currency of the balance that pays Wise's batches.
    #[schema(example = "eur")]
    wise_source_currency: Option<String>,
}

/// When months are closed, and who must agree.
#[derive(ToSchema)]
pub(super) struct MonthEnd {
    /// What the service does by itself: `off`, `draft` (close) or `approve` (close, and approve below a limit).
    #[schema(example = "draft")]
    close: Option<String>,
    /// On which day of the next month; 3.
    #[schema(minimum = 1, maximum = 28)]
    day: Option<u32>,
    /// At which hour of the workspace's clock; 9.
    #[schema(minimum = 0, maximum = 23)]
    hour: Option<u32>,
    /// The totals that it may approve by itself, by currency.
    approve_below: Option<Amounts>,
    /// Whether whoever approves must be somebody else than who closed.
    four_eyes: Option<bool>,
    /// Whether a partner without a tax form is not paid.
    tax_form_required: Option<bool>,
}

/// Who sends mail to partners, and when.
#[derive(ToSchema)]
pub(super) struct MailSettings {
    /// The sender.
    #[schema(example = "Acme Partners <partners@acme.example>")]
    from: Option<String>,
    /// Where answers go.
    reply_to: Option<String>,
    /// The envelope's sender, to which mail servers report.
    bounce: Option<String>,
    /// `List-Id` of mail to partners.
    #[schema(example = "partners.acme.example")]
    list_id: Option<String>,
    /// Who gets the month's summary.
    owner: Option<String>,
    /// When statements are sent: `manual` or `on_approval`.
    #[schema(example = "manual")]
    statements: Option<String>,
    /// Whether partners are told of payouts that were sent or failed.
    payout_notices: Option<bool>,
}

/// Whose account pays SEPA credit transfers.
#[derive(ToSchema)]
pub(super) struct SepaDebtor {
    /// Name of the account's holder.
    name: String,
    /// The account.
    #[schema(example = "DE02120300000000202051")]
    iban: String,
    /// Its bank; many banks need none.
    bic: Option<String>,
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;
    use crate::program::fields;

    fn names<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let mut names: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    fn read(of: &[&str], but: &[&str]) -> Vec<String> {
        let renamed = |name: &&str| match *name {
            "rule" => "rules".to_owned(),
            "override" => "overrides".to_owned(),
            other => other.to_owned(),
        };
        let mut names: Vec<String> = of.iter().filter(|name| !but.contains(name)).map(renamed).collect();
        names.sort();
        names
    }

    #[test]
    fn the_reference_shows_what_the_reader_takes() {
        assert_eq!(names::<ProgramTerms>(), read(&fields::PROGRAM, &["key", "name", "status", "effective_from"]));
        assert_eq!(names::<Rule>(), read(&fields::RULE, &[]));
        assert_eq!(names::<PartnerFields>(), read(&fields::PARTNER, &[]));
        assert_eq!(names::<WorkspaceSettings>(), read(&fields::WORKSPACE, &[]));
        assert_eq!(names::<MonthEnd>(), read(&fields::MONTH_END, &[]));
        assert_eq!(names::<MailSettings>(), read(&fields::MAIL, &[]));
        assert_eq!(names::<SepaDebtor>(), read(&fields::SEPA, &[]));
        assert_eq!(names::<GroupFields>(), read(&fields::GROUP, &[]));
        assert_eq!(names::<Override>(), read(&fields::OVERRIDE, &[]));
    }
}
