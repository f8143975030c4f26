//! Integration tests, as one binary.

mod engine;
mod flow;
mod scenario;
mod schemas;
mod sse;
