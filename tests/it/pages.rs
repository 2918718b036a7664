//! The dashboard's pages: how a session is proven there, what may change something, and that it opens nothing else.

use bulkhead_tests::company::{Company, PASSWORD, cookie, form};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::token::{SIGNING_KEY, page};
use http::Method;
use serde_json::{Value, json};

/// Signs in as a browser does; gives the answer and the cookie that it would send.
async fn sign_in(company: &Company, body: &Value) -> (reqwest::Response, String) {
    let request = company.request("", Method::POST, "/dashboard/sign-in").body(form(body));
    let response = request.send().await.unwrap();
    let set = response.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    let pair = set.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
    (response, pair)
}

fn login(company: &Company) -> Value {
    json!({ "email": format!("owner@{}.example", company.slug), "password": PASSWORD })
}

async fn status(company: &Company, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = company.stand.http(&company.host(), method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (response.status().as_u16(), to.unwrap_or_default())
}

#[tokio::test]
async fn signing_in_gives_a_cookie_that_only_this_host_gets_back_and_signing_out_ends_it() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let (response, pair) = sign_in(&acme, &login(&acme)).await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/dashboard");
    let set = response.headers()["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("__Host-session="), "{set}");
    for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Max-Age=2592000"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let here = &[("cookie", pair.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(status(&acme, Method::GET, "/dashboard", here).await.0, 200);
    assert_eq!(
        status(&acme, Method::POST, "/dashboard/sign-out", here).await,
        (303, "/dashboard/sign-in".into())
    );
    assert_eq!(status(&acme, Method::GET, "/dashboard", here).await, (303, "/dashboard/sign-in".into()));
}

#[tokio::test]
async fn a_wrong_login_is_said_on_the_page_and_next_leads_nowhere_else() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let (response, pair) =
        sign_in(&acme, &json!({ "email": "a\"b@example.com", "password": "not this one" })).await;
    assert_eq!((response.status().as_u16(), pair.as_str()), (401, ""));
    let html = response.text().await.unwrap();
    assert!(html.contains("The e-mail address or the password is wrong"), "{html}");
    assert!(html.contains("a&#34;b@example.com"), "what was typed stays: {html}");
    assert_eq!(sign_in(&acme, &login(&bright)).await.0.status(), 401, "another company's login");
    for (next, expected) in [
        ("/dashboard/inbox?state=waiting", "/dashboard/inbox?state=waiting"),
        ("//evil.example/dashboard", "/dashboard"),
        ("https://evil.example", "/dashboard"),
        ("/dashboard/../../x", "/dashboard"),
    ] {
        let mut body = login(&acme);
        body["next"] = next.into();
        assert_eq!(sign_in(&acme, &body).await.0.headers()["location"], expected, "{next}");
    }
    let asked = status(&acme, Method::GET, "/dashboard/inbox?state=waiting", &[]).await;
    assert_eq!(asked, (303, "/dashboard/sign-in?next=/dashboard/inbox%3Fstate%3Dwaiting".into()));
}

#[tokio::test]
async fn a_cookie_opens_pages_of_its_company_and_nothing_else() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let pair = sign_in(&acme, &login(&acme)).await.1;
    let token = pair.strip_prefix("__Host-session=").unwrap();
    let bearer = format!("Bearer {token}");
    let access = format!("__Host-session={}", acme.owner);
    let twice = format!("{pair}; {}", cookie(&acme.owner));
    for (what, company, path, headers, expected) in [
        ("good", &acme, "/dashboard", vec![("cookie", pair.as_str())], 200),
        ("at another company", &bright, "/dashboard", vec![("cookie", &pair)], 303),
        ("to the API, as a cookie", &acme, "/v1/company", vec![("cookie", &pair)], 401),
        ("to the API, as a bearer", &acme, "/v1/company", vec![("authorization", &bearer)], 401),
        ("a bearer's token on a page", &acme, "/dashboard", vec![("cookie", &access)], 303),
        ("two of them", &acme, "/dashboard", vec![("cookie", &twice)], 303),
        ("a bearer on a page", &acme, "/dashboard", vec![("authorization", &bearer)], 303),
        ("none", &acme, "/dashboard", vec![], 303),
    ] {
        assert_eq!(status(company, Method::GET, path, &headers).await.0, expected, "{what}");
    }
    // Membership and session are read with the page's own rows.
    acme.rows("update memberships set ended_at = now() where company_id = $1::text::uuid returning 1").await;
    assert_eq!(status(&acme, Method::GET, "/dashboard", &[("cookie", &pair)]).await.0, 303);
}

#[tokio::test]
async fn what_changes_something_comes_from_a_page_of_the_same_host() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let port = acme.stand.port;
    let own = format!("http://{}:{port}", acme.host());
    let other = format!("http://other.localhost:{port}");
    let pair = cookie(&acme.owner);
    let send = async |path: &str, headers: &[(&str, &str)]| {
        let host = format!("{}:{port}", acme.host());
        let mut request = acme.stand.http(&host, Method::POST, path).header("cookie", &pair);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = "daily_limit_microusd%3Adollars=7.5";
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    for (what, headers) in [
        ("no word of where", vec![]),
        ("another site", vec![("sec-fetch-site", "cross-site")]),
        (
            "a sibling, such as another company",
            vec![("sec-fetch-site", "same-site"), ("origin", other.as_str())],
        ),
        ("a link or an address typed", vec![("sec-fetch-site", "none")]),
        ("another origin", vec![("origin", "https://evil.example")]),
        ("an opaque origin", vec![("origin", "null")]),
        (
            "another origin that says it is the same",
            vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        ),
        (
            "the right origin that says it is another",
            vec![("sec-fetch-site", "cross-site"), ("origin", &own)],
        ),
        ("the right host, another port", vec![("origin", "http://localhost:1")]),
    ] {
        assert_eq!(send("/dashboard/budget", &headers).await, 403, "{what}");
        assert_eq!(send("/dashboard/sign-in", &headers).await, 403, "{what}: signing in");
    }
    let limit =
        async || acme.owner(Method::GET, "/v1/budget", None, 200).await["daily_limit_microusd"].clone();
    assert_eq!(limit().await, 2_000_000, "nothing was changed");
    for headers in [
        vec![("sec-fetch-site", "same-origin")],
        vec![("origin", own.as_str())],
        vec![("sec-fetch-site", "same-origin"), ("origin", &own)],
    ] {
        assert_eq!(send("/dashboard/budget", &headers).await, 303, "{headers:?}");
    }
    assert_eq!(limit().await, 7_500_000);
}

#[tokio::test]
async fn a_form_is_refused_with_a_page_and_a_sentence() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let body = json!({ "daily_limit_microusd:dollars": "a lot" });
    let (status, html) = acme.call(&acme.owner, Method::POST, "/dashboard/budget", Some(body)).await;
    assert_eq!(status, 400);
    assert!(html.as_str().unwrap().contains("Write it like 3.50."), "{html}");
    let member = acme.person("member").await;
    let member = acme.sign_in(&member.email).await.0;
    assert_eq!(acme.call(&member, Method::POST, "/dashboard/budget", Some(json!({}))).await.0, 403);
    // What the company keeps from a role is kept from its pages.
    let denied = json!({ "role": "member", "permission": "budget.read", "allowed": false });
    acme.owner(Method::PATCH, "/v1/roles", Some(denied), 200).await;
    assert_eq!(acme.call(&member, Method::GET, "/dashboard/budget", None).await.0, 403);
    let (status, html) = acme.call(&member, Method::GET, "/dashboard", None).await;
    assert_eq!(status, 200);
    assert!(!html.as_str().unwrap().contains("Spent today") && html.as_str().unwrap().contains("New leads"));
    // A token of the API's is one of the pages' only by being signed as that.
    assert_ne!(page(&acme.owner, "k2", &SIGNING_KEY), acme.owner);
}
