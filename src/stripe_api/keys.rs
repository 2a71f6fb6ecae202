//! The secret keys: at most one for each book. A live key never touches the test book, nor the other way round.

use std::sync::Arc;

use super::client::{Api, Options};

/// A way to Stripe for each book that has a key. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    live: Option<Arc<Api>>,
    test: Option<Arc<Api>>,
}

/// The keys cannot be used; says why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// A text that is no secret key.
    #[error(
        "STRIPE_API_KEY is no secret key of Stripe's: expected sk_live_…, rk_live_…, sk_test_… or rk_test_…, or a live and a \
         test key with a comma between them"
    )]
    NoSecretKey,
    /// Two keys of one mode.
    #[error("STRIPE_API_KEY holds two {0} keys: expected at most one live and one test key")]
    Twice(&'static str),
    /// The address or the key cannot be used in a request.
    #[error("STRIPE_API_KEY or STRIPE_API_BASE cannot be used: {0}")]
    Unusable(String),
}

/// There is no key for a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// None at all.
    #[error("no Stripe key is configured: set STRIPE_API_KEY (or STRIPE_API_KEY_FILE) and start again")]
    Missing,
    /// Only the other book's.
    #[error(
        "STRIPE_API_KEY is a {} key and this is the {} book: set a {}_{} key, or both with a comma between them",
        if *.wanted_live { "test" } else { "live" },
        if *.wanted_live { "live" } else { "test" },
        "sk",
        if *.wanted_live { "live" } else { "test" }
    )]
    OtherMode {
        /// Which book was asked for.
        wanted_live: bool,
    },
}

impl NoKey {
    /// Stable, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "stripe_key_missing",
            Self::OtherMode { .. } => "stripe_key_of_other_mode",
        }
    }
}

/// Whether a key is a live one.
fn is_live(key: &str) -> Option<bool> {
    let (kind, rest) = key.split_once('_')?;
    let (mode, secret) = rest.split_once('_')?;
    let is_fit = matches!(kind, "sk" | "rk") && !secret.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    match mode {
        "live" if is_fit => Some(true),
        "test" if is_fit => Some(false),
        _ => None,
    }
}

impl Keys {
    /// Reads one key, or a live and a test key with a comma between them; an empty text is no key.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &str, options: &Options) -> Result<Self, BadKeys> {
        let mut keys = Self::default();
        for key in text.split(',').map(str::trim).filter(|key| !key.is_empty()) {
            let is_live = is_live(key).ok_or(BadKeys::NoSecretKey)?;
            let (slot, name) = if is_live { (&mut keys.live, "live") } else { (&mut keys.test, "test") };
            if slot.is_some() {
                return Err(BadKeys::Twice(name));
            }
            *slot = Some(Arc::new(Api::new(key, options)?));
        }
        Ok(keys)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live.is_none() && self.test.is_none()
    }

    /// The way to Stripe for a book.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn of(&self, livemode: bool) -> Result<&Arc<Api>, NoKey> {
        let (wanted, other) = if livemode { (&self.live, &self.test) } else { (&self.test, &self.live) };
        wanted.as_ref().ok_or(if other.is_some() { NoKey::OtherMode { wanted_live: livemode } } else { NoKey::Missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Keys, BadKeys> {
        Keys::parse(text, &Options::default())
    }

    #[test]
    fn each_book_has_its_own_key() {
        let none = parse("").unwrap();
        assert!(none.is_empty());
        assert_eq!(none.of(true).unwrap_err(), NoKey::Missing);
        let live = parse("rk_live_a1").unwrap();
        assert!(live.of(true).is_ok());
        let error = live.of(false).unwrap_err();
        assert_eq!(error.code(), "stripe_key_of_other_mode");
        assert_eq!(
            error.to_string(),
            "STRIPE_API_KEY is a live key and this is the test book: set a sk_test key, or both with a comma between them"
        );
        let both = parse("sk_test_b2, sk_live_a1").unwrap();
        assert!(both.of(true).is_ok() && both.of(false).is_ok());
    }

    #[test]
    fn what_is_no_secret_key_is_refused() {
        for text in ["pk_live_a", "sk_live_", "whsec_x", "sk_live", "sk_prod_a", "sk_live_ü"] {
            assert_eq!(parse(text).unwrap_err(), BadKeys::NoSecretKey, "{text}");
        }
        assert_eq!(parse("sk_live_a,rk_live_b").unwrap_err(), BadKeys::Twice("live"));
    }
}
