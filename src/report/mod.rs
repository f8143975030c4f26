//! One report of a run; each format is a pure rendering of it.
//!
//! Goes in: a [`run::RunReport`], which holds text of the examined server as it came. Comes out: text. Every
//! rendering passes such text through its own function of [`escape`].

mod baseline;
pub mod difference;
pub mod escape;
pub mod evidence;
pub mod format;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod json;
pub mod junit;
mod load_html;
pub mod load_view;
pub mod markdown;
pub mod problems;
pub mod matrix;
pub mod run;
pub mod sarif;
pub mod tap;
pub mod terminal;
pub mod units;
pub mod verdict;
mod view;

pub use evidence::{evidence, evidence_at};
pub use format::{Format, RenderError, UnknownFormat, render};
pub use json::json_schema;
pub use terminal::TerminalStyle;
pub use verdict::{summary, verdict};
