//! How bodies are kept: compressed in the process, because writing fewer bytes helps both engines.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// As it came.
const RAW: i64 = 0;
/// Zstandard.
const ZSTD: i64 = 1;
/// The fastest level: the others cost more time than the bytes they save.
const LEVEL: i32 = 1;
/// No event is larger than this; a stored size beyond it is damage, not data.
const LARGEST: usize = 64 * 1024 * 1024;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
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
            *slot = Compressor::new(LEVEL).ok();
        }
        slot.as_mut().and_then(|compressor| compressor.compress(body).ok())
    });
    match packed {
        Some(packed) if packed.len() < body.len() => (packed, ZSTD),
        _ => (body.to_vec(), RAW),
    }
}

/// A stored body as it came.
pub fn unpack(stored: &[u8], codec: i64) -> Result<Vec<u8>, Damaged> {
    match codec {
        RAW => Ok(stored.to_vec()),
        ZSTD => unpack_zstd(stored),
        other => Err(Damaged(format!("codec {other} is not known to this release"))),
    }
}

fn unpack_zstd(stored: &[u8]) -> Result<Vec<u8>, Damaged> {
    let size = Decompressor::<'static>::upper_bound(stored)
        .filter(|size| *size <= LARGEST)
        .ok_or_else(|| Damaged("it does not say a plausible size".to_owned()))?;
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Decompressor::new().map_err(|error| Damaged(error.to_string()))?);
        }
        let decompressor = slot.as_mut().expect("it was just put there");
        decompressor.decompress(stored, size).map_err(|error| Damaged(error.to_string()))
    })
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

    #[test]
    fn damage_is_an_error() {
        let (mut packed, codec) = pack(&b"abc".repeat(100));
        packed.truncate(8);
        assert!(unpack(&packed, codec).is_err());
        assert!(unpack(b"abc", 9).is_err());
        assert!(unpack(b"not compressed", ZSTD).is_err());
    }
}
