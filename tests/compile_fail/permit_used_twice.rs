//@ error: use of moved value: `permit`
use bulkhead::limiter::{Bill, Permit};

pub fn twice(permit: Permit) -> [Bill; 2] {
    [permit.release(), permit.release()]
}
