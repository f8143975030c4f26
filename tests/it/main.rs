//! The one integration test binary.

mod sse;
