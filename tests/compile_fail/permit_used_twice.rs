//@ error: use of moved value: `permit`
use bulkhead::limiter::{Charge, Permit};

pub fn twice(permit: Permit) -> [Charge; 2] {
    [permit.release(), permit.release()]
}
