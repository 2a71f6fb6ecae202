//! What metadata means: which keys name partners, clicks, customers and products, and by which texts a customer can be
//! found again when a partner, code or click appears later.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::facts::{EventFacts, Fact, Metadata};
use super::terms::{Change, MetadataField, Settings, Terms};

/// Values that scripts and sloppy integrations send instead of a customer key. They are no keys.
const PLACEHOLDERS: [&str; 23] = [
    "test",
    "null",
    "undefined",
    "none",
    "nil",
    "nan",
    "n/a",
    "na",
    "unknown",
    "0",
    "-",
    "--",
    "true",
    "false",
    "customer_key",
    "customer",
    "string",
    "[object object]",
    "example",
    "todo",
    "guest",
    "anonymous",
    super::pseudonym::ERASED,
];

/// What one metadata entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// Its meaning.
    pub field: MetadataField,
    /// Its value, decoded and trimmed; never empty.
    pub value: String,
}

/// The meaning of every entry of `metadata` that has one, in the order of the metadata's keys. Keys match in any case.
pub fn meanings(metadata: &Metadata, settings: &Settings) -> Vec<Meaning> {
    let mut found = Vec::new();
    for (key, value) in metadata {
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let key = key.trim().to_lowercase();
        let (field, value) = match key.as_str() {
            "partner_key" => (MetadataField::PartnerKey, value.to_owned()),
            "irclickid" | "impact_click_id" | "click_id" => (MetadataField::ClickId, value.to_owned()),
            "customer_key" => (MetadataField::CustomerKey, value.to_owned()),
            "product_key" => (MetadataField::ProductKey, value.to_owned()),
            "program_key" => (MetadataField::ProgramKey, value.to_owned()),
            "ps_partner_key" => (MetadataField::PartnerKey, decode_base64(value)),
            _ => match settings.metadata_aliases.iter().find(|(alias, _)| alias.to_lowercase() == key) {
                Some((_, field)) => (*field, value.to_owned()),
                None => continue,
            },
        };
        if field == MetadataField::CustomerKey && is_placeholder(&value) {
            continue;
        }
        found.push(Meaning { field, value });
    }
    found
}

/// Whether metadata under this key means something, by the settings of any time.
pub fn is_known_key(key: &str, terms: &Terms) -> bool {
    let known = Metadata::from([(key.to_owned(), "x".to_owned())]);
    !meanings(&known, &Settings::default()).is_empty()
        || terms.settings.values().any(|settings| !meanings(&known, settings).is_empty())
}

/// The first value of `field` in `metadata`.
pub fn value_of(metadata: &Metadata, field: MetadataField, settings: &Settings) -> Option<String> {
    if metadata.is_empty() {
        return None;
    }
    meanings(metadata, settings).into_iter().find(|meaning| meaning.field == field).map(|meaning| meaning.value)
}

/// `PartnerStack` puts partner keys into links as base64; a value that does not decode to text is taken as it is.
pub fn decode_base64(value: &str) -> String {
    let unpadded = value.trim_end_matches('=');
    [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD, &STANDARD]
        .into_iter()
        .find_map(|engine| engine.decode(unpadded).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| !text.trim().is_empty() && text.chars().all(|character| !character.is_control()))
        .map_or_else(|| value.to_owned(), |text| text.trim().to_owned())
}

/// How long a click id may be, in characters.
pub const LONGEST_CLICK_ID: usize = 200;

/// Whether this can be a click's id: one that metadata can carry, and that is no e-mail.
pub fn is_click_id(id: &str) -> bool {
    let fits = |character: char| !character.is_control() && !character.is_whitespace() && character != '@';
    (1..=LONGEST_CLICK_ID).contains(&id.chars().count()) && id.chars().all(fits)
}

/// Whether a customer key says nothing.
pub fn is_placeholder(value: &str) -> bool {
    PLACEHOLDERS.contains(&value.to_lowercase().as_str())
}

/// E-mails are looked up trimmed and in lower case.
pub fn normal_email(email: &str) -> String {
    super::email::plain(email)
}

/// Every piece of metadata in an event, whatever object it is on.
fn each_metadata<'a>(event: &'a EventFacts, visit: &mut dyn FnMut(&'a Metadata)) {
    for fact in &event.facts {
        match fact {
            Fact::Invoice(invoice) => {
                visit(&invoice.metadata);
                visit(&invoice.subscription_metadata);
            }
            Fact::Checkout(session) => visit(&session.metadata),
            Fact::Intent(intent) => visit(&intent.metadata),
            Fact::Charge(charge) => visit(&charge.metadata),
            Fact::Customer(customer) => visit(&customer.metadata),
            Fact::Subscription(subscription) => visit(&subscription.metadata),
            Fact::Refund(_)
            | Fact::Dispute(_)
            | Fact::CreditNote(_)
            | Fact::InvoicePayment(_)
            | Fact::PromotionCode(_)
            | Fact::Price(_)
            | Fact::Transfer(_)
            | Fact::Account(_) => {}
        }
    }
}

/// The shared customer keys that an event carries, sorted, without placeholders: they join customers as an id does.
pub fn customer_keys(event: &EventFacts, terms: &Terms) -> Vec<String> {
    let settings = terms.current_settings();
    let mut keys = Vec::new();
    each_metadata(event, &mut |metadata| {
        keys.extend(
            meanings(metadata, &settings)
                .into_iter()
                .filter(|meaning| meaning.field == MetadataField::CustomerKey)
                .map(|meaning| meaning.value),
        );
    });
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The texts by which the event's customer is found when something appears that resolves its evidence, sorted:
/// `partner_key:…`, `click:…`, `promotion_code:…` (id or text, lower case), `customer_key:…`, `email:…` (lower case).
pub fn clues(event: &EventFacts, terms: &Terms) -> Vec<String> {
    let settings = terms.current_settings();
    let mut clues = Vec::new();
    each_metadata(event, &mut |metadata| {
        for Meaning { field, value } in meanings(metadata, &settings) {
            match field {
                MetadataField::PartnerKey => clues.push(format!("partner_key:{value}")),
                MetadataField::ClickId => clues.push(format!("click:{value}")),
                MetadataField::CustomerKey => clues.push(format!("customer_key:{value}")),
                MetadataField::ProductKey | MetadataField::ProgramKey => {}
            }
        }
    });
    for fact in &event.facts {
        let (codes, email): (&[String], Option<&str>) = match fact {
            Fact::Invoice(invoice) => (&invoice.promotion_codes, invoice.email.as_deref()),
            Fact::Checkout(session) => {
                if let Some(reference) = &session.client_reference {
                    clues.push(format!("partner_key:{}", reference.trim()));
                    clues.push(format!("click:{}", reference.trim()));
                }
                (&session.promotion_codes, session.email.as_deref())
            }
            Fact::Intent(intent) => (&[], intent.email.as_deref()),
            Fact::Charge(charge) => (&[], charge.email.as_deref()),
            Fact::Customer(customer) => (&customer.promotion_codes, customer.email.as_deref()),
            Fact::Subscription(subscription) => (&subscription.promotion_codes, None),
            _ => (&[], None),
        };
        clues.extend(codes.iter().map(|code| format!("promotion_code:{}", code.trim().to_lowercase())));
        clues.extend(email.map(|email| format!("email:{}", normal_email(email))));
    }
    clues.sort_unstable();
    clues.dedup();
    clues
}

/// Whose answers a change may alter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakes {
    /// Nobody's.
    Nobody,
    /// Those of the customers known by one of these clues.
    Clues(Vec<String>),
    /// Those of the customer that a Stripe reference belongs to.
    Reference(String),
    /// Any customer's.
    Everyone,
    /// Any customer's, and who belongs to whom besides: what metadata means has changed.
    EveryoneAnew,
}

/// Whose answers `change` may alter, given the terms before it.
pub fn wakes(change: &Change, before: &Terms) -> Wakes {
    match change {
        Change::Settings { settings, .. } => {
            let known = before.current_settings();
            if known.metadata_aliases != settings.metadata_aliases {
                Wakes::EveryoneAnew
            } else if known.count_direct_payments != settings.count_direct_payments
                || known.count_out_of_band != settings.count_out_of_band
                || known.evidence_order != settings.evidence_order
                || (known.time_zone != settings.time_zone && !before.tiered.is_empty())
            {
                Wakes::Everyone
            } else {
                Wakes::Nobody
            }
        }
        Change::ProgramVersion { .. }
        | Change::ProgramStatus { .. }
        | Change::PartnerStatus { .. }
        | Change::Override { .. }
        | Change::PartnerRecruiter { .. }
        | Change::PartnerGroup { .. } => Wakes::Everyone,
        Change::ProgramName { .. } | Change::Group { .. } | Change::Erasure { .. } => Wakes::Nobody,
        Change::Partner { partner, profile } => match before.partners.get(partner) {
            None => Wakes::Clues(vec![format!("partner_key:{partner}")]),
            Some(known) if known.profile.email != profile.email => Wakes::Everyone,
            Some(_) => Wakes::Nobody,
        },
        // A partner that is entered together with the enrollment is found by its own clues.
        Change::Enrollment { partner, .. } => {
            if before.partners.contains_key(partner) {
                Wakes::Everyone
            } else {
                Wakes::Clues(vec![format!("partner_key:{partner}")])
            }
        }
        Change::Code { code, .. } => Wakes::Clues(vec![format!("promotion_code:{}", code.trim().to_lowercase())]),
        Change::Attribution { reference, .. } | Change::Review { reference, .. } => Wakes::Reference(reference.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &[(&str, &str)]) -> Metadata {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_match_in_any_case_and_by_alias() {
        let mut settings = Settings::default();
        settings.metadata_aliases.insert("Affiliate".to_owned(), MetadataField::PartnerKey);
        for (key, field) in [
            ("Partner_Key", MetadataField::PartnerKey),
            ("irclickid", MetadataField::ClickId),
            ("impact_Click_Id", MetadataField::ClickId),
            ("click_id", MetadataField::ClickId),
            ("CUSTOMER_KEY", MetadataField::CustomerKey),
            ("affiliate", MetadataField::PartnerKey),
            ("program_key", MetadataField::ProgramKey),
        ] {
            assert_eq!(value_of(&metadata(&[(key, " v ")]), field, &settings).as_deref(), Some("v"), "{key}");
        }
    }

    #[test]
    fn partnerstack_keys_are_base64() {
        let settings = Settings::default();
        // What decodes to spaces, or to `a` and a control character, is no text.
        let plain = ["not base64!", "ICAg", "YQE="].map(|value| (value, value));
        for (value, key) in [("YWNtZQ==", "acme"), ("YWNtZQ", "acme"), ("IGFjbWUg", "acme")].into_iter().chain(plain) {
            let found = value_of(&metadata(&[("ps_partner_key", value)]), MetadataField::PartnerKey, &settings);
            assert_eq!(found.as_deref(), Some(key));
        }
    }

    #[test]
    fn placeholders_are_no_customer_keys() {
        let settings = Settings::default();
        for value in ["test", "NULL", "undefined", " ", "[object Object]"] {
            let found = value_of(&metadata(&[("customer_key", value)]), MetadataField::CustomerKey, &settings);
            assert_eq!(found, None, "{value}");
        }
    }
}
