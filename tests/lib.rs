//! What the tests stand on: the development stand as a child process, the model provider's double, clients.

pub mod company;
pub mod native;
pub mod stand;
pub mod upstream;
