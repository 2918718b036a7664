//! A resolver's double, in the stand's website: answers over HTTP in the JSON form of Cloudflare's resolver what a test puts there.
//!
//! It never answers for a name of which no test has said anything: that is HTTP's 404, and so no answer of the DNS.

use serde_json::{Value, json};

use crate::website::{Page, Website};

/// Where it is.
pub const PATH: &str = "/dns-query";

/// Has the TXT records of a name be these: each as the DNS cuts and quotes it.
pub fn put(website: &Website, name: &str, texts: &[&str]) {
    let record = |text: &&str| json!({ "name": name, "type": 16, "TTL": 300, "data": quoted(text) });
    let mut answer = head(name, 0);
    if !texts.is_empty() {
        answer["Answer"] = texts.iter().map(record).collect();
    }
    page(website, name, &answer);
}

/// Has the DNS say of a name no more than this status (RFC 1035, section 4.1.1): 2 that it failed, 3 that there is no such name.
pub fn fail(website: &Website, name: &str, status: u32) {
    page(website, name, &head(name, status));
}

/// Has anything at all be the answer.
pub fn anything(website: &Website, name: &str, page: Page) {
    website.put(format!("{PATH}?name={name}&type=TXT"), page);
}

fn page(website: &Website, name: &str, answer: &Value) {
    anything(website, name, Page::Text("application/dns-json", answer.to_string().into()));
}

fn head(name: &str, status: u32) -> Value {
    json!({
        "Status": status, "TC": false, "RD": true, "RA": true, "AD": false, "CD": false,
        "Question": [{ "name": name, "type": 16 }],
    })
}

/// A text in strings of at most 20 characters: as those of 255 bytes are, of which these texts have no need.
fn quoted(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let strings = chars.chunks(20).map(|string| format!("\"{}\"", string.iter().collect::<String>()));
    strings.collect::<Vec<_>>().join(" ")
}
