//! `expand[]`: ids become objects, four levels deep at most.

use serde_json::{Value, json};

use super::kinds::{Expands, Kind};
use super::merchant::Merchant;
use super::wire::Answer;

/// Invoices show so many lines at most.
const LINES_SHOWN: usize = 10;

/// What a request wants to see, checked.
pub(super) struct Wanted(Vec<Vec<(&'static str, Expands)>>);

impl Wanted {
    /// Reads the paths; those of a list begin with `data.`.
    pub(super) fn read(kind: Kind, paths: &[String], of_list: bool) -> Result<Self, Answer> {
        let mut wanted = Vec::new();
        for path in paths {
            if path.split('.').count() > 4 {
                let said = format!("You cannot expand more than 4 levels of a property. Property: {path}");
                return Err(Answer::refused_param("property_expansion_max_depth", &said, "expand"));
            }
            let unknown = || {
                let said = format!("This property cannot be expanded ({path}).");
                Answer::refused_param("invalid_request_error", &said, "expand")
            };
            let inner = if of_list { path.strip_prefix("data.").ok_or_else(unknown)? } else { path };
            wanted.push(steps(kind, inner).ok_or_else(unknown)?);
        }
        Ok(Self(wanted))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }
}

/// The way from object to object; nothing where a property cannot be expanded.
fn steps(kind: Kind, path: &str) -> Option<Vec<(&'static str, Expands)>> {
    let fields = kind.about().expandable.iter();
    let rest_behind = |field: &str| match path.strip_prefix(field)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    };
    // Of two that fit, the longer one.
    let fits = fields.filter_map(|(field, expands)| Some((*field, *expands, rest_behind(field)?)));
    let (field, expands, rest) = fits.max_by_key(|(field, ..)| field.len())?;
    let mut all = vec![(field, expands)];
    match (rest, expands) {
        ("", _) => {}
        ("promotion_code", Expands::Discounts) => {
            all.push(("promotion_code", Expands::Object(Kind::PromotionCode)));
        }
        (rest, Expands::Object(kind)) => all.extend(steps(kind, rest)?),
        _ => return None,
    }
    Some(all)
}

/// What a session sold of which nobody said more.
fn sold(session: &Value) -> Value {
    let item = serde_json::json!({
        "id": format!("li_{}", session["id"].as_str().unwrap_or_default()), "object": "item", "price": null,
        "amount_subtotal": session["amount_subtotal"], "amount_total": session["amount_total"], "quantity": 1,
    });
    serde_json::json!({"object": "list", "data": [item], "has_more": false})
}

impl Merchant {
    /// An object as it is shown.
    pub(super) fn show(&self, kind: Kind, object: &Value, wanted: &Wanted) -> Value {
        let mut shown = object.clone();
        if kind == Kind::Invoice {
            cut_lines(&mut shown);
        }
        let items = shown.as_object_mut().and_then(|shown| shown.remove("line_items"));
        let items = items.filter(|_| kind == Kind::Session);
        if kind == Kind::Session
            && wanted.0.iter().any(|steps| steps.first().is_some_and(|step| step.0 == "line_items"))
        {
            shown["line_items"] = items.unwrap_or_else(|| sold(&shown));
        }
        for steps in &wanted.0 {
            self.expand(&mut shown, steps);
        }
        shown
    }

    fn expand(&self, object: &mut Value, steps: &[(&str, Expands)]) {
        let Some(((path, expands), rest)) = steps.split_first() else { return };
        if path.starts_with("payments.") && object["payments"].is_null() {
            object["payments"] = self.payments(object);
        }
        match expands {
            Expands::Payments if object["payments"].is_null() => object["payments"] = self.payments(object),
            Expands::Payments | Expands::LineItems => {}
            Expands::Refunds => object["refunds"] = self.refunds(object),
            Expands::Object(_) | Expands::Discounts => {
                for found in at_path(object, path) {
                    if let Some(id) = found.as_str()
                        && let Some(whole) = self.whole(id, *expands)
                    {
                        *found = whole;
                    }
                    if found.is_object() {
                        self.expand(found, rest);
                    }
                }
            }
        }
    }

    fn whole(&self, id: &str, expands: Expands) -> Option<Value> {
        match expands {
            Expands::Discounts => self.discounts.get(id).cloned(),
            Expands::Object(Kind::Customer) if self.deleted.contains(id) => Some(deleted_customer(id)),
            Expands::Object(kind) => {
                let mut object = self.get(kind, id)?.clone();
                if kind == Kind::Invoice {
                    cut_lines(&mut object);
                }
                Some(object)
            }
            Expands::Payments | Expands::Refunds | Expands::LineItems => None,
        }
    }

    fn payments(&self, invoice: &Value) -> Value {
        let id = invoice["id"].as_str().unwrap_or_default();
        let paid = self.shelf(Kind::InvoicePayment).marked("invoice", id);
        json!({ "object": "list", "data": paid, "has_more": false, "url": format!("/v1/invoice_payments?invoice={id}") })
    }

    fn refunds(&self, charge: &Value) -> Value {
        let id = charge["id"].as_str().unwrap_or_default();
        let mut refunds = self.shelf(Kind::Refund).marked("charge", id);
        refunds.reverse();
        let has_more = refunds.len() > 10;
        refunds.truncate(10);
        json!({ "object": "list", "data": refunds, "has_more": has_more, "url": format!("/v1/charges/{id}/refunds") })
    }
}

pub(super) fn deleted_customer(id: &str) -> Value {
    json!({ "id": id, "object": "customer", "deleted": true })
}

/// Every value at a path, through lists.
fn at_path<'a>(object: &'a mut Value, path: &str) -> Vec<&'a mut Value> {
    let mut found = vec![object];
    for name in path.split('.') {
        let inner = found.into_iter().filter_map(|value| value.get_mut(name));
        found = inner.flat_map(each).collect();
    }
    found
}

fn each(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(values) => values.iter_mut().collect(),
        other => vec![other],
    }
}

/// The first lines, and that there are more.
fn cut_lines(invoice: &mut Value) {
    if let Some(lines) = invoice["lines"]["data"].as_array_mut()
        && lines.len() > LINES_SHOWN
    {
        lines.truncate(LINES_SHOWN);
        invoice["lines"]["has_more"] = json!(true);
    }
}
