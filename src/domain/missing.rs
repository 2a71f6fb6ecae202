//! What a decision lacks and Stripe could say: events do not carry everything. A decision names it, somebody asks Stripe,
//! and the answer comes in as a fact like any other.

use std::collections::BTreeSet;
use std::fmt;

use super::tiers::AggregateKey;

/// Something that Stripe has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missing {
    /// Which invoice or checkout session a payment intent (or a charge without one) pays: since API 2025-03-31 neither
    /// says so, and what is refunded of it takes nothing back before it is known.
    Link(String),
    /// All lines of an invoice of which the event shows the first page.
    Lines(String),
    /// What Stripe took for a payment, named by its main reference.
    Fees(String),
    /// Product, interval and metadata of a price.
    Price(String),
    /// The text of a promotion code.
    PromotionCode(String),
    /// The promotion codes behind an invoice's discounts, of which the event shows ids alone.
    Discounts(String),
}

impl Missing {
    /// The object that has to be asked about.
    pub fn object(&self) -> &str {
        match self {
            Self::Link(id)
            | Self::Lines(id)
            | Self::Fees(id)
            | Self::Price(id)
            | Self::PromotionCode(id)
            | Self::Discounts(id) => id,
        }
    }

    /// What of it: stable, as in SQL and JSON.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Lines(_) => "lines",
            Self::Fees(_) => "fees",
            Self::Price(_) => "price",
            Self::PromotionCode(_) => "promotion_code",
            Self::Discounts(_) => "discounts",
        }
    }

    /// The same from its two parts.
    pub fn of(what: &str, object: &str) -> Option<Self> {
        let make = match what {
            "link" => Self::Link,
            "lines" => Self::Lines,
            "fees" => Self::Fees,
            "price" => Self::Price,
            "promotion_code" => Self::PromotionCode,
            "discounts" => Self::Discounts,
            _ => return None,
        };
        Some(make(object.to_owned()))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(id) => write!(f, "which invoice or checkout {id} pays"),
            Self::Lines(id) => write!(f, "the further lines of {id}"),
            Self::Fees(id) => write!(f, "the fees of {id}"),
            Self::Price(id) => write!(f, "the product of {id}"),
            Self::PromotionCode(id) => write!(f, "the text of {id}"),
            Self::Discounts(id) => write!(f, "the promotion codes of {id}"),
        }
    }
}

/// What deciding asked for and did not have.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// What partners brought in the months before, for tiers.
    pub aggregates: BTreeSet<AggregateKey>,
    /// What Stripe would have to say.
    pub missing: BTreeSet<Missing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parts_name_it() {
        let all =
            [Missing::Link, Missing::Lines, Missing::Fees, Missing::Price, Missing::PromotionCode, Missing::Discounts];
        for missing in all.map(|make| make("x_1".to_owned())) {
            assert_eq!(Missing::of(missing.what(), missing.object()), Some(missing));
        }
        assert_eq!(Missing::of("everything", "x_1"), None);
    }
}
