//! The outside of an event, read in one pass: wrappers taken off, the object inside left unread.
//!
//! Amazon `EventBridge` delivers events as `{"detail": {…}}`, Azure Event Grid as `{"data": {…}}`. A thin event
//! (`"object": "v2.core.event"`) has no object inside.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::event::Envelope;
use super::field::{LONGEST_ID, time};
use super::problem::EnvelopeError;
use crate::domain::Time;

/// An event out of its wrapper.
pub(super) struct Event<'a, O> {
    node: Node<'a, O>,
    /// Where it lies in the body: empty, `detail.` or `data.`.
    pub prefix: &'static str,
    pub thin: bool,
}

/// A JSON object that may be an event, a wrapper around one, or the `data` of one.
struct Node<'a, O> {
    id: Scalar<'a>,
    object: Option<O>,
    type_: Scalar<'a>,
    created: Scalar<'a>,
    livemode: Scalar<'a>,
    account: Scalar<'a>,
    api_version: Scalar<'a>,
    fetched_at: Scalar<'a>,
    data: Option<Box<Node<'a, O>>>,
    detail: Option<Box<Node<'a, O>>>,
    /// What was found where an object was expected; `None` for an object.
    instead: Option<&'static str>,
}

impl<O> Default for Node<'_, O> {
    fn default() -> Self {
        Self {
            id: Scalar::default(),
            object: None,
            type_: Scalar::default(),
            created: Scalar::default(),
            livemode: Scalar::default(),
            account: Scalar::default(),
            api_version: Scalar::default(),
            fetched_at: Scalar::default(),
            data: None,
            detail: None,
            instead: None,
        }
    }
}

/// What stands under the key `object`: a word, or (within `data`) the object that the event is about.
pub(super) trait Slot<'de>: Deserialize<'de> {
    /// The word, where it is one.
    fn word(&self) -> Option<&str>;
    /// Whether it is a JSON object.
    fn is_object(&self) -> bool;
}

impl<'de> Slot<'de> for &'de RawValue {
    fn word(&self) -> Option<&str> {
        self.get().strip_prefix('"')?.strip_suffix('"')
    }
    fn is_object(&self) -> bool {
        self.get().starts_with('{')
    }
}

impl<'a, O: Slot<'a>> Event<'a, O> {
    /// Takes an event out of a body.
    pub(super) fn open(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let body = std::str::from_utf8(body)
            .map_err(|error| EnvelopeError::NotJson { message: format!("no UTF-8 at byte {}", error.valid_up_to()) })?;
        let node: Node<'a, O> = serde_json::from_str(body)?;
        if let Some(found) = node.instead {
            return Err(EnvelopeError::not_an_event(".", "an object", found));
        }
        let (node, prefix) = node.unwrapped();
        let thin = node.word() == Some("v2.core.event");
        if !thin && node.object.is_some() && node.word() != Some("event") {
            let found = node.word().map_or_else(|| "something else".to_owned(), |word| format!("\"{word}\""));
            return Err(EnvelopeError::not_an_event(format!("{prefix}object"), "\"event\"", &found));
        }
        Ok(Self { node, prefix, thin })
    }

    /// The object that the event is about.
    pub(super) fn object(&self) -> Result<&O, EnvelopeError> {
        let data = self.node.data.as_deref();
        let object = data.and_then(|data| data.object.as_ref());
        object.filter(|object| object.is_object()).ok_or_else(|| {
            let (field, found) = match (data, object) {
                (_, Some(_)) => ("data.object", "something else"),
                (Some(Node { instead: Some(found), .. }), _) => ("data", *found),
                (Some(_), None) => ("data.object", "nothing"),
                (None, _) => ("data", "nothing"),
            };
            EnvelopeError::not_an_event(format!("{}{field}", self.prefix), "an object", found)
        })
    }

    /// The `type`.
    pub(super) fn type_(&self) -> Result<&str, EnvelopeError> {
        self.required("type", &self.node.type_)
    }

    /// The `id`.
    pub(super) fn id(&self) -> Result<&str, EnvelopeError> {
        self.required("id", &self.node.id)
    }

    /// Whose it is, where it is a connected account's.
    pub(super) fn account(&self) -> Option<&str> {
        self.optional("account", &self.node.account).ok().flatten()
    }

    /// When the event was created: seconds, or RFC 3339 in a thin one.
    pub(super) fn created(&self) -> Result<Time, EnvelopeError> {
        let created = match &self.node.created {
            Scalar::Integer(seconds) => time(*seconds),
            Scalar::Text(text) if self.thin => chrono::DateTime::parse_from_rfc3339(text).ok().map(Into::into),
            _ => None,
        };
        created.ok_or_else(|| self.wrong("created", "a time in Unix seconds", &self.node.created))
    }

    /// When the object was asked for, where it is no event of Stripe's but an object that was fetched.
    pub(super) fn fetched_at(&self) -> Option<Time> {
        if let Scalar::Integer(seconds) = self.node.fetched_at { time(seconds) } else { None }
    }

    fn livemode(&self) -> Result<bool, EnvelopeError> {
        match self.node.livemode {
            Scalar::Bool(livemode) => Ok(livemode),
            Scalar::Absent if self.thin => Ok(false),
            _ => Err(self.wrong("livemode", "a boolean", &self.node.livemode)),
        }
    }

    /// Everything but the object; `shape` is left to the caller.
    pub(super) fn envelope(&self) -> Result<Envelope, EnvelopeError> {
        Ok(Envelope {
            id: self.id()?.to_owned(),
            type_: self.type_()?.to_owned(),
            created: self.created()?,
            livemode: self.livemode()?,
            account: self.optional("account", &self.node.account)?.map(str::to_owned),
            api_version: self.api_version()?.map(str::to_owned),
            shape: 0,
            thin: self.thin,
        })
    }

    /// The `api_version`.
    pub(super) fn api_version(&self) -> Result<Option<&str>, EnvelopeError> {
        self.optional("api_version", &self.node.api_version)
    }

    fn required<'s>(&self, field: &str, value: &'s Scalar<'a>) -> Result<&'s str, EnvelopeError> {
        self.optional(field, value)?.ok_or_else(|| self.wrong(field, "text", value))
    }

    fn optional<'s>(&self, field: &str, value: &'s Scalar<'a>) -> Result<Option<&'s str>, EnvelopeError> {
        match value {
            Scalar::Absent | Scalar::Null => Ok(None),
            Scalar::Text(text) if text.is_empty() => Ok(None),
            // Keys and columns hold these: what no database can index is refused here, once.
            Scalar::Text(text) if text.len() > LONGEST_ID || text.contains('\0') => {
                Err(self.wrong(field, "text of at most 255 characters without NUL", value))
            }
            Scalar::Text(text) => Ok(Some(text)),
            _ => Err(self.wrong(field, "text", value)),
        }
    }

    fn wrong(&self, field: &str, expected: &str, found: &Scalar<'_>) -> EnvelopeError {
        EnvelopeError::not_an_event(format!("{}{field}", self.prefix), expected, found.kind())
    }
}

impl<'a, O: Slot<'a>> Node<'a, O> {
    fn word(&self) -> Option<&str> {
        self.object.as_ref().and_then(O::word)
    }

    fn unwrapped(mut self) -> (Self, &'static str) {
        if self.word() == Some("event") {
            return (self, "");
        }
        if let Some(detail) = self.detail.take_if(|detail| detail.instead.is_none()) {
            return (*detail, "detail.");
        }
        // In an event `data.object` is an object; where it is a word, `data` is the event.
        if let Some(data) = self.data.take_if(|data| data.word().is_some()) {
            return (*data, "data.");
        }
        (self, "")
    }
}

/// A value that cannot be wrong before somebody asks for it.
#[derive(Default)]
enum Scalar<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Bool(bool),
    Other(&'static str),
}

impl Scalar<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Null => "null",
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(value).map_or(Scalar::Other("a number beyond 64 bits"), Scalar::Integer))
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other("a fraction"))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                skip_list(list)?;
                Ok(Scalar::Other("a list"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The keys that are looked at.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    Object,
    Type,
    Created,
    Livemode,
    Account,
    ApiVersion,
    FetchedAt,
    Data,
    Detail,
    #[serde(other)]
    Other,
}

impl<'de, O: Slot<'de>> Deserialize<'de> for Node<'de, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor(PhantomData))
    }
}

struct NodeVisitor<O>(PhantomData<O>);

impl<'de, O: Slot<'de>> NodeVisitor<O> {
    fn instead(found: &'static str) -> Node<'de, O> {
        Node { instead: Some(found), ..Node::default() }
    }
}

impl<'de, O: Slot<'de>> Visitor<'de> for NodeVisitor<O> {
    type Value = Node<'de, O>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Self::instead("null"))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Self::instead("a boolean"))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Self::instead("a number"))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Self::instead("a number"))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Self::instead("a number"))
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Self::instead("a string"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        skip_list(list)?;
        Ok(Self::instead("a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut node = Node::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Id => node.id = map.next_value()?,
                Key::Object => node.object = Some(map.next_value()?),
                Key::Type => node.type_ = map.next_value()?,
                Key::Created => node.created = map.next_value()?,
                Key::Livemode => node.livemode = map.next_value()?,
                Key::Account => node.account = map.next_value()?,
                Key::ApiVersion => node.api_version = map.next_value()?,
                Key::FetchedAt => node.fetched_at = map.next_value()?,
                Key::Data => node.data = Some(Box::new(map.next_value()?)),
                Key::Detail => node.detail = Some(Box::new(map.next_value()?)),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BytesDeserializer, Error};

    use super::super::shape::Outline;
    use super::*;

    fn refusal<'de, T: Deserialize<'de>>() -> String {
        T::deserialize(BytesDeserializer::<Error>::new(b"")).err().unwrap().to_string()
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert_eq!(refusal::<Scalar<'_>>(), "invalid type: byte array, expected any value");
        assert_eq!(refusal::<Node<'_, Outline>>(), "invalid type: byte array, expected any value");
    }
}
