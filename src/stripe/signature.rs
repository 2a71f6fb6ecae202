//! The `Stripe-Signature` header: proof that a body comes from Stripe, and how a test or demo makes one.
//!
//! Source: Stripe's "verify webhook signatures manually" and its official libraries. The signed text is
//! `"{t}.{raw body}"`, the key is the whole `whsec_…` string, and only timestamps that are too OLD are refused.

use std::fmt;

use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Time;

/// How old a signature may be, in seconds, before it could be a replay.
pub const TOLERANCE_SECONDS: i64 = 300;

type HmacSha256 = Hmac<Sha256>;

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header, or an empty one.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// The header is not `t=…,v1=…`.
    #[error("the Stripe-Signature header is malformed: {0}")]
    Malformed(&'static str),
    /// No `v1` signature was made with one of the secrets over this body.
    #[error("no signature matches: check that the secret is this endpoint's and that nothing rewrites the body")]
    NoMatch,
    /// The signature is genuine but was made too long ago.
    #[error("the signature is {age_seconds} s old, more than {TOLERANCE_SECONDS} s: check this machine's clock")]
    TooOld {
        /// How long ago it was made.
        age_seconds: i64,
    },
}

/// One endpoint's secrets, with the keyed hash states ready to be cloned: verifying allocates nothing.
#[derive(Clone, Default)]
pub struct Secrets {
    keyed: Vec<HmacSha256>,
}

impl Secrets {
    /// Secrets from any number of `whsec_…` strings; blanks around them are cut off, empty ones are skipped.
    pub fn new(secrets: &[impl AsRef<str>]) -> Self {
        let keyed = secrets.iter().map(|secret| secret.as_ref().trim()).filter(|secret| !secret.is_empty()).map(keyed);
        Self { keyed: keyed.collect() }
    }

    /// Secrets from a comma-separated list (several while one is rotated).
    ///
    /// ```
    /// use commission_bridge::stripe::Secrets;
    /// assert_eq!(Secrets::parse("whsec_new, whsec_old,").len(), 2);
    /// ```
    pub fn parse(list: &str) -> Self {
        Self::new(&list.split(',').collect::<Vec<_>>())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keyed.len()
    }

    /// Whether there is none: then every signature is refused.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty()
    }

    /// Checks that `header` was made over `body` with one of the secrets, at most [`TOLERANCE_SECONDS`] before `now`.
    ///
    /// `body` must be the bytes as received. Any `v1` may match (Stripe signs with both secrets while one is rotated);
    /// other schemes are ignored.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] says whether the header, the secret or the clock is at fault.
    pub fn verify(&self, header: &str, body: &[u8], now: Time) -> Result<(), SignatureError> {
        let header = Header::parse(header)?;
        if !self.keyed.iter().any(|key| header.is_signed_with(key, body)) {
            return Err(SignatureError::NoMatch);
        }
        let age_seconds = now.timestamp().saturating_sub(header.seconds);
        if age_seconds > TOLERANCE_SECONDS {
            return Err(SignatureError::TooOld { age_seconds });
        }
        Ok(())
    }
}

/// Says how many, never which.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.len())
    }
}

/// Checks one signature with secrets that are not kept; see [`Secrets::verify`].
///
/// # Errors
///
/// As [`Secrets::verify`].
pub fn verify(secrets: &[impl AsRef<str>], header: &str, body: &[u8], now: Time) -> Result<(), SignatureError> {
    Secrets::new(secrets).verify(header, body, now)
}

/// The header that Stripe would send with `body` at `timestamp_seconds`.
///
/// ```
/// use commission_bridge::stripe::{sign, verify};
/// let header = sign("whsec_test", 1_790_000_000, b"{}");
/// let now = chrono::DateTime::from_timestamp(1_790_000_001, 0).unwrap();
/// assert_eq!(verify(&["whsec_test"], &header, b"{}", now), Ok(()));
/// ```
pub fn sign(secret: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    let mac = authenticate(&keyed(secret), &timestamp_seconds.to_string(), body);
    format!("t={timestamp_seconds},v1={}", hex::encode(mac.into_bytes()))
}

fn keyed(secret: &str) -> HmacSha256 {
    HmacSha256::new_from_slice(secret.as_bytes()).expect("an HMAC key may have any length")
}

fn authenticate(key: &HmacSha256, timestamp: &str, body: &[u8]) -> CtOutput<HmacSha256> {
    let mut mac = key.clone();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize()
}

/// What a header says, borrowed from it.
struct Header<'a> {
    /// `t` as written, because that is what was signed.
    timestamp: &'a str,
    seconds: i64,
    text: &'a str,
}

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, SignatureError> {
        if text.trim().is_empty() {
            return Err(SignatureError::Missing);
        }
        let timestamp = values(text, "t").next().ok_or(SignatureError::Malformed("it holds no timestamp (t=…)"))?;
        if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::Malformed("its timestamp is no number of seconds"));
        }
        let seconds =
            timestamp.parse().map_err(|_| SignatureError::Malformed("its timestamp is no number of seconds"))?;
        if values(text, "v1").next().is_none() {
            return Err(SignatureError::Malformed("it holds no v1 signature"));
        }
        Ok(Self { timestamp, seconds, text })
    }

    fn is_signed_with(&self, key: &HmacSha256, body: &[u8]) -> bool {
        let expected = authenticate(key, self.timestamp, body);
        values(self.text, "v1").filter_map(decode).any(|candidate| candidate == expected)
    }
}

/// The values of one scheme, in order.
fn values<'a>(header: &'a str, scheme: &'a str) -> impl Iterator<Item = &'a str> {
    header
        .split(',')
        .filter_map(|item| item.trim().split_once('='))
        .filter(move |(key, _)| *key == scheme)
        .map(|(_, value)| value)
}

/// A signature's bytes, wrapped so that they can only be compared in constant time. Upper-case digits are refused:
/// Stripe writes none.
fn decode(signature: &str) -> Option<CtOutput<HmacSha256>> {
    let mut bytes = [0; 32];
    if signature.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(signature, &mut bytes).ok()?;
    Some(CtOutput::new(bytes.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const T: i64 = 1_790_000_000;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    fn check(header: &str) -> Result<(), SignatureError> {
        verify(&[SECRET], header, b"{\"id\":\"evt_1\"}", at(T))
    }

    fn good() -> String {
        sign(SECRET, T, b"{\"id\":\"evt_1\"}")
    }

    /// Computed with another implementation (Python's `hmac`), so that sign and verify cannot be wrong together.
    #[test]
    fn the_signature_is_that_of_other_implementations() {
        assert_eq!(good(), "t=1790000000,v1=621e30333c3e6f1df3159281b9d0e6983411cc64573a2fb2802f56791c7a24c1");
    }

    #[test]
    fn a_good_signature_is_accepted() {
        assert_eq!(check(&good()), Ok(()));
    }

    #[test]
    fn the_body_the_secret_and_the_timestamp_are_all_signed() {
        let header = good();
        assert_eq!(verify(&[SECRET], &header, b"{\"id\":\"evt_2\"}", at(T)), Err(SignatureError::NoMatch));
        assert_eq!(verify(&["whsec_other"], &header, b"{\"id\":\"evt_1\"}", at(T)), Err(SignatureError::NoMatch));
        assert_eq!(check(&header.replace("t=1790000000", "t=1790000001")), Err(SignatureError::NoMatch));
        assert_eq!(verify(&[""; 0], &header, b"{\"id\":\"evt_1\"}", at(T)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn only_old_timestamps_are_refused() {
        let (header, body) = (good(), b"{\"id\":\"evt_1\"}");
        assert_eq!(verify(&[SECRET], &header, body, at(T + 300)), Ok(()));
        assert_eq!(verify(&[SECRET], &header, body, at(T + 301)), Err(SignatureError::TooOld { age_seconds: 301 }));
        assert_eq!(verify(&[SECRET], &header, body, at(T - 86_400)), Ok(()), "the future is accepted");
        let last = sign(SECRET, i64::MAX, body);
        assert_eq!(verify(&[SECRET], &last, body, at(T)), Ok(()), "and does not overflow");
    }

    #[test]
    fn an_old_forgery_is_a_forgery() {
        assert_eq!(verify(&["whsec_other"], &good(), b"{}", at(T + 900)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn several_secrets_are_tried_while_one_is_rotated() {
        let body = b"{}";
        let secrets = Secrets::parse(" whsec_new , whsec_old,,");
        assert_eq!(secrets.len(), 2);
        assert!(!secrets.is_empty());
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
        for secret in ["whsec_new", "whsec_old"] {
            assert_eq!(secrets.verify(&sign(secret, T, body), body, at(T)), Ok(()));
        }
        assert_eq!(secrets.verify(&sign("whsec_third", T, body), body, at(T)), Err(SignatureError::NoMatch));
        assert!(Secrets::parse(" , ").is_empty());
    }

    #[test]
    fn any_v1_may_match_and_other_schemes_are_ignored() {
        let header = good();
        let signature = header.split_once("v1=").unwrap().1.to_owned();
        let wrong = "0".repeat(64);
        assert_eq!(check(&format!("t={T},v1={wrong},v1={signature},v0={wrong}")), Ok(()));
        assert_eq!(check(&format!("v9=x,nonsense,t={T}, v1=short, v1={signature}")), Ok(()));
        assert_eq!(check(&format!("t={T},v1={wrong},v1={wrong}")), Err(SignatureError::NoMatch));
        assert_eq!(check(&format!("t={T},v0={signature}")), Err(SignatureError::Malformed("it holds no v1 signature")));
        assert_eq!(check(&format!("t={T},v1={}", signature.to_uppercase())), Err(SignatureError::NoMatch));
    }

    #[test]
    fn malformed_headers_are_told_apart() {
        assert_eq!(check(""), Err(SignatureError::Missing));
        assert_eq!(check("  "), Err(SignatureError::Missing));
        for header in ["v1=00", "t,v1=00", "nonsense", ",,,", "T=1,v1=00"] {
            assert_eq!(check(header), Err(SignatureError::Malformed("it holds no timestamp (t=…)")), "{header}");
        }
        for header in ["t=,v1=00", "t=-5,v1=00", "t=+5,v1=00", "t=1.5,v1=00", "t=99999999999999999999,v1=00"] {
            let error = SignatureError::Malformed("its timestamp is no number of seconds");
            assert_eq!(check(header), Err(error), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(header in "\\PC*") {
            prop_assert!(check(&header).is_err());
        }

        #[test]
        fn no_header_of_the_right_kind_panics(header in "(t=[0-9a-f-]{0,20})?(,(v0|v1|t)=[0-9a-fA-F]{0,70}){0,4}") {
            prop_assert!(check(&header).is_err());
        }

        #[test]
        fn what_is_signed_verifies(secret in "\\PC{1,40}", seconds in 0i64..4_000_000_000, body: Vec<u8>) {
            prop_assume!(!secret.trim().is_empty() && secret.trim() == secret);
            prop_assert_eq!(verify(&[&secret], &sign(&secret, seconds, &body), &body, at(seconds)), Ok(()));
        }
    }
}
