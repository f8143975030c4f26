//! difyprobe: does a Dify-compatible API conform, how fast is it, and what changed.
//!
//! The modules stand on floors; a module uses its own floor or lower ones, without cycles (docs/architecture.md; a test
//! enforces it).

// floor 0: data
pub mod model;

// floor 1: pure functions over the data; no clock, no files, no network
pub mod canonical;
pub mod difference;
pub mod metrics;
pub mod profile;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod schema;
pub mod sse;
pub mod workload;

// floor 2: the outside world
pub mod client;
pub mod emulator;
pub mod machine;
pub mod snapshot;
pub mod store;

// floor 3: users on their way through scenarios
pub mod engine;
pub mod flow;
pub mod suite;

// floor 4: what was typed
pub mod cli;
