//! The catalogue: one row and one judge per rule, grouped by area of the API. Pure functions over recordings.

mod notes;
mod request;
mod rule;
mod run;
mod seen;
mod stream;

mod authentication;

pub mod judge;

pub use rule::{Judge, Load, Rule};
