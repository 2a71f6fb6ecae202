//! Secrets in the database, encrypted under keys that are not in it (`SECRETS_KEY`): whoever has a copy of the database,
//! a backup or a dump, has no secret.
//!
//! A secret is kept as `enc1:KEY-ID:BASE64`: XChaCha20-Poly1305 under a random nonce, bound to what it is and whose, so
//! that a row copied to another workspace opens nothing. Without a key secrets are kept as they are.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::{StoreError, WorkspaceId};
use crate::ids::NoChance;

/// How many bytes a key has.
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// How an encrypted secret begins. A plain one begins with `whsec_`.
const SEALED: &str = "enc1:";

/// The keys: the first encrypts, all decrypt. Without any, secrets are kept as they are.
#[derive(Clone, Default)]
pub struct Vault(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// What is wrong with the keys. The text holds none of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "SECRETS_KEY: key {0} of {1} is none: expected 32 bytes in base64 (44 characters); several, separated by commas, while one \
     is rotated. `commission-bridge secrets new-key` makes one"
)]
pub struct BadKeys(usize, usize);

/// What a secret is and whose: it opens as nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What kind of secret, in words.
    pub what: &'static str,
    /// Whose.
    pub workspace: WorkspaceId,
    /// Which one.
    pub id: &'a str,
}

impl Place<'_> {
    /// What the encryption is bound to.
    fn bound(&self) -> Vec<u8> {
        format!("commission-bridge\n{}\n{}\n{}", self.what, self.workspace.0, self.id).into_bytes()
    }

    fn sealed(&self, why: String) -> StoreError {
        StoreError::Sealed { what: self.what, key: self.id.to_owned(), why }
    }
}

impl Vault {
    /// Reads keys: base64, separated by commas or white space.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let parts: Vec<&str> =
            text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty()).collect();
        let mut keys = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let bytes = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD].into_iter().find_map(|it| it.decode(part).ok());
            let key = bytes.filter(|bytes| bytes.len() == KEY_BYTES).and_then(|bytes| Key::new(&bytes));
            keys.push(key.ok_or(BadKeys(index + 1, parts.len()))?);
        }
        Ok(Self(keys))
    }

    /// A new key, in base64.
    ///
    /// # Errors
    /// Where the machine gives no randomness.
    pub fn new_key() -> Result<String, NoChance> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(NoChance::new)?;
        Ok(STANDARD.encode(bytes))
    }

    /// Whether secrets are encrypted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids of the keys, the one that encrypts first. They tell nothing of the keys.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// The id of the key that a secret is encrypted under; none where it is plain.
    pub fn key_of(stored: &str) -> Option<&str> {
        stored.strip_prefix(SEALED)?.split(':').next()
    }

    /// Whether a secret is kept as this vault would keep it.
    pub fn is_current(&self, stored: &str) -> bool {
        Self::key_of(stored) == self.key_ids().next()
    }

    /// A secret as it is to be kept.
    ///
    /// # Errors
    /// Where the machine gives no randomness.
    pub fn seal(&self, place: Place<'_>, secret: &str) -> Result<String, StoreError> {
        let Some(key) = self.0.first() else { return Ok(secret.to_owned()) };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| place.sealed(NoChance::new(error).to_string()))?;
        let payload = Payload { msg: secret.as_bytes(), aad: &place.bound() };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| place.sealed("cannot be encrypted: it is too long".to_owned()))?;
        let text = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{SEALED}{}:{text}", key.id))
    }

    /// A secret that was kept.
    ///
    /// # Errors
    /// [`StoreError::Sealed`]; the secret stays as it is.
    pub fn open(&self, place: Place<'_>, stored: &str) -> Result<String, StoreError> {
        let Some(sealed) = stored.strip_prefix(SEALED) else { return Ok(stored.to_owned()) };
        let (id, text) = sealed.split_once(':').unwrap_or((sealed, ""));
        let Some(key) = self.0.iter().find(|key| key.id == id) else {
            return Err(place.sealed(self.without(id)));
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let opened = bytes.split_first_chunk::<NONCE_BYTES>().and_then(|(nonce, sealed)| {
            let payload = Payload { msg: sealed, aad: &place.bound() };
            key.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
        });
        opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
            place.sealed(format!(
                "cannot be decrypted although its key {id} is there: the row was changed, or copied from elsewhere. Remove it \
                 and enter the secret anew"
            ))
        })
    }

    fn without(&self, id: &str) -> String {
        let remedy =
            "restart. Where that key is lost, remove the secret and enter it anew; until then nothing is changed";
        if self.is_empty() {
            return format!(
                "is encrypted, and SECRETS_KEY is not set: set it to the key with the id {id} and {remedy}"
            );
        }
        let has: Vec<&str> = self.key_ids().collect();
        format!(
            "is encrypted under key {id}, and SECRETS_KEY has only {}: add that key behind the first, a comma between them, \
             and {remedy}",
            has.join(", ")
        )
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        // Enough to tell keys apart, too little to guess one by.
        let mut id = Sha256::new_with_prefix(b"commission-bridge key id\n");
        id.update(bytes);
        let id = hex::encode(&id.finalize()[..4]);
        Some(Self { id, cipher: XChaCha20Poly1305::new_from_slice(bytes).ok()? })
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_abcdef";

    fn place(workspace: i64, id: &str) -> Place<'_> {
        Place { what: "webhook secret", workspace: WorkspaceId(workspace), id }
    }

    fn vault(keys: &[&str]) -> Vault {
        Vault::parse(&keys.join(",")).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let key = Vault::new_key().unwrap();
        let vault = vault(&[&key]);
        let sealed = vault.seal(place(1, "whs_1"), SECRET).unwrap();
        assert!(!sealed.contains("abcdef") && vault.is_current(&sealed));
        assert_ne!(sealed, vault.seal(place(1, "whs_1"), SECRET).unwrap(), "nonces are random");
        assert_eq!(vault.open(place(1, "whs_1"), &sealed).unwrap(), SECRET);
        for elsewhere in [place(2, "whs_1"), place(1, "whs_2")] {
            let error = vault.open(elsewhere, &sealed).unwrap_err().to_string();
            assert!(error.contains("copied from elsewhere") && !error.contains(SECRET), "{error}");
        }
        let damaged = format!("{}A", &sealed[..sealed.len() - 1]);
        assert!(damaged == sealed || vault.open(place(1, "whs_1"), &damaged).is_err());
    }

    #[test]
    fn keys_are_rotated() {
        let (old, new) = (Vault::new_key().unwrap(), Vault::new_key().unwrap());
        let sealed = vault(&[&old]).seal(place(1, "a"), SECRET).unwrap();
        let both = vault(&[&new, &old]);
        assert_eq!(both.open(place(1, "a"), &sealed).unwrap(), SECRET);
        assert!(!both.is_current(&sealed));
        let anew = both.seal(place(1, "a"), SECRET).unwrap();
        assert_eq!(vault(&[&new]).open(place(1, "a"), &anew).unwrap(), SECRET);
    }

    #[test]
    fn a_missing_key_is_named_with_what_to_do() {
        let key = Vault::new_key().unwrap();
        let sealed = vault(&[&key]).seal(place(1, "a"), SECRET).unwrap();
        let id = Vault::key_of(&sealed).unwrap();
        let none = Vault::default().open(place(1, "a"), &sealed).unwrap_err().to_string();
        assert!(none.contains("SECRETS_KEY is not set") && none.contains(id), "{none}");
        let other = vault(&[&Vault::new_key().unwrap()]).open(place(1, "a"), &sealed).unwrap_err().to_string();
        assert!(other.contains("behind the first") && other.contains(id), "{other}");
        assert_eq!(Vault::default().open(place(1, "a"), SECRET).unwrap(), SECRET);
        assert_eq!(Vault::default().seal(place(1, "a"), SECRET).unwrap(), SECRET);
    }

    #[test]
    fn bad_keys_are_told_by_their_place() {
        let key = Vault::new_key().unwrap();
        let text = format!("{key}, c2hvcnQ=");
        let error = Vault::parse(&text).unwrap_err().to_string();
        assert!(error.contains("key 2 of 2") && !error.contains("c2hvcnQ"), "{error}");
        assert!(Vault::parse(" ").unwrap().is_empty());
    }
}
