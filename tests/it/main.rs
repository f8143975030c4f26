//! Integration tests, as one binary.

mod captures;
mod client;
mod client_faults;
mod client_support;
mod client_tls;
mod emulator;
mod emulator_client;
mod emulator_mode_mutants;
mod emulator_modes;
mod emulator_mutants;
mod emulator_replay;
mod engine;
mod flow;
mod matrix;
mod report;
mod scenario;
mod schemas;
mod snapshot;
mod sse;
mod store;
