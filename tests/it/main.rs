//! The integration tests, as one binary.

mod engine;
mod flow;
mod report;
mod scenario;
mod sse;
