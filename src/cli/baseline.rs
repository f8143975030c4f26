//! The file of `--baseline`.

use super::exit::Failure;
use crate::scenario::render_all;
use crate::store;
use crate::suite::{Baseline, baseline};
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// Reads the baseline, where one is named.
pub fn read(path: Option<&PathBuf>) -> Result<Option<Baseline>, Failure> {
    path.map(|path| read_file(path)).transpose()
}

fn read_file(path: &Path) -> Result<Baseline, Failure> {
    let name = path.display().to_string();
    let text = store::read_text(path).map_err(|e| {
        let start = baseline::EMPTY.replace('\n', "\n  ");
        Failure::usage(format!("--baseline: {e}\na baseline without entries is\n\n  {}", start.trim_end()))
    })?;
    Baseline::parse(&name, &text).map_err(|all| {
        Failure::usage(format!("the baseline has problems\n\n{}", render_all(&all, &text, false).trim_end()))
    })
}

/// Today in UTC, so that a run says the same everywhere.
pub fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}
