//! The folder of a load's results: `summary.json`, `cells.hlog`, `latency.hlog`, `timeseries.csv`.

use super::files::{StoreError, read_text, write_atomic};
use crate::metrics::hlog::{self, Entry, HlogWriter, Line};
use crate::metrics::merge::{MAX_SKEW_US, MergeError, Merger, ShardResult};
use crate::metrics::summary::{LOAD_SCHEMA, LoadSummary};
use crate::metrics::{Blocks, Cells, Interval, StageWindow, cells_text, csv};
use std::fs;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

const SUMMARY: &str = "summary.json";
const CELLS: &str = "cells.hlog";
/// Name of the interval log of latencies.
pub const LATENCY: &str = "latency.hlog";
/// Name of the file with a row per second.
pub const SERIES: &str = "timeseries.csv";

/// Why folders cannot be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeFoldersError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They do not belong together.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

/// `latency.hlog`, written while the load goes on.
pub struct LatencyLog {
    path: PathBuf,
    file: BufWriter<fs::File>,
    writer: HlogWriter,
}

impl LatencyLog {
    /// Begins the file in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn create(folder: &Path, started_unix_us: u64) -> Result<LatencyLog, StoreError> {
        let path = folder.join(LATENCY);
        let write = StoreError::write(&path);
        fs::create_dir_all(folder).map_err(&write)?;
        let mut file = BufWriter::new(fs::File::create(&path).map_err(&write)?);
        let notes = [
            "times in microseconds, the third column in milliseconds",
            "tags: METRIC, METRIC/SCENARIO where there are several, METRIC!unmeasured for warm-up and drain",
        ];
        file.write_all(hlog::head(started_unix_us, &notes).as_bytes()).map_err(&write)?;
        drop(write);
        Ok(LatencyLog { path, file, writer: HlogWriter::default() })
    }

    /// Appends seconds that are over; they are on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Write`], e.g. when the disk is full.
    pub fn append(&mut self, interval: &Interval) -> Result<(), StoreError> {
        let text = self.writer.interval(interval);
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(StoreError::write(&self.path))
    }
}

/// Writes everything but `latency.hlog` into a folder, each file in one step.
///
/// # Errors
/// [`StoreError::Write`].
pub fn write_results(folder: &Path, summary: &LoadSummary, cells: &Cells) -> Result<(), StoreError> {
    let path = folder.join(SUMMARY);
    // Numbers, strings and lists only; a number that JSON does not have would be written as null.
    let mut json = serde_json::to_string_pretty(summary)
        .map_err(|cause| StoreError::Write { path: path.clone(), cause: io::Error::other(cause) })?;
    json.push('\n');
    let stages = windows(summary);
    let elapsed_us = (summary.elapsed_s * 1e6).round() as u64;
    let text = cells_text::write(cells, summary.started_unix_us, &stages, elapsed_us);
    write_atomic(&folder.join(CELLS), text.as_bytes())?;
    write_atomic(&folder.join(SERIES), csv::write(&summary.series, &summary.stages).as_bytes())?;
    // Last: who finds it finds the others.
    write_atomic(&path, json.as_bytes())
}

fn windows(summary: &LoadSummary) -> Vec<StageWindow> {
    let window = |stage: &crate::metrics::summary::StageResult| StageWindow {
        label: stage.label.clone(),
        from_us: (stage.from_s * 1e6).round() as u64,
        to_us: (stage.to_s * 1e6).round() as u64,
        level_from: stage.level_from,
        level_to: stage.level_to,
        measure: stage.measure,
    };
    summary.stages.iter().map(window).collect()
}

/// Reads `summary.json` of a folder, or the file itself.
///
/// # Errors
/// [`StoreError`] with the file.
pub fn read_summary(path: &Path) -> Result<LoadSummary, StoreError> {
    let path = if path.is_dir() { path.join(SUMMARY) } else { path.to_owned() };
    let text = read_text(&path)?;
    let broken = |cause: String| StoreError::Broken { path: path.clone(), what: "a load summary", cause };
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|cause| StoreError::NotJson { path: path.clone(), cause })?;
    match value.get("schema").and_then(|schema| schema.as_str()) {
        Some(LOAD_SCHEMA) => serde_json::from_value(value).map_err(|e| broken(e.to_string())),
        Some(other) => Err(broken(format!("of layout '{other}', not '{LOAD_SCHEMA}'"))),
        None => Err(broken(format!("has no \"schema\": \"{LOAD_SCHEMA}\""))),
    }
}

/// Reads summary and cells of a folder.
///
/// # Errors
/// [`StoreError`] with the file.
pub fn read_results(folder: &Path) -> Result<ShardResult, StoreError> {
    let summary = read_summary(folder)?;
    let path = folder.join(CELLS);
    let cells = cells_text::read(&read_text(&path)?).map_err(|cause| StoreError::Broken {
        path,
        what: "an interval log of cells",
        cause: cause.to_string(),
    })?;
    Ok(ShardResult { folder: folder.display().to_string(), summary, cells })
}

/// `latency.hlog` second by second, so that a long run need not fit into memory.
pub struct Seconds {
    path: PathBuf,
    lines: std::iter::Enumerate<io::Lines<BufReader<fs::File>>>,
    next: Option<Entry>,
}

impl Seconds {
    /// Opens the log of a folder.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn open(folder: &Path) -> Result<Seconds, StoreError> {
        let path = folder.join(LATENCY);
        let file = fs::File::open(&path).map_err(StoreError::read(&path))?;
        Ok(Seconds { path, lines: BufReader::new(file).lines().enumerate(), next: None })
    }

    fn entry(&mut self) -> Result<Option<Entry>, StoreError> {
        for (at, line) in self.lines.by_ref() {
            let line = line.map_err(StoreError::read(&self.path))?;
            match hlog::read_line(&line) {
                Ok(Line::Entry(entry)) => return Ok(Some(*entry)),
                Ok(Line::Comment(_) | Line::Legend) => {}
                Err(cause) => return Err(broken(&self.path, format!("line {}: {cause}", at + 1))),
            }
        }
        Ok(None)
    }

    /// The next second; `None` at the end.
    fn read(&mut self) -> Result<Option<Interval>, StoreError> {
        let Some(first) = self.next.take().map_or_else(|| self.entry(), |entry| Ok(Some(entry)))? else {
            return Ok(None);
        };
        let mut entries = vec![first];
        while let Some(entry) = self.entry()? {
            let from_us = entries.first().map(|first| first.from_us);
            if Some(entry.from_us) != from_us {
                if Some(entry.from_us) < from_us {
                    return Err(broken(&self.path, "its seconds are not in order".to_owned()));
                }
                self.next = Some(entry);
                break;
            }
            entries.push(entry);
        }
        hlog::second(&entries).map(Some).map_err(|cause| broken(&self.path, cause.to_string()))
    }
}

impl Iterator for Seconds {
    type Item = Result<Interval, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The time of a run, cut into blocks for [`crate::metrics::compare()`].
///
/// # Errors
/// [`StoreError`] with the log of latencies.
pub fn read_blocks(folder: &Path, summary: &LoadSummary) -> Result<Blocks, StoreError> {
    let mut blocks = Blocks::of(summary);
    for interval in Seconds::open(folder)? {
        blocks.add(&interval?);
    }
    Ok(blocks)
}

fn broken(path: &Path, cause: String) -> StoreError {
    StoreError::Broken { path: path.to_owned(), what: "an interval log of latencies", cause }
}

/// Merges the results of shards into a folder and returns the whole.
///
/// # Errors
/// [`MergeFoldersError`]; nothing is written when the folders do not belong together.
pub fn merge_folders(folders: &[PathBuf], out: &Path) -> Result<(LoadSummary, Cells), MergeFoldersError> {
    let shards = folders.iter().map(|folder| read_results(folder)).collect::<Result<Vec<_>, _>>()?;
    let started_unix_us = shards.iter().map(|shard| shard.summary.started_unix_us).min().unwrap_or_default();
    let mut merger = Merger::new(shards, MAX_SKEW_US)?;
    let mut logs = Vec::new();
    for folder in folders {
        let mut log = Seconds::open(folder)?;
        let first = log.next().transpose()?;
        logs.push((first, log));
    }
    let mut written = LatencyLog::create(out, started_unix_us)?;
    let second = |interval: &Option<Interval>| interval.as_ref().and_then(|i| i.seconds.keys().next().copied());
    while let Some(next) = logs.iter().filter_map(|(interval, _)| second(interval)).min() {
        let mut sum = merger.empty_interval();
        for (interval, log) in logs.iter_mut().filter(|(interval, _)| second(interval) == Some(next)) {
            if let Some(interval) = interval.take() {
                sum.add(&interval);
            }
            *interval = log.next().transpose()?;
        }
        merger.add_seconds(&sum);
        written.append(&sum)?;
    }
    let (summary, cells) = merger.finish();
    write_results(out, &summary, &cells)?;
    Ok((summary, cells))
}
