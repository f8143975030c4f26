//! Exchange -> sample -> histograms -> summary.
//!
//! Goes in: recorded exchanges of generation requests. Comes out: latency rows, failure counts, token and event
//! counts. Latencies are integer microseconds in HDR histograms (3 significant digits, 1 us to 1 h, saturating).
//! Not done here: judging rules, service level objectives, rates per window (they need the run's clock).

pub mod event;
pub mod failure;
pub mod metric;
pub mod recorder;
pub mod row;
pub mod sample;
pub mod slo;
pub mod stats;
pub mod summary;

pub use failure::FailureClass;
pub use metric::Metric;
pub use recorder::{Recorder, Totals, TurnFilter};
pub use row::LatencyRow;
pub use sample::{Sample, Turn, sample, sample_from_frames, sample_parsed};
pub use slo::{Measure, Op, Scope, Slo, Stat};
pub use stats::{ci95, ci95_ranks};
pub use summary::{LOAD_SCHEMA, LoadSummary};
