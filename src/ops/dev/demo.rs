//! The demo companies, made through the same public routes that a person's sign-up takes. It never writes to the database itself.

use anyhow::{Context as _, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Where to make them, and the password their owners get.
pub struct Companies<'a> {
    /// The worker's address, `http://127.0.0.1:PORT`.
    pub url: &'a str,
    /// The port in the companies' own addresses.
    pub port: u16,
    /// Every demo owner's password.
    pub password: &'a str,
}

impl Companies<'_> {
    /// Signs a company up, unless it is there already.
    pub async fn create(&self, slug: &str, industry: &str) -> anyhow::Result<()> {
        let company = json!({
            "company": title(slug),
            "slug": slug,
            "industry": industry,
            "name": "Demo Owner",
            "email": email(slug),
            "password": self.password,
        });
        let (status, body) = self.call("", "POST", "/v1/signup", None, &company).await?;
        match status {
            StatusCode::CREATED | StatusCode::CONFLICT => Ok(()),
            _ => bail!("the demo company {slug} could not be created: {status} {body}"),
        }
    }

    /// Seals a model provider's key for the company, unless it has a provider of that kind.
    pub async fn connect(&self, slug: &str, kind: &str, key: &str) -> anyhow::Result<()> {
        let token = self.sign_in(slug).await?;
        let token = Some(token.as_str());
        let (_, providers) = self.call(slug, "GET", "/v1/providers", token, &Value::Null).await?;
        if providers.to_string().contains(&format!("\"kind\":\"{kind}\"")) {
            return Ok(());
        }
        let provider = json!({ "kind": kind, "name": title(kind), "api_key": key });
        let (status, _) = self.call(slug, "POST", "/v1/providers", token, &provider).await?;
        if status != StatusCode::CREATED {
            bail!("the {kind} key could not be stored for {slug}: {status}");
        }
        Ok(())
    }

    /// The owner's access token.
    pub async fn sign_in(&self, slug: &str) -> anyhow::Result<String> {
        let login = json!({ "email": email(slug), "password": self.password });
        let (status, session) = self.call(slug, "POST", "/v1/login", None, &login).await?;
        let token = session.get("access_token").and_then(Value::as_str);
        Ok(token.with_context(|| format!("the owner of {slug} could not sign in: {status}"))?.to_owned())
    }

    /// What a person needs to begin.
    pub fn welcome(&self, slug: &str, question: &str) -> String {
        let url = format!("http://{slug}.localhost:{}", self.port);
        format!(
            "\nready {url}\n\ndashboard {url}/dashboard  login {}  password {}\n\nchat  curl -N {url}/v1/chat \
             -H \"authorization: Bearer $(curl -s -X POST {url}/v1/visitor | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\" \
             -H 'content-type: application/json' -d '{{\"message\":\"{question}\"}}'\n",
            email(slug),
            self.password,
        )
    }

    /// Status and JSON of a request on a company's host, or on the platform's where the slug is empty. Nothing is sent for null.
    pub async fn call(
        &self,
        slug: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let host = if slug.is_empty() { "localhost".to_owned() } else { format!("{slug}.localhost") };
        let client = reqwest::Client::builder().no_proxy().timeout(super::PATIENCE).build()?;
        let request = client.request(method.parse()?, format!("{}{path}", self.url));
        let request = request.header("host", format!("{host}:{}", self.port));
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let request = if body.is_null() { request } else { request.json(body) };
        let response = request.send().await.with_context(|| format!("{method} {path} on {host} failed"))?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

fn email(slug: &str) -> String {
    format!("owner@{slug}.example")
}

/// `acme-plumbing` → `Acme Plumbing`.
fn title(slug: &str) -> String {
    let words = slug.split('-').map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}
