//! Links that are good once, invitations, and the way from the sign-up into the dashboard.

use bulkhead_tests::company::{Company, PASSWORD, form, link_token};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::wire::{self, Answer};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

const NEW: &str = "another password altogether";

fn unique() -> String {
    format!("s{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

async fn post(company: &Company, path: &str, body: Value) -> (u16, Value) {
    company.call("", Method::POST, path, Some(body)).await
}

/// The whole answer, but its request id.
async fn raw(company: &Company, path: &str, body: &Value) -> Answer {
    wire::read(company.request("", Method::POST, path).json(body).send().await.unwrap()).await
}

async fn login(company: &Company, email: &str, password: &str) -> u16 {
    post(company, "/v1/login", json!({ "email": email, "password": password })).await.0
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_and_every_session_ends() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let person = acme.person("member").await;
    let email = &person.email;
    let (access, refresh) = acme.sign_in(email).await;
    assert_eq!(post(&acme, "/v1/sign-in/reset", json!({ "email": email.to_uppercase() })).await.0, 202);
    let token = acme.mailed_token(email, 1).await;
    let (status, problem) =
        post(&acme, "/v1/sign-in/password", json!({ "token": token, "password": "short" })).await;
    assert_eq!(status, 400, "{problem}");
    let new = json!({ "token": token, "password": NEW });
    assert_eq!(post(&acme, "/v1/sign-in/password", new.clone()).await.0, 204);
    assert_eq!(acme.call(&access, Method::GET, "/v1/company", None).await.0, 401);
    assert_eq!(post(&acme, "/v1/token/refresh", json!({ "refresh_token": refresh })).await.0, 401);
    assert_eq!((login(&acme, email, PASSWORD).await, login(&acme, email, NEW).await), (401, 200));
    assert_eq!(post(&acme, "/v1/sign-in/password", new).await.0, 410);
    let notice = acme.mails(email, 2).await.remove(0);
    assert!(notice["subject"].as_str().unwrap().contains("was changed"), "{notice}");
    // Nobody else's session ended, and the company can see that it was done.
    acme.owner(Method::GET, "/v1/company", None, 200).await;
    let noted = "select from audit_events where company_id = $1::text::uuid and action = 'password.reset'";
    assert_eq!(acme.rows(noted).await.len(), 1);
    // Whoever has left gets no link.
    acme.rows(&format!("update memberships set ended_at = now() where company_id = $1::text::uuid and user_id = '{}' returning 1", person.user)).await;
    assert_eq!(post(&acme, "/v1/sign-in/reset", json!({ "email": email })).await.0, 202);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(acme.mails(email, 0).await.len(), 2);
}

#[tokio::test]
async fn asking_for_a_link_tells_nothing_of_an_address() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let bright = Company::new(Stand::get(), "hvac").await;
    let known = acme.person("member").await.email;
    let theirs = bright.person("member").await.email;
    let nobody = format!("nobody@{}.example", acme.slug);
    let mut answers = Vec::new();
    for email in [&known, &theirs, &nobody] {
        answers.push(raw(&acme, "/v1/sign-in/reset", &json!({ "email": email })).await);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    // The page as well.
    let mut pages = Vec::new();
    for email in [&known, &theirs, &nobody] {
        let request = acme.request("", Method::POST, "/dashboard/sign-in/reset");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        pages.push(wire::read(request.body(form(&json!({ "email": email }))).send().await.unwrap()).await);
    }
    assert!(pages.windows(2).all(|two| two[0] == two[1]), "{pages:?}");
    assert_eq!(acme.mails(&known, 2).await.len(), 2);
    for email in [&theirs, &nobody] {
        assert!(acme.mails(email, 0).await.is_empty());
    }
}

#[tokio::test]
async fn fifty_at_once_and_one_wins() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let mut tried = 0;
    let person = acme.person("member").await;
    let token = acme.link("verify", &person.user, 10).await;
    let body = json!({ "token": token });
    let answers = join_all((0..50).map(|_| post(&acme, "/v1/sign-in/email", body.clone()))).await;
    tried += answers.len();
    let won = answers.iter().filter(|(status, _)| *status == 204).count();
    assert_eq!(won, 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [204, 410].contains(status)), "{answers:?}");
    // Passwords take their time, so fewer of these.
    let email = format!("new@{}.example", acme.slug);
    let accept = json!({ "token": acme.invited(&email, "admin").await, "name": "Nora", "password": NEW });
    let reset = json!({ "token": acme.link("reset", &person.user, 10).await, "password": NEW });
    for (path, body) in [("/v1/sign-in/invitation", accept), ("/v1/sign-in/password", reset)] {
        let answers = join_all((0..8).map(|_| post(&acme, path, body.clone()))).await;
        tried += answers.len();
        assert_eq!(answers.iter().filter(|(status, _)| *status == 204).count(), 1, "{path}: {answers:?}");
        assert!(answers.iter().all(|(status, _)| [204, 410].contains(status)), "{answers:?}");
    }
    let made = format!("select from users where company_id = $1::text::uuid and email = '{email}'");
    assert_eq!(acme.rows(&made).await.len(), 1);
    let enter = form(&json!({ "token": acme.link("enter", &person.user, 1).await }));
    let entering = || async {
        let request = acme.request("", Method::POST, "/enter").header("origin", &acme.stand.root_url);
        request.body(enter.clone()).send().await.unwrap().status().as_u16()
    };
    let answers = join_all((0..50).map(|_| entering())).await;
    tried += answers.len();
    assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
    tally("1 identity", "uses of links at once, one of each won", tried, 116);
}

#[tokio::test]
async fn a_link_is_no_good_when_it_ended_elsewhere_for_something_else_or_changed() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let bright = Company::new(Stand::get(), "hvac").await;
    let person = acme.person("member").await;
    let uses = [
        ("verify", "/v1/sign-in/email", json!({})),
        ("reset", "/v1/sign-in/password", json!({ "password": NEW })),
        ("invite", "/v1/sign-in/invitation", json!({ "name": "Nora", "password": NEW })),
    ];
    let with = |body: &Value, token: &str| {
        let mut body = body.clone();
        body["token"] = token.into();
        body
    };
    let made_up = "A".repeat(43);
    let mut tried = 0;
    let mut answers = Vec::new();
    for (purpose, path, body) in &uses {
        let token = match *purpose {
            "invite" => acme.invited(&format!("{}@acme.example", unique()), "member").await,
            _ => acme.link(purpose, &person.user, 10).await,
        };
        // Elsewhere.
        answers.push(raw(&bright, path, &with(body, &token)).await);
        // For something else.
        for (other, path, body) in &uses {
            if other != purpose {
                answers.push(raw(&acme, path, &with(body, &token)).await);
            }
        }
        // Made up, changed at each letter, of another length or spelling.
        answers.push(raw(&acme, path, &with(body, &made_up)).await);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'E' } else { b'A' };
            answers.push(raw(&acme, path, &with(body, &String::from_utf8(changed).unwrap())).await);
        }
        for odd in [
            String::new(),
            format!("{token}A"),
            token[..42].to_owned(),
            format!("{token}="),
            token.to_lowercase() + " ",
        ] {
            answers.push(raw(&acme, path, &with(body, &odd)).await);
        }
        // Ended.
        acme.rows(&format!("update account_links set expires_at = now() where company_id = $1::text::uuid and token_hash = sha256('{token}') returning 1")).await;
        answers.push(raw(&acme, path, &with(body, &token)).await);
        tried = answers.len();
    }
    assert!(answers.iter().all(|answer| answer.status == 410), "{answers:?}");
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "one says why: {answers:?}");
    assert_eq!(login(&acme, &person.email, PASSWORD).await, 200, "the password is the old one");
    tally("1 identity", "links that are no good, all answered alike", tried, 150);
}

#[tokio::test]
async fn a_new_link_ends_the_one_before() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let person = acme.person("member").await;
    let ask = json!({ "email": person.email });
    assert_eq!(post(&acme, "/v1/sign-in/reset", ask.clone()).await.0, 202);
    let first = acme.mailed_token(&person.email, 1).await;
    assert_eq!(post(&acme, "/v1/sign-in/reset", ask).await.0, 202);
    let second = acme.mailed_token(&person.email, 2).await;
    let using =
        |token: String| post(&acme, "/v1/sign-in/password", json!({ "token": token, "password": NEW }));
    assert_eq!(using(first).await.0, 410);
    assert_eq!(using(second).await.0, 204);
}

#[tokio::test]
async fn somebody_is_invited_and_works_here() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let email = format!("nora@{}.example", acme.slug);
    let invite = |role: &str| json!({ "email": email, "role": role });
    let made = acme.owner(Method::POST, "/v1/invitations", Some(invite("member")), 201).await;
    let first = acme.mailed_token(&email, 1).await;
    // Again, as something else: the first link ends.
    let again = acme.owner(Method::POST, "/v1/invitations", Some(invite("admin")), 201).await;
    assert_eq!(made["link_id"], again["link_id"]);
    let second = acme.mailed_token(&email, 2).await;
    let path = format!("/v1/invitations/{}", made["link_id"].as_str().unwrap());
    acme.owner(Method::POST, &format!("{path}/resend"), None, 200).await;
    let third = acme.mailed_token(&email, 3).await;
    let accept = |token: &str| {
        post(&acme, "/v1/sign-in/invitation", json!({ "token": token, "name": "Nora New", "password": NEW }))
    };
    assert_eq!((accept(&first).await.0, accept(&second).await.0), (410, 410));
    assert_eq!(accept(&third).await.0, 204);
    assert_eq!(login(&acme, &email, NEW).await, 200);
    let team = acme.owner(Method::GET, "/v1/team", None, 200).await;
    let nora =
        team["people"].as_array().unwrap().iter().find(|person| person["email"] == email.as_str()).unwrap();
    assert_eq!(
        (&nora["role"], &nora["name"], &nora["email_verified"]),
        (&json!("admin"), &json!("Nora New"), &json!(true))
    );
    let waiting = acme.owner(Method::GET, "/v1/invitations", None, 200).await;
    assert_eq!(waiting["invitations"], json!([]));
    // Who works here is not invited.
    acme.owner(Method::POST, "/v1/invitations", Some(invite("owner")), 409).await;
    acme.owner(Method::POST, &format!("{path}/resend"), None, 404).await;
    acme.owner(Method::DELETE, &path, None, 404).await;
}

#[tokio::test]
async fn an_invitation_is_taken_back() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let email = format!("nora@{}.example", acme.slug);
    let made = acme
        .owner(Method::POST, "/v1/invitations", Some(json!({ "email": email, "role": "member" })), 201)
        .await;
    let token = acme.mailed_token(&email, 1).await;
    let path = format!("/v1/invitations/{}", made["link_id"].as_str().unwrap());
    acme.owner(Method::DELETE, &path, None, 204).await;
    let accept = json!({ "token": token, "name": "Nora", "password": NEW });
    assert_eq!(post(&acme, "/v1/sign-in/invitation", accept).await.0, 410);
}

#[tokio::test]
async fn nobody_invites_above_themselves() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    for (role, invited, expected) in
        [("admin", "owner", 403), ("admin", "admin", 201), ("member", "member", 403), ("owner", "owner", 201)]
    {
        let (token, _) = acme.sign_in(&acme.person(role).await.email).await;
        let body = json!({ "email": format!("{}@acme.example", unique()), "role": invited });
        let (status, answer) = acme.call(&token, Method::POST, "/v1/invitations", Some(body)).await;
        assert_eq!(status, expected, "{role} invites {invited}: {answer}");
    }
}

#[tokio::test]
async fn whoever_comes_back_begins_anew() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let person = acme.person("owner").await;
    let (access, _) = acme.sign_in(&person.email).await;
    acme.two_step(&access).await;
    acme.rows(&format!("update memberships set ended_at = now() where company_id = $1::text::uuid and user_id = '{}' returning 1", person.user)).await;
    let invite = json!({ "email": person.email, "role": "member" });
    acme.owner(Method::POST, "/v1/invitations", Some(invite), 201).await;
    let token = acme.mailed_token(&person.email, 1).await;
    let accept = json!({ "token": token, "name": "Back again", "password": NEW });
    assert_eq!(post(&acme, "/v1/sign-in/invitation", accept).await.0, 204);
    assert_eq!(acme.call(&access, Method::GET, "/v1/company", None).await.0, 401, "an old session came back");
    let (status, tokens) = post(&acme, "/v1/login", json!({ "email": person.email, "password": NEW })).await;
    assert_eq!(status, 200, "{tokens}");
    let access = tokens["access_token"].as_str().unwrap();
    let (_, company) = acme.call(access, Method::GET, "/v1/company", None).await;
    assert_eq!(
        (&company["you"]["role"], &company["you"]["user_id"]),
        (&json!("member"), &json!(person.user))
    );
}

#[tokio::test]
async fn another_address_counts_once_mail_has_reached_it() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let person = acme.person("owner").await;
    let (access, _) = acme.sign_in(&person.email).await;
    let new = format!("new-{}", person.email);
    let change = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let (acme, access) = (&acme, access.clone());
        async move { acme.call(&access, Method::POST, "/v1/account/email", Some(body)).await.0 }
    };
    assert_eq!(change(&new, "not the password").await, 403);
    // A link to a new password that went to the old address ends with it.
    assert_eq!(post(&acme, "/v1/sign-in/reset", json!({ "email": person.email })).await.0, 202);
    let reset = acme.mailed_token(&person.email, 1).await;
    assert_eq!(change(&new, PASSWORD).await, 202);
    let account = acme.call(&access, Method::GET, "/v1/account", None).await.1;
    assert_eq!((&account["email"], &account["new_email"]), (&json!(person.email), &json!(new)));
    assert_eq!(login(&acme, &person.email, PASSWORD).await, 200);
    let token = acme.mailed_token(&new, 1).await;
    assert_eq!(post(&acme, "/v1/sign-in/email", json!({ "token": token })).await.0, 204);
    assert_eq!((login(&acme, &person.email, PASSWORD).await, login(&acme, &new, PASSWORD).await), (401, 200));
    assert_eq!(post(&acme, "/v1/sign-in/password", json!({ "token": reset, "password": NEW })).await.0, 410);
    let told = acme.mails(&person.email, 2).await;
    assert!(told[0]["subject"].as_str().unwrap().contains("was changed"), "{}", told[0]);
    // A colleague's address is not taken over.
    let colleague = acme.person("member").await.email;
    assert_eq!(change(&colleague, PASSWORD).await, 202);
    let token = link_token(&acme.mails(&colleague, 1).await[0]);
    assert_eq!(post(&acme, "/v1/sign-in/email", json!({ "token": token })).await.0, 409);
}

/// Sends the sign-up's form as a browser does from the platform's page.
async fn sign_up(stand: &Stand, fields: &Value, origin: Option<&str>) -> (u16, http::HeaderMap, String) {
    let request = stand.http("localhost", Method::POST, "/signup");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form(fields));
    let request = match origin {
        Some(origin) => request.header("origin", origin),
        None => request,
    };
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.headers().clone(), response.text().await.unwrap())
}

#[tokio::test]
async fn the_sign_up_leads_into_the_dashboard_once_and_within_a_minute() {
    let stand = Stand::get();
    let slug = unique();
    let fields = json!({
        "company": "Acme & Söhne", "slug": slug, "industry": "plumbing", "name": "Olive", "email": format!("o@{slug}.example"),
        "password": PASSWORD, "key": uuid::Uuid::new_v4().to_string(),
    });
    assert_eq!(sign_up(stand, &fields, None).await.0, 403);
    assert_eq!(sign_up(stand, &fields, Some("https://evil.example")).await.0, 403);
    let (status, headers, page) = sign_up(stand, &fields, Some(&stand.root_url)).await;
    assert_eq!(status, 200, "{page}");
    let url = format!("http://{slug}.localhost:{}", stand.port);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains(&format!("form-action 'self' {url};")), "{policy}");
    assert!(page.contains(&format!("action=\"{url}/enter\"")), "{page}");
    let token = page.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let enter = |host: String, token: &str, origin: Option<&str>| {
        let request = stand.http(&host, Method::POST, "/enter").body(form(&json!({ "token": token })));
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        async { request.send().await.unwrap() }
    };
    let host = format!("{slug}.localhost");
    let root = Some(&*stand.root_url);
    // From no page of ours, or at another company: nothing is used up.
    for (host, origin, expected) in [
        (host.clone(), None, 403),
        (host.clone(), Some("https://evil.example"), 403),
        (host.clone(), Some("null"), 403),
        (host.clone(), Some(&*url), 403),
        (Company::new(stand, "hvac").await.host(), root, 410),
    ] {
        let response = enter(host, &token, origin).await;
        assert_eq!(response.status(), expected, "{origin:?}");
        assert!(!response.headers().contains_key("set-cookie"));
    }
    let entered = enter(host.clone(), &token, root).await;
    assert_eq!(
        (entered.status().as_u16(), &entered.headers()["location"]),
        (303, &"/dashboard".parse().unwrap())
    );
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-session=") && !cookie.to_lowercase().contains("domain"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let overview =
        stand.http(&host, Method::GET, "/dashboard").header("cookie", cookie).send().await.unwrap();
    assert_eq!(overview.status(), 200);
    let overview = overview.text().await.unwrap();
    assert!(overview.contains("Confirm your e-mail address") && overview.contains("Next steps"));
    assert_eq!(enter(host.clone(), &token, root).await.status(), 410, "twice");
    // The same form again finds the same company, and leads there with a token of its own; the one before has ended.
    let token_of = |page: &str| {
        page.split_once("name=\"token\" value=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    let (status, _, page) = sign_up(stand, &fields, Some(&stand.root_url)).await;
    assert_eq!(status, 200, "{page}");
    let second = token_of(&page);
    let (_, _, page) = sign_up(stand, &fields, Some(&stand.root_url)).await;
    let third = token_of(&page);
    assert_eq!(enter(host.clone(), &second, root).await.status(), 410);
    assert_eq!(enter(host, &third, root).await.status(), 303);
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_up_is_said_beside_its_field_and_nothing_is_lost() {
    let stand = Stand::get();
    let taken = Company::new(stand, "plumbing").await.slug;
    let slug = unique();
    let good = json!({
        "company": "Acme <b>", "slug": slug, "industry": "florist", "name": "Olive O'Neil", "email": "o@acme.example",
        "password": PASSWORD, "key": uuid::Uuid::new_v4().to_string(),
    });
    for (field, value, expected) in [
        ("company", "", 400),
        ("slug", "A", 400),
        ("slug", "www", 409),
        ("slug", &*taken, 409),
        ("industry", "alchemy", 400),
        ("name", " ", 400),
        ("email", "nobody", 400),
        ("password", "short", 400),
    ] {
        let mut fields = good.clone();
        fields[field] = value.into();
        let (status, _, page) = sign_up(stand, &fields, Some(&stand.root_url)).await;
        assert_eq!(status, expected, "{field}");
        assert!(page.contains(&format!("id=\"{field}-wrong\" role=\"alert\">")), "{field}: {page}");
        assert_eq!(page.matches("role=\"alert\">").count(), 1, "{field}");
        assert!(
            page.contains(&format!("aria-describedby=\"{field}-wrong\" aria-invalid=\"true\"")),
            "{field}"
        );
        assert!(!page.contains(PASSWORD), "a password is sent back");
        if field != "slug" {
            assert!(page.contains(&format!("value=\"{slug}\"")), "{field}");
        }
        if field != "industry" {
            assert!(
                page.contains("value=\"florist\"") && page.contains(" selected>Florist"),
                "{field}: {page}"
            );
        }
        // The JSON API says it alike.
        fields.as_object_mut().unwrap().remove("key");
        let response =
            stand.http("localhost", Method::POST, "/v1/signup").json(&fields).send().await.unwrap();
        assert_eq!(response.status(), expected);
        assert_eq!(response.json::<Value>().await.unwrap()["field"], field);
    }
    assert_eq!(sign_up(stand, &good, Some(&stand.root_url)).await.0, 200, "nothing was left behind");
}
