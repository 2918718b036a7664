//! Proof in the DNS: the TXT records of a name, asked for over HTTPS in the JSON form that Cloudflare and Google speak.
//!
//! It never takes no answer for an answer: only a DNS that said so says that a record is not there.
//!
//! <https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/make-api-requests/dns-json/>

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::StatusCode;
use http::header::ACCEPT;
use serde_json::Value;

use crate::config::DNS_TIMEOUT_MS;
use crate::platform::{Level, Outbound, Part};
use crate::tenant::TenantScope;

/// The label in front of a name under which its record is: one that no host can have.
pub(super) const LABEL: &str = "_bulkhead";

/// What the record begins with; the claim's token follows.
pub(super) const TXT: &str = "bulkhead=";

/// The texts of the records below a name; none where the DNS says that there is none, `None` where it does not say anything.
pub(super) async fn texts(scope: &TenantScope, host: &str) -> Option<Vec<String>> {
    let platform = scope.platform();
    let texts = match select(pin!(ask(scope, host)), platform.sleep(DNS_TIMEOUT_MS)).await {
        Either::Left((texts, _)) => texts,
        Either::Right(_) => None,
    };
    if texts.is_none() {
        scope.log(Level::Warn, "the DNS did not answer", host);
    }
    texts
}

/// Whether one of these texts is the proof that goes with this token.
pub(super) fn is_in(texts: &[String], token: &str) -> bool {
    texts.iter().any(|text| text.trim().strip_prefix(TXT) == Some(token))
}

async fn ask(scope: &TenantScope, host: &str) -> Option<Vec<String>> {
    let url = format!("{}?name={LABEL}.{host}&type=TXT", scope.app().config.dns_url);
    let request = http::Request::get(url).header(ACCEPT, "application/dns-json").body(Bytes::new()).ok()?;
    let timeout = DNS_TIMEOUT_MS;
    let sent = scope.platform().send(Outbound {
        part: Part::Dns,
        request,
        head_timeout_ms: timeout,
        idle_timeout_ms: timeout,
    });
    let answer = sent.await.ok().filter(|answer| answer.status() == StatusCode::OK)?;
    read(&answer.into_body().collect(ANSWER_LIMIT).await.ok()?)
}

/// Largest answer, bytes: as much as the DNS itself can carry, as JSON.
const ANSWER_LIMIT: usize = 128 * 1024;

/// What an answer says: it is whole, and the name has these records, or is not there.
fn read(answer: &[u8]) -> Option<Vec<String>> {
    let told: Value = serde_json::from_slice(answer).ok()?;
    let status = told.get("Status").and_then(Value::as_u64)?;
    let is_cut = told.get("TC").and_then(Value::as_bool).unwrap_or(false);
    if is_cut || !matches!(status, NOERROR | NXDOMAIN) {
        return None;
    }
    let Some(records) = told.get("Answer") else { return Some(Vec::new()) };
    let texts = records
        .as_array()?
        .iter()
        .filter(|record| record.get("type").and_then(Value::as_u64) == Some(TYPE_TXT));
    Some(texts.filter_map(|record| record.get("data")?.as_str()).map(joined).collect())
}

/// RFC 1035, section 4.1.1, and the number of the record's type, section 3.2.2.
const NOERROR: u64 = 0;
const NXDOMAIN: u64 = 3;
const TYPE_TXT: u64 = 16;

/// The text of a record, which the DNS may have cut into strings of 255 bytes, each in quotes; some resolvers leave the quotes out.
fn joined(data: &str) -> String {
    let data = data.trim();
    if !data.starts_with('"') {
        return data.to_owned();
    }
    let (mut text, mut inside) = (String::with_capacity(data.len()), false);
    let mut chars = data.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => inside = !inside,
            '\\' if inside => text.extend(chars.next()),
            c if inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: Option<&[&str]>) {
        let read = read(answer.as_bytes());
        assert_eq!(
            read.as_ref().map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>()).as_deref(),
            expected,
            "{answer}"
        );
    }

    #[test]
    fn answers() {
        // As Cloudflare's resolver gives them.
        let head = r#""TC":false,"RD":true,"RA":true,"AD":false,"CD":false,"Question":[{"name":"_bulkhead.www.acme.com","type":16}]"#;
        let txt =
            |data: &str| format!(r#"{{"name":"_bulkhead.www.acme.com","type":16,"TTL":300,"data":{data}}}"#);
        let answer = |records: &str| format!(r#"{{"Status":0,{head},"Answer":[{records}]}}"#);
        check(&answer(&txt(r#""\"bulkhead=abc\"""#)), Some(&["bulkhead=abc"]));
        check(&answer(&txt(r#""bulkhead=abc""#)), Some(&["bulkhead=abc"]));
        check(&answer(&txt(r#""\"bulk\" \"head=\" \"abc\"""#)), Some(&["bulkhead=abc"]));
        check(&answer(&txt(r#""\"a \\\"b\\\" \\\\ c\"""#)), Some(&[r#"a "b" \ c"#]));
        check(&answer(&format!("{},{}", txt(r#""\"one\"""#), txt(r#""\"two\"""#))), Some(&["one", "two"]));
        // By way of another name.
        let cname = r#"{"name":"_bulkhead.www.acme.com","type":5,"TTL":300,"data":"proof.acme.net."}"#;
        check(&answer(&format!("{cname},{}", txt(r#""\"bulkhead=abc\"""#))), Some(&["bulkhead=abc"]));
        check(&answer(cname), Some(&[]));
        // There is none.
        let authority = r#""Authority":[{"name":"acme.com","type":6,"TTL":300,"data":"ns.acme.com. dns.acme.com. 1 2 3 4 5"}]"#;
        check(&format!(r#"{{"Status":0,{head},{authority}}}"#), Some(&[]));
        check(&format!(r#"{{"Status":3,{head},{authority}}}"#), Some(&[]));
        // Nobody knows: refused, failed, cut off, no such thing.
        check(&format!(r#"{{"Status":2,{head}}}"#), None);
        check(&format!(r#"{{"Status":5,{head}}}"#), None);
        check(&answer(&txt(r#""\"bulkhead=abc\"""#)).replace(r#""TC":false"#, r#""TC":true"#), None);
        for garbage in [
            "",
            "{}",
            "[]",
            "null",
            "<html>",
            r#"{"Status":"0"}"#,
            r#"{"Status":0,"Answer":{}}"#,
            r#"{"Status":0,"Answer":"x"}"#,
        ] {
            check(garbage, None);
        }
        check(
            r#"{"Status":0,"Answer":[1,null,{"type":16},{"type":16,"data":1},{"type":"16","data":"x"}]}"#,
            Some(&[]),
        );
    }

    #[test]
    fn only_the_whole_token_proves() {
        let texts = |text: &str| vec!["v=spf1 -all".to_owned(), text.to_owned()];
        assert!(is_in(&texts("bulkhead=abc"), "abc"));
        assert!(is_in(&texts(" bulkhead=abc "), "abc"));
        for text in [
            "bulkhead=abcd",
            "bulkhead=ab",
            "bulkhead=ABC",
            "bulkhead= abc",
            "abc",
            "x bulkhead=abc",
            "bulkhead=",
        ] {
            assert!(!is_in(&texts(text), "abc"), "{text}");
        }
        assert!(!is_in(&[], ""));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_breaks_it(answer in proptest::collection::vec(proptest::num::u8::ANY, 0..200), data in ".{0,80}") {
            let _ = read(&answer);
            let _ = joined(&data);
        }
    }
}
