//! Who a visitor is, as the company's own server says it: a JSON Web Token (RFC 7519) that it signs with a secret of its own.
//!
//! It never trusts a token that is good for more than an hour, and never says why one is not.

use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, UntrustedToken};
use serde::{Deserialize, Serialize};

use super::TenantScope;
use super::token::{Extra, TOKEN_LIMIT, in_time, plain, time};

/// Milliseconds for which such a token may be good.
const LONGEST_MS: u64 = 60 * 60 * 1_000;

/// What the company's server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Who it is there.
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) email: Option<String>,
}

impl TenantScope {
    /// What a token says that was signed with this company's secret; `None` when it is not good.
    pub(crate) fn identity(&self, sealed_secret: &[u8], token: &str) -> Option<Identity> {
        read(&self.identity_open(sealed_secret)?, token, self.platform.now_ms())
    }
}

fn read(secret: &[u8], token: &str, now_ms: u64) -> Option<Identity> {
    if token.len() > TOKEN_LIMIT {
        return None;
    }
    let token = UntrustedToken::<Extra>::try_from(token).ok()?;
    let typ = token.header().token_type.as_deref();
    if !plain(token.header()) || typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return None;
    }
    let key = Hs256Key::new(secret);
    let validator = Hs256.validator::<Identity>(&key);
    let claims = validator.validate(&token).ok()?.into_parts().1;
    in_time(&claims, now_ms)?;
    let fits = |text: &Option<String>, least: usize, most: usize| {
        text.as_ref().is_none_or(|text| (least..=most).contains(&text.chars().count()))
    };
    let Identity { sub, name, email } = &claims.custom;
    let short = (1..=200).contains(&sub.chars().count()) && fits(name, 1, 120) && fits(email, 3, 254);
    (short && claims.expiration? <= time(now_ms + LONGEST_MS)?).then_some(claims.custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_compact::{Claims, Header};

    const NOW: u64 = 1_800_000_000_000;
    const SECRET: &[u8] = b"bi_a secret of 32 bytes or more, as text";

    fn who(sub: &str) -> Identity {
        Identity { sub: sub.into(), name: Some("Vera".into()), email: None }
    }

    fn sign(identity: Identity, minutes: u64, secret: &[u8], header: &Header<Extra>) -> String {
        let mut claims = Claims::new(identity);
        claims.expiration = time(NOW + minutes * 60_000);
        Hs256.token(header, &claims, &Hs256Key::new(secret)).unwrap()
    }

    #[test]
    fn what_the_company_signed_is_believed_for_an_hour_at_most() {
        let header = Header::new(Extra::default());
        let read = |token: &str| read(SECRET, token, NOW);
        assert_eq!(read(&sign(who("7"), 60, SECRET, &header)), Some(who("7")));
        assert_eq!(read(&sign(who("7"), 60, SECRET, &header.clone().with_token_type("JWT"))), Some(who("7")));
        assert_eq!(read(&sign(who("7"), 61, SECRET, &header)), None, "too long");
        assert_eq!(super::read(SECRET, &sign(who("7"), 5, SECRET, &header), NOW + 306_000), None, "ended");
        assert_eq!(read(&sign(who("7"), 5, b"another secret of 32 bytes or more", &header)), None);
        assert_eq!(read(&sign(who(""), 5, SECRET, &header)), None, "nobody");
        assert_eq!(read(&sign(who(&"7".repeat(201)), 5, SECRET, &header)), None, "too long a name");
        for typ in ["visitor+jwt", "access+jwt"] {
            assert_eq!(read(&sign(who("7"), 5, SECRET, &header.clone().with_token_type(typ))), None, "{typ}");
        }
        let crit: Extra = serde_json::from_value(serde_json::json!({ "crit": ["exp"] })).unwrap();
        assert_eq!(read(&sign(who("7"), 5, SECRET, &Header::new(crit))), None);
        let endless = Hs256.token(&header, &Claims::new(who("7")), &Hs256Key::new(SECRET)).unwrap();
        assert_eq!(read(&endless), None, "without an end");
        let good = sign(who("7"), 5, SECRET, &header);
        let (head, rest) = good.split_once('.').unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{rest}");
        assert_eq!((read(&none), read(head), read("")), (None, None, None));
    }
}
