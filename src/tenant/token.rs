//! Tokens: JSON Web Tokens (RFC 7519) of a few kinds, one algorithm, and a key ring.
//!
//! It never takes an algorithm, a key or a URL of one from the token: the ring and HS256 are all there is.

use chrono::{DateTime, Utc};
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, Claims, Header, TimeOptions, UntrustedToken};

use super::{required, secret_bytes};
use crate::config::{ACCESS_TOKEN_S, ConfigError, SESSION_S, SUPPORT_S, VISITOR_TOKEN_S};
use crate::ids::{CompanyId, SessionId, SupportId, UserId, VisitorId};
use crate::knockout::{Wall, stands};

/// Longest token that is looked at, bytes.
pub(super) const TOKEN_LIMIT: usize = 2_048;
/// Seconds by which the clocks of two machines may differ.
const LEEWAY_S: i64 = 5;

/// The keys that sign tokens: the first signs, all of them verify (`JWT_KEYS`, `kid:key,kid:key`).
pub(super) struct KeyRing(Vec<(String, Hs256Key)>);

/// What a token proves. Each kind has its own `typ`, so that one can never pass for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// An end customer's browser.
    Visitor(VisitorId),
    /// A signed-in person's program, in one session: the JSON API.
    Member(UserId, SessionId),
    /// A signed-in person's browser, in one session: the dashboard's pages.
    Page(UserId, SessionId),
    /// The browser of the operator's support, in one access: the dashboard's pages, as far as support may.
    Support(SupportId),
}

/// The claims, besides the times: exactly these, each of them checked.
#[derive(serde::Serialize, serde::Deserialize)]
struct Named {
    iss: String,
    aud: CompanyId,
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    /// Whose pages may use it; none: the company's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

/// Header fields that would change what a token means; a token that has one is refused (RFC 7515, section 4.1.11).
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Extra {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwk: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x5c: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b64: Option<serde_json::Value>,
}

impl Bearer {
    const fn typ(self) -> &'static str {
        match self {
            Self::Visitor(_) => VISITOR,
            Self::Member(..) => ACCESS,
            Self::Page(..) => PAGE,
            Self::Support(_) => SUPPORT,
        }
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::Visitor(_) => VISITOR_TOKEN_S,
            Self::Member(..) => ACCESS_TOKEN_S,
            Self::Page(..) => SESSION_S,
            Self::Support(_) => SUPPORT_S,
        }
    }
}

const VISITOR: &str = "visitor+jwt";
const PAGE: &str = "page+jwt";
const ACCESS: &str = "access+jwt";
const SUPPORT: &str = "support+jwt";

impl KeyRing {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let wrong = ConfigError("JWT_KEYS", "is not a list of name:key, each key 32 bytes in base64url");
        let keys: Vec<_> = required(get, "JWT_KEYS")?
            .split(',')
            .map(|pair| {
                let (kid, key) = pair.trim().split_once(':')?;
                (!kid.is_empty()).then_some(())?;
                Some((kid.to_owned(), Hs256Key::new(*secret_bytes(key)?)))
            })
            .collect::<Option<_>>()
            .ok_or(wrong)?;
        Ok(Self(keys))
    }

    /// A token for this bearer, at this company, on pages of this origin, from now on.
    pub(super) fn sign(
        &self,
        issuer: &str,
        company: CompanyId,
        bearer: Bearer,
        origin: Option<&str>,
        now_ms: u64,
    ) -> Option<String> {
        let (kid, key) = self.0.first()?;
        let (sub, sid) = match bearer {
            Bearer::Visitor(visitor) => (visitor.to_string(), None),
            Bearer::Support(access) => (access.to_string(), None),
            Bearer::Member(user, session) | Bearer::Page(user, session) => (user.to_string(), Some(session)),
        };
        let mut claims = Claims::new(Named {
            iss: issuer.to_owned(),
            aud: company,
            sub,
            sid,
            origin: origin.map(str::to_owned),
        });
        claims.issued_at = Some(time(now_ms)?);
        claims.expiration = Some(time(now_ms + bearer.seconds() * 1_000)?);
        let header = Header::empty().with_key_id(kid.as_str()).with_token_type(bearer.typ());
        Hs256.token(&header, &claims, key).ok()
    }

    /// The bearer of a token that is good now, at this issuer, for this company, on pages of this origin; `None` for every
    /// other.
    pub(super) fn verify(
        &self,
        issuer: &str,
        company: CompanyId,
        origin: Option<&str>,
        token: &str,
        now_ms: u64,
    ) -> Option<Bearer> {
        if token.len() > TOKEN_LIMIT {
            return None;
        }
        let token = UntrustedToken::<Extra>::try_from(token).ok()?;
        let header = token.header();
        if !plain(header) {
            return None;
        }
        let typ = header.token_type.clone()?;
        let kid = header.key_id.as_deref()?;
        let (_, key) = self.0.iter().find(|(name, _)| name == kid)?;
        let claims = if stands(Wall::Signature) {
            Hs256.validator::<Named>(key).validate(&token).ok()?.into_parts().1
        } else {
            token.deserialize_claims_unchecked::<Named>().ok()?
        };
        in_time(&claims, now_ms)?;
        let named = &claims.custom;
        if named.iss != issuer || named.aud != company || named.origin.as_deref() != origin {
            return None;
        }
        match (typ.as_str(), named.sid) {
            (VISITOR, None) => Some(Bearer::Visitor(named.sub.parse().ok()?)),
            (ACCESS, Some(session)) => Some(Bearer::Member(named.sub.parse().ok()?, session)),
            (PAGE, Some(session)) => Some(Bearer::Page(named.sub.parse().ok()?, session)),
            (SUPPORT, None) => Some(Bearer::Support(named.sub.parse().ok()?)),
            _ => None,
        }
    }
}

/// Whether a header has nothing in it that would change what the token means.
pub(super) fn plain(header: &Header<Extra>) -> bool {
    let extra = &header.other_fields;
    header.key_set_url.is_none()
        && header.certificate_url.is_none()
        && header.certificate_sha1_thumbprint.is_none()
        && header.certificate_thumbprint.is_none()
        && extra.crit.is_none()
        && extra.jwk.is_none()
        && extra.x5c.is_none()
        && extra.b64.is_none()
}

/// That claims are good now: they end, they have not ended, and they have begun.
pub(super) fn in_time<T>(claims: &Claims<T>, now_ms: u64) -> Option<()> {
    let now = time(now_ms)?;
    let times = TimeOptions::new(chrono::Duration::seconds(LEEWAY_S), || now);
    claims.validate_expiration(&times).ok()?;
    if claims.not_before.is_some() {
        claims.validate_maturity(&times).ok()?;
    }
    Some(())
}

pub(super) fn time(ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};

    const NOW: u64 = 1_800_000_000_000;
    const A: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const B: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

    fn ring(kids: &[&str]) -> KeyRing {
        let key = |kid: &str| Base64UrlUnpadded::encode_string(&[kid.as_bytes()[0]; 32]);
        let text = kids.iter().map(|kid| format!("{kid}:{}", key(kid))).collect::<Vec<_>>().join(",");
        KeyRing::parse(&|_| Some(text.clone())).unwrap()
    }

    fn visitor() -> Bearer {
        Bearer::Visitor(A.parse().unwrap())
    }

    #[test]
    fn tokens_are_good_at_their_company_only() {
        let ring = ring(&["k1"]);
        let (a, b) = (A.parse().unwrap(), B.parse().unwrap());
        let member = Bearer::Member(A.parse().unwrap(), B.parse().unwrap());
        let page = Bearer::Page(A.parse().unwrap(), B.parse().unwrap());
        let support = Bearer::Support(A.parse().unwrap());
        for bearer in [visitor(), member, page, support] {
            let token = ring.sign("https://x", a, bearer, None, NOW).unwrap();
            let verify = |issuer, company, now_ms| ring.verify(issuer, company, None, &token, now_ms);
            assert_eq!(verify("https://x", a, NOW), Some(bearer));
            assert_eq!(verify("https://x", b, NOW), None, "another company");
            assert_eq!(verify("https://y", a, NOW), None, "another issuer");
            let end = NOW + bearer.seconds() * 1_000;
            assert_eq!(verify("https://x", a, end + 4_000), Some(bearer));
            assert_eq!(verify("https://x", a, end + 6_000), None, "expired");
        }
    }

    #[test]
    fn tokens_are_good_on_pages_of_their_origin_only() {
        let ring = ring(&["k1"]);
        let a = A.parse().unwrap();
        let origins = [None, Some("https://shop.example"), Some("https://other.example"), Some("null")];
        for made in origins {
            let token = ring.sign("https://x", a, visitor(), made, NOW).unwrap();
            for used in origins {
                let bearer = ring.verify("https://x", a, used, &token, NOW);
                assert_eq!(bearer.is_some(), made == used, "made for {made:?}, used at {used:?}");
            }
        }
    }

    #[test]
    fn keys_rotate() {
        let a = A.parse().unwrap();
        let token = ring(&["old"]).sign("https://x", a, visitor(), None, NOW).unwrap();
        assert!(ring(&["new", "old"]).verify("https://x", a, None, &token, NOW).is_some());
        assert!(ring(&["new"]).verify("https://x", a, None, &token, NOW).is_none());
        // The same name with other bytes.
        assert!(ring(&["o"]).verify("https://x", a, None, &token, NOW).is_none());
    }

    #[test]
    fn a_changed_token_is_refused() {
        let ring = ring(&["k1"]);
        let a: CompanyId = A.parse().unwrap();
        let token = ring.sign("https://x", a, visitor(), None, NOW).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let encode = |json: &str| Base64UrlUnpadded::encode_string(json.as_bytes());
        let forged = |header: &str| format!("{}.{}.{}", encode(header), parts[1], parts[2]);
        for header in [
            r#"{"alg":"none","kid":"k1","typ":"visitor+jwt"}"#,
            r#"{"alg":"None","kid":"k1","typ":"visitor+jwt"}"#,
            r#"{"alg":"HS512","kid":"k1","typ":"visitor+jwt"}"#,
            r#"{"alg":"HS256","kid":"k1","typ":"access+jwt"}"#,
            r#"{"alg":"HS256","kid":"k2","typ":"visitor+jwt"}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt"}"#,
            r#"{"alg":"HS256","kid":"k1"}"#,
        ] {
            assert_eq!(ring.verify("https://x", a, None, &forged(header), NOW), None, "{header}");
        }
        assert_eq!(ring.verify("https://x", a, None, &format!("{}.{}.", parts[0], parts[1]), NOW), None);
        assert_eq!(ring.verify("https://x", a, None, &"a".repeat(3_000), NOW), None);
        assert_eq!(ring.verify("https://x", a, None, "", NOW), None);
    }

    #[test]
    fn critical_headers_are_refused_even_when_signed() {
        let ring = ring(&["k1"]);
        let a: CompanyId = A.parse().unwrap();
        let named = Named { iss: "https://x".into(), aud: a, sub: A.into(), sid: None, origin: None };
        let mut claims = Claims::new(named);
        claims.expiration = time(NOW + 1_000);
        let sign = |extra: Extra| {
            let header = Header::new(extra).with_key_id("k1").with_token_type(VISITOR);
            Hs256.token(&header, &claims, &ring.0[0].1).unwrap()
        };
        assert!(ring.verify("https://x", a, None, &sign(Extra::default()), NOW).is_some());
        let crit = Extra { crit: Some(serde_json::json!(["exp"])), ..Extra::default() };
        assert!(ring.verify("https://x", a, None, &sign(crit), NOW).is_none());
        let jwk = Extra { jwk: Some(serde_json::json!({"kty":"oct","k":"AA"})), ..Extra::default() };
        assert!(ring.verify("https://x", a, None, &sign(jwk), NOW).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_other_text_is_a_token(text in ".{0,200}|[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,50}", at in 0..400_usize, to in 33..127_u8) {
            let ring = ring(&["k1"]);
            let a: CompanyId = A.parse().unwrap();
            proptest::prop_assert_eq!(ring.verify("https://x", a, None, &text, NOW), None);
            // A good one with one byte changed; the last character's spare bits may be anything, so it is left alone.
            let good = ring.sign("https://x", a, visitor(), None, NOW).unwrap();
            let mut changed = good.clone().into_bytes();
            let at = at % (changed.len() - 1);
            changed[at] = to;
            let changed = String::from_utf8(changed).unwrap();
            proptest::prop_assert_eq!(ring.verify("https://x", a, None, &changed, NOW).is_some(), changed == good);
        }
    }

    #[test]
    fn settings() {
        let parse = |text: &str| KeyRing::parse(&|_| Some(text.to_owned())).is_ok();
        let key = Base64UrlUnpadded::encode_string(&[7; 32]);
        assert!(parse(&format!("a:{key}")));
        assert!(!parse("a:short"));
        assert!(!parse(&format!(":{key}")));
        assert!(!parse(&key));
    }
}
