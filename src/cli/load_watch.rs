//! What happens while a load runs: its log of latencies grows, its state is shown.

use super::args::OutputArgs;
use super::progress::{self, Progress};
use crate::flow::Session;
use crate::metrics::{Interval, StageWindow};
use crate::store::{LatencyLog, StoreError};
use crate::suite::load::{Tick, Watch};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Watches one load.
pub struct LoadWatch {
    folder: PathBuf,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Option<LatencyLog>,
    problem: Option<StoreError>,
    shown: Option<Progress>,
}

impl LoadWatch {
    /// Results go to a folder.
    pub fn new(folder: &Path, output: &OutputArgs) -> LoadWatch {
        LoadWatch { folder: folder.to_owned(), quiet: output.quiet, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows nothing any more.
    pub fn close(&self) {
        self.lock().shown = None;
    }

    /// Logs the seconds after the last tick.
    pub fn rest(&self, interval: &Interval, started_unix_us: u64) {
        self.append(interval, started_unix_us);
    }

    /// Why the log could not be written.
    pub fn problem(&self) -> Option<String> {
        self.lock().problem.as_ref().map(|problem| super::output::chain(problem))
    }

    fn append(&self, interval: &Interval, started_unix_us: u64) {
        let mut state = self.lock();
        if state.problem.is_some() {
            return;
        }
        let log = match state.log.take() {
            Some(log) => Ok(log),
            None => LatencyLog::create(&self.folder, started_unix_us),
        };
        let written = log.and_then(|mut log| log.append(interval).map(|()| log));
        match written {
            Ok(log) => state.log = Some(log),
            Err(problem) => state.problem = Some(problem),
        }
    }
}

impl Watch for LoadWatch {
    fn begins(&self, session: &Arc<Session>, _stages: &[StageWindow]) {
        if !self.quiet {
            self.lock().shown = Some(progress::show(Arc::clone(session), progress::load));
        }
    }

    fn second(&self, tick: &Tick<'_>) {
        self.append(tick.interval, tick.started_unix_us);
    }
}
