//@ error: Deserialize<'de>` is not satisfied
use bulkhead::tenant::TenantScope;

pub fn parse(text: &str) -> Option<TenantScope> {
    serde_json::from_str(text).ok()
}
