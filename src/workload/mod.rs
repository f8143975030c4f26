//! How much is sent to a server, and when: the plan of a load and the schedule of its arrivals.
//!
//! Pure data and arithmetic: the same plan and seed give the same arrivals everywhere, to the microsecond, so that shards
//! on several machines can share one schedule without talking to each other. Not done here: sending, measuring.

pub mod arrivals;
pub mod plan;
pub mod search;

mod area;
mod mix;
mod random;

pub use arrivals::{Arrival, Schedule, ScheduleError};
pub use plan::{Arrivals, Budget, Process, Shard, Share, Stage, StopWhen, Workload};
