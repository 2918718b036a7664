//@ error: field `company` of struct `TenantScope` is private
use bulkhead::tenant::TenantScope;

pub fn swap(one: &mut TenantScope, other: &mut TenantScope) {
    std::mem::swap(&mut one.company, &mut other.company);
}
