//! Pseudonyms: what stands in the place of an e-mail address that was erased, so that every decision stays the same.
//!
//! A pseudonym is a keyed hash of the address, of its mailbox and of its host. Whoever holds the key and an address can
//! tell whether the two belong together (a redelivered event of the same buyer, a partner's own address); from a
//! pseudonym alone nobody gets an address. The same address always has the same pseudonym, so that a lead stays the
//! buyer's, and two addresses are alike exactly where their pseudonyms are.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::email::{host, is_public, mailbox, plain};
use super::evidence::is_known_key;
use super::facts::{EventFacts, Fact, Metadata};
use super::terms::{EmailMatch, Profile, Terms};

/// What stands in the place of any other text that was erased.
pub const ERASED: &str = "[erased]";

/// A reserved name: no mail ever goes there.
const HOST: &str = "@erased.invalid";
const PREFIX: &str = "erased-";
/// Instead of a host's hash, where people who share it have nothing else in common.
const NO_HOST: &str = "0";

/// A workspace's key, by which addresses become pseudonyms.
#[derive(Clone, PartialEq, Eq)]
pub struct Pseudonyms([u8; 32]);

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

impl Pseudonyms {
    /// With a workspace's key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The pseudonym of an address; of a pseudonym, itself.
    pub fn of(&self, email: &str) -> String {
        let plain = plain(email);
        if plain.is_empty() || parts(&plain).is_some() {
            return plain;
        }
        let mailbox = mailbox(&plain);
        let host = host(&mailbox).filter(|host| !is_public(host));
        let host = host.map_or(NO_HOST.to_owned(), |host| self.hash("host", host));
        format!("{PREFIX}{}-{}-{host}{HOST}", self.hash("address", &plain), self.hash("mailbox", &mailbox))
    }

    /// The pseudonym of a merchant's key, where it is an address; else the key itself. Keys are compared letter by letter,
    /// addresses are not.
    pub fn of_key(&self, key: &str) -> String {
        if key.contains('@') { format!("{PREFIX}{}", self.hash("key", key.trim())) } else { key.to_owned() }
    }

    /// 80 bits: two of a million addresses meet once in a trillion workspaces.
    fn hash(&self, what: &str, text: &str) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        hmac.update(what.as_bytes());
        hmac.update(b"\n");
        hmac.update(text.as_bytes());
        hex::encode(&hmac.finalize().into_bytes()[..10])
    }

    /// Whether two addresses are alike, either of which may be a pseudonym.
    pub fn alike(&self, a: &str, b: &str, how: EmailMatch) -> bool {
        alike(&self.of(a), &self.of(b), how)
    }
}

/// Whether an address is a pseudonym.
pub fn is_pseudonym(email: &str) -> bool {
    parts(email.trim()).is_some()
}

/// Whether two pseudonyms are of addresses that are alike.
pub(super) fn alike(a: &str, b: &str, how: EmailMatch) -> bool {
    let (Some(a), Some(b)) = (parts(a.trim()), parts(b.trim())) else { return false };
    match how {
        EmailMatch::Email => a[0] == b[0],
        EmailMatch::Normalized => a[1] == b[1],
        EmailMatch::Domain => a[1] == b[1] || (a[2] == b[2] && a[2] != NO_HOST),
    }
}

/// The hashes of address, mailbox and host.
fn parts(pseudonym: &str) -> Option<[&str; 3]> {
    let mut parts = pseudonym.strip_prefix(PREFIX)?.strip_suffix(HOST)?.split('-');
    let found = [parts.next()?, parts.next()?, parts.next()?];
    let is_hash = |part: &str| part.len() == 20 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_one = is_hash(found[0]) && is_hash(found[1]) && (is_hash(found[2]) || found[2] == NO_HOST);
    (is_one && parts.next().is_none()).then_some(found)
}

/// What is erased of one buyer, and what stays because decisions need it.
#[derive(Debug, Clone, Copy)]
pub struct Eraser<'a> {
    /// The workspace's key.
    pub pseudonyms: &'a Pseudonyms,
    /// Which metadata is evidence, and which keys are partners'.
    pub terms: &'a Terms,
}

impl Eraser<'_> {
    /// An e-mail address.
    pub fn email(&self, email: &str) -> String {
        self.pseudonyms.of(email)
    }

    /// An entry of metadata: evidence stays, but for addresses that serve as customer keys.
    pub fn entry(&self, key: &str, value: &str) -> String {
        // A payout's own id is nobody's.
        if value.trim().is_empty() || (key == "payout" && value.starts_with("po_")) {
            return value.to_owned();
        }
        if !is_known_key(key, self.terms) {
            return ERASED.to_owned();
        }
        self.reference(value)
    }

    /// A value that names a partner, click or customer: an address stays only where it is a partner's key.
    pub fn reference(&self, value: &str) -> String {
        let is_a_partners = self.terms.partners.contains_key(value.trim());
        if is_a_partners { value.to_owned() } else { self.pseudonyms.of_key(value) }
    }

    /// What an event says once it is erased: what reading the erased event says.
    pub fn facts(&self, facts: &EventFacts) -> EventFacts {
        let mut erased = facts.clone();
        for fact in &mut erased.facts {
            let (email, metadata): (Option<&mut Option<String>>, Vec<&mut Metadata>) = match fact {
                Fact::Invoice(invoice) => {
                    let mut metadata = vec![&mut invoice.metadata, &mut invoice.subscription_metadata];
                    metadata.extend(invoice.lines.iter_mut().map(|line| &mut line.metadata));
                    (Some(&mut invoice.email), metadata)
                }
                Fact::Checkout(session) => {
                    if let Some(reference) = &mut session.client_reference {
                        *reference = self.reference(reference);
                    }
                    let mut metadata = vec![&mut session.metadata];
                    metadata.extend(session.lines.iter_mut().map(|line| &mut line.metadata));
                    (Some(&mut session.email), metadata)
                }
                Fact::Intent(intent) => (Some(&mut intent.email), vec![&mut intent.metadata]),
                Fact::Charge(charge) => (Some(&mut charge.email), vec![&mut charge.metadata]),
                Fact::Customer(customer) => (Some(&mut customer.email), vec![&mut customer.metadata]),
                Fact::Subscription(subscription) => {
                    let mut metadata = vec![&mut subscription.metadata];
                    metadata.extend(subscription.prices.iter_mut().map(|price| &mut price.metadata));
                    (None, metadata)
                }
                Fact::Price(price) => (None, vec![&mut price.metadata]),
                Fact::Refund(_)
                | Fact::Dispute(_)
                | Fact::CreditNote(_)
                | Fact::InvoicePayment(_)
                | Fact::PromotionCode(_)
                | Fact::Transfer(_)
                | Fact::Account(_) => (None, Vec::new()),
            };
            if let Some(Some(email)) = email {
                *email = self.email(email);
            }
            for metadata in metadata {
                for (key, value) in metadata.iter_mut() {
                    *value = self.entry(key, value);
                }
            }
        }
        erased
    }

    /// A partner's profile once it is erased: their terms stay, who they are goes.
    pub fn profile(&self, profile: &Profile) -> Profile {
        Profile {
            name: ERASED.to_owned(),
            email: profile.email.as_deref().map(|email| self.email(email)),
            minimum_payout: profile.minimum_payout.clone(),
            on_hold: profile.on_hold,
            ..Profile::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::email;
    use super::*;

    fn pseudonyms() -> Pseudonyms {
        Pseudonyms::new([7; 32])
    }

    #[test]
    fn a_pseudonym_is_no_address_and_stays_itself() {
        let pseudonym = pseudonyms().of(" Ann@Acme.example ");
        assert!(is_pseudonym(&pseudonym) && !pseudonym.contains("ann") && !pseudonym.contains("acme"), "{pseudonym}");
        assert_eq!(pseudonyms().of("ann@acme.example"), pseudonym);
        assert_eq!(pseudonyms().of(&pseudonym), pseudonym);
        assert_ne!(Pseudonyms::new([8; 32]).of("ann@acme.example"), pseudonym);
        assert!(pseudonyms().of("ann@gmail.com").ends_with("-0@erased.invalid"));
        for other in ["erased-1-2-3@erased.invalid", "erased-@erased.invalid", "ann@erased.invalid"] {
            assert!(!is_pseudonym(other), "{other}");
        }
        for part in parts(&pseudonym).unwrap() {
            let other = pseudonym.replace(part, "ann");
            assert!(!is_pseudonym(&other), "{other}");
        }
        assert_eq!(pseudonyms().of_key("user-42"), "user-42");
        let key = pseudonyms().of_key("ann@acme.example");
        assert_ne!(key, pseudonyms().of_key("Ann@acme.example"));
        assert_eq!(pseudonyms().of_key(&key), key);
    }

    #[test]
    fn what_says_who_somebody_is_goes_and_what_decides_stays() {
        let (pseudonyms, terms) = (pseudonyms(), Terms::default());
        let eraser = Eraser { pseudonyms: &pseudonyms, terms: &terms };
        assert_eq!(eraser.email("ann@acme.example"), pseudonyms.of("ann@acme.example"));
        for (key, value, erased) in [
            ("payout", "po_1", "po_1"),
            ("payout", "ann@acme.example", ERASED),
            ("note", "po_1", ERASED),
            ("note", " ", " "),
            ("partner_key", "acme", "acme"),
        ] {
            assert_eq!(eraser.entry(key, value), erased, "{key} {value}");
        }
        let profile = Profile {
            name: "Ann".to_owned(),
            email: Some("ann@acme.example".to_owned()),
            legal_name: Some("Ann Acme".to_owned()),
            country: Some("AT".to_owned()),
            minimum_payout: [("usd".parse().unwrap(), 5000)].into(),
            on_hold: true,
            note: Some("met in Vienna".to_owned()),
            ..Profile::default()
        };
        let erased = Profile {
            name: ERASED.to_owned(),
            email: Some(pseudonyms.of("ann@acme.example")),
            minimum_payout: [("usd".parse().unwrap(), 5000)].into(),
            on_hold: true,
            ..Profile::default()
        };
        assert_eq!(eraser.profile(&profile), erased);
    }

    proptest! {
        /// Whichever side was erased, the answer is the one from before.
        #[test]
        fn what_is_alike_stays_alike(
            a in "[ab.+]{0,4}@(gmail|googlemail|acme|buyer)[.]com", b in "[aB.+]{0,4}@(gmail|acme|buyer)[.]com",
        ) {
            let pseudonyms = pseudonyms();
            let (x, y) = (pseudonyms.of(&a), pseudonyms.of(&b));
            for how in [EmailMatch::Email, EmailMatch::Normalized, EmailMatch::Domain] {
                let before = email::alike(&a, &b, how, None);
                for (left, right) in [(&x, &y), (&a, &y), (&x, &b), (&a, &b)] {
                    prop_assert_eq!(email::alike(left, right, how, Some(&pseudonyms)), before, "{} {}", left, right);
                }
            }
        }
    }
}
