//@ error: one statement without semicolon or comment
pub const LIST: bulkhead::tenant::TenantSql =
    bulkhead::sql!("select name from agents where company_id = $1; delete from agents");
