//! `bulkhead keys status`: how many provider keys are under which master key. It opens none, changes nothing and refuses nothing.

use std::collections::BTreeMap;

use bulkhead::tenant::TenantSql;
use bulkhead::tenant::vault::master_of;

use super::{FIRST, Place, companies, count, master_keys, say, within};
use crate::gateway::param::Param;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The master keys that the worker has, to say which numbers are among them.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let known = args.master_keys.as_deref().map(master_keys).transpose()?.map(|keys| keys.numbers());
    let (owner, mut worker) = (args.place.owner().await?, args.place.worker().await?);
    // By number; those without one are no sealed keys at all.
    let mut under: BTreeMap<Option<u16>, u64> = BTreeMap::new();
    let (mut seen, mut bare, mut after) = (0, 0, FIRST.to_owned());
    loop {
        let page = companies(&owner, &after).await?;
        for company in &page {
            let transaction = within(&mut worker, company).await?;
            for row in transaction.query(KEY_HEADS.text(), &[&Param::from(company.as_str())]).await? {
                let (head, without): (Vec<u8>, bool) = (row.try_get("head")?, row.try_get("bare")?);
                *under.entry(master_of(&head)).or_default() += 1;
                bare += u64::from(without);
            }
            transaction.commit().await?;
            seen += 1;
        }
        let Some(last) = page.last() else { break };
        after.clone_from(last);
    }
    let keys = under.values().sum();
    say(&format!("{} of {}", count(keys, "key", "keys"), count(seen, "company", "companies")));
    for (number, keys) in &under {
        let keys = count(*keys, "key", "keys");
        match (number, &known) {
            (None, _) => {
                say(&format!("{keys} that cannot be read at all: their owners must enter them again"))
            }
            (Some(number), None) => say(&format!("master key {number}: {keys}")),
            (Some(number), Some(known)) => {
                let which = match known.iter().position(|other| other == number) {
                    Some(0) => "the newest",
                    Some(_) => "an old one: bulkhead keys rotate seals them again",
                    None => "not in MASTER_KEYS: they do not open",
                };
                say(&format!("master key {number}: {keys} ({which})"));
            }
        }
    }
    if bare > 0 {
        say(&format!("{} without a fingerprint: bulkhead keys rotate makes it", count(bare, "key", "keys")));
    }
    Ok(())
}

/// As much of a sealed key, of a secret that signs identities or deliveries, or of one that codes are made from, as says what it is under.
const KEY_HEADS: TenantSql = bulkhead::sql!(
    "select substring(sealed_key from 1 for 15) as head, fingerprint is null as bare
     from providers
     where company_id = $1
     union all
     select substring(sealed_identity_secret from 1 for 15), false
     from widget_settings
     where company_id = $1 and sealed_identity_secret is not null
     union all
     select substring(sealed_totp_secret from 1 for 15), false
     from users
     where company_id = $1 and sealed_totp_secret is not null
     union all
     select substring(sealed_secret from 1 for 15), false
     from webhooks
     where company_id = $1"
);
