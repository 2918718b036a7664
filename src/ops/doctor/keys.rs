//! The ring of master keys: it must make sense, and open what is sealed. It gives no key out.

use bulkhead::tenant::vault::master_of;
use tokio_postgres::Client;

use super::{Verdict, wrong};
use crate::keys::{master_keys, nonce};

/// Reads the setting, and opens one provider key of each master key that any is under.
pub async fn ring(setting: &str, owner: &Client) -> Verdict {
    let keys = master_keys(setting).map_err(|error| {
        wrong(
            format!("{error}"),
            "set MASTER_KEYS as the worker has it: number:key, newest first, each 32 bytes in base64url",
        )
    })?;
    let numbers = keys.numbers();
    let mut opened = 0;
    for row in owner.query(SAMPLES, &[]).await? {
        let (company, provider): (String, String) = (row.try_get("company")?, row.try_get("provider")?);
        let sealed: Vec<u8> = row.try_get("sealed_key")?;
        let under = master_of(&sealed).map_or("none".to_owned(), |number| number.to_string());
        let nonce = nonce().map_err(|error| wrong(format!("{error}"), "mend this machine"))?;
        let opens = match (company.parse(), provider.parse()) {
            (Ok(company), Ok(provider)) => keys.again(company, provider, &sealed, nonce).is_some(),
            _ => false,
        };
        if !opens {
            return Err(wrong(
                format!("a provider key under master key {under} does not open (company {company})"),
                "add that master key to MASTER_KEYS, here and for the worker; if it is lost, owners enter their keys again",
            ));
        }
        opened += 1;
    }
    let newest = numbers.first().map_or("none".to_owned(), |number| number.to_string());
    Ok(match opened {
        0 => format!(
            "{} of them, {newest} the newest; nothing is sealed yet that could be tried",
            numbers.len()
        ),
        _ => format!("{} of them, {newest} the newest; they open what is sealed", numbers.len()),
    })
}

/// One key for each head: version and number of the master key. Sealed, and of many companies: nothing is opened for anybody.
const SAMPLES: &str = "
select distinct on (substring(sealed_key from 1 for 3)) company_id::text as company, provider_id::text as provider, sealed_key
from providers
order by substring(sealed_key from 1 for 3), company_id, provider_id";
