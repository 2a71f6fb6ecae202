//! The simulated merchant's partners and programs, twice: as a program file for the bridge, and as the plain
//! arithmetic that the merchant's own books go by.

use std::fmt::Write as _;

use chrono::Months;

use super::books::{Fraction, Price, Sale, SaleKind};
use crate::domain::Time;
use crate::domain::currency::Currency;

/// The programs; [`program_toml`] says their terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Net. 30 % once, then 20 % (pro) or 10 % of renewals and 15 % of changes within 12 months; 5 % of one-off sales,
    /// nothing of gift cards.
    Saas,
    /// Gross. 50 % once, then 20 % within 6 months, then 5 % of everything for ever.
    Tail,
    /// Net. A flat amount for the first payment, 25 % of three renewals, a flat amount for one one-off sale.
    Counted,
    /// Net. 40 % of everything, at most 30.00 a payment and 100.00 a customer; usd and eur only.
    Capped,
}

impl Program {
    /// Every program.
    pub const ALL: [Self; 4] = [Self::Saas, Self::Tail, Self::Counted, Self::Capped];

    /// Its key in the program file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Saas => "saas",
            Self::Tail => "tail",
            Self::Counted => "counted",
            Self::Capped => "capped",
        }
    }

    /// Whether the books price sales of this program in `currency` without doubt.
    pub fn takes(self, currency: Currency) -> bool {
        self != Self::Capped || matches!(currency.as_str(), "usd" | "eur")
    }
}

/// A partner of the simulated merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// The `partner_key`.
    pub key: String,
    /// The address, which is also the partner's own when buying.
    pub email: String,
    /// The programs; of a partner with two, every clue names one.
    pub programs: Vec<Program>,
    /// The promotion code.
    pub code: String,
}

const NAMES: [&str; 10] = ["acme", "bolt", "crane", "delta", "ember", "fjord", "grove", "haven", "iris", "juno"];

/// The first `count` partners, the same for every seed. There are at least five, so that every program has one.
pub fn partners(count: usize) -> Vec<Partner> {
    let partner = |place: usize| {
        let name = NAMES[place % NAMES.len()];
        let key = if place < NAMES.len() { name.to_owned() } else { format!("{name}-{}", place / NAMES.len()) };
        let programs = match place % 5 {
            0 => vec![Program::Saas],
            1 => vec![Program::Tail],
            2 => vec![Program::Counted],
            3 => vec![Program::Capped],
            _ => vec![Program::Saas, Program::Tail],
        };
        let email = format!("{key}@partners.example.com");
        let code = format!("{}20", key.replace('-', "").to_uppercase());
        Partner { key, email, programs, code }
    };
    (0..count.max(5)).map(partner).collect()
}

const PROGRAMS: &str = r#"[workspace]
time_zone = "Europe/Berlin"
minimum_payout = { usd = "50.00", eur = "50.00" }

[[program]]
key = "saas"
name = "SaaS partners"
hold_days = 30
reversal_delay = "1h"
attribution = "last"
attribution_window_days = 60
base = "net"
  [[program.rule]]
  on = "first"
  percent = "30"
  duration = "one_time"
  [[program.rule]]
  on = "recurring"
  product_key = ["pro"]
  percent = "20"
  duration = "12 months"
  [[program.rule]]
  on = "recurring"
  percent = "10"
  duration = "12 months"
  [[program.rule]]
  on = "change"
  percent = "15"
  duration = "12 months"
  [[program.rule]]
  on = "one_off"
  product_key = ["gift"]
  percent = "0"
  duration = "lifetime"
  [[program.rule]]
  on = "one_off"
  percent = "5"
  duration = "lifetime"

[[program]]
key = "tail"
name = "Partners for ever"
hold_days = 30
reversal_delay = "1h"
attribution = "last"
attribution_window_days = 60
base = "gross"
  [[program.rule]]
  on = "first"
  percent = "50"
  duration = "one_time"
  [[program.rule]]
  on = "recurring"
  percent = "20"
  duration = "6 months"
  [[program.rule]]
  on = "any"
  percent = "5"
  duration = "lifetime"

[[program]]
key = "counted"
name = "Bounties"
hold_days = 14
reversal_delay = "1h"
attribution = "last"
attribution_window_days = 60
base = "net"
  [[program.rule]]
  on = "first"
  flat = { usd = "25.00", eur = "23.00", jpy = "3000", kwd = "7.500", isk = "3000.00" }
  duration = "one_time"
  [[program.rule]]
  on = "recurring"
  percent = "25"
  duration = "3 payments"
  [[program.rule]]
  on = "one_off"
  flat = { usd = "7.77", eur = "7.00", jpy = "900", kwd = "2.250", isk = "900.00" }
  duration = "one_time"

[[program]]
key = "capped"
name = "Capped partners"
hold_days = 30
reversal_delay = "1h"
attribution = "last"
attribution_window_days = 60
base = "net"
  [[program.rule]]
  on = "any"
  percent = "40"
  duration = "lifetime"
  cap_per_payment = { usd = "30.00", eur = "30.00" }
  cap_per_customer = { usd = "100.00", eur = "100.00" }
"#;

/// The program file of a merchant with these partners.
pub fn program_toml(partners: &[Partner]) -> String {
    let mut file = PROGRAMS.to_owned();
    for (place, partner) in partners.iter().enumerate() {
        let programs: Vec<String> = partner.programs.iter().map(|program| format!("{:?}", program.key())).collect();
        let _ = write!(
            file,
            "\n[[partner]]\nkey = {:?}\nname = {:?}\nemail = {:?}\nprograms = [{}]\ncodes = [{:?}]\n",
            partner.key,
            partner.key.to_uppercase(),
            partner.email,
            programs.join(", "),
            partner.code,
        );
        if place % 2 == 0 {
            let _ = writeln!(file, "payout = {{ method = \"stripe\", account = \"acct_sample{place:03}\" }}");
        }
    }
    file
}

/// What the customer's sales so far mean for the next one.
#[derive(Debug, Default)]
struct Past {
    /// Where the months of the subscription stream start.
    months_from: Option<Time>,
    /// How many renewals were paid for one by one.
    renewals: u32,
    /// How much the customer cap has given away.
    capped: Option<Fraction>,
}

/// What each of one customer's sales, in the order they were paid, earns before anything is taken back.
///
/// The stories take care that no sale which later ones build upon is taken back in full. The one exception is a
/// one-off sale refunded before the next one was made.
pub(super) fn prices(sales: &[Sale]) -> Vec<Price> {
    let mut past = Past::default();
    let mut prices: Vec<Price> = Vec::new();
    for (place, sale) in sales.iter().enumerate() {
        let before = &sales[..place];
        let earned_before = before.iter().zip(&prices).any(|(earlier, price)| {
            earlier.kind == SaleKind::OneOff && price.is_ok() && earlier.taken_back(sale.paid_at) < earlier.paid
        });
        let price = price(sale, &past, sale.kind == SaleKind::OneOff && earned_before);
        if let (Ok(exact), Ok(earner)) = (&price, &sale.earner) {
            if sale.kind != SaleKind::OneOff {
                past.months_from.get_or_insert(sale.period_start);
            }
            past.renewals += u32::from(sale.kind == SaleKind::Recurring);
            if earner.program == Program::Capped {
                past.capped = Some(past.capped.unwrap_or(Fraction::whole(0)).plus(*exact));
            }
        }
        prices.push(price);
    }
    prices
}

fn price(sale: &Sale, past: &Past, one_off_used: bool) -> Price {
    // Of a payment of nothing that nobody earns from, either reason may be named.
    let earner = sale.earner.as_ref().map_err(|reason| reason.filter(|_| sale.paid > 0))?;
    if sale.paid == 0 {
        return Err(Some("zero_amount"));
    }
    let net = total(sale, |part| part.net);
    let gross = total(sale, |part| part.gross);
    let within = |months| {
        let start = past.months_from.unwrap_or(sale.period_start);
        start.checked_add_months(Months::new(months)).is_some_and(|end| sale.period_start < end)
    };
    match (earner.program, sale.kind) {
        (Program::Saas, SaleKind::First) => Ok(net.times(Fraction::percent(3000))),
        (Program::Saas, SaleKind::Recurring | SaleKind::Change) if !within(12) => Err(Some("months_exhausted")),
        (Program::Saas, SaleKind::Recurring) => Ok(sale.parts.iter().fold(Fraction::whole(0), |sum, part| {
            let rate = if part.product_key == "pro" { 2000 } else { 1000 };
            sum.plus(part.net.times(Fraction::percent(rate)))
        })),
        (Program::Saas, SaleKind::Change) => Ok(net.times(Fraction::percent(1500))),
        (Program::Saas, SaleKind::OneOff) if sale.parts[0].product_key == "gift" => Err(Some("product_excluded")),
        (Program::Saas, SaleKind::OneOff) => Ok(net.times(Fraction::percent(500))),

        (Program::Tail, SaleKind::First) => Ok(gross.times(Fraction::percent(5000))),
        (Program::Tail, SaleKind::Recurring) if within(6) => Ok(gross.times(Fraction::percent(2000))),
        (Program::Tail, _) => Ok(gross.times(Fraction::percent(500))),

        (Program::Counted, SaleKind::First) => flat(sale.currency, [2500, 2300, 3000, 7500, 300_000]),
        (Program::Counted, SaleKind::Recurring) if past.renewals < 3 => Ok(net.times(Fraction::percent(2500))),
        (Program::Counted, SaleKind::Recurring) => Err(Some("payments_exhausted")),
        (Program::Counted, SaleKind::OneOff) if one_off_used => Err(Some("one_time_already_earned")),
        (Program::Counted, SaleKind::OneOff) => flat(sale.currency, [777, 700, 900, 2250, 90_000]),
        (Program::Counted, SaleKind::Change) => Err(Some("no_rule_matches")),

        (Program::Capped, _) => {
            let left = Fraction::whole(10_000).minus(past.capped.unwrap_or(Fraction::whole(0)));
            Ok(net.times(Fraction::percent(4000)).least(Fraction::whole(3000)).least(left))
        }
    }
}

fn total(sale: &Sale, base: impl Fn(&super::books::Part) -> Fraction) -> Fraction {
    sale.parts.iter().fold(Fraction::whole(0), |sum, part| sum.plus(base(part))).floored()
}

/// A flat amount in usd, eur, jpy, kwd, isk.
fn flat(currency: Currency, amounts: [i64; 5]) -> Price {
    let place = ["usd", "eur", "jpy", "kwd", "isk"].iter().position(|code| *code == currency.as_str());
    place.map(|place| Fraction::whole(amounts[place])).ok_or(Some("currency_not_priced"))
}
