//! The Cloudflare Workers edge: the only file that names `worker`. It routes nothing and decides nothing.
