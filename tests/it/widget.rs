//! The chat on pages: which origins may ask, what their tokens are good for, its settings, ratings, and asking for a person.

use bulkhead::routes::{ROUTES, Route, Run};
use bulkhead_tests::company::{Company, event, sign_identity};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::run;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::claims;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::attacks_id::body;

const SHOP: &str = "https://shop.example";
const BLOG: &str = "http://blog.example:8080";

/// Status, headers and JSON of a request from a page of this origin; none where it is empty.
async fn from(
    company: &Company,
    origin: &str,
    token: &str,
    (method, path): (&str, &str),
    body: Option<Value>,
) -> (u16, HeaderMap, Value) {
    let mut request = company.request(token, method.parse().unwrap(), path);
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    (status, headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn preflight(company: &Company, origin: &str, path: &str) -> (u16, HeaderMap) {
    let request = company.request("", Method::OPTIONS, path).header("access-control-request-method", "POST");
    let request = request.header("access-control-request-headers", "authorization,content-type");
    let response = request.header("origin", origin).send().await.unwrap();
    (response.status().as_u16(), response.headers().clone())
}

async fn list(company: &Company, origins: &[&str]) {
    let change = json!({ "allowed_origins": origins });
    company.owner(Method::PATCH, "/v1/widget-settings", Some(change), 200).await;
}

async fn mint(company: &Company, origin: &str) -> String {
    let (status, _, made) = from(company, origin, "", ("POST", "/v1/visitor"), None).await;
    assert_eq!(status, 201, "{made}");
    made["token"].as_str().unwrap().to_owned()
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

fn cross_origin() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.cross_origin)
}

#[test]
fn only_a_visitor_s_routes_are_for_other_pages() {
    let guests = ["/v1/visitor", "/v1/widget"];
    for route in ROUTES {
        let for_visitors = matches!(route.run, Run::Visitor(_)) || guests.contains(&route.path);
        assert_eq!(route.cross_origin, for_visitors, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_refused_whatever_else_the_request_says() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    // What another company lists, and what only looks like what is listed.
    list(&bright, &[SHOP, "https://evil.example"]).await;
    list(&acme, &["https://good.example"]).await;
    let visitor = acme.visitor().await.token;
    let own = format!("http://{}:{}", acme.host(), stand.port);
    let (own_scheme, own_port) = (own.replace("http:", "https:"), format!("http://{}:1", acme.host()));
    let mut counted = 0;
    for route in cross_origin() {
        let mut first = None;
        for origin in [
            SHOP,
            "https://evil.example",
            "null",
            "*",
            "https://good.example.evil.example",
            "http://good.example",
            "https://good.example:444",
            "https://good.example/",
            "HTTPS://GOOD.EXAMPLE",
            "https://sub.good.example",
            &own_scheme,
            &own_port,
            &stand.root_url,
            "https://good.example, https://good.example",
        ] {
            for token in ["", "x.y.z", &visitor] {
                let path = route.path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057");
                let (status, headers, mut problem) =
                    from(&acme, origin, token, (route.method, &path), body(route)).await;
                assert_eq!(status, 403, "{} {path} from {origin}: {problem}", route.method);
                assert_eq!(allowed(&headers), None, "{} {path} from {origin}", route.method);
                assert_eq!(headers["vary"], "origin");
                problem.as_object_mut().unwrap().remove("request_id");
                assert_eq!(
                    &problem,
                    first.get_or_insert(problem.clone()),
                    "{} {path} from {origin}",
                    route.method
                );
                counted += 1;
            }
            let (status, headers) = preflight(&acme, origin, route.path).await;
            assert_eq!((status, allowed(&headers)), (403, None), "preflight of {} from {origin}", route.path);
        }
    }
    // Two are not one.
    let twice = acme.request("", Method::GET, "/v1/widget").header("origin", "https://good.example");
    let twice = twice.header("origin", "https://good.example").send().await.unwrap();
    assert!(twice.status() == 403 || twice.status() == 400, "{twice:?}");
    tally("1 identity", "requests from pages that are not listed, each refused alike", counted, 290);
}

#[tokio::test]
async fn a_listed_page_asks_with_a_token_of_its_own() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    list(&acme, &[SHOP, BLOG]).await;
    let (shop, blog, own) = (mint(&acme, SHOP).await, mint(&acme, BLOG).await, acme.visitor().await.token);
    assert_eq!(claims(&shop)["origin"], SHOP);
    assert_eq!(claims(&own)["origin"], Value::Null);
    let ask = || Some(json!({ "name": "Vera", "phone": "555 0100" }));
    let here = format!("http://{}:{}", acme.host(), acme.stand.port);
    for (what, token, origin, expected) in [
        ("the shop's at the shop", &shop, SHOP, 201),
        ("the blog's at the blog", &blog, BLOG, 201),
        ("the shop's at the blog", &shop, BLOG, 401),
        ("the shop's at no page", &shop, "", 401),
        ("the shop's on the company's page", &shop, here.as_str(), 401),
        ("the company's at the shop", &own, SHOP, 401),
        ("the company's on its page", &own, here.as_str(), 201),
        ("the company's at no page", &own, "", 201),
        ("an owner's at the shop", &acme.owner, SHOP, 401),
    ] {
        let (status, headers, answer) = from(&acme, origin, token, ("POST", "/v1/leads"), ask()).await;
        assert_eq!(status, expected, "{what}: {answer}");
        // A page reads why it was refused, too; the company's own needs no leave.
        let other = [SHOP, BLOG].contains(&origin);
        assert_eq!(allowed(&headers), other.then_some(origin), "{what}");
        assert_eq!(headers["vary"], "origin", "{what}");
        assert!(!headers.contains_key("access-control-allow-credentials"), "{what}");
    }
    // A token is renewed where it is good, for the same visitor; elsewhere there is a new one.
    let renewed = async |origin, token| from(&acme, origin, token, ("POST", "/v1/visitor"), None).await.2;
    let sub = claims(&shop)["sub"].clone();
    assert_eq!(renewed(SHOP, shop.as_str()).await["visitor_id"], sub);
    assert_ne!(renewed(BLOG, shop.as_str()).await["visitor_id"], sub);
    assert_ne!(renewed("", shop.as_str()).await["visitor_id"], sub);
    assert_ne!(renewed(SHOP, acme.owner.as_str()).await["visitor_id"], claims(&acme.owner)["sub"]);
}

#[tokio::test]
async fn a_browser_is_told_what_a_listed_page_may_ask() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    list(&acme, &[SHOP]).await;
    for route in cross_origin() {
        let (status, headers) = preflight(&acme, SHOP, route.path).await;
        assert_eq!((status, allowed(&headers)), (204, Some(SHOP)), "{}", route.path);
        let methods = headers["access-control-allow-methods"].to_str().unwrap();
        assert!(methods.split(", ").any(|method| method == route.method), "{}: {methods}", route.path);
        assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }
    // What only members may do at such a path is not among it, and other paths say nothing.
    assert_eq!(preflight(&acme, SHOP, "/v1/leads").await.1["access-control-allow-methods"], "POST");
    for (path, expected) in [("/v1/company", 405), ("/v1/login", 405), ("/", 405), ("/v1/nothing", 404)] {
        let (status, headers) = preflight(&acme, SHOP, path).await;
        assert_eq!((status, allowed(&headers)), (expected, None), "{path}");
    }
    let (_, headers, _) = from(&acme, SHOP, &acme.owner, ("GET", "/v1/company"), None).await;
    assert_eq!(allowed(&headers), None);
    // The files are the same for everybody.
    for path in ["/widget.js", "/widget/app.js"] {
        let (status, headers, _) = from(&acme, "https://anybody.example", "", ("GET", path), None).await;
        assert_eq!((status, allowed(&headers)), (200, Some("*")), "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    }
}

#[test]
fn an_origin_taken_off_the_list_is_out_within_half_a_minute() {
    run(async {
        let core = Core::new(Stand::get());
        let acme = Company::new(core.stand, "plumbing").await;
        let ask = async || {
            let headers = [("origin", SHOP)];
            core.serve_with(&acme.host(), "GET", "/v1/widget", &headers, None).await.status().as_u16()
        };
        assert_eq!(ask().await, 403);
        list(&acme, &[SHOP]).await;
        assert_eq!(ask().await, 200, "what is new is there at once");
        core.native.take_sent();
        assert_eq!(ask().await, 200);
        assert_eq!(core.native.take_sent().len(), 1, "and is remembered");
        list(&acme, &[]).await;
        core.native.set_ahead_ms(31_000);
        assert_eq!(ask().await, 403);
    });
}

#[tokio::test]
async fn settings_are_checked_and_spelled_as_browsers_do() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let path = "/v1/widget-settings";
    let settings = acme.owner(Method::GET, path, None, 200).await;
    assert_eq!(settings["allowed_origins"], json!([]), "closed by default");
    let change = json!({
        "allowed_origins": ["HTTPS://Shop.Example:443/", "https://shop.example"], "side": "left", "greet_after_s": 3,
        "link_hosts": ["Maps.example"], "accent_color": "#C0FFEE", "greeting": "Ask away.",
    });
    let settings = acme.owner(Method::PATCH, path, Some(change), 200).await;
    assert_eq!(settings["allowed_origins"], json!([SHOP]));
    assert_eq!(settings["link_hosts"], json!(["maps.example"]));
    let shown = acme.call("", Method::GET, "/v1/widget?lang=de-AT", None).await.1;
    assert_eq!((&shown["greet_after_s"], &shown["side"]), (&json!(3), &json!("left")));
    assert_eq!((&shown["greeting"], &shown["accent"][0]), (&json!("Ask away."), &json!("#c0ffee")));
    assert_eq!((&shown["lang"], &shown["strings"]["send"]), (&json!("de"), &json!("Senden")));
    assert!(
        shown["quick_replies"].as_array().unwrap().len() > 1 && shown["hours"]["known"] == true,
        "{shown}"
    );
    assert!(shown.get("allowed_origins").is_none());
    // Null takes the greeting away; what is not given stays.
    let settings = acme.owner(Method::PATCH, path, Some(json!({ "greet_after_s": null })), 200).await;
    assert_eq!((&settings["greet_after_s"], &settings["side"]), (&Value::Null, &json!("left")));
    for (bad, word) in [
        (json!({ "allowed_origins": ["*"] }), "origin"),
        (json!({ "allowed_origins": ["https://shop.example/page"] }), "path"),
        (
            json!({ "allowed_origins": vec!["a"; 21].iter().zip(0..).map(|(a, n)| format!("https://{a}{n}.example")).collect::<Vec<_>>() }),
            "20",
        ),
        (json!({ "image_hosts": ["https://x.example"] }), "host"),
        (json!({ "accent_color": "red" }), "colour"),
        (json!({ "side": "top" }), "side"),
        (json!({ "greet_after_s": 601 }), "600"),
        (json!({ "greeting": "g".repeat(501) }), "500"),
        (json!({ "company_id": acme.id }), "company_id"),
    ] {
        let problem = acme.owner(Method::PATCH, path, Some(bad.clone()), 400).await;
        assert!(problem["detail"].as_str().unwrap().contains(word), "{bad}: {problem}");
    }
}

#[tokio::test]
async fn who_was_answered_rates_the_answer() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let (visitor, other) = (acme.visitor().await, acme.visitor().await.token);
    let events = visitor.ask("How much does it cost to replace a water heater?").await;
    let path = |id: &Value| format!("/v1/messages/{}/rating", id.as_str().unwrap());
    let answer = path(&event(&events, "done")["message_id"]);
    let bad = || Some(json!({ "good": false, "remark": "Too dear." }));
    assert_eq!(acme.call(&other, Method::PUT, &answer, bad()).await.0, 404);
    let question = path(&event(&events, "start")["message_id"]);
    assert_eq!(acme.call(&visitor.token, Method::PUT, &question, bad()).await.0, 404);
    let long = json!({ "good": true, "remark": "r".repeat(1_001) });
    assert_eq!(acme.call(&visitor.token, Method::PUT, &answer, Some(long)).await.0, 400);
    let rated = "select good, remark from message_ratings where company_id = $1::text::uuid";
    assert!(acme.rows(rated).await.is_empty());
    for (given, good, remark) in [(bad(), false, "Too dear."), (Some(json!({ "good": true })), true, "")] {
        assert_eq!(acme.call(&visitor.token, Method::PUT, &answer, given).await.0, 200);
        let rows = acme.rows(rated).await;
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].get::<_, bool>(0), rows[0].get::<_, &str>(1)), (good, remark));
    }
}

#[tokio::test]
async fn a_person_is_asked_for_once() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let events = visitor.ask("Do you fix leaks?").await;
    let conversation = event(&events, "start")["conversation_id"].as_str().unwrap();
    let path = format!("/v1/conversations/{conversation}/hand-over");
    for _ in 0..2 {
        let (status, answer) = acme.call(&visitor.token, Method::POST, &path, None).await;
        assert_eq!((status, answer["open"].is_boolean()), (200, true), "{answer}");
    }
    let notices = acme.owner(Method::GET, "/v1/notices", None, 200).await;
    let asked = notices["notices"].as_array().unwrap().iter().filter(|notice| notice["kind"] == "hand_over");
    assert_eq!(asked.count(), 1, "{notices}");
    let handed = "select from conversations where company_id = $1::text::uuid and handed_over_at is not null";
    assert_eq!(acme.rows(handed).await.len(), 1);
}

#[tokio::test]
async fn the_company_s_server_says_who_a_visitor_is() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let (vera, other) = (acme.visitor().await.token, acme.visitor().await.token);
    let say = async |visitor: &str, token: &str| {
        acme.call(visitor, Method::POST, "/v1/identity", Some(json!({ "token": token }))).await
    };
    let forged = sign_identity("", "7");
    let (status, nobody) = say(&vera, &forged).await;
    assert_eq!(status, 400, "nobody can say so before there is a secret: {nobody}");
    let path = "/v1/widget-settings/secret";
    let made = acme.owner(Method::POST, path, None, 201).await;
    let secret = made["identity_secret"].as_str().unwrap();
    let token = sign_identity(secret, "7");
    let (status, told) = say(&vera, &token).await;
    assert_eq!((status, &told["sub"], &told["name"]), (200, &json!("7"), &json!("Vera")));
    assert_eq!(say(&vera, &token).await.0, 200, "harmless to repeat");
    assert_eq!(say(&other, &token).await.0, 200, "another browser of the same person");
    // Nobody becomes another; the next person at that computer is a new visitor.
    assert_eq!(say(&vera, &sign_identity(secret, "8")).await.0, 409);
    let kept = "select subject, email from visitor_identities where company_id = $1::text::uuid";
    let rows = acme.rows(kept).await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.get::<_, &str>(0) == "7"));
    // The secret is shown once and sealed; a new one ends the old one's say.
    let settings = acme.owner(Method::GET, "/v1/widget-settings", None, 200).await;
    assert!(settings["identity_secret_at"].is_string() && !settings.to_string().contains(secret));
    let sealed = "select sealed_identity_secret from widget_settings where company_id = $1::text::uuid";
    let sealed: Vec<u8> = acme.rows(sealed).await[0].get(0);
    assert!(!sealed.windows(8).any(|part| part == &secret.as_bytes()[..8]), "it lies there in the clear");
    acme.owner(Method::POST, path, None, 201).await;
    let (status, stale) = say(&vera, &token).await;
    assert_eq!((status, &stale["detail"]), (400, &nobody["detail"]), "and nobody is told why");
    // What another company signs is nothing here, even where the sealed bytes are carried over.
    let bright = Company::new(Stand::get(), "dental-practice").await;
    let theirs = bright.identity("7").await;
    assert_eq!(say(&vera, &theirs).await.0, 400);
    let carry = format!(
        "update widget_settings w set sealed_identity_secret = b.sealed_identity_secret
         from widget_settings b where w.company_id = $1::text::uuid and b.company_id = '{}' returning 1",
        bright.id
    );
    assert_eq!(acme.rows(&carry).await.len(), 1);
    assert_eq!(say(&vera, &theirs).await.0, 400);
}
