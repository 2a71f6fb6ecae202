//! Currencies as Stripe counts them: its own exponents, not ISO 4217's.
//!
//! Source: Stripe's list of zero-decimal, three-decimal and special-case currencies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A three-letter currency code in lower case, as Stripe writes it (`usd`, `jpy`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// The text was not three ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no currency: expected three letters such as \"usd\"")]
pub struct BadCurrency(pub String);

const ZERO_DECIMAL: [&[u8; 3]; 14] =
    [b"bif", b"clp", b"djf", b"gnf", b"jpy", b"kmf", b"krw", b"mga", b"pyg", b"rwf", b"vnd", b"vuv", b"xaf", b"xof"];
const THREE_DECIMAL: [&[u8; 3]; 5] = [b"bhd", b"jod", b"kwd", b"omr", b"tnd"];

impl Currency {
    /// How many decimals one major unit has in Stripe's amounts: 0, 2 or 3. ISK and UGX count as two.
    pub fn exponent(self) -> u32 {
        if ZERO_DECIMAL.contains(&&self.0) || &self.0 == b"xpf" {
            0
        } else if THREE_DECIMAL.contains(&&self.0) {
            3
        } else {
            2
        }
    }

    /// The smallest step, in minor units, in which money of this currency can leave by a payout: 100 for ISK, UGX,
    /// HUF and TWD (whole units only), 10 for three-decimal currencies (last digit 0), else 1.
    pub fn payout_step(self) -> i64 {
        match &self.0 {
            b"isk" | b"ugx" | b"huf" | b"twd" => 100,
            code if THREE_DECIMAL.contains(&code) => 10,
            _ => 1,
        }
    }

    /// The code in lower case.
    pub fn as_str(&self) -> &str {
        // Three ASCII letters by construction.
        std::str::from_utf8(&self.0).expect("a currency is ASCII")
    }
}

impl FromStr for Currency {
    type Err = BadCurrency;

    fn from_str(text: &str) -> Result<Self, BadCurrency> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                Ok(Self([a.to_ascii_lowercase(), b.to_ascii_lowercase(), c.to_ascii_lowercase()]))
            }
            _ => Err(BadCurrency(text.to_owned())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn exponents_are_stripes_own() {
        for (code, exponent) in [("usd", 2), ("JPY", 0), ("kwd", 3), ("isk", 2), ("ugx", 2), ("huf", 2), ("xpf", 0)] {
            assert_eq!(currency(code).exponent(), exponent, "{code}");
        }
    }

    #[test]
    fn payouts_leave_in_steps() {
        for (code, step) in
            [("usd", 1), ("isk", 100), ("huf", 100), ("twd", 100), ("ugx", 100), ("kwd", 10), ("jpy", 1)]
        {
            assert_eq!(currency(code).payout_step(), step, "{code}");
        }
    }

    #[test]
    fn only_three_letters_are_a_currency() {
        for bad in ["", "us", "usdd", "u$d", "€uro"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
