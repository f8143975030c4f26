//! A whole examination: which scenarios run on which apps, the run itself, and the report of it.

pub mod builtin;
pub mod catalogue;
pub mod examine;
pub mod live;
pub mod matrix;
pub mod real_bugs;
pub mod report;
pub mod select;

pub use examine::{Examination, ExamineError, Request, prepare};
pub use report::{Facts, build as build_report, build_unexamined};
pub use select::{Choice, Selection};
