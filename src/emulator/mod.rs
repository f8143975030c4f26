//! An emulator of a Dify-compatible server: an independent witness for the rest of the crate.
//!
//! It shares no type, schema or code with the other modules; what it knows of the wire it knows by itself.
//! The pure part (`core` and below) turns a request and the current moment into an answer or a generation that is
//! played step by step; only `serve` and `model_serve` have a clock and a socket.

mod agent;
mod agent_beats;
mod annotations;
mod answer;
mod apps;
mod audio;
mod beats;
mod behaviour;
mod bug_mutants;
mod bugs;
mod config;
mod conversations;
mod core;
mod custom;
mod edge_mutants;
mod fault;
mod feed;
mod files;
mod first_contact;
mod flow_behaviour;
mod flow_events;
mod flow_turns;
mod form;
mod generation;
mod graph;
mod history;
mod human_input;
mod json;
mod limit;
mod logs;
mod memory;
mod messages;
mod mode_mutants;
mod model;
mod model_api;
mod model_prompt;
mod model_serve;
mod model_stream;
mod multipart;
mod mutants;
mod payload;
mod record;
mod refusal;
mod replies;
mod request;
mod routes;
mod run_requests;
mod runner;
mod scripts;
mod serve;
mod slips;
mod state;
mod story;
mod story_end;
mod turns;
mod variables;

pub use bug_mutants::bug_mutants;
pub use config::{AppKind, AppMode, Config, Pace, Profile, UnknownName};
pub use custom::{CustomAnswer, CustomApp, When};
pub use edge_mutants::edge_mutants;
pub use form::{Field, Variable};
pub use limit::TURNS_AT_ONCE;
pub use mode_mutants::{all_mutants, mode_mutants};
pub use model_api::MODEL;
pub use model_serve::{ModelConfig, start_model};
pub use mutants::{Mutant, mutants};
pub use record::{Played, Sink};
pub use serve::{Running, ServeError, start, start_recorded};
