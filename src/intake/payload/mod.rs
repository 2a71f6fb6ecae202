//! How bodies are kept: compressed in the process, because writing fewer bytes helps both engines.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// As it came.
const RAW: i64 = 0;
/// Zstandard.
const ZSTD: i64 = 1;
/// Zstandard with [`EVENTS`].
const ZSTD_EVENTS: i64 = 2;
/// Faster than the first level by a third, for a ninth more bytes; the levels beyond cost more time than they save.
const LEVEL: i32 = -1;
/// No event is larger than this; a stored size beyond it is damage, not data.
const LARGEST: usize = 64 * 1024 * 1024;

/// What Stripe's events have in common, so that a body need not repeat it: a ninth is left of them instead of a third. Made
/// of the simulated merchant's events in all shapes and of the fixtures, by `zstd --train --maxdict=32768 --dictID=1`.
/// Whatever is stored was packed with it: another one gets a codec of its own, and this one stays.
static EVENTS: &[u8] = include_bytes!("events.1.dict");
static PACKING: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(EVENTS, LEVEL));
static UNPACKING: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(EVENTS));

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static PLAIN: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The stored body cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored body cannot be read back: {0}")]
pub struct Damaged(String);

/// A body as it is stored, and its codec.
pub fn pack(body: &[u8]) -> (Vec<u8>, i64) {
    let packed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::with_prepared_dictionary(&PACKING).ok();
        }
        slot.as_mut().and_then(|compressor| compressor.compress(body).ok())
    });
    match packed {
        // What compressing reserved for the worst case would be held until the body is on disk.
        Some(packed) if packed.len() < body.len() => (packed.as_slice().to_vec(), ZSTD_EVENTS),
        _ => (body.to_vec(), RAW),
    }
}

/// A stored body as it came.
pub fn unpack(stored: &[u8], codec: i64) -> Result<Vec<u8>, Damaged> {
    match codec {
        RAW => Ok(stored.to_vec()),
        ZSTD => PLAIN.with_borrow_mut(|slot| unpack_zstd(stored, slot, Decompressor::new)),
        ZSTD_EVENTS => DECOMPRESSOR
            .with_borrow_mut(|slot| unpack_zstd(stored, slot, || Decompressor::with_prepared_dictionary(&UNPACKING))),
        other => Err(Damaged(format!("codec {other} is not known to this release"))),
    }
}

fn unpack_zstd(
    stored: &[u8],
    slot: &mut Option<Decompressor<'static>>,
    new: impl FnOnce() -> std::io::Result<Decompressor<'static>>,
) -> Result<Vec<u8>, Damaged> {
    let size = Decompressor::<'static>::upper_bound(stored)
        .filter(|size| *size <= LARGEST)
        .ok_or_else(|| Damaged("it does not say a plausible size".to_owned()))?;
    let decompressor = match slot {
        Some(decompressor) => decompressor,
        None => slot.insert(new().map_err(|error| Damaged(error.to_string()))?),
    };
    decompressor.decompress(stored, size).map_err(|error| Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_as_they_were() {
        for body in [Vec::new(), b"{}".to_vec(), br#"{"id": "evt_1"}"#.repeat(1000)] {
            let (packed, codec) = pack(&body);
            assert!(packed.len() <= body.len());
            assert_eq!(unpack(&packed, codec).unwrap(), body);
        }
    }

    /// Writes the samples of which the dictionary is made, one a file:
    /// `SAMPLES=folder cargo test samples_for_the_dictionary -- --ignored`.
    #[test]
    #[ignore = "it makes files, to be read by `zstd --train`"]
    fn samples_for_the_dictionary() {
        use crate::sample::dress::Dresser;
        use crate::sample::{Options, Shape, stream};
        let folder = std::path::PathBuf::from(std::env::var("SAMPLES").unwrap());
        let dresser = Dresser::default();
        for shape in Shape::ALL {
            for (number, body) in stream::bodies(&Options::new(7), shape).take(4_000).enumerate() {
                std::fs::write(folder.join(format!("{shape:?}-{number}")), dresser.dress(&body)).unwrap();
            }
        }
    }

    /// Whatever is stored was packed with it.
    #[test]
    fn the_dictionary_never_changes() {
        use sha2::{Digest, Sha256};
        assert_eq!(
            hex::encode(Sha256::digest(EVENTS)),
            "7db7e17ec155111777c1206a3a0fb63b928987730b2d20e5ca6161d1b8c78dbc",
            "a new dictionary is another file, and another codec"
        );
    }

    /// What earlier releases stored.
    #[test]
    fn bodies_without_the_dictionary_are_read() {
        let body = br#"{"id": "evt_1"}"#.repeat(10);
        let packed = zstd::bulk::compress(&body, LEVEL).unwrap();
        assert_eq!(unpack(&packed, ZSTD).unwrap(), body);
    }

    #[test]
    fn damage_is_an_error() {
        let (mut packed, codec) = pack(&b"abc".repeat(100));
        packed.truncate(8);
        assert!(unpack(&packed, codec).is_err());
        assert!(unpack(b"abc", 9).is_err());
        assert!(unpack(b"not compressed", ZSTD).is_err());
        assert!(unpack(b"not compressed", ZSTD_EVENTS).is_err());
    }
}
