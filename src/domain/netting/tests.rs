//! Hand-computed months, and what holds for any sequence of them.

use std::collections::HashSet;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::domain::terms::PayoutMethod;

fn day(day: i64) -> Time {
    let start: Time = "2026-01-01T00:00:00Z".parse().unwrap();
    start + TimeDelta::days(day)
}

fn entry(id: &str, kind: EntryKind, amount: i64, available: i64, booked: i64) -> PayableEntry {
    let (available_at, booked_at) = (day(available), day(booked));
    PayableEntry { entry_id: id.to_owned(), kind, amount, available_at, booked_at, left: false }
}

fn left(id: &str, kind: EntryKind, amount: i64, available: i64, booked: i64) -> PayableEntry {
    PayableEntry { left: true, ..entry(id, kind, amount, available, booked) }
}

fn payable(minimum: i64, currency: Currency) -> Profile {
    Profile {
        payout: Some(PayoutMethod { method: Method::Csv, account: None, currency: None }),
        minimum_payout: [(currency, minimum)].into(),
        ..Profile::default()
    }
}

/// Nets days 30 to 60, closed on day 61.
fn february(entries: &[PayableEntry], profile: &Profile, code: &str, opening: i64) -> Netted {
    net(&ToNet {
        entries,
        currency: code.parse().unwrap(),
        profile,
        settings: &Settings::default(),
        period: Period { start: day(30), end: day(60) },
        cut_off: day(61),
        opening,
        account: Readiness::Unknown,
        rates: &Rates::default(),
        day: closed(),
    })
    .unwrap()
}

fn closed() -> NaiveDate {
    "2026-03-03".parse().unwrap()
}

/// A euro is 1.25 dollars, 400 forints, 0.4 dinars, 160 yen.
fn rates() -> Rates {
    let mut rates = Rates::default();
    for (code, rate) in [("usd", "1.25"), ("huf", "400"), ("kwd", "0.4"), ("jpy", "160")] {
        rates.add(closed(), code.parse().unwrap(), rate.parse().unwrap(), "ecb");
    }
    rates
}

fn usd() -> Currency {
    "usd".parse().unwrap()
}

#[test]
fn a_month_adds_up() {
    use EntryKind::{Accrual, Adjustment, Bonus, Payout, PayoutReturn, Reversal};
    let entries = [
        left("rolled", Accrual, 4000, 20, 10),
        entry("new", Accrual, 3000, 40, 10),
        entry("late", Accrual, 500, 29, 32),
        entry("just after the close", Accrual, 10, 29, 31),
        entry("back", Reversal, -1000, 45, 45),
        entry("again", Reversal, 250, 46, 46),
        entry("by hand", Adjustment, -100, 45, 45),
        entry("volume", Bonus, 700, 45, 45),
        entry("returned", PayoutReturn, 2000, 45, 45),
        entry("payout", Payout, -2000, 31, 31),
        entry("on hold still", Accrual, 9000, 60, 40),
        entry("after the cut-off", Accrual, 9000, 40, 61),
    ];
    let netted = february(&entries, &payable(5000, usd()), "usd", 4000);
    assert_eq!(
        netted,
        Netted {
            opening: 4000,
            earned: 3510,
            reversed: 750,
            adjustments: 2600,
            amount: 9360,
            carry: 0,
            closing: 0,
            minimum: 5000,
            paid_amount: 9360,
            paid_currency: usd(),
            rate: None,
            outcome: Outcome::Pay,
            entry_ids: [
                "rolled",
                "new",
                "late",
                "just after the close",
                "back",
                "again",
                "by hand",
                "volume",
                "returned"
            ]
            .map(str::to_owned)
            .to_vec(),
            commission_count: 4,
        }
    );
}

#[test]
fn what_is_not_paid_says_why() {
    let earned = |amount: i64| [entry("a", EntryKind::Accrual, amount, 40, 40)];
    let payable = payable(5000, usd());
    let on_hold = Profile { on_hold: true, ..payable.clone() };
    let nowhere = Profile { payout: None, ..payable.clone() };
    let no_account = Profile {
        payout: Some(PayoutMethod { method: Method::Stripe, account: None, currency: None }),
        ..payable.clone()
    };
    for (amount, profile, reason) in [
        (4999, &payable, Reason::BelowMinimum),
        (-1, &payable, Reason::NegativeBalance),
        (0, &payable, Reason::NothingDue),
        (9000, &on_hold, Reason::OnHold),
        (9000, &nowhere, Reason::NoMethod),
        (9000, &no_account, Reason::NoMethod),
    ] {
        let netted = february(&earned(amount), profile, "usd", 0);
        assert_eq!(netted.outcome, Outcome::RollOver(reason), "{amount}");
        assert_eq!((netted.amount, netted.carry, netted.closing), (0, 0, amount));
        assert!(!reason.sentence().is_empty());
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
    }
    assert_eq!(february(&earned(5000), &payable, "usd", 0).outcome, Outcome::Pay);
}

#[test]
fn what_a_currency_cannot_pay_is_carried() {
    let profile = payable(0, usd());
    for (code, total, amount, carry) in
        [("huf", 123_456, 123_400, 56), ("kwd", 1_239, 1_230, 9), ("jpy", 777, 777, 0), ("isk", 200, 200, 0)]
    {
        let netted = february(&[entry("a", EntryKind::Accrual, total, 40, 40)], &profile, code, 0);
        assert_eq!((netted.amount, netted.carry, netted.closing), (amount, carry, 0), "{code}");
    }
    let too_little = february(&[entry("a", EntryKind::Accrual, 99, 40, 40)], &profile, "huf", 0);
    assert_eq!(too_little.outcome, Outcome::RollOver(Reason::BelowMinimum));
}

/// Nets 100.01 of a currency for a partner who wants another.
fn converted(code: &str, total: i64, wanted: &str, method: Method) -> Netted {
    let payout = PayoutMethod { method, account: Some("x".to_owned()), currency: Some(wanted.parse().unwrap()) };
    net(&ToNet {
        entries: &[entry("a", EntryKind::Accrual, total, 40, 40)],
        currency: code.parse().unwrap(),
        profile: &Profile { payout: Some(payout), ..Profile::default() },
        settings: &Settings::default(),
        period: Period { start: day(30), end: day(60) },
        cut_off: day(61),
        opening: 0,
        account: Readiness::Unknown,
        rates: &rates(),
        day: closed(),
    })
    .unwrap()
}

#[test]
fn another_currency_is_converted_at_the_close() {
    for (code, total, wanted, amount, paid, rate) in [
        ("usd", 10_001, "eur", 10_001, 8001, "0.8"),
        ("eur", 10_001, "usd", 10_001, 12_501, "1.25"),
        ("eur", 10_001, "jpy", 10_001, 16_002, "160"),
        ("jpy", 16_000, "eur", 16_000, 10_000, "0.00625"),
        // 32,003.20 forints: whole ones leave; the rest is less than half a cent.
        ("usd", 10_001, "huf", 10_001, 3_200_300, "320"),
        // 32.0032 dinars: the last digit of three is zero.
        ("usd", 10_001, "kwd", 10_000, 32_000, "0.32"),
    ] {
        let netted = converted(code, total, wanted, Method::Csv);
        assert_eq!((netted.amount, netted.paid_amount), (amount, paid), "{code} to {wanted}");
        assert_eq!((netted.amount + netted.carry, netted.closing), (total, 0), "{code} to {wanted}");
        assert_eq!(netted.rate.unwrap().rate.to_string(), rate);
        assert_eq!(netted.paid_currency.as_str(), wanted);
    }
    assert_eq!(converted("usd", 10_001, "usd", Method::Csv).rate, None);
    assert_eq!(converted("gbp", 10_001, "eur", Method::Csv).outcome, Outcome::RollOver(Reason::RateMissing));
    assert_eq!(converted("usd", 1, "huf", Method::Csv).outcome, Outcome::Pay);
    assert_eq!(converted("kwd", 1, "eur", Method::Csv).outcome, Outcome::RollOver(Reason::BelowMinimum));
}

#[test]
fn what_cannot_be_paid_this_way_waits() {
    assert_eq!(converted("usd", 10_000, "eur", Method::Sepa).outcome, Outcome::Pay);
    assert_eq!(converted("usd", 10_000, "usd", Method::Sepa).outcome, Outcome::RollOver(Reason::CurrencyNotPayable));
    let payout = PayoutMethod { method: Method::Stripe, account: Some("acct_1".to_owned()), currency: None };
    let profile = Profile { payout: Some(payout), ..Profile::default() };
    let with = |profile: &Profile, account: Readiness, tax_form_required: bool| {
        let mut settings = Settings::default();
        settings.month_end.tax_form_required = tax_form_required;
        net(&ToNet {
            entries: &[entry("a", EntryKind::Accrual, 100, 40, 40)],
            currency: usd(),
            profile,
            settings: &settings,
            period: Period { start: day(30), end: day(60) },
            cut_off: day(61),
            opening: 0,
            account,
            rates: &Rates::default(),
            day: closed(),
        })
        .unwrap()
        .outcome
    };
    assert_eq!(with(&profile, Readiness::Unknown, false), Outcome::Pay);
    assert_eq!(with(&profile, Readiness::Ready, false), Outcome::Pay);
    assert_eq!(with(&profile, Readiness::NotReady, false), Outcome::RollOver(Reason::AccountNotReady));
    assert_eq!(with(&profile, Readiness::Ready, true), Outcome::RollOver(Reason::TaxFormMissing));
    let profile = Profile { tax_form: Some("W-9".to_owned()), ..profile };
    assert_eq!(with(&profile, Readiness::Ready, true), Outcome::Pay);
    for reason in Reason::ALL {
        assert_eq!(Reason::named(reason.as_str()), Some(reason));
    }
}

#[test]
fn the_partners_own_minimum_comes_before_the_workspaces() {
    let entries = [entry("a", EntryKind::Accrual, 2000, 40, 40)];
    let settings = Settings { minimum_payout: [(usd(), 5000)].into(), ..Settings::default() };
    for (profile, minimum) in [(payable(1000, usd()), 1000), (payable(1000, "eur".parse().unwrap()), 5000)] {
        let netted = net(&ToNet {
            entries: &entries,
            currency: usd(),
            profile: &profile,
            settings: &settings,
            period: Period { start: day(30), end: day(60) },
            cut_off: day(61),
            opening: 0,
            account: Readiness::Unknown,
            rates: &Rates::default(),
            day: closed(),
        })
        .unwrap();
        assert_eq!(netted.minimum, minimum);
        assert_eq!(netted.outcome == Outcome::Pay, minimum <= 2000);
    }
}

#[test]
fn entries_released_by_the_batch_before_are_adjusted_in() {
    // January paid 40.00 and closed at zero; its payout was then taken back before it left.
    let netted = february(&[left("a", EntryKind::Accrual, 4000, 20, 10)], &payable(0, usd()), "usd", 0);
    assert_eq!((netted.opening, netted.earned, netted.adjustments, netted.amount), (0, 0, 4000, 4000));
}

#[test]
fn more_than_fits_is_an_error() {
    let entries = [entry("a", EntryKind::Accrual, i64::MAX, 40, 40), entry("b", EntryKind::Accrual, 1, 40, 40)];
    let input = ToNet {
        entries: &entries,
        currency: usd(),
        profile: &Profile::default(),
        settings: &Settings::default(),
        period: Period { start: day(30), end: day(60) },
        cut_off: day(61),
        opening: 0,
        account: Readiness::Unknown,
        rates: &Rates::default(),
        day: closed(),
    };
    assert_eq!(net(&input), Err(Overflow));
}

/// A partner's ledger as it grows over the months.
#[derive(Default)]
struct Ledger {
    free: Vec<PayableEntry>,
    paid: i64,
    reserved: HashSet<String>,
    opening: i64,
}

impl Ledger {
    /// Closes a month and books what a close books: the payout, and the carry's free half.
    fn close(&mut self, month: i64, lag: i64, profile: &Profile, currency: Currency) -> Netted {
        let period = Period { start: day(month * 30), end: day(month * 30 + 30) };
        let cut_off = period.end + TimeDelta::days(lag);
        let settings = Settings::default();
        let opening = self.opening;
        let input = ToNet {
            entries: &self.free,
            currency,
            profile,
            settings: &settings,
            period,
            cut_off,
            opening,
            account: Readiness::Unknown,
            rates: &rates(),
            day: closed(),
        };
        let netted = net(&input).unwrap();
        if netted.outcome == Outcome::Pay {
            self.free.retain(|entry| !netted.entry_ids.contains(&entry.entry_id));
            for id in &netted.entry_ids {
                assert!(self.reserved.insert(id.clone()), "{id} is in two payouts");
            }
            self.paid += netted.amount;
            if netted.carry != 0 {
                let id = format!("carry {month}");
                let booked_at = cut_off;
                let kind = EntryKind::Carry;
                self.free.push(PayableEntry {
                    entry_id: id,
                    kind,
                    amount: netted.carry,
                    available_at: cut_off,
                    booked_at,
                    left: false,
                });
            }
        }
        for entry in &mut self.free {
            entry.left = netted.entry_ids.contains(&entry.entry_id);
        }
        self.opening = netted.closing;
        netted
    }
}

fn an_entry() -> impl Strategy<Value = (EntryKind, i64, i64, i64)> {
    let kind = prop::sample::select(EntryKind::ALL.to_vec())
        .prop_filter("payouts are the ledger's", |kind| !matches!(kind, EntryKind::Payout | EntryKind::Carry));
    (kind, -5_000_i64..20_000, 0_i64..170, 0_i64..170)
}

proptest! {
    #[test]
    fn over_the_months_every_cent_is_somewhere(
        entries in prop::collection::vec(an_entry(), 0..40),
        holds in prop::collection::vec(any::<bool>(), 8),
        lags in prop::collection::vec(0_i64..12, 8),
        minimum in 0_i64..30_000,
        code in prop::sample::select(vec!["usd", "jpy", "kwd", "huf"]),
    ) {
        let currency: Currency = code.parse().unwrap();
        let all: Vec<PayableEntry> = entries
            .into_iter()
            .enumerate()
            .map(|(i, (kind, amount, available, booked))| entry(&format!("e{i}"), kind, amount, available, booked))
            .collect();
        let sum: i64 = all.iter().map(|entry| entry.amount).sum();
        let mut ledger = Ledger { free: all, ..Ledger::default() };
        let mut closing = 0;
        for month in 0..8_i64 {
            let index = usize::try_from(month).unwrap();
            let profile = Profile { on_hold: holds[index], ..payable(minimum, currency) };
            let netted = ledger.close(month, lags[index], &profile, currency);
            let total = netted.opening + netted.earned - netted.reversed + netted.adjustments;
            prop_assert_eq!(total, netted.amount + netted.carry + netted.closing);
            prop_assert_eq!(netted.opening, closing);
            prop_assert_eq!(netted.amount % currency.payout_step(), 0);
            prop_assert!(netted.amount >= 0 && (0..currency.payout_step()).contains(&netted.carry));
            prop_assert!(netted.outcome != Outcome::Pay || (netted.closing == 0 && netted.amount > 0));
            closing = netted.closing;
            let free: i64 = ledger.free.iter().map(|entry| entry.amount).sum();
            prop_assert_eq!(ledger.paid + free, sum);
        }
        // Every entry has come by then: what is left is what could not be paid, and no payout can be made of it.
        let left: i64 = ledger.free.iter().map(|entry| entry.amount).sum();
        let last = ledger.close(8, 0, &payable(0, currency), currency);
        prop_assert_eq!(last.amount + last.carry + last.closing, left);
        let left: i64 = ledger.free.iter().map(|entry| entry.amount).sum();
        prop_assert!(left < currency.payout_step());
        prop_assert_eq!(sum - ledger.paid, left);
    }
}

#[test]
fn every_reason_has_words_of_its_own() {
    use std::collections::BTreeSet;
    let all = Reason::ALL;
    for reason in all {
        assert_eq!(Reason::named(reason.as_str()), Some(reason));
        assert!(reason.sentence().ends_with('.') && reason.remedy().is_none_or(|remedy| remedy.ends_with('.')));
    }
    assert_eq!(Reason::named("paid"), None);
    assert_eq!(all.map(Reason::sentence).into_iter().collect::<BTreeSet<_>>().len(), all.len());
    let remedies: BTreeSet<&str> = all.into_iter().filter_map(Reason::remedy).collect();
    assert_eq!(remedies.len(), 6);
    // There is nothing to do about a balance that is too low.
    for reason in [Reason::NothingDue, Reason::NegativeBalance, Reason::BelowMinimum] {
        assert_eq!((reason.remedy(), reason.needs_partner()), (None, false));
    }
    assert!(Reason::TaxFormMissing.needs_partner() && Reason::NoMethod.needs_partner());
    assert!(!Reason::OnHold.needs_partner());
}
