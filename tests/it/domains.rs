//! Companies' own domains: claimed by anybody, answered at by whoever proves them, given up, lost and taken over.

use std::time::Duration;

use bulkhead_tests::company::Company;
use bulkhead_tests::core::{CRON_TOKEN, Core};
use bulkhead_tests::dns;
use bulkhead_tests::native::alone;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::website::Page;
use futures_util::future::join;
use http::Method;
use serde_json::{Value, json};

use super::lifecycle::company as tool;

/// A name that a company claims.
struct Claim<'company> {
    company: &'company Company,
    host: String,
    id: String,
    /// What its record must hold.
    proof: String,
}

impl<'company> Claim<'company> {
    async fn new(company: &'company Company, host: &str) -> Self {
        let new = json!({ "host": host });
        let made = company.owner(Method::POST, "/v1/domains", Some(new), 201).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!((&made["answers"], text("txt_name")), (&json!(false), record(host)), "{made}");
        Self { company, host: host.to_owned(), id: text("domain_id"), proof: text("txt_value") }
    }

    /// A name of its own, which answers.
    async fn proved(company: &'company Company) -> Self {
        let claim = Self::new(company, &own(company)).await;
        has(&claim.host, &[&claim.proof]);
        assert_eq!(claim.verify().await.0, 200);
        claim
    }

    async fn verify(&self) -> (u16, Value) {
        let path = format!("/v1/domains/{}/verify", self.id);
        self.company.call(&self.company.owner, Method::POST, &path, None).await
    }

    /// The check does not succeed, and says why.
    async fn refused(&self, why: &str) {
        let (status, problem) = self.verify().await;
        let said = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 409 && said.contains(why), "{status}: {problem}");
    }

    async fn remove(&self) {
        let path = format!("/v1/domains/{}", self.id);
        self.company.owner(Method::DELETE, &path, None, 204).await;
    }

    async fn shown(&self) -> Value {
        let shown = self.company.owner(Method::GET, "/v1/domains", None, 200).await;
        let of = |domain: &&Value| domain["domain_id"] == self.id.as_str();
        shown["domains"].as_array().unwrap().iter().find(of).cloned().unwrap_or_default()
    }

    async fn answers(&self) -> bool {
        self.shown().await["answers"].as_bool().unwrap()
    }

    /// As if its record had been looked up so long ago, and been missing for so long, if it was.
    async fn age(&self, checked: &str, missing: Option<&str>) {
        let missing = missing.map_or_else(|| "null".to_owned(), |ago| format!("now() - interval '{ago}'"));
        let sql = format!(
            "update domains set checked_at = now() - interval '{checked}', missing_since = {missing}
             where company_id = $1::text::uuid and domain_id = '{}' returning 1",
            self.id
        );
        assert_eq!(self.company.rows(&sql).await.len(), 1);
    }

    /// How often the round and its people had the DNS asked for its record.
    fn asked(&self) -> usize {
        self.company.stand.website.requests(&format!("{}?name={}&", dns::PATH, record(&self.host))).len()
    }
}

fn record(host: &str) -> String {
    format!("_bulkhead.{host}")
}

/// A name that nobody else claims.
fn own(company: &Company) -> String {
    format!("www.{}-{}.com", company.slug, &uuid::Uuid::new_v4().simple().to_string()[..8])
}

fn has(host: &str, texts: &[&str]) {
    dns::put(&Stand::get().website, &record(host), texts);
}

/// The operator's round, beginning with this company.
async fn round(core: &Core, company: &Company) {
    let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&company.id).unwrap().as_u128() - 1);
    let bearer = format!("Bearer {CRON_TOKEN}");
    let after = Some(json!({ "after": before }));
    let response =
        core.serve_with("localhost", "POST", "/v1/cron", &[("authorization", bearer.as_str())], after).await;
    assert_eq!(response.status(), 200);
    core.native.idle().await;
}

/// Waits for something that another's round may be at.
async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}");
}

/// What its people are told of its domains.
async fn told(company: &Company) -> Vec<String> {
    let notices = company.owner(Method::GET, "/v1/notices", None, 200).await;
    let about = notices["notices"].as_array().unwrap().iter().filter(|notice| notice["kind"] == "domain");
    about.map(|notice| notice["body"].as_str().unwrap().to_owned()).collect()
}

/// What its audit log says was done with this name, in its order.
async fn done(company: &Company, host: &str) -> Vec<String> {
    let sql = format!(
        "select action from audit_events where company_id = $1::text::uuid and target = '{host}' order by event_id"
    );
    company.rows(&sql).await.iter().map(|row| row.get(0)).collect()
}

/// Status of a page, as the built worker has it.
async fn status(host: &str, path: &str) -> u16 {
    Stand::get().http(host, Method::GET, path).send().await.unwrap().status().as_u16()
}

#[test]
fn a_domain_is_claimed_proved_answered_at_missed_lost_and_proved_again() {
    alone(async {
        let stand = Stand::get();
        let core = Core::new(stand);
        let acme = Company::new(stand, "plumbing").await;
        let claim = Claim::new(&acme, &own(&acme)).await;
        let host = claim.host.as_str();
        assert!(claim.proof.starts_with("bulkhead=") && claim.proof.len() == 9 + 32, "{}", claim.proof);
        let listed = acme.owner(Method::GET, "/v1/domains", None, 200).await;
        assert_eq!(listed["cname"], acme.host().as_str());
        assert_eq!(status(host, "/").await, 404, "a claim alone answers");

        claim.refused("did not answer").await;
        dns::fail(&stand.website, &record(host), 3);
        claim.refused("is not in the DNS yet").await;
        has(host, &["v=spf1 -all", &format!("{}x", claim.proof)]);
        claim.refused("has another value").await;
        assert_eq!(status(host, "/").await, 404);
        has(host, &["v=spf1 -all", &claim.proof]);
        let (proved, domain) = claim.verify().await;
        assert_eq!((proved, &domain["answers"], &domain["missing_since"]), (200, &json!(true), &Value::Null));

        // The site, the chat and the dashboard are there, and are this company's.
        let home = stand.http(host, Method::GET, "/").send().await.unwrap();
        assert_eq!(home.status(), 200);
        assert!(home.text().await.unwrap().contains(&format!("Company {}", acme.slug)));
        for path in ["/widget.js", "/sitemap.xml", "/dashboard/sign-in"] {
            assert!(matches!(status(host, path).await, 200 | 303), "{path}");
        }
        let visitor: Value =
            stand.http(host, Method::POST, "/v1/visitor").send().await.unwrap().json().await.unwrap();
        let question = json!({ "message": "Do you fix leaks?" });
        let ask = |host: &str| {
            let request = stand.http(host, Method::POST, "/v1/chat").json(&question);
            request.bearer_auth(visitor["token"].as_str().unwrap()).send()
        };
        let answer = ask(host).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("event: done"));

        // The round finds the record, then misses it, and says so once.
        claim.age("1 day", None).await;
        let before = claim.asked();
        round(&core, &acme).await;
        until("it was not looked up", async || claim.asked() > before).await;
        assert!(claim.answers().await && told(&acme).await.is_empty());
        dns::fail(&stand.website, &record(host), 3);
        for _ in 0..2 {
            claim.age("1 day", claim.shown().await["missing_since"].as_str().map(|_| "6 days")).await;
            let before = claim.asked();
            round(&core, &acme).await;
            until("it was not looked up", async || claim.asked() > before).await;
            until("it is not missed", async || claim.shown().await["missing_since"].is_string()).await;
        }
        let [missed] = &told(&acme).await[..] else { panic!("told of it otherwise than once") };
        assert!(missed.contains(host) && missed.contains("within 7 days"), "{missed}");
        assert!(claim.answers().await && claim.shown().await["ends_at"].is_string());
        assert_eq!(status(host, "/").await, 200);
        claim.refused("is not in the DNS yet").await;
        assert!(claim.answers().await, "a check that fails takes nothing");

        claim.age("1 day", Some("7 days")).await;
        round(&core, &acme).await;
        until("it still answers", async || !claim.answers().await).await;
        until("nobody is told", async || told(&acme).await.iter().any(|body| body.contains("for days")))
            .await;
        until("the worker still answers", async || status(host, "/").await == 404).await;

        has(host, &[&claim.proof]);
        let (proved, problem) = claim.verify().await;
        assert_eq!(proved, 200, "{problem}");
        assert_eq!(status(host, "/").await, 200);
        claim.remove().await;
        assert_eq!(claim.shown().await, Value::Null);
        let verified = "domain.verified";
        assert_eq!(
            done(&acme, host).await,
            ["domain.added", verified, "domain.lost", verified, "domain.removed"]
        );
        let held = format!(
            "select from hosts where company_id = $1::text::uuid and host = '{host}' and released_at is null"
        );
        assert!(acme.rows(&held).await.is_empty());
    });
}

#[test]
fn a_name_goes_over_only_with_the_newcomer_s_record_and_without_the_holder_s() {
    alone(async {
        let stand = Stand::get();
        let (acme, bright) = (Company::new(stand, "plumbing").await, Company::new(stand, "florist").await);
        let old = Claim::proved(&acme).await;
        let host = old.host.as_str();
        // Whoever was let in where the name is acme's is nobody where it is bright's.
        let core = Core::new(stand);
        let minted = core.serve_at(host, "POST", "/v1/visitor", "", None).await;
        assert_eq!(minted.status(), 201);
        let minted: Value =
            serde_json::from_slice(&minted.into_body().collect(1 << 16).await.unwrap()).unwrap();
        let visitor = minted["token"].as_str().unwrap();
        let owner = core.owner(&acme).await;

        // Anybody may claim it, and gets nothing by that.
        let new = Claim::new(&bright, host).await;
        assert_ne!(new.proof, old.proof);
        new.refused("has another value").await;
        has(host, &[&old.proof, &new.proof]);
        let (status, problem) = new.verify().await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().starts_with("Another company here has"), "{problem}");
        assert!(
            !problem.to_string().contains(&acme.id)
                && !problem.to_string().contains(&format!("Company {}", acme.slug))
        );
        assert!(old.answers().await && !new.answers().await);

        has(host, &[&new.proof]);
        let (status, problem) = new.verify().await;
        assert_eq!(status, 200, "{problem}");
        assert!(!old.answers().await && new.answers().await);
        let [lost] = &told(&acme).await[..] else { panic!("told otherwise than once") };
        assert!(lost.contains("another company proved") && !lost.contains(&bright.slug), "{lost}");
        assert_eq!(done(&acme, host).await, ["domain.added", "domain.verified", "domain.lost"]);
        assert!(told(&bright).await.is_empty());
        old.refused("has another value").await;
        assert!(new.answers().await);

        let core = Core::new(stand);
        let question = json!({ "message": "Do you fix leaks?" });
        for (method, path, token, body) in [
            ("POST", "/v1/chat", visitor, Some(question)),
            ("GET", "/v1/company", &owner, None),
            ("GET", "/v1/domains", &owner, None),
        ] {
            assert_eq!(core.serve_at(host, method, path, token, body).await.status(), 401, "{path}");
        }
        let theirs = core.owner(&bright).await;
        assert_eq!(core.serve_at(host, "GET", "/v1/company", &theirs, None).await.status(), 200);

        // Given up, it is free at once, for whoever held it before as for anybody.
        new.remove().await;
        has(host, &[&old.proof]);
        assert_eq!(old.verify().await.0, 200);
        assert!(old.answers().await);
    });
}

#[test]
fn of_two_that_prove_a_name_at_once_one_gets_it() {
    alone(async {
        let stand = Stand::get();
        let (acme, bright, first) = (
            Company::new(stand, "plumbing").await,
            Company::new(stand, "florist").await,
            Company::new(stand, "roofing").await,
        );
        for turn in 0..4 {
            // Free, or held by somebody without a record.
            let held = if turn % 2 == 1 { Some(Claim::proved(&first).await) } else { None };
            let host = held.as_ref().map_or_else(|| own(&acme), |held| held.host.clone());
            let (one, other) = (Claim::new(&acme, &host).await, Claim::new(&bright, &host).await);
            has(&host, &[&one.proof, &other.proof]);
            let ((a, said_a), (b, said_b)) = join(one.verify(), other.verify()).await;
            let mut statuses = [a, b];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "{said_a} {said_b}");
            let said = if a == 409 { said_a } else { said_b };
            assert!(said["detail"].as_str().unwrap().starts_with("Another company here has"), "{said}");
            assert_eq!((one.answers().await, other.answers().await), (a == 200, b == 200));
            if let Some(held) = &held {
                assert!(!held.answers().await);
                held.remove().await;
            }
            one.remove().await;
            other.remove().await;
        }
    });
}

#[test]
fn whatever_the_dns_answers_only_a_record_proves_and_only_its_absence_counts() {
    alone(async {
        let stand = Stand::get();
        let core = Core::new(stand);
        let acme = Company::new(stand, "plumbing").await;
        let claim = Claim::proved(&acme).await;
        let (host, owner) = (claim.host.as_str(), core.owner(&acme).await);
        let path = format!("/v1/domains/{}/verify", claim.id);
        let json = |text: &str| Page::Text("application/dns-json", text.to_owned().into());
        let good = format!(
            r#"{{"Status":0,"TC":false,"Answer":[{{"name":"x","type":16,"TTL":1,"data":"\"{}\""}}]}}"#,
            claim.proof
        );
        let silent = [
            json(""),
            json("nonsense"),
            Page::html("<html>A portal that wants you to sign in"),
            json(r#"{"Status":0,"Answer":"x"}"#),
            json(&good.replace("false", "true")),
            json(&good.replace("\"Status\":0", "\"Status\":2")),
            json(&good.replace("\"Status\":0", "\"Status\":5")),
            Page::Status(500),
            Page::Status(429),
            Page::To(stand.website.url("/dns-query?elsewhere")),
            Page::Huge(1 << 22),
            Page::Hang,
        ];
        stand.website.put("/dns-query?elsewhere", json(&good));
        for (minute, page) in silent.into_iter().enumerate() {
            // A few are asked for in a minute.
            core.native.set_ahead_ms(i64::try_from(minute).unwrap() * 60_000);
            dns::anything(&stand.website, &record(host), page.clone());
            let (status, problem) = core.call(&acme, "POST", &path, &owner, None).await;
            let said = problem["detail"].as_str().unwrap_or_default();
            assert!(status == 409 && said.contains("did not answer"), "{page:?}: {status} {problem}");
        }
        core.native.set_ahead_ms(0);
        // Nor does no answer end what was proved, however long the record was missing before.
        dns::fail(&stand.website, &record(host), 2);
        claim.age("1 day", Some("30 days")).await;
        let before = claim.asked();
        round(&core, &acme).await;
        until("it was not looked up", async || claim.asked() > before).await;
        core.native.idle().await;
        assert!(claim.answers().await && told(&acme).await.is_empty());
        // And a record that is back ends the wait.
        has(host, &[&claim.proof]);
        claim.age("1 day", Some("30 days")).await;
        round(&core, &acme).await;
        until("it is still missed", async || claim.shown().await["missing_since"].is_null()).await;
        assert!(claim.answers().await);
        tally("1 identity", "answers of the DNS that prove nothing", 13, 13);
    });
}

#[tokio::test]
async fn a_company_has_a_few_domains_and_a_few_tries() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let name = own(&acme);
    for refused in [
        "",
        "acme",
        "127.0.0.1",
        "[::1]",
        "*.acme.com",
        "acme.com:443",
        "https://acme.com/",
        "müller.de",
        "a.localhost",
        "acme.internal",
        &acme.host(),
        "localhost",
    ] {
        acme.owner(Method::POST, "/v1/domains", Some(json!({ "host": refused })), 400).await;
    }
    let claim = Claim::new(&acme, &name).await;
    acme.owner(Method::POST, "/v1/domains", Some(json!({ "host": name.to_uppercase() })), 409).await;
    for number in 1..5 {
        Claim::new(&acme, &format!("a{number}.{name}")).await;
    }
    let many =
        acme.owner(Method::POST, "/v1/domains", Some(json!({ "host": format!("a5.{name}") })), 409).await;
    assert!(many["detail"].as_str().unwrap().contains("5 domains"), "{many}");

    // Six a minute, and the minute may end meanwhile.
    let mut tries = Vec::new();
    while tries.last() != Some(&429) && tries.len() < 20 {
        tries.push(claim.verify().await.0);
    }
    let asked = tries.len() - 1;
    assert!(
        tries.last() == Some(&429) && asked >= 6 && tries[..asked].iter().all(|status| *status == 409),
        "{tries:?}"
    );
    assert_eq!(claim.asked(), asked, "who is told to wait asks nobody");
}

#[test]
fn a_suspended_company_s_domain_answers_as_nobody_s_and_a_deleted_one_s_is_free() {
    alone(async {
        let stand = Stand::get();
        let (acme, bright) = (Company::new(stand, "plumbing").await, Company::new(stand, "florist").await);
        let old = Claim::proved(&acme).await;
        let host = old.host.as_str();
        let (suspended, said) = tool(stand, None, &["delete", &acme.slug, "--request"]).await;
        assert!(suspended, "{said}");
        assert_eq!(Core::new(stand).serve_at(host, "GET", "/", "", None).await.status(), 404);
        // It keeps the name, as it keeps all else, until it is gone.
        let new = Claim::new(&bright, host).await;
        has(host, &[&new.proof]);
        new.refused("Another company here has").await;

        acme.rows(
            "update companies set suspended_at = now() - interval '1 minute', delete_after = now()
             where company_id = $1::text::uuid returning 1",
        )
        .await;
        let receipt = super::lifecycle::folder().join("receipt.json");
        let purge = ["delete", &acme.id, "--purge", "--receipt", receipt.to_str().unwrap()];
        let (purged, said) = tool(stand, None, &purge).await;
        assert!(purged, "{said}");
        assert_eq!(new.verify().await.0, 200);
        assert_eq!(Core::new(stand).serve_at(host, "GET", "/", "", None).await.status(), 200);
    });
}
