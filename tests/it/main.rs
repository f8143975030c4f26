//! Integration tests, as one binary.

mod scenario;
mod schemas;
mod snapshot;
mod sse;
