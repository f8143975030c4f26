//! Integration tests, as one binary.

mod client;
mod client_faults;
mod client_support;
mod client_tls;
mod emulator;
mod scenario;
mod schemas;
mod snapshot;
mod sse;
