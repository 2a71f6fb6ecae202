//! A partner opens their account by a link: once, however often they press the button, and comes back.

use commission_bridge::clock::Clock;

use crate::blackbox::Home;
use crate::fake_stripe::{FakeStripe, LIVE_KEY, TEST_KEY};
use crate::month::owed;
use crate::on_both_engines;
use crate::server::{Answer, SECRET, Server, ask, deliver};

on_both_engines!(a_partner_opens_an_account_by_a_link, the_test_book_has_accounts_of_its_own);

fn serve(home: &Home, fake: &FakeStripe) -> Server {
    Server::start_with(home, |command| {
        command
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .env("STRIPE_API_KEY", format!("{LIVE_KEY},{TEST_KEY}"))
            .env("STRIPE_API_BASE", fake.base())
    })
}

fn path_of(url: &str) -> String {
    let (_, path) = url.trim().split_once("/onboard/").unwrap();
    format!("/onboard/{path}")
}

fn press(server: &Server, path: &str) -> Answer {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    ask(&server.address, "POST", path, &form, b"").unwrap()
}

fn a_partner_opens_an_account_by_a_link(home: &mut Home) {
    home.write("program.toml", "[[partner]]\nkey = \"acme\"\nemail = \"pay@acme.example\"\ncountry = \"DE\"\n");
    home.ok("apply program.toml");
    let fake = FakeStripe::start(Clock::machine());
    let server = serve(home, &fake);
    let path = path_of(&home.ok("partner onboard acme --mode live"));
    // Whoever only looks, as mail programs do, opens nothing.
    let page = server.get(&path);
    assert!(page.status == 200 && page.body.contains("Set up payouts on Stripe"), "{page:?}");
    assert!(page.headers.contains("content-security-policy: default-src 'none'"), "{page:?}");
    assert!(fake.books().accounts.is_empty());
    for _ in 0..2 {
        let answer = press(&server, &path);
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(answer.headers.contains("location: https://connect.stripe.example/setup/acct_000001/"), "{answer:?}");
    }
    let account = fake.books().accounts["acct_000001"].clone();
    assert_eq!((fake.books().accounts.len(), account.email.as_deref()), (1, Some("pay@acme.example")));
    assert_eq!(account.metadata["partner_key"], "acme");
    // Back without having finished.
    assert!(
        server.get(&format!("{path}/back")).headers.contains(&format!("location: http://{}{path}", server.address))
    );
    let page = server.get(&path);
    assert!(page.body.contains("Something is still missing") && page.body.contains("external account"), "{page:?}");
    let mut account = fake.books().accounts["acct_000001"].clone();
    (account.transfers, account.currently_due) = ("active".to_owned(), Vec::new());
    fake.books().accounts.insert(account.id.clone(), account);
    assert_eq!(server.get(&format!("{path}/back")).status, 303);
    let page = server.get(&path);
    assert!(page.body.contains("You are ready to be paid") && !page.body.contains("<button>"), "{page:?}");
    // It is how the partner is paid, and who entered that is written down.
    let created = home.ok("api-key create --name boss --role admin --mode live --json");
    let key = serde_json::from_str::<serde_json::Value>(&created).unwrap()["key"].as_str().unwrap().to_owned();
    let partner = server.get_with_key("/v1/partners/acme", &key).json();
    assert_eq!(partner["payout"], serde_json::json!({"method": "stripe", "account": "acct_000001"}));
    let log = server.get_with_key("/v1/audit-log?subject=partner&author=onboarding", &key);
    assert_eq!(log.json()["data"].as_array().unwrap().len(), 1, "{log:?}");
    // A link of the API leads to the same account.
    let bearer = format!("Bearer {key}");
    let made =
        ask(&server.address, "POST", "/v1/partners/acme/onboarding", &[("authorization", &bearer)], b"").unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let other = path_of(made.json()["url"].as_str().unwrap());
    assert!(server.get(&other).body.contains("You are ready to be paid"));
    assert_eq!(fake.books().accounts.len(), 1);
    // What Stripe tells later counts.
    let later = serde_json::json!({
        "id": "evt_1", "object": "event", "type": "account.updated", "created": crate::server::now() + 60,
        "account": "acct_000001", "livemode": true, "api_version": "2026-10-28.endive",
        "data": {"object": {"id": "acct_000001", "object": "account", "capabilities": {"transfers": "inactive"},
                            "requirements": {"currently_due": ["individual.verification.document"]}}},
    });
    assert_eq!(deliver(&server.address, later.to_string().as_bytes()).unwrap().status, 200);
    let is_known = || server.get(&path).body.contains("individual verification document");
    assert!(crate::server::until(std::time::Duration::from_secs(20), is_known), "{}", server.said());
    let guessed = server.get("/onboard/0123456789");
    assert!(guessed.status == 404 && guessed.body.contains("expired"), "{guessed:?}");
    server.stop();
}

fn the_test_book_has_accounts_of_its_own(home: &mut Home) {
    // There is live money.
    owed(home, 1);
    let fake = FakeStripe::start(Clock::machine());
    let server = serve(home, &fake);
    let path = path_of(&home.ok("partner onboard p00000 --mode test"));
    assert!(server.get(&path).body.contains(">TEST<"));
    assert_eq!(press(&server, &path).status, 303);
    assert_eq!(fake.books().accounts.len(), 1);
    // The live account stays as it is entered.
    let payout = crate::month::payout_account(home, "p00000");
    assert_eq!(payout.as_deref(), Some("acct_00000"));
    server.stop();
}
