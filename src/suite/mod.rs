//! A whole examination: which scenarios run on which apps, the run itself, and the report of it.

pub mod baseline;
pub mod builtin;
pub mod catalogue;
pub mod difference;
pub mod dry_run;
pub mod examine;
pub mod filter;
pub mod load;
pub mod matrix;
pub mod matrix_page;
pub mod profiles_page;
pub mod real_bugs;
pub mod report;
pub mod select;

pub use baseline::Baseline;
pub use examine::{Examination, ExamineError, Request, prepare};
pub use filter::RuleFilter;
pub use report::{Accepted, Facts, build as build_report, build_unexamined};
pub use select::{Choice, Selection};
