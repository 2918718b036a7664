//! Companies and their visitors: made, used, and in part deleted again by the operator's own commands. It never looks into the
//! database.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use super::client::Client;
use super::now;
use crate::bench::turns::plenty;
use crate::templates::id;

/// A company.
pub struct Company {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
    leaving: Cell<bool>,
}

/// How often something is tried that fails for a reason.
const TRIES: usize = 60;

impl Company {
    /// A company with a provider, and with limits that nobody here reaches.
    pub async fn made(client: &Client) -> anyhow::Result<Self> {
        let (made, slug) = tried(async || {
            // Another name each time: what was not acknowledged may have been made all the same.
            let slug = format!("soak-{}", id().replace('-', "").chars().take(20).collect::<String>());
            let company = json!({
                "company": "Soaked & Sons", "slug": slug, "industry": "plumbing", "name": "Olive Owner",
                "email": "owner@soak.example", "password": client.password,
            });
            Some((client.call("", "POST", "/v1/signup", "", &company, || false).await?, slug))
        })
        .await?;
        let made_id = made.pointer("/company/company_id").and_then(Value::as_str);
        let company = Self {
            id: made_id.context("a company without an id")?.to_owned(),
            slug,
            leaving: Cell::default(),
        };
        let login = json!({ "email": "owner@soak.example", "password": client.password });
        let session = tried(async || company.call(client, "POST", "/v1/login", "", &login).await).await?;
        let token =
            session.get("access_token").and_then(Value::as_str).context("a session without a token")?;
        let provider = json!({ "kind": "openai", "name": "OpenAI", "api_key": "soak-no-real-key" });
        tried(async || company.call(client, "POST", "/v1/providers", token, &provider).await).await?;
        tried(async || company.call(client, "PATCH", "/v1/budget", token, &plenty()).await).await?;
        client.with(|seen| seen.made += 1);
        Ok(company)
    }

    /// Whether it is being taken away, so that nobody need be let in.
    pub fn leaving(&self) -> bool {
        self.leaving.get()
    }

    async fn call(
        &self,
        client: &Client,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Option<Value> {
        client.call(&self.slug, method, path, token, body, || self.leaving()).await
    }
}

/// Until it is done; whoever did it has judged why it was not.
async fn tried<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    for _ in 0..TRIES {
        if let Some(done) = attempt().await {
            return Ok(done);
        }
        sleep(Duration::from_secs(1)).await;
    }
    anyhow::bail!("a company could not be made in {TRIES} tries")
}

/// One visitor after the other who asks, asks on, reads again, hangs up and leaves a number.
pub async fn visit(client: &Client, company: &Company, number: usize, until: Instant) -> anyhow::Result<()> {
    let (mut token, mut conversation) = (None, None);
    // So that not all do the same at the same time.
    let mut turn = number * 3;
    while now() < until {
        turn += 1;
        if turn.is_multiple_of(100) {
            token = None;
        }
        if token.is_none() {
            let made = company.call(client, "POST", "/v1/visitor", "", &Value::Null).await;
            token = made.and_then(|made| Some(made.get("token")?.as_str()?.to_owned()));
            conversation = None;
        }
        let Some(bearer) = &token else {
            sleep(Duration::from_millis(500)).await;
            continue;
        };
        if turn.is_multiple_of(4) {
            conversation = None;
        }
        conversation = client.chat(company, bearer, conversation.as_deref(), turn.is_multiple_of(5)).await;
        if let Some(id) = conversation.as_ref().filter(|_| turn.is_multiple_of(3)) {
            let path = format!("/v1/conversations/{id}/messages");
            company.call(client, "GET", &path, bearer, &Value::Null).await;
        }
        if turn.is_multiple_of(11) {
            let lead = json!({ "name": "Vera", "phone": "555 0100", "message": "A leak." });
            company.call(client, "POST", "/v1/leads", bearer, &lead).await;
        }
        let pause = 50 + (turn * 37 % 200) as u64;
        sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

/// Companies that are made, chat for some seconds and are deleted while they do, one after the other; gives their ids.
pub async fn churn(
    client: &Client,
    settings: &[(&'static str, String)],
    receipts: &Path,
    number: usize,
    until: Instant,
) -> anyhow::Result<Vec<String>> {
    let mut gone = Vec::new();
    sleep(Duration::from_secs(5 * number as u64)).await;
    while now() + Duration::from_secs(20) < until {
        let company = Company::made(client).await?;
        let end = now() + Duration::from_secs(12);
        let visits = (0..2).map(|visitor| visit(client, &company, visitor, end));
        let leaves = async {
            sleep(Duration::from_secs(6)).await;
            company.leaving.set(true);
            operate(client, settings, &["delete", &company.slug, "--request"]).await?;
            // Every other one is called off first, and asked for again.
            if gone.len() % 2 == 1 {
                operate(client, settings, &["delete", &company.slug, "--cancel"]).await?;
                operate(client, settings, &["delete", &company.slug, "--request"]).await?;
            }
            let receipt = receipts.join(format!("{}.json", company.id));
            let receipt = receipt.to_str().context("the data directory's name is not UTF-8")?;
            let purge = ["delete", &company.slug, "--purge", "--now", "--yes", "--receipt", receipt];
            operate(client, settings, &purge).await
        };
        let (_, left) = tokio::join!(join_all(visits), leaves);
        left?;
        client.with(|seen| seen.purged += 1);
        gone.push(company.id);
    }
    Ok(gone)
}

/// `bulkhead company …`, as an operator runs it; again, while a part is gone.
async fn operate(client: &Client, settings: &[(&'static str, String)], args: &[&str]) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        let started = now();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("company").args(args).kill_on_drop(true);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let output = command.output().await.context("cannot run bulkhead company")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // It was done, and only the answer was lost.
        if said.contains("there is no company") || said.contains("nobody asked for the deletion") {
            return Ok(());
        }
        if !client.outages.since(started) {
            client.wrong::<()>(format!("bulkhead company {}: {}", args.join(" "), said.trim()));
        }
        sleep(Duration::from_secs(2)).await;
    }
    anyhow::bail!("bulkhead company {} failed {TRIES} times", args.join(" "))
}
