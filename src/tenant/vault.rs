//! The vault: seals a company's provider keys, and opens one only for the company and the row it was sealed for.
//!
//! It never prints a key, never hands out a master key, and never says why a key did not open.
//!
//! Sealed form: version (1 byte) ‖ master key number (2, big endian) ‖ nonce (12) ‖ AES-256-GCM ciphertext and tag.
//! The AES key is HKDF-SHA-256 (RFC 5869) of that master key for the company; the associated data names version,
//! company, provider row, field and master key number, so that a sealed key moved anywhere else stays shut.

use std::net::IpAddr;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{TenantScope, required, secret_bytes};
use crate::config::ConfigError;
use crate::error::Error;
use crate::ids::{CompanyId, ProviderId, VisitorId};
use crate::knockout::{Wall, stands};
use crate::providers::Kind;

/// A provider key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey(Vec<u8>);

/// A provider key in the clear: for one request, then gone. It has no `Debug` and no `Clone`.
pub struct LlmKey(Zeroizing<String>);

impl TenantScope {
    /// Seals a provider key for this company and this row, under the newest master key.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cipher fails, which it does not for keys of any sensible length.
    pub fn key_seal(&self, provider: ProviderId, key: &str) -> Result<SealedKey, Error> {
        let mut nonce = [0; NONCE];
        self.platform.fill_random(&mut nonce);
        let ring = &self.app.config.secrets.master_keys;
        ring.seal(self.company.id, provider, key, nonce)
            .ok_or_else(|| Error::Internal("vault: a key could not be sealed".into()))
    }

    /// Opens a provider key of this company. The row says whose it is, and that is checked before the vault is asked.
    ///
    /// # Errors
    /// [`Error::Internal`] when the row is another company's or the sealed key does not open; both are alarms.
    pub fn key_open(
        &self,
        owner: CompanyId,
        provider: ProviderId,
        sealed: &SealedKey,
    ) -> Result<LlmKey, Error> {
        if owner != self.company.id && stands(Wall::ProviderOwner) {
            return Err(Error::Internal("vault: a provider of another company reached this turn".into()));
        }
        let ring = &self.app.config.secrets.master_keys;
        ring.open(self.company.id, provider, sealed)
            .ok_or_else(|| Error::Internal("vault: a sealed key does not open".into()))
    }
}

/// The operator's own model keys (`PLATFORM_OPENAI_KEY`, `PLATFORM_ANTHROPIC_KEY`), for companies whose plan and settings
/// allow them. None by default.
pub(super) struct PlatformKeys(Vec<(Kind, Zeroizing<String>)>);

impl PlatformKeys {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Self {
        let names = [(Kind::OpenAi, "PLATFORM_OPENAI_KEY"), (Kind::Anthropic, "PLATFORM_ANTHROPIC_KEY")];
        Self(names.into_iter().filter_map(|(kind, name)| Some((kind, Zeroizing::new(get(name)?)))).collect())
    }
}

impl TenantScope {
    /// The kinds of provider for which the operator has a key of its own.
    #[must_use]
    pub fn platform_kinds(&self) -> Vec<String> {
        let keys = &self.app.config.secrets.platform_keys.0;
        keys.iter().map(|(kind, _)| kind.as_str().to_owned()).collect()
    }

    /// The operator's own key for a kind of provider. That this company may use it was decided by the statement that
    /// listed the model.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is none.
    pub fn platform_key(&self, kind: Kind) -> Result<LlmKey, Error> {
        let keys = &self.app.config.secrets.platform_keys.0;
        let key = keys.iter().find(|(other, _)| *other == kind);
        key.map(|(_, key)| LlmKey(key.clone()))
            .ok_or_else(|| Error::Internal("vault: the operator has no key of this kind".into()))
    }

    /// Stands for a network address for a day, to count by: of no use to whoever reads Redis. An IPv6 address counts as its
    /// network, since its owner has as many addresses there as they like.
    #[must_use]
    pub fn address_hash(&self, address: IpAddr) -> Option<String> {
        let network = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => address
                .segments()
                .iter()
                .take(4)
                .fold(String::new(), |text, segment| format!("{text}{segment:x}:")),
        };
        let text = format!("{}/{}/{network}", self.company.id, self.day(self.platform.now_ms()));
        let digest = self.app.config.secrets.master_keys.digest("bulkhead/address", &text).ok()?;
        let (short, _) = digest.split_at(12);
        Some(Base64UrlUnpadded::encode_string(short))
    }

    /// A digest of what a visitor calls a request of theirs, by which it is known again.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no master key.
    pub fn request_hash(&self, visitor: VisitorId, key: &str) -> Result<[u8; 32], Error> {
        let text = format!("{}/{visitor}/{key}", self.company.id);
        self.app.config.secrets.master_keys.digest("bulkhead/request", &text)
    }
}

impl SealedKey {
    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl LlmKey {
    /// The key itself, for the request that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for SealedKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = SealedKey;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<SealedKey, E> {
                Ok(SealedKey(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

const VERSION: u8 = 1;
const NONCE: usize = 12;
/// Version, master key number, nonce.
const HEAD: usize = 1 + 2 + NONCE;

/// The master keys, newest first (`MASTER_KEYS`, `number:key,number:key`): the first seals, all of them open.
pub(super) struct MasterKeys(Vec<(u16, Zeroizing<[u8; 32]>)>);

impl MasterKeys {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let wrong = ConfigError("MASTER_KEYS", "is not a list of number:key, each key 32 bytes in base64url");
        let keys = required(get, "MASTER_KEYS")?
            .split(',')
            .map(|pair| {
                let (number, key) = pair.trim().split_once(':')?;
                Some((number.parse().ok()?, secret_bytes(key)?))
            })
            .collect::<Option<_>>()
            .ok_or(wrong)?;
        Ok(Self(keys))
    }

    fn seal(
        &self,
        company: CompanyId,
        provider: ProviderId,
        key: &str,
        nonce: [u8; NONCE],
    ) -> Option<SealedKey> {
        let (number, master) = self.0.first()?;
        let aad = associated_data(company, provider, *number);
        let payload = Payload { msg: key.as_bytes(), aad: aad.as_bytes() };
        let sealed = cipher(master, company)?.encrypt(&Nonce::from(nonce), payload).ok()?;
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Some(SealedKey(bytes))
    }

    /// 32 bytes that follow from the newest master key and this text: a pseudo-random function of it (RFC 5869, section 2.3).
    pub(super) fn digest(&self, purpose: &str, text: &str) -> Result<[u8; 32], Error> {
        let mut digest = [0; 32];
        let info = [purpose.as_bytes(), &Sha256::digest(text.as_bytes())];
        self.0
            .first()
            .and_then(|(_, master)| {
                Hkdf::<Sha256>::new(None, &master[..]).expand_multi_info(&info, &mut digest).ok()
            })
            .ok_or_else(|| Error::Internal("vault: a digest could not be made".into()))?;
        Ok(digest)
    }

    fn open(&self, company: CompanyId, provider: ProviderId, sealed: &SealedKey) -> Option<LlmKey> {
        let (head, message) = sealed.0.split_at_checked(HEAD)?;
        let (&version, rest) = head.split_first()?;
        let (number, nonce) = rest.split_first_chunk::<2>()?;
        let nonce: [u8; NONCE] = nonce.try_into().ok()?;
        let number = u16::from_be_bytes(*number);
        if version != VERSION {
            return None;
        }
        let (_, master) = self.0.iter().find(|(other, _)| *other == number)?;
        let aad = associated_data(company, provider, number);
        let payload = Payload { msg: message, aad: aad.as_bytes() };
        let opened = cipher(master, company)?.decrypt(&Nonce::from(nonce), payload).ok()?;
        Some(LlmKey(Zeroizing::new(String::from_utf8(opened).ok()?)))
    }
}

/// The cipher of one company under one master key.
fn cipher(master: &[u8; 32], company: CompanyId) -> Option<Aes256Gcm> {
    let mut key = Zeroizing::new([0; 32]);
    let info = if stands(Wall::Seal) { format!("bulkhead/provider-key/{company}") } else { String::new() };
    Hkdf::<Sha256>::new(None, master).expand(info.as_bytes(), key.as_mut()).ok()?;
    Aes256Gcm::new_from_slice(key.as_ref()).ok()
}

fn associated_data(company: CompanyId, provider: ProviderId, number: u16) -> String {
    if !stands(Wall::Seal) {
        return String::new();
    }
    format!("bulkhead/v{VERSION}/company/{company}/provider/{provider}/field/api_key/master/{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(numbers: &[u8]) -> MasterKeys {
        let pair = |n: &u8| format!("{n}:{}", Base64UrlUnpadded::encode_string(&[*n; 32]));
        let text = numbers.iter().map(pair).collect::<Vec<_>>().join(",");
        MasterKeys::parse(&|_| Some(text.clone())).unwrap()
    }

    fn company(n: u8) -> CompanyId {
        format!("01890a5d-ac96-774b-bcce-b302099a80{n:02x}").parse().unwrap()
    }

    fn provider(n: u8) -> ProviderId {
        format!("01890a5d-ac96-774b-bcce-b302099a81{n:02x}").parse().unwrap()
    }

    #[test]
    fn a_key_opens_where_it_was_sealed_and_nowhere_else() {
        let ring = ring(&[1]);
        let sealed = ring.seal(company(1), provider(1), "a provider key", [9; 12]).unwrap();
        assert_eq!(ring.open(company(1), provider(1), &sealed).unwrap().expose(), "a provider key");
        assert!(ring.open(company(2), provider(1), &sealed).is_none(), "another company");
        assert!(ring.open(company(1), provider(2), &sealed).is_none(), "another provider");
        assert!(self::ring(&[2]).open(company(1), provider(1), &sealed).is_none(), "another master key");
    }

    #[test]
    fn every_flipped_byte_keeps_it_shut() {
        let ring = ring(&[1, 0]);
        let sealed = ring.seal(company(1), provider(1), "a provider key", [9; 12]).unwrap();
        for at in 0..sealed.0.len() {
            let mut flipped = sealed.clone();
            flipped.0[at] ^= 1;
            assert!(ring.open(company(1), provider(1), &flipped).is_none(), "byte {at}");
            assert!(ring.open(company(1), provider(1), &SealedKey(sealed.0[..at].to_vec())).is_none());
        }
    }

    #[test]
    fn master_keys_rotate() {
        let sealed = ring(&[1]).seal(company(1), provider(1), "old", [9; 12]).unwrap();
        let both = ring(&[2, 1]);
        assert_eq!(both.open(company(1), provider(1), &sealed).unwrap().expose(), "old");
        let fresh = both.seal(company(1), provider(1), "new", [8; 12]).unwrap();
        assert!(ring(&[1]).open(company(1), provider(1), &fresh).is_none());
        assert_eq!(ring(&[2]).open(company(1), provider(1), &fresh).unwrap().expose(), "new");
    }

    #[test]
    fn a_sealed_key_moved_to_any_other_place_stays_shut() {
        let ring = ring(&[2, 1]);
        let sealed = ring.seal(company(1), provider(1), "a provider key", [9; 12]).unwrap();
        let opens =
            |company, provider, bytes: Vec<u8>| ring.open(company, provider, &SealedKey(bytes)).is_some();
        assert!(opens(company(1), provider(1), sealed.0.clone()), "the control");
        for n in 2..=64 {
            assert!(!opens(company(n), provider(1), sealed.0.clone()), "company {n}");
            assert!(!opens(company(1), provider(n), sealed.0.clone()), "provider {n}");
            assert!(!opens(company(n), provider(n), sealed.0.clone()), "company and provider {n}");
        }
        // Under another version or master key number in its head, a known one too, it is not what was sealed.
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            let mut moved = sealed.0.clone();
            moved[0] = version;
            assert!(!opens(company(1), provider(1), moved), "version {version}");
        }
        for number in (0..=u16::MAX).filter(|number| *number != 2) {
            let mut moved = sealed.0.clone();
            moved[1..3].copy_from_slice(&number.to_be_bytes());
            assert!(!opens(company(1), provider(1), moved), "master key {number}");
        }
        // The same key sealed for another field under the very same derived key.
        let elsewhere = associated_data(company(1), provider(1), 2).replace("field/api_key", "field/webhook");
        let payload = Payload { msg: b"a provider key", aad: elsewhere.as_bytes() };
        let mut other = sealed.0[..HEAD].to_vec();
        other.extend(cipher(&[2; 32], company(1)).unwrap().encrypt(&Nonce::from([9; 12]), payload).unwrap());
        assert!(!opens(company(1), provider(1), other), "another field");
    }

    /// Project Wycheproof's AES-GCM vectors, through the very type that seals; those for other sizes are not ours to open.
    #[test]
    fn wycheproof() {
        use wycheproof::{TestResult, aead};
        let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
        let (mut good, mut bad) = (0, 0);
        let ours =
            |group: &&aead::TestGroup| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128);
        for test in set.test_groups.iter().filter(ours).flat_map(|group| &group.tests) {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce = Nonce::from(<[u8; NONCE]>::try_from(test.nonce.as_slice()).unwrap());
            let sealed = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
            match test.result {
                TestResult::Valid | TestResult::Acceptable => {
                    assert_eq!(opened.as_deref(), Ok(test.pt.as_slice()), "vector {}", test.tc_id);
                    let again = cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap();
                    assert_eq!(again, sealed, "vector {}", test.tc_id);
                    good += 1;
                }
                TestResult::Invalid => {
                    assert!(opened.is_err(), "vector {}", test.tc_id);
                    bad += 1;
                }
            }
        }
        assert!(good >= 30 && bad >= 20, "only {good} good and {bad} bad vectors");
    }
}
