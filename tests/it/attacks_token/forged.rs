//! Forged tokens, each one change of a token that is good; and the good ones.
//!
//! The generators sign with the worker's own keys where the signature is not the point.

use bulkhead_tests::token::{OLD_KEY, SIGNING_KEY, Token, base64, now_s, sign_parts, sign_text};
use serde_json::{Value, json};

use super::Ground;

/// Every forged token, by what is wrong with it.
pub fn all(ground: &Ground) -> Attacks {
    let kinds = [algorithms, embedded_keys, key_names, claims, times, duplicates, shapes];
    kinds.iter().flat_map(|kind| kind(ground)).collect()
}

/// Tokens by what they are.
pub type Attacks = Vec<(String, String)>;

fn named(attacks: impl IntoIterator<Item = (impl Into<String>, String)>) -> Attacks {
    attacks.into_iter().map(|(what, token)| (what.into(), token)).collect()
}

/// Tokens that must be let in: what the attacks are changes of, and what the standard allows besides (RFC 7515, 7519).
pub fn good(ground: &Ground) -> Attacks {
    let token = ground.access();
    named([
        ("as the worker makes it", token.sign()),
        ("the ring's older key", token.clone().header("kid", "k1").sign_with(&OLD_KEY)),
        ("an unknown header field", token.clone().header("foo", "bar").sign()),
        ("an unknown claim", token.clone().claim("foo", json!({ "a": [1] })).sign()),
        ("a start in the past", token.clone().claim("nbf", now_s() - 60).sign()),
        ("other order and white space", {
            let (header, claims) =
                (format!(" {} ", token.header), token.claims.to_string().replace(',', " ,\n"));
            sign_text(&header, &claims, &SIGNING_KEY)
        }),
    ])
}

/// The algorithm is the ring's, never the token's (CVE-2015-9235, CVE-2026-22817).
fn algorithms(ground: &Ground) -> Attacks {
    let token = ground.access();
    let mut attacks = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "noNe", " none", "none ", "no\u{6e}e\u{0}", ""] {
        let token = token.clone().header("alg", alg);
        attacks.push((format!("alg {alg:?} without a signature"), token.with_signature("")));
        attacks.push((format!("alg {alg:?} without the last dot"), {
            token.with_signature("").trim_end_matches('.').to_owned()
        }));
        attacks.push((format!("alg {alg:?}, rightly signed"), token.sign()));
    }
    for alg in [
        "HS384",
        "HS512",
        "HS1",
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "Ed25519",
        "hs256",
        "Hs256",
        "HS256 ",
        "HMACSHA256",
        "HS-256",
        "A256GCM",
        "dir",
        "RSA-OAEP",
        "PBES2-HS256+A128KW",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
    ] {
        attacks.push((format!("alg {alg:?}, signed with HS256"), token.clone().header("alg", alg).sign()));
    }
    for (alg, bits) in [("HS384", 384), ("HS512", 512), ("HS256", 384), ("HS256", 512)] {
        let parts = token.clone().header("alg", alg).with_signature("");
        let signed = sign_parts(parts.trim_end_matches('.'), &SIGNING_KEY, bits);
        attacks.push((format!("alg {alg}, signed with the right key over {bits} bits"), signed));
    }
    for (what, alg) in [
        ("a number", json!(256)),
        ("a list", json!(["HS256"])),
        ("an object", json!({ "HS256": 1 })),
        ("true", json!(true)),
        ("missing", Value::Null),
    ] {
        attacks.push((format!("alg is {what}"), token.clone().header("alg", alg).sign()));
    }
    attacks.push(("alg is null".into(), {
        let header = token.header.to_string().replace("\"HS256\"", "null");
        sign_text(&header, &token.claims.to_string(), &SIGNING_KEY)
    }));
    for (what, key) in [
        ("empty", b"".as_slice()),
        ("zero", &[0; 32]),
        ("\"secret\"", b"secret"),
        ("the other key of the ring", &OLD_KEY),
        ("the key in text", base64(SIGNING_KEY).as_bytes()),
        ("the company's id", ground.acme.id.as_bytes()),
        ("the issuer", ground.acme.stand.root_url.as_bytes()),
        ("the key's name", b"k2"),
        ("half the key", &SIGNING_KEY[..16]),
        ("the key twice", &[SIGNING_KEY, SIGNING_KEY].concat()),
    ] {
        attacks.push((format!("signed with another key: {what}"), token.sign_with(key)));
    }
    attacks
}

/// Keys and addresses of keys in the header (CVE-2018-0114); rightly signed, so only the field can be why.
fn embedded_keys(ground: &Ground) -> Attacks {
    let token = ground.access();
    let mine = [7; 32];
    let jwk = json!({ "kty": "oct", "alg": "HS256", "k": base64(mine) });
    let rsa = json!({ "kty": "RSA", "n": base64([1; 256]), "e": "AQAB" });
    let fields = [
        ("jwk", "a key", jwk.clone()),
        ("jwk", "an RSA key", rsa),
        ("jwk", "a text", json!("x")),
        ("jku", "an address", json!("https://evil.example/jwks.json")),
        ("jku", "an address of ours", json!(format!("{}/jwks.json", ground.acme.stand.root_url))),
        ("jku", "an address inside", json!("http://169.254.169.254/latest/meta-data")),
        ("jku", "a file", json!("file:///dev/null")),
        ("x5u", "an address", json!("https://evil.example/cert.pem")),
        ("x5c", "a certificate", json!([base64([1; 64])])),
        ("x5c", "an empty list", json!([])),
        ("x5t", "a thumbprint", json!(base64([1; 20]))),
        ("x5t#S256", "a thumbprint", json!(base64([1; 32]))),
        ("crit", "exp", json!(["exp"])),
        ("crit", "b64", json!(["b64"])),
        ("crit", "an unknown field", json!(["x-tenant"])),
        ("crit", "an empty list", json!([])),
        ("crit", "a text", json!("exp")),
        ("b64", "false", json!(false)),
        ("b64", "true", json!(true)),
    ];
    let mut attacks = Vec::new();
    for (name, what, value) in fields {
        let token = token.clone().header(name, value);
        attacks.push((format!("{name}: {what}, rightly signed"), token.sign()));
        attacks
            .push((format!("{name}: {what}, signed with a key of the attacker's"), token.sign_with(&mine)));
    }
    // RFC 7797: with b64 = false the claims are signed as they stand.
    let unencoded = token.clone().header("b64", false).header("crit", json!(["b64"]));
    let parts = format!("{}.{}", base64(unencoded.header.to_string()), unencoded.claims);
    attacks.push(("claims signed unencoded".into(), {
        let signed = sign_parts(&parts, &SIGNING_KEY, 256);
        unencoded.with_signature(signed.rsplit('.').next().unwrap())
    }));
    attacks
}

/// The key's name is looked up in the ring and nowhere else.
fn key_names(ground: &Ground) -> Attacks {
    let token = ground.access();
    let long = "k".repeat(1_000);
    let kids = [
        "",
        " ",
        "k",
        "k3",
        "K2",
        "k2 ",
        " k2",
        "k2\u{0}",
        "k2,k1",
        "k2:",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "k2' or '1'='1",
        "x' union select 'AA' --",
        "'; drop table sessions; --",
        "k2|/bin/true",
        "$(id)",
        "${JWT_KEYS}",
        "%6b2",
        "k\u{200b}2",
        "\u{212a}2",
        "*",
        "0",
        "-1",
        "null",
        "undefined",
        "__proto__",
        "constructor",
        "https://evil.example/key",
        long.as_str(),
    ];
    let mut attacks = Vec::new();
    for kid in kids {
        let token = token.clone().header("kid", kid);
        attacks.push((format!("kid {kid:.40?}, signed with the ring's key"), token.sign()));
        attacks.push((format!("kid {kid:.40?}, signed with nothing"), token.sign_with(b"")));
    }
    attacks.push(("kid of the ring's other key".into(), token.clone().header("kid", "k1").sign()));
    for (what, kid) in [("missing", Value::Null), ("a number", json!(2)), ("a list", json!(["k2"]))] {
        attacks.push((format!("kid is {what}"), token.clone().header("kid", kid).sign()));
    }
    attacks
}

/// What the token says, rightly signed: every claim is checked, and of one type.
fn claims(ground: &Ground) -> Attacks {
    let token = ground.access();
    let (acme, bright) = (&ground.acme.id, &ground.bright.id);
    let root = &ground.acme.stand.root_url;
    let mut cases: Vec<(String, Token)> = Vec::new();
    let mut with = |what: &str, name: &str, values: Vec<Value>| {
        for value in values {
            let token = if what == "header" {
                token.clone().header(name, value.clone())
            } else {
                token.clone().claim(name, value.clone())
            };
            cases.push((format!("{name} {:.60}", value.to_string()), token));
        }
    };
    with(
        "claim",
        "aud",
        vec![
            Value::Null,
            json!(bright),
            json!([acme]),
            json!([bright, acme]),
            json!(""),
            json!("*"),
            json!(7),
            json!({}),
            json!(ground.acme.slug),
            json!(ground.acme.host()),
            json!(format!("{acme} ")),
            json!(format!("{acme},{bright}")),
        ],
    );
    with(
        "claim",
        "iss",
        vec![
            Value::Null,
            json!(""),
            json!("*"),
            json!([root]),
            json!(7),
            json!(format!("{root}/")),
            json!(root.to_uppercase()),
            json!(root.replace("http:", "https:")),
            json!("https://evil.example"),
            json!(ground.acme.host()),
            json!(format!("{root}.evil.example")),
            json!(format!("{root}@evil.example")),
        ],
    );
    with(
        "claim",
        "sub",
        vec![
            Value::Null,
            json!(""),
            json!("*"),
            json!("%"),
            json!(7),
            json!([ground.user]),
            json!({ "id": ground.user }),
            json!(format!("{} ", ground.user)),
            json!(format!("{{{}}}", ground.user)),
            json!(ground.user.replace('-', "")),
            json!(format!("urn:uuid:{}", ground.user)),
            json!(format!("{}\u{0}", ground.user)),
            json!("' or true --"),
            json!("00000000-0000-0000-0000-000000000000"),
            json!(uuid::Uuid::new_v4().to_string()),
            json!(format!("owner@{}.example", ground.acme.slug)),
        ],
    );
    with(
        "claim",
        "sid",
        vec![
            Value::Null,
            json!(""),
            json!("*"),
            json!(7),
            json!([ground.session]),
            json!(uuid::Uuid::new_v4().to_string()),
            json!(ground.user),
            json!(format!("{}\u{0}", ground.session)),
        ],
    );
    with(
        "header",
        "typ",
        vec![
            Value::Null,
            json!(""),
            json!("JWT"),
            json!("at+jwt"),
            json!("visitor+jwt"),
            json!("access"),
            json!("ACCESS+JWT"),
            json!("application/access+jwt"),
            json!("refresh+jwt"),
            json!("access+jwt "),
            json!(7),
            json!(["access+jwt"]),
        ],
    );
    named(cases.into_iter().map(|(what, token)| (what, token.sign())))
}

/// Times: an end there must be, and it is not behind us; a start is not ahead.
fn times(ground: &Ground) -> Attacks {
    let token = ground.access();
    let now = now_s();
    let mut attacks = Vec::new();
    for (name, what, value) in [
        ("exp", "missing", Value::Null),
        ("exp", "6 seconds ago, beyond the leeway", json!(now - 7)),
        ("exp", "an hour ago", json!(now - 3_600)),
        ("exp", "0", json!(0)),
        ("exp", "negative", json!(-1)),
        ("exp", "a text", json!((now + 600).to_string())),
        ("exp", "true", json!(true)),
        ("exp", "a list", json!([now + 600])),
        ("exp", "beyond any calendar", json!(u64::MAX)),
        ("exp", "a huge float", json!(1e300)),
        ("nbf", "a minute ahead", json!(now + 60)),
        ("nbf", "a year ahead", json!(now + 31_536_000)),
        ("nbf", "a text", json!((now - 60).to_string())),
        ("nbf", "beyond any calendar", json!(u64::MAX)),
        ("iat", "a text", json!(now.to_string())),
        ("iat", "beyond any calendar", json!(u64::MAX)),
    ] {
        attacks.push((format!("{name}: {what}"), token.clone().claim(name, value).sign()));
    }
    attacks.push(("exp null".into(), {
        let claims = token.claims.to_string().replace(&format!("\"exp\":{}", now + 600), "\"exp\":null");
        sign_text(&token.header.to_string(), &claims, &SIGNING_KEY)
    }));
    attacks
}

/// A name said twice means two things to two readers (RFC 7519, section 4): rightly signed, still refused.
fn duplicates(ground: &Ground) -> Attacks {
    let token = ground.access();
    let (header, claims) = (token.header.to_string(), token.claims.to_string());
    let twice =
        |text: &str, field: String| format!("{}{}}}", text.trim_end_matches('}'), format_args!(",{field}"));
    let first = |text: &str, field: String| format!("{{{field},{}", text.trim_start_matches('{'));
    let mut attacks = Vec::new();
    for (name, value) in [
        ("aud", json!(ground.bright.id)),
        ("aud", json!(ground.acme.id)),
        ("iss", json!("https://evil.example")),
        ("sub", json!(uuid::Uuid::new_v4().to_string())),
        ("sid", json!(uuid::Uuid::new_v4().to_string())),
        ("exp", json!(now_s() + 999_999)),
        ("exp", json!(0)),
    ] {
        let field = format!("\"{name}\":{value}");
        attacks.push((
            format!("claim {name} again at the end: {value}"),
            twice(&claims, field.clone()),
            true,
        ));
        attacks.push((format!("claim {name} again in front: {value}"), first(&claims, field), true));
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("kid", json!("k1")),
        ("kid", json!("k2")),
        ("typ", json!("visitor+jwt")),
        ("typ", json!("access+jwt")),
    ] {
        let field = format!("\"{name}\":{value}");
        attacks.push((
            format!("header {name} again at the end: {value}"),
            twice(&header, field.clone()),
            false,
        ));
        attacks.push((format!("header {name} again in front: {value}"), first(&header, field), false));
    }
    named(attacks.into_iter().map(|(what, text, of_claims)| {
        let (header, claims) = if of_claims { (&header, &text) } else { (&text, &claims) };
        (what, sign_text(header, claims, &SIGNING_KEY))
    }))
}

/// Tokens that are no three parts of base64url, or that are more.
fn shapes(ground: &Ground) -> Attacks {
    let token = ground.access();
    let good = token.sign();
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let claims = token.claims.to_string();
    let other = Token::access(&ground.bright, &ground.user, &ground.session).sign();
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let long = token.clone().claim("pad", "x".repeat(2_048)).sign();
    let huge = token.clone().claim("pad", "x".repeat(12_000)).sign();
    let sign = |header: &str, claims: &str| sign_text(header, claims, &SIGNING_KEY);
    let header = token.header.to_string();
    named([
        ("a part more", format!("{good}.x")),
        ("an empty part more", format!("{good}.")),
        ("a dot in front", format!(".{good}")),
        ("five parts, as of an encrypted one", format!("{head}.{body}.{signature}.{body}.{signature}")),
        ("two parts", format!("{head}.{body}")),
        ("one part", head.to_owned()),
        ("dots only", "..".to_owned()),
        ("no header", format!(".{body}.{signature}")),
        ("no claims", format!("{head}..{signature}")),
        ("no signature", format!("{head}.{body}.")),
        ("half a signature", format!("{head}.{body}.{}", &signature[..20])),
        ("a signature too long", format!("{head}.{body}.{signature}AAAA")),
        ("a signature of zeros", format!("{head}.{body}.{}", base64([0; 32]))),
        ("an empty signature in base64", format!("{head}.{body}.{}", base64([0; 1]))),
        (
            "the signature of another company's token",
            format!("{head}.{body}.{}", other.rsplit('.').next().unwrap()),
        ),
        ("the claims of another company's token", {
            format!("{head}.{}.{signature}", other.split('.').nth(1).unwrap())
        }),
        ("padding after the signature", format!("{good}=")),
        ("padding after each part", format!("{head}=.{body}==.{signature}=")),
        ("the first byte changed", flipped(0)),
        ("a byte of the claims changed", flipped(head.len() + 12)),
        ("the first byte of the signature changed", flipped(good.len() - 43)),
        ("the last byte of the signature changed", flipped(good.len() - 1)),
        ("a space inside", format!("{head}. {body}.{signature}")),
        ("a tab at the end of a part", format!("{head}\t.{body}.{signature}")),
        ("a percent sign", format!("{head}%2e{body}.{signature}")),
        (
            "standard base64",
            format!("{head}.{body}.{}", signature.replace('-', "+").replace('_', "/") + "+/"),
        ),
        ("text after a comma", format!("{good},x")),
        ("text after a semicolon", format!("{good};company={}", ground.bright.id)),
        ("a letter from another script", format!("{}\u{435}{}", &head[..4], &good[5..])),
        ("quoted", format!("\"{good}\"")),
        ("claims that are a list", sign(&header, "[]")),
        ("claims that are null", sign(&header, "null")),
        ("claims that are empty", sign(&header, "")),
        ("claims that are a text", sign(&header, "\"x\"")),
        ("claims with a comma too many", sign(&header, &claims.replace('}', ",}"))),
        ("claims with text behind", sign(&header, &format!("{claims}x"))),
        ("claims twice", sign(&header, &format!("{claims}{claims}"))),
        ("claims with a byte-order mark", sign(&header, &format!("\u{feff}{claims}"))),
        ("claims with NUL behind", sign(&header, &format!("{claims}\0"))),
        ("claims in UTF-16", {
            let wide: Vec<u8> = claims.encode_utf16().flat_map(u16::to_le_bytes).collect();
            sign_parts(&format!("{head}.{}", base64(wide)), &SIGNING_KEY, 256)
        }),
        ("claims in CBOR", sign_parts(&format!("{head}.{}", base64([0xa0])), &SIGNING_KEY, 256)),
        ("claims nested deep", sign(&header, &format!("{{\"a\":{}1", "[".repeat(400)))),
        ("a header that is a list", sign("[]", &claims)),
        ("a header that is empty", sign("", &claims)),
        ("a header that is null", sign("null", &claims)),
        ("a header of nothing", sign("{}", &claims)),
        (
            "a nested token",
            sign(&token.clone().header("cty", "JWT").header.to_string(), &format!("\"{good}\"")),
        ),
        ("longer than any of ours", long),
        ("much longer than any of ours", huge),
        ("ten thousand dots", ".".repeat(10_000)),
    ])
}
