//! Statements and notices to look at: every sort of line, several currencies, locales, and names that do not fit.

use chrono::{NaiveDate, TimeDelta};
use commission_bridge::domain::Time;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::currency::Currency;
use commission_bridge::domain::entry::{Component, EntryKind};
use commission_bridge::domain::netting::Period;
use commission_bridge::domain::statement::{
    Converted, Frozen, Held, Line, Making, PayoutPart, Previous, Refused, Statement, pseudonym,
};
use commission_bridge::statements::mail::{
    self, ActionNeeded, BlockedGroup, CurrencyTotal, MonthEnd, PayoutSent, Trouble,
};
use commission_bridge::statements::page::page;
use commission_bridge::statements::{MailContent, Merchant, Reader};

pub fn merchant() -> Merchant {
    Merchant {
        name: "Nordlicht Software".to_owned(),
        reply_to: Some("partners@nordlicht.example".to_owned()),
        is_test: false,
    }
}

pub fn reader(locale: &str) -> Reader {
    Reader { name: "Acme Media".to_owned(), locale: Some(locale.to_owned()), time_zone: chrono_tz::Europe::Berlin }
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

fn october() -> Month {
    "2026-10".parse().unwrap()
}

fn at(day: i64, hour: i64) -> Time {
    "2026-09-30T22:00:00Z".parse::<Time>().unwrap() + TimeDelta::days(day - 1) + TimeDelta::hours(hour)
}

fn line(number: usize, day: i64, kind: EntryKind, amount: i64) -> Line {
    Line {
        entry: format!("ent_{number:032}"),
        date: at(day, 9),
        booked_at: at(day, 9) + TimeDelta::seconds(2),
        hold_until: at(day + 30, 9),
        kind,
        component: Component::Direct,
        amount,
        program: Some("saas".to_owned()),
        payment: Some(format!("pay_{number:032}")),
        payment_kind: Some(["first", "recurring", "change", "one_off"][number % 4].to_owned()),
        product: Some(["Pro plan", "Team plan", "Extra seats", "Onboarding workshop"][number % 4].to_owned()),
        customer: Some(pseudonym("acme", &format!("cus_{number}"))),
        base: None,
        rate: None,
        payout: None,
        reason: None,
        note: None,
    }
}

/// A month with everything in it. `unit` is how much a sale is worth, in minor units.
fn lines(unit: i64) -> Vec<Line> {
    let mut lines = Vec::new();
    for number in 0..14 {
        let base = unit * i64::try_from(4 + number % 7).unwrap();
        let mut sale = line(number, i64::try_from(2 + 2 * number).unwrap(), EntryKind::Accrual, base / 5);
        sale.base = Some(base);
        sale.rate = Some(if number % 4 == 0 { "30 %" } else { "20 %" }.to_owned());
        lines.push(sale);
    }
    let mut refund = line(20, 17, EntryKind::Reversal, -unit * 4 / 5);
    refund.reason = Some("refund".to_owned());
    let mut second = line(21, 19, EntryKind::Accrual, unit / 8);
    second.component = Component::Level2;
    let plain = |number, day, kind, amount| Line {
        program: None,
        payment: None,
        payment_kind: None,
        product: None,
        customer: None,
        hold_until: at(day, 9),
        ..line(number, day, kind, amount)
    };
    let mut correction = plain(22, 21, EntryKind::Adjustment, -unit / 10);
    correction.note = Some("Goodwill for the double charge in September".to_owned());
    let mut bonus = plain(23, 23, EntryKind::Bonus, unit);
    bonus.component = Component::Bonus;
    bonus.note = Some("Autumn bonus: ten new customers".to_owned());
    let mut paid = plain(24, 5, EntryKind::Payout, -unit * 9);
    paid.payout = Some("po_00000000000000000000000000000007".to_owned());
    paid.reason = Some("2026-09".to_owned());
    lines.extend([refund, second, correction, bonus, paid]);
    lines
}

fn ready(amount: i64) -> PayoutPart {
    PayoutPart {
        payout: "po_00000000000000000000000000000009".to_owned(),
        status: "ready".to_owned(),
        amount,
        kept: 0,
        method: "stripe".to_owned(),
        destination: Some("acct_…6789".to_owned()),
        reference: "acme-2026-10".to_owned(),
        minimum: 0,
        reason: None,
        converted: None,
    }
}

struct Sample {
    currency: &'static str,
    partner_name: &'static str,
    lines: Vec<Line>,
    payouts: Vec<PayoutPart>,
    opening: Option<i64>,
    refused: usize,
}

impl Sample {
    fn frozen(self) -> Frozen {
        let previous = self.opening.map(|closing| Previous {
            sha256: "3f1c2e9a7b5d4c6e8f0a1b2c3d4e5f60718293a4b5c6d7e8f9012a3b4c5d6e7f".to_owned(),
            closing,
            on_hold: vec![Held { until: NaiveDate::from_ymd_opt(2026, 10, 20).unwrap(), amount: 0 }],
        });
        let refused = (0..self.refused).map(|number| Refused {
            payment: format!("pay_{:032}", 90 + number),
            date: at(8 + i64::try_from(number).unwrap(), 11),
            program: "saas".to_owned(),
            product: Some("Starter plan".to_owned()),
            paid: 1_900,
            code: "months_exhausted".to_owned(),
            sentence: "The months for which the rule pays were over.".to_owned(),
        });
        let zone = chrono_tz::Europe::Berlin;
        let refused: Vec<Refused> = refused.collect();
        let make = |payouts: Vec<PayoutPart>| {
            Statement::make(Making {
                statement: "st_00000000000000000000000000000042".to_owned(),
                workspace: "default",
                mode: "live",
                month: october(),
                time_zone: zone,
                period: Period::of(october(), zone),
                cut_off: at(34, 9),
                partner: "acme",
                partner_name: self.partner_name,
                currency: currency(self.currency),
                previous: previous.as_ref(),
                payouts,
                lines: self.lines.clone(),
                refused: refused.clone(),
            })
            .unwrap()
        };
        // Whatever is available is in the payout, or kept by it.
        let available = make(Vec::new()).pending;
        let mut payouts = self.payouts;
        for payout in &mut payouts {
            if payout.status == "ready" { payout.amount = available } else { payout.kept = available }
        }
        Frozen::new(make(payouts)).unwrap()
    }
}

fn sample(currency: &'static str, unit: i64) -> Sample {
    Sample {
        currency,
        partner_name: "Acme Media",
        lines: lines(unit),
        payouts: vec![ready(unit * 6)],
        opening: Some(unit * 9),
        refused: 2,
    }
}

pub fn statements() -> Vec<(&'static str, &'static str, Frozen)> {
    let blocked = |reason: &str, kept: i64, minimum: i64| PayoutPart {
        status: "blocked".to_owned(),
        amount: 0,
        kept,
        method: "none".to_owned(),
        destination: None,
        minimum,
        reason: Some(reason.to_owned()),
        ..ready(0)
    };
    let converted = Converted {
        amount: 554_321,
        currency: currency("eur"),
        rate: "0.9239".to_owned(),
        day: "2026-11-02".to_owned(),
        source: "European Central Bank".to_owned(),
    };
    let many: Vec<Line> = (0..130)
        .map(|number| {
            let mut sale = line(number, i64::try_from(1 + number % 30).unwrap(), EntryKind::Accrual, 4_900);
            sale.base = Some(24_500);
            sale.rate = Some("20 %".to_owned());
            sale
        })
        .collect();
    let mut long = sample("eur", 9_876_543_210);
    long.partner_name =
        "Gesellschaft für außerordentlich-langfristige-Partnerschaftsvermittlungsangelegenheiten mbH & Co. KG <b>x</b>";
    for line in &mut long.lines {
        line.product = Some("Unternehmenslizenzverwaltungsgesamtpaket/mit-Sonderkündigungsrecht_und_allem".to_owned());
    }
    let mut negative = sample("usd", 10_000);
    negative.lines.truncate(2);
    let mut refund = line(40, 20, EntryKind::Reversal, -45_000);
    refund.reason = Some("dispute".to_owned());
    refund.hold_until = at(20, 9);
    negative.lines.push(refund);
    negative.opening = None;
    negative.payouts = vec![blocked("negative_balance", -45_000, 0)];
    negative.refused = 0;
    let mut no_method = sample("usd", 10_000);
    no_method.payouts = vec![blocked("no_method", 60_000, 0)];
    let empty = Sample {
        currency: "usd",
        partner_name: "Acme Media",
        lines: Vec::new(),
        payouts: vec![blocked("below_minimum", 1_250, 5_000)],
        opening: Some(1_250),
        refused: 0,
    };
    let mut into_euros = sample("usd", 100_000);
    into_euros.payouts[0].converted = Some(converted);
    let many = Sample { lines: many, ..sample("usd", 100) };
    vec![
        ("usd", "en-US", sample("usd", 24_500).frozen()),
        ("euro-german", "de-DE", sample("eur", 24_500).frozen()),
        ("converted-french", "fr-FR", into_euros.frozen()),
        ("yen", "ja-JP", sample("jpy", 24_500).frozen()),
        ("dinar-arabic", "ar-EG", sample("kwd", 245_000).frozen()),
        ("long", "de-DE", long.frozen()),
        ("negative", "en-US", negative.frozen()),
        ("no-method", "en-GB", no_method.frozen()),
        ("empty", "en-US", empty.frozen()),
        ("many", "en-US", many.frozen()),
    ]
}

fn sent() -> PayoutSent {
    PayoutSent {
        month: october(),
        amount: 123_450,
        currency: currency("usd"),
        converted: None,
        method: "stripe".to_owned(),
        destination: Some("acct_1NcQAbCd6789".to_owned()),
        reference: "acme-2026-10".to_owned(),
        external_id: Some("tr_1NcQAbCdEfGh".to_owned()),
        sent_at: at(36, 10),
    }
}

fn needed() -> ActionNeeded {
    ActionNeeded {
        month: october(),
        amount: 123_450,
        currency: currency("usd"),
        trouble: Trouble::Blocked("account_not_ready".to_owned()),
        method: "stripe".to_owned(),
        destination: Some("acct_1NcQAbCd6789".to_owned()),
        link: Some("https://bridge.nordlicht.example/onboarding/8f3c9a1d7e".to_owned()),
    }
}

fn ended() -> MonthEnd {
    let group = |reason: &str, code: &str, payouts: usize, amount: i64, partners: &[&str]| BlockedGroup {
        reason: reason.to_owned(),
        currency: currency(code),
        payouts,
        amount,
        partners: partners.iter().map(|name| (*name).to_owned()).collect(),
    };
    let names =
        ["Birch & Co", "Cedar Labs", "Delta Reviews", "Elm Street", "Fjord", "Gale", "Harbor", "Iris", "Juniper"];
    MonthEnd {
        month: october(),
        status: "draft".to_owned(),
        closed_at: at(34, 9),
        statements: 214,
        totals: vec![
            CurrencyTotal { currency: currency("usd"), payouts: 143, amount: 18_432_010, blocked: 21, kept: 214_500 },
            CurrencyTotal { currency: currency("eur"), payouts: 48, amount: 3_910_044, blocked: 1, kept: 15_500 },
            CurrencyTotal { currency: currency("jpy"), payouts: 1, amount: 412_000, blocked: 0, kept: 0 },
        ],
        blocked: vec![
            group("below_minimum", "usd", 16, 31_200, &names),
            group("no_method", "usd", 4, 171_300, &names[..4]),
            group("account_not_ready", "usd", 1, 12_000, &["Kite"]),
            group("tax_form_missing", "eur", 1, 15_500, &["Lumen GmbH"]),
        ],
        to_do: Vec::new(),
    }
}

/// Every mail, by a name for files.
pub fn mails() -> Vec<(String, MailContent)> {
    let mut mails: Vec<(String, MailContent)> = statements()
        .into_iter()
        .map(|(name, locale, frozen)| {
            let mut reader = reader(locale);
            reader.name.clone_from(&frozen.statement.partner_name);
            (format!("statement-{name}"), mail::statement(&merchant(), &reader, &frozen).unwrap())
        })
        .collect();
    let test = Merchant { is_test: true, reply_to: None, ..merchant() };
    let into = Converted {
        amount: 114_056,
        currency: currency("eur"),
        rate: "0.9239".to_owned(),
        day: "2026-11-02".to_owned(),
        source: "European Central Bank".to_owned(),
    };
    let converted = PayoutSent { converted: Some(into), method: "sepa".to_owned(), ..sent() };
    let failed = ActionNeeded {
        trouble: Trouble::Failed(Some("AC04: the account is closed <script>".to_owned())),
        method: "sepa".to_owned(),
        destination: Some("DE02120300000000201234".to_owned()),
        link: Some("javascript:alert(1)".to_owned()),
        ..needed()
    };
    let returned = ActionNeeded { trouble: Trouble::Returned(None), ..needed() };
    let quiet =
        MonthEnd { totals: Vec::new(), blocked: Vec::new(), status: "paid".to_owned(), statements: 0, ..ended() };
    mails.extend([
        ("payout-sent".to_owned(), mail::payout_sent(&merchant(), &reader("en-US"), &sent()).unwrap()),
        ("payout-sent-converted".to_owned(), mail::payout_sent(&test, &reader("de-DE"), &converted).unwrap()),
        ("action-needed".to_owned(), mail::action_needed(&merchant(), &reader("en-US"), &needed()).unwrap()),
        ("payout-failed".to_owned(), mail::action_needed(&test, &reader("ar-EG"), &failed).unwrap()),
        ("payout-returned".to_owned(), mail::action_needed(&merchant(), &reader("fr-FR"), &returned).unwrap()),
        ("month-end".to_owned(), mail::month_end(&merchant(), &reader("en-US"), &ended()).unwrap()),
        ("month-end-quiet".to_owned(), mail::month_end(&test, &reader("de-DE"), &quiet).unwrap()),
    ]);
    mails
}

/// Every page, by a name for files.
pub fn pages() -> Vec<(String, String)> {
    let page = |(name, locale, frozen): (&str, &str, Frozen)| {
        (format!("page-{name}"), page(&merchant(), &reader(locale), &frozen).unwrap())
    };
    statements().into_iter().map(page).collect()
}
