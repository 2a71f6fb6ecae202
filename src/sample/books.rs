//! What the simulated merchant knows of its own sales, and what it therefore owes its partners.
//!
//! The books share nothing with the bridge's own deciding: they are what it is tested against. They are kept sale by
//! sale in straight code, from what the story of each customer knows.

use std::collections::BTreeMap;

use super::program::Program;
use crate::domain::Time;
use crate::domain::currency::Currency;

/// An exact number: one integer over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    over: i128,
    under: i128,
}

impl Fraction {
    /// `over` ÷ `under`, which must not be 0.
    pub fn new(over: i128, under: i128) -> Self {
        let sign = if under < 0 { -1 } else { 1 };
        let divisor = greatest_common_divisor(over.abs(), under.abs()).max(1) * sign;
        Self { over: over / divisor, under: under / divisor }
    }

    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self { over: i128::from(number), under: 1 }
    }

    /// `hundredths` of a percent: 1250 is 12.5 %.
    pub fn percent(hundredths: i64) -> Self {
        Self::new(i128::from(hundredths), 10_000)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::new(self.over * other.under + other.over * self.under, self.under * other.under)
    }

    /// The difference.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { over: -other.over, under: other.under })
    }

    /// The product.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        Self::new(self.over * other.over, self.under * other.under)
    }

    /// The smaller one.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        if self.over * other.under <= other.over * self.under { self } else { other }
    }

    /// 0 if it is negative.
    #[must_use]
    pub fn floored(self) -> Self {
        if self.over < 0 { Self::whole(0) } else { self }
    }

    /// The nearest whole number, of two equally near ones the even one.
    pub fn rounded(self) -> i64 {
        let floor = self.over.div_euclid(self.under);
        let twice_the_rest = 2 * self.over.rem_euclid(self.under);
        let up = twice_the_rest > self.under || (twice_the_rest == self.under && floor % 2 != 0);
        i64::try_from(floor + i128::from(up)).expect("a commission fits its payment")
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// What a sale was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleKind {
    /// The first money of a customer's first subscription.
    First,
    /// A renewal, and everything of a further subscription.
    Recurring,
    /// An upgrade or downgrade in the middle of a period.
    Change,
    /// Not of a subscription.
    OneOff,
}

/// Who earns from a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earner {
    /// The partner's key.
    pub partner: String,
    /// The program whose terms count.
    pub program: Program,
}

/// A part of a sale that one rate may price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The `product_key`.
    pub product_key: &'static str,
    /// What was really paid for it, without tax.
    pub net: Fraction,
    /// What was really paid for it.
    pub gross: Fraction,
}

/// Money taken back from a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How much.
    pub amount: i64,
    /// From when on it counts.
    pub from: Time,
    /// When it was given back after all: a refund that failed, a dispute that was won, a credit note that was voided.
    pub until: Option<Time>,
    /// What it is called when it took everything: `refunded`, `disputed`.
    pub code: &'static str,
}

/// One sale as the merchant knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Every Stripe id it goes by.
    pub refs: Vec<String>,
    /// When it was paid.
    pub paid_at: Time,
    /// When the event says so.
    pub seen_at: Time,
    /// From when on it is known whose sale it is.
    pub known_at: Time,
    /// The currency.
    pub currency: Currency,
    /// The money received.
    pub paid: i64,
    /// What it was.
    pub kind: SaleKind,
    /// The start of the period it pays for.
    pub period_start: Time,
    /// What it consists of.
    pub parts: Vec<Part>,
    /// Who earns, or why nobody does; no reason where several could be named.
    pub earner: Result<Earner, Option<&'static str>>,
    /// What was taken back.
    pub taken: Vec<Taken>,
    /// When its invoice was voided.
    pub voided_at: Option<Time>,
}

impl Sale {
    /// How much of it is taken back at `now`.
    pub fn taken_back(&self, now: Time) -> i64 {
        let counts = |taken: &&Taken| taken.from <= now && taken.until.is_none_or(|until| now < until);
        self.taken.iter().filter(counts).map(|taken| taken.amount).sum::<i64>().clamp(0, self.paid)
    }
}

/// What a sale earns before anything is taken back, or why it earns nothing.
pub type Price = Result<Fraction, Option<&'static str>>;

/// One payment, as the bridge must see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Every Stripe id it goes by.
    pub refs: Vec<String>,
    /// The partner credited.
    pub partner: Option<String>,
    /// The key of the program it was credited under.
    pub program: Option<&'static str>,
    /// The decision's code; none where the design leaves the choice between several.
    pub code: Option<&'static str>,
    /// What is owed for it, in minor units.
    pub amount: i64,
    /// What was received, refunds not subtracted.
    pub paid: i64,
    /// The currency of both.
    pub currency: Currency,
}

/// All sales of a business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    sales: Vec<(Sale, Price)>,
}

impl Books {
    /// Enters all sales of one customer (or of several that a customer key joins): they share one history.
    pub fn enter(&mut self, mut sales: Vec<Sale>) {
        sales.sort_by_key(|sale| sale.paid_at);
        let prices = super::program::prices(&sales);
        self.sales.extend(sales.into_iter().zip(prices));
    }

    /// Every sale of the business, with what it earns before anything is taken back.
    pub fn sales(&self) -> &[(Sale, Price)] {
        &self.sales
    }

    /// Every payment of which an event has told until `now`.
    pub fn payments(&self, now: Time) -> Vec<Payment> {
        self.sales
            .iter()
            .filter(|(sale, _)| sale.seen_at <= now)
            .map(|(sale, price)| payment(sale, price, now))
            .collect()
    }

    /// What each partner is owed in each currency at `now`, when every event until then has been seen. Partners whose
    /// sales were all taken back are there with 0.
    pub fn owed(&self, now: Time) -> BTreeMap<(String, Currency), i64> {
        let mut owed = BTreeMap::new();
        for payment in self.payments(now) {
            if let Some(partner) = payment.partner {
                *owed.entry((partner, payment.currency)).or_default() += payment.amount;
            }
        }
        owed
    }

    /// The money received until `now` per currency, refunds not subtracted.
    pub fn received(&self, now: Time) -> BTreeMap<Currency, i64> {
        let mut received = BTreeMap::new();
        for payment in self.payments(now) {
            *received.entry(payment.currency).or_default() += payment.paid;
        }
        received
    }

    /// A moment after which nothing changes any more.
    pub fn settled_at(&self) -> Option<Time> {
        let moments = self.sales.iter().flat_map(|(sale, _)| {
            let taken = sale.taken.iter().flat_map(|taken| [Some(taken.from), taken.until]).flatten();
            [sale.seen_at, sale.known_at].into_iter().chain(sale.voided_at).chain(taken)
        });
        moments.max().map(|last| last + chrono::Duration::days(1))
    }
}

fn payment(sale: &Sale, price: &Price, now: Time) -> Payment {
    let mut payment = Payment {
        refs: sale.refs.clone(),
        partner: None,
        program: None,
        code: None,
        amount: 0,
        paid: sale.paid,
        currency: sale.currency,
    };
    if now < sale.known_at {
        payment.code = Some("no_evidence").filter(|_| sale.paid > 0);
        return payment;
    }
    let voided = sale.voided_at.is_some_and(|voided| voided <= now);
    match price {
        // Two reasons, either may be named.
        Err(_) if voided => {}
        Err(code) => payment.code = *code,
        Ok(exact) => {
            let earner = sale.earner.as_ref().expect("only a sale with an earner has a price");
            payment.partner = Some(earner.partner.clone());
            payment.program = Some(earner.program.key());
            let left = sale.paid - sale.taken_back(now);
            if voided {
                payment.code = Some("voided");
            } else {
                payment.amount = exact.times(Fraction::new(i128::from(left), i128::from(sale.paid))).rounded();
                let emptied = sale.taken.last().map_or("refunded", |taken| taken.code);
                payment.code = Some(if left > 0 { "credited" } else { emptied });
                // What a used-up cap leaves at nothing may be called credited or not.
                if *exact == Fraction::whole(0) {
                    payment.code = None;
                }
            }
        }
    }
    payment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_exact() {
        let third = Fraction::new(1, 3);
        assert_eq!(third.plus(third).plus(third), Fraction::whole(1));
        assert_eq!(Fraction::new(-2, -4), Fraction::new(1, 2));
        assert_eq!(Fraction::percent(1250).times(Fraction::whole(80)), Fraction::whole(10));
        assert_eq!(third.least(Fraction::new(1, 4)), Fraction::new(1, 4));
        assert_eq!(Fraction::whole(-3).floored(), Fraction::whole(0));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (over, under, rounded) in [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (26, 10, 3), (24, 10, 2)] {
            assert_eq!(Fraction::new(over, under).rounded(), rounded, "{over}/{under}");
        }
    }
}
