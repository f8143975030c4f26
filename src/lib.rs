//! difyprobe: does a Dify-compatible API conform, how fast is it, and what changed.
//!
//! The modules stand on floors; a module uses only floors below its own (docs/architecture.md).

// floor 0: data
pub mod model;

// floor 1: pure functions over the data; no clock, no files, no network
pub mod metrics;
pub mod report;
pub mod scenario;
pub mod sse;

// floor 2: the outside world
pub mod client;
pub mod store;
