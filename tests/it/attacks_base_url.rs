//! Server-side request forgery: base URLs that would send a company's key elsewhere, or make the worker reach what only it
//! can reach. None is stored, none is called, and no redirect is followed.

use bulkhead_tests::company::{Company, event, text};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use http::Method;
use serde_json::json;

/// Base URLs that are refused, whatever the operator allows. `LISTED` stands for the one host that is listed.
const REFUSED: &[&str] = &[
    // Another scheme, or none.
    "",
    " ",
    "LISTED",
    "//LISTED/v1",
    "ftp://LISTED/v1",
    "file:///etc/passwd",
    "gopher://LISTED/_x",
    "data:text/plain,x",
    "javascript:alert(1)",
    "HTTPS://LISTED/v1",
    "https:/LISTED/v1",
    "https:LISTED/v1",
    "https:///LISTED/v1",
    " https://LISTED/v1",
    "https://LISTED/v1 ",
    // Clear text to anywhere but this machine.
    "http://api.example.com/v1",
    "http://localhost.example.com:80/v1",
    "http://127.0.0.1.example.com:80/v1",
    // This machine and its neighbours, in every spelling.
    "https://127.0.0.1/v1",
    "https://localhost/v1",
    "http://127.0.0.1:1/v1",
    "http://localhost:1/v1",
    "http://0.0.0.0:80/v1",
    "http://127.1/v1",
    "http://2130706433/v1",
    "http://0x7f000001/v1",
    "http://0x7f.0.0.1/v1",
    "http://017700000001/v1",
    "http://0177.0.0.1/v1",
    "http://[::1]/v1",
    "http://[::]/v1",
    "http://[::ffff:127.0.0.1]/v1",
    "http://[0:0:0:0:0:ffff:7f00:1]/v1",
    "http://[fe80::1%25eth0]/v1",
    "https://10.0.0.1/v1",
    "https://172.16.0.1/v1",
    "https://192.168.0.1/v1",
    "https://100.64.0.1/v1",
    "https://169.254.169.254/latest/meta-data",
    "https://2852039166/latest/meta-data",
    "https://0xa9fea9fe/latest/meta-data",
    "https://0251.0376.0251.0376/latest/meta-data",
    "https://[::ffff:169.254.169.254]/latest/meta-data",
    "https://[fd00:ec2::254]/latest/meta-data",
    "https://metadata.google.internal/computeMetadata/v1",
    "https://kubernetes.default.svc/api",
    // A listed name that is not the host.
    "https://LISTED@evil.example/v1",
    "https://user:password@LISTED/v1",
    "https://evil.example#LISTED",
    "https://evil.example/LISTED",
    "https://evil.example?LISTED",
    "https://evil.example\\@LISTED/v1",
    "https://evil.example\\.LISTED/v1",
    "https://LISTED.evil.example/v1",
    "https://evilLISTED/v1",
    "https://LISTED./v1",
    "https://LISTED%2eevil.example/v1",
    "https://LISTED%00.evil.example/v1",
    "https://LISTED%0d%0aHost:evil.example/v1",
    "https://LISTED\r\nHost: evil.example/v1",
    "https://LISTED\t.evil.example/v1",
    "https://LISTED\u{0}.evil.example/v1",
    "https://LISTED\u{3002}evil.example/v1",
    "https://evil\u{ff0e}example/v1",
    "https://\u{2460}\u{2461}\u{2466}.0.0.1/v1",
    "https://api.exаmple.com/v1",
    "https://xn--exmple-4nf.com/v1",
    // The listed host, and another port, path or query.
    "https://LISTED:1/v1",
    "https://LISTED:/v1",
    "https://LISTED:99999/v1",
    "http://LISTED/v1?key=",
    "http://LISTED/v1#",
    "http://LISTED//evil.example",
    "http://LISTED/../admin",
    "http://LISTED/v1/..",
    "http://LISTED/v1/./x",
    "http://LISTED/v1;x",
    "http://LISTED/%2e%2e/admin",
    // A preset's fixed address, and something more, or something else in its place.
    "http://api.groq.com/openai/v1",
    "https://api.groq.com/openai",
    "https://api.groq.com/openai/v1/../../admin",
    "https://api.groq.com/openai/v1/files",
    "https://api.groq.com.evil.example/openai/v1",
    "https://api.groq.com:8443/openai/v1",
    "https://api.groq.com@evil.example/openai/v1",
    "https://evil.example/openai/v1",
    "https://api.cloudflare.com/client/v4",
    "https://api.cloudflare.com/client/v4/user/tokens",
    "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
    "https://api.cloudflare.com/client/v4/accounts/0123456789abcdef0123456789abcdef/ai/v1/run",
    "https://api.cloudflare.com/client/v4/accounts/0123456789abcdef0123456789abcde/ai/v1",
    "https://api.cloudflare.com/client/v4/accounts/../../../0123456789abcdef01234567/ai/v1",
    "https://api.cloudflare.com/client/v4/accounts/0123456789ABCDEF0123456789ABCDEF/ai/v1",
    // Presets that the operator must list, and has not.
    "https://acme.openai.azure.com/openai/v1",
    "https://acme.openai.azure.com.evil.example/openai/v1",
    "https://evil.example/.openai.azure.com/openai/v1",
    "http://127.0.0.1:11434/v1",
    "http://localhost:11434/v1",
];

/// Fixed addresses that need no listing; what is sent there has our double's key, and is never sent in this test.
const TAKEN: &[&str] = &[
    "https://api.groq.com/openai/v1",
    "https://api.mistral.ai/v1",
    "https://api.together.xyz/v1",
    "https://openrouter.ai/api/v1",
    "https://api.cloudflare.com/client/v4/accounts/0123456789abcdef0123456789abcdef/ai/v1",
];

#[tokio::test]
async fn no_base_url_leads_elsewhere() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let listed = stand.upstream.url().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let add = |url: String| {
        let body = json!({
            "kind": "compatible", "name": "Theirs", "api_key": key, "base_url": url,
            "models": [{ "model": "m", "tier": "fast", "input_microusd_per_mtok": 1,
                         "output_microusd_per_mtok": 1, "context_tokens": 100_000 }],
        });
        company.call(&company.owner, Method::POST, "/v1/providers", Some(body))
    };
    for url in REFUSED {
        let url = url.replace("LISTED", &listed);
        let (status, problem) = add(url.clone()).await;
        assert_eq!(status, 400, "{url:?}: {problem}");
        assert!(!problem.to_string().contains("evil.example"), "{url:?} is said again: {problem}");
    }
    let stored = company.rows("select from providers where company_id = $1::text::uuid").await;
    assert!(stored.is_empty(), "a refused base URL was stored");
    assert!(stand.upstream.requests(&key).is_empty(), "a refused base URL was called");

    // The control: the listed host itself is taken, and its model answers.
    let (status, made) = add(stand.upstream.url().to_owned()).await;
    assert_eq!(status, 201, "{made}");
    company.visitor().await.ask("Do you fix leaks?").await;
    assert_eq!(stand.upstream.requests(&key).len(), 1);
    tally("5 credentials", "base URLs that lead elsewhere, refused", REFUSED.len(), 80);
    for url in TAKEN {
        let (status, made) = add((*url).to_owned()).await;
        assert_eq!((status, made["base_url"].as_str()), (201, Some(*url)), "{made}");
    }
}

/// A base URL is stored with its key and never changes, so that no key goes anywhere else than where it was given for.
#[tokio::test]
async fn no_key_moves_to_another_address() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let id = company.provider("openai", &key).await;
    let path = format!("/v1/providers/{id}");
    for change in [
        json!({ "base_url": stand.upstream.url() }),
        json!({ "kind": "compatible" }),
        json!({ "api": "responses" }),
        json!({ "sealed_key": "x" }),
    ] {
        let (status, problem) = company.call(&company.owner, Method::PATCH, &path, Some(change)).await;
        assert_eq!(status, 400, "{problem}");
    }
    // Nor can the worker's own role move it in the database.
    let granted = "select column_name::text from information_schema.column_privileges
                   where table_name = 'providers' and grantee = 'bulkhead_runtime' and privilege_type = 'UPDATE'
                     and column_name in ('base_url', 'kind', 'api', 'provider_id', 'company_id') and $1::text is not null";
    assert!(company.rows(granted).await.is_empty());
}

/// What a test of a key asks is no way to reach what only the worker can reach either.
#[tokio::test]
async fn a_test_of_a_key_follows_no_redirect() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    for kind in ["openai", "anthropic", "gemini"] {
        let key = format!("test-307-{}", uuid::Uuid::new_v4().simple());
        let path = format!("/v1/providers/{}/test", company.provider(kind, &key).await);
        let outcome = company.owner(Method::POST, &path, None, 200).await;
        assert!(outcome["problem"].as_str().unwrap().contains("address"), "{outcome}");
        assert_eq!(stand.upstream.requests(&key).len(), 1, "{kind}: the redirect was followed");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let stand = Stand::get();
    for (kind, model) in [("openai", "gpt"), ("anthropic", "claude"), ("gemini", "gemini")] {
        for status in [301, 302, 303, 307, 308] {
            let company = Company::new(stand, "plumbing").await;
            let key = format!("test-{status}-{model}-{}", uuid::Uuid::new_v4().simple());
            company.provider(kind, &key).await;
            let events = company.visitor().await.ask("Do you fix leaks?").await;
            assert_eq!(event(&events, "done")["reason"], "provider", "{kind}, {status}");
            assert!(!text(&events).is_empty());
            assert_eq!(stand.upstream.requests(&key).len(), 1, "{kind}, {status}: the redirect was followed");
        }
    }
    tally("5 credentials", "redirects of a provider, none followed", 15, 15);
}
