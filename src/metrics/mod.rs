//! Exchange -> sample -> histograms -> summary.
//!
//! Goes in: recorded exchanges of generation requests. Comes out: latency rows, failure counts, token and event
//! counts. Latencies are integer microseconds in HDR histograms (3 significant digits, 1 us to 1 h, saturating).
//! Not done here: judging rules, reading files, clocks: times come in as numbers.

pub mod bootstrap;
pub mod cells;
pub mod cells_text;
pub mod compare;
mod confidence;
pub mod counts;
pub mod csv;
pub mod curve;
pub mod evaluate;
pub mod event;
pub mod failure;
pub mod goodput;
pub mod hlog;
pub mod interval;
pub mod load_recorder;
pub mod merge;
pub mod metric;
pub mod recorder;
pub mod row;
pub mod sample;
pub mod slo;
pub mod slo_parse;
mod slo_scope;
mod slo_words;
pub mod stats;
pub mod summarise;
pub mod summary;
pub mod window;

pub use bootstrap::Blocks;
pub use cells::{Cell, Cells, Place};
pub use compare::{Change, CompareOptions, Comparison, Measured, compare};
pub use counts::Counts;
pub use evaluate::{Facts, breached, clip, evaluate};
pub use failure::FailureClass;
pub use interval::{Interval, MachineSecond, Timeline};
pub use load_recorder::{Iteration, LoadRecorder, StageCounts, When};
pub use merge::{MergeError, Merger, ShardResult, merge};
pub use metric::Metric;
pub use recorder::{Recorder, Totals, TurnFilter};
pub use row::LatencyRow;
pub use sample::{Sample, Turn, sample, sample_from_frames, sample_parsed};
pub use slo::{Measure, Op, Scope, Slo, Stat};
pub use slo_parse::{SloError, SloParts};
pub use stats::{ci95, ci95_ranks};
pub use summarise::{LoadParts, summarise};
pub use summary::{LOAD_SCHEMA, LoadSummary};
pub use window::{StageWindow, stage_at};
