//! Addresses: which are suggested, what becomes of one that was given up, and that people belong to one company.

use std::process::Command;

use bulkhead_tests::company::{Company, PASSWORD};
use bulkhead_tests::stand::{Stand, tool};
use http::Method;
use serde_json::{Value, json};

/// Status, and the addresses that are suggested.
async fn suggested(stand: &Stand, query: &str) -> (u16, Vec<String>) {
    let response = stand.http("localhost", Method::GET, &format!("/v1/slugs{query}")).send().await.unwrap();
    let status = response.status().as_u16();
    let value: Value = response.json().await.unwrap();
    let slugs = value["slugs"].as_array().into_iter().flatten();
    (status, slugs.map(|slug| slug.as_str().unwrap().to_owned()).collect())
}

async fn sign_up(stand: &Stand, slug: &str, email: &str) -> u16 {
    let body = json!({
        "company": "Another", "slug": slug, "industry": "florist", "name": "Otto", "email": email, "password": PASSWORD,
    });
    stand.http("localhost", Method::POST, "/v1/signup").json(&body).send().await.unwrap().status().as_u16()
}

/// Status of a company's change of address, and what was answered.
async fn change(company: &Company, slug: &str) -> (u16, Value) {
    company.call(&company.owner, Method::PATCH, "/v1/company", Some(json!({ "slug": slug }))).await
}

fn unique() -> String {
    format!("u{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

#[tokio::test]
async fn suggestions_are_free_and_can_be_had() {
    let stand = Stand::get();
    let company = Company::new(stand, "florist").await;
    let name = company.slug.replace('-', "+");
    let (status, slugs) = suggested(stand, &format!("?name={name}&industry=florist")).await;
    assert_eq!((status, slugs.len()), (200, 5), "{slugs:?}");
    assert!(!slugs.contains(&company.slug), "{slugs:?}");
    assert_eq!(sign_up(stand, &slugs[0], "otto@example.com").await, 201, "{slugs:?}");
    assert!(!suggested(stand, &format!("?name={name}")).await.1.contains(&slugs[0]));
    // Other alphabets become this one.
    let tail = unique();
    let (_, slugs) = suggested(stand, &format!("?name=Caf%C3%A9+S%C3%B6hne+{tail}")).await;
    assert_eq!(slugs[0], format!("cafe-sohne-{tail}"));
    assert_eq!(suggested(stand, "?name=%E5%AF%BF%E5%8F%B8").await, (200, vec![]));
    // The platform's own names are never offered.
    let (_, slugs) = suggested(stand, "?name=admin").await;
    assert!(!slugs.is_empty() && !slugs.contains(&"admin".to_owned()), "{slugs:?}");
    for query in ["", "?name=", "?name=+++", "?industry=florist"] {
        assert_eq!(suggested(stand, query).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn an_address_that_was_given_up_is_nobody_else_s() {
    let stand = Stand::get();
    let (company, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    let (old, new) = (company.slug.clone(), unique());
    // Not another's, not the platform's, not a look-alike.
    for taken in [rival.slug.as_str(), "admin", "adm1n"] {
        assert_eq!(change(&company, taken).await.0, 409, "{taken}");
    }
    let (status, moved) = change(&company, &new).await;
    assert_eq!((status, &moved["slug"]), (200, &json!(new)), "{moved}");
    let at = async |slug: &str| {
        stand.http(&format!("{slug}.localhost"), Method::GET, "/").send().await.unwrap().status().as_u16()
    };
    assert_eq!(at(&new).await, 200);
    // The rival gets it neither by moving nor by signing up anew.
    assert_eq!(change(&rival, &old).await.0, 409);
    assert_eq!(sign_up(stand, &old, "otto@example.com").await, 409);
    // Nor does deleting the company free it: the database refuses.
    let connected = tokio_postgres::connect(&stand.owner_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let delete = format!("delete from companies where company_id = '{}'", company.id);
    assert!(client.execute(&delete, &[]).await.is_err());
    // A young one stays, an old one is let go of, and one in use is none of that.
    let release = || {
        let output = Command::new(tool())
            .args(["slugs", "release", "--days", "365"])
            .env("DATABASE_OWNER_URL", &stand.owner_database_url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    release();
    assert_eq!(sign_up(stand, &old, "otto@example.com").await, 409);
    let age = format!("update hosts set released_at = now() - interval '366 days' where host = '{old}'");
    client.execute(&age, &[]).await.unwrap();
    release();
    assert_eq!(sign_up(stand, &old, "otto@example.com").await, 201);
    assert_eq!(sign_up(stand, &new, "otto@example.com").await, 409);
}

#[tokio::test]
async fn a_company_takes_its_old_address_back_but_does_not_collect_them() {
    let mut company = Company::new(Stand::get(), "florist").await;
    let first = company.slug.clone();
    let mut move_to = async |slug: String, expected: u16| {
        let (status, answer) = change(&company, &slug).await;
        assert_eq!(status, expected, "{slug}: {answer}");
        if status == 200 {
            company.slug = slug;
        }
        answer
    };
    move_to(unique(), 200).await;
    // Its own address back: where nobody has asked for it of late, for a worker may remember whose it was.
    move_to(first, 200).await;
    let mut last = String::new();
    for _ in 0..4 {
        last = unique();
        move_to(last.clone(), 200).await;
    }
    let problem = move_to(unique(), 409).await;
    assert!(problem["detail"].as_str().unwrap().contains("too often"), "{problem}");
    // Staying is no change.
    move_to(last, 200).await;
}

#[tokio::test]
async fn an_old_address_leads_to_the_new_one_and_then_to_nobody() {
    let stand = Stand::get();
    let mut company = Company::new(stand, "florist").await;
    // As after three changes, at addresses under which nobody has asked yet: no worker remembers them.
    let [moved, aged, present] = &[unique(), unique(), unique()];
    let changes = format!(
        "with taken as (
             insert into hosts (company_id, host, kind, released_at)
             values ($1::text::uuid, '{moved}', 'slug', now() - interval '89 days'),
                    ($1::text::uuid, '{aged}', 'slug', now() - interval '91 days'),
                    ($1::text::uuid, '{present}', 'slug', null)
         ),
         first as (update hosts set released_at = now() where company_id = $1::text::uuid)
         update companies set slug = '{present}' where company_id = $1::text::uuid returning 1"
    );
    assert_eq!(company.rows(&changes).await.len(), 1);
    let at = |slug: &str, method: Method, path: &str| {
        stand.http(&format!("{slug}.localhost"), method, path).bearer_auth(&company.owner)
    };
    let body = json!({ "password": PASSWORD });
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/pages/services?a=b&c=%20d"),
        (Method::GET, "/v1/company"),
        (Method::GET, "/widget.js"),
        (Method::GET, "/dashboard/inbox"),
        (Method::POST, "/v1/visitor"),
        (Method::POST, "/v1/company/deletion"),
    ] {
        let answer = at(moved, method.clone(), path).json(&body).send().await.unwrap();
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
        let expected = format!("{}{path}", stand.root_url.replace("://", &format!("://{present}.")));
        assert_eq!((answer.status().as_u16(), to), (308, expected.as_str()), "{method} {path}");
        assert_eq!(
            answer.headers()["cache-control"],
            "no-store",
            "a browser must not remember it beyond its time"
        );
    }
    // Nothing was done on the way.
    assert_eq!(at(present, Method::GET, "/v1/company").send().await.unwrap().status(), 200);
    let asked = company
        .rows("select from companies where company_id = $1::text::uuid and delete_after is not null")
        .await;
    assert!(asked.is_empty());
    // What is over answers as what never was.
    let answer = async |slug: &str| {
        let response = at(slug, Method::GET, "/").send().await.unwrap();
        let status = response.status().as_u16();
        let mut problem: Value = response.json().await.unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        (status, problem)
    };
    let (over, nobody) = (answer(aged).await, answer(&unique()).await);
    assert_eq!(over.0, 404);
    assert_eq!(over, nobody);
    // And it stays the company's own, which may take it back.
    let rival = Company::new(stand, "florist").await;
    assert_eq!(change(&rival, aged).await.0, 409);
    assert_eq!(change(&rival, moved).await.0, 409);
    company.slug.clone_from(present);
    assert_eq!(change(&company, aged).await.0, 200);
}

/// People belong to a company (README, "Choices that may surprise"): an address is taken within one, not beyond it.
#[tokio::test]
async fn the_same_e_mail_address_at_two_companies_is_two_people() {
    let stand = Stand::get();
    let email = format!("{}@example.com", unique());
    let slugs = [unique(), unique()];
    let mut tokens = Vec::new();
    for slug in &slugs {
        assert_eq!(sign_up(stand, slug, &email).await, 201);
        let body = json!({ "email": email, "password": PASSWORD });
        let login = stand.http(&format!("{slug}.localhost"), Method::POST, "/v1/login").json(&body);
        let signed_in: Value = login.send().await.unwrap().json().await.unwrap();
        tokens.push(signed_in["access_token"].as_str().unwrap().to_owned());
    }
    // The one's token is nothing at the other.
    for (token, expected) in [(&tokens[0], 401), (&tokens[1], 200)] {
        let host = format!("{}.localhost", slugs[1]);
        let asked = stand.http(&host, Method::GET, "/v1/company").bearer_auth(token).send().await.unwrap();
        assert_eq!(asked.status(), expected);
    }
}
