//! The stage of the knock-outs: Alice's company with something to lose in every table, and Mallory's ways into it.

use std::sync::atomic::{AtomicI32, Ordering};

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead_tests::company::{Company, event};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::Part;
use serde_json::{Value, json};

use super::super::budget::redis;

/// Two companies with something to lose in each of Alice's tables, and a core with or without row-level security.
pub(super) struct Stage {
    pub(super) core: Core,
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
    pub(super) async fn set(core: Core) -> Self {
        let stand = core.stand;
        let (alice, mallory) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
        let canary = format!("canary{}", uuid::Uuid::new_v4().simple());
        let alices_key = format!("test-ok-{canary}");
        core.provider(&alice, &alices_key).await;
        // Without a filter, what is first among all companies' comes first: the newest stage's.
        static STAGES: AtomicI32 = AtomicI32::new(-1_000_000);
        let first = STAGES.fetch_sub(1, Ordering::Relaxed);
        let entry = json!({ "category": "faq", "question": format!("Where is the {canary}?"), "answer": format!("The {canary} is in the cellar.") });
        let agent =
            json!({ "slug": canary, "name": canary, "role": canary, "instructions": canary, "tier": "fast" });
        alice.owner(http::Method::POST, "/v1/knowledge", Some(entry), 201).await;
        alice.owner(http::Method::POST, "/v1/agents", Some(agent), 201).await;
        let key = json!({ "name": canary, "scopes": ["chat"] });
        alice.owner(http::Method::POST, "/v1/api-keys", Some(key), 201).await;
        alice
            .rows(&format!(
                "update companies set name = '{canary}' where company_id = $1::text::uuid returning 1"
            ))
            .await;
        alice
            .rows(&format!(
                "update providers set name = '{canary}', position = {first} where company_id = $1::text::uuid returning 1"
            ))
            .await;
        alice.rows("update budgets set daily_limit_microusd = 7654321 where company_id = $1::text::uuid returning 1").await;
        alice
            .rows(
                "insert into retention_settings (company_id, conversations_days) values ($1::text::uuid, 3571)
                 on conflict (company_id) do update set conversations_days = 3571 returning 1",
            )
            .await;
        let visitor = core.visitor(&alice).await;
        let lead = json!({ "name": canary, "phone": canary });
        assert_eq!(core.call(&alice, "POST", "/v1/leads", &visitor, Some(lead)).await.0, 201);
        for sql in [
            format!(
                "insert into notices (company_id, notice_id, kind, body)
                 values ($1::text::uuid, gen_random_uuid(), 'lead', '{canary}') returning 1"
            ),
            format!(
                "insert into usage_ledger (company_id, reservation_id, day, conversation_id, provider_id, model, input_tokens,
                                           output_tokens, cost_microusd, estimated, created_at)
                 values ($1::text::uuid, gen_random_uuid(), '2026-11-22', gen_random_uuid(), gen_random_uuid(), '{canary}', 1,
                         1, 1, false, now() + interval '1 day') returning 1"
            ),
        ] {
            alice.rows(&sql).await;
        }
        for sql in [
            "insert into conversations (company_id, conversation_id, agent_id, visitor_id)
             select company_id, gen_random_uuid(), agent_id, gen_random_uuid()
             from agents where company_id = $1::text::uuid and is_default returning 1"
                .to_owned(),
            format!(
                "insert into messages (company_id, message_id, conversation_id, author, body)
                 select company_id, gen_random_uuid(), conversation_id, 'visitor', '{canary}'
                 from conversations where company_id = $1::text::uuid returning 1"
            ),
        ] {
            alice.rows(&sql).await;
        }
        let mut ids = Vec::new();
        for (path, sql) in [
            (
                "/v1/conversations/{id}",
                format!(
                    "select conversation_id::text from messages where company_id = $1::text::uuid and body = '{canary}'"
                ),
            ),
            (
                "/v1/visitors/{id}",
                format!(
                    "select c.visitor_id::text from messages m
                     join conversations c on c.company_id = m.company_id and c.conversation_id = m.conversation_id
                     where m.company_id = $1::text::uuid and m.body = '{canary}'"
                ),
            ),
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
                "/v1/leads/{id}",
                format!(
                    "select l.lead_id::text from leads l
                     join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
                     where l.company_id = $1::text::uuid and k.name = '{canary}'"
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
            .rows(&format!(
                "update gpt_contexts set body = '{canary}', position = {first} where company_id = $1::text::uuid returning 1"
            ))
            .await;
        alice
            .rows(&format!("update knowledge_entries set prepared = null, keywords = '{canary}' where company_id = $1::text::uuid returning 1"))
            .await;
        office(&alice, &canary).await;
        ids.extend(library(&alice, &canary).await);
        ids.extend(webhook(&alice, &canary).await);
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
        text.contains(&self.canary)
            || text.contains("7654321")
            || text.contains(r#""conversations_days":3571"#)
            || text.contains(&self.alice.id)
    }

    /// Runs an attack; whether it got through.
    pub(super) async fn attack(&self, attack: &Attack) -> bool {
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
                let change = if path.contains("drafts") {
                    json!({ "question": "mallory" })
                } else if path.contains("knowledge") {
                    json!({ "keywords": "mallory" })
                } else if path.contains("conversations") {
                    json!({ "closed": true })
                } else if path.contains("leads") {
                    json!({ "stage": "contacted" })
                } else if path.contains("webhooks") {
                    json!({ "enabled": true })
                } else {
                    json!({ "name": self.canary })
                };
                let (status, _) = core
                    .call(&self.mallory, "PATCH", &self.path(path), &self.mallorys_token, Some(change))
                    .await;
                status == 200
            }
            Attack::RemoveById(path) => {
                let (status, _) =
                    core.call(&self.mallory, "DELETE", &self.path(path), &self.mallorys_token, None).await;
                status == 204
            }
            Attack::ReadContexts => self.read_contexts().await,
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

    /// Whether what Mallory's model is told holds something of what Alice's agents are told.
    async fn read_contexts(&self) -> bool {
        let core = &self.core;
        let key = format!("test-ok-m{}", uuid::Uuid::new_v4().simple());
        core.provider(&self.mallory, &key).await;
        // Another's provider would be chosen first, and the vault would end the turn before its prompt is sent.
        self.mallory
            .rows("update providers set position = -2000000000 where company_id = $1::text::uuid returning 1")
            .await;
        let (visitor, conversation) = &self.mallorys_chat;
        let ask = json!({ "message": "Do you fix leaks?", "conversation_id": conversation });
        read(core.serve(&self.mallory, "POST", "/v1/chat", visitor, Some(ask)).await.into_body()).await;
        // And must not be chosen first in the next attack.
        self.mallory
            .rows("update providers set enabled = false where company_id = $1::text::uuid returning 1")
            .await;
        core.stand.upstream.requests(&key).iter().any(|call| call.body.to_string().contains(&self.canary))
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
        let day = bulkhead::limiter::day(self.core.native.platform().now_ms(), 0);
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
                     values ($1::text::uuid, (now() at time zone 'utc')::date, 1000, 1)
                     on conflict (company_id, day) do update set spent_microusd = 1000 returning 1";
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
pub(super) enum Attack {
    ForgedToken(&'static str),
    ForgedWrite(&'static str),
    List(&'static str),
    ReadById(&'static str),
    ChangeById(&'static str),
    RemoveById(&'static str),
    ReadContexts,
    UseKey,
    ReadMemory,
    SpendBudget,
    Overspend,
}

/// A draft, and a question that nobody answered; their ids, by the paths that take them.
async fn library(alice: &Company, canary: &str) -> [(&'static str, String); 2] {
    let draft = format!(
        "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer, created_at)
         select company_id, gen_random_uuid(), category_id, 'text', '{canary}', '{canary}', '2000-01-01'
         from knowledge_categories where company_id = $1::text::uuid limit 1 returning draft_id::text"
    );
    let question = format!(
        "with talk as (
             insert into conversations (company_id, conversation_id, agent_id, visitor_id)
             select company_id, gen_random_uuid(), agent_id, gen_random_uuid()
             from agents where company_id = $1::text::uuid and is_default returning company_id, conversation_id
         ),
         asked as (
             insert into messages (company_id, message_id, conversation_id, author, body, created_at)
             select company_id, gen_random_uuid(), conversation_id, 'visitor', '{canary}', now() + interval '1 day'
             from talk returning company_id, message_id, conversation_id, body
         ),
         told as (
             insert into messages (company_id, message_id, conversation_id, author, body, source, answers)
             select company_id, gen_random_uuid(), conversation_id, 'agent', '{canary}', 'none', message_id from asked
         )
         select text_digest(body)::text from asked"
    );
    let (draft, question) = (alice.rows(&draft).await, alice.rows(&question).await);
    [("/v1/knowledge/drafts/{id}", draft[0].get(0)), ("/v1/unanswered/{id}", question[0].get(0))]
}

/// A webhook, and a delivery that it did not take; its id, by the paths that take it.
async fn webhook(alice: &Company, canary: &str) -> [(&'static str, String); 2] {
    let webhook = format!(
        "insert into webhooks (company_id, webhook_id, url, events, sealed_secret)
         values ($1::text::uuid, gen_random_uuid(), 'https://{canary}.com/', array['conversation.closed'], 'sealed')
         returning webhook_id::text"
    );
    let webhook: String = alice.rows(&webhook).await[0].get(0);
    let delivery = format!(
        "insert into outbox (company_id, delivery_id, event_id, event, payload, webhook_id, attempts, next_at, dead_at, last_error)
         values ($1::text::uuid, gen_random_uuid(), gen_random_uuid(), 'conversation.closed', '{{}}', '{webhook}', 1, null, now(),
                 '{canary}')
         returning 1"
    );
    alice.rows(&delivery).await;
    [("/v1/webhooks/{id}", webhook.clone()), ("/v1/webhooks/{id}/deliveries", webhook)]
}

/// Marks what Alice's lists show of her office.
async fn office(alice: &Company, canary: &str) {
    alice.support().await;
    for (table, column, unique) in [
        ("pipeline_stages", "name", "stage_id"),
        ("labels", "name", "label_id"),
        ("message_templates", "name", "''"),
        ("checklist_items", "title", "''"),
        ("closures", "name", "''"),
        ("appointment_types", "name", "''"),
        ("services", "name", "''"),
        ("payment_methods", "name", "left(method_id::text, 8)"),
        ("glossary_terms", "meaning", "''"),
        ("site_pages", "title", "''"),
        ("lead_questions", "question", "''"),
        ("quick_replies", "body", "''"),
        ("widget_settings", "greeting", "''"),
        ("users", "name", "''"),
        ("audit_events", "target", "''"),
        ("support_accesses", "reason", "''"),
    ] {
        let sql = format!(
            "update {table} set {column} = left('{canary}' || {unique}, 60) where company_id = $1::text::uuid returning 1"
        );
        assert!(!alice.rows(&sql).await.is_empty(), "{table}");
    }
    // Lists that end somewhere show her rows first, whoever else is there.
    for sql in [
        "update memberships set created_at = '2000-01-01' where company_id = $1::text::uuid returning 1",
        "update audit_events set created_at = now() + interval '1 day' where company_id = $1::text::uuid returning 1",
        "update support_accesses set created_at = now() + interval '1 day' where company_id = $1::text::uuid returning 1",
    ] {
        assert!(!alice.rows(sql).await.is_empty(), "{sql}");
    }
    // A plan of her own, a domain that she claims, and somebody whom she invited.
    for sql in [
        format!(
            "with own as (
                 insert into plans (plan, name, monthly_price_cents, daily_limit_microusd, monthly_tokens, platform_models)
                 select '{canary}', '{canary}', n.monthly_price_cents, n.daily_limit_microusd, n.monthly_tokens, n.platform_models
                 from subscriptions s join plans n on n.plan = s.plan where s.company_id = $1::text::uuid returning 1)
             select 1 from own"
        ),
        format!(
            "insert into domains (company_id, domain_id, host, token)
             values ($1::text::uuid, gen_random_uuid(), 'www.{canary}.com', repeat('a', 32)) returning 1"
        ),
        format!("update subscriptions set plan = '{canary}' where company_id = $1::text::uuid returning 1"),
        format!(
            "insert into account_links (company_id, link_id, purpose, subject, email, role, token_hash, created_at, expires_at)
             values ($1::text::uuid, gen_random_uuid(), 'invite', '{canary}', '{canary}', 'member', sha256('{canary}'),
                     now() + interval '1 day', now() + interval '2 days') returning 1"
        ),
    ] {
        assert!(!alice.rows(&sql).await.is_empty(), "{sql}");
    }
    // An edited row of an older template is offered an update, beside what it says.
    let older = "update gpt_contexts set origin = 'company', origin_version = 0 where company_id = $1::text::uuid returning 1";
    alice.rows(older).await;
}
