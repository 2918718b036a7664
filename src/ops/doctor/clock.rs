//! Clocks: budgets, sessions and links go by them. It sets none.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio_postgres::Client;

use super::{Verdict, Wrong, wrong};

/// Seconds that clocks may differ: visitors' tokens and codes allow for so much.
const MOST_S: f64 = 5.0;

/// The database's clock beside this machine's.
pub async fn database(owner: &Client) -> Verdict {
    let sql = "select extract(epoch from clock_timestamp())::float8";
    let before = now_s()?;
    let there: f64 = owner.query_one(sql, &[]).await?.try_get(0)?;
    compare(there, f64::midpoint(before, now_s()?))
}

/// How far they are apart, both in seconds since 1970.
pub fn compare(there: f64, here: f64) -> Verdict {
    let ahead = there - here;
    if ahead.abs() > MOST_S {
        return Err(wrong(
            format!(
                "{:.0} seconds {} this machine's",
                ahead.abs(),
                if ahead > 0.0 { "ahead of" } else { "behind" }
            ),
            "set both by network time (NTP)",
        ));
    }
    Ok(format!("within {MOST_S:.0} seconds of this machine's"))
}

/// This machine's clock.
#[expect(clippy::disallowed_methods, reason = "this is a native program; the core's port is not there")]
pub fn now_s() -> Result<f64, Wrong> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map(|now| now.as_secs_f64()).map_err(|_| wrong("this machine's clock stands before 1970", "set it"))
}
