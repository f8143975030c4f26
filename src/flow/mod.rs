//! One user's way through a scenario: step -> [`client::Call`](crate::client::Call) -> exchange -> captures and
//! expectations.
//!
//! In: a [`Session`] (client, target, where recordings go) and a scenario. Out: exchanges in the session's [`Sink`] and a
//! [`ScenarioRun`]. It records and evaluates what the scenario file expects; it knows no rules.

mod body;
mod call;
mod cleanup;
mod discover;
mod document;
mod expect;
mod form;
mod legal;
mod observed;
mod path;
mod probe;
mod run;
mod scope;
mod seed;
mod session;
mod steps;
mod target;
mod upload;
mod url;
mod value;

pub use body::{BuildError, TurnKind, turn_body};
pub use call::{Built, Caller, build};
pub use discover::{Discovery, Given, SCENARIO as DISCOVERY, Undiscovered, discover, explore};
pub use document::{Document, document_of_frames};
pub use expect::{Subject, evaluate, timing_of};
pub use form::fill;
pub use observed::Observed;
pub use path::select;
pub use probe::DiscoveryError;
pub use run::{ScenarioRun, Visit, not_applicable, run_scenario};
pub use scope::Names;
pub use session::{Finished, Pace, Progress, Session, SessionOptions, Sink};
pub use target::{AppTarget, Target};
