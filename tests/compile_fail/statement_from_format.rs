//@ error: no rules expected
pub fn list(table: &str) -> bulkhead::tenant::TenantSql {
    bulkhead::sql!(format!("select name from {table} where company_id = $1"))
}
