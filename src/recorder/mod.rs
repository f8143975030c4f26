//! A reverse proxy that records: a program's requests go to the server as they are, replies come back as they arrive, and
//! both end up in a transcript.
//!
//! In: the address of a server. Out: a local base URL to give to the program, and a [`Tape`]. Which app a request is for
//! is known by its key: for each new one the proxy asks the server, as discovery does. Keys are passed on and never
//! recorded. It shares nothing with the emulator.

mod apps;
mod passing;
mod serve;
mod tape;

pub use serve::{Recorder, Settings, StartError, start};
pub use tape::{Tape, Watcher};
