//! The golden cases of `tests/golden/`: what happened, what was entered, and what must come out, computed by hand.
//!
//! Every runner shares this loader. A case's events are those of [`commission_bridge::sample`]; at a check, only what
//! happened and what was entered up to its `now` is known. A check lists every payment that exists. In a payment,
//! `code` and `partner` are compared where they are given; `partner = ""` is nobody.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read fails its test")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use commission_bridge::domain::Time;
use commission_bridge::domain::currency::Currency;
use commission_bridge::domain::decision::{Click, Code, Decision};
use commission_bridge::domain::lead::{Lead, LeadBy, LeadTo};
use commission_bridge::domain::terms::{Change, Entered, PartnerKey, Terms};
use commission_bridge::program;
use commission_bridge::sample::{Event, Shape};
use serde::Deserialize;

/// One file of `tests/golden/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// The case in one sentence.
    pub title: String,
    /// The rule that it shows.
    pub rule: String,
    /// The arithmetic.
    pub why: String,
    /// The shapes that can show it; all by default.
    #[serde(default = "all_shapes")]
    shapes: Vec<ShapeName>,
    /// When the program file was entered.
    #[serde(default = "long_ago")]
    entered: Time,
    program: String,
    #[serde(default)]
    later: Vec<Later>,
    #[serde(default)]
    change: Vec<toml::Table>,
    #[serde(default)]
    click: Vec<GoldenClick>,
    #[serde(default)]
    lead: Vec<GoldenLead>,
    event: Vec<Event>,
    /// Bodies of which nothing comes.
    #[serde(default)]
    raw: Vec<Raw>,
    /// What must come out, moment by moment.
    #[serde(rename = "check")]
    pub checks: Vec<Check>,
}

/// A body that Stripe might send and that moves nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// When it comes.
    pub at: Time,
    /// Why nothing comes of it: `account_mismatch`, `unknown_type`, `thin_event` or `unreadable`.
    pub outcome: String,
    /// The whole event.
    pub body: String,
}

/// What must have come out at a moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The moment.
    pub now: Time,
    /// Every payment that exists.
    #[serde(default, rename = "payment")]
    pub payments: Vec<Expected>,
    /// What partners are owed in all.
    #[serde(default, rename = "balance")]
    pub balances: Vec<Balance>,
}

/// The answer for one payment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The payment's main reference.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Any where not given.
    pub code: Option<Code>,
    /// Any where not given; nobody where empty.
    pub partner: Option<PartnerKey>,
    /// Owed now, minor units.
    pub amount: i64,
    /// Of the payment.
    pub currency: Currency,
    /// What others are owed for it now, minor units by partner; nothing to those that are not named.
    #[serde(default)]
    pub shares: BTreeMap<PartnerKey, i64>,
}

/// What a partner is owed in all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Who.
    pub partner: PartnerKey,
    /// In which currency.
    pub currency: Currency,
    /// Minor units.
    pub amount: i64,
}

/// The answer that a runner got for one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// The payment's main reference.
    pub reference: String,
    /// The answer.
    pub code: Code,
    /// Who; nobody where empty.
    pub partner: PartnerKey,
    /// Owed now, minor units.
    pub amount: i64,
    /// Of the payment.
    pub currency: Currency,
    /// What others are owed for it now, minor units by partner; never zero.
    pub shares: BTreeMap<PartnerKey, i64>,
}

/// Something that people entered.
#[derive(Debug, Clone)]
pub enum Input {
    /// A program file.
    File(String),
    /// Anything else.
    Change(Box<Change>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShapeName {
    Legacy,
    Hybrid,
    New,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Later {
    entered: Time,
    program: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenClick {
    id: String,
    partner: PartnerKey,
    program: Option<String>,
    clicked_at: Time,
    entered_at: Time,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenLead {
    by: LeadBy,
    value: String,
    partner: Option<PartnerKey>,
    program: Option<String>,
    click: Option<String>,
    from: Option<Time>,
    entered_at: Time,
}

fn all_shapes() -> Vec<ShapeName> {
    vec![ShapeName::Legacy, ShapeName::Hybrid, ShapeName::New]
}

fn long_ago() -> Time {
    "2020-01-01T00:00:00Z".parse().unwrap()
}

/// Every case, in order of its number.
pub fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &Path| {
        let mut case: Case = toml::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path.file_stem().unwrap().to_str().unwrap().clone_into(&mut case.name);
        case
    };
    paths.iter().map(|path| read(path)).collect()
}

impl Case {
    /// The shapes in which the case can be seen.
    pub fn shapes(&self) -> Vec<Shape> {
        let shape = |name: &ShapeName| match name {
            ShapeName::Legacy => Shape::Legacy,
            ShapeName::Hybrid => Shape::Hybrid,
            ShapeName::New => Shape::New,
        };
        self.shapes.iter().map(shape).collect()
    }

    /// What had happened by `now`, in order.
    pub fn events(&self, now: Time) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.event.iter().filter(|event| event.at <= now).collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// What had come by `now` that moves nothing.
    pub fn raw(&self, now: Time) -> impl Iterator<Item = &Raw> {
        self.raw.iter().filter(move |raw| raw.at <= now)
    }

    /// What had been entered by `now`, in order.
    pub fn inputs(&self, now: Time) -> Vec<(Time, Input)> {
        let mut inputs = vec![(self.entered, Input::File(self.program.clone()))];
        inputs.extend(self.later.iter().map(|later| (later.entered, Input::File(later.program.clone()))));
        inputs.extend(self.change.iter().map(|change| self.change(change)));
        inputs.retain(|(entered, _)| *entered <= now);
        inputs.sort_by_key(|(entered, _)| *entered);
        inputs
    }

    fn change(&self, table: &toml::Table) -> (Time, Input) {
        let mut table = table.clone();
        let entered = table.remove("entered").unwrap_or_else(|| panic!("{}: a change needs `entered`", self.name));
        let entered: Time = entered.try_into().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let change = toml::Value::Table(table).try_into().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        (entered, Input::Change(Box::new(change)))
    }

    /// The terms as they were known at `now`.
    pub fn terms(&self, now: Time) -> Terms {
        let mut terms = Terms::default();
        for (at, input) in self.inputs(now) {
            let changes = match input {
                Input::Change(change) => vec![*change],
                Input::File(text) => {
                    let file = program::parse(&text, &self.name).unwrap_or_else(|error| panic!("{error}"));
                    let plan = program::plan(&file, &terms, at, None, program::RepriceClosed::No);
                    let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", self.name));
                    plan.changes.into_iter().map(|(_, change)| change).collect()
                }
            };
            for change in changes {
                let seq = terms.seq + 1;
                terms.enter(Entered { seq, at, author: "golden".to_owned(), change });
            }
        }
        terms
    }

    /// The clicks that were known at `now`.
    pub fn clicks(&self, now: Time) -> HashMap<String, Click> {
        let click = |click: &GoldenClick| Click {
            partner: click.partner.clone(),
            program: click.program.clone(),
            link: None,
            clicked_at: click.clicked_at,
            entered_at: click.entered_at,
        };
        let known = self.click.iter().filter(|click| click.entered_at <= now);
        known.map(|golden| (golden.id.clone(), click(golden))).collect()
    }

    /// The leads that were known at `now`, in order of entry, with what they are known by as it was entered.
    pub fn leads(&self, now: Time) -> Vec<(LeadBy, String, Lead)> {
        let lead = |golden: &GoldenLead| {
            let to = match (&golden.click, &golden.partner) {
                (Some(click), None) => LeadTo::Click(click.clone()),
                (None, Some(partner)) => LeadTo::Partner { partner: partner.clone(), program: golden.program.clone() },
                _ => panic!("{}: a lead names a partner or a click", self.name),
            };
            let lead = Lead { to, from: golden.from, entered_at: golden.entered_at };
            (golden.by, golden.value.clone(), lead)
        };
        let mut leads: Vec<_> = self.lead.iter().filter(|lead| lead.entered_at <= now).map(lead).collect();
        leads.sort_by_key(|(_, _, lead)| lead.entered_at);
        leads
    }
}

impl From<&Decision> for Got {
    fn from(decision: &Decision) -> Self {
        Self {
            reference: decision.reference.clone(),
            code: decision.code,
            partner: decision.partner.clone().unwrap_or_default(),
            amount: decision.amount,
            currency: decision.currency,
            shares: decision
                .shares
                .iter()
                .filter(|share| share.amount != 0)
                .map(|share| (share.partner.clone(), share.amount))
                .collect(),
        }
    }
}

impl Check {
    /// What differs, a line each.
    pub fn differences(&self, got: &[Got]) -> Vec<String> {
        let mut lines = Vec::new();
        for expected in &self.payments {
            match got.iter().filter(|got| got.reference == expected.reference).collect::<Vec<_>>().as_slice() {
                [] => lines.push(format!("{}: expected {}, got no such payment", expected.reference, expected.words())),
                [got] if expected.is(got) => {}
                [got] => {
                    lines.push(format!("{}: expected {}, got {}", expected.reference, expected.words(), got.words()));
                }
                several => lines.push(format!("{}: got it {} times", expected.reference, several.len())),
            }
        }
        for got in got {
            if !self.payments.iter().any(|expected| expected.reference == got.reference) {
                lines.push(format!("{}: expected no such payment, got {}", got.reference, got.words()));
            }
        }
        let mut owed: BTreeMap<(&str, Currency), i64> = BTreeMap::new();
        for got in got {
            *owed.entry((&got.partner, got.currency)).or_default() += got.amount;
            for (partner, amount) in &got.shares {
                *owed.entry((partner, got.currency)).or_default() += amount;
            }
        }
        for Balance { partner, currency, amount } in &self.balances {
            let got = owed.get(&(partner.as_str(), *currency)).copied().unwrap_or_default();
            if got != *amount {
                lines.push(format!("balance of {partner}: expected {amount} {currency}, got {got} {currency}"));
            }
        }
        lines
    }
}

impl Expected {
    fn is(&self, got: &Got) -> bool {
        self.code.is_none_or(|code| code == got.code)
            && self.partner.as_ref().is_none_or(|partner| *partner == got.partner)
            && (self.amount, self.currency) == (got.amount, got.currency)
            && self.shares == got.shares
    }

    fn words(&self) -> String {
        let code = self.code.map_or("any code", Code::as_str);
        words(code, self.partner.as_deref().unwrap_or("anybody"), self.amount, self.currency, &self.shares)
    }
}

impl Got {
    fn words(&self) -> String {
        words(self.code.as_str(), &self.partner, self.amount, self.currency, &self.shares)
    }
}

fn words(code: &str, partner: &str, amount: i64, currency: Currency, shares: &BTreeMap<PartnerKey, i64>) -> String {
    let partner = if partner.is_empty() { "nobody" } else { partner };
    let mut words = vec![code.to_owned(), partner.to_owned(), format!("{amount} {currency}")];
    words.extend(shares.iter().map(|(partner, amount)| format!("{amount} for {partner}")));
    words.join(", ")
}
