//! Two-step sign-in: codes of an app and recovery codes, each taken once, and guessed by nobody.

use bulkhead::totp::{code, step};
use bulkhead_tests::company::{Company, PASSWORD, Person, form, is_page};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::now_s;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

/// Somebody with two-step sign-in.
struct Ground {
    acme: Company,
    person: Person,
    access: String,
    secret: Vec<u8>,
    recovery: Vec<String>,
}

impl Ground {
    async fn new() -> Self {
        let acme = Company::new(Stand::get(), "plumbing").await;
        let person = acme.person("admin").await;
        let access = acme.sign_in(&person.email).await.0;
        let (secret, recovery) = acme.two_step(&access).await;
        let ground = Self { acme, person, access, secret, recovery };
        ground.forget().await;
        ground
    }

    /// The last code that was taken is forgotten, so that a test need not wait for the next one.
    async fn forget(&self) {
        let sql = format!(
            "update users set totp_last_step = 0 where company_id = $1::text::uuid and user_id = '{}' returning 1",
            self.person.user
        );
        self.acme.rows(&sql).await;
    }

    fn code(&self, ahead: i64) -> String {
        code(&self.secret, step(now_s() * 1_000).checked_add_signed(ahead).unwrap())
    }

    async fn login(&self, code: Option<&str>) -> (u16, Value) {
        let mut body = json!({ "email": self.person.email, "password": PASSWORD });
        if let Some(code) = code {
            body["code"] = code.into();
        }
        self.acme.call("", Method::POST, "/v1/login", Some(body)).await
    }

    async fn end(&self, password: &str, code: &str) -> u16 {
        let body = json!({ "password": password, "code": code });
        self.acme.call(&self.access, Method::POST, "/v1/account/totp/end", Some(body)).await.0
    }
}

#[tokio::test]
async fn signing_in_takes_a_code_and_each_code_once() {
    let ground = Ground::new().await;
    let (status, problem) = ground.login(None).await;
    assert_eq!((status, &problem["title"]), (401, &json!("Code wanted")));
    assert_eq!(ground.login(Some("")).await.1["title"], "Code wanted");
    // A wrong password says nothing of the second step.
    let body =
        json!({ "email": ground.person.email, "password": "a wrong password", "code": ground.code(0) });
    let (status, problem) = ground.acme.call("", Method::POST, "/v1/login", Some(body)).await;
    assert_eq!((status, &problem["title"]), (401, &json!("Wrong e-mail or password")));
    let now = ground.code(0);
    assert_eq!(ground.login(Some(&now)).await.0, 200);
    let (status, problem) = ground.login(Some(&now)).await;
    assert_eq!((status, &problem["title"]), (401, &json!("Wrong code")), "a code came twice");
    // Others see that it is on, and nobody sees the secret.
    let team = ground.acme.owner(Method::GET, "/v1/team", None, 200).await;
    let of = |email: &str| {
        team["people"].as_array().unwrap().iter().find(|one| one["email"] == email).unwrap()["two_step"]
            .clone()
    };
    assert_eq!(
        (of(&ground.person.email), of(&format!("owner@{}.example", ground.acme.slug))),
        (json!(true), json!(false))
    );
    let kept = ground.acme.rows("select sealed_totp_secret from users where company_id = $1::text::uuid and sealed_totp_secret is not null").await;
    let sealed: Vec<u8> = kept[0].get(0);
    assert!(!sealed.windows(8).any(|part| part == &ground.secret[..8]));
}

#[tokio::test]
async fn a_clock_may_be_a_step_off_and_no_more() {
    let ground = Ground::new().await;
    for (ahead, expected) in [(-2, 401), (3, 401), (-1, 200), (1, 200)] {
        ground.forget().await;
        // At a step's end the second request may fall into the next one: that is as good as the other side's drift.
        let (status, answer) = ground.login(Some(&ground.code(ahead))).await;
        assert!(status == expected || (ahead == -1 && now_s() % 30 < 2), "{ahead}: {answer}");
    }
    // A later code makes the earlier ones old.
    assert_eq!(ground.login(Some(&ground.code(0))).await.0, 401);
}

#[tokio::test]
async fn the_same_code_many_times_at_once_is_taken_once() {
    let ground = Ground::new().await;
    let now = ground.code(0);
    let recovery = &ground.recovery[3];
    for code in [&now, recovery] {
        let answers = join_all((0..4).map(|_| ground.login(Some(code)))).await;
        let won = answers.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(won, 1, "{answers:?}");
        assert!(answers.iter().all(|(status, _)| [200, 401].contains(status)), "{answers:?}");
    }
}

#[tokio::test]
async fn a_recovery_code_is_good_once_for_its_person() {
    let ground = Ground::new().await;
    let other = Ground::new().await;
    assert_eq!(ground.recovery.len(), 8);
    let first = &ground.recovery[0];
    assert!(first.len() == 19 && first.matches('-').count() == 3, "{first}");
    assert_eq!(other.login(Some(first)).await.0, 401, "somebody else's");
    let spoken = first.replace('-', " ").to_uppercase();
    assert_eq!(ground.login(Some(&spoken)).await.0, 200);
    assert_eq!(ground.login(Some(first)).await.0, 401, "twice");
    let account = ground.acme.call(&ground.access, Method::GET, "/v1/account", None).await.1;
    assert_eq!((&account["two_step"], &account["recovery_codes"]), (&json!(true), &json!(7)));
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_also_with_the_right_password() {
    let ground = Ground::new().await;
    // Signing in is limited as well: this is about codes alone.
    let (mut tried, mut last) = (0, 0);
    for n in 0..12 {
        let wrong = format!("{n:06}");
        last = ground.end(PASSWORD, &wrong).await;
        if last == 429 {
            break;
        }
        assert_eq!(last, 401, "{wrong}");
        tried += 1;
    }
    assert_eq!(last, 429);
    assert!(tried <= 10, "{tried} codes were tried");
    // The right one does not help any more, nor does a recovery code.
    assert_eq!(ground.login(Some(&ground.code(0))).await.0, 429);
    tally("1 identity", "codes guessed before nobody listens any more", tried, 8);
}

#[tokio::test]
async fn it_is_turned_on_and_off_by_password_and_code_only() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let person = acme.person("member").await;
    let access = acme.sign_in(&person.email).await.0;
    let post = |path: &'static str, body: Value| {
        let (acme, access) = (&acme, access.clone());
        async move { acme.call(&access, Method::POST, path, Some(body)).await.0 }
    };
    assert_eq!(post("/v1/account/totp/confirm", json!({ "code": "123456" })).await, 409);
    assert_eq!(post("/v1/account/totp", json!({ "password": "not the password" })).await, 403);
    // Begun and not confirmed, it is off.
    assert_eq!(post("/v1/account/totp", json!({ "password": PASSWORD })).await, 201);
    assert_eq!(post("/v1/account/totp/confirm", json!({ "code": "000000" })).await, 401);
    acme.sign_in(&person.email).await;

    let ground = Ground::new().await;
    let begin = json!({ "password": PASSWORD });
    assert_eq!(ground.acme.call(&ground.access, Method::POST, "/v1/account/totp", Some(begin)).await.0, 409);
    assert_eq!(ground.end("not the password", &ground.code(0)).await, 403);
    assert_eq!(ground.end(PASSWORD, "000000").await, 401);
    assert_eq!(ground.login(None).await.0, 401, "it is still on");
    assert_eq!(ground.end(PASSWORD, &ground.code(0)).await, 204);
    assert_eq!(ground.login(None).await.0, 200);
    assert_eq!(ground.end(PASSWORD, &ground.code(1)).await, 409);
    let kept = ground.acme.rows("select from recovery_codes where company_id = $1::text::uuid").await;
    assert!(kept.is_empty());
}

#[tokio::test]
async fn a_new_password_by_mail_does_not_go_round_the_second_step() {
    let ground = Ground::new().await;
    let token = ground.acme.link("reset", &ground.person.user, 10).await;
    let body = json!({ "token": token, "password": PASSWORD });
    assert_eq!(ground.acme.call("", Method::POST, "/v1/sign-in/password", Some(body)).await.0, 204);
    assert_eq!(ground.login(None).await.1["title"], "Code wanted");
}

#[tokio::test]
async fn in_a_browser_the_code_has_a_page_of_its_own() {
    let ground = Ground::new().await;
    let acme = &ground.acme;
    let send = |path: &'static str, body: Value| {
        assert!(is_page(path));
        let request = acme.request("", Method::POST, path);
        async move { request.body(form(&body)).send().await.unwrap() }
    };
    let sign_in = json!({ "email": ground.person.email, "password": PASSWORD, "next": "/dashboard/team" });
    let page = send("/dashboard/sign-in", sign_in).await;
    assert!(page.status() == 200 && !page.headers().contains_key("set-cookie"));
    let page = page.text().await.unwrap();
    assert!(page.contains("one-time-code") && !page.contains(PASSWORD), "{page}");
    let token = page.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let with = |code: &str| json!({ "token": token, "code": code, "next": "/dashboard/team" });
    // A wrong code leaves the page good.
    let page = send("/dashboard/sign-in/code", with("000000")).await;
    assert_eq!(page.status(), 401);
    assert!(page.text().await.unwrap().contains("The code is wrong"));
    let entered = send("/dashboard/sign-in/code", with(&ground.code(0))).await;
    assert_eq!(
        (entered.status().as_u16(), &entered.headers()["location"]),
        (303, &"/dashboard/team".parse().unwrap())
    );
    assert!(entered.headers()["set-cookie"].to_str().unwrap().starts_with("__Host-session="));
    // The page is used up, whatever the code; so it is five minutes later, and at another company.
    assert_eq!(send("/dashboard/sign-in/code", with(&ground.code(1))).await.status(), 410);
    let late = acme.link("code", &ground.person.user, 0).await;
    let body = json!({ "token": late, "code": ground.code(1), "next": "" });
    assert_eq!(send("/dashboard/sign-in/code", body).await.status(), 410);
}
