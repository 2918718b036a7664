//! The operator's support: in by a link that is good once, for a while, as far as its own role goes, and out when the owner
//! says so; all of it in the audit log.

use bulkhead_tests::company::{Company, form};
use bulkhead_tests::core::{CRON_TOKEN, Core};
use bulkhead_tests::native::run;
use bulkhead_tests::stand::{Stand, tool};
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::Token;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tokio::process::Command;

/// What a request was answered with: status, page, and the session cookie that it gave.
struct Answer {
    status: u16,
    page: String,
    cookie: String,
}

/// As the browser of whoever has this cookie sends it.
async fn ask(company: &Company, cookie: &str, method: Method, path: &str, body: Option<&str>) -> Answer {
    let mut request = company.request(cookie, method, path);
    if let Some(body) = body {
        request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
    }
    let response = request.send().await.unwrap();
    let cookie = response.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
    let cookie = cookie.as_deref().and_then(|cookie| cookie.split_once("__Host-session="));
    let cookie = cookie.and_then(|(_, rest)| rest.split(';').next()).unwrap_or_default().to_owned();
    let status = response.status().as_u16();
    Answer { status, page: response.text().await.unwrap(), cookie }
}

/// Uses a link's token at a company.
async fn enter(company: &Company, token: &str) -> Answer {
    let body = form(&json!({ "token": token }));
    ask(company, "", Method::POST, "/dashboard/sign-in/support", Some(&body)).await
}

async fn read(company: &Company, cookie: &str, path: &str) -> Answer {
    ask(company, cookie, Method::GET, path, None).await
}

/// Support that has entered: its cookie, and its access.
async fn entered(company: &Company) -> (String, String) {
    let token = company.support_link(10).await;
    let answer = enter(company, &token).await;
    assert_eq!(answer.status, 303, "{}", answer.page);
    (answer.cookie, access_of(company, &token).await)
}

async fn access_of(company: &Company, token: &str) -> String {
    let sql = format!(
        "select access_id::text from support_accesses where company_id = $1::text::uuid and token_hash = sha256('{token}')"
    );
    company.rows(&sql).await[0].get(0)
}

async fn change(company: &Company, access: &str, columns: &str) {
    let sql = format!(
        "update support_accesses set {columns} where company_id = $1::text::uuid and access_id = '{access}' returning 1"
    );
    assert_eq!(company.rows(&sql).await.len(), 1);
}

/// Actor, action and target of the events of an access, oldest first.
async fn noted(company: &Company, access: &str) -> Vec<(String, String, String)> {
    let sql = format!(
        "select actor, action, target from audit_events
         where company_id = $1::text::uuid and user_id = '{access}' order by created_at, event_id"
    );
    company.rows(&sql).await.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Runs `bulkhead support open`; gives whether it succeeded, and what it said.
async fn open(company: &Company, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(tool());
    command
        .args(["support", "open", &company.slug])
        .args(args)
        .env("DATABASE_OWNER_URL", &company.stand.owner_database_url)
        .env("ROOT_URL", &company.stand.root_url);
    let output = command.kill_on_drop(true).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

const WHY: [&str; 4] = ["--reason", "They asked why nothing answers", "--operator", "Ana"];

#[tokio::test]
async fn the_tool_s_link_lets_one_of_the_operator_s_people_in_once_and_all_of_it_is_noted() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let before = bright.fingerprint().await;
    let (opened, said) = open(&acme, &[&WHY[..], &["--minutes", "5"]].concat()).await;
    assert!(opened, "{said}");
    let url = said.lines().next().unwrap();
    let (page, token) = url.split_once("?token=").unwrap();
    assert_eq!(
        page,
        format!("{}/dashboard/sign-in/support", stand.root_url.replace("://", &format!("://{}.", acme.slug)))
    );
    let access = access_of(&acme, token).await;
    let kept = format!(
        "select to_jsonb(a)::text from support_accesses a where company_id = $1::text::uuid and access_id = '{access}'"
    );
    assert!(!acme.rows(&kept).await[0].get::<_, String>(0).contains(token), "the token is kept");

    // Programs that look at links read them: that uses nothing, and says nothing of whether one is good.
    let shown = read(&acme, "", &format!("/dashboard/sign-in/support?token={token}")).await;
    assert!(shown.status == 200 && shown.page.contains("Enter as support"), "{}", shown.page);
    assert!(shown.cookie.is_empty());
    assert_eq!(read(&acme, "", "/dashboard/sign-in/support?token=x").await.status, 200);
    // Not from another company's page, nor at its host.
    assert_eq!(enter(&bright, token).await.status, 410);
    let elsewhere = acme
        .stand
        .http(&acme.host(), Method::POST, "/dashboard/sign-in/support")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://elsewhere.example")
        .body(form(&json!({ "token": token })));
    assert_eq!(elsewhere.send().await.unwrap().status().as_u16(), 403);

    let first = enter(&acme, token).await;
    assert_eq!(first.status, 303, "{}", first.page);
    assert_eq!(enter(&acme, token).await.status, 410, "used twice");
    let cookie = &first.cookie;
    let home = read(&acme, cookie, "/dashboard").await;
    assert!(
        home.page.contains("You are here as support") && home.page.contains("Ana, support"),
        "{}",
        home.page
    );
    assert!(
        !home.page.contains("/dashboard/providers") && !home.page.contains("Spent today"),
        "{}",
        home.page
    );
    for path in [
        "/dashboard/providers",
        "/dashboard/team",
        "/dashboard/leads/export",
        "/dashboard/support",
        "/dashboard/audit",
    ] {
        assert_eq!(read(&acme, cookie, path).await.status, 403, "{path}");
    }
    let entry = form(&json!({ "category": "faq", "question": "Do you come on Sundays?", "answer": "Yes." }));
    let added = ask(&acme, cookie, Method::POST, "/dashboard/knowledge", Some(&entry)).await;
    assert_eq!(added.status, 303, "{}", added.page);
    // The cookie opens pages alone, and here alone.
    assert_eq!(acme.call(cookie, Method::GET, "/v1/knowledge", None).await.0, 401);
    assert_eq!(acme.call(cookie, Method::GET, "/v1/support", None).await.0, 401);
    assert_eq!(read(&bright, cookie, "/dashboard").await.status, 303);

    // Its owner sees it, and what it did, by name.
    let seen = acme.owner(Method::GET, "/v1/support", None, 200).await;
    let seen = &seen["accesses"][0];
    assert_eq!(
        (&seen["operator"], &seen["reason"], &seen["open"], &seen["minutes"]),
        (&json!("Ana"), &json!(WHY[1]), &json!(true), &json!(5))
    );
    assert!(read(&acme, &acme.owner, "/dashboard").await.page.contains("Support is in your dashboard"));
    let left = ask(&acme, cookie, Method::POST, "/dashboard/sign-out", Some("")).await;
    assert_eq!(left.status, 303);
    assert_eq!(read(&acme, cookie, "/dashboard/knowledge").await.status, 303, "after it left");
    assert!(!read(&acme, &acme.owner, "/dashboard").await.page.contains("Support is in your dashboard"));
    let events = noted(&acme, &access).await;
    assert!(events.iter().all(|(actor, ..)| actor == "support"), "{events:?}");
    let done: Vec<&str> = events.iter().map(|(_, action, _)| action.as_str()).collect();
    assert_eq!((done[0], done[1]), ("support.opened", "support.entered"), "{events:?}");
    for asked in ["GET /dashboard", "POST /dashboard/knowledge", "POST /dashboard/sign-out"] {
        let times = events.iter().filter(|(_, action, target)| action == "support.asked" && target == asked);
        assert_eq!(times.count(), 1, "{asked} in {events:?}");
    }
    // Noted in one transaction with what was asked for, so at the same time.
    assert!(
        done.ends_with(&["support.asked", "support.left"])
            || done.ends_with(&["support.left", "support.asked"]),
        "{done:?}"
    );
    let audit = acme.owner(Method::GET, "/v1/audit", None, 200).await;
    let of_support = audit["events"].as_array().unwrap().iter().filter(|event| event["actor"] == "support");
    assert!(
        of_support.clone().count() >= 6 && of_support.clone().all(|event| event["person"] == "Ana"),
        "{audit}"
    );
    assert_eq!(bright.fingerprint().await, before, "another company was touched");
}

#[tokio::test]
async fn of_many_uses_of_a_link_at_once_one_wins() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let mut tried = 0;
    for _ in 0..3 {
        let token = acme.support_link(10).await;
        let answers = join_all((0..12).map(|_| enter(&acme, &token))).await;
        tried += answers.len();
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [303, 410].contains(status)), "{statuses:?}");
        let noted = noted(&acme, &access_of(&acme, &token).await).await;
        assert_eq!(noted.iter().filter(|(_, action, _)| action == "support.entered").count(), 1);
    }
    tally("1 identity", "uses of support's links at once, one of each won", tried, 36);
}

#[tokio::test]
async fn an_access_that_is_over_is_over_with_the_next_request() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let is_in = async |cookie: &str| {
        let form = form(&json!({ "category": "faq", "question": "Why?", "answer": "So." }));
        let posted = ask(&acme, cookie, Method::POST, "/dashboard/knowledge", Some(&form)).await.status;
        let read = read(&acme, cookie, "/dashboard/knowledge").await.status;
        match (read, posted) {
            (200, 303) => true,
            (303, 401) => false,
            other => panic!("{other:?}"),
        }
    };
    // Its time is over, whatever the cookie says of itself.
    let (cookie, access) = entered(&acme).await;
    assert!(is_in(&cookie).await);
    change(&acme, &access, "ends_at = now()").await;
    assert!(!is_in(&cookie).await, "after its time");
    assert_eq!(acme.call(&acme.owner, Method::POST, &format!("/v1/support/{access}/end"), None).await.0, 404);
    // Its owner ends it; once.
    let (cookie, access) = entered(&acme).await;
    let end = format!("/v1/support/{access}/end");
    acme.owner(Method::POST, &end, None, 204).await;
    assert!(!is_in(&cookie).await, "after its end");
    assert_eq!(acme.call(&acme.owner, Method::POST, &end, None).await.0, 404);
    // Only its owner does.
    for role in ["admin", "member"] {
        let person = acme.sign_in(&acme.person(role).await.email).await.0;
        let (_, access) = entered(&acme).await;
        let (status, _) = acme.call(&person, Method::POST, &format!("/v1/support/{access}/end"), None).await;
        assert_eq!(status, 403, "{role}");
    }
    // Forbidden: whoever is in is out, no link is good, none is made; and nothing of that comes back.
    let (cookie, _) = entered(&acme).await;
    let waiting = acme.support_link(10).await;
    acme.owner(Method::PUT, "/v1/support", Some(json!({ "allowed": false })), 200).await;
    assert!(!is_in(&cookie).await, "where it is forbidden");
    assert_eq!(enter(&acme, &waiting).await.status, 410);
    assert_eq!(enter(&acme, &acme.support_link(10).await).await.status, 410);
    let (opened, said) = open(&acme, &WHY).await;
    assert!(!opened && said.contains("lets no support in: its owner has forbidden it"), "{said}");
    acme.owner(Method::PUT, "/v1/support", Some(json!({ "allowed": true })), 200).await;
    assert!(!is_in(&cookie).await, "after it is allowed again");
    assert_eq!(enter(&acme, &waiting).await.status, 410);
    let (opened, said) = open(&acme, &WHY).await;
    assert!(opened, "{said}");
    // A link that ended by itself, or was ended before it was used.
    let over = acme.support_link(0).await;
    assert_eq!(enter(&acme, &over).await.status, 410);
    let unused = acme.support_link(10).await;
    let end = format!("/v1/support/{}/end", access_of(&acme, &unused).await);
    acme.owner(Method::POST, &end, None, 204).await;
    assert_eq!(enter(&acme, &unused).await.status, 410);
    // A cookie of an access that nobody entered opens nothing, and neither does another kind of token for one that is open.
    let waiting = access_of(&acme, &acme.support_link(10).await).await;
    assert!(!is_in(&Token::support(&acme, &waiting).sign()).await);
    let (_, access) = entered(&acme).await;
    assert!(is_in(&Token::support(&acme, &access).sign()).await);
    assert!(!is_in(&Token::page(&acme, &access, &access).sign()).await);
    assert!(!is_in(&Token::support(&acme, &access).claim("sid", access.as_str()).sign()).await);
    assert!(
        !is_in(&Token::support(&acme, &access).claim("aud", uuid::Uuid::new_v4().to_string()).sign()).await
    );
}

#[tokio::test]
async fn the_tool_says_what_is_wrong() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    for (args, sentence) in [
        (vec!["--reason", " ", "--operator", "Ana"], "say why"),
        (vec!["--reason", "Why", "--operator", ""], "say who"),
        (vec!["--reason", "Why", "--operator", "Ana", "--minutes", "61"], "61 is not in 1..=60"),
        (vec!["--reason", "Why", "--operator", "Ana", "--minutes", "0"], "0 is not in 1..=60"),
        (vec!["--reason", "Why", "--operator", "Ana", "--root-url", "ftp://x"], "ROOT_URL is not"),
    ] {
        let (opened, said) = open(&acme, &args).await;
        assert!(!opened && said.contains(sentence), "{args:?}: {said}");
    }
    acme.rows("update companies set status = 'suspended', suspended_at = now() where company_id = $1::text::uuid returning 1").await;
    let (opened, said) = open(&acme, &WHY).await;
    assert!(!opened && said.contains("is suspended"), "{said}");
    assert!(acme.rows("select from support_accesses where company_id = $1::text::uuid").await.is_empty());
}

#[test]
fn the_round_notes_what_ended_by_itself_once() {
    run(async {
        let core = Core::new(Stand::get());
        let acme = Company::new(core.stand, "plumbing").await;
        let (_, access) = entered(&acme).await;
        let never = access_of(&acme, &acme.support_link(0).await).await;
        let (_, open) = entered(&acme).await;
        change(&acme, &access, "ends_at = now() - interval '7 minutes'").await;
        for _ in 0..2 {
            let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&acme.id).unwrap().as_u128() - 1);
            let round = Some(json!({ "after": before }));
            assert_eq!(core.serve_at("localhost", "POST", "/v1/cron", CRON_TOKEN, round).await.status(), 200);
            core.native.idle().await;
        }
        for over in [&access, &never] {
            let noted = noted(&acme, over).await;
            assert_eq!(
                noted.iter().filter(|(_, action, _)| action == "support.over").count(),
                1,
                "{noted:?}"
            );
        }
        assert!(noted(&acme, &open).await.iter().all(|(_, action, _)| action != "support.over"));
        let when = format!(
            "select from audit_events e join support_accesses a using (company_id)
             where company_id = $1::text::uuid and e.event_id = '{access}' and a.access_id = '{access}'
               and e.created_at = a.ends_at and a.ended_at = a.ends_at"
        );
        assert_eq!(acme.rows(&when).await.len(), 1);
    });
}

/// The worker's role cannot let anybody in, nor make an access longer than it was made.
#[tokio::test]
async fn no_worker_can_let_anybody_in() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let may = "select has_table_privilege('bulkhead_runtime', 'support_accesses', 'insert')
                   or has_table_privilege('bulkhead_runtime', 'support_accesses', 'delete')
                   or has_column_privilege('bulkhead_runtime', 'support_accesses', 'token_hash', 'update')
                   or has_column_privilege('bulkhead_runtime', 'support_accesses', 'link_expires_at', 'update')
                   or has_column_privilege('bulkhead_runtime', 'support_accesses', 'minutes', 'update')
               where $1::text is not null";
    assert!(!acme.rows(may).await[0].get::<_, bool>(0));
}
