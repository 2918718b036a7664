//! Fernet (<https://github.com/fernet/spec/blob/master/Spec.md>), for keys that another system sealed with it.
//! It only opens: Bulkhead's own seal knows whose a key is, and Fernet's does not.
//!
//! A token is version (1 byte, 0x80) ‖ time (8, seconds, big endian) ‖ IV (16) ‖ AES-128-CBC ciphertext ‖ HMAC-SHA-256 (32).

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Seconds by which the clock that made a token may be ahead, as Fernet's implementations have it.
const SKEW_S: u64 = 60;

/// A Fernet key: 16 bytes to sign with and 16 to encrypt with.
pub struct Key {
    signing: Zeroizing<[u8; 16]>,
    encryption: Zeroizing<[u8; 16]>,
}

/// How old a token may be: at most so many seconds, now.
#[derive(Clone, Copy)]
pub struct Age {
    /// Most seconds since it was made.
    pub most_s: u64,
    /// Now, seconds since the Unix epoch.
    pub now_s: u64,
}

/// Why a token does not open. For whoever holds the key, it may say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no token at all.
    Malformed,
    /// It is too old, or from the future.
    Time,
    /// Another key sealed it, or it was changed.
    Signature,
    /// It was sealed with this key, and still is not what it should be.
    Content,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is no Fernet token",
            Self::Time => "it is older than allowed, or from the future",
            Self::Signature => "it was sealed with another Fernet key, or was changed",
            Self::Content => "what is in it is damaged, or no text",
        })
    }
}

impl Key {
    /// Reads a key: 32 bytes in base64url.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(decode(text)?);
        let (signing, encryption) = bytes.split_first_chunk::<16>()?;
        let encryption = <[u8; 16]>::try_from(encryption).ok()?;
        Some(Self { signing: Zeroizing::new(*signing), encryption: Zeroizing::new(encryption) })
    }

    /// The text in a token.
    pub fn open(&self, token: &str, age: Option<Age>) -> Result<Zeroizing<String>, Refused> {
        let bytes = decode(token).ok_or(Refused::Malformed)?;
        let (signed, signature) = bytes.split_last_chunk::<32>().ok_or(Refused::Malformed)?;
        let (head, rest) = signed.split_first_chunk::<9>().ok_or(Refused::Malformed)?;
        let (iv, ciphertext) = rest.split_first_chunk::<16>().ok_or(Refused::Malformed)?;
        let [0x80, made_s @ ..] = *head else { return Err(Refused::Malformed) };
        let made_s = u64::from_be_bytes(made_s);
        if let Some(Age { most_s, now_s }) = age
            && (made_s.saturating_add(most_s) < now_s || made_s > now_s.saturating_add(SKEW_S))
        {
            return Err(Refused::Time);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.signing[..]).map_err(|_| Refused::Signature)?;
        mac.update(signed);
        // Compares in a time that does not depend on where they differ.
        mac.verify_slice(signature).map_err(|_| Refused::Signature)?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let length = cbc::Decryptor::<Aes128>::new((&*self.encryption).into(), iv.into())
            .decrypt_padded::<Pkcs7>(&mut text)
            .map_err(|_| Refused::Content)?
            .len();
        text.truncate(length);
        String::from_utf8(text.to_vec()).map(Zeroizing::new).map_err(|_| Refused::Content)
    }
}

/// Base64url, with or without its padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text.trim().trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aes::cipher::BlockModeEncrypt as _;
    use serde_json::Value;

    fn vectors(name: &str) -> Vec<Value> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/fernet");
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
        vector[name].as_str().unwrap()
    }

    fn key(vector: &Value) -> Key {
        Key::parse(text(vector, "secret")).unwrap()
    }

    /// The vectors' times are all of one hour: `1985-10-26T01:20:01-07:00`.
    fn now_s(vector: &Value) -> u64 {
        let rest = text(vector, "now").strip_prefix("1985-10-26T01:").unwrap();
        let (minute, second) = rest.strip_suffix("-07:00").unwrap().split_once(':').unwrap();
        499_132_800 + 8 * 3_600 + minute.parse::<u64>().unwrap() * 60 + second.parse::<u64>().unwrap()
    }

    fn open(vector: &Value) -> Result<Zeroizing<String>, Refused> {
        let age = Age { most_s: vector["ttl_sec"].as_u64().unwrap(), now_s: now_s(vector) };
        key(vector).open(text(vector, "token"), Some(age))
    }

    /// Seals as the specification says, for the vectors and for what they leave out.
    fn seal(key: &Key, made_s: u64, iv: [u8; 16], text: &[u8]) -> String {
        let mut bytes = vec![0x80];
        bytes.extend(made_s.to_be_bytes());
        bytes.extend(iv);
        let cipher = cbc::Encryptor::<Aes128>::new((&*key.encryption).into(), (&iv).into());
        let mut padded = text.to_vec();
        padded.resize((text.len() / 16 + 1) * 16, 0);
        bytes.extend_from_slice(cipher.encrypt_padded::<Pkcs7>(&mut padded, text.len()).unwrap());
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.signing[..]).unwrap();
        mac.update(&bytes);
        bytes.extend(mac.finalize().into_bytes());
        base64ct::Base64Url::encode_string(&bytes)
    }

    #[test]
    fn the_official_vectors_that_verify() {
        let vectors = vectors("verify");
        assert!(!vectors.is_empty());
        for vector in &vectors {
            assert_eq!(open(vector).unwrap().as_str(), text(vector, "src"));
        }
    }

    #[test]
    fn the_official_vectors_that_are_invalid() {
        let vectors = vectors("invalid");
        let expected = |desc: &str| match desc {
            "incorrect mac" => Refused::Signature,
            "too short" | "invalid base64" => Refused::Malformed,
            "payload size not multiple of block size" | "payload padding error" => Refused::Content,
            "incorrect IV (causes padding error)" => Refused::Content,
            "far-future TS (unacceptable clock skew)" | "expired TTL" => Refused::Time,
            other => panic!("no rule for {other}"),
        };
        assert_eq!(vectors.len(), 8);
        for vector in &vectors {
            let desc = text(vector, "desc");
            assert_eq!(open(vector).unwrap_err(), expected(desc), "{desc}");
        }
    }

    #[test]
    fn the_official_vectors_that_are_generated() {
        let vectors = vectors("generate");
        assert!(!vectors.is_empty());
        for vector in &vectors {
            let iv: Vec<u8> = serde_json::from_value(vector["iv"].clone()).unwrap();
            let made =
                seal(&key(vector), now_s(vector), iv.try_into().unwrap(), text(vector, "src").as_bytes());
            assert_eq!(made, text(vector, "token"));
            assert_eq!(key(vector).open(&made, None).unwrap().as_str(), text(vector, "src"));
        }
    }

    #[test]
    fn every_length_opens_and_every_flipped_byte_does_not() {
        let key = Key::parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap();
        for length in 0..=70 {
            let word = "k".repeat(length);
            assert_eq!(key.open(&seal(&key, 1, [7; 16], word.as_bytes()), None).unwrap().as_str(), word);
        }
        let token = seal(&key, 1, [7; 16], b"a provider key");
        assert!(key.open(token.trim_end_matches('='), None).is_ok(), "without padding");
        let bytes = decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(key.open(&base64ct::Base64Url::encode_string(&flipped), None).is_err(), "byte {at}");
            assert!(key.open(&base64ct::Base64Url::encode_string(&bytes[..at]), None).is_err());
        }
        assert_eq!(key.open(&seal(&key, 1, [7; 16], &[0xff]), None).unwrap_err(), Refused::Content);
        let other = Key::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        assert_eq!(other.open(&token, None).unwrap_err(), Refused::Signature);
        for bad in ["", "x", "cw_0x689RpI", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4AAAA"] {
            assert!(Key::parse(bad).is_none(), "{bad}");
        }
    }
}
