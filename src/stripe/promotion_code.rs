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
