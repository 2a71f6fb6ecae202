//! What the bridge asked Stripe for, as events of the same inbox.
//!
//! An object that was fetched shows what stands now. It becomes a body like an event's, of a type of its own
//! (`fetched.invoice`), so that it is stored, read, replayed and verified as any other. Its id is made of the object's and
//! of what it says: fetched again unchanged it is the same event, fetched again changed it is another. It is dated by the
//! object's own times, as the event would have been that told of it, so that fetching a year's history gives the same
//! ledger as having listened for a year. `fetched_at` beside it says when it was asked for.
//!
//! What people say about an object's past ("this customer was acme's since May") takes the same way, as `stated.customer`
//! or `stated.subscription`.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::event::{envelope, is_understood};
use super::problem::ReadError;
use super::{Reading, read};
use crate::domain::Time;
use crate::domain::facts::{DisputeMoney, EventFacts, Fact};

/// Objects that are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `in_…`
    Invoice,
    /// `inpay_…`
    InvoicePayment,
    /// `cs_…`
    CheckoutSession,
    /// `pi_…`
    PaymentIntent,
    /// `ch_…`, `py_…`
    Charge,
    /// `re_…`, `pyr_…`
    Refund,
    /// `dp_…`, `du_…`
    Dispute,
    /// `cn_…`
    CreditNote,
    /// `cus_…`
    Customer,
    /// `sub_…`
    Subscription,
    /// `promo_…`
    PromotionCode,
    /// `price_…`, `plan_…`
    Price,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Invoice,
        Self::InvoicePayment,
        Self::CheckoutSession,
        Self::PaymentIntent,
        Self::Charge,
        Self::Refund,
        Self::Dispute,
        Self::CreditNote,
        Self::Customer,
        Self::Subscription,
        Self::PromotionCode,
        Self::Price,
    ];

    /// In SQL, JSON and for people.
    pub fn as_str(self) -> &'static str {
        &self.event_type()["fetched.".len()..]
    }

    /// The type of the event that it becomes.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Invoice => "fetched.invoice",
            Self::InvoicePayment => "fetched.invoice_payment",
            Self::CheckoutSession => "fetched.checkout_session",
            Self::PaymentIntent => "fetched.payment_intent",
            Self::Charge => "fetched.charge",
            Self::Refund => "fetched.refund",
            Self::Dispute => "fetched.dispute",
            Self::CreditNote => "fetched.credit_note",
            Self::Customer => "fetched.customer",
            Self::Subscription => "fetched.subscription",
            Self::PromotionCode => "fetched.promotion_code",
            Self::Price => "fetched.price",
        }
    }

    /// Where Stripe's API has them.
    pub fn path(self) -> &'static str {
        match self {
            Self::Invoice => "/invoices",
            Self::InvoicePayment => "/invoice_payments",
            Self::CheckoutSession => "/checkout/sessions",
            Self::PaymentIntent => "/payment_intents",
            Self::Charge => "/charges",
            Self::Refund => "/refunds",
            Self::Dispute => "/disputes",
            Self::CreditNote => "/credit_notes",
            Self::Customer => "/customers",
            Self::Subscription => "/subscriptions",
            Self::PromotionCode => "/promotion_codes",
            Self::Price => "/prices",
        }
    }

    /// What is shown as a whole instead of by its id, because its times or amounts are needed; as in `expand[]`, for one
    /// object.
    pub fn expanded(self) -> &'static [&'static str] {
        match self {
            // What paid it, and with which promotion codes.
            Self::Invoice => &["payments", "discounts"],
            // What was sold.
            Self::CheckoutSession => &["line_items"],
            // When the money came and what Stripe took of it; the intent's metadata is evidence.
            Self::Charge => &["balance_transaction", "payment_intent"],
            Self::PaymentIntent => &["latest_charge", "latest_charge.balance_transaction"],
            Self::Subscription => &["discounts"],
            Self::Price => &["product"],
            _ => &[],
        }
    }
}

/// An object that was fetched, as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What it is.
    pub kind: Kind,
    /// The object's id.
    pub object: String,
    /// The object's `created`, where it has one.
    pub created: Option<Time>,
    /// The body for the inbox.
    pub body: Vec<u8>,
    /// What it says.
    pub facts: EventFacts,
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    object: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    created: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_at: Option<i64>,
    livemode: bool,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    object: &'a RawValue,
}

fn body(event: &Event<'_>) -> Vec<u8> {
    serde_json::to_vec(event).expect("texts and numbers are JSON")
}

#[derive(serde::Deserialize)]
struct Outside {
    id: Option<String>,
    created: Option<i64>,
    livemode: Option<bool>,
}

/// Makes an event of an object that was fetched just now. `livemode` is the key's mode; an object that says otherwise is
/// refused.
///
/// # Errors
/// [`ReadError`] names the field that is at fault: it is missing or no such thing, says the other mode, or is an id too
/// long for the inbox.
pub fn wrap(kind: Kind, object: &RawValue, fetched_at: Time, livemode: bool) -> Result<Fetched, ReadError> {
    let outside: Outside =
        serde_json::from_str(object.get()).map_err(|_| ReadError::missing("id", "an object with an id"))?;
    let id = outside.id.filter(|id| !id.is_empty()).ok_or_else(|| ReadError::missing("id", "an id"))?;
    if outside.livemode.is_some_and(|mode| mode != livemode) {
        return Err(ReadError::missing(
            "livemode",
            if livemode { "an object of the live book" } else { "an object of the test book" },
        ));
    }
    let seconds = fetched_at.timestamp();
    let mut event = Event {
        id: "evt",
        object: "event",
        kind: kind.event_type(),
        created: seconds,
        fetched_at: Some(seconds),
        livemode,
        data: Data { object },
    };
    let Reading::Facts(mut facts) = read(&body(&event))? else {
        return Err(ReadError::missing("object", "an object that is read"));
    };
    let created = outside.created.and_then(|created| Time::from_timestamp(created, 0));
    let event_id = format!("{id}@{}", fingerprint(&facts.facts));
    event.created = date(&facts.facts).or(created).map_or(seconds, |at| at.timestamp());
    event.id = &event_id;
    let body = body(&event);
    // An object's id may be as long as any; with what makes it an event's, it may be longer than the inbox takes.
    envelope(&body)?;
    if let Some(at) = Time::from_timestamp(event.created, 0) {
        facts.stamp.created = at;
    }
    facts.stamp.event_id.clone_from(&event_id);
    Ok(Fetched { kind, object: id, created, body, facts })
}

/// Makes an event of what somebody says: that this object (its id, its customer and metadata) held since a moment.
pub fn state(kind: Kind, object: &RawValue, since: Time, livemode: bool) -> Option<Vec<u8>> {
    let event_type = match kind {
        Kind::Customer => "stated.customer",
        Kind::Subscription => "stated.subscription",
        _ => return None,
    };
    debug_assert!(is_understood(event_type));
    let said = hex::encode(&Sha256::digest(object.get())[..8]);
    let created = since.timestamp();
    let id = format!("stated_{created}@{said}");
    let data = Data { object };
    Some(body(&Event { id: &id, object: "event", kind: event_type, created, fetched_at: None, livemode, data }))
}

/// Sixteen hexadecimal digits of what the facts say.
fn fingerprint(facts: &[Fact]) -> String {
    let said = serde_json::to_vec(facts).expect("facts are JSON");
    hex::encode(&Sha256::digest(&said)[..8])
}

/// When the event came that would have told of it, where that is not simply when the object was made.
fn date(facts: &[Fact]) -> Option<Time> {
    match facts.first()? {
        Fact::Invoice(invoice) => invoice.paid_at,
        Fact::Charge(charge) => charge.booked.map(|booked| booked.at),
        Fact::Dispute(dispute) => dispute.taken_at.or(dispute.returned_at),
        _ => None,
    }
}

/// What an object that was fetched does not say although an event would: since when its cumulative figures stand. The
/// refunds behind a charge's figure are fetched by themselves, with their own times.
pub(super) fn as_shown(facts: &mut [Fact]) {
    for fact in facts {
        match fact {
            Fact::Charge(charge) => charge.refunded = 0,
            // Money that moved shows its transactions; without them the status speaks, undated.
            Fact::Dispute(dispute) if dispute.money == DisputeMoney::Unmoved => {
                (dispute.taken_at, dispute.returned_at) = (None, None);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::super::testing::{T, at, fixture};
    use super::*;
    use crate::stripe::envelope;

    fn object(name: &str) -> Box<RawValue> {
        to_raw_value(&fixture(name)["data"]["object"]).unwrap()
    }

    #[test]
    fn an_object_becomes_an_event_of_its_own_date() {
        let livemode = fixture("invoice.paid.new")["data"]["object"]["livemode"].as_bool().unwrap_or(true);
        let fetched = wrap(Kind::Invoice, &object("invoice.paid.new"), at(T + 1_000_000), livemode).unwrap();
        let envelope = envelope(&fetched.body).unwrap();
        assert!(envelope.id.starts_with("in_0001@") && envelope.id.len() == "in_0001@".len() + 16, "{}", envelope.id);
        assert_eq!((envelope.type_.as_str(), envelope.livemode), ("fetched.invoice", livemode));
        let Reading::Facts(facts) = read(&fetched.body).unwrap() else { panic!("ignored") };
        assert_eq!(facts, fetched.facts);
        assert_eq!(facts.fetched_at, Some(at(T + 1_000_000)));
        let Fact::Invoice(invoice) = &facts.facts[0] else { panic!("no invoice") };
        assert_eq!(Some(facts.stamp.created), invoice.paid_at);
        let later = wrap(Kind::Invoice, &object("invoice.paid.new"), at(T + 2_000_000), livemode).unwrap();
        assert_eq!(later.facts.stamp, facts.stamp, "unchanged, it is the same event");
    }

    #[test]
    fn what_changed_is_another_event() {
        let refund = |status| {
            let object = json!({"id": "re_1", "amount": 5, "currency": "usd", "status": status, "created": T});
            wrap(Kind::Refund, &to_raw_value(&object).unwrap(), at(T + 9), true).unwrap().facts.stamp.event_id
        };
        assert_ne!(refund("pending"), refund("succeeded"));
    }

    #[test]
    fn a_charge_does_not_say_since_when_it_is_refunded() {
        let mut charge = fixture("charge.refunded.new")["data"]["object"].clone();
        charge["livemode"] = json!(true);
        let fetched = wrap(Kind::Charge, &to_raw_value(&charge).unwrap(), at(T + 9), true).unwrap();
        let Fact::Charge(charge) = &fetched.facts.facts[0] else { panic!("no charge") };
        assert_eq!((charge.captured, charge.refunded), (3106, 0));
    }

    #[test]
    fn a_dispute_is_dated_by_its_transactions() {
        let dispute = json!({"id": "dp_1", "charge": "ch_1", "amount": 500, "currency": "usd", "status": "won",
            "balance_transactions": [{"amount": -2000, "created": T + 5}, {"amount": 500, "created": T + 90}]});
        let fetched = wrap(Kind::Dispute, &to_raw_value(&dispute).unwrap(), at(T + 900), true).unwrap();
        let Fact::Dispute(dispute) = &fetched.facts.facts[0] else { panic!("no dispute") };
        assert_eq!((dispute.money, dispute.taken_at), (DisputeMoney::Returned, Some(at(T + 5))));
        assert_eq!(dispute.returned_at, Some(at(T + 90)));
        assert_eq!(fetched.facts.stamp.created, at(T + 5));
    }

    #[test]
    fn an_inquirys_transactions_do_not_date_what_is_not_taken() {
        let inquiry = json!({"id": "dp_1", "charge": "ch_1", "amount": 500, "currency": "usd", "created": T,
            "status": "warning_closed",
            "balance_transactions": [{"amount": -500, "created": T + 5}, {"amount": 500, "created": T + 90}]});
        let fetched = wrap(Kind::Dispute, &to_raw_value(&inquiry).unwrap(), at(T + 900), true).unwrap();
        let Fact::Dispute(dispute) = &fetched.facts.facts[0] else { panic!("no dispute") };
        assert_eq!((dispute.money, dispute.taken_at, dispute.returned_at), (DisputeMoney::Unmoved, None, None));
        assert_eq!(fetched.facts.stamp.created, at(T));
    }

    #[test]
    fn a_charge_is_dated_by_its_booking() {
        let dated = |transaction| {
            let charge = json!({"id": "ch_1", "amount": 500, "currency": "usd", "status": "succeeded", "created": T,
                "balance_transaction": transaction});
            wrap(Kind::Charge, &to_raw_value(&charge).unwrap(), at(T + 900), true).unwrap().facts.stamp.created
        };
        assert_eq!(dated(json!({"id": "txn_1", "fee": 20, "amount": 500, "created": T + 60})), at(T + 60));
        assert_eq!(dated(json!("txn_1")), at(T));
    }

    #[test]
    fn what_is_no_object_of_this_book_is_refused() {
        let wrapped = |object| wrap(Kind::Customer, &to_raw_value(&object).unwrap(), at(T), true);
        let error = wrapped(json!({"id": "cus_1", "livemode": false})).unwrap_err();
        assert!(error.to_string().contains("livemode"), "{error}");
        assert!(wrapped(json!([])).is_err() && wrapped(json!({"id": ""})).is_err());
    }

    #[test]
    fn what_people_state_is_dated_by_them() {
        let object = to_raw_value(&json!({"id": "cus_1", "metadata": {"partner_key": "acme"}})).unwrap();
        let body = state(Kind::Customer, &object, at(T), true).unwrap();
        let Reading::Facts(facts) = read(&body).unwrap() else { panic!("ignored") };
        assert_eq!((facts.stamp.created, facts.fetched_at), (at(T), None));
        assert!(facts.stamp.event_id.starts_with("stated_"));
        assert!(state(Kind::Refund, &object, at(T), true).is_none());

        let object = to_raw_value(&json!({"id": "sub_1", "customer": "cus_1"})).unwrap();
        let body = state(Kind::Subscription, &object, at(T), true).unwrap();
        let Reading::Facts(facts) = read(&body).unwrap() else { panic!("ignored") };
        assert!(matches!(&facts.facts[..], [Fact::Subscription(subscription)] if subscription.id == "sub_1"));
    }

    #[test]
    fn every_kind_becomes_an_event_that_is_read() {
        for kind in Kind::ALL {
            assert!(is_understood(kind.event_type()), "{kind:?}");
            assert_eq!(kind.event_type(), format!("fetched.{}", kind.as_str()));
        }
    }

    /// The paths are those of Stripe's API, the expansions those that its objects have: it refuses any other.
    #[test]
    fn how_stripe_is_asked() {
        let asked = Kind::ALL.map(|kind| (kind.as_str(), kind.path(), kind.expanded().join(" ")));
        let expected = [
            ("invoice", "/invoices", "payments discounts"),
            ("invoice_payment", "/invoice_payments", ""),
            ("checkout_session", "/checkout/sessions", "line_items"),
            ("payment_intent", "/payment_intents", "latest_charge latest_charge.balance_transaction"),
            ("charge", "/charges", "balance_transaction payment_intent"),
            ("refund", "/refunds", ""),
            ("dispute", "/disputes", ""),
            ("credit_note", "/credit_notes", ""),
            ("customer", "/customers", ""),
            ("subscription", "/subscriptions", "discounts"),
            ("promotion_code", "/promotion_codes", ""),
            ("price", "/prices", "product"),
        ];
        assert_eq!(asked, expected.map(|(kind, path, expanded)| (kind, path, expanded.to_owned())));
    }
}
