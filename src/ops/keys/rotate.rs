//! `bulkhead keys rotate`: seals every provider key, every secret that signs visitors' identities or deliveries of webhooks, and
//! every one that codes of a second step are made from, again under the newest master key, while the workers go on. It never overwrites one that its owner changes meanwhile, and never touches one that
//! does not open.
//!
//! The workers come first: each must have the newest key somewhere in its `MASTER_KEYS` before anything is sealed under it,
//! and the old ones until nothing is left under them. The rows say what is done, so it may be stopped at any time.

use anyhow::{Context as _, bail};
use bulkhead::tenant::TenantSql;
use bulkhead::tenant::vault::{Rewrap, master_of};
use tokio_postgres::Client;

use super::{FIRST, Place, bytea, companies, count, master_keys, nonce, say, within};
use crate::gateway::param::Param;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// All master keys, newest first, as the worker has them.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: String,
    /// Open every key and change none.
    #[arg(long)]
    dry_run: bool,
    /// Stop after so many keys; the next run goes on from there.
    #[arg(long)]
    most: Option<u64>,
    /// Keys sealed in one transaction.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let keys = master_keys(&args.master_keys)?;
    let newest = *keys.numbers().first().context("MASTER_KEYS is empty")?;
    let (owner, mut worker) = (args.place.owner().await?, args.place.worker().await?);
    let mut run = Run { head: bytea(&keys.newest_head()), keys, args: &args, done: Done::default() };
    let (mut seen, mut after) = (0, FIRST.to_owned());
    'companies: loop {
        let page = companies(&owner, &after).await?;
        for company in &page {
            if run.full() {
                break 'companies;
            }
            run.company(&mut worker, company).await?;
            seen += 1;
        }
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        say(&format!("{seen} companies: {} sealed again", count(run.done.sealed, "key", "keys")));
    }
    let left = run.left(&owner, &mut worker).await?;
    let Done { sealed, changed, shut } = run.done;
    let (what, keys) =
        (if args.dry_run { "would be sealed" } else { "sealed" }, count(sealed, "key", "keys"));
    say(&format!(
        "{keys} {what} under master key {newest}, {changed} changed by their owners meanwhile, {shut} that do not open, {left} left"
    ));
    if shut > 0 {
        bail!(
            "{} not open with these master keys; add the one they are under, or have their owners enter them again",
            count(shut, "key does", "keys do")
        );
    }
    if left > 0 && !args.dry_run && args.most.is_none() {
        bail!(
            "{left} left under another master key: see that every worker has the newest one first, and run this again"
        );
    }
    Ok(())
}

/// One run, and what came of it so far.
struct Run<'a> {
    keys: Rewrap,
    /// What every key under the newest master key begins with.
    head: String,
    args: &'a Args,
    done: Done,
}

#[derive(Default)]
struct Done {
    sealed: u64,
    changed: u64,
    shut: u64,
}

impl Run<'_> {
    fn full(&self) -> bool {
        self.args.most.is_some_and(|most| self.done.sealed >= most)
    }

    /// All of one company's keys, a batch at a time.
    async fn company(&mut self, worker: &mut Client, company: &str) -> anyhow::Result<()> {
        let id = company.parse().context("a company without an id")?;
        let mut after = FIRST.to_owned();
        while !self.full() {
            let room = self.args.most.map_or(u64::MAX, |most| most - self.done.sealed);
            let batch = room.min(self.args.batch.into());
            let transaction = within(worker, company).await?;
            let limit = batch.to_string();
            let [scope, head, from, limit] =
                [company, &self.head, after.as_str(), limit.as_str()].map(Param::from);
            let rows = transaction.query(KEY_STALE.text(), &[&scope, &head, &from, &limit]).await?;
            for row in &rows {
                let (provider, sealed): (String, Vec<u8>) =
                    (row.try_get("provider")?, row.try_get("sealed_key")?);
                let to = provider.parse().context("a provider without an id")?;
                let Some(again) = self.keys.again(id, to, &sealed, nonce()?) else {
                    let under = master_of(&sealed).map_or("no".to_owned(), |number| number.to_string());
                    say(&format!(
                        "does not open: company {company}, provider {provider}, under master key {under}"
                    ));
                    self.done.shut += 1;
                    continue;
                };
                if self.args.dry_run {
                    self.done.sealed += 1;
                    continue;
                }
                let (old, new) = (bytea(&sealed), bytea(again.sealed.as_bytes()));
                let [provider, old, new, print] =
                    [provider.as_str(), &old, &new, &again.fingerprint].map(Param::from);
                let changed =
                    transaction.execute(KEY_REWRAP.text(), &[&scope, &provider, &old, &new, &print]).await?;
                *(if changed == 1 { &mut self.done.sealed } else { &mut self.done.changed }) += 1;
            }
            transaction.commit().await?;
            let Some(last) = rows.last() else { break };
            after = last.try_get("provider")?;
        }
        if self.full() {
            return Ok(());
        }
        self.secret(worker, company).await?;
        self.totp(worker, company).await?;
        self.webhooks(worker, company).await
    }

    /// What the deliveries of a company's webhooks are signed with, all of them at once: there are few.
    async fn webhooks(&mut self, worker: &mut Client, company: &str) -> anyhow::Result<()> {
        let transaction = within(worker, company).await?;
        let [scope, head] = [company, &self.head].map(Param::from);
        let id = company.parse().context("a company without an id")?;
        for row in &transaction.query(WEBHOOK_STALE.text(), &[&scope, &head]).await? {
            let (webhook, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            let to = webhook.parse().context("a webhook without an id")?;
            match self.keys.webhook_again(id, to, &sealed, nonce()?) {
                None => {
                    let under = master_of(&sealed).map_or("no".to_owned(), |number| number.to_string());
                    say(&format!(
                        "does not open: company {company}, webhook {webhook}, under master key {under}"
                    ));
                    self.done.shut += 1;
                }
                Some(_) if self.args.dry_run => self.done.sealed += 1,
                Some(again) => {
                    let (old, new) = (bytea(&sealed), bytea(&again));
                    let [webhook, old, new] = [webhook.as_str(), old.as_str(), new.as_str()].map(Param::from);
                    let changed =
                        transaction.execute(WEBHOOK_REWRAP.text(), &[&scope, &webhook, &old, &new]).await?;
                    *(if changed == 1 { &mut self.done.sealed } else { &mut self.done.changed }) += 1;
                }
            }
        }
        Ok(transaction.commit().await?)
    }

    /// What the codes of a company's people are made from, all of them at once: there are few.
    async fn totp(&mut self, worker: &mut Client, company: &str) -> anyhow::Result<()> {
        let transaction = within(worker, company).await?;
        let [scope, head] = [company, &self.head].map(Param::from);
        let id = company.parse().context("a company without an id")?;
        for row in &transaction.query(TOTP_STALE.text(), &[&scope, &head]).await? {
            let (user, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
            let person = user.parse().context("a person without an id")?;
            match self.keys.totp_again(id, person, &sealed, nonce()?) {
                None => {
                    let under = master_of(&sealed).map_or("no".to_owned(), |number| number.to_string());
                    say(&format!(
                        "does not open: company {company}, person {user}, under master key {under}"
                    ));
                    self.done.shut += 1;
                }
                Some(_) if self.args.dry_run => self.done.sealed += 1,
                Some(again) => {
                    let (old, new) = (bytea(&sealed), bytea(&again));
                    let [user, old, new] = [user.as_str(), old.as_str(), new.as_str()].map(Param::from);
                    let changed =
                        transaction.execute(TOTP_REWRAP.text(), &[&scope, &user, &old, &new]).await?;
                    *(if changed == 1 { &mut self.done.sealed } else { &mut self.done.changed }) += 1;
                }
            }
        }
        Ok(transaction.commit().await?)
    }

    /// The secret with which a company's server signs who its visitors are, if there is one to be sealed again.
    async fn secret(&mut self, worker: &mut Client, company: &str) -> anyhow::Result<()> {
        let transaction = within(worker, company).await?;
        let [scope, head] = [company, &self.head].map(Param::from);
        let Some(row) = transaction.query_opt(SECRET_STALE.text(), &[&scope, &head]).await? else {
            return Ok(transaction.commit().await?);
        };
        let sealed: Vec<u8> = row.try_get(0)?;
        let id = company.parse().context("a company without an id")?;
        match self.keys.identity_again(id, &sealed, nonce()?) {
            None => {
                let under = master_of(&sealed).map_or("no".to_owned(), |number| number.to_string());
                say(&format!("does not open: company {company}, identity secret, under master key {under}"));
                self.done.shut += 1;
            }
            Some(_) if self.args.dry_run => self.done.sealed += 1,
            Some(again) => {
                let (old, new) = (bytea(&sealed), bytea(&again));
                let [old, new] = [old.as_str(), new.as_str()].map(Param::from);
                let changed = transaction.execute(SECRET_REWRAP.text(), &[&scope, &old, &new]).await?;
                *(if changed == 1 { &mut self.done.sealed } else { &mut self.done.changed }) += 1;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// How many keys are not as they should be now.
    async fn left(&self, owner: &Client, worker: &mut Client) -> anyhow::Result<i64> {
        let (mut left, mut after) = (0, FIRST.to_owned());
        loop {
            let page = companies(owner, &after).await?;
            for company in &page {
                let transaction = within(worker, company).await?;
                let [scope, head] = [company, &self.head].map(|text| Param::from(text.as_str()));
                let row = transaction.query_one(KEY_LEFT.text(), &[&scope, &head]).await?;
                left += row.try_get::<_, i64>(0)?;
                transaction.commit().await?;
            }
            let Some(last) = page.last() else { return Ok(left) };
            after.clone_from(last);
        }
    }
}

/// Keys under another master key, or without a fingerprint.
const KEY_STALE: TenantSql = bulkhead::sql!(
    "select provider_id::text as provider, sealed_key
     from providers
     where company_id = $1 and (substring(sealed_key from 1 for 3) <> $2 or fingerprint is null) and provider_id > $3
     order by provider_id
     limit $4"
);

/// Only if the key is still the one that was read: its owner may have changed it since.
const KEY_REWRAP: TenantSql = bulkhead::sql!(
    "update providers set sealed_key = $4, fingerprint = $5
     where company_id = $1 and provider_id = $2 and sealed_key = $3"
);

const KEY_LEFT: TenantSql = bulkhead::sql!(
    "select (select count(*)
             from providers
             where company_id = $1 and (substring(sealed_key from 1 for 3) <> $2 or fingerprint is null))
          + (select count(*)
             from widget_settings
             where company_id = $1 and substring(sealed_identity_secret from 1 for 3) <> $2)
          + (select count(*)
             from users
             where company_id = $1 and substring(sealed_totp_secret from 1 for 3) <> $2)
          + (select count(*)
             from webhooks
             where company_id = $1 and substring(sealed_secret from 1 for 3) <> $2)"
);

const SECRET_STALE: TenantSql = bulkhead::sql!(
    "select sealed_identity_secret
     from widget_settings
     where company_id = $1 and substring(sealed_identity_secret from 1 for 3) <> $2"
);

const SECRET_REWRAP: TenantSql = bulkhead::sql!(
    "update widget_settings set sealed_identity_secret = $3 where company_id = $1 and sealed_identity_secret = $2"
);

const TOTP_STALE: TenantSql = bulkhead::sql!(
    "select user_id::text, sealed_totp_secret
     from users
     where company_id = $1 and substring(sealed_totp_secret from 1 for 3) <> $2"
);

const TOTP_REWRAP: TenantSql = bulkhead::sql!(
    "update users set sealed_totp_secret = $4
     where company_id = $1 and user_id = $2 and sealed_totp_secret = $3"
);

const WEBHOOK_STALE: TenantSql = bulkhead::sql!(
    "select webhook_id::text, sealed_secret
     from webhooks
     where company_id = $1 and substring(sealed_secret from 1 for 3) <> $2"
);

const WEBHOOK_REWRAP: TenantSql = bulkhead::sql!(
    "update webhooks set sealed_secret = $4
     where company_id = $1 and webhook_id = $2 and sealed_secret = $3"
);
