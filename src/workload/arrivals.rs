//! The schedule of a load: every arrival with its time, its stage and its scenario, without a clock.

use super::area::{ARRIVAL, HIGHEST_RATE, LONGEST_US, Line};
use super::mix::Mix;
use super::plan::{Arrivals, Process, Shard, Stage};
use super::random::{exponential, random};
use crate::metrics::StageWindow;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Most users of a closed load.
const MOST_USERS: f64 = 1e6;

/// Why a plan gives no schedule. The text is a fragment after "the schedule cannot be made: ".
#[derive(Debug, Error, PartialEq)]
pub enum ScheduleError {
    /// Nothing to do.
    #[error("it has no stages")]
    NoStages,
    /// More than reports can name.
    #[error("it has {0} stages; there can be 1000")]
    ManyStages(usize),
    /// A level that is no rate or number of users.
    #[error("stage `{label}`: the level {level} is not between 0 and {most}")]
    Level {
        /// The stage.
        label: String,
        /// As given.
        level: f64,
        /// Highest that is allowed.
        most: f64,
    },
    /// A stage without an end, or too long.
    #[error("stage `{0}` is longer than 24 hours")]
    Long(String),
    /// Rates of 0 everywhere, or an empty recording.
    #[error("nothing begins in it: all levels are 0")]
    Nothing,
    /// A recording that goes back in time.
    #[error("the recorded times are not in order")]
    Order,
    /// Nothing to begin, or shares that have no round of bearable length.
    #[error("the shares cannot be dealt: in lowest terms they add up to more than 100000, or there are none")]
    Shares,
}

/// One arrival: a scenario begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number over all shards, from 0. Users, data rows and seeds depend on it.
    pub index: u64,
    /// Planned time in microseconds since the start of the schedule.
    pub at_us: u64,
    /// Index of its stage.
    pub stage: u16,
    /// Index of its scenario among the weights.
    pub job: usize,
}

/// All arrivals of a load, computed one by one as they are asked for.
///
/// Exact: times are whole numbers from whole-number arithmetic, so every machine gets the same schedule from the same
/// plan, shares and seed. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: Kind,
    stages: Arc<[Piece]>,
    windows: Arc<[StageWindow]>,
    mix: Mix,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Even,
    Poisson,
    Replay(Arc<[u64]>),
    Closed,
}

/// A stage of an open load.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from_us: u64,
    /// Area of all stages before it.
    before: u128,
    line: Line,
}

impl Schedule {
    /// The schedule of a plan. `weights` are the shares of the scenarios, `seed` decides gaps of a Poisson process and
    /// the order of the scenarios.
    ///
    /// # Errors
    /// Levels below 0 or too high, stages without an end, nothing to do.
    pub fn new(arrivals: &Arrivals, weights: &[u32], seed: u64) -> Result<Schedule, ScheduleError> {
        let mix = Mix::new(weights, seed).ok_or(ScheduleError::Shares)?;
        let (kind, windows, pieces, something) = match arrivals {
            Arrivals::Open { process, stages, .. } => {
                let windows = windows(stages, HIGHEST_RATE)?;
                let pieces = pieces(&windows)?;
                let kind = if *process == Process::Constant { Kind::Even } else { Kind::Poisson };
                let something = pieces.iter().any(|piece| piece.line.area() > 0);
                (kind, windows, pieces, something)
            }
            Arrivals::Closed { stages, .. } => {
                let windows = windows(stages, MOST_USERS)?;
                let something = windows.iter().any(|w| w.level_from.max(w.level_to) >= 0.5);
                (Kind::Closed, windows, Vec::new(), something)
            }
            Arrivals::Replay { at_us, .. } => {
                if !at_us.is_sorted() {
                    return Err(ScheduleError::Order);
                }
                let last = at_us.last().ok_or(ScheduleError::Nothing)?;
                (Kind::Replay(at_us.as_slice().into()), vec![replayed(at_us.len(), *last)], Vec::new(), true)
            }
        };
        if !something {
            return Err(ScheduleError::Nothing);
        }
        Ok(Schedule { kind, stages: pieces.into(), windows: windows.into(), mix, seed })
    }

    /// The arrivals of a shard in order of time; none for a closed load.
    pub fn iter(&self, shard: Shard) -> impl Iterator<Item = Arrival> + Send + 'static {
        let arrivals = Walk { schedule: self.clone(), next: 0, stage: 0, shard, elapsed: 0 };
        arrivals.fuse()
    }

    /// The stages in order, without gaps, from 0. A replay has one, named `replay`.
    pub fn stages(&self) -> Vec<StageWindow> {
        self.windows.to_vec()
    }

    /// Length in microseconds; `u64::MAX` for a closed load that ends by its iterations.
    pub fn length_us(&self) -> u64 {
        self.windows.last().map_or(0, |last| last.to_us)
    }

    /// Arrivals over all shards; for a Poisson process the expected number, for a closed load 0.
    pub fn planned(&self) -> u64 {
        self.planned_between(0, u64::MAX)
    }

    /// As [`Schedule::planned`], of `from_us <= t < to_us`.
    pub fn planned_between(&self, from_us: u64, to_us: u64) -> u64 {
        let before = |t: u64| match &self.kind {
            Kind::Closed => 0,
            Kind::Replay(times) if t == u64::MAX => times.len() as u64,
            Kind::Replay(times) => times.partition_point(|at| *at < t) as u64,
            Kind::Even => self.area(t, true),
            Kind::Poisson => self.area(t, false),
        };
        before(to_us).saturating_sub(before(from_us))
    }

    /// Arrivals whose area is reached before a time: rounded up, since number 0 comes at once, or to the nearest.
    fn area(&self, t: u64, up: bool) -> u64 {
        let begun = self.stages.iter().take_while(|piece| piece.from_us < t).last();
        let Some(piece) = begun else { return 0 };
        let (area, more) = piece.line.area_until(t - piece.from_us);
        let area = piece.before + area;
        let whole = (area / ARRIVAL) as u64;
        let rest = area % ARRIVAL;
        whole + u64::from(if up { rest > 0 || more } else { rest >= ARRIVAL / 2 })
    }

    /// Index of the scenario that the arrival of this number is, also for a closed load: there the number of the
    /// iteration.
    pub fn job(&self, index: u64) -> usize {
        self.mix.of(index)
    }

    /// How many arrivals of the same scenario come before this one: picks its data rows.
    pub fn nth(&self, index: u64) -> u64 {
        self.mix.nth(index)
    }

    /// Users that may run at a time, for a closed load: the level, rounded; 0 after the end.
    pub fn users_at(&self, t_us: u64) -> usize {
        let Some(stage) = crate::metrics::stage_at(&self.windows, t_us).and_then(|i| self.windows.get(i)) else {
            return 0;
        };
        let passed = (t_us - stage.from_us) as f64 / (stage.to_us - stage.from_us) as f64;
        let level = stage.level_from + (stage.level_to - stage.level_from) * passed;
        if matches!(self.kind, Kind::Closed) { level.round() as usize } else { 0 }
    }

    /// Most users of a closed load at any time.
    pub fn peak_users(&self) -> usize {
        let highest = self.windows.iter().map(|w| w.level_from.max(w.level_to)).fold(0.0, f64::max);
        if matches!(self.kind, Kind::Closed) { highest.round() as usize } else { 0 }
    }
}

/// Where the arrivals of one shard have got to.
struct Walk {
    schedule: Schedule,
    next: u64,
    stage: usize,
    shard: Shard,
    /// Area up to the arrival before, for Poisson.
    elapsed: u128,
}

impl Walk {
    /// The area at which the next arrival lies.
    fn area(&mut self) -> u128 {
        if matches!(self.schedule.kind, Kind::Even) {
            return u128::from(self.next) * ARRIVAL;
        }
        let gap = exponential(random(self.schedule.seed, self.next));
        self.elapsed += (gap * ARRIVAL as f64) as u128;
        self.elapsed
    }

    /// Stage and time of the next arrival of any shard.
    fn place(&mut self) -> Option<(usize, u64)> {
        match &self.schedule.kind {
            Kind::Closed => None,
            Kind::Replay(times) => times.get(usize::try_from(self.next).ok()?).map(|at| (0, *at)),
            Kind::Even | Kind::Poisson => {
                let area = self.area();
                // A stage that ends exactly here does not reach it: the next one that has a rate does.
                loop {
                    let piece = self.schedule.stages.get(self.stage)?;
                    if area < piece.before + piece.line.area() {
                        return Some((self.stage, piece.from_us + piece.line.reaches(area - piece.before)));
                    }
                    self.stage += 1;
                }
            }
        }
    }

    /// Moves on to the next number of this shard. Poisson needs every gap, the others need not look at what is not theirs.
    fn skip(&mut self) {
        let count = u64::from(self.shard.count.max(1));
        let ahead = (u64::from(self.shard.index) + count - self.next % count) % count;
        if matches!(self.schedule.kind, Kind::Poisson) {
            for _ in 0..ahead {
                self.area();
                self.next += 1;
            }
        } else {
            self.next += ahead;
        }
    }
}

impl Iterator for Walk {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.shard.index >= self.shard.count.max(1) {
            return None;
        }
        self.skip();
        let (stage, at_us) = self.place()?;
        let index = self.next;
        self.next += 1;
        Some(Arrival { index, at_us, stage: stage as u16, job: self.schedule.mix.of(index) })
    }
}

/// The stages on the time line.
fn windows(stages: &[Stage], most: f64) -> Result<Vec<StageWindow>, ScheduleError> {
    match stages.len() {
        0 => return Err(ScheduleError::NoStages),
        n if n > 1000 => return Err(ScheduleError::ManyStages(n)),
        _ => {}
    }
    let mut from_us = 0_u64;
    let mut windows = Vec::with_capacity(stages.len());
    for stage in stages {
        if let Some(level) = [stage.from, stage.to].into_iter().find(|level| !(0.0..=most).contains(level)) {
            return Err(ScheduleError::Level { label: stage.label.clone(), level, most });
        }
        let to_us = match stage.length {
            Duration::MAX => u64::MAX,
            length => from_us.saturating_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX)),
        };
        let (label, measure) = (stage.label.clone(), stage.measure);
        windows.push(StageWindow { label, from_us, to_us, level_from: stage.from, level_to: stage.to, measure });
        from_us = to_us;
    }
    Ok(windows)
}

/// The areas of the stages of an open load.
fn pieces(windows: &[StageWindow]) -> Result<Vec<Piece>, ScheduleError> {
    let mut before = 0_u128;
    let mut pieces = Vec::with_capacity(windows.len());
    for window in windows {
        let length = window.to_us - window.from_us;
        if length > LONGEST_US {
            return Err(ScheduleError::Long(window.label.clone()));
        }
        let line = Line::new(window.level_from, window.level_to, length);
        pieces.push(Piece { from_us: window.from_us, before, line });
        before += line.area();
    }
    Ok(pieces)
}

/// The one stage of a recording; its level is the mean rate.
fn replayed(count: usize, last_us: u64) -> StageWindow {
    let to_us = last_us.saturating_add(1);
    let level = count as f64 / (to_us as f64 / 1e6);
    StageWindow { label: "replay".to_owned(), from_us: 0, to_us, level_from: level, level_to: level, measure: true }
}

#[cfg(test)]
#[path = "arrivals_tests.rs"]
mod tests;
