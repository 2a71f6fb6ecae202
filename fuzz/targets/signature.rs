//! The `Stripe-Signature` header: `HEADER\nBODY`.

use crate::domain::Time;
use crate::stripe::signature::{Secrets, SignatureError, TOLERANCE_SECONDS, sign, verify};

const SECRET: &str = "whsec_fuzz";
const NOW: i64 = 1_790_000_000;

/// Nobody gets in without the secret; with it, whatever else stands in the header cannot keep one out.
pub fn run(bytes: &[u8]) {
    let Some(now) = Time::from_timestamp(NOW, 0) else { return };
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let (header, body) = line.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 1..]));
    let Ok(header) = std::str::from_utf8(header) else { return };

    let secrets = Secrets::parse(SECRET);
    let answer = secrets.verify(header, body, now);
    assert_eq!(answer, verify(&[SECRET], header, body, now), "kept secrets and others answer alike");
    assert_eq!(
        verify(&["", " "], header, body, now).err(),
        verify(&[""; 0], header, body, now).err(),
        "an empty secret is none"
    );

    let signed = sign(SECRET, NOW, body);
    assert_eq!(secrets.verify(&signed, body, now), Ok(()), "what was signed verifies");
    if answer.is_ok() {
        let written = header.split(',').find_map(|item| item.trim().strip_prefix("t=")).unwrap_or_default();
        let seconds: i64 = written.parse().expect("a signed header has a time");
        let proof = sign(SECRET, seconds, body);
        let proof = proof.rsplit_once("v1=").map(|(_, proof)| proof).unwrap_or_default();
        // Whoever has the secret may have signed a time that is written with zeros in front.
        assert!(header.contains(proof) || written != seconds.to_string(), "only by the secret");
        assert!(NOW - seconds <= TOLERANCE_SECONDS, "in time");
    }

    // The first time counts, and any signature may be the right one.
    assert_eq!(secrets.verify(&format!("{signed},{header}"), body, now), Ok(()), "what follows does no harm");
    let mut other = body.to_vec();
    other.push(b' ');
    assert_eq!(secrets.verify(&signed, &other, now), Err(SignatureError::NoMatch), "the body is signed");
    let late = Time::from_timestamp(NOW + TOLERANCE_SECONDS + 1, 0).unwrap_or(now);
    assert!(matches!(secrets.verify(&signed, body, late), Err(SignatureError::TooOld { .. })), "in time");
}
