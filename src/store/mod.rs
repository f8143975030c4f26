//! The only place that touches files: transcripts in and out, texts in, reports out.

mod capture;
mod files;
mod lines;
mod transcripts;

pub use files::{OutputFile, StoreError, files_below, read_bytes, read_text, write_atomic};
pub use lines::LineFile;
pub use transcripts::{Loaded, Skipped, load, load_transcripts, save_transcript};
