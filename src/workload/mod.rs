//! How much is sent to a server, and when: the plan of a load and the schedule of its arrivals.
//!
//! Pure data and arithmetic: the same plan and seed give the same arrivals everywhere, to the microsecond, so that shards
//! on several machines can share one schedule without talking to each other. Not done here: sending, measuring.

pub mod arrivals;
pub mod defaults;
pub mod plan;
pub mod recording;
pub mod search;

mod area;
mod hash;
mod labels;
mod mix;
mod random;

pub use area::HIGHEST_RATE;
pub use arrivals::{Arrival, Schedule, ScheduleError};
pub use hash::config_hash;
pub use labels::labels;
pub use plan::{Arrivals, Budget, Process, Shard, Share, Stage, StopWhen, Workload};
