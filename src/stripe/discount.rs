//! Discounts: their promotion codes, and what they take off for longer than one bill.

use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use super::field::{Code, Exactly, Field, Id, Int, Maybe, Seconds, Text, readable};
use crate::domain::facts::{Fact, PromotionCodeFact};
use crate::domain::subscribed::{Lasting, StandingDiscount};

/// A discount: its id (which says nothing of a promotion code), or the object.
#[derive(Debug, Default)]
pub(super) struct Discount {
    promotion_code: PromotionCode,
    /// Whether its id alone is shown.
    is_hidden: bool,
    /// What it takes off, where it shows its coupon.
    pub standing: Option<StandingDiscount>,
}

/// A coupon: its id, or the object.
#[derive(Debug, Default)]
struct Coupon(Option<StandingDiscount>);

/// A promotion code: its id, or the object with its text.
#[derive(Debug, Default)]
struct PromotionCode {
    id: Option<String>,
    code: Option<String>,
}

readable!(Discount, Coupon, PromotionCode);

impl<'de> Field<'de> for Coupon {
    const EXPECTED: &'static str = Discount::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|_| Self(None))
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            percent_off: Exactly,
            amount_off: Int,
            currency: Code,
            duration: Text,
        }
        let coupon = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        let lasting = match coupon.duration.word() {
            Some("forever") => Lasting::Forever,
            Some("repeating") => Lasting::Repeating,
            _ => Lasting::Once,
        };
        let (percent_off, amount_off) = (coupon.percent_off.0, coupon.amount_off.0);
        let shows = percent_off.is_some() || amount_off.is_some();
        let currency = coupon.currency.0;
        Ok(Self(shows.then_some(StandingDiscount { percent_off, amount_off, currency, lasting, ends_at: None })))
    }
}

impl<'de> Field<'de> for Discount {
    const EXPECTED: &'static str = "an id of at most 255 characters, an object or null";

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|_| Self { is_hidden: true, ..Self::default() })
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            promotion_code: PromotionCode,
            coupon: Coupon,
            source: Maybe<Source>,
            end: Seconds,
        }
        /// Where newer versions have the coupon.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Source {
            coupon: Coupon,
        }
        let discount = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        let coupon = discount.source.or_empty().coupon.0.or(discount.coupon.0);
        let standing = coupon.map(|coupon| StandingDiscount { ends_at: discount.end.0, ..coupon });
        Ok(Self { promotion_code: discount.promotion_code, is_hidden: false, standing })
    }
}

impl<'de> Field<'de> for PromotionCode {
    const EXPECTED: &'static str = Discount::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|id| Self { id: id.0, code: None })
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            id: Id,
            code: Text,
        }
        let code = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self { id: code.id.0, code: code.code.0 })
    }
}

/// Whether of some discounts nothing but the id is shown.
pub(super) fn any_hidden(discounts: &[Discount]) -> bool {
    discounts.iter().any(|discount| discount.is_hidden)
}

/// The promotion code ids (the text, where only that is known) among discounts, each once, and what is learned of
/// those that are expanded.
pub(super) fn promotion_codes(discounts: impl IntoIterator<Item = Discount>) -> (Vec<String>, Vec<Fact>) {
    let (mut codes, mut facts): (Vec<String>, _) = (Vec::new(), Vec::new());
    for PromotionCode { id, code } in discounts.into_iter().map(|discount| discount.promotion_code) {
        let Some(name) = id.clone().or_else(|| code.clone()).filter(|name| !codes.contains(name)) else { continue };
        codes.push(name);
        if let (Some(id), Some(code)) = (id, code) {
            facts.push(Fact::PromotionCode(PromotionCodeFact { id, code }));
        }
    }
    (codes, facts)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{error, event, only};
    use super::*;

    fn subscription_with(coupon: &Value) -> Value {
        json!({"id": "sub_1", "status": "active", "discount": {"id": "di_1", "coupon": coupon}})
    }

    #[test]
    fn how_long_a_coupon_lasts() {
        for (duration, lasting) in [
            ("forever", Lasting::Forever),
            ("repeating", Lasting::Repeating),
            ("once", Lasting::Once),
            ("something_new", Lasting::Once),
        ] {
            let object = subscription_with(&json!({"percent_off": 25, "duration": duration}));
            let state = only!(Subscription, event("customer.subscription.updated", &object)).state.unwrap();
            let percent_off = Some(25.into());
            let expected = StandingDiscount { percent_off, amount_off: None, currency: None, lasting, ends_at: None };
            assert_eq!(state.discounts, [expected], "{duration}");
        }
    }

    #[test]
    fn a_coupon_by_its_id_says_nothing() {
        let object = subscription_with(&json!("SUMMER"));
        let state = only!(Subscription, event("customer.subscription.updated", &object)).state.unwrap();
        assert!(state.discounts.is_empty());
        assert_eq!(
            error("customer.subscription.updated", &subscription_with(&json!("c".repeat(256)))),
            "data.object.discount.coupon: expected an id of at most 255 characters, an object or null, found a string"
        );
    }

    #[test]
    fn a_discount_is_hidden_where_its_id_alone_is_shown() {
        let hidden = |discounts| {
            let object = json!({"id": "in_1", "currency": "usd", "discounts": discounts});
            only!(Invoice, event("invoice.paid", &object)).hidden_discounts
        };
        let shown = json!({"id": "di_1", "coupon": {"percent_off": 25}});
        assert!(!hidden(json!([])));
        assert!(!hidden(json!([shown])), "it comes from no promotion code");
        assert!(hidden(json!(["di_1"])));
        assert!(hidden(json!([shown, "di_2"])), "the other may come from one");
    }
}
