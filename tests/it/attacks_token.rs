//! Attacks on tokens: forged, spoiled, borrowed, dressed up. Layer 1 must refuse each with the same 401 as no token.
//!
//! Each attack is one change of a token that is good, so that it is refused for what it is and not by accident. The
//! tests know the worker's keys: even a rightly signed token that says something odd must be refused.

mod forged;

use std::collections::HashSet;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::{Token, now_s};
use bulkhead_tests::wire::{self, Answer};
use serde_json::{Value, json};

/// A company with an open session, its good tokens, and another company.
struct Ground {
    acme: Company,
    bright: Company,
    user: String,
    session: String,
    visitor: String,
    conversation: String,
}

impl Ground {
    async fn new() -> Self {
        let stand = Stand::get();
        let (acme, bright) =
            (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
        let claims = bulkhead_tests::token::claims(&acme.owner);
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        let asking = acme.visitor().await;
        let events = asking.ask("Do you fix leaks?").await;
        let conversation = events[0].data["conversation_id"].as_str().unwrap().to_owned();
        let visitor = bulkhead_tests::token::claims(&asking.token)["sub"].as_str().unwrap().to_owned();
        Self { user: text("sub"), session: text("sid"), visitor, conversation, acme, bright }
    }

    fn access(&self) -> Token {
        Token::access(&self.acme, &self.user, &self.session)
    }

    fn visitor(&self) -> Token {
        Token::visitor(&self.acme, &self.visitor)
    }

    /// Asks, with these header lines, for what only a member may see.
    async fn as_member(&self, headers: &[u8]) -> Answer {
        self.send("/v1/company", headers).await
    }

    /// Asks, with these header lines, for what only this visitor may see.
    async fn as_visitor(&self, headers: &[u8]) -> Answer {
        self.send(&format!("/v1/conversations/{}/messages", self.conversation), headers).await
    }

    async fn send(&self, path: &str, headers: &[u8]) -> Answer {
        let host = format!("{}:{}", self.acme.host(), self.acme.stand.port);
        let mut request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
        request.extend_from_slice(headers);
        request.extend_from_slice(b"\r\n");
        wire::send(self.acme.stand, &request).await
    }
}

/// The one header line that carries a token.
fn bearer(token: &str) -> Vec<u8> {
    format!("Authorization: Bearer {token}\r\n").into_bytes()
}

#[tokio::test]
async fn no_forged_token_is_taken_for_a_good_one() {
    let ground = Ground::new().await;
    for (what, token) in forged::good(&ground) {
        let answer = ground.as_member(&bearer(&token)).await;
        assert_eq!(answer.status, 200, "the attacks below would be blind: {what}: {answer:?}");
    }
    let nothing = ground.as_member(b"").await;
    assert_eq!(nothing.status, 401);
    let attacks = forged::all(&ground);
    let names: HashSet<&String> = attacks.iter().map(|(what, _)| what).collect();
    assert_eq!(names.len(), attacks.len(), "two attacks have the same name");
    for (what, token) in &attacks {
        assert_eq!(ground.as_member(&bearer(token)).await, nothing, "{what}: {token:.300}");
    }
    tally("1 identity", "forged, each refused as if there were none", attacks.len(), 300);
}

#[tokio::test]
async fn no_other_kind_of_token_passes_for_a_visitor_s() {
    let ground = Ground::new().await;
    let answer = ground.as_visitor(&bearer(&ground.visitor().sign())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let nothing = ground.as_visitor(b"").await;
    assert_eq!(nothing.status, 401);
    let visitor = ground.visitor();
    let attacks = [
        ("an access token", ground.access().sign()),
        (
            "an access token of the visitor's id",
            Token::access(&ground.acme, &ground.visitor, &ground.session).sign(),
        ),
        ("a visitor's token with a session", visitor.clone().claim("sid", ground.session.as_str()).sign()),
        ("typ of an access token", visitor.clone().header("typ", "access+jwt").sign()),
        ("typ JWT", visitor.clone().header("typ", "JWT").sign()),
        ("typ in capitals", visitor.clone().header("typ", "VISITOR+JWT").sign()),
        ("no typ", visitor.clone().header("typ", Value::Null).sign()),
        ("another company's", Token::visitor(&ground.bright, &ground.visitor).sign()),
        ("two companies'", visitor.clone().claim("aud", json!([ground.bright.id, ground.acme.id])).sign()),
        ("expired", visitor.clone().claim("exp", now_s() - 30).sign()),
        ("without an end", visitor.clone().claim("exp", Value::Null).sign()),
        ("no subject", visitor.clone().claim("sub", Value::Null).sign()),
        ("a subject that is no id", visitor.clone().claim("sub", "*").sign()),
        ("unsigned", visitor.clone().header("alg", "none").with_signature("")),
        ("signed with another key", visitor.sign_with(&[0; 32])),
        ("the refresh token", ground.acme.refresh.clone()),
    ];
    for (what, token) in &attacks {
        assert_eq!(ground.as_visitor(&bearer(token)).await, nothing, "{what}");
    }
    // Another visitor of the same company is let in, and finds nothing.
    let other = Token::visitor(&ground.acme, &uuid::Uuid::new_v4().to_string()).sign();
    assert_eq!(ground.as_visitor(&bearer(&other)).await.status, 404);
    tally("1 identity", "of other kinds, refused as a visitor's", attacks.len() + 1, 17);
}

#[tokio::test]
async fn a_token_comes_in_one_authorization_header_and_nowhere_else() {
    let ground = Ground::new().await;
    let good = ground.access().sign();
    let other = Token::access(&ground.bright, &ground.user, &ground.session).sign();
    let nothing = ground.as_member(b"").await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let answer = ground.as_member(format!("Authorization: {scheme} {good}\r\n").as_bytes()).await;
        assert_eq!(
            answer.status, 200,
            "the scheme's case does not matter (RFC 9110, section 11.1): {scheme}"
        );
    }
    let lines: Vec<Vec<u8>> = [
        format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}"),
        format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {other}"),
        format!("Authorization: Bearer {other}\r\nAuthorization: Bearer {good}"),
        format!("authorization: Bearer {good}\r\nAUTHORIZATION: Bearer x"),
        format!("Authorization: Bearer {good}\r\nAuthorization: Basic eDp5"),
        format!("Authorization: Bearer {good}, Bearer {good}"),
        format!("Authorization: Bearer {good},{good}"),
        format!("Authorization: Bearer {good} {good}"),
        format!("Authorization: Bearer  {good}"),
        format!("Authorization: Bearer\t{good}"),
        format!("Authorization: Bearer{good}"),
        format!("Authorization: Bearer:{good}"),
        format!("Authorization: Bearer={good}"),
        format!("Authorization: Bearer \"{good}\""),
        format!("Authorization: Bearer token={good}"),
        format!("Authorization: Bearer Bearer {good}"),
        format!("Authorization: Basic {good}"),
        format!("Authorization: Token {good}"),
        format!("Authorization: JWT {good}"),
        format!("Authorization: DPoP {good}"),
        format!("Authorization: Bear {good}"),
        format!("Authorization: {good}"),
        format!("Authorization: Bearer\u{a0}{good}"),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer ".to_owned(),
        "Authorization:".to_owned(),
        format!("Proxy-Authorization: Bearer {good}"),
        format!("X-Authorization: Bearer {good}"),
        format!("X-Access-Token: {good}"),
        format!("X-Auth-Token: {good}"),
        format!("X-Api-Key: {good}"),
        format!("X-Forwarded-Authorization: Bearer {good}"),
        format!("Cookie: access_token={good}"),
        format!("Cookie: Authorization=Bearer {good}"),
        format!("Sec-WebSocket-Protocol: bearer, {good}"),
    ]
    .into_iter()
    .map(|line| format!("{line}\r\n").into_bytes())
    .collect();
    for line in &lines {
        assert_eq!(ground.as_member(line).await, nothing, "{}", String::from_utf8_lossy(line));
    }
    for query in ["access_token", "token", "jwt", "authorization", "bearer"] {
        let answer = ground.send(&format!("/v1/company?{query}={good}"), b"").await;
        assert_eq!(answer, nothing, "a token in the query: {query}");
    }
    // These the runtime refuses before the core is asked; what counts is that nobody is let in.
    let (mut nul, mut split) = (bearer(&good), bearer(&good));
    nul.insert(30, 0);
    split.splice(30..30, *b"\r\n ");
    for (what, line) in [("NUL in the token", nul), ("a folded line", split)] {
        let status = ground.as_member(&line).await.status;
        assert!(matches!(status, 0 | 400 | 401), "{what}: {status}");
    }
    tally("1 identity", "ways to carry a good one, refused", lines.len() + 7, 42);
}
