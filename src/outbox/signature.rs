//! How a delivery is signed (<https://www.standardwebhooks.com>): so that whoever has the secret knows from whom it is, and when
//! it was sent.
//!
//! It never keeps a secret, and never shows one but as it is made.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 32;

/// A secret as people copy it into their programs.
pub(crate) fn spelled(secret: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(format!("whsec_{}", *Zeroizing::new(Base64::encode_string(secret))))
}

/// The value of `webhook-signature` for this id, time (seconds of Unix time) and body.
pub(super) fn sign(secret: &[u8], id: &str, now_s: u64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{id}.{now_s}.").as_bytes());
    mac.update(body.as_bytes());
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    format!("v1,{}", Base64::encode_string(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn it_signs_as_the_reference_does() {
        let secret = Base64::decode_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(*spelled(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    }
}
