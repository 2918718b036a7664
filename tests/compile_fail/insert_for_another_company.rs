//@ error: an insert writes company_id from $1
pub const ADD: bulkhead::tenant::TenantSql =
    bulkhead::sql!("insert into agents (company_id, agent_id) values ($2, $1)");
