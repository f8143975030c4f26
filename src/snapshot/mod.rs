//! Reviewed snapshots: the `snapshots/` folder, compared and written through insta at run time.
//!
//! In goes a recording, out come verdicts with diffs, one per step. What changed waits as `.snap.new` beside its
//! snapshot, where `cargo insta review` finds it. Decides nothing about exit codes.

mod compare;
mod environment;
mod files;
mod folder;
mod story;

pub use compare::{Entry, Mode, State, Verdict};
pub use environment::prepare_environment;
pub use folder::{Coverage, SnapshotError, SnapshotFolder};
pub use story::{ToldStep, entries, told};
