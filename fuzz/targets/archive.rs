//! What the bridge wrote once and reads again: the first byte says what it is, the rest is what was kept.

use sha2::{Digest, Sha256};

use crate::domain::statement::{Broken, Frozen, check};
use crate::intake::payload::{pack, unpack};

/// Damage is an error, and what is not damaged is as it was.
pub fn run(bytes: &[u8]) {
    let Some((what, kept)) = bytes.split_first() else { return };
    match what {
        b'0'..=b'9' => body(kept, i64::from(what - b'0')),
        b's' => statement(kept),
        b'f' => {
            let checked = check([kept, kept]);
            assert_eq!(checked.statements.len(), 2);
        }
        _ => {}
    }
}

fn body(kept: &[u8], codec: i64) {
    if let Ok(body) = unpack(kept, codec) {
        let (packed, codec) = pack(&body);
        assert_eq!(unpack(&packed, codec).as_ref(), Ok(&body));
    }
    let (packed, codec) = pack(kept);
    assert_eq!(unpack(&packed, codec).as_deref(), Ok(kept), "what is packed comes back");
}

/// A statement's document; its seal is put under it here, because no fuzzer guesses one.
fn statement(document: &[u8]) {
    let mut file = document.to_vec();
    file.extend_from_slice(format!("\"sha256\":\"{}\"}}\n", hex::encode(Sha256::digest(document))).as_bytes());
    let Ok(frozen) = Frozen::of_document(document.to_vec()) else {
        let checked = check([file.as_slice()]);
        assert!(!checked.is_clean(), "what no release writes is told");
        return;
    };
    assert_eq!(frozen.file(), file);
    let again = Frozen::new(frozen.statement.clone());
    match Frozen::of_file(&file) {
        Ok(proven) => {
            assert_eq!(proven, frozen);
            assert_eq!(again, Ok(frozen), "it is written in one way");
        }
        Err(why) => assert!(why == Broken::NotCanonical && again.ok().as_ref() != Some(&frozen), "{why}"),
    }
    let _ = check([file.as_slice(), file.as_slice()]);
}
