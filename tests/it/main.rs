//! The one integration test binary.

mod snapshot;
mod sse;
