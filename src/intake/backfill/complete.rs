//! Objects as a whole: a list inside an invoice or checkout session shows its first items only.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::intake::asking::{AskError, Asking, PAGE};
use crate::stripe::fetched::Kind;

/// The lists inside an object that may go on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lists {
    id: Option<String>,
    lines: Option<Inner>,
    payments: Option<Inner>,
    line_items: Option<Inner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Inner {
    has_more: Option<bool>,
}

/// An object with all of what its lists hold; as it is where it has them.
///
/// # Errors
/// [`AskError`].
pub async fn complete(asking: &Asking, kind: Kind, object: Box<RawValue>) -> Result<Box<RawValue>, AskError> {
    if !matches!(kind, Kind::Invoice | Kind::CheckoutSession) {
        return Ok(object);
    }
    let lists: Lists = serde_json::from_str(object.get()).unwrap_or_default();
    let goes_on = |inner: Option<&Inner>| inner.is_some_and(|inner| inner.has_more == Some(true));
    let (lines, payments) = (goes_on(lists.lines.as_ref()), goes_on(lists.payments.as_ref()));
    let items = goes_on(lists.line_items.as_ref());
    let Some(id) = lists.id.filter(|_| lines || payments || items) else { return Ok(object) };
    let part: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let Ok(mut whole) = serde_json::from_str::<Value>(object.get()) else { return Ok(object) };
    if lines {
        rest(asking, &format!("{}/{part}/lines", kind.path()), &[], &mut whole["lines"]).await?;
    }
    if payments {
        rest(asking, Kind::InvoicePayment.path(), &[("invoice", &id)], &mut whole["payments"]).await?;
    }
    if items {
        rest(asking, &format!("{}/{part}/line_items", kind.path()), &[], &mut whole["line_items"]).await?;
    }
    Ok(serde_json::value::to_raw_value(&whole).unwrap_or(object))
}

/// Appends what a list inside an object does not show.
async fn rest(asking: &Asking, path: &str, fields: &[(&str, &str)], list: &mut Value) -> Result<(), AskError> {
    loop {
        let last = list["data"].as_array().and_then(|items| items.last()).and_then(|item| item["id"].as_str());
        let last = last.map(str::to_owned);
        let mut query = vec![("limit", PAGE)];
        query.extend(fields);
        query.extend(last.as_deref().map(|id| ("starting_after", id)));
        let page = asking.page(path, &query).await?;
        let items: Vec<Value> = page.data.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect();
        let is_end = !page.has_more || items.last().is_none_or(|item| item["id"].as_str() == last.as_deref());
        if let Some(shown) = list["data"].as_array_mut() {
            shown.extend(items);
        }
        if is_end {
            list["has_more"] = Value::Bool(false);
            return Ok(());
        }
    }
}
