//! Integration tests, as one binary.

mod captures;
mod cli_check;
mod cli_judge;
mod cli_load;
mod cli_secrets;
mod cli_serve;
mod cli_support;
mod cli_targets;
mod cli_usage;
mod client;
mod client_faults;
mod client_support;
mod client_tls;
mod emulator;
mod emulator_client;
mod emulator_mutants;
mod emulator_replay;
mod engine;
mod flow;
mod report;
mod scenario;
mod schemas;
mod snapshot;
mod sse;
mod store;
