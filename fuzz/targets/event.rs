//! One event's JSON; or a letter from `a` on, which names a kind of object, and the object's JSON as it was fetched.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::Time;
use crate::domain::facts::EventFacts;
use crate::domain::history::fold;
use crate::stripe::fetched::{Kind, state, wrap};
use crate::stripe::{Reading, envelope, read};

const NOW: i64 = 1_790_000_000;

/// Reading is a function of what the JSON says, and what is read can be kept.
pub fn run(bytes: &[u8]) {
    if let Some((letter, object)) = bytes.split_first()
        && let Some(kind) = letter.checked_sub(b'a').and_then(|index| Kind::ALL.get(usize::from(index)))
    {
        fetched(*kind, object);
        return;
    }
    event(bytes);
}

fn event(body: &[u8]) {
    let envelope = envelope(body);
    assert_eq!(envelope, crate::stripe::envelope(body));
    let reading = read(body);
    assert_eq!(reading, read(body));
    if let Ok(Reading::Facts(facts)) = &reading {
        kept(facts);
        if let Ok(envelope) = &envelope {
            assert_eq!((&facts.stamp.event_id, facts.stamp.created), (&envelope.id, envelope.created));
            assert!(!envelope.thin);
        }
    }
    // The same said in other words: other blanks, another order of fields, within a wrapper.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let plain = value.to_string().into_bytes();
    let pretty = serde_json::to_vec_pretty(&value).unwrap_or_default();
    let said = read(&plain);
    assert_eq!(said, read(&pretty), "blanks say nothing");
    assert_eq!(crate::stripe::envelope(&plain), crate::stripe::envelope(&pretty), "blanks say nothing");
    if value["object"] == "event" && said.is_ok() {
        let wrapped = serde_json::json!({ "version": "0", "id": "x", "detail": value }).to_string();
        assert_eq!(said, read(wrapped.as_bytes()), "a wrapper says nothing");
    }
}

fn fetched(kind: Kind, object: &[u8]) {
    let Ok(text) = std::str::from_utf8(object) else { return };
    let Ok(object) = serde_json::from_str::<&RawValue>(text) else { return };
    let Some(now) = Time::from_timestamp(NOW, 0) else { return };
    if let Some(body) = state(kind, object, now, true) {
        event(&body);
    }
    let Ok(fetched) = wrap(kind, object, now, true) else { return };
    assert_eq!(read(&fetched.body), Ok(Reading::Facts(fetched.facts.clone())), "it is an event like any other");
    kept(&fetched.facts);
    let envelope = envelope(&fetched.body).map(|envelope| (envelope.id, envelope.livemode));
    assert_eq!(envelope, Ok((fetched.facts.stamp.event_id.clone(), true)), "the inbox takes it");
    let later = Time::from_timestamp(NOW + 60, 0).unwrap_or(now);
    let again = wrap(kind, object, later, true).map(|again| again.facts.stamp.event_id);
    assert_eq!(again, Ok(fetched.facts.stamp.event_id), "unchanged, it is the same event");
}

/// What the database keeps reads back as it was; said twice is said once.
fn kept(facts: &EventFacts) {
    let text = serde_json::to_string(facts).expect("facts can be kept");
    assert_eq!(serde_json::from_str::<EventFacts>(&text).ok().as_ref(), Some(facts), "{text}");
    let references = facts.references();
    assert!(
        references.is_sorted() && references.iter().all(|id| !id.is_empty() && id.len() <= 255 && !id.contains('\0'))
    );
    let once = fold(std::slice::from_ref(facts));
    assert_eq!(once, fold(&[facts.clone(), facts.clone()]), "said twice is said once");
}
