//! Knock-outs: one wall is taken away, and every attack is still stopped by the next; with the next one gone too it gets
//! through, or this test is blind. The table of what stopped what is `tests/it/knockouts.txt`.
//!
//! Alice's company is attacked from Mallory's. The core runs natively, because only there can a wall be taken away.

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead::knockout::{Wall, take};
use bulkhead::routes::{ROUTES, Run};
use bulkhead_tests::company::{Company, event};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{Part, run};
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

use super::budget::redis;

/// Two companies with something to lose in each of Alice's tables, and a core with or without row-level security.
struct Stage {
    core: Core,
    alice: Company,
    mallory: Company,
    /// Stands in everything of Alice's.
    canary: String,
    alices_key: String,
    mallorys_token: String,
    mallorys_session: Value,
    /// A visitor of Mallory's, and its conversation.
    mallorys_chat: (String, Value),
    /// Ids of Alice's rows, by the path that takes them.
    ids: Vec<(&'static str, String)>,
}

impl Stage {
    async fn set(core: Core) -> Self {
        let stand = core.stand;
        let (alice, mallory) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
        let canary = format!("canary{}", uuid::Uuid::new_v4().simple());
        let alices_key = format!("test-ok-{canary}");
        core.provider(&alice, &alices_key).await;
        let entry = json!({ "category": "faq", "question": format!("Where is the {canary}?"), "answer": format!("The {canary} is in the cellar.") });
        let agent =
            json!({ "slug": canary, "name": canary, "role": canary, "instructions": canary, "tier": "fast" });
        alice.owner(http::Method::POST, "/v1/knowledge", Some(entry), 201).await;
        alice.owner(http::Method::POST, "/v1/agents", Some(agent), 201).await;
        alice
            .rows(&format!(
                "update companies set name = '{canary}' where company_id = $1::text::uuid returning 1"
            ))
            .await;
        alice
            .rows(&format!(
                "update providers set name = '{canary}', position = -extract(epoch from now())::integer where company_id = $1::text::uuid returning 1"
            ))
            .await;
        alice.rows("update budgets set daily_limit_microusd = 7654321 where company_id = $1::text::uuid returning 1").await;
        let visitor = core.visitor(&alice).await;
        let lead = json!({ "name": canary, "phone": canary });
        assert_eq!(core.call(&alice, "POST", "/v1/leads", &visitor, Some(lead)).await.0, 201);
        let mut ids = Vec::new();
        for (path, sql) in [
            (
                "/v1/agents/{id}",
                format!(
                    "select agent_id::text from agents where company_id = $1::text::uuid and slug = '{canary}'"
                ),
            ),
            (
                "/v1/knowledge/{id}",
                format!(
                    "select entry_id::text from knowledge_entries where company_id = $1::text::uuid and question like '%{canary}%'"
                ),
            ),
            (
                "/v1/providers/{id}",
                "select provider_id::text from providers where company_id = $1::text::uuid".to_owned(),
            ),
        ] {
            ids.push((path, alice.rows(&sql).await[0].get(0)));
        }
        alice
            .rows(&format!("update knowledge_entries set keywords = '{canary}' where company_id = $1::text::uuid returning 1"))
            .await;
        let visitor = core.visitor(&mallory).await;
        let ask = json!({ "message": "Hello" });
        let response = core.serve(&mallory, "POST", "/v1/chat", &visitor, Some(ask)).await;
        let conversation = event(&read(response.into_body()).await, "start")["conversation_id"].clone();
        let mallorys_chat = (visitor, conversation);
        let mallorys_token = core.owner(&mallory).await;
        let payload = mallorys_token.split('.').nth(1).unwrap();
        let mallorys_session =
            serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap();
        Self {
            core,
            alice,
            mallory,
            canary,
            alices_key,
            mallorys_token,
            mallorys_session,
            mallorys_chat,
            ids,
        }
    }

    /// Mallory's own token, made out to Alice's company, with a signature of nobody's.
    fn forged(&self) -> String {
        let mut claims = self.mallorys_session.clone();
        claims["aud"] = self.alice.id.clone().into();
        let header = json!({ "alg": "HS256", "kid": "k", "typ": "access+jwt" });
        let encode = |json: &Value| Base64UrlUnpadded::encode_string(json.to_string().as_bytes());
        format!("{}.{}.{}", encode(&header), encode(&claims), Base64UrlUnpadded::encode_string(&[0; 32]))
    }

    /// Whether something of Alice's is in there.
    fn leaks(&self, value: &Value) -> bool {
        let text = value.to_string();
        text.contains(&self.canary) || text.contains("7654321") || text.contains(&self.alice.id)
    }

    /// Runs an attack; whether it got through.
    async fn attack(&self, attack: &Attack) -> bool {
        let core = &self.core;
        match attack {
            Attack::ForgedToken(path) => {
                let (_, answer) = core.call(&self.alice, "GET", &self.path(path), &self.forged(), None).await;
                self.leaks(&answer)
            }
            Attack::ForgedWrite(name) => {
                let entry = json!({ "category": "faq", "question": format!("Who was here? {name}"), "answer": "Mallory." });
                core.call(&self.alice, "POST", "/v1/knowledge", &self.forged(), Some(entry)).await.0 == 201
            }
            Attack::List(path) => {
                let (_, answer) = core.call(&self.mallory, "GET", path, &self.mallorys_token, None).await;
                self.leaks(&answer)
            }
            Attack::ReadById(path) => {
                let (status, answer) =
                    core.call(&self.mallory, "GET", &self.path(path), &self.mallorys_token, None).await;
                status == 200 && self.leaks(&answer)
            }
            Attack::ChangeById(path) => {
                let change = if path.contains("knowledge") {
                    json!({ "keywords": "mallory" })
                } else {
                    json!({ "name": self.canary })
                };
                let (status, _) = core
                    .call(&self.mallory, "PATCH", &self.path(path), &self.mallorys_token, Some(change))
                    .await;
                status == 200
            }
            Attack::UseKey => {
                let before = core.stand.upstream.requests(&self.alices_key).len();
                let (visitor, conversation) = &self.mallorys_chat;
                let ask = json!({ "message": "Do you fix leaks?", "conversation_id": conversation });
                let response = core.serve(&self.mallory, "POST", "/v1/chat", visitor, Some(ask)).await;
                read(response.into_body()).await;
                core.stand.upstream.requests(&self.alices_key).len() > before
            }
            Attack::ReadMemory => self.read_memory().await,
            Attack::SpendBudget => self.spend_budget().await,
            Attack::Overspend => self.overspend().await,
        }
    }

    fn path(&self, path: &str) -> String {
        let id = self.ids.iter().find(|(other, _)| *other == path).map_or("", |(_, id)| id);
        path.replace("{id}", id)
    }

    /// A conversation of Mallory's that has the id of one of Alice's: two rows in Postgres, and one key in Redis if the
    /// key does not say whose it is.
    async fn read_memory(&self) -> bool {
        let core = &self.core;
        self.forget_shared_day().await;
        let visitor = core.visitor(&self.alice).await;
        let ask = json!({ "message": format!("My {} is broken.", self.canary) });
        let events =
            read(core.serve(&self.alice, "POST", "/v1/chat", &visitor, Some(ask)).await.into_body()).await;
        let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();

        let key = format!("test-ok-m{}", uuid::Uuid::new_v4().simple());
        core.provider(&self.mallory, &key).await;
        let token = core.visitor(&self.mallory).await;
        let payload = Base64UrlUnpadded::decode_vec(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&payload).unwrap();
        let visitor = claims["sub"].as_str().unwrap();
        self.mallory
            .rows(&format!(
                "insert into conversations (company_id, conversation_id, agent_id, visitor_id)
                 select company_id, '{conversation}', agent_id, '{visitor}' from agents
                 where company_id = $1::text::uuid and is_default returning 1"
            ))
            .await;
        core.native.take_sent();
        let ask = json!({ "message": "And now?", "conversation_id": conversation });
        read(core.serve(&self.mallory, "POST", "/v1/chat", &token, Some(ask)).await.into_body()).await;
        core.stand
            .upstream
            .requests(&key)
            .iter()
            .any(|request| request.body.to_string().contains(&self.canary))
    }

    /// Without its prefix a day is everybody's; what an earlier trial left there must not decide this one.
    async fn forget_shared_day(&self) {
        let day = bulkhead::limiter::day(self.core.native.platform().now_ms());
        redis(self.core.stand, json!(["DEL", format!("daily_spend:{{everybody}}:{day}")])).await;
    }

    /// Whether Mallory's turns count as Alice's spending, or the other way round.
    async fn spend_budget(&self) -> bool {
        let core = &self.core;
        self.forget_shared_day().await;
        core.native.take_sent();
        let key = format!("test-ok-m{}", uuid::Uuid::new_v4().simple());
        core.provider(&self.mallory, &key).await;
        for company in [&self.alice, &self.mallory] {
            let visitor = core.visitor(company).await;
            let ask = json!({ "message": "Do you fix leaks?" });
            read(core.serve(company, "POST", "/v1/chat", &visitor, Some(ask)).await.into_body()).await;
        }
        let alices_calls = core.stand.upstream.requests(&self.alices_key).len();
        let mallorys_calls = core.stand.upstream.requests(&key).len();
        self.forget_shared_day().await;
        // One hash for both, and both called their models: each spent from the other's budget.
        alices_calls + mallorys_calls > 1
            && !core.native.take_sent().iter().any(|sent| {
                sent.part == Part::Redis
                    && String::from_utf8_lossy(&sent.body)
                        .contains(&format!("daily_spend:{{{}}}", self.mallory.id))
            })
    }

    /// Whether a company whose day is used up calls a model all the same.
    async fn overspend(&self) -> bool {
        let core = &self.core;
        let limit =
            "update budgets set daily_limit_microusd = 1000 where company_id = $1::text::uuid returning 1";
        let spent = "insert into ledger_days (company_id, day, spent_microusd, turns)
                     values ($1::text::uuid, (now() at time zone 'utc')::date, 1000, 1) on conflict do nothing returning 1";
        self.alice.rows(limit).await;
        self.alice.rows(spent).await;
        let before = core.stand.upstream.requests(&self.alices_key).len();
        let visitor = core.visitor(&self.alice).await;
        let ask = json!({ "message": "Do you fix leaks?" });
        read(core.serve(&self.alice, "POST", "/v1/chat", &visitor, Some(ask)).await.into_body()).await;
        core.stand.upstream.requests(&self.alices_key).len() > before
    }
}

/// Ways into Alice's company.
#[derive(Debug)]
enum Attack {
    ForgedToken(&'static str),
    ForgedWrite(&'static str),
    List(&'static str),
    ReadById(&'static str),
    ChangeById(&'static str),
    UseKey,
    ReadMemory,
    SpendBudget,
    Overspend,
}

/// Routes of members that only read.
fn reading(with_id: bool) -> impl Iterator<Item = &'static str> {
    let reads =
        |route: &&bulkhead::routes::Route| route.method == "GET" && matches!(route.run, Run::Member(..));
    ROUTES.iter().filter(reads).map(|route| route.path).filter(move |path| path.contains("{id}") == with_id)
}

/// What a layer is, how it is taken away, and what stands behind it.
struct Case {
    attack: Attack,
    layer: &'static str,
    first: &'static [Wall],
    stopped_by: &'static str,
    second: &'static [Wall],
    /// Row-level security is the second wall: it goes by connecting as another role.
    then_row_level_security: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |attack, layer, first, stopped_by, second, then_row_level_security| {
        cases.push(Case { attack, layer, first, stopped_by, second, then_row_level_security });
    };
    // Left out are lists with nothing of Alice's own in them (categories), and rows that are found by who asks (company).
    let lists =
        || reading(false).filter(|path| !path.ends_with("/categories") && !path.ends_with("/company"));
    for path in lists() {
        add(
            Attack::ForgedToken(path),
            "1 signature",
            &[Wall::Signature],
            "membership row",
            &[Wall::Membership],
            false,
        );
    }
    for path in reading(true) {
        add(
            Attack::ForgedToken(path),
            "1 signature",
            &[Wall::Signature],
            "membership row",
            &[Wall::Membership],
            false,
        );
    }
    add(
        Attack::ForgedWrite("knowledge"),
        "1 signature",
        &[Wall::Signature],
        "membership row",
        &[Wall::Membership],
        false,
    );
    // One row is shown of a budget, and without a filter it may be anybody's.
    for path in lists().filter(|path| !path.ends_with("/budget")) {
        add(Attack::List(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
    }
    for path in reading(true) {
        add(Attack::ReadById(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
        add(Attack::ChangeById(path), "2 filter", &[Wall::Filter], "row-level security", &[], true);
    }
    add(
        Attack::ReadMemory,
        "4 key prefix",
        &[Wall::KeyPrefix],
        "the value names its company",
        &[Wall::ValueOwner],
        false,
    );
    add(
        Attack::SpendBudget,
        "4 key prefix",
        &[Wall::KeyPrefix],
        "the value names its company",
        &[Wall::ValueOwner],
        false,
    );
    add(
        Attack::UseKey,
        "5 provider's owner",
        &[Wall::ProviderOwner],
        "associated data and derived key",
        &[Wall::Seal],
        true,
    );
    add(Attack::Overspend, "7 budget in Redis", &[Wall::Budget], "ledger cap", &[Wall::LedgerCap], false);
    cases
}

#[test]
fn each_wall_holds_when_the_one_before_it_is_gone() {
    let mut table = String::from("attack | layer removed | what stopped it | with that gone too\n");
    let mut wrong = Vec::new();
    run(async {
        let shipped = Stage::set(Core::new(Stand::get())).await;
        for case in cases() {
            let name = format!("{:?}", case.attack);
            if shipped.attack(&case.attack).await {
                wrong.push(format!("{name} gets through with every wall standing"));
            }
            // To bring another company's provider as far as the vault, filter and row-level security must be gone.
            let vault = matches!(case.attack, Attack::UseKey);
            let before = vault.then_some(Wall::Filter);
            let one = {
                let stage = Stage::set(core(vault)).await;
                let _gone = take(&case.first.iter().copied().chain(before).collect::<Vec<_>>());
                stage.attack(&case.attack).await
            };
            let both = {
                // What was sealed for a company before its wall went would stay shut.
                let seal: Vec<Wall> =
                    case.second.iter().copied().filter(|wall| *wall == Wall::Seal).collect();
                let sealed = take(&seal);
                let stage = Stage::set(core(case.then_row_level_security)).await;
                drop(sealed);
                let walls = case.first.iter().chain(case.second).copied().chain(before);
                let _gone = take(&walls.collect::<Vec<_>>());
                stage.attack(&case.attack).await
            };
            if one {
                wrong.push(format!("{name} gets through without {}", case.layer));
            }
            if !both {
                wrong.push(format!(
                    "{name} is stopped without {} and {}: this test is blind",
                    case.layer, case.stopped_by
                ));
            }
            let both = if both { "gets through" } else { "stopped" };
            table.push_str(&format!("{name} | {} | {} | {both}\n", case.layer, case.stopped_by));
        }
        // The other way round: row-level security is gone, and the filter holds.
        let unguarded = Stage::set(core(true)).await;
        for case in cases().iter().filter(|case| case.layer == "2 filter") {
            if unguarded.attack(&case.attack).await {
                wrong.push(format!("{:?} gets through without row-level security", case.attack));
            }
            table.push_str(&format!("{:?} | 3 row-level security | filter | gets through\n", case.attack));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = include_str!("knockouts.txt");
    assert_eq!(
        table, kept,
        "tests/it/knockouts.txt is not what happened; write this table there if it is right"
    );
}

fn core(without_row_level_security: bool) -> Core {
    let stand = Stand::get();
    if without_row_level_security { Core::without_row_level_security(stand) } else { Core::new(stand) }
}
