//! A meeting point of processes that share a folder and nothing else.

use super::files::{StoreError, read_text, write_atomic};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The place where shards of a load agree on one start. The folder belongs to one run: what an earlier one left there
/// is refused where it can be told.
///
/// Shard `i` writes `ready-<i>` with its clock. When all are there, shard 0 writes `start`: the latest of these times and
/// a margin. All clocks are taken to agree as well as NTP makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    folder: PathBuf,
    index: u32,
    count: u32,
    margin: Duration,
}

/// How far the meeting has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BarrierState {
    /// The common start, in microseconds since the Unix epoch.
    Start(u64),
    /// These shards have not come, ascending; shard 0 alone where only its word is missing.
    Missing(Vec<u32>),
}

/// Why shards cannot meet in a folder.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// The folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else's folder.
    #[error(
        "'{path}' says {found}, this process has {wanted}; every run needs a folder of its own, and the same count"
    )]
    Other {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What was expected.
        wanted: String,
    },
    /// An earlier run.
    #[error("'{path}' is the start of an earlier run; name a fresh folder for every run, e.g. with the id of the job")]
    Used {
        /// Which file.
        path: PathBuf,
    },
}

impl Barrier {
    /// Time between the last arrival and the start: shared folders show new files late.
    pub const MARGIN: Duration = Duration::from_secs(3);

    /// The meeting point of shard `index` of `count`.
    pub fn new(folder: &Path, index: u32, count: u32) -> Barrier {
        Barrier { folder: folder.to_owned(), index, count: count.max(1), margin: Barrier::MARGIN }
    }

    /// As it is, with another margin between the last arrival and the start.
    #[must_use]
    pub fn with_margin(self, margin: Duration) -> Barrier {
        Barrier { margin, ..self }
    }

    /// Where they meet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that this shard is ready, at a time in microseconds since the Unix epoch.
    ///
    /// # Errors
    /// The folder cannot be written, or an earlier run left its start there.
    pub fn ready(&self, now_us: u64) -> Result<(), BarrierError> {
        if self.started()?.is_some_and(|start| start < now_us) {
            return Err(BarrierError::Used { path: self.start_path() });
        }
        Ok(write_atomic(&self.ready_path(self.index), format!("{now_us} of {}\n", self.count).as_bytes())?)
    }

    /// Takes the word back, so that a later attempt in the same folder does not count on this process.
    pub fn leave(&self) {
        // What cannot be removed may mislead the next attempt only; there is nothing better to do.
        let _ = fs::remove_file(self.ready_path(self.index));
    }

    /// How far the meeting has come. Shard 0 sets the start when all are there.
    ///
    /// # Errors
    /// The folder cannot be used, or holds files of a run with another number of shards.
    pub fn look(&self, now_us: u64) -> Result<BarrierState, BarrierError> {
        if let Some(start) = self.started()? {
            return Ok(BarrierState::Start(start));
        }
        let mut latest = now_us;
        let mut missing = Vec::new();
        for shard in 0..self.count {
            match self.ready_at(shard)? {
                Some(at) => latest = latest.max(at),
                None => missing.push(shard),
            }
        }
        match (missing.is_empty(), self.index) {
            (false, _) => Ok(BarrierState::Missing(missing)),
            (true, 0) => {
                let start = latest.saturating_add(u64::try_from(self.margin.as_micros()).unwrap_or(u64::MAX));
                write_atomic(&self.start_path(), format!("{start} of {}\n", self.count).as_bytes())?;
                Ok(BarrierState::Start(start))
            }
            (true, _) => Ok(BarrierState::Missing(vec![0])),
        }
    }

    fn started(&self) -> Result<Option<u64>, BarrierError> {
        self.time_in(&self.start_path())
    }

    fn ready_at(&self, shard: u32) -> Result<Option<u64>, BarrierError> {
        self.time_in(&self.ready_path(shard))
    }

    /// The time in a file; `None` while the file is not there.
    fn time_in(&self, path: &Path) -> Result<Option<u64>, BarrierError> {
        if !path.try_exists().map_err(StoreError::read(path))? {
            return Ok(None);
        }
        let text = read_text(path)?;
        let parts = text.trim().split_once(" of ");
        match parts.and_then(|(at, count)| Some((at.parse().ok()?, count.parse::<u32>().ok()?))) {
            Some((at, count)) if count == self.count => Ok(Some(at)),
            _ => Err(BarrierError::Other {
                path: path.to_owned(),
                found: format!("`{}`", text.trim()),
                wanted: format!("`<time> of {}`", self.count),
            }),
        }
    }

    fn ready_path(&self, shard: u32) -> PathBuf {
        self.folder.join(format!("ready-{shard}"))
    }

    fn start_path(&self) -> PathBuf {
        self.folder.join("start")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(folder: &Path, index: u32, count: u32) -> Barrier {
        Barrier::new(folder, index, count).with_margin(Duration::from_millis(7))
    }

    #[test]
    fn the_start_is_a_margin_after_the_last_to_come_and_the_same_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let shards: Vec<Barrier> = (0..3).map(|i| barrier(folder.path(), i, 3)).collect();
        shards[0].ready(100).unwrap();
        assert_eq!(shards[0].look(150).unwrap(), BarrierState::Missing(vec![1, 2]));
        shards[2].ready(5_000).unwrap();
        shards[1].ready(900).unwrap();
        assert_eq!(shards[1].look(5_100).unwrap(), BarrierState::Missing(vec![0]), "only shard 0 sets the start");
        let start = BarrierState::Start(5_000 + 7_000);
        assert_eq!([shards[0].look(1_000).unwrap(), shards[1].look(9_000).unwrap()], [start.clone(), start]);
    }

    #[test]
    fn a_folder_of_an_earlier_run_or_of_another_count_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let alone = barrier(folder.path(), 0, 1);
        alone.ready(10).unwrap();
        assert_eq!(alone.look(10).unwrap(), BarrierState::Start(7_010));
        let again = barrier(folder.path(), 0, 1).ready(8_000).unwrap_err().to_string();
        assert!(again.contains("earlier run") && again.contains("fresh folder"), "{again}");
        let other = barrier(folder.path(), 0, 2).look(8_000).unwrap_err().to_string();
        assert!(other.contains("`7010 of 1`") && other.contains("of 2`"), "{other}");
    }

    #[test]
    fn who_leaves_is_missing_again() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (barrier(folder.path(), 0, 2), barrier(folder.path(), 1, 2));
        first.ready(1).unwrap();
        second.ready(1).unwrap();
        second.leave();
        assert_eq!(first.look(2).unwrap(), BarrierState::Missing(vec![1]));
    }
}
