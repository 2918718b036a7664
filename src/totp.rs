//! Time-based one-time codes (RFC 6238, over RFC 4226): SHA-1, six digits, a new one each 30 seconds, as every app makes them.
//!
//! It never keeps anything: which codes were taken is for [`crate::two_step`] to know.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Seconds of a step.
const STEP_S: u64 = 30;
/// Bytes of a secret (RFC 4226, section 4, requirement 6).
pub const SECRET_BYTES: usize = 20;

/// The step that a time is in.
#[must_use]
pub const fn step(now_ms: u64) -> u64 {
    now_ms / (STEP_S * 1_000)
}

/// The code of a step (RFC 4226, section 5.3), six digits.
#[must_use]
pub fn code(secret: &[u8], step: u64) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return String::new() };
    mac.update(&step.to_be_bytes());
    let digest: [u8; 20] = mac.finalize().into_bytes().into();
    let at = usize::from(digest.last().copied().unwrap_or(0) & 0x0f);
    let four = digest.iter().skip(at).take(4);
    let number = four.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The step whose code this is: the present one, the one before or the one after, for clocks that differ, and later than the last
/// one that was taken.
#[must_use]
pub fn matching(secret: &[u8], now_ms: u64, last: u64, given: &str) -> Option<u64> {
    let now = step(now_ms);
    (now.saturating_sub(1)..=now + 1).filter(|step| *step > last).find(|step| {
        let code = code(secret, *step);
        // All digits are compared, so that the time it takes says nothing of them.
        code.len() == given.len()
            && code.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    })
}

/// A secret as people and apps write it: base32 (RFC 4648) without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (0..bytes.len() * 8)
        .step_by(5)
        .filter_map(|at| {
            let five = (at..at + 5).fold(0, |five, at| five << 1 | bit(at));
            ALPHABET.get(usize::from(five)).map(|letter| char::from(*letter))
        })
        .collect()
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_4226_appendix_d() {
        for (step, expected) in [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(code(SECRET, step as u64), expected, "{step}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // Its table has eight digits; ours are the last six of them.
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(SECRET, step(seconds * 1_000)), expected, "{seconds}");
        }
    }

    #[test]
    fn one_step_of_drift_and_each_code_once() {
        let now_ms = 1_111_111_111_000;
        let now = step(now_ms);
        let taken = |step: u64, last: u64| matching(SECRET, now_ms, last, &code(SECRET, step));
        for step in [now - 1, now, now + 1] {
            assert_eq!(taken(step, 0), Some(step));
            assert_eq!(taken(step, step - 1), Some(step));
            assert_eq!(taken(step, step), None, "taken before");
        }
        for step in [now - 2, now + 2] {
            assert_eq!(taken(step, 0), None);
        }
        for wrong in ["", "000000", "05047", "0504711", "05047１"] {
            assert_eq!(matching(SECRET, now_ms, 0, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648_section_10() {
        for (text, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), expected);
        }
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
