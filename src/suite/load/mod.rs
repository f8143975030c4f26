//! A load from its plan to its result: the engine sends, this measures, judges, watches the limits and sums up.

pub mod drive;
pub mod gather;
mod guard;
mod join;
mod meter;
pub mod ticker;
mod weights;

pub use drive::{Drive, DriveError, Driven, Watch, drive};
pub use gather::Gathered;
pub use join::join;
pub use ticker::Tick;
