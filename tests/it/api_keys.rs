//! Keys of a company's own programs: made, shown once, used for what they are for, ended; and all that must not pass for one.

use std::collections::HashSet;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::wire::{self, Answer};
use http::Method;
use serde_json::{Value, json};

/// What this key is answered to `GET /v1/models` at a company's host.
async fn models(company: &Company, key: &str) -> Answer {
    let request = company.request(key, Method::GET, "/v1/models");
    wire::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_its_hash_is_all_that_is_kept() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let body = json!({ "name": "The shop's till", "scopes": ["models", "chat"], "expires_in_days": 30 });
    let made = acme.owner(Method::POST, "/v1/api-keys", Some(body), 201).await;
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("bk_") && key.len() == 71, "{key}");
    assert_eq!(made["scopes"], json!(["models", "chat"]));
    assert_eq!(made["last_four"], key[67..]);
    assert_eq!((&made["last_used_at"], &made["revoked_at"]), (&Value::Null, &Value::Null));
    let listed = acme.owner(Method::GET, "/v1/api-keys", None, 200).await;
    assert_eq!(listed["api_keys"].as_array().unwrap().len(), 1);
    assert!(
        !listed.to_string().contains(&key[..67]) && listed["api_keys"][0].get("key").is_none(),
        "{listed}"
    );
    let kept = format!(
        "select key_hash = sha256('{key}'), to_jsonb(k)::text, expires_at > now() + interval '29 days'
         from api_keys k where company_id = $1::text::uuid"
    );
    let rows = acme.rows(&kept).await;
    assert!(rows[0].get::<_, bool>(0) && rows[0].get::<_, bool>(2));
    assert!(!rows[0].get::<_, String>(1).contains(&key[3..60]));
    let noted =
        "select action from audit_events where company_id = $1::text::uuid and action = 'api_key.added'";
    assert_eq!(acme.rows(noted).await.len(), 1);
}

#[tokio::test]
async fn an_agent_that_answers_is_a_model() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let key = acme.api_key(&["models"]).await;
    acme.rows(
        "update agents set enabled = false where company_id = $1::text::uuid and not is_default returning 1",
    )
    .await;
    let agent =
        json!({ "slug": "night-shift", "name": "N", "role": "r", "instructions": "i", "tier": "fast" });
    acme.owner(Method::POST, "/v1/agents", Some(agent), 201).await;
    let answer = models(&acme, &key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let list: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(list["object"], "list");
    let data = list["data"].as_array().unwrap();
    assert_eq!(data.len(), 2, "{list}");
    assert_eq!(data[1]["id"], "night-shift");
    for model in data {
        assert_eq!(model["object"], "model");
        assert_eq!(model["owned_by"], acme.slug);
        assert!(model["created"].as_i64().unwrap() > 1_700_000_000, "{model}");
    }
}

#[tokio::test]
async fn what_is_no_good_key_is_refused_alike() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let good = acme.api_key(&["models"]).await;
    assert_eq!(models(&acme, &good).await.status, 200, "the attacks below would be blind");
    let (ended, revoked, theirs, gone) = (
        acme.api_key(&["models"]).await,
        acme.api_key(&["models"]).await,
        bright.api_key(&["models"]).await,
        acme.api_key(&["models"]).await,
    );
    let change = async |what: &str, key: &str| {
        let sql = format!(
            "{what} where company_id = $1::text::uuid and key_hash = sha256('{key}') returning api_key_id::text"
        );
        let rows = acme.rows(&sql).await;
        rows[0].get::<_, String>(0)
    };
    change("update api_keys set expires_at = now()", &ended).await;
    change("delete from api_keys", &gone).await;
    let id = change("update api_keys set name = 'Old'", &revoked).await;
    acme.owner(Method::DELETE, &format!("/v1/api-keys/{id}"), None, 204).await;

    let nothing = models(&acme, "").await;
    assert_eq!(nothing.status, 401);
    assert!(nothing.body.contains("invalid_api_key"), "{nothing:?}");
    let visitor = acme.visitor().await.token;
    let mut attacks = vec![
        ("ended".to_owned(), ended),
        ("revoked".to_owned(), revoked),
        ("another company's".to_owned(), theirs),
        ("removed".to_owned(), gone),
        ("a visitor's token".to_owned(), visitor),
        ("the owner's access token".to_owned(), acme.owner.clone()),
        ("the owner's refresh token".to_owned(), acme.refresh.clone()),
        ("only the prefix".to_owned(), "bk_".to_owned()),
        ("with a space".to_owned(), format!("{good} ")),
        ("in capitals".to_owned(), good.to_uppercase()),
        ("twice".to_owned(), format!("{good}{good}")),
        ("padded".to_owned(), format!("{good}=")),
        ("without its prefix".to_owned(), good[3..].to_owned()),
        ("as a pattern".to_owned(), "bk_%".to_owned()),
        ("the id".to_owned(), format!("bk_{id}")),
        ("very long".to_owned(), format!("bk_{}", "A".repeat(4_000))),
    ];
    for at in 0..good.len() {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        attacks
            .push((format!("character {at} changed"), format!("{}{other}{}", &good[..at], &good[at + 1..])));
    }
    // The right id and a right check, with another secret; a right secret under another's id.
    for (what, id, secret) in [("another secret", 0..16, None), ("another id", 0..0, Some(16..48))] {
        attacks.push((what.to_owned(), forge(&good, id, secret)));
    }
    let names: HashSet<&String> = attacks.iter().map(|(what, _)| what).collect();
    assert_eq!(names.len(), attacks.len(), "two attacks have the same name");
    for (what, key) in &attacks {
        if what == "with a space" {
            // A header's value has no space at its end (RFC 9110, section 5.5): that one is good.
            continue;
        }
        assert_eq!(models(&acme, key).await, nothing, "{what}: {key:.200}");
    }
    tally("1 identity", "no good API keys, each refused as if there were none", attacks.len() - 1, 80);
    // And nobody's key opens what is a member's or a visitor's.
    for (method, path) in
        [(Method::GET, "/v1/company"), (Method::GET, "/v1/api-keys"), (Method::POST, "/v1/leads")]
    {
        let body = (method == Method::POST).then(|| json!({ "name": "V", "phone": "555 0100" }));
        assert_eq!(acme.call(&good, method, path, body).await.0, 401, "{path}");
    }
}

/// A key with parts of a good one and random bytes for the rest, and a check that is right.
fn forge(good: &str, id: std::ops::Range<usize>, secret: Option<std::ops::Range<usize>>) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use sha2::{Digest, Sha256};
    let whole = Base64UrlUnpadded::decode_vec(&good[3..]).unwrap();
    let mut forged: Vec<u8> = (0..3).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect();
    for range in [Some(id), secret].into_iter().flatten() {
        forged[range.clone()].copy_from_slice(&whole[range]);
    }
    let check = Sha256::digest(&forged);
    forged.extend_from_slice(&check[..3]);
    format!("bk_{}", Base64UrlUnpadded::encode_string(&forged))
}

#[tokio::test]
async fn a_key_is_good_for_its_scopes_only() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let chat = acme.api_key(&["chat"]).await;
    let answer = models(&acme, &chat).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("scope") && answer.body.contains("insufficient_permissions"), "{answer:?}");
    for bad in [
        json!({ "name": "P", "scopes": [] }),
        json!({ "name": "P", "scopes": ["everything"] }),
        json!({ "name": "P" }),
        json!({ "name": "", "scopes": ["chat"] }),
        json!({ "name": "P", "scopes": ["chat"], "expires_in_days": 0 }),
        json!({ "name": "P", "scopes": ["chat"], "expires_in_days": 99_999 }),
    ] {
        let (status, problem) = acme.call(&acme.owner, Method::POST, "/v1/api-keys", Some(bad.clone())).await;
        assert_eq!(status, 400, "{bad}: {problem}");
    }
}

#[tokio::test]
async fn its_use_is_noted_once_an_hour() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let key = acme.api_key(&["models"]).await;
    let used = async || {
        let rows =
            acme.rows("select last_used_at::text from api_keys where company_id = $1::text::uuid").await;
        rows[0].get::<_, Option<String>>(0)
    };
    assert_eq!(used().await, None);
    models(&acme, &key).await;
    let first = used().await;
    assert!(first.is_some());
    models(&acme, &key).await;
    assert_eq!(used().await, first, "within the hour it is not written again");
    let ago = "update api_keys set last_used_at = now() - interval '2 hours' where company_id = $1::text::uuid returning last_used_at::text";
    let ago: String = acme.rows(ago).await[0].get(0);
    models(&acme, &key).await;
    assert_ne!(used().await, Some(ago));
    // What is refused notes nothing: the batch is rolled back.
    acme.rows("update api_keys set last_used_at = null, scopes = '{chat}' where company_id = $1::text::uuid returning 1").await;
    assert_eq!(models(&acme, &key).await.status, 403);
    assert_eq!(used().await, None);
}

#[tokio::test]
async fn a_company_has_so_many_keys_and_no_more() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.rows(
        "insert into api_keys (company_id, api_key_id, name, key_hash, last_four, revoked_at)
         select $1::text::uuid, gen_random_uuid(), 'K', sha256(n::text::bytea), '1234', case when n > 50 then now() end
         from generate_series(1, 60) n returning 1",
    )
    .await;
    let body = json!({ "name": "One more", "scopes": ["chat"] });
    let problem = acme.owner(Method::POST, "/v1/api-keys", Some(body.clone()), 409).await;
    assert!(problem["detail"].as_str().unwrap().contains("Revoke"), "{problem}");
    acme.rows(
        "delete from api_keys where company_id = $1::text::uuid and key_hash = sha256('1') returning 1",
    )
    .await;
    acme.owner(Method::POST, "/v1/api-keys", Some(body), 201).await;
}
