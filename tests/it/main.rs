//! The one integration test binary.

mod client;
mod client_faults;
mod client_support;
mod client_tls;
mod sse;
mod store;
