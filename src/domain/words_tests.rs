//! Words that stand in databases, files and APIs: each is one thing's alone, and the same wherever it is written.

use std::collections::BTreeSet;

use serde::Serialize;

use super::decision::Code;
use super::entry::{Component, EntryKind};
use super::history::Place;
use super::subscribed::Status;
use super::terms::{Erasable, EvidenceKind, Method};

/// As JSON writes it.
fn written(word: impl Serialize) -> String {
    serde_json::to_string(&word).unwrap().trim_matches('"').to_owned()
}

#[test]
fn a_reason_is_written_alike_everywhere_and_says_something_of_its_own() {
    for code in Code::ALL {
        assert_eq!(written(code), code.as_str());
        assert_eq!(code.to_string(), code.as_str());
        assert!(code.sentence().ends_with('.'), "{code}");
    }
    assert_eq!(Code::ALL.map(Code::sentence).into_iter().collect::<BTreeSet<_>>().len(), Code::ALL.len());
}

#[test]
fn the_ledgers_words_are_written_alike_everywhere() {
    for kind in EntryKind::ALL {
        assert_eq!((written(kind), kind.to_string()), (kind.as_str().to_owned(), kind.as_str().to_owned()));
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    for component in Component::ALL {
        let word = component.as_str();
        assert_eq!((written(component), component.to_string()), (word.to_owned(), word.to_owned()));
        assert_eq!(word.parse(), Ok(component));
    }
    let unknown = "tip".parse::<EntryKind>().unwrap_err().to_string();
    assert_eq!(
        unknown,
        "\"tip\" is no kind of entry: expected accrual, reversal, adjustment, bonus, payout, payout_return, carry"
    );
    assert!("level_3".parse::<Component>().is_err());
}

#[test]
fn a_subscriptions_status_is_stripes_word() {
    let all = [
        (Status::Incomplete, "incomplete"),
        (Status::IncompleteExpired, "incomplete_expired"),
        (Status::Trialing, "trialing"),
        (Status::Active, "active"),
        (Status::PastDue, "past_due"),
        (Status::Unpaid, "unpaid"),
        (Status::Paused, "paused"),
        (Status::Canceled, "canceled"),
    ];
    for (status, word) in all {
        assert_eq!((Status::of(word), status.as_str(), written(status)), (status, word, word.to_owned()));
        let ends = [Status::Canceled, Status::IncompleteExpired].contains(&status);
        assert_eq!(status.is_final(), ends, "{word}");
    }
    assert_eq!(Status::of("something_new"), Status::Other);
}

#[test]
fn places_and_methods_have_words_of_their_own() {
    let places = [Place::Session, Place::Invoice, Place::Subscription, Place::Intent, Place::Charge, Place::Customer];
    let words = ["session", "invoice", "subscription", "payment intent", "charge", "customer"];
    assert_eq!(places.map(Place::as_str), words);
    for method in [Method::Stripe, Method::Csv, Method::Paypal, Method::Wise, Method::Sepa] {
        assert_eq!(method.as_str(), written(method));
    }
    for kind in EvidenceKind::DEFAULT_ORDER {
        assert_eq!(kind.as_str(), written(kind));
    }
    for erasable in [Erasable::Customer, Erasable::Partner] {
        assert_eq!(erasable.as_str(), written(erasable));
    }
}
