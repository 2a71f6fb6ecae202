//! The number of an object's shape: the same event in another API version has another one, a redelivery the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::outer::Slot;

/// What stands under `object`, without its values: a word, or which fields of the object are not null.
pub(super) enum Outline {
    /// A word.
    Word(String),
    /// An object's field names, combined so that their order does not matter.
    Fields(u64),
    /// Neither.
    Other,
}

impl Outline {
    /// A stable, positive 63-bit number of these fields in this API version.
    pub(super) fn shape(&self, api_version: Option<&str>) -> i64 {
        let fields = if let Self::Fields(fields) = self { *fields } else { 0 };
        // The version is set apart from a field of the same name by a byte that no name begins with.
        let version = hash(api_version.unwrap_or_default().as_bytes(), fnv(b"\0", FNV_OFFSET));
        i64::try_from(fields.wrapping_add(version) >> 1).expect("63 bits fit")
    }
}

impl Slot<'_> for Outline {
    fn word(&self) -> Option<&str> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }
    fn is_object(&self) -> bool {
        matches!(self, Self::Fields(_))
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// FNV-1a, mixed once more (as in `SplitMix64`), because sums of plain FNV values of similar names can meet.
fn hash(bytes: &[u8], start: u64) -> u64 {
    let mut hash = fnv(bytes, start);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The hash of a field's name.
struct Name(u64);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(hash(name.as_bytes(), FNV_OFFSET)))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OutlineVisitor;
        impl<'de> Visitor<'de> for OutlineVisitor {
            type Value = Outline;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E: Error>(self) -> Result<Outline, E> {
                Ok(Outline::Other)
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Outline, E> {
                Ok(Outline::Other)
            }
            fn visit_i64<E: Error>(self, _: i64) -> Result<Outline, E> {
                Ok(Outline::Other)
            }
            fn visit_u64<E: Error>(self, _: u64) -> Result<Outline, E> {
                Ok(Outline::Other)
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Outline, E> {
                Ok(Outline::Other)
            }
            fn visit_str<E: Error>(self, word: &str) -> Result<Outline, E> {
                Ok(Outline::Word(word.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outline, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Outline::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
                let mut fields = 0_u64;
                while let Some((Name(name), value)) = map.next_entry::<Name, Option<IgnoredAny>>()? {
                    if value.is_some() {
                        fields = fields.wrapping_add(name);
                    }
                }
                Ok(Outline::Fields(fields))
            }
        }
        deserializer.deserialize_any(OutlineVisitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{BytesDeserializer, Error};

    use super::*;

    fn refusal<'de, T: Deserialize<'de>>() -> String {
        T::deserialize(BytesDeserializer::<Error>::new(b"")).err().unwrap().to_string()
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert_eq!(refusal::<Name>(), "invalid type: byte array, expected a field name");
        assert_eq!(refusal::<Outline>(), "invalid type: byte array, expected any value");
    }
}
