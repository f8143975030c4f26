//! The events of one recorded stream, and how rules show them.

pub use crate::sse::{Event, Stream, clip};
