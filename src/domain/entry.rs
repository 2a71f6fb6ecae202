//! The words of the ledger's lines: what kind of line, and which part of a payment's commission it is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a ledger line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A commission earned.
    Accrual,
    /// A commission taken back, or (positive) a taking back undone.
    Reversal,
    /// Entered by hand.
    Adjustment,
    /// Earned by volume or by hand, beside any payment.
    Bonus,
    /// Paid out: the payout's amount, negative.
    Payout,
    /// A payout that was canceled, failed or came back: its amount, positive.
    PayoutReturn,
    /// One half of the pair that moves what a currency cannot pay out to the next month.
    Carry,
}

/// Which part of a payment's commission a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// The commission of the partner who brought the customer.
    Direct,
    /// That of whoever recruited this partner.
    #[serde(rename = "level_2")]
    Level2,
    /// What is earned beside any payment.
    Bonus,
}

/// The text names no kind of entry, or no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: expected {expected}")]
pub struct UnknownWord {
    text: String,
    what: &'static str,
    expected: String,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Accrual, Self::Reversal, Self::Adjustment, Self::Bonus, Self::Payout, Self::PayoutReturn, Self::Carry];

    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accrual => "accrual",
            Self::Reversal => "reversal",
            Self::Adjustment => "adjustment",
            Self::Bonus => "bonus",
            Self::Payout => "payout",
            Self::PayoutReturn => "payout_return",
            Self::Carry => "carry",
        }
    }
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Level2, Self::Bonus];

    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Level2 => "level_2",
            Self::Bonus => "bonus",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EntryKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| unknown(text, "kind of entry", &Self::ALL.map(Self::as_str)))
    }
}

impl FromStr for Component {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL
            .into_iter()
            .find(|component| component.as_str() == text)
            .ok_or_else(|| unknown(text, "component", &Self::ALL.map(Self::as_str)))
    }
}

fn unknown(text: &str, what: &'static str, expected: &[&str]) -> UnknownWord {
    UnknownWord { text: text.to_owned(), what, expected: expected.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself() {
        for kind in EntryKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for component in Component::ALL {
            assert_eq!(component.as_str().parse(), Ok(component));
            assert_eq!(serde_json::to_value(component).unwrap(), component.as_str());
        }
    }

    #[test]
    fn other_words_are_refused() {
        let error = "direkt".parse::<Component>().unwrap_err();
        assert_eq!(error.to_string(), "\"direkt\" is no component: expected direct, level_2, bonus");
        assert!("Accrual".parse::<EntryKind>().is_err());
    }
}
