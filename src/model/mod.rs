//! Data that every floor shares: serde types and small pure helpers, nothing else.

pub mod app;
pub mod endpoint;
pub mod exchange;
pub mod form;
pub mod outcome;
pub mod transcript;

pub use app::{App, AppMode, ControlKind, InputField};
pub use endpoint::{Endpoint, Route};
pub use exchange::{Body, Credential, Exchange, Fault, FaultClass, Origin, Read, Reply, Request, Timing};
pub use form::parse_form;
pub use outcome::{Finding, Level, Outcome};
pub use transcript::Transcript;
