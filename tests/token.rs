//! Tokens that tests make themselves: any header, any claims, any key of the stand's ring, well formed or not.
//!
//! It never asks the core how a token is made: a test that copied the core's mistakes would find none.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

use crate::company::Company;

/// The key that the stand's worker signs with, named `k2`.
pub const SIGNING_KEY: [u8; 32] = [0x5a; 32];
/// The key before it, named `k1`: still good for verifying.
pub const OLD_KEY: [u8; 32] = [0x3c; 32];

/// The stand's ring, as the setting `JWT_KEYS` spells it.
#[must_use]
pub fn ring() -> String {
    format!("k2:{},k1:{}", base64(SIGNING_KEY), base64(OLD_KEY))
}

/// The token that the worker would make, as header and claims, to be spoiled.
#[derive(Clone, Debug)]
pub struct Token {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Token {
    /// An access token of this company, good for ten minutes.
    #[must_use]
    pub fn access(company: &Company, user: &str, session: &str) -> Self {
        let mut token = Self::visitor(company, user);
        token.header["typ"] = "access+jwt".into();
        token.claims["sid"] = session.into();
        token
    }

    /// What a session cookie of this company holds, good for ten minutes.
    #[must_use]
    pub fn page(company: &Company, user: &str, session: &str) -> Self {
        Self::access(company, user, session).header("typ", "page+jwt")
    }

    /// What the cookie of support holds in this access, good for ten minutes.
    #[must_use]
    pub fn support(company: &Company, access: &str) -> Self {
        Self::visitor(company, access).header("typ", "support+jwt")
    }

    /// A visitor token of this company, good for ten minutes.
    #[must_use]
    pub fn visitor(company: &Company, visitor: &str) -> Self {
        let now = now_s();
        Self {
            header: json!({ "alg": "HS256", "kid": "k2", "typ": "visitor+jwt" }),
            claims: json!({
                "iss": company.stand.root_url, "aud": company.id, "sub": visitor, "iat": now, "exp": now + 600,
            }),
        }
    }

    /// With this header field; null takes it away.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// With this claim; null takes it away.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Signed as the worker does it.
    #[must_use]
    pub fn sign(&self) -> String {
        self.sign_with(&SIGNING_KEY)
    }

    /// Signed with HMAC-SHA-256 and this key, whatever the header says.
    #[must_use]
    pub fn sign_with(&self, key: &[u8]) -> String {
        sign_text(&self.header.to_string(), &self.claims.to_string(), key)
    }

    /// Header and claims with this third part.
    #[must_use]
    pub fn with_signature(&self, signature: &str) -> String {
        format!("{}.{}.{signature}", base64(self.header.to_string()), base64(self.claims.to_string()))
    }
}

/// The session cookie of whoever has this access token, in the same session and as long; any other text as it is.
#[must_use]
pub fn page(access: &str, kid: &str, key: &[u8]) -> String {
    let part = |at: usize| {
        let part = Base64UrlUnpadded::decode_vec(access.split('.').nth(at)?).ok()?;
        serde_json::from_slice::<Value>(&part).ok()
    };
    match (part(0), part(1)) {
        (Some(header), Some(claims)) if header["typ"] == "access+jwt" => {
            let header = json!({ "alg": "HS256", "kid": kid, "typ": "page+jwt" });
            Token { header, claims }.sign_with(key)
        }
        _ => access.to_owned(),
    }
}

/// Signs texts that need not be JSON, with HMAC-SHA-256.
#[must_use]
pub fn sign_text(header: &str, claims: &str, key: &[u8]) -> String {
    sign_parts(&format!("{}.{}", base64(header), base64(claims)), key, 256)
}

/// Signs what stands before the last dot, with HMAC over SHA-256, SHA-384 or SHA-512.
///
/// # Panics
/// For another number of bits.
#[must_use]
pub fn sign_parts(parts: &str, key: &[u8], bits: u32) -> String {
    macro_rules! signature {
        ($hash:ty) => {
            base64(Hmac::<$hash>::new_from_slice(key).unwrap().chain_update(parts).finalize().into_bytes())
        };
    }
    let signature = match bits {
        256 => signature!(Sha256),
        384 => signature!(Sha384),
        512 => signature!(Sha512),
        _ => panic!("there is no HMAC of {bits} bits here"),
    };
    format!("{parts}.{signature}")
}

/// The claims of a token, unverified.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn claims(token: &str) -> Value {
    let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// base64url without padding.
#[must_use]
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(bytes.as_ref())
}

/// The time, seconds since 1970.
///
/// # Panics
/// When the machine's clock is before that.
#[expect(
    clippy::disallowed_methods,
    reason = "the worker asks the machine's clock, so these tokens must as well"
)]
#[must_use]
pub fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn set(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}
