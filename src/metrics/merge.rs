//! Results of shards -> the result of the whole load.

use super::interval::{Interval, Timeline};
use super::load_recorder::StageCounts;
use super::summarise::{LoadParts, summarise};
use super::summary::{ClientHealth, JudgedCounts, LOAD_SCHEMA, LoadSummary, RunIdentity, ShardName};
use super::{Cells, StageWindow};

/// Starts of shards may lie this far apart: their seconds are laid over each other.
pub const MAX_SKEW_US: u64 = 2_000_000;

/// The result of one shard.
#[derive(Clone, Debug)]
pub struct ShardResult {
    /// Where it was found, for messages.
    pub folder: String,
    /// Its summary.
    pub summary: LoadSummary,
    /// Its cells.
    pub cells: Cells,
}

/// Why results cannot be merged. Every text names the folders.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// No results at all.
    #[error("there is nothing to merge; name the folders of all shards")]
    Nothing,
    /// Written by another version.
    #[error("'{folder}' has layout '{found}', expected '{LOAD_SCHEMA}'; merge it with the version that wrote it")]
    Layout {
        /// Folder.
        folder: String,
        /// Layout found.
        found: String,
    },
    /// Not the result of a shard.
    #[error("'{folder}' is no shard: the load was run there as a whole{merged}")]
    Whole {
        /// Folder.
        folder: String,
        /// Says so when it was merged itself.
        merged: &'static str,
    },
    /// Another load.
    #[error(
        "'{folder}' is of another load than '{other}' (config {hash} and {other_hash}); scenarios, shares, arrivals and seed must be the same"
    )]
    Config {
        /// Folder.
        folder: String,
        /// Its hash.
        hash: String,
        /// The folder that it is compared with.
        other: String,
        /// Its hash.
        other_hash: String,
    },
    /// Other stages or objectives.
    #[error("'{folder}' has other {what} than '{other}'; run all shards with the same load file")]
    Different {
        /// Folder.
        folder: String,
        /// The folder that it is compared with.
        other: String,
        /// What differs.
        what: &'static str,
    },
    /// Shards of another division.
    #[error("'{folder}' is one of {count} shards, but '{other}' one of {other_count}")]
    Count {
        /// Folder.
        folder: String,
        /// Its count.
        count: u32,
        /// The folder that it is compared with.
        other: String,
        /// Its count.
        other_count: u32,
    },
    /// The same shard twice.
    #[error("'{folder}' and '{other}' are both shard {shard}")]
    Twice {
        /// Folder.
        folder: String,
        /// The other.
        other: String,
        /// `index/count`.
        shard: String,
    },
    /// Shards are missing.
    #[error("of {count} shards these are missing: {missing}; found {found}")]
    Missing {
        /// How many there are.
        count: u32,
        /// Indexes.
        missing: String,
        /// Folders that were found.
        found: String,
    },
    /// Not run at the same time.
    #[error(
        "'{folder}' began {apart_s:.1} s after '{other}', more than {max_s:.1} s: they did not load the server together; start shards with --start-at or --barrier"
    )]
    Apart {
        /// The later one.
        folder: String,
        /// The earlier one.
        other: String,
        /// Seconds between them.
        apart_s: Seconds,
        /// How much is allowed.
        max_s: Seconds,
    },
}

/// Microseconds that are shown as seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&(self.0 as f64 / 1e6), f)
    }
}

/// A merge under way: results are checked, seconds are still to come.
#[derive(Clone, Debug)]
pub struct Merger {
    shards: Vec<ShardResult>,
    timeline: Timeline,
}

impl Merger {
    /// Checks that the results are all shards of one load, each once, run at the same time: starts at most `max_skew_us` apart
    /// ([`MAX_SKEW_US`]).
    ///
    /// # Errors
    /// [`MergeError`].
    pub fn new(mut shards: Vec<ShardResult>, max_skew_us: u64) -> Result<Merger, MergeError> {
        shards.iter().try_for_each(single)?;
        shards.sort_by_key(|shard| shard.summary.run.shard);
        let Some(first) = shards.first() else { return Err(MergeError::Nothing) };
        shards.iter().try_for_each(|shard| same_load(shard, first))?;
        complete(&shards)?;
        together(&shards, max_skew_us)?;
        let mut timeline = Timeline::new(first.summary.run.model != "closed");
        for shard in &shards {
            shard.summary.series.iter().for_each(|second| timeline.add_second(second));
        }
        Ok(Merger { shards, timeline })
    }

    /// An interval without seconds that names the scenarios of the load in their order.
    pub fn empty_interval(&self) -> Interval {
        let mut empty = Interval::default();
        for (scenario, _) in self.shards.iter().flat_map(|shard| shard.cells.places()) {
            empty.scenario(scenario);
        }
        empty
    }

    /// Takes the histograms of some seconds, added up over all shards. Each second comes once.
    pub fn add_seconds(&mut self, interval: &Interval) {
        self.timeline.add(interval);
    }

    /// The result of the whole.
    pub fn finish(self) -> (LoadSummary, Cells) {
        let Merger { shards, timeline } = self;
        let mut cells = Cells::default();
        shards.iter().for_each(|shard| cells.add(&shard.cells));
        let all: Vec<&LoadSummary> = shards.iter().map(|shard| &shard.summary).collect();
        let Some(first) = all.first() else { return Default::default() };
        let started_unix_us = all.iter().map(|s| s.started_unix_us).min().unwrap_or_default();
        let end = |s: &LoadSummary| s.started_unix_us - started_unix_us + micros(s.elapsed_s);
        let stages = stages(&all);
        let summary = summarise(LoadParts {
            identity: identity(&all, first),
            started_unix_us,
            elapsed_us: all.iter().map(|s| end(s)).max().unwrap_or_default(),
            ended_us: u64::MAX,
            ended_early: ended_early(&all),
            stopped: all.iter().any(|summary| summary.stopped),
            stages: &stages,
            arrivals: &arrivals(&all),
            cells: &cells,
            timeline: &timeline,
            objectives: &first.objectives,
            aborted: all.iter().find_map(|s| s.slos.iter().position(|slo| slo.aborted)),
            conditions: &first.conditions,
            client: client(&all),
            judged: judged(&all),
        });
        (summary, cells)
    }
}

/// Merges results whose seconds are in memory; see [`Merger`].
///
/// # Errors
/// [`MergeError`].
pub fn merge(shards: Vec<ShardResult>, seconds: &[Interval]) -> Result<(LoadSummary, Cells), MergeError> {
    let mut merger = Merger::new(shards, MAX_SKEW_US)?;
    let mut all = Interval::default();
    seconds.iter().for_each(|interval| all.add(interval));
    merger.add_seconds(&all);
    Ok(merger.finish())
}

fn single(shard: &ShardResult) -> Result<(), MergeError> {
    let (folder, summary) = (shard.folder.clone(), &shard.summary);
    if summary.schema != LOAD_SCHEMA {
        return Err(MergeError::Layout { folder, found: summary.schema.clone() });
    }
    match summary.run.shard {
        Some(_) => Ok(()),
        None if summary.run.merged.is_empty() => Err(MergeError::Whole { folder, merged: "" }),
        None => Err(MergeError::Whole { folder, merged: ", or merged already" }),
    }
}

fn same_load(shard: &ShardResult, first: &ShardResult) -> Result<(), MergeError> {
    let (folder, other) = (shard.folder.clone(), first.folder.clone());
    let (ours, theirs) = (&shard.summary, &first.summary);
    let (hash, other_hash) = (ours.run.config_hash.clone(), theirs.run.config_hash.clone());
    if hash != other_hash {
        return Err(MergeError::Config { folder, hash, other, other_hash });
    }
    let labels =
        |s: &LoadSummary| s.stages.iter().map(|stage| (stage.label.clone(), stage.measure)).collect::<Vec<_>>();
    if labels(ours) != labels(theirs) || shard.cells.stages() != first.cells.stages() {
        return Err(MergeError::Different { folder, other, what: "stages" });
    }
    // Good requests were counted by these.
    if (&ours.objectives, &ours.conditions) != (&theirs.objectives, &theirs.conditions) {
        return Err(MergeError::Different { folder, other, what: "objectives" });
    }
    let count = |s: &LoadSummary| s.run.shard.unwrap_or_default().count;
    if count(ours) != count(theirs) {
        return Err(MergeError::Count { folder, count: count(ours), other, other_count: count(theirs) });
    }
    Ok(())
}

/// The shards are sorted and of one count.
fn complete(shards: &[ShardResult]) -> Result<(), MergeError> {
    let name = |shard: &ShardResult| shard.summary.run.shard.unwrap_or_default();
    for (a, b) in shards.iter().zip(shards.iter().skip(1)) {
        if name(a) == name(b) {
            let shard = format!("{}/{}", name(a).index, name(a).count);
            return Err(MergeError::Twice { folder: b.folder.clone(), other: a.folder.clone(), shard });
        }
    }
    let count = shards.first().map_or(0, |shard| name(shard).count);
    let there = |index: u32| shards.iter().any(|shard| name(shard).index == index);
    let missing: Vec<u32> = (0..count).filter(|index| !there(*index)).take(20).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = |all: Vec<String>| all.join(", ");
    Err(MergeError::Missing {
        count,
        missing: text(missing.iter().map(u32::to_string).collect()),
        found: text(shards.iter().map(|shard| format!("'{}'", shard.folder)).collect()),
    })
}

fn together(shards: &[ShardResult], max_skew_us: u64) -> Result<(), MergeError> {
    let start = |shard: &&ShardResult| shard.summary.started_unix_us;
    let (Some(early), Some(late)) = (shards.iter().min_by_key(start), shards.iter().max_by_key(start)) else {
        return Ok(());
    };
    let apart = start(&late) - start(&early);
    // Of short loads no more than their length, or they would not overlap at all.
    let max = shards.iter().map(|shard| micros(shard.summary.elapsed_s)).fold(max_skew_us, u64::min);
    if apart <= max {
        return Ok(());
    }
    let (folder, other) = (late.folder.clone(), early.folder.clone());
    Err(MergeError::Apart { folder, other, apart_s: Seconds(apart), max_s: Seconds(max) })
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// The stages as far as any shard ran them.
fn stages(all: &[&LoadSummary]) -> Vec<StageWindow> {
    let Some(first) = all.first() else { return Vec::new() };
    let windows = first.stages.iter().enumerate().map(|(at, stage)| StageWindow {
        label: stage.label.clone(),
        from_us: micros(stage.from_s),
        to_us: all.iter().filter_map(|s| s.stages.get(at)).map(|s| micros(s.to_s)).max().unwrap_or_default(),
        level_from: stage.level_from,
        level_to: stage.level_to,
        measure: stage.measure,
    });
    windows.collect()
}

fn arrivals(all: &[&LoadSummary]) -> Vec<StageCounts> {
    let count = all.first().map_or(0, |s| s.stages.len());
    let sum = |at: usize| {
        all.iter().filter_map(|s| s.stages.get(at)).fold(StageCounts::default(), |sum, stage| StageCounts {
            planned: sum.planned + stage.planned,
            begun: sum.begun + stage.begun,
            dropped: sum.dropped + stage.dropped,
        })
    };
    (0..count).map(sum).collect()
}

fn identity(all: &[&LoadSummary], first: &LoadSummary) -> RunIdentity {
    let merged: Vec<ShardName> = all.iter().filter_map(|s| s.run.shard).collect();
    RunIdentity { shard: None, merged, ..first.run.clone() }
}

fn ended_early(all: &[&LoadSummary]) -> Option<String> {
    let said = all.iter().filter_map(|s| Some((s.run.shard?.index, s.ended_early.as_ref()?)));
    let texts: Vec<String> = said.map(|(index, why)| format!("shard {index}: {why}")).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn client(all: &[&LoadSummary]) -> ClientHealth {
    let clients = || all.iter().map(|s| &s.client);
    ClientHealth {
        cores: clients().map(|c| c.cores).sum(),
        cpu_s: clients().map(|c| c.cpu_s).sum(),
        cpu_max: clients().map(|c| c.cpu_max).fold(0.0, f64::max),
        rss_max: clients().map(|c| c.rss_max).max().unwrap_or_default(),
        fds_max: clients().map(|c| c.fds_max).max().unwrap_or_default(),
        fds_limit: clients().map(|c| c.fds_limit).min().unwrap_or_default(),
        streams_max: 0,
        ports_left: clients().filter_map(|c| c.ports_left).min(),
        unfinished: clients().map(|c| c.unfinished).sum(),
        panics: clients().map(|c| c.panics).sum(),
        ..ClientHealth::default()
    }
}

fn judged(all: &[&LoadSummary]) -> JudgedCounts {
    let sum = |of: fn(&JudgedCounts) -> u64| all.iter().map(|s| of(&s.judged)).sum();
    JudgedCounts { judged: sum(|j| j.judged), responses: sum(|j| j.responses), sampled: sum(|j| j.sampled) }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
