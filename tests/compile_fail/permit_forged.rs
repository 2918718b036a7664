//@ error: cannot construct `Permit` with struct literal syntax due to private fields
use bulkhead::limiter::Permit;

pub fn forge() -> Permit {
    Permit {}
}
