//! Buyers, and the clues that tie them to partners.

use super::{OWN_CODE, Teller, code_id, one};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::books::{Earner, Sale, SaleKind};
use crate::sample::event::{Kind, Object};
use crate::sample::program::{Partner, Program};
use crate::sample::shape::Metadata;
use crate::sample::shape::customer::Customer;

/// How a buyer's invoices are taxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tax {
    None,
    OnTop,
    Within,
}

/// Where a clue is found, if there is one that leads anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clue {
    /// Metadata of the checkout session.
    Session,
    /// The session's `client_reference_id`.
    ClientReference,
    /// A partner's promotion code.
    Code,
    /// Metadata of the subscription.
    Subscription,
    /// Metadata of the customer.
    Customer,
    /// Metadata of the first invoice with money in it.
    Invoice,
    /// Metadata of the customer, entered after some payments.
    LateCustomer,
    /// Metadata of the subscription, entered after some payments.
    LateSubscription,
    /// One partner in the session's metadata, another one's promotion code: the metadata is stronger.
    SessionAgainstCode,
    /// One partner on the session, another one on the subscription: the session is nearer.
    SessionAgainstSubscription,
    /// A `partner_key` that nobody has.
    UnknownPartner,
    /// A click id that nobody recorded.
    UnknownClick,
    /// The partner buys.
    OwnPurchase,
    /// A promotion code that belongs to no partner.
    OwnCode,
    /// Nothing at all.
    None,
}

/// What the objects of a buyer say.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    pub session: Metadata,
    pub client_reference: Option<String>,
    pub code: Option<String>,
    pub subscription: Metadata,
    pub customer: Metadata,
    pub invoice: Metadata,
    /// For late clues: what will be entered.
    pub late: Metadata,
}

/// A customer, or a guest.
#[derive(Debug)]
pub(super) struct Buyer {
    pub customer: Option<String>,
    pub email: String,
    pub currency: Currency,
    pub tax: Tax,
    pub clue: Clue,
    pub marks: Marks,
    pub earner: Result<Earner, Option<&'static str>>,
    /// From when on the earner is known. Money paid before a late clue is nobody's; money that came before the
    /// session that belongs to it is credited as soon as the session is known.
    pub known_from: Option<Time>,
    /// The customer's credit balance.
    pub balance: i64,
    /// Some of its lines have different rates: nothing may blur what was paid for which.
    pub mixed: bool,
    pub sales: Vec<Sale>,
}

impl Buyer {
    pub(super) fn program(&self) -> Option<Program> {
        self.earner.as_ref().ok().map(|earner| earner.program)
    }

    fn is_late(&self) -> bool {
        matches!(self.clue, Clue::LateCustomer | Clue::LateSubscription)
    }

    /// Who earns from a sale paid at `paid_at`, and from when on that is known if an event told of it at `seen_at`.
    pub(super) fn verdict(&self, paid_at: Time, seen_at: Time) -> (Result<Earner, Option<&'static str>>, Time) {
        let earner = match &self.earner {
            // Only the first payment bears the clue that leads nowhere: of later ones, it may be said or not.
            Err(Some("partner_unknown" | "click_unknown" | "self_referral")) if !self.sales.is_empty() => Err(None),
            other => other.clone(),
        };
        match self.known_from {
            Some(from) if self.is_late() && paid_at < from => (Err(Some("no_evidence")), seen_at),
            None if self.is_late() => (Err(Some("no_evidence")), seen_at),
            Some(from) => (earner, seen_at.max(from)),
            None => (earner, seen_at),
        }
    }

    /// Later sales build upon this one: it may not be taken back in full while there are any.
    pub(super) fn is_built_upon(&self, sale: usize) -> bool {
        let counts = |sale: &Sale| sale.earner.is_ok() && sale.paid > 0;
        let first = self.sales.iter().position(counts);
        let first_of_stream = self.sales.iter().position(|sale| counts(sale) && sale.kind != SaleKind::OneOff);
        self.program() == Some(Program::Counted) || first == Some(sale) || first_of_stream == Some(sale)
    }
}

impl Teller<'_> {
    /// A buyer with one of `clues`; with a customer unless a guest.
    pub(super) fn buyer(&mut self, clues: &[Clue], guest: bool) -> Buyer {
        let clue = *self.random.pick(clues);
        let currency =
            *self.random.pick(&["usd", "usd", "usd", "usd", "usd", "eur", "eur", "eur", "gbp", "jpy", "kwd", "isk"]);
        let currency: Currency = currency.parse().expect("three letters");
        let tax = *self.random.pick(&[Tax::None, Tax::None, Tax::OnTop, Tax::Within]);
        let (partner, program) = self.partner(clue, currency);
        let mut email = format!("{}@example.com", self.random.letters(10).to_lowercase());
        let mut marks = Marks::default();
        let name = self.key_name();
        let mut key = one(name, &partner.key);
        if partner.programs.len() > 1 {
            key.insert("program_key".to_owned(), program.key().to_owned());
        }
        let mut earner = Ok(Earner { partner: partner.key.clone(), program });
        match clue {
            Clue::Session => marks.session = key,
            Clue::ClientReference => marks.client_reference = Some(partner.key.clone()),
            Clue::Code => marks.code = Some(code_id(self.tag, &partner.code)),
            Clue::Subscription => marks.subscription = key,
            Clue::Customer => marks.customer = key,
            Clue::Invoice => marks.invoice = key,
            Clue::LateCustomer | Clue::LateSubscription => marks.late = key,
            Clue::SessionAgainstCode => {
                marks.session = key;
                marks.code = Some(code_id(self.tag, &self.another(&partner).code));
            }
            Clue::SessionAgainstSubscription => {
                marks.session = key;
                marks.subscription = one("partner_key", &self.another(&partner).key);
            }
            Clue::UnknownPartner => {
                marks.session = one(name, "nobody-we-know");
                earner = Err(Some("partner_unknown"));
            }
            Clue::UnknownClick => {
                marks.session = one("click_id", "clk_never_recorded");
                earner = Err(Some("click_unknown"));
            }
            Clue::OwnPurchase => {
                marks.session = key;
                email.clone_from(&partner.email);
                earner = Err(Some("self_referral"));
            }
            Clue::OwnCode => {
                marks.code = Some(code_id(self.tag, OWN_CODE));
                earner = Err(None);
            }
            Clue::None => earner = Err(Some("no_evidence")),
        }
        Buyer {
            customer: if guest { None } else { Some(self.customer_id()) },
            email,
            currency,
            tax,
            clue,
            marks,
            earner,
            known_from: None,
            balance: 0,
            mixed: false,
            sales: Vec::new(),
        }
    }

    /// Merchants spell it as they like.
    fn key_name(&mut self) -> &'static str {
        let spellings = ["partner_key", "partner_key", "Partner_Key", "PARTNER_KEY"];
        spellings[self.random.index(spellings.len())]
    }

    fn customer_id(&mut self) -> String {
        format!("cus_{}{}", self.tag, self.random.letters(8))
    }

    /// A partner, and the program that a buyer of `currency` comes by.
    fn partner(&mut self, clue: Clue, currency: Currency) -> (Partner, Program) {
        // Where a clue cannot name a program, the partner has only one.
        let names_program = !matches!(clue, Clue::ClientReference | Clue::Code);
        loop {
            let partner = self.random.pick(self.partners).clone();
            let program = *self.random.pick(&partner.programs);
            if program.takes(currency) && (names_program || partner.programs.len() == 1) {
                return (partner, program);
            }
        }
    }

    fn another(&mut self, partner: &Partner) -> Partner {
        loop {
            let other = self.random.pick(self.partners).clone();
            if other.key != partner.key && other.programs.len() == 1 {
                return other;
            }
        }
    }

    /// `customer.created`
    pub(super) fn customer_created(&mut self, buyer: &Buyer, at: Time) {
        let Some(id) = buyer.customer.clone() else { return };
        let metadata = buyer.marks.customer.clone();
        let email = Some(buyer.email.clone());
        let customer = Customer { id, email, metadata, ..Customer::default() };
        self.happen(Kind::CustomerCreated, at, Object::Customer(customer));
    }

    /// A later event of the customer, which was created at `since`.
    pub(super) fn customer_event(&mut self, buyer: &Buyer, kind: Kind, since: Time, at: Time) {
        let Some(id) = buyer.customer.clone() else { return };
        let metadata = buyer.marks.customer.clone();
        let email = Some(buyer.email.clone());
        let customer = Customer { id, email, metadata, created: Some(since), ..Customer::default() };
        self.happen(kind, at, Object::Customer(customer));
    }
}
