//! The objects of a merchant's account: where they are, by what they can be asked for, what of them can be expanded.

/// One kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Event,
    Invoice,
    InvoicePayment,
    Session,
    Intent,
    Charge,
    Refund,
    Dispute,
    CreditNote,
    Customer,
    Subscription,
    PromotionCode,
    Price,
    Product,
    BalanceTransaction,
}

/// What a field shows when it is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expands {
    /// The object behind an id.
    Object(Kind),
    /// An invoice's payments, which are not there otherwise.
    Payments,
    /// What a session sold, which is not shown otherwise.
    LineItems,
    /// A charge's refunds, which are not there otherwise.
    Refunds,
    /// The discounts behind ids.
    Discounts,
}

pub(super) struct About {
    pub kind: Kind,
    /// Behind `/v1/`.
    pub path: &'static str,
    /// The word in a permission's name.
    pub permission: &'static str,
    /// As in "No such …".
    pub word: &'static str,
    /// Parameters of the list, and where the object has what they ask for.
    pub filters: &'static [(&'static str, &'static str)],
    /// Fields that can be expanded.
    pub expandable: &'static [(&'static str, Expands)],
}

const CUSTOMER: (&str, Expands) = ("customer", Expands::Object(Kind::Customer));

pub(super) const ALL: [About; 15] = [
    About { kind: Kind::Event, path: "events", permission: "event", word: "event", filters: &[], expandable: &[] },
    About {
        kind: Kind::Invoice,
        path: "invoices",
        permission: "invoice",
        word: "invoice",
        filters: &[
            ("customer", "/customer"),
            ("subscription", "/parent/subscription_details/subscription"),
            ("status", "/status"),
            ("collection_method", "/collection_method"),
        ],
        expandable: &[
            CUSTOMER,
            ("payments.data.payment.payment_intent", Expands::Object(Kind::Intent)),
            ("payments.data.payment.charge", Expands::Object(Kind::Charge)),
            ("payments", Expands::Payments),
            ("discounts", Expands::Discounts),
            ("parent.subscription_details.subscription", Expands::Object(Kind::Subscription)),
        ],
    },
    About {
        kind: Kind::InvoicePayment,
        path: "invoice_payments",
        permission: "invoice",
        word: "invoice_payment",
        filters: &[
            ("invoice", "/invoice"),
            ("status", "/status"),
            ("payment[type]", "/payment/type"),
            ("payment[payment_intent]", "/payment/payment_intent"),
        ],
        expandable: &[
            ("invoice", Expands::Object(Kind::Invoice)),
            ("payment.payment_intent", Expands::Object(Kind::Intent)),
            ("payment.charge", Expands::Object(Kind::Charge)),
        ],
    },
    About {
        kind: Kind::Session,
        path: "checkout/sessions",
        permission: "checkout_session",
        word: "checkout.session",
        filters: &[
            ("customer", "/customer"),
            ("payment_intent", "/payment_intent"),
            ("payment_link", "/payment_link"),
            ("status", "/status"),
            ("subscription", "/subscription"),
        ],
        expandable: &[
            ("line_items", Expands::LineItems),
            CUSTOMER,
            ("invoice", Expands::Object(Kind::Invoice)),
            ("payment_intent", Expands::Object(Kind::Intent)),
            ("subscription", Expands::Object(Kind::Subscription)),
            ("discounts.promotion_code", Expands::Object(Kind::PromotionCode)),
        ],
    },
    About {
        kind: Kind::Intent,
        path: "payment_intents",
        permission: "payment_intent",
        word: "payment_intent",
        filters: &[("customer", "/customer")],
        expandable: &[CUSTOMER, ("latest_charge", Expands::Object(Kind::Charge))],
    },
    About {
        kind: Kind::Charge,
        path: "charges",
        permission: "charge",
        word: "charge",
        filters: &[("customer", "/customer"), ("payment_intent", "/payment_intent")],
        expandable: &[
            CUSTOMER,
            ("balance_transaction", Expands::Object(Kind::BalanceTransaction)),
            ("payment_intent", Expands::Object(Kind::Intent)),
            ("refunds", Expands::Refunds),
        ],
    },
    About {
        kind: Kind::Refund,
        path: "refunds",
        permission: "charge",
        word: "refund",
        filters: &[("charge", "/charge"), ("payment_intent", "/payment_intent")],
        expandable: &[
            ("balance_transaction", Expands::Object(Kind::BalanceTransaction)),
            ("charge", Expands::Object(Kind::Charge)),
            ("payment_intent", Expands::Object(Kind::Intent)),
        ],
    },
    About {
        kind: Kind::Dispute,
        path: "disputes",
        permission: "dispute",
        word: "dispute",
        filters: &[("charge", "/charge"), ("payment_intent", "/payment_intent")],
        expandable: &[("charge", Expands::Object(Kind::Charge)), ("payment_intent", Expands::Object(Kind::Intent))],
    },
    About {
        kind: Kind::CreditNote,
        path: "credit_notes",
        permission: "credit_note",
        word: "credit_note",
        filters: &[("customer", "/customer"), ("invoice", "/invoice")],
        expandable: &[CUSTOMER, ("invoice", Expands::Object(Kind::Invoice))],
    },
    About {
        kind: Kind::Customer,
        path: "customers",
        permission: "customer",
        word: "customer",
        filters: &[("email", "/email")],
        expandable: &[],
    },
    About {
        kind: Kind::Subscription,
        path: "subscriptions",
        permission: "subscription",
        word: "subscription",
        filters: &[("customer", "/customer")],
        expandable: &[
            CUSTOMER,
            ("discounts", Expands::Discounts),
            ("items.data.price.product", Expands::Object(Kind::Product)),
        ],
    },
    About {
        kind: Kind::PromotionCode,
        path: "promotion_codes",
        permission: "promotion_code",
        word: "promotion_code",
        filters: &[("code", "/code"), ("customer", "/customer")],
        expandable: &[CUSTOMER],
    },
    About {
        kind: Kind::Price,
        path: "prices",
        permission: "plan",
        word: "price",
        filters: &[("product", "/product"), ("type", "/type")],
        expandable: &[("product", Expands::Object(Kind::Product))],
    },
    About {
        kind: Kind::Product,
        path: "products",
        permission: "product",
        word: "product",
        filters: &[],
        expandable: &[],
    },
    About {
        kind: Kind::BalanceTransaction,
        path: "balance_transactions",
        permission: "balance_transaction_source",
        word: "balance transaction",
        filters: &[("currency", "/currency"), ("source", "/source"), ("type", "/type")],
        expandable: &[],
    },
];

impl Kind {
    pub(super) fn about(self) -> &'static About {
        ALL.iter().find(|about| about.kind == self).unwrap()
    }

    /// The kind of an object by its `object`.
    pub(super) fn of_object(object: &str) -> Option<Self> {
        Some(match object {
            "invoice" => Self::Invoice,
            "invoice_payment" => Self::InvoicePayment,
            "checkout.session" => Self::Session,
            "payment_intent" => Self::Intent,
            "charge" => Self::Charge,
            "refund" => Self::Refund,
            "dispute" => Self::Dispute,
            "credit_note" => Self::CreditNote,
            "customer" => Self::Customer,
            "subscription" => Self::Subscription,
            "promotion_code" => Self::PromotionCode,
            _ => return None,
        })
    }
}
