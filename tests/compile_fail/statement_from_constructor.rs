//@ error: cannot initialize a tuple struct which contains private fields
pub fn list(text: &'static str) -> bulkhead::tenant::TenantSql {
    bulkhead::tenant::TenantSql(text)
}
