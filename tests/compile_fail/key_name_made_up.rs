//@ error: cannot initialize a tuple struct which contains private fields
use bulkhead::tenant::redis::TenantKey;

pub fn everything() -> TenantKey {
    TenantKey("daily_spend:*".to_owned())
}
