//@ error: the statement does not say company_id = $1
pub const LIST: bulkhead::tenant::TenantSql = bulkhead::sql!("select name from agents");
