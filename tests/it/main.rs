//! Integration tests, as one binary.

mod schemas;
mod sse;
