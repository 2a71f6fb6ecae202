//! The secret keys: for each workspace at most one for each book. A live key never touches the test book, nor the other
//! way round, and no workspace's key another's books, but for the first one's: it reaches the connected accounts of
//! workspaces that have no key of their own, each in that account's name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::client::{Api, Options};

/// The workspace whose keys are written without a prefix, and whose keys reach connected accounts.
const FIRST: &str = "default";

/// A way to Stripe for each book of a workspace that has a key.
#[derive(Debug, Clone, Default)]
struct Pair {
    live: Option<Arc<Api>>,
    test: Option<Arc<Api>>,
}

/// By account and whether it is the live book.
type Connected = HashMap<(String, bool), Arc<Api>>;

/// The ways to Stripe of all workspaces. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    own: Arc<BTreeMap<String, Pair>>,
    /// Ways in the name of a connected account: each is made once, so that whoever asks again gets the same.
    connected: Arc<Mutex<Connected>>,
}

/// The keys cannot be used; says why and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// A text that is no secret key.
    #[error(
        "STRIPE_API_KEY holds what is no secret key of Stripe's: expected sk_live_…, rk_live_…, sk_test_… or rk_test_…, \
         separated by commas, those of other workspaces than `default` as KEY_OF_WORKSPACE=rk_live_…"
    )]
    NoSecretKey,
    /// Two keys of one mode.
    #[error(
        "STRIPE_API_KEY holds two {mode} keys of workspace {workspace:?}: expected at most one live and one test key"
    )]
    Twice {
        /// Whose.
        workspace: String,
        /// `live` or `test`.
        mode: &'static str,
    },
    /// The address or the key cannot be used in a request.
    #[error("STRIPE_API_KEY or STRIPE_API_BASE cannot be used: {0}")]
    Unusable(String),
}

/// There is no key for a book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// None at all.
    #[error("no Stripe key is configured: set STRIPE_API_KEY (or STRIPE_API_KEY_FILE) and start again")]
    Missing,
    /// None for a workspace that is not the first.
    #[error(
        "no Stripe key is configured for workspace {workspace:?}: add {workspace}=rk_live_… to STRIPE_API_KEY and start \
         again, or name its connected account in its settings (account = \"acct_…\"), so that the key of `default` reaches it"
    )]
    MissingFor {
        /// Whose.
        workspace: String,
    },
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
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::MissingFor { .. } => "stripe_key_missing",
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

impl Pair {
    fn of(&self, livemode: bool) -> Option<&Arc<Api>> {
        if livemode { self.live.as_ref() } else { self.test.as_ref() }
    }
}

impl Keys {
    /// Reads keys with commas between them, each with its workspace's key and `=` before it, or without for the workspace
    /// `default`; an empty text is no key.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &str, options: &Options) -> Result<Self, BadKeys> {
        let mut own: BTreeMap<String, Pair> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (workspace, key) = part.split_once('=').map_or((FIRST, part), |(name, key)| (name.trim(), key.trim()));
            let live = is_live(key).filter(|_| !workspace.is_empty()).ok_or(BadKeys::NoSecretKey)?;
            let pair = own.entry(workspace.to_owned()).or_default();
            let (slot, mode) = if live { (&mut pair.live, "live") } else { (&mut pair.test, "test") };
            if slot.is_some() {
                return Err(BadKeys::Twice { workspace: workspace.to_owned(), mode });
            }
            *slot = Some(Arc::new(Api::new(key, options)?));
        }
        Ok(Self { own: Arc::new(own), connected: Arc::default() })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// The keys of the workspaces that have Stripe keys of their own, in order.
    pub fn workspaces(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str)
    }

    /// The way to Stripe for a book of a workspace: by its own key, else by the first workspace's in the name of `account`,
    /// which its settings name. Asked again, it is the same one.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn of(&self, workspace: &str, account: Option<&str>, livemode: bool) -> Result<Arc<Api>, NoKey> {
        if let Some(own) = self.own.get(workspace) {
            return own.of(livemode).cloned().ok_or(NoKey::OtherMode { wanted_live: livemode });
        }
        if workspace == FIRST {
            return Err(NoKey::Missing);
        }
        let missing = || NoKey::MissingFor { workspace: workspace.to_owned() };
        let (account, first) = account.zip(self.own.get(FIRST)).ok_or_else(missing)?;
        let first = first.of(livemode).ok_or(NoKey::OtherMode { wanted_live: livemode })?;
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = connected.entry((account.to_owned(), livemode));
        Ok(slot.or_insert_with(|| Arc::new(first.in_the_name_of(account))).clone())
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
        assert_eq!(none.of("default", None, true).unwrap_err(), NoKey::Missing);
        let live = parse("rk_live_a1").unwrap();
        assert!(live.of("default", None, true).is_ok());
        let error = live.of("default", None, false).unwrap_err();
        assert_eq!(error.code(), "stripe_key_of_other_mode");
        assert_eq!(
            error.to_string(),
            "STRIPE_API_KEY is a live key and this is the test book: set a sk_test key, or both with a comma between them"
        );
        let both = parse("sk_test_b2, sk_live_a1").unwrap();
        assert!(both.of("default", None, true).is_ok() && both.of("default", None, false).is_ok());
    }

    #[test]
    fn each_workspace_has_its_own_keys() {
        let keys = parse("sk_live_a1, acme=rk_live_b1,acme = rk_test_b2").unwrap();
        let first = keys.of("default", None, true).unwrap();
        let acme = keys.of("acme", Some("acct_acme"), true).unwrap();
        assert!(!Arc::ptr_eq(&first, &acme));
        assert_eq!((acme.account_name(), keys.of("acme", None, false).unwrap().account_name()), (None, None));
        assert_eq!(keys.workspaces().collect::<Vec<_>>(), ["acme", "default"]);
        let error = keys.of("shop", None, true).unwrap_err();
        assert_eq!(error.code(), "stripe_key_missing");
        assert!(error.to_string().contains("shop=rk_live_…"), "{error}");
    }

    #[test]
    fn a_connected_account_is_reached_by_the_first_key_in_its_name() {
        let keys = parse("sk_live_a1, acme=rk_test_b1").unwrap();
        let shop = keys.of("shop", Some("acct_shop"), true).unwrap();
        assert_eq!(shop.account_name(), Some("acct_shop"));
        assert!(Arc::ptr_eq(&shop, &keys.clone().of("shop", Some("acct_shop"), true).unwrap()));
        let other = NoKey::OtherMode { wanted_live: false };
        assert_eq!(keys.of("shop", Some("acct_shop"), false).unwrap_err(), other);
        // Who has a key of their own is reached by it alone.
        let other = NoKey::OtherMode { wanted_live: true };
        assert_eq!(keys.of("acme", Some("acct_acme"), true).unwrap_err(), other);
        // The first workspace's own account needs nobody's name.
        assert_eq!(keys.of("default", Some("acct_first"), true).unwrap().account_name(), None);
    }

    #[test]
    fn what_is_no_secret_key_is_refused() {
        for text in
            ["pk_live_a", "sk_live_", "whsec_x", "sk_live", "sk_prod_a", "sk_live_ü", "=sk_live_a", "acme=", "a=b"]
        {
            assert_eq!(parse(text).unwrap_err(), BadKeys::NoSecretKey, "{text}");
        }
        let twice = |workspace: &str| BadKeys::Twice { workspace: workspace.to_owned(), mode: "live" };
        assert_eq!(parse("sk_live_a,rk_live_b").unwrap_err(), twice("default"));
        assert_eq!(parse("sk_live_a,acme=rk_live_b,acme=sk_live_c").unwrap_err(), twice("acme"));
    }
}
