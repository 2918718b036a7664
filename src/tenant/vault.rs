//! The vault: seals a company's provider keys, and opens one only for the company and the row it was sealed for.
//!
//! It never prints a key, never hands out a master key, and never says why a key did not open.
//!
//! Sealed form: version (1 byte) ‖ master key number (2, big endian) ‖ nonce (12) ‖ AES-256-GCM ciphertext and tag.
//! The AES key is HKDF-SHA-256 (RFC 5869) of that master key for the company and the purpose; the associated data names
//! version, company, row, field and master key number, so that what was sealed stays shut wherever else it is moved.

pub(crate) mod opens;
mod rewrap;

use std::net::IpAddr;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::rows::hex;
use super::{TenantScope, required, secret_bytes};
use crate::config::ConfigError;
use crate::error::Error;
use crate::ids::{CompanyId, ProviderId, UserId, VisitorId, WebhookId};
use crate::knockout::{Wall, stands};
use crate::providers::Kind;

pub use rewrap::{Rewrap, Wrapped, master_of};

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
        self.seal(Kept::ProviderKey(provider), key.as_bytes()).map(SealedKey)
    }

    /// Opens a provider key of this company. The row says whose it is, and that is checked before the vault is asked.
    ///
    /// # Errors
    /// [`Error::Internal`] when the row is another company's, the sealed key does not open, or this request has opened
    /// as many as one may; all of them are alarms.
    pub fn key_open(
        &self,
        owner: CompanyId,
        provider: ProviderId,
        sealed: &SealedKey,
    ) -> Result<LlmKey, Error> {
        if owner != self.company.id && stands(Wall::ProviderOwner) {
            return Err(Error::Internal("vault: a provider of another company reached this turn".into()));
        }
        self.opening()?;
        let ring = &self.app.config.secrets.master_keys;
        ring.open_key(self.company.id, provider, &sealed.0)
            .ok_or_else(|| Error::Internal("vault: a sealed key does not open".into()))
    }

    /// What a provider key may be recognised by: equal for equal keys of this company, and nothing to anybody who does
    /// not have the key. 12 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no master key.
    pub fn key_fingerprint(&self, key: &str) -> Result<String, Error> {
        self.app.config.secrets.master_keys.fingerprint(self.company.id, key)
    }

    /// Seals the answer to a request that may come again, for this company and the hash of that request's key.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cipher fails.
    pub(crate) fn answer_seal(&self, key_hash: &[u8; 32], answer: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal(Kept::Answer(key_hash), answer)
    }

    /// Opens such an answer; `None` when it does not open, as after its master key was dropped.
    pub(crate) fn answer_open(&self, key_hash: &[u8; 32], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.app.config.secrets.master_keys.open(self.company.id, Kept::Answer(key_hash), sealed)
    }

    /// Seals the secret with which the company's server signs who its visitors are.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cipher fails.
    pub(crate) fn identity_seal(&self, secret: &str) -> Result<Vec<u8>, Error> {
        self.seal(Kept::IdentitySecret, secret.as_bytes())
    }

    /// Opens that secret; `None` when it does not open, as after its master key was dropped.
    pub(super) fn identity_open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.app.config.secrets.master_keys.open(self.company.id, Kept::IdentitySecret, sealed)
    }

    /// Seals what a person's codes are made from.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cipher fails.
    pub(crate) fn totp_seal(&self, user: UserId, secret: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal(Kept::TotpSecret(user), secret)
    }

    /// Opens that; `None` when it does not open, as after its master key was dropped.
    pub(crate) fn totp_open(&self, user: UserId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.app.config.secrets.master_keys.open(self.company.id, Kept::TotpSecret(user), sealed)
    }

    /// Seals what a webhook's deliveries are signed with.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cipher fails.
    pub(crate) fn webhook_seal(&self, webhook: WebhookId, secret: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal(Kept::WebhookSecret(webhook), secret)
    }

    /// Opens that; `None` when it does not open, as after its master key was dropped.
    pub(crate) fn webhook_open(&self, webhook: WebhookId, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.app.config.secrets.master_keys.open(self.company.id, Kept::WebhookSecret(webhook), sealed)
    }

    fn seal(&self, what: Kept<'_>, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE];
        self.platform.fill_random(&mut nonce);
        let ring = &self.app.config.secrets.master_keys;
        ring.seal(self.company.id, what, text, nonce)
            .ok_or_else(|| Error::Internal("vault: a text could not be sealed".into()))
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
        crate::fields::Bytes::deserialize(deserializer).map(|bytes| Self(bytes.0))
    }
}

/// What is sealed, and in which row it is kept.
#[derive(Clone, Copy)]
enum Kept<'a> {
    /// The key of a provider.
    ProviderKey(ProviderId),
    /// The answer to the request whose key has this hash.
    Answer(&'a [u8; 32]),
    /// The secret with which the company's server signs who its visitors are: one a company.
    IdentitySecret,
    /// What a person's codes are made from.
    TotpSecret(UserId),
    /// What a webhook's deliveries are signed with.
    WebhookSecret(WebhookId),
}

impl Kept<'_> {
    /// Part of what the cipher's key is derived from.
    fn purpose(self) -> &'static str {
        match self {
            Self::ProviderKey(_) => "provider-key",
            Self::Answer(_) => "idempotent-answer",
            Self::IdentitySecret => "identity-secret",
            Self::TotpSecret(_) => "totp-secret",
            Self::WebhookSecret(_) => "webhook-secret",
        }
    }

    /// Row and field, part of the associated data.
    fn place(self) -> String {
        match self {
            Self::ProviderKey(provider) => format!("provider/{provider}/field/api_key"),
            Self::Answer(key_hash) => format!("idempotency/{}/field/answer", hex(key_hash)),
            Self::IdentitySecret => "widget/field/identity_secret".into(),
            Self::TotpSecret(user) => format!("user/{user}/field/totp_secret"),
            Self::WebhookSecret(webhook) => format!("webhook/{webhook}/field/secret"),
        }
    }
}

const VERSION: u8 = 1;
const NONCE: usize = 12;
/// Version, master key number, nonce.
const HEAD: usize = 1 + 2 + NONCE;
/// Bytes of a fingerprint: enough to tell a company's few keys apart, too few to be of other use.
const FINGERPRINT: usize = 6;

/// The master keys, newest first (`MASTER_KEYS`, `number:key,number:key`): the first seals, all of them open.
pub(super) struct MasterKeys(Vec<(u16, Zeroizing<[u8; 32]>)>);

impl MasterKeys {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let wrong = ConfigError("MASTER_KEYS", "is not a list of number:key, each key 32 bytes in base64url");
        let keys: Vec<(u16, _)> = required(get, "MASTER_KEYS")?
            .split(',')
            .map(|pair| {
                let (number, key) = pair.trim().split_once(':')?;
                Some((number.parse().ok()?, secret_bytes(key)?))
            })
            .collect::<Option<_>>()
            .ok_or(wrong)?;
        let mut numbers: Vec<u16> = keys.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() < keys.len() {
            return Err(ConfigError("MASTER_KEYS", "has two keys of one number"));
        }
        Ok(Self(keys))
    }

    fn seal(&self, company: CompanyId, what: Kept<'_>, text: &[u8], nonce: [u8; NONCE]) -> Option<Vec<u8>> {
        let (number, master) = self.0.first()?;
        let aad = associated_data(company, what, *number);
        let payload = Payload { msg: text, aad: aad.as_bytes() };
        let sealed = cipher(master, company, what)?.encrypt(&Nonce::from(nonce), payload).ok()?;
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Some(bytes)
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

    /// A keyed digest of a company's key, so short that it only tells keys apart.
    fn fingerprint(&self, company: CompanyId, key: &str) -> Result<String, Error> {
        let digest = self.digest(&format!("bulkhead/key-fingerprint/{company}"), key)?;
        Ok(hex(digest.get(..FINGERPRINT).unwrap_or_default()))
    }

    fn open_key(&self, company: CompanyId, provider: ProviderId, sealed: &[u8]) -> Option<LlmKey> {
        let opened = self.open(company, Kept::ProviderKey(provider), sealed)?;
        Some(LlmKey(Zeroizing::new(String::from_utf8(opened.to_vec()).ok()?)))
    }

    fn open(&self, company: CompanyId, what: Kept<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (number, nonce, message) = parts(sealed)?;
        let (_, master) = self.0.iter().find(|(other, _)| *other == number)?;
        let aad = associated_data(company, what, number);
        let payload = Payload { msg: message, aad: aad.as_bytes() };
        cipher(master, company, what)?.decrypt(&Nonce::from(nonce), payload).ok().map(Zeroizing::new)
    }
}

/// Master key number, nonce, and ciphertext with tag.
fn parts(sealed: &[u8]) -> Option<(u16, [u8; NONCE], &[u8])> {
    let (head, message) = sealed.split_at_checked(HEAD)?;
    let (&version, rest) = head.split_first()?;
    let (number, nonce) = rest.split_first_chunk::<2>()?;
    (version == VERSION).then_some(())?;
    Some((u16::from_be_bytes(*number), nonce.try_into().ok()?, message))
}

/// The cipher of one company under one master key, for one purpose.
fn cipher(master: &[u8; 32], company: CompanyId, what: Kept<'_>) -> Option<Aes256Gcm> {
    let mut key = Zeroizing::new([0; 32]);
    let info =
        if stands(Wall::Seal) { format!("bulkhead/{}/{company}", what.purpose()) } else { String::new() };
    Hkdf::<Sha256>::new(None, master).expand(info.as_bytes(), key.as_mut()).ok()?;
    Aes256Gcm::new_from_slice(key.as_ref()).ok()
}

fn associated_data(company: CompanyId, what: Kept<'_>, number: u16) -> String {
    if !stands(Wall::Seal) {
        return String::new();
    }
    format!("bulkhead/v{VERSION}/company/{company}/{}/master/{number}", what.place())
}

#[cfg(test)]
mod tests;
