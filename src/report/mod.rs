//! One report of a run; each format is a pure rendering of it.

pub mod run;
