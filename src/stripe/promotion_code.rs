//! Promotion codes: which id has which text.

use serde::Deserialize;

use super::field::{Id, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, PromotionCodeFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct PromotionCode {
    id: Id,
    code: Text,
}

/// Reads the code of a `promotion_code.*` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let promotion: PromotionCode = parse(json)?;
    Ok(vec![Fact::PromotionCode(PromotionCodeFact {
        id: promotion.id.required()?,
        code: promotion.code.0.ok_or_else(|| ReadError::missing("code", "a string"))?,
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{error, fixture, only};
    use super::*;

    #[test]
    fn three_shapes() {
        let expected = PromotionCodeFact { id: "promo_0001".to_owned(), code: "ACME10".to_owned() };
        for name in ["promotion_code.created.old", "promotion_code.updated.hybrid", "promotion_code.updated.new"] {
            assert_eq!(only!(PromotionCode, fixture(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_code_without_text_means_nothing() {
        let text = error("promotion_code.created", &json!({"id": "promo_1", "code": ""}));
        assert_eq!(text, "data.object.code: expected a string, found nothing");
    }
}
