//! Scenario files: text -> [`ast::Scenario`], with all diagnostics at once.
//!
//! The way of a file: `yaml` reads a tree with positions, `check` compares it with the `shape` of its `keys`, `meaning`
//! and `names` look at what no shape can say, `build` makes the [`ast::Scenario`]. Texts are rendered by [`template`] when
//! steps run. docs/scenarios.md describes the language. [`app_file`] reads the smaller language of apps that the emulator
//! serves, [`load_file`] that of loads.

pub mod app_file;
pub mod ast;
pub mod duration;
pub mod events;
pub mod load_file;
pub mod load_text;
pub mod template;

mod build;
mod check;
mod diagnostic;
mod expression;
mod functions;
mod keys;
mod lint;
mod load_keys;
mod load_slo;
mod load_stages;
mod meaning;
mod names;
mod read;
mod scalar;
mod schema;
mod shape;
mod simple;
mod suggest;
mod words;
mod yaml;

pub(crate) use diagnostic::Problems;
pub use diagnostic::{Diagnostic, render_all};
pub use lint::lint_rules;
pub use read::{parse, parse_bytes, read_json};
pub use schema::{json_schema, load_json_schema};
pub use suggest::closest;
pub(crate) use suggest::help as suggestion;
pub(crate) use yaml::{Kind, Node, read as read_tree, report_duplicates};
