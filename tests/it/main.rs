//! The integration tests, as one binary.

mod engine;
mod flow;
mod scenario;
mod sse;
