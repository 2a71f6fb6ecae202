//! Leads: an e-mail or a customer key that is tied to a partner, or to a click, before the first payment (a sign-up, an
//! import from another tool). There may be very many, so that deciding looks them up as it does clicks.

use serde::{Deserialize, Serialize};

use super::Time;
use super::evidence::normal_email;
use super::terms::{PartnerKey, ProgramKey};

/// What a lead is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadBy {
    /// The buyer's e-mail.
    Email,
    /// The merchant's own customer key.
    CustomerKey,
}

impl LeadBy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Email, Self::CustomerKey];

    /// As in SQL, JSON and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::CustomerKey => "customer_key",
        }
    }

    /// From SQL, JSON and files.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }

    /// A value as it is kept and compared: trimmed, an e-mail in lower case.
    pub fn normal(self, value: &str) -> String {
        match self {
            Self::Email => normal_email(value),
            Self::CustomerKey => value.trim().to_owned(),
        }
    }

    /// The clue by which a customer with this (normal) value is found.
    pub fn clue(self, value: &str) -> String {
        format!("{}:{value}", self.as_str())
    }

    /// What a clue is known by, with its value; none where leads do not speak of it.
    pub fn of_clue(clue: &str) -> Option<(Self, &str)> {
        let (by, value) = clue.split_once(':')?;
        Some((Self::parse(by)?, value))
    }
}

/// Whom a lead names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeadTo {
    /// A partner.
    Partner {
        /// Who.
        partner: PartnerKey,
        /// Under which program; the one that the payment names, else their earliest, when `None`.
        program: Option<ProgramKey>,
    },
    /// A click: its partner, program and window count, and its time is the touch.
    Click(String),
}

/// A lead to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLead {
    /// What `value` is.
    pub by: LeadBy,
    /// The e-mail (any case) or customer key.
    pub value: String,
    /// Whom it names. That the partner and program exist is for whoever enters it to check; a click may become known
    /// later.
    pub to: LeadTo,
    /// Counts for payments from then on; for all when `None`.
    pub from: Option<Time>,
}

/// A lead, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Whom it names.
    pub to: LeadTo,
    /// Counts for payments from then on; for all when `None`.
    pub from: Option<Time>,
    /// When the bridge came to know it.
    pub entered_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_payments_write_them() {
        assert_eq!(LeadBy::Email.normal(" Ann@Buyer.example "), "ann@buyer.example");
        assert_eq!(LeadBy::CustomerKey.normal(" U-77 "), "U-77");
    }

    #[test]
    fn a_clue_says_what_a_lead_is_known_by() {
        for by in LeadBy::ALL {
            assert_eq!(LeadBy::of_clue(&by.clue("a:b")), Some((by, "a:b")));
        }
        assert_eq!(LeadBy::of_clue("click:c1"), None);
    }
}
