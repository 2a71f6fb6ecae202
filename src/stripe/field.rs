//! Fields that take what Stripe may send and refuse the rest by saying what was expected and what was found.
//!
//! Every type here reads null and absence alike as "not said" ([`Default`]), except [`Reference`], which can tell
//! them apart. Structs of these fields derive `Deserialize` with `#[serde(default)]` and skip what they do not know.

use std::fmt;
use std::marker::PhantomData;

use num_traits::ToPrimitive;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};

use super::problem::ReadError;
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::facts::{Link, Metadata};

/// The longest id that Stripe writes.
pub(super) const LONGEST_ID: usize = 255;
/// The last second of the year 9999: later times have no RFC 3339 form.
const LAST_SECOND: i64 = 253_402_300_799;

/// How one kind of field is read. `None` means: not this kind of value.
pub(super) trait Field<'de>: Default {
    /// What belongs here, with its article.
    const EXPECTED: &'static str;

    fn from_null() -> Self {
        Self::default()
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    fn from_integer(_: i64) -> Option<Self> {
        None
    }
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    /// A number that is not whole, as it is written.
    fn from_fraction(_: &str) -> Option<Self> {
        None
    }
    fn from_list<A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(unexpected::<Self, _>("a list"))
    }
    fn from_map<A: MapAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(unexpected::<Self, _>("an object"))
    }
}

fn unexpected<'de, T: Field<'de>, E: Error>(found: &str) -> E {
    E::custom(format_args!("expected {}, found {found}", T::EXPECTED))
}

/// The one visitor behind every [`Field`].
pub(super) struct FieldVisitor<T>(PhantomData<T>);

impl<T> FieldVisitor<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Field<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }
    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::from_null())
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        T::from_bool(value).ok_or_else(|| unexpected::<T, E>("a boolean"))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::from_integer(value).ok_or_else(|| unexpected::<T, E>("a number"))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).map_err(|_| unexpected::<T, E>("a number beyond 64 bits"))?;
        self.visit_i64(value)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        // Some tools write whole numbers as 2000.0; beyond 2^53 a float no longer says which integer it was.
        if value.fract() != 0.0 {
            return T::from_fraction(&value.to_string()).ok_or_else(|| unexpected::<T, E>("a fraction"));
        }
        let whole = value.to_i64().filter(|whole| whole.unsigned_abs() <= 1 << 53);
        self.visit_i64(whole.ok_or_else(|| unexpected::<T, E>("a number beyond 53 bits"))?)
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        T::from_text(value).ok_or_else(|| unexpected::<T, E>("a string"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

/// Lets serde read a [`Field`].
macro_rules! readable {
    ($($type:ident $(<$parameter:ident>)?),+ $(,)?) => {$(
        impl<'de $(, $parameter: serde::Deserialize<'de>)?> serde::Deserialize<'de> for $type $(<$parameter>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($crate::stripe::field::FieldVisitor::new())
            }
        }
    )+};
}
pub(super) use readable;

readable!(Id, Text, Int, Exactly, Flag, Seconds, Code, Reference, Meta, MaybeMeta, Maybe<T>, List<T>, Items<T>);

/// Text without what no database can hold as text.
fn clean(text: &str) -> Option<String> {
    let text = if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() };
    if text.trim().is_empty() { None } else { Some(text) }
}

/// An id of the object itself.
#[derive(Debug, Default)]
pub(super) struct Id(pub Option<String>);

impl Id {
    /// The id, without which the object means nothing.
    pub(super) fn required(self) -> Result<String, ReadError> {
        self.0.ok_or_else(|| ReadError::missing("id", "an id"))
    }
}

impl Field<'_> for Id {
    const EXPECTED: &'static str = "an id of at most 255 characters";

    fn from_text(text: &str) -> Option<Self> {
        let fits = text.len() <= LONGEST_ID && !text.contains('\0');
        fits.then(|| Self(Some(text.to_owned()).filter(|text| !text.is_empty())))
    }
}

/// Text; empty text is none.
#[derive(Debug, Default)]
pub(super) struct Text(pub Option<String>);

impl Text {
    /// The word, for comparing.
    pub(super) fn word(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Field<'_> for Text {
    const EXPECTED: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(clean(text)))
    }
}

/// An integer: an amount in minor units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Int(pub Option<i64>);

impl Int {
    pub(super) fn or_zero(self) -> i64 {
        self.0.unwrap_or(0)
    }
}

impl Field<'_> for Int {
    const EXPECTED: &'static str = "an integer";

    fn from_integer(value: i64) -> Option<Self> {
        Some(Self(Some(value)))
    }
}

/// A decimal number: a percentage, or an amount with fractions of a minor unit, which Stripe writes as text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Exactly(pub Option<Decimal>);

impl Field<'_> for Exactly {
    const EXPECTED: &'static str = "a decimal number";

    fn from_integer(value: i64) -> Option<Self> {
        Some(Self(Some(value.into())))
    }
    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            Some(Self(None))
        } else {
            Decimal::from_str_exact(text).ok().map(|value| Self(Some(value)))
        }
    }
    fn from_fraction(text: &str) -> Option<Self> {
        Self::from_text(text)
    }
}

/// A boolean.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flag(pub Option<bool>);

impl Flag {
    pub(super) fn is_set(self) -> bool {
        self.0 == Some(true)
    }
}

impl Field<'_> for Flag {
    const EXPECTED: &'static str = "a boolean";

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self(Some(value)))
    }
}

/// A time in Unix seconds, from 1970 to 9999.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seconds(pub Option<Time>);

impl Field<'_> for Seconds {
    const EXPECTED: &'static str = "a time in Unix seconds";

    fn from_integer(value: i64) -> Option<Self> {
        time(value).map(|time| Self(Some(time)))
    }
}

/// Unix seconds as a time, where they are a plausible one.
pub(super) fn time(seconds: i64) -> Option<Time> {
    if (0..=LAST_SECOND).contains(&seconds) { Time::from_timestamp(seconds, 0) } else { None }
}

/// A currency code.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Code(pub Option<Currency>);

impl Code {
    /// The currency, without which an amount means nothing.
    pub(super) fn required(self) -> Result<Currency, ReadError> {
        self.0.ok_or_else(|| ReadError::missing("currency", Self::EXPECTED))
    }
}

impl Field<'_> for Code {
    const EXPECTED: &'static str = "a currency of three letters";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(|currency| Self(Some(currency)))
    }
}

/// A reference to another object: its id, the expanded object itself, null, or not there at all.
#[derive(Debug, Default)]
pub(super) struct Reference(Link);

impl Reference {
    pub(super) fn id(self) -> Option<String> {
        if let Link::To(id) = self.0 { Some(id) } else { None }
    }

    pub(super) fn link(self) -> Link {
        self.0
    }

    pub(super) fn is_some(&self) -> bool {
        self.0.id().is_some()
    }
}

impl<'de> Field<'de> for Reference {
    const EXPECTED: &'static str = "an id of at most 255 characters, an object or null";

    fn from_null() -> Self {
        Self(Link::None)
    }
    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|id| Self(id.0.map_or(Link::None, Link::To)))
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            id: Id,
        }
        let expanded = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self(expanded.id.0.map_or(Link::None, Link::To)))
    }
}

/// `metadata`: non-empty values only. An empty list is met where a tool wrote an empty object that way.
#[derive(Debug, Default)]
pub(super) struct Meta(pub Metadata);

impl<'de> Field<'de> for Meta {
    const EXPECTED: &'static str = "an object of strings";

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        match list.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Self::default()),
            Some(_) => Err(unexpected::<Self, _>("a list")),
        }
    }
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut metadata = Metadata::new();
        while let Some(key) = map.next_key::<String>()? {
            if let (Some(key), Some(value)) = (clean(&key), map.next_value::<MetaValue>()?.0) {
                metadata.insert(key, value);
            }
        }
        Ok(Self(metadata))
    }
}

/// `metadata` of which it matters whether it is there at all.
#[derive(Debug, Default)]
pub(super) struct MaybeMeta(pub Option<Meta>);

impl<'de> Field<'de> for MaybeMeta {
    const EXPECTED: &'static str = Meta::EXPECTED;

    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Meta::from_list(list).map(|meta| Self(Some(meta)))
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Meta::from_map(map).map(|meta| Self(Some(meta)))
    }
}

/// Stripe's values are strings; what else a tool may have written is kept as it would be shown.
#[derive(Default)]
struct MetaValue(Option<String>);

readable!(MetaValue);

impl Field<'_> for MetaValue {
    const EXPECTED: &'static str = "a string";

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self(Some(value.to_string())))
    }
    fn from_integer(value: i64) -> Option<Self> {
        Some(Self(Some(value.to_string())))
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(clean(text)))
    }
}

/// An object, where there is one.
#[derive(Debug)]
pub(super) struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Default> Maybe<T> {
    /// The object, or one in which nothing is said.
    pub(super) fn or_empty(self) -> T {
        self.0.unwrap_or_default()
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for Maybe<T> {
    const EXPECTED: &'static str = "an object";

    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Self(Some(object)))
    }
}

/// A list: Stripe's paged `{data, has_more}`, a plain array, or null.
#[derive(Debug)]
pub(super) struct List<T> {
    /// What is shown.
    pub data: Vec<T>,
    /// Whether there is more than is shown.
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { data: Vec::new(), has_more: false }
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for List<T> {
    const EXPECTED: &'static str = "a list";

    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let data = Vec::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Self { data, has_more: false })
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Deserialize)]
        #[serde(default, bound(deserialize = "T: Deserialize<'de>"))]
        struct Page<T> {
            data: Items<T>,
            has_more: Flag,
        }
        impl<T> Default for Page<T> {
            fn default() -> Self {
                Self { data: Items::default(), has_more: Flag::default() }
            }
        }
        let page = Page::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self { data: page.data.0, has_more: page.has_more.is_set() })
    }
}

/// The array within a paged list.
struct Items<T>(Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Field<'de> for Items<T> {
    const EXPECTED: &'static str = "a list";

    fn from_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Self)
    }
}

#[cfg(test)]
#[path = "field_tests.rs"]
mod tests;
