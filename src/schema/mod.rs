//! Compiled JSON Schemas: a JSON value goes in, what is wrong with its shape comes out.
//!
//! Requests are covered, too: [`check_request`].
//!
//! The schemas are the files of `schemas/`, embedded in the binary and compiled once. This is the only module that names
//! `jsonschema`. Nothing is ever fetched: the ids in the files are names. Shape is all that is judged here; what
//! members mean, and how they fit the request, is for the rules.

mod compiled;
mod document;
mod event;
mod library;
mod request;

pub use compiled::{Compiled, SchemaError, Violation};
pub use document::{Document, check, for_endpoint};
pub use event::{check_event, known_events};
pub use request::{check_request, request_file};
