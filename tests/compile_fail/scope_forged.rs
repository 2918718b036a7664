//@ error: cannot construct `TenantScope` with struct literal syntax due to private fields
use bulkhead::tenant::TenantScope;

pub fn forge() -> TenantScope {
    TenantScope {}
}
