//! Reviewed snapshots: the `snapshots/` folder, compared and written through insta at run time.
//!
//! In go canonical texts, out come verdicts with diffs. What changed waits as `.snap.new` beside its snapshot, where
//! `cargo insta review` finds it. Decides nothing about exit codes.

mod compare;
mod environment;
mod files;
mod folder;

pub use compare::{Entry, Mode, State, Verdict};
pub use environment::prepare_environment;
pub use folder::{Coverage, SnapshotError, SnapshotFolder};
