//! Reviewed snapshots: the `snapshots/` folder, compared and written through insta at run time.
//!
//! In goes a recording, out come verdicts with diffs, one per step. What changed waits as `.snap.new` beside its
//! snapshot, where `cargo insta review` finds it. Decides nothing about exit codes.

pub mod cargo_insta;
mod compare;
mod environment;
mod files;
mod folder;
mod pending;
mod renames;
mod story;

pub use compare::{Alike, Entry, Mode, State, Verdict};
pub use environment::prepare_environment;
pub use folder::{Coverage, SnapshotError, SnapshotFolder, is_target_name};
pub use pending::{Content, Waiting, waiting};
pub use story::{ToldStep, entries, told};
