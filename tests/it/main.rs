//! Integration tests, as one binary.

mod architecture;
mod captures;
mod client;
mod client_faults;
mod client_support;
mod client_tls;
mod docs;
mod emulator;
mod emulator_client;
mod emulator_mutants;
mod emulator_replay;
mod engine;
mod flow;
mod matrix;
mod report;
mod rules_doc;
mod scenario;
mod schemas;
mod snapshot;
mod sse;
mod store;
mod variations;
