//! The operator's door to the vault: keys and secrets are sealed again under the newest master key, or for the first time.
//!
//! It never gives a key out, and changes no row: the native tool does that, one company after the other.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Kept, MasterKeys, NONCE, SealedKey, parts};
use crate::config::ConfigError;
use crate::ids::{CompanyId, ProviderId, UserId, WebhookId};
use crate::tenant::rows::hex;

/// The master keys, for an operator who rotates them or brings keys from elsewhere.
pub struct Rewrap(MasterKeys);

/// A provider key as it is to be stored.
pub struct Wrapped {
    /// The key, sealed under the newest master key.
    pub sealed: SealedKey,
    /// What it may be recognised by (see [`TenantScope::key_fingerprint`](crate::tenant::TenantScope::key_fingerprint)).
    pub fingerprint: String,
}

impl Rewrap {
    /// Parses `MASTER_KEYS`; `get` answers the value of a name.
    ///
    /// # Errors
    /// [`ConfigError`] when it is missing or makes no sense; its value is never quoted.
    pub fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        MasterKeys::parse(get).map(Self)
    }

    /// The numbers of the master keys, newest first.
    #[must_use]
    pub fn numbers(&self) -> Vec<u16> {
        self.0.0.iter().map(|(number, _)| *number).collect()
    }

    /// The first bytes of every key that is sealed under the newest master key.
    #[must_use]
    pub fn newest_head(&self) -> Vec<u8> {
        let newest = self.0.0.first().map(|(number, _)| number.to_be_bytes());
        [super::VERSION].into_iter().chain(newest.into_iter().flatten()).collect()
    }

    /// The same key under the newest master key, whichever of them it is under now; `None` when it does not open.
    #[must_use]
    pub fn again(
        &self,
        company: CompanyId,
        provider: ProviderId,
        sealed: &[u8],
        nonce: [u8; NONCE],
    ) -> Option<Wrapped> {
        let key = self.0.open_key(company, provider, sealed)?;
        self.first(company, provider, key.expose(), nonce)
    }

    /// The secret of a company's identities under the newest master key; `None` when it does not open.
    #[must_use]
    pub fn identity_again(&self, company: CompanyId, sealed: &[u8], nonce: [u8; NONCE]) -> Option<Vec<u8>> {
        let secret = self.0.open(company, Kept::IdentitySecret, sealed)?;
        self.0.seal(company, Kept::IdentitySecret, &secret, nonce)
    }

    /// What a person's codes are made from under the newest master key; `None` when it does not open.
    #[must_use]
    pub fn totp_again(
        &self,
        company: CompanyId,
        user: UserId,
        sealed: &[u8],
        nonce: [u8; NONCE],
    ) -> Option<Vec<u8>> {
        let secret = self.0.open(company, Kept::TotpSecret(user), sealed)?;
        self.0.seal(company, Kept::TotpSecret(user), &secret, nonce)
    }

    /// What a webhook's deliveries are signed with under the newest master key; `None` when it does not open.
    #[must_use]
    pub fn webhook_again(
        &self,
        company: CompanyId,
        webhook: WebhookId,
        sealed: &[u8],
        nonce: [u8; NONCE],
    ) -> Option<Vec<u8>> {
        let secret = self.0.open(company, Kept::WebhookSecret(webhook), sealed)?;
        self.0.seal(company, Kept::WebhookSecret(webhook), &secret, nonce)
    }

    /// A key that was never sealed here, for this company and this row; `None` when the cipher fails.
    #[must_use]
    pub fn first(
        &self,
        company: CompanyId,
        provider: ProviderId,
        key: &str,
        nonce: [u8; NONCE],
    ) -> Option<Wrapped> {
        let sealed = self.0.seal(company, Kept::ProviderKey(provider), key.as_bytes(), nonce)?;
        let fingerprint = self.0.fingerprint(company, key).ok()?;
        Some(Wrapped { sealed: SealedKey(sealed), fingerprint })
    }
}

/// Receipts of deletions: what a deployment says of itself, under a key that follows from a master key and is good for that alone.
impl Rewrap {
    /// The number of the newest master key, and what stands under it for this text: HMAC-SHA-256 in hexadecimal digits.
    #[must_use]
    pub fn receipt_sign(&self, text: &str) -> Option<(u16, String)> {
        let (number, master) = self.0.0.first()?;
        Some((*number, hex(&receipt_mac(master, text)?.finalize().into_bytes())))
    }

    /// Whether that stands for this text under the master key of this number.
    #[must_use]
    pub fn receipt_stands(&self, number: u16, text: &str, signature: &str) -> bool {
        let master = self.0.0.iter().find(|(other, _)| *other == number);
        let mac = master.and_then(|(_, master)| receipt_mac(master, text));
        unhex(signature).zip(mac).is_some_and(|(bytes, mac)| mac.verify_slice(&bytes).is_ok())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn receipt_mac(master: &[u8; 32], text: &str) -> Option<Hmac<Sha256>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, master).expand(b"bulkhead/deletion-receipt", key.as_mut()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// The number of the master key that these bytes are sealed under; `None` when they are no sealed key at all.
#[must_use]
pub fn master_of(sealed: &[u8]) -> Option<u16> {
    parts(sealed).map(|(number, ..)| number)
}
