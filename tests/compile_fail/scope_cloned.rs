//@ error: no method named `clone` found for struct `TenantScope`
use bulkhead::tenant::TenantScope;

pub fn clone(scope: TenantScope) -> TenantScope {
    scope.clone()
}
