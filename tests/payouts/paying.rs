//! `payouts pay` and the service, as people meet them.

use commission_bridge::clock::Clock;
use serde_json::Value;

use crate::blackbox::{Home, Ran, finish};
use crate::fake_stripe::FakeStripe;
use crate::month::{command, last_month, owed, owed_each};
use crate::{on_both_engines, shows};

on_both_engines!(money_is_missing_and_comes, a_key_of_the_other_book_is_refused);

fn pay(home: &mut Home, fake: &FakeStripe) -> Ran {
    let words = format!("payouts pay {} --mode live", last_month());
    let ran = finish(command(home, fake, &words).env("STRIPE_RATE_LIMIT", "0"));
    home.write_down("payouts pay [month] --mode live", &ran);
    ran
}

fn money_is_missing_and_comes(home: &mut Home) {
    // Transfers go out side by side: which of the five come first is open, so each is owed the same.
    owed_each(home, 5, |_| 1002);
    let fake = FakeStripe::start(Clock::machine());
    fake.books().available.insert("usd".to_owned(), 2500);
    home.remark("there is less than is owed");
    let ran = pay(home, &fake);
    assert_eq!(ran.code, Some(1));
    fake.books().available.insert("usd".to_owned(), 100_000);
    home.remark("it is topped up");
    assert_eq!(pay(home, &fake).code, Some(0));
    let words = format!("payouts pay {} --mode live --json", last_month());
    let ran = finish(&mut command(home, &fake, &words));
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((json["status"].as_str(), json["transfers"][0]["sum"].as_i64()), (Some("paid"), Some(5010)));
    let month = last_month().to_string();
    shows!("payouts_pay", home.transcript().replace(&month, "[month]"));
}

fn a_key_of_the_other_book_is_refused(home: &mut Home) {
    owed(home, 1);
    let fake = FakeStripe::start(Clock::machine());
    let words = format!("payouts pay {} --mode live", last_month());
    for (key, said) in [
        (crate::fake_stripe::TEST_KEY, "STRIPE_API_KEY is a test key and this is the live book"),
        ("", "no Stripe key is configured"),
        ("pk_live_1", "is no secret key of Stripe's"),
    ] {
        let ran = finish(command(home, &fake, &words).env("STRIPE_API_KEY", key));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
    assert!(fake.books().requests.is_empty());
}
