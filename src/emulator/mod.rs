//! An emulator of a Dify-compatible server: an independent witness for the rest of the crate.
//!
//! It shares no type, schema or code with the other modules; what it knows of the wire it knows by itself.
//! The pure part (`core` and below) turns a request and the current moment into an answer or a generation that is
//! played step by step; only `serve` has a clock and a socket.

mod answer;
mod apps;
mod behaviour;
mod config;
mod conversations;
mod core;
mod fault;
mod first_contact;
mod form;
mod generation;
mod history;
mod json;
mod messages;
mod model;
mod mutants;
mod payload;
mod refusal;
mod replies;
mod request;
mod routes;
mod serve;
mod slips;
mod state;
mod turns;

pub use config::{AppKind, AppMode, Config, Pace, Profile, UnknownName};
pub use mutants::{Mutant, mutants};
pub use serve::{Running, ServeError, start};
