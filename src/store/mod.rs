//! The only place that touches files: transcripts in and out, texts in, reports out.

mod barrier;
mod capture;
mod files;
mod kernel;
mod lines;
mod load_results;
mod transcripts;

pub use barrier::{Barrier, BarrierError, BarrierState};
pub use files::{OutputFile, StoreError, files_below, folders_below, read_bytes, read_text, write_atomic};
pub use kernel::{kernel_text, open_descriptors};
pub use lines::LineFile;
pub use load_results::{
    LATENCY, LatencyLog, MergeFoldersError, SERIES, Seconds, merge_folders, read_blocks, read_results, read_summary,
    write_results,
};
pub use transcripts::{Loaded, Skipped, load, load_transcripts, save_transcript};
