//! Stripe's rules for `Idempotency-Key`: the first result is kept for 24 hours, errors and 500s included; other
//! parameters are refused; while the first is under way the same key gets 409.

use chrono::TimeDelta;
use commission_bridge::domain::Time;

use super::Books;
use super::wire::Answer;

const LASTS: TimeDelta = TimeDelta::hours(24);

pub(super) enum Kept {
    UnderWay(String),
    Result { asked: String, answer: Answer, at: Time },
}

/// What the key says before anything is done: an answer, or nothing and the key is now in use.
pub(super) fn begin(books: &mut Books, key: &str, asked: &str, now: Time) -> Option<Answer> {
    let refused = |kind, status, message: &str| Some(Answer::error(status, kind, None, message));
    match books.keys.get(key) {
        Some(Kept::Result { at, .. }) if now - *at >= LASTS => {}
        Some(Kept::Result { asked: before, .. } | Kept::UnderWay(before)) if before != asked => {
            let said =
                "Keys for idempotent requests can only be used with the same parameters they were first used with.";
            return refused("idempotency_error", 400, said);
        }
        Some(Kept::UnderWay(_)) => {
            return refused("idempotency_error", 409, "Another request with this key is under way.");
        }
        Some(Kept::Result { answer, .. }) => return Some(answer.clone()),
        None => {}
    }
    books.keys.insert(key.to_owned(), Kept::UnderWay(asked.to_owned()));
    None
}

/// Keeps the result.
pub(super) fn keep(books: &mut Books, key: &str, asked: &str, answer: &Answer, now: Time) {
    let kept = Kept::Result { asked: asked.to_owned(), answer: answer.clone(), at: now };
    books.keys.insert(key.to_owned(), kept);
}

/// Nothing was begun.
pub(super) fn forget(books: &mut Books, key: &str) {
    books.keys.remove(key);
}
